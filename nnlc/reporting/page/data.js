// The networks: settings that never change, and what becomes of them. The Python beside this
// folder writes what is read here (payload.py, encoding.py).

const STATES = ["done", "under way", "waiting", "failed", "damaged"];
const DIVERGED = 1, NEVER_LEARNED = 2, CHANCE_UNKNOWN = 4;
const OUTCOMES = ["learned", "never learned", "diverged", "finished", "under way", "waiting",
  "failed", "damaged"];
const TRAIN_LOSS = 0, VAL_LOSS = 1, ACCURACY = 2;
const TRAINING = "CrossEntropyLoss, SGD";

// The first three bytes of each float32, as base64.
function decodeValues(text) {
  const octets = atob(text);
  const bits = new Uint32Array(octets.length / 3);
  for (let i = 0, at = 0; i < bits.length; i++, at += 3) {
    bits[i] = octets.charCodeAt(at) << 24 | octets.charCodeAt(at + 1) << 16
      | octets.charCodeAt(at + 2) << 8;
  }
  return new Float32Array(bits.buffer);
}

const byPlace = (words) => new Map(Object.entries(words).map(([i, word]) => [Number(i), word]));
const hundredths = (value) => Math.round(100 * value) / 100;

class Networks {
  constructor(payload) {
    Object.assign(this, payload.networks);  // id, depth, rate and other columns
    this.datasets = payload.datasets;
    this.count = this.id.length;
    const standings = payload.standings;
    this.state = standings.state;
    this.flags = standings.flags;
    this.reached = standings.reached;
    this.attempts = standings.attempts;
    this.seconds = standings.seconds;
    this.reasons = byPlace(standings.reasons);
    this.stops = byPlace(standings.stops);
    this.lengths = standings.lengths;
    this.final = new Float64Array(this.count);
    this.best = new Float64Array(this.count);
    this.bestHalf = new Int32Array(this.count);
    this.outcome = new Uint8Array(this.count);
    this.words = new Array(this.count);
    const values = decodeValues(standings.curves);
    let start = 0;
    this.curves = this.lengths.map((length) => values.subarray(start, start += 3 * length));
    for (let i = 0; i < this.count; i++) this.derive(i);
  }

  // What follows from a network's standing.
  derive(i) {
    const accuracy = this.curve(i, ACCURACY);
    let best = -1;
    // Of a network under way only some points are known.
    const known = STATES[this.state[i]] === "under way" ? 0 : accuracy.length;
    for (let half = 0; half < known; half++) {
      if (Number.isFinite(accuracy[half]) && !(accuracy[half] <= accuracy[best])) best = half;
    }
    this.bestHalf[i] = best;
    // What is filtered is what is shown: hundredths.
    this.best[i] = hundredths(best < 0 ? NaN : accuracy[best]);
    this.final[i] = hundredths(accuracy.length ? accuracy[accuracy.length - 1] : NaN);
    this.outcome[i] = OUTCOMES.indexOf(this.outcomeName(i));
    this.words[i] = [this.id[i], this.datasets[this.dataset[i]], this.familyName(i),
      this.reasons.get(i) ?? ""]
      .join("\n").toLowerCase();
  }

  familyName(i) {
    return this.families[this.family[i]];
  }

  isOwn(i) {
    return this.familyName(i) !== "article";
  }

  outcomeName(i) {
    if (this.state[i] !== 0) return STATES[this.state[i]];
    if (this.flags[i] & DIVERGED) return "diverged";
    if (this.flags[i] & CHANCE_UNKNOWN) return "finished";
    return this.flags[i] & NEVER_LEARNED ? "never learned" : "learned";
  }

  // One value's curve: a number for each half epoch.
  curve(i, value) {
    const length = this.lengths[i];
    return this.curves[i].subarray(value * length, (value + 1) * length);
  }

  change(changes) {
    for (const change of changes) {
      const i = change.i;
      for (const name of ["state", "flags", "reached", "attempts", "seconds"]) {
        this[name][i] = change[name];
      }
      for (const [words, word] of [[this.reasons, change.reason], [this.stops, change.stop]]) {
        if (word) words.set(i, word);
        else words.delete(i);
      }
      this.lengths[i] = change.length;
      this.curves[i] = decodeValues(change.curve);
      this.derive(i);
    }
  }
}
