// Elements and words. All text goes in as text: nothing is ever parsed as HTML.

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function pairs(list, entries) {
  list.replaceChildren(
    ...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

const whole = (value) => value.toLocaleString("en-US");
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

function digits(value, most = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : "\u2212\u221e";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return whole(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(most - 2);
  return String(Number(value.toPrecision(most)));
}

function percent(value) {
  return Number.isFinite(value) ? value.toFixed(2) : digits(value);
}

function large(value) {
  if (value === null) return "\u2013";
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= size) {
      const unit = letter === "k" ? 1e3 : size;
      return `${Number((value / unit).toPrecision(3))}\u202f${letter}`;
    }
  }
  return whole(value);
}

function duration(seconds) {
  if (seconds >= 172800) return `${(seconds / 86400).toFixed(1)} days`;
  if (seconds >= 7200) return `${(seconds / 3600).toFixed(1)} hours`;
  if (seconds >= 120) return `${Math.round(seconds / 60)} minutes`;
  return `${seconds < 10 ? digits(seconds, 2) : Math.round(seconds)} seconds`;
}

function shortened(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}\u2026`;
}
