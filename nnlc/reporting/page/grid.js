// The table of networks. Only the rows that can be seen are elements.

const ROW_HEIGHT = 30;
const SPARE_ROWS = 6;
const MOST_ROWS = 200;
const MOST_PRINTED = 100;

const COLUMNS = [
  {key: "id", title: "network", track: "minmax(208px, 1.3fr)", narrow: "minmax(0, 1fr)",
    mono: true, text: (n, i) => n.id[i], short: (n, i) => `\u2026${n.id[i].slice(-17)}`},
  {key: "dataset", title: "dataset", track: "minmax(86px, 1fr)",
    text: (n, i) => n.datasets[n.dataset[i]]},
  {key: "family", title: "family", track: "minmax(104px, 0.7fr)", several: true,
    text: (n, i) => n.familyName(i)},
  {key: "depth", title: "depth", track: "52px", number: true,
    text: (n, i) => n.depth[i] === null ? "" : whole(n.depth[i])},
  {key: "outcome", title: "outcome", track: "minmax(124px, 0.7fr)", text: outcomeText},
  {key: "final", title: "last %", track: "59px", number: true,
    text: (n, i) => percent(n.final[i])},
  {key: "best", title: "best %", track: "59px", number: true, text: (n, i) => percent(n.best[i])},
  {key: "rate", title: "learning rate", track: "98px", number: true,
    text: (n, i) => digits(n.rate[i], 3)},
  {key: "batch", title: "batch", track: "56px", number: true, text: (n, i) => whole(n.batch[i])},
  {key: "parameters", title: "parameters", track: "86px", number: true,
    text: (n, i) => large(n.parameters[i])},
];
const NARROW = ["id", "outcome", "final"];

function outcomeText(networks, i) {
  const name = OUTCOMES[networks.outcome[i]];
  return name === "under way" ? `epoch ${networks.reached[i] / 2}` : name;
}

class Grid {
  constructor(networks, {onSelect, onActive}) {
    this.networks = networks;
    this.onSelect = onSelect;
    this.onActive = onActive;
    this.order = [];
    this.sort = {key: null, down: false};
    this.selected = [];
    this.active = null;
    this.box = $("grid");
    this.body = $("grid-body");
    this.narrow = matchMedia("(max-width: 560px)");
    this.narrow.addEventListener("change", () => this.header());
    this.box.addEventListener("scroll", () => this.later());
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.body.addEventListener("click", (event) => this.onClick(event));
    this.body.addEventListener("pointerdown", () => { this.pressed = true; });
    for (const end of ["pointerup", "pointercancel"]) {
      addEventListener(end, () => setTimeout(() => this.letGo()));  // after the click
    }
    new ResizeObserver(() => this.render()).observe(this.box);
    this.header();
  }

  get columns() {
    if (this.narrow.matches) return COLUMNS.filter(({key}) => NARROW.includes(key));
    return COLUMNS.filter(({key, several}) => (!several || this.hasFamilies)
      && (key !== "depth" || this.networks.depth.some((depth) => depth !== null)));
  }

  get hasFamilies() {
    return this.networks.families.some((name) => name !== "article");
  }

  header() {
    const columns = this.columns;
    document.documentElement.style.setProperty("--tracks", columns.map((column) =>
      (this.narrow.matches && column.narrow) || column.track).join(" "));
    document.documentElement.style.setProperty("--least", this.narrow.matches ? "0"
      : this.hasFamilies ? "930px" : "826px");
    const cells = columns.map(({key, title, number}) => {
      const button = element("button", {type: "button"}, title);
      const cell = element("div", {role: "columnheader", class: number ? "number" : ""}, button);
      if (key === this.sort.key) {
        cell.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      }
      button.addEventListener("click", () => this.sortBy(key));
      return cell;
    });
    $("grid-head").replaceChildren(element("div", {role: "row", "aria-rowindex": 1}, ...cells));
    this.box.setAttribute("aria-colcount", columns.length);
    this.render();
  }

  sortBy(key) {
    const number = COLUMNS.find((column) => column.key === key).number ?? false;
    if (this.sort.key !== key) this.sort = {key, down: number && key !== "depth"};
    else this.sort = {key, down: !this.sort.down};
    this.header();
    const button = [...$("grid-head").querySelectorAll("[aria-sort] button")][0];
    button?.focus();
    this.show(this.order);
  }

  // Show these networks, sorted; what is selected and where one was stays.
  show(members) {
    this.order = this.sorted(members);
    this.places = new Map(this.order.map((i, place) => [i, place]));
    if (!this.places.has(this.active)) this.active = this.order[0] ?? null;
    this.box.setAttribute("aria-rowcount", this.order.length + 1);
    this.body.style.height = `${this.order.length * ROW_HEIGHT}px`;
    $("grid-empty").hidden = this.order.length > 0;
    this.render();
  }

