// How far a campaign is, what failed, what was run.

const MOST_FAILURES = 200;

function showSummary(networks, payload) {
  const per = networks.datasets.map((name, place) => {
    const count = networks.dataset.reduce((sum, other) => sum + (other === place), 0);
    return networks.datasets.length > 1 ? `${whole(count)} on ${shortened(name, 40)}`
      : `on ${shortened(name, 40)}`;
  });
  const done = networks.state.reduce((sum, state) => sum + (state === 0), 0);
  const finished = done < networks.count ? `, ${whole(done)} with a table` : "";
  const names = per.length > 4 ? [...per.slice(0, 3), `${per.length - 3} more datasets`] : per;
  const all = counted(networks.count, "network");
  $("summary").textContent = names.length > 1 ? `${all}${finished}: ${names.join(", ")}`
    : [all, ...names].join(" ") + finished;
  $("campaign").hidden = !payload.campaign;
  $("campaign-text").textContent = payload.campaign;
}

// What stands on the page already stays: a selection in it, and who listens, are left in peace.
const said = new Map();

function isNew(name, value) {
  const text = JSON.stringify(value);
  if (said.get(name) === text) return false;
  said.set(name, text);
  return true;
}

function showAbout({facts, notes, progress}) {
  if (isNew("facts", facts)) pairs($("facts"), facts);
  if (isNew("notes", notes)) {
    $("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  }
  if (!isNew("progress", progress)) return;
  $("progress").hidden = !progress;
  if (!progress) return;
  $("progress-bars").replaceChildren(...progress.datasets.map(progressBar));
  $("progress-lines").replaceChildren(...progress.lines.map((line) => element("li", {}, line)));
  $("trouble").hidden = !progress.trouble;
  $("trouble").textContent = `Last trouble of what is under way: ${progress.trouble ?? ""}`;
}

function progressBar(dataset) {
  const states = ["done", "under_way", "waiting", "failed", "unusable"];
  const all = states.reduce((sum, name) => sum + dataset[name], 0);
  const track = element("div", {class: "track", "aria-hidden": "true"});
  for (const name of ["done", "under_way", "failed"]) {
    const part = element("i", {class: `${name.replace("_", "-")}-colour`});
    part.style.width = `${100 * dataset[name] / Math.max(1, all)}%`;
    track.append(part);
  }
  const words = [`${whole(dataset.done)} of ${whole(all)} done`];
  for (const name of states.slice(1)) {
    if (dataset[name]) words.push(`${whole(dataset[name])} ${name.replace("_", " ")}`);
  }
  const share = 100 * (dataset.rows + dataset.saved) / Math.max(1, dataset.all_rows);
  words.push(`${whole(dataset.rows)} of ${whole(dataset.all_rows)} half epochs`);
  if (dataset.stopped) {
    words.push(`${whole(dataset.saved)} saved by stopping ${counted(dataset.stopped, "network")}`);
  }
  words[words.length - 1] += ` (${share.toFixed(1)}%)`;
  return element("div", {class: "bar"}, element("b", {}, dataset.name), track,
    element("span", {class: "words"}, words.join(", ")));
}

function showFailures(networks, goTo) {
  const failed = [];
  for (let i = 0; i < networks.count; i++) {
    if (["failed", "damaged"].includes(STATES[networks.state[i]])) failed.push(i);
  }
  if (!isNew("failures", failed.map((i) =>
    [i, networks.state[i], networks.attempts[i], networks.reasons.get(i)]))) return;
  const focused = document.activeElement?.dataset.network;
  $("failures").hidden = !failed.length;
  const count = counted(failed.length, "network");
  $("failures-title").textContent = `${count} without a usable table, and why`;
  const items = failed.slice(0, MOST_FAILURES).map((i) => {
    const name = element("button", {type: "button", class: "link mono", "data-network": i},
      networks.id[i]);
    name.addEventListener("click", () => goTo(i));
    const often = networks.attempts[i] ? ` (${counted(networks.attempts[i], "attempt")})` : "";
    return element("li", {}, name, ` ${STATES[networks.state[i]]}${often}: `
      + (networks.reasons.get(i) ?? "for no recorded reason"));
  });
  if (failed.length > MOST_FAILURES) {
    items.push(element("li", {class: "quiet"},
      `and ${whole(failed.length - MOST_FAILURES)} more; the outcome filter shows all`));
  }
  $("failures-list").replaceChildren(...items);
  if (focused) $("failures-list").querySelector(`[data-network="${focused}"]`)?.focus();
}
