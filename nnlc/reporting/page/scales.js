// Axes: where a value is drawn, and which values get a mark.

function linearTicks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((size) => size >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    ticks.push(Number((k * step).toPrecision(12)));
  }
  return ticks;
}

function logTicks(low, high, most) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  if (!(last - first < 1000)) return [];
  const parts = last - first <= 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((last - first) / most));
  const ticks = [];
  for (let power = first; power <= last; power++) {
    if ((power - first) % every) continue;
    for (const part of parts) {
      const tick = Number(`${part}e${power}`);
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

// From the least and the largest value to pixels; null where there is nothing to draw.
function verticalScale(low, high, top, bottom, logarithmic) {
  if (!(low <= high)) return null;
  const most = Math.max(2, Math.floor((bottom - top) / 45));
  if (logarithmic) {
    if (high / low < 1.2) { low /= 1.1; high *= 1.1; }
    low /= (high / low) ** 0.04;
    high *= (high / low) ** 0.04;
    const span = Math.log(high / low);
    return {at: (value) => bottom - Math.log(value / low) / span * (bottom - top),
      ticks: logTicks(low, high, most), shows: (value) => value > 0 && Number.isFinite(value)};
  }
  low = Math.min(0, low);
  high = high > low ? high + (high - low) * 0.06 : low + 1;
  return {at: (value) => bottom - (value - low) / (high - low) * (bottom - top),
    ticks: linearTicks(low, high, most), shows: Number.isFinite};
}
