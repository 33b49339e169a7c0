// The network that was selected last.

class Detail {
  constructor(networks) {
    this.networks = networks;
    this.shown = null;
  }

  show(i) {
    this.shown = i;
    const body = $("detail-body");
    if (i === null) {
      body.replaceChildren(element("p", {class: "quiet"},
        "Select a network in the table to see how it was made and trained."));
      return;
    }
    const {networks} = this;
    const name = element("p", {class: "name mono"}, networks.id[i]);
    const list = element("dl");
    pairs(list, this.facts(i));
    const parts = [name, list];
    if (networks.reasons.has(i)) {
      parts.splice(1, 0, element("p", {class: "warning"}, networks.reasons.get(i)));
    }
    body.replaceChildren(...parts, ...this.layers(i));
  }

  facts(i) {
    const n = this.networks;
    const outcome = element("span", {}, dot(n, i), OUTCOMES[n.outcome[i]]);
    const found = [["dataset", n.datasets[n.dataset[i]]], ["outcome", outcome]];
    if (STATES[n.state[i]] === "under way") found.push(["reached", `epoch ${n.reached[i] / 2}`]);
    if (STATES[n.state[i]] === "waiting" && n.reached[i]) {
      found.push(["saved", `at epoch ${n.reached[i] / 2}`]);
    }
    if (n.lengths[i] && n.state[i] === 0) {
      found.push(["curve", `to epoch ${n.lengths[i] / 2}`]);
    }
    if (n.stops.has(i)) found.push(["stopped", n.stops.get(i)]);
    if (n.lengths[i]) {
      const last = STATES[n.state[i]] === "under way" ? "last accuracy" : "final accuracy";
      found.push([last, `${percent(n.final[i])} %`]);
      if (n.bestHalf[i] >= 0) {
        found.push(["best accuracy",
          `${percent(n.best[i])} % at epoch ${(n.bestHalf[i] + 1) / 2}`]);
      }
    }
    if (n.attempts[i]) found.push(["attempts", `${whole(n.attempts[i])} ended badly`]);
    if (n.seconds[i] !== null) found.push(["trained for", duration(n.seconds[i])]);
    found.push(["batch size", whole(n.batch[i])], ["learning rate", digits(n.rate[i])]);
    for (const [key, title] of [["momentum", "momentum"], ["dampening", "dampening"],
      ["decay", "weight decay"]]) {
      found.push([title, n[key][i] ? digits(n[key][i]) : "none"]);
    }
    if (n.isOwn(i)) found.push(["family", n.familyName(i)]);
    found.push(["loss, optimizer", n.training[i] ?? TRAINING], ["seed", String(n.seed[i])]);
    if (n.parameters[i] !== null) {
      found.push(["parameters", whole(n.parameters[i])],
        ["multiply-adds", `${large(n.multiply_adds[i])} an image`]);
    }
    return found;
  }

  layers(i) {
    const n = this.networks, title = element("h3", {}, "Layers");
    const drawn = n.layers[i] ? [title, layerList(parseLayers(n.layers[i], n.input[i]))] : [];
    const list = element("dl");
    pairs(list, n.own[i] ?? []);
    if (n.isOwn(i)) {
      const name = element("h3", {}, "Values of the family");
      const why = "The code of the family is not here, or can't draw this network: its layers are "
        + "not known.";
      return [name, list, ...n.layers[i] ? drawn : [element("p", {class: "quiet small"}, why)]];
    }
    if (n.layers[i]) return drawn;
    const why = n.input[i] ? "These layers contradict one another or the images (nnlc audit tells "
      + "how), so they are told as the table does."
      : "What size these images have is not known here, so the layers are told as the table does.";
    return [title, element("p", {class: "quiet small"}, why), list];
  }
}
