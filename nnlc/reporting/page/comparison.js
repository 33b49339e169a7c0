// How well methods predict accuracy: mean error against epochs saved.

const MOST_COLOURED = 6;
const BASELINE = "last1";
const PLOT = {width: 760, height: 300, left: 56, right: 16, top: 14, bottom: 40};

const COMPARED = [
  ["method", (row) => row.method],
  ["cutoff", (row) => (row.stop_rule ? "\u00d8 " : "") + digits(row.cutoff_epoch, 3)],
  ["saved %", (row) => row.epochs_saved_percent.toFixed(1)],
  ["cost", (row) => percent(row.cost_error)],
  ["\u00b1", (row) => percent(row.cost_standard_error ?? NaN)],
  ["mean error", (row) => percent(row.mean_error ?? NaN)],
  ["\u00b1", (row) => percent(row.standard_error ?? NaN)],
  ["median", (row) => percent(row.median_error ?? NaN)],
  ["last1's", (row) => percent(row.baseline_mean_error ?? NaN)],
  ["top tenth %", (row) => digits(row.top_overlap_percent, 3)],
  ["predicted", (row) => `${whole(row.predicted)} of ${whole(row.networks)}`],
  ["failed", (row) => whole(row.failed)],
  ["not converged", (row) => (row.not_converged === null ? "" : whole(row.not_converged))],
  ["ms", (row) => digits(row.milliseconds, 2)],
];

const EXPLAINED = "Errors in percentage points. Methods are ordered "
  + "as compared; those that do best beside the last value seen are coloured. What a method "
  + "can't predict is trained to the end: the cost of the epochs saved is the mean error of all "
  + "networks, and those have none. The mean and median error are of what was predicted, last1's "
  + "of the same networks; times are milliseconds a network.";

function showComparison(rows) {
  $("comparison").hidden = !rows;
  if (!rows) return;
  const datasets = [...new Set(rows.map((row) => row.dataset))];
  $("comparison-body").replaceChildren(element("p", {class: "quiet small"}, EXPLAINED),
    ...datasets.flatMap((name) => comparisonOf(rows.filter((row) => row.dataset === name))));
}

function comparisonOf(rows) {
  const name = rows[0].dataset ? `${rows[0].dataset}: accuracy` : "Accuracy";
  const words = `${name} at epoch ${digits(rows[0].target_epoch)} predicted for `
    + `${counted(rows[0].networks, "network")}.`;
  const nothing = rows.filter((row) => !row.predicted).length;
  const left = nothing
    ? ` Left out of the picture: ${counted(nothing, "row")} where nothing was predicted.` : "";
  const titles = COMPARED.map(([title]) => element("th", {scope: "col"}, title));
  const head = element("tr", {}, ...titles);
  const body = rows.map((row) => element("tr", {}, ...COMPARED.map(([, text], k) =>
    element("td", k ? {} : {title: row.method}, text(row)))));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return [element("p", {class: "quiet small"}, words + left), errorPlot(rows),
    element("div", {class: "scroll", tabindex: 0, role: "region",
      "aria-label": "All methods and cutoffs"}, table)];
}

// The least wrong first, by their errors beside the baseline's on the same networks.
function methodsByError(rows) {
  const shares = new Map();
  for (const row of rows) {
    if (row.stop_rule || row.method === BASELINE || !(row.baseline_mean_error > 0)) continue;
    if (!shares.has(row.method)) shares.set(row.method, []);
    shares.get(row.method).push(row.mean_error / row.baseline_mean_error);
  }
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return [...shares].map(([name, values]) => [name, mean(values)]).sort((a, b) => a[1] - b[1])
    .map(([name]) => name);
}

// Cuts names where that leaves all of them different.
function cutApart(names, letters) {
  const count = (length) => new Set(names.map((name) => shortened(name, length))).size;
  while (count(letters) < new Set(names).size) letters += 1;
  return (name) => shortened(name, letters);
}

function errorPlot(rows) {
  const drawable = rows.filter((row) => row.predicted);
  const errors = drawable.map((row) => row.cost_error);
  const svg = drawn("svg", {class: "errors", viewBox: `0 0 ${PLOT.width} ${PLOT.height}`,
    role: "img",
    "aria-label": "Error of all networks against epochs saved; the table below has the numbers"});
  const bottom = PLOT.height - PLOT.bottom;
  const y = verticalScale(0, Math.max(...errors), PLOT.top, bottom, false);
  if (!drawable.length) return element("p", {}, "There is no error to draw.");
  const x = (saved) => PLOT.left + saved / 100 * (PLOT.width - PLOT.left - PLOT.right);
  for (const tick of y.ticks) {
    const at = y.at(tick);
    svg.append(drawn("line", {class: "rule", x1: PLOT.left, x2: x(100), y1: at, y2: at}),
      drawn("text", {x: PLOT.left - 6, y: at + 4, "text-anchor": "end"}, digits(tick, 3)));
  }
  for (let saved = 0; saved <= 100; saved += 20) {
    const where = {x: x(saved), y: bottom + 18, "text-anchor": "middle"};
    svg.append(drawn("text", where, String(saved)));
  }
  svg.append(drawn("text", {x: x(100), y: bottom + 34, "text-anchor": "end"}, "epochs saved (%)"),
    drawn("text", {x: PLOT.left + 4, y: PLOT.top},
      "mean error of all networks (percentage points)"));
  const place = (row) => `${x(row.epochs_saved_percent)},${y.at(row.cost_error)}`;
  const label = cutApart(rows.map((row) => row.method), 30);
  const best = methodsByError(rows).slice(0, MOST_COLOURED);
  const names = [...new Set(drawable.map((row) => row.method))];
  for (const name of names.sort((a, b) => best.includes(a) - best.includes(b))) {
    const those = drawable.filter((row) => row.method === name);
    const rank = best.indexOf(name);
    const colour = name === BASELINE ? "var(--c6)" : rank < 0 ? "var(--idle)" : `var(--c${rank})`;
    const title = drawn("title", {}, name);
    if (those[0].stop_rule) {
      const [cx, cy] = place(those[0]).split(",").map(Number);
      const words = label(name);
      const fits = cx + 10 + 8 * words.length < PLOT.width;
      const where = fits ? {x: cx + 10} : {x: cx - 10, "text-anchor": "end"};
      svg.append(drawn("path", {d: `M${cx} ${cy - 6}l6 6l-6 6l-6 -6z`, fill: "var(--c6)"}, title),
        drawn("text", {...where, y: cy + 4}, words));
      continue;
    }
    const shown = rank >= 0 || name === BASELINE;
    const dash = rank < 0 ? "" : DASHES[rank].join(" ");
    svg.append(drawn("g", {opacity: shown ? 1 : 0.45}, title,
      drawn("polyline", {points: those.map(place).join(" "), stroke: colour,
        "stroke-dasharray": dash}),
      ...those.map((row) => drawn("circle", {cx: x(row.epochs_saved_percent),
        cy: y.at(row.cost_error), r: 3, fill: colour}))));
  }
  const legend = [BASELINE, ...best].map((name, k) => {
    const line = drawn("line", {x1: 0, y1: 5, x2: 30, y2: 5, "stroke-width": 2.5,
      stroke: k ? `var(--c${k - 1})` : "var(--c6)",
      "stroke-dasharray": k ? DASHES[k - 1].join(" ") : ""});
    return element("li", {}, drawn("svg", {width: 30, height: 10, "aria-hidden": "true"}, line),
      label(name));
  });
  return element("div", {}, element("div", {class: "plot"}, svg),
    element("ul", {class: "legend"}, ...legend));
}
