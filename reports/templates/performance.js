// Performance: what calls cost, how costs grow, one way against another, two builds in turn, and the suite's own cost.

const PARTS = {
  calls: { name: "Time against size", has: (all) => all.timings.length || all.machines.some(Boolean), draw: callsPart },
  scaling: { name: "Growth of costs", has: (all) => all.scaling.length, draw: scalingPart },
  ratios: { name: "One way against another", has: (all) => all.ratios.length, draw: ratiosPart },
  ab: { name: "Two builds in turn", has: (all) => all.alternations.length, draw: alternationPart },
  suite: { name: "What the suite costs", has: (all) => all.expense.length, draw: expensePart },
};

let unfolded = null, unfolding = null; // everything that this view draws

function picturesUnpacked() {
  unfolding ??= inflated(JSON.parse(document.getElementById("pictures").textContent)).then((found) => { unfolded = found; });
  return unfolding;
}

function performanceView(where) {
  const body = h("div", { class: "performance" });
  const found = { title: "Performance", nodes: [h("h1", { class: "title" }, "Performance"), body], rows: null };
  const show = () => { if (body.isConnected || unfolded) found.rows = drawn(where, body); };
  if (unfolded) show();
  else {
    fill(body, h("p", { class: "muted" }, "Unpacking…"));
    found.ready = picturesUnpacked().then(show).catch((error) => fill(body, h("p", { class: "notice error" }, `The pictures cannot be shown: ${error}. A browser of 2023 or later can.`)));
  }
  return found;
}

/** Draw the part that the address names, or the first that has something to show. Returns a way to have more of its rows. */
function drawn(where, body) {
  const parts = Object.entries(PARTS).filter(([, part]) => part.has(unfolded));
  const [name, part] = parts.find(([key]) => key === where.part) || parts[0];
  const drawing = part.draw(where);
  fill(body,
    parts.length > 1 ? h("nav", { class: "tabs", "aria-label": "Parts" }, parts.map(([key, each]) =>
      h("a", { href: address({ view: "performance", part: key }), class: "plainly", "aria-current": key === name ? "true" : null }, each.name))) : null,
    drawing.nodes);
  return { upTo: (until) => drawing.rows?.upTo(until), shown: () => drawing.rows?.shown() };
}

function text(number) { return unfolded.texts[number]; }

/** The runs whose times were taken on another machine than those of the first: [machine, runs]. */
function machines() {
  const found = new Map();
  unfolded.machines.forEach((machine, r) => {
    if (machine) found.set(machine.fingerprint.id, [...(found.get(machine.fingerprint.id) || []), runs[r]]);
  });
  return [...found.values()];
}

function machineName({ processor, cores, memory_gib, accelerator, system, machine }) {
  return [accelerator, processor, counted(cores, "core"), `${memory_gib} GiB`, `${system} on ${machine}`].filter(Boolean).join(", ");
}

/** A subject's cells, where a run has any of it. */
function subjectLink(name) {
  const known = index.strings.indexOf(name);
  if (known < 0 || !subjectNumbers.has(known)) return h("span", { class: "mono", "data-row": true, tabindex: "-1" }, name);
  return h("a", { class: "mono", "data-row": true, href: address({ view: "matrix", q: `subject:${/\s/.test(name) ? `"${name}"` : name}` }) }, name);
}
const subjectNumbers = new Set(index.subjects);

/** The cell of a cost, with its statement: what the numbers are evidence of. */
function cellOfCost(cell) {
  const behaviour = behaviours[behaviourOf[cell]];
  return [h("p", { class: "what" }, levelMark(behaviour.level), " ", h("a", { href: address({ view: "cell", id: cellId(cell) }), "data-row": true }, cellId(cell))),
    h("p", { class: "statement" }, behaviour.statement)];
}

function costText(cell) {
  return `${cellId(cell)}\n${behaviours[behaviourOf[cell]].statement}`.toLowerCase();
}

/** A heading over a column or row of a run; of a single run nothing but what is said of it. */
function runName(r) { return runs.length > 1 ? h("span", {}, h("span", { class: "letter" }, runs[r].letter), " ", torchName(runs[r].torch)) : "this run"; }

let widest = 0;
addEventListener("resize", () => {
  if (place().view !== "performance" || roomFor(720) === widest) return;
  widest = roomFor(720);
  render();
});
