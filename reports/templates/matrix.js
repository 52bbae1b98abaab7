// The matrix: behaviours × runs, and under each behaviour its cells.

const BATCH = 30;       // rows that are made at once: two screens
const CELLS_SHOWN = 60; // cells of a behaviour that are shown before somebody asks for more

const MANY = 6;         // runs that a window of usual width has room for

const opened = new Set(), closed = new Set();

function matrix(where) {
  const started = performance.now();
  const found = search(where.q || "");
  const items = matrixItems(found.cells);
  const count = items.filter((item) => item.kind === "behaviour").length;
  const words = found.faults.length ? found.faults[0]
    : !found.cells.length ? "Nothing matches."
    : found.all ? `${counted(count, "behaviour")}, ${counted(found.cells.length, "cell")}`
    : `${counted(count, "behaviour")} and ${counted(found.cells.length, "cell")} match`;
  const body = h("tbody", {});
  const more = h("p", { class: "more" });
  const nodes = [
    h("h1", { class: "unseen" }, "Behaviours"),
    h("p", { class: found.faults.length ? "found fault" : "found", id: "found" }, words,
      count > 3 ? h("button", { type: "button", class: "quiet", onclick: () => openAll(items, where) }, opened.size ? "Close all" : "Open all") : null),
    found.cells.length ? h("div", { class: `wide matrix-frame${runs.length > MANY ? " many" : ""}`, tabindex: "-1" },
      h("table", { class: "matrix" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Behaviour"), runs.map((run) => h("th", { scope: "col", title: run.detail }, runHeading(run))))),
        body)) : nothingFound(where, found),
    more,
  ];
  const rows = lazily(items, body, more, (item) => matrixRow(item, count <= 3), "behaviours");
  document.body.dataset.milliseconds = Math.round(performance.now() - started);
  return { title: "Behaviours", nodes, announce: words, rows };
}

/** Area headings and behaviours, in order, each behaviour with the cells that match. */
function matrixItems(cells) {
  const items = [];
  let area = null, last = null;
  for (const cell of cells) {
    const b = behaviourOf[cell];
    if (!last || last.b !== b) {
      if (behaviours[b].area !== area) {
        area = behaviours[b].area;
        items.push({ kind: "area", area });
      }
      items.push(last = { kind: "behaviour", b, cells: [] });
    }
    last.cells.push(cell);
  }
  return items;
}

/** Fill the table a batch at a time, as the reader comes near its end. Returns a way to have more of it. */
function lazily(items, body, more, rowsOf, noun) {
  let next = 0;
  const step = (until = next + BATCH) => {
    const fragment = document.createDocumentFragment();
    for (; next < Math.min(until, items.length); next++) fragment.append(...rowsOf(items[next]));
    body.append(fragment);
    watcher.disconnect();
    if (next < items.length) watcher.observe(more); // anew: a watcher tells of changes only, and it may still be in sight
    else fill(more);
  };
  const watcher = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) step(); }, { rootMargin: "1200px" });
  fill(more, h("button", { type: "button", class: "quiet", onclick: () => step() }, `Show more ${noun}`));
  step();
  return { upTo: step, shown: () => next };
}

function matrixRow(item, open) {
  if (item.kind === "area") {
    const area = areaOf.get(item.area);
    return [h("tr", { class: "area" },
      h("th", { scope: "rowgroup", colspan: runs.length > MANY ? 1 : runs.length + 1 }, area ? area.title : item.area,
        area && area.page ? [" ", outward(area.page, "documentation")] : null),
      runs.length > MANY ? runs.map((run) => h("td", { title: `${run.torch}, ${run.detail}` }, run.letter)) : null)];
  }
  const behaviour = behaviours[item.b];
  const heading = h("tr", { class: "behaviour" });
  const shown = () => (opened.has(item.b) || (open && !closed.has(item.b)));
  let rows = [];
  const toggle = h("button", { type: "button", class: "toggle", "aria-expanded": String(shown()), "aria-label": `Cells of ${behaviour.id}` },
    h("span", { "aria-hidden": "true" }, "▸"));
  toggle.addEventListener("click", () => {
    if (shown()) { opened.delete(item.b); closed.add(item.b); } else { opened.add(item.b); closed.delete(item.b); }
    toggle.setAttribute("aria-expanded", String(shown()));
    rows.forEach((row) => row.remove());
    rows = shown() ? cellRows(item.cells, 0) : [];
    heading.after(...rows);
  });
  append(heading, [
    h("th", { scope: "row" }, h("div", { class: "heading" }, toggle, h("div", {},
      h("p", { class: "what" }, h("a", { href: address({ view: "behaviour", id: behaviour.id, q: place().q }), "data-row": true }, behaviour.behaviour), " ", levelMark(behaviour.level),
        documentationOf(item)),
      h("p", { class: "statement" }, behaviour.statement)))),
    runs.map((run, r) => h("td", { "data-run": shownName(run) }, outcome(countVerdicts(r, item.cells), toGravest(behaviour, r, item.cells)))),
  ]);
  rows = shown() ? cellRows(item.cells, 0) : [];
  return [heading, ...rows];
}