  sorted(members) {
    const {key, down} = this.sort;
    const order = [...members].sort((a, b) => a - b);
    if (key === null) return order;
    const values = this.networks[key], sign = down ? -1 : 1;
    const lacks = (value) => value === null || value !== value;
    return order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (lacks(x) || lacks(y)) return lacks(x) - lacks(y);  // unknown ones last, either way
      return x < y ? -sign : x > y ? sign : 0;
    });
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.render();
    });
  }

  // Which rows are elements: those that can be seen, or the first ones on paper.
  extent() {
    if (this.printing) return [0, Math.min(this.order.length, MOST_PRINTED)];
    const height = this.box.clientHeight, top = this.box.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - SPARE_ROWS);
    const seen = Math.min(MOST_ROWS, Math.ceil(height / ROW_HEIGHT) + 2 * SPARE_ROWS);
    return [first, Math.min(this.order.length, first + seen)];
  }

  // A row that is replaced while it is pressed would never be clicked: redrawing waits.
  letGo() {
    this.pressed = false;
    if (this.stale) this.render();
  }

  render() {
    this.stale = Boolean(this.pressed);
    if (this.stale) return;
    const [first, last] = this.extent();
    const chosen = new Set(this.selected), rows = [];
    for (let place = first; place < last; place++) rows.push(this.row(place, chosen));
    this.body.replaceChildren(...rows);
    const seen = this.places?.get(this.active);
    if (seen >= first && seen < last) {
      this.box.setAttribute("aria-activedescendant", `row-${this.active}`);
    } else {
      this.box.removeAttribute("aria-activedescendant");
    }
  }

  row(place, chosen) {
    const i = this.order[place], {networks} = this;
    const cells = this.columns.map((column) => {
      const words = column.text(networks, i);
      const shown = this.narrow.matches && column.short ? column.short(networks, i) : words;
      const cell = element("div", {role: "gridcell",
        class: [column.number ? "number" : "", column.mono ? "mono" : ""].join(" ").trim()});
      if (column.key === "outcome") cell.append(dot(networks, i));
      if (words.length > 12) cell.title = words;
      cell.append(shown);
      return cell;
    });
    const row = element("div", {role: "row", id: `row-${i}`, "aria-rowindex": place + 2,
      "aria-selected": String(chosen.has(i)), class: i === this.active ? "active" : ""}, ...cells);
    row.style.top = `${place * ROW_HEIGHT}px`;
    return row;
  }

  onClick(event) {
    const row = event.target.closest("[role=row]");
    if (!row) return;
    this.pressed = false;
    const i = Number(row.id.slice(4)), before = this.active;
    this.active = i;
    if (event.shiftKey && before !== null) this.choose(this.between(before, i));
    else if (event.ctrlKey || event.metaKey) this.toggle(i);
    else this.choose(this.selected.length === 1 && this.selected[0] === i ? [] : [i]);
  }

  between(one, other) {
    const [from, to] = [this.places.get(one), this.places.get(other)].sort((a, b) => a - b);
    return this.order.slice(from, to + 1);
  }

  toggle(i) {
    const others = this.selected.filter((other) => other !== i);
    this.choose(others.length < this.selected.length ? others : [...others, i]);
  }

  choose(selected) {
    this.selected = selected;
    this.render();
    this.onSelect(selected);
  }

  onKey(event) {
    if (event.target !== this.box) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW_HEIGHT) - 2);
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity,
      End: Infinity};
    if (event.key in steps) this.move(steps[event.key], event.shiftKey);
    else if ((event.key === "Enter" || event.key === " ") && this.active !== null) {
      this.toggle(this.active);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.choose([...this.order]);
    else return;
    event.preventDefault();
  }

  move(step, select) {
    if (!this.order.length) return;
    const from = this.places.get(this.active) ?? 0, last = this.order.length - 1;
    const to = Math.min(last, Math.max(0, from + step));
    const passed = this.active;
    this.active = this.order[to];
    this.reveal(to);
    this.render();
    this.onActive(this.active);
    if (select) this.choose([...new Set([...this.selected, ...this.between(passed, this.active)])]);
  }

  reveal(place) {
    const head = $("grid-head").offsetHeight, {box} = this;
    const top = place * ROW_HEIGHT, room = box.clientHeight - head - ROW_HEIGHT;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top > box.scrollTop + room) box.scrollTop = top - room;
  }

  // Go to a network that is named elsewhere on the page.
  goTo(i) {
    if (!this.places.has(i)) return false;
    this.active = i;
    this.reveal(this.places.get(i));
    this.choose([i]);
    this.box.focus();
    return true;
  }

  print(printing) {
    this.printing = printing;
    this.render();
    $("printed").textContent = this.order.length > MOST_PRINTED
      ? `The first ${MOST_PRINTED} of ${counted(this.order.length, "network")}.` : "";
  }
}

function dot(networks, i) {
  const name = OUTCOMES[networks.outcome[i]].replace(" ", "-");
  return element("span", {class: `dot ${name}`, "aria-hidden": "true"});
}
