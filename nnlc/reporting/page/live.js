// A page that is served asks now and then what is new. One that is a file never does.

const MOST_PATIENCE = 60;

class Live {
  constructor(live, onNews) {
    this.version = live.version;
    this.seconds = live.seconds;
    this.onNews = onNews;
    this.wait = live.seconds;
    this.say(live);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.ask();
    });
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 1000 * this.wait);
  }

  async ask() {
    if (document.hidden || this.asking) return;
    this.asking = true;
    clearTimeout(this.timer);
    try {
      const answer = await fetch(`changes?since=${encodeURIComponent(this.version)}`,
        {cache: "no-store", credentials: "omit"});
      if (answer.status === 404 || answer.status === 403) {
        this.tell("This address is no longer served: open the one that nnlc serve prints.");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const news = await answer.json();
      this.version = news.live.version;
      this.wait = this.seconds;
      this.say(news.live);
      setTimeout(() => this.onNews(news));  // a mistake there is no silence of the server
    } catch {
      this.wait = Math.min(2 * this.wait, MOST_PATIENCE);
      const seconds = Math.round(this.wait);
      this.tell(`No answer from nnlc serve; asking again in ${seconds} s.`);
    } finally {
      this.asking = false;
    }
    this.later();
  }

  say(live) {
    const trouble = live.trouble ? `; ${live.trouble}` : "";
    this.tell(`${live.over ? "Nothing is left to train" : "Live"}${trouble}`);
  }

  tell(words) {
    if ($("live").textContent !== words) $("live").textContent = words;
  }
}