/** From what came of a behaviour in a run to the first cell of it that came to the gravest; the others are next to it. */
function toGravest(behaviour, r, cells) {
  return ({ name }) => {
    const cell = cells.find((each) => verdictOf(r, each)?.group === name);
    const words = [`behaviour:${behaviour.id}`, `status:${name}`, runs.length > 1 ? `run:${runs[r].letter.toLowerCase()}` : ""];
    return address({ view: "cell", id: cellId(cell), run: runs[r].letter, q: words.filter(Boolean).join(" ") });
  };
}

/** A mark where a build no longer documents the behaviour in the words that the specification quotes, or at all. */
function documentationOf(item) {
  const found = new Map(); // what is said, and of which runs
  for (const [r, run] of runs.entries()) {
    const letters = index.documentation[r], has = (letter) => item.cells.some((cell) => letters[cell] === letter);
    const said = ["c", "m"].find(has); // one thing is said of each build
    if (!said) continue;
    const part = item.cells.some((cell) => letters[cell] !== said && letters[cell] !== "."); // a dot: it says nothing of the cell
    const words = `${part ? " some cells" : ""} ${said === "c" ? "documentation changed" : "not documented"}`;
    found.set(words, [...(found.get(words) || []), run]);
  }
  return [...found].map(([words, some]) => h("span", { class: "documentation changed" }, words,
    runs.length === 1 ? null : some.length < runs.length ? ` in ${namesOf(some)}` : ` in ${words.endsWith("not documented") ? "any" : "every"} run`));
}

/** What the gravest verdict of the cell has to say, in a line. */
function saying(cell) {
  const run = gravest(cell), headline = headlines[run].get(cell);
  return headline === undefined ? null : h("small", { class: "saying" }, index.strings[headline]);
}

function cellRows(cells, from) {
  const rows = cells.slice(from, from + CELLS_SHOWN).map((cell) => {
    const id = cellId(cell);
    return h("tr", { class: "cell" },
      h("th", { scope: "row" }, h("a", { href: address({ view: "cell", id, q: place().q }), "data-row": true }, cellTitle(cell)), saying(cell)),
      runs.map((run, r) => h("td", { "data-run": shownName(run) }, h("a", { class: "plainly", href: address({ view: "cell", id, run: run.letter, q: place().q }), tabindex: "-1" }, verdictMark(verdictOf(r, cell))))));
  });
  const left = cells.length - from - CELLS_SHOWN;
  if (left > 0) {
    const more = h("tr", { class: "cell" }, h("td", { colspan: runs.length + 1 },
      h("button", { type: "button", class: "quiet rest", onclick: () => more.replaceWith(...cellRows(cells, from + CELLS_SHOWN)) }, `${counted(left, "more cell")}`)));
    rows.push(more);
  }
  return rows;
}

function openAll(items) {
  if (opened.size) opened.clear();
  else for (const item of items) if (item.kind === "behaviour") opened.add(item.b);
  closed.clear();
  render();
}

function nothingFound(where, found) {
  return h("div", { class: "nothing" },
    h("p", {}, found.faults.length ? "The search cannot be read:" : "No cell matches all of these terms."),
    h("ul", {}, found.faults.map((fault) => h("li", {}, fault))),
    h("p", {}, h("a", { href: address({ view: "matrix" }) }, "Show every behaviour")),
    terms());
}

/** The terms of the search box. */
function terms() {
  return h("dl", { class: "terms" }, Object.entries(TERMS).map(([key, says]) => [h("dt", {}, `${key}:`), h("dd", {}, says)]),
    h("dt", {}, "words"), h("dd", {}, "words of the statement, the documentation, the subject or the failure; in quotes, as they stand"),
    h("dt", {}, "a,b  -a  a*"), h("dd", {}, "either; not; beginning with"));
}
