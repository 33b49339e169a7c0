// All parts together.

function start() {
  const payload = JSON.parse($("data").textContent);
  $("data").remove();
  const networks = new Networks(payload);
  const chart = new Chart(networks);
  const detail = new Detail(networks);
  let filtered = [];

  const value = () => Number(document.querySelector("input[name=value]:checked").value);
  const redraw = () => chart.show(filtered, grid.selected, value());
  const grid = new Grid(networks, {
    onSelect: (selected) => {
      detail.show(selected.at(-1) ?? null);
      saySelection();
      redraw();
    },
    onActive: () => {},
  });
  const filters = new Filters(networks, () => soon());

  function saySelection() {
    const count = grid.selected.length;
    $("selection").textContent = count ? `${whole(count)} selected` : "";
  }

  function refilter() {
    filtered = filters.apply();
    $("count").textContent = filters.active
      ? `${whole(filtered.length)} of ${counted(networks.count, "network")}`
      : `all ${counted(networks.count, "network")}`;
    $("reset").disabled = !filters.active;
    grid.show(filtered);
    redraw();
  }

  let waiting = null;
  function soon() {
    waiting ??= requestAnimationFrame(() => {
      waiting = null;
      refilter();
    });
  }

  function goTo(i) {
    if (!grid.goTo(i)) {
      filters.clear();
      refilter();
      grid.goTo(i);
    }
  }

  function takeNews(news) {
    showAbout(news);
    if (!news.changed.length) return;
    networks.change(news.changed);
    showSummary(networks, payload);
    showFailures(networks, goTo);
    filters.showOutcomes();
    refilter();
    if (news.changed.some(({i}) => i === detail.shown)) detail.show(detail.shown);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    chart.point(null);
    if (grid.selected.length) grid.choose([]);
  });
  for (const input of document.querySelectorAll("input[name=value]")) {
    input.addEventListener("change", redraw);
  }
  addEventListener("beforeprint", () => grid.print(true));
  addEventListener("afterprint", () => grid.print(false));

  showSummary(networks, payload);
  showAbout(payload);
  showFailures(networks, goTo);
  showComparison(payload.comparison);
  detail.show(null);
  refilter();
  if (payload.live) new Live(payload.live, takeNews);
  document.documentElement.dataset.ready = "true";
}

start();
