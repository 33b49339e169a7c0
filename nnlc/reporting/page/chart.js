// Learning curves on a canvas: lines of a few networks, or of many the median and the middle half.

const MOST_LINES = 8;
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2], [1, 2], [9, 3, 2, 3, 2, 3]];
const BEHIND = [[1, 3], [6, 3], [1, 7], [10, 3, 1, 3]];
const VALUE_NAMES = ["training loss (nats)", "validation loss (nats)", "validation accuracy (%)"];
const MARGIN = {left: 50, right: 14, top: 10, bottom: 36};

class Chart {
  constructor(networks) {
    this.networks = networks;
    this.canvas = $("chart");
    this.pen = this.canvas.getContext("2d");
    this.series = [];
    this.value = ACCURACY;
    this.pointed = null;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", () => this.redress());
    }
    this.canvas.addEventListener("pointermove", (event) => this.pointAt(event));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("blur", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  // Draw the selected networks, or all that the filters leave if there are none.
  show(filtered, selected, value) {
    this.value = value;
    const each = selected.length > 0 && selected.length <= MOST_LINES;
    const members = selected.length ? selected : filtered;
    this.series = each ? this.lines(selected, filtered, value) : this.bands(members, value);
    this.members = members;
    this.halves = this.pointable();
    const kept = this.pointed;
    this.pointed = null;
    this.draw();
    this.point(this.halves.includes(kept) ? kept : null);
    this.legend();
    this.describe(members, selected.length > 0);
  }

  byDataset(members) {
    const found = new Map();
    for (const i of members) {
      const place = this.networks.dataset[i];
      if (!found.has(place)) found.set(place, []);
      found.get(place).push(i);
    }
    return [...found].sort(([a], [b]) => a - b);
  }

  bands(members, value) {
    return this.byDataset(members).map(([place, those]) => ({
      name: this.networks.datasets[place], style: place % DASHES.length,
      members: this.withCurve(those),
      band: bandOf(this.networks, those, value)})).filter((one) => one.band.half.length);
  }

  lines(selected, filtered, value) {
    const around = new Set(selected.map((i) => this.networks.dataset[i]));
    const beside = filtered.filter((i) => around.has(this.networks.dataset[i]));
    const others = this.byDataset(beside).filter(([, those]) => this.withCurve(those) > 1)
      .map(([place, those], order) => ({
        name: `median of ${counted(this.withCurve(those), "network")} on `
          + this.networks.datasets[place],
        behind: true, style: order % BEHIND.length, band: bandOf(this.networks, those, value)}))
      .filter((one) => one.band.half.length);
    const chosen = selected.map((i, order) => ({name: this.networks.id[i], network: i,
      style: order % DASHES.length, line: this.networks.curve(i, value),
      sparse: STATES[this.networks.state[i]] === "under way"}));
    return [...others, ...chosen];
  }

  withCurve(members) {
    return members.reduce((sum, i) => sum + (this.networks.lengths[i] > 0), 0);
  }

  // Which half epochs can be pointed at: of bands of long curves only those that were looked at.
  pointable() {
    if (this.series.some((one) => one.line)) {
      const ends = this.series.map((one) => one.line?.length ?? one.band.half.at(-1) + 1);
      return [...Array(Math.max(...ends)).keys()];
    }
    const found = new Set(this.series.flatMap((one) => [...one.band.half]));
    return [...found].sort((a, b) => a - b);
  }

  dash(one) {
    return one.behind ? BEHIND[one.style] : DASHES[one.style];
  }

  colour(one) {
    return one.behind ? this.ink.quiet : this.ink.series[one.style];
  }

  redress() {
    this.draw();
    this.legend();
  }

  draw() {
    const {canvas, pen} = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, dense = devicePixelRatio || 1;
    if (!width || !height) return;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    this.ink = readInk();
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const [low, high, longest] = this.extent();
    const bottom = height - MARGIN.bottom;
    this.right = width - MARGIN.right;
    this.longest = longest;
    this.x = (half) => MARGIN.left + (half + 1) / Math.max(1, longest) * (this.right - MARGIN.left);
    this.scale = verticalScale(low, high, MARGIN.top, bottom, this.value !== ACCURACY);
    if (!this.scale) {
      pen.fillStyle = this.ink.quiet;
      pen.textAlign = "center";
      pen.fillText(this.nothing(), width / 2, height / 2);
      return;
    }
    this.axes(bottom);
    for (const one of this.series) if (one.band && !one.behind) this.fill(one);
    for (const one of this.series) this.stroke(one);
    if (this.pointed !== null) this.rule(bottom);
  }

  nothing() {
    return this.members?.length ? "No finite value to draw yet" : "No network to draw";
  }

  // The least and the largest value that can be drawn, and the longest curve.
  extent() {
    let low = Infinity, high = -Infinity, longest = 0;
    const positive = this.value !== ACCURACY;
    const take = (values) => {
      for (const value of values) {
        if (!Number.isFinite(value) || (positive && value <= 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    };
    for (const one of this.series) {
      if (one.line) {
        take(one.line);
        longest = Math.max(longest, one.line.length);
      } else {
        take(one.behind ? one.band.mid : one.band.low);
        take(one.behind ? one.band.mid : one.band.high);
        longest = Math.max(longest, one.band.half.at(-1) + 1);
      }
    }
    return [low, high, longest];
  }

  axes(bottom) {
    const {pen, ink} = this;
    pen.lineWidth = 1;
    pen.strokeStyle = ink.grid;
    pen.fillStyle = ink.quiet;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const tick of this.scale.ticks) {
      const y = Math.round(this.scale.at(tick)) + 0.5;
      this.segment(MARGIN.left, y, this.right, y);
      pen.fillText(digits(tick, 3), MARGIN.left - 6, y);
    }
    pen.textBaseline = "top";
    pen.textAlign = "center";
    const most = Math.max(2, (this.right - MARGIN.left) / 70);
    for (const epoch of linearTicks(0, this.longest / 2, most)) {
      const x = Math.round(this.x(2 * epoch - 1)) + 0.5;
      this.segment(x, bottom, x, bottom + 4);
      pen.fillText(digits(epoch), x, bottom + 7);
    }
    pen.textAlign = "right";
    pen.fillText("epoch", this.right, bottom + 21);
    pen.textAlign = "left";
    pen.fillText(VALUE_NAMES[this.value], MARGIN.left + 4, MARGIN.top - 6);
    pen.strokeStyle = ink.quiet;
    this.segment(MARGIN.left, bottom + 0.5, this.right, bottom + 0.5);
  }

  segment(x1, y1, x2, y2) {
    this.pen.beginPath();
    this.pen.moveTo(x1, y1);
    this.pen.lineTo(x2, y2);
    this.pen.stroke();
  }

  fill({band, style}) {
    const {pen, scale} = this;
    const points = [...band.half.keys()]
      .filter((p) => scale.shows(band.low[p]) && scale.shows(band.high[p]));
    pen.globalAlpha = 0.16;
    pen.fillStyle = this.ink.series[style];
    pen.beginPath();
    for (const p of points) pen.lineTo(this.x(band.half[p]), scale.at(band.high[p]));
    for (const p of points.reverse()) pen.lineTo(this.x(band.half[p]), scale.at(band.low[p]));
    pen.fill();
    pen.globalAlpha = 1;
  }

  stroke(one) {
    const {pen, scale} = this;
    const values = one.line ?? one.band.mid;
    const halfOf = one.line ? (p) => p : (p) => one.band.half[p];
    pen.strokeStyle = pen.fillStyle = this.colour(one);
    pen.lineWidth = one.behind ? 1 : 2;
    pen.setLineDash(this.dash(one));
    pen.beginPath();
    const places = [], alone = [];
    for (let p = 0; p < values.length; p++) {
      places.push(scale.shows(values[p]) ? [this.x(halfOf(p)), scale.at(values[p])] : null);
    }
    // Of a network under way only some points are known: the line goes on over the others.
    const drawn = one.sparse ? places.filter(Boolean) : places;
    drawn.forEach((place, p) => {
      if (!place) return;
      if (drawn[p - 1]) pen.lineTo(...place);
      else pen.moveTo(...place);
      if (one.sparse || (!drawn[p - 1] && !drawn[p + 1])) alone.push(place);
    });
    pen.stroke();
    pen.setLineDash([]);
    for (const [x, y] of alone) {
      pen.beginPath();
      pen.arc(x, y, 2.5, 0, 7);
      pen.fill();
    }
  }

  rule(bottom) {
    const {pen, scale} = this;
    const x = Math.round(this.x(this.pointed)) + 0.5;
    pen.strokeStyle = this.ink.quiet;
    pen.lineWidth = 1;
    this.segment(x, MARGIN.top, x, bottom);
    for (const one of this.series) {
      const value = this.valueAt(one, this.pointed);
      if (!scale.shows(value)) continue;
      pen.fillStyle = this.colour(one);
      pen.beginPath();
      pen.arc(x, scale.at(value), 3.5, 0, 7);
      pen.fill();
    }
  }

  valueAt(one, half) {
    return one.line ? one.line[half] ?? NaN : one.band.mid[nearest(one.band.half, half)] ?? NaN;
  }

  pointAt(event) {
    if (!this.scale) return;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    const half = Math.round((x - MARGIN.left) / (this.right - MARGIN.left) * this.longest) - 1;
    const inside = half >= 0 && half < this.longest;
    this.point(inside ? this.halves[nearest(this.halves, half)] ?? null : null);
  }

  onKey(event) {
    const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9};
    if (!(event.key in steps) || !this.scale) return;
    event.preventDefault();
    const last = this.halves.length - 1;
    const from = this.pointed === null ? (event.key === "ArrowLeft" ? last + 1 : -1)
      : this.halves.indexOf(this.pointed);
    this.point(this.halves[Math.min(last, Math.max(0, from + steps[event.key]))]);
    $("chart-point").textContent = this.readings().map((words) => words.join(" ")).join("; ");
  }

  point(half) {
    if (half !== null && half === this.pointed) return;
    const changed = half !== this.pointed;
    this.pointed = half;
    const tip = $("tip");
    tip.hidden = half === null;
    if (changed) this.draw();
    if (half === null) return;
    tip.replaceChildren(...this.readings().map(([name, value]) =>
      element("div", {}, element("span", {}, name), element("b", {}, value))));
    const x = this.x(half), across = this.canvas.clientWidth;
    tip.style.left = x < across / 2 ? `${x + 12}px` : "auto";
    tip.style.right = x < across / 2 ? "auto" : `${across - x + 12}px`;
    tip.style.top = "14px";
  }

  // What the series say at the half epoch that is pointed at: names and values.
  readings() {
    const half = this.pointed, show = this.value === ACCURACY ? percent : digits;
    const found = this.series.map((one) => {
      if (one.line) return [one.name, show(one.line[half] ?? NaN)];
      const p = nearest(one.band.half, half);
      if (p < 0) return [one.name, "\u2013"];
      const {low, mid, high, count} = one.band;
      const range = one.behind ? "" : ` (${show(low[p])} to ${show(high[p])}, ${whole(count[p])})`;
      return [one.name, show(mid[p]) + range];
    });
    return [[`epoch ${(half + 1) / 2}`, ""], ...found];
  }

  legend() {
    $("legend").replaceChildren(...this.series.map((one) => {
      const line = drawn("line", {x1: 0, y1: 5, x2: 30, y2: 5, stroke: this.colour(one),
        "stroke-width": one.behind ? 1 : 2.5,
        "stroke-dasharray": this.dash(one).join(" ")});
      const sample = drawn("svg", {width: 30, height: 10, "aria-hidden": "true"}, line);
      const name = one.members ? `${one.name}, ${counted(one.members, "network")}` : one.name;
      return element("li", {}, sample, shortened(name, 80));
    }));
  }

  describe(members, some) {
    const {networks} = this;
    let diverged = 0, never = 0, without = 0, short = 0;
    const longest = members.reduce((most, i) => Math.max(most, networks.lengths[i]), 0);
    for (const i of members) {
      if (OUTCOMES[networks.outcome[i]] === "diverged") diverged++;
      if (OUTCOMES[networks.outcome[i]] === "never learned") never++;
      if (networks.state[i] === 0 && networks.lengths[i] < longest) short++;
      if (!networks.lengths[i] && !["failed", "damaged"].includes(STATES[networks.state[i]])) {
        without++;
      }
    }
    const each = this.series.some((one) => one.line);
    const parts = [`${counted(members.length, some ? "selected network" : "network")}`];
    if (this.series.length && !each) parts.push("lines are medians, bands the middle half");
    if (diverged) parts.push(`${whole(diverged)} diverged: what is not finite is left out`);
    if (never) parts.push(`${whole(never)} never better than chance`);
    if (this.series.filter((one) => one.band && !one.behind).length > DASHES.length) {
      parts.push("colours and dashes repeat");
    }
    if (short) parts.push(`${counted(short, "curve")} shorter than ${longest / 2} epochs`);
    if (without) parts.push(`${whole(without)} without a curve yet`);
    $("chart-words").textContent = `${parts.join("; ")}.`;
    this.canvas.setAttribute("aria-label", `${VALUE_NAMES[this.value]} over epochs of `
      + `${counted(members.length, "network")}; arrow keys read values`);
  }
}

// The place of the nearest of ascending numbers; -1 beyond the last.
function nearest(numbers, wanted) {
  if (!(wanted <= numbers.at(-1))) return -1;
  let found = 0;
  for (let p = 1; p < numbers.length; p++) {
    if (Math.abs(numbers[p] - wanted) < Math.abs(numbers[found] - wanted)) found = p;
  }
  return found;
}

function readInk() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {grid: read("--grid"), quiet: read("--quiet"),
    series: DASHES.map((_, i) => read(`--c${i}`))};
}
