// A network layer by layer: what leaves each layer as a box, as wide as its map and as deep as its
// channels. encoding.py writes what is parsed here.

function parseLayers(text, input) {
  let [channels, width] = input;
  const layers = [{kind: "i", channels, width}];
  let features = 0;
  for (const part of text.split(";")) {
    const [kind, ...rest] = part.split(" ");
    const numbers = rest.map(Number);
    if (kind === "c") {
      const [kernel, stride, padding, filters, out, parameters] = numbers;
      [channels, width] = [filters, out];
      layers.push({kind, kernel, stride, padding, channels, width, parameters});
    } else if (kind === "p") {
      const [kernel, stride, padding, out] = numbers;
      width = out;
      layers.push({kind, kernel, stride, padding, channels, width});
    } else if (kind === "f") {
      features = numbers[0];
      layers.push({kind, features});
    } else if (kind === "l") {
      features = numbers[0];
      layers.push({kind, features, parameters: numbers[1]});
    } else if (kind === "o") {  // one that this page has no picture of
      const [parameters, ...own] = numbers.slice(1);
      if (own.length === 1) features = own[0];
      else if (own.length) [channels, , width] = own;
      const shape = features ? {features} : {channels, width};
      const told = own.length > 0;
      layers.push({kind, name: rest[0].replaceAll("_", " "), parameters, told, ...shape});
    } else if (features) {
      layers.push({kind, features, rate: numbers[0]});
    } else {
      layers.push({kind, channels, width, rate: numbers[0]});
    }
  }
  return layers;
}

function layerList(layers) {
  const widest = Math.max(...layers.map((layer) => layer.width ?? 1));
  const deepest = Math.max(...layers.map((layer) => layer.channels ?? 1));
  const most = Math.max(...layers.map((layer) => layer.features ?? 1));
  return element("ol", {class: "layers"}, ...layers.map((layer) => {
    const [name, settings] = layerWords(layer);
    const parameters = layer.parameters ? counted(layer.parameters, "parameter") : "";
    const line = (left, right) => element("p", {}, element("span", {}, left),
      element("span", {}, right));
    const words = element("div", {}, line(name, sizeWords(layer)));
    if (settings || parameters) words.append(line(settings, parameters));
    const bare = layer.parameters ? "" : " bare";
    return element("li", {class: `kind-${layer.kind}${bare}`}, glyph(layer, widest, deepest, most), words);
  }));
}

function layerWords({kind, name, kernel, stride, padding, rate}) {
  const window = `${kernel}\u00d7${kernel}, stride ${stride}, padding ${padding}`;
  switch (kind) {
    case "i": return ["input", ""];
    case "c": return ["convolution", window];
    case "p": return ["pooling", window];
    case "d": return ["dropout", `rate ${digits(rate, 3)}`];
    case "r": return ["ReLU", ""];
    case "f": return ["flatten", ""];
    case "o": return [name, ""];
    default: return ["fully connected", ""];
  }
}

function sizeWords({kind, channels, width, features, told}) {
  if (kind === "r" || kind === "d" || kind === "o" && !told) return "";
  if (features) return whole(features);
  const map = `${width} \u00d7 ${width}`;
  return kind === "c" ? `${counted(channels, "filter")}, ${map}`
    : `${whole(channels)} \u00d7 ${map}`;
}

function glyph({kind, channels, width, features}, widest, deepest, most) {
  const svg = drawn("svg", {width: 60, height: 38, viewBox: "0 0 60 38", "aria-hidden": "true"});
  if (kind === "r") {
    svg.setAttribute("height", 22);
    svg.setAttribute("viewBox", "0 8 60 22");
    svg.append(drawn("path", {d: "M18 24 H28 L38 13"}));
  } else if (kind === "d") {
    svg.setAttribute("height", 22);
    svg.setAttribute("viewBox", "0 8 60 22");
    for (const [i, x] of [16, 24, 32, 40].entries()) {
      svg.append(drawn("circle", {cx: x, cy: 19, r: 2.6, class: i % 2 ? "" : "full"}));
    }
  } else if (features) {
    const height = 5 + 29 * Math.log(1 + features) / Math.log(1 + most);
    svg.append(drawn("rect", {class: "face", x: 26, y: 19 - height / 2, width: 6, height, rx: 1}));
  } else {
    const side = 4 + 18 * width / widest;
    const deep = 2 + 14 * Math.log(1 + channels) / Math.log(1 + deepest);
    const rise = deep * 0.55, x = 28 - (side + deep) / 2, y = 19 - (side - rise) / 2;
    const roof = [[x, y], [x + deep, y - rise], [x + side + deep, y - rise], [x + side, y]];
    const flank = [[x + side, y], [x + side + deep, y - rise],
      [x + side + deep, y - rise + side], [x + side, y + side]];
    svg.append(drawn("polygon", {class: "face roof", points: roof.join(" ")}),
      drawn("polygon", {class: "face side", points: flank.join(" ")}),
      drawn("rect", {class: "face", x, y, width: side, height: side}));
  }
  return svg;
}
