// What is shown: words, datasets, outcomes and ranges that a network must have.

const RANGES = [["depth", "depth"], ["final", "last accuracy (%)"],
  ["best", "best accuracy (%)"], ["rate", "learning rate"], ["batch", "batch size"],
  ["parameters", "parameters"]];

class Filters {
  constructor(networks, onChange) {
    this.networks = networks;
    this.onChange = onChange;
    this.chosen = {dataset: new Set(), family: new Set(), outcome: new Set()};
    this.ranges = new Map();
    this.outcomeChips = new Map();
    this.makeChips("dataset", networks.datasets.map((name, i) => [i, name]));
    this.makeChips("family", networks.families.map((name, i) => [i, name]));
    $("family-field").hidden = networks.families.length < 2;
    this.makeChips("outcome", OUTCOMES.map((name, i) => [i, name]));
    $("range-fields").replaceChildren(...RANGES.map(([key, title]) => this.rangeField(key, title)));
    $("text").addEventListener("input", () => this.onChange());
    $("reset").addEventListener("click", () => this.clear());
    this.showOutcomes();
  }

  makeChips(kind, entries) {
    const chips = entries.map(([value, name]) => {
      const chip = element("button", {type: "button", "aria-pressed": "false", title: name},
        shortened(name, 40));
      chip.addEventListener("click", () => {
        const chosen = this.chosen[kind];
        if (!chosen.delete(value)) chosen.add(value);
        chip.setAttribute("aria-pressed", String(chosen.has(value)));
        this.onChange();
      });
      if (kind === "outcome") this.outcomeChips.set(value, chip);
      return chip;
    });
    $(`${kind}-chips`).replaceChildren(...chips);
  }

  // Only outcomes that there are, and those that are chosen.
  showOutcomes() {
    const there = new Set(this.networks.outcome);
    for (const [value, chip] of this.outcomeChips) {
      chip.hidden = !there.has(value) && !this.chosen.outcome.has(value);
    }
  }

  rangeField(key, title) {
    const ends = ["least", "most"].map((end, i) => {
      const input = element("input", {type: "number", step: "any", placeholder: end,
        "aria-label": `${title}, ${end}`});
      input.addEventListener("input", () => {
        const range = this.ranges.get(key) ?? [-Infinity, Infinity];
        range[i] = input.value === "" ? [-Infinity, Infinity][i] : Number(input.value);
        this.ranges.set(key, range);
        this.onChange();
      });
      return input;
    });
    return element("div", {class: "range"}, title, element("span", {}, ends[0], "to", ends[1]));
  }

  clear() {
    $("text").value = "";
    for (const chosen of Object.values(this.chosen)) chosen.clear();
    for (const chip of document.querySelectorAll("#filters [aria-pressed]")) {
      chip.setAttribute("aria-pressed", "false");
    }
    this.ranges.clear();
    for (const input of document.querySelectorAll("#range-fields input")) input.value = "";
    this.onChange();
  }

  limits() {
    return [...this.ranges].filter(([, [low, high]]) => low > -Infinity || high < Infinity);
  }

  get active() {
    return this.limits().length > 0 || $("text").value.trim() !== "" || this.chosen.dataset.size > 0
      || this.chosen.family.size > 0 || this.chosen.outcome.size > 0;
  }

  // The places of the networks that have all of it, in their first order.
  apply() {
    const {networks, chosen} = this;
    const words = $("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const ranges = this.limits().map(([key, [low, high]]) => [networks[key], low, high]);
    const found = [];
    for (let i = 0; i < networks.count; i++) {
      if (chosen.dataset.size && !chosen.dataset.has(networks.dataset[i])) continue;
      if (chosen.family.size && !chosen.family.has(networks.family[i])) continue;
      if (chosen.outcome.size && !chosen.outcome.has(networks.outcome[i])) continue;
      // What is not known is in no range.
      if (!ranges.every(([values, low, high]) => values[i] !== null && values[i] >= low
        && values[i] <= high)) continue;
      if (words.every((word) => networks.words[i].includes(word))) found.push(i);
    }
    return found;
  }
}
