// Many curves as one band.

const MOST_POINTS = 200;

// Quartiles of the finite values of many networks, half epoch by half epoch.
function bandOf(networks, members, value) {
  let longest = 0;
  for (const i of members) longest = Math.max(longest, networks.lengths[i]);
  const points = Math.min(longest, MOST_POINTS);
  const band = {half: new Int32Array(points), low: new Float64Array(points),
    mid: new Float64Array(points), high: new Float64Array(points), count: new Int32Array(points)};
  const column = new Float64Array(members.length);
  for (let p = 0; p < points; p++) {
    const half = points === longest ? p : Math.round(p * (longest - 1) / (points - 1));
    let count = 0;
    for (const i of members) {
      const length = networks.lengths[i];
      if (half >= length) continue;
      const found = networks.curves[i][value * length + half];
      if (Number.isFinite(found)) column[count++] = found;
    }
    const sorted = column.subarray(0, count).sort();
    band.half[p] = half;
    band.count[p] = count;
    for (const [name, share] of [["low", 0.25], ["mid", 0.5], ["high", 0.75]]) {
      band[name][p] = quantile(sorted, share);
    }
  }
  return band;
}

function quantile(sorted, share) {
  if (!sorted.length) return NaN;
  const place = share * (sorted.length - 1), below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
