// A cell: the verdict of each run, and of one run the failure, the evidence and the reproducer.

function cellView(where) {
  const cell = cellByName(where.id);
  if (cell === undefined) return missing("cell", where.id);
  const b = behaviourOf[cell], behaviour = behaviours[b];
  const r = chosenRun(where, cell), run = runs[r], verdict = verdictOf(r, cell);
  const body = h("div", { class: "result" }, h("p", { class: "muted" }, "Unpacking…"));
  const ready = detailsOf(b).then(
    (rows) => fill(body, result(cell, run, verdict, rows[cell - index.starts[b]][r])),
    (error) => fill(body, h("p", { class: "notice error" }, `The details cannot be unpacked: ${error}. A browser of 2023 or later can.`)),
  );
  return {
    title: cellId(cell),
    ready,
    nodes: [
      trail([behaviour.area, address({ view: "matrix", q: `area:${behaviour.area}` })],
        [behaviour.behaviour, address({ view: "behaviour", id: behaviour.id, q: where.q })], [cellTitle(cell)]),
      neighbours(cell, where),
      promise(behaviour, h("h1", {}, h("span", { class: "subject" }, cellTitle(cell)), h("span", { class: "statement" }, behaviour.statement)), subjectOf(cell)),
      runs.length > 1 ? h("nav", { class: "tabs", "aria-label": "Runs" }, runs.map((other, number) =>
        h("a", { href: address({ ...where, run: other.letter }), "aria-current": number === r ? "true" : null, class: "plainly" },
          h("span", { class: "run" }, h("span", { class: "letter" }, other.letter), " ", other.torch, h("small", {}, other.detail)),
          verdictMark(verdictOf(number, cell))))) : null,
      body,
    ],
  };
}

/** The run that the address names; else the one with the gravest verdict. */
function chosenRun(where, cell) {
  const named = numberOf(where.run);
  return named >= 0 ? named : gravest(cell);
}

/** The cell before and the cell after, among those that match the search. */
function neighbours(cell, where) {
  const { cells } = search(where.q || "");
  const at = cells.indexOf(cell);
  if (at < 0 || cells.length < 2) return null;
  const link = (to, words, key) => (to === undefined ? null
    : h("a", { href: address({ view: "cell", id: cellId(to), q: where.q, run: where.run }), id: key, title: cellId(to) }, words));
  return h("p", { class: "neighbours" }, link(cells[at - 1], "‹ previous", "previous"),
    h("span", { class: "muted" }, `${(at + 1).toLocaleString("en")} of ${cells.length.toLocaleString("en")}`), link(cells[at + 1], "next ›", "next"));
}

function result(cell, run, verdict, found) {
  if (!found) return h("p", { class: "lead" }, `${fullName(run)}, has no verdict for this cell.`);
  const documentation = verdict.verdict === "not-applicable" ? null : found.evidence.get("documentation");
  const failing = found.expected !== null || found.found !== null;
  return [
    h("p", { class: "lead" }, verdictMark(verdict), h("span", { class: "muted" }, ` ${verdict.says}`)),
    found.reason ? h("p", { class: "reason" }, found.reason) : null,
    found.issue ? h("p", {}, "Upstream: ", outward(found.issue)) : null,
    found.minimal ? [h("h2", {}, "Minimal input"), code(found.minimal, "the minimal input", "program")] : null,
    failing ? comparison(found) : null,
    h("p", { class: "muted" }, `torch ${run.torch} on ${targetOf(cell)}`, documentation ? " · " : null, documentationMark(documentation)),
    found.rerun ? [h("h2", {}, "Run this cell again", h("small", {}, "in a checkout of torch-conformance")), code(found.rerun, "the command")] : null,
    found.reproducer ? reproduction(found.reproducer) : null,
    found.message ? message(found.message, failing) : null,
    costEvidence(found.evidence, cellId(cell)),
    evidence(found),
  ];
}

/** The message as the suite wrote it: folded away where its parts stand above. */
function message(text, folded) {
  const whole = code(text, "the message");
  return folded ? h("details", { class: "message" }, h("summary", {}, "The whole message"), whole) : [h("h2", {}, "The whole message"), whole];
}

/** Expected against found, and the first place where they differ. */
function comparison({ compared, expected, found }) {
  let same = 0;
  if (expected !== null && found !== null) {
    while (same < expected.length && expected[same] === found[same]) same++;
    while (same > 0 && /[\w.+-]/.test(expected[same - 1])) same--; // from the beginning of the word or number
  }
  if (same === 0) same = Infinity; // they have nothing in common, so there is no first place to mark
  const side = (name, text, klass) => h("div", {}, h("h2", {}, name), text === null ? h("p", { class: "muted" }, "not told")
    : h("pre", { tabindex: "0", role: "region", "aria-label": name }, text.slice(0, same), marked(text.slice(same), klass)));
  return [compared ? h("p", { class: "compared" }, compared) : null,
    h("div", { class: "comparison" }, side("Expected", expected, "right"), side("Found", found, "wrong"))];
}

function marked(text, klass) {
  const [word] = text.match(/^[\w.+-]+|^\S/) || [""];
  return [word ? h("mark", { class: klass }, word) : null, text.slice(word.length)];
}

function reproduction({ path, source, missing: why }) {
  return [h("h2", {}, "Reproducer", h("small", {}, path)),
    source === null ? h("p", { class: "muted" }, why)
      : [h("p", { class: "muted" }, "A script that needs torch and NumPy only: it exits with 1 where the behaviour is broken and with 0 where it holds."),
        code(source, "the reproducer", "program")]];
}

const EVIDENCE = { dtypes: "dtypes", layouts: "layouts", shapes: "shapes", values: "values", largest_error_ulp: "largest error", discarded: "discarded cases" };

function evidence({ cases, evidence: found, seconds: time }) {
  const rows = [["cases", `${cases.corner.toLocaleString("en")} corner, ${cases.sampled.toLocaleString("en")} sampled`]];
  for (const [key, value] of found) {
    if (key === "documentation" || value === null || (Array.isArray(value) && !value.length)) continue;
    if ((key === "discarded" && value === 0) || key === "scaling" || key === "ratios") continue;
    if (key === "unsupported") rows.push(...Object.entries(value).map(([dtype, words]) => [`refuses ${dtype}`, words]));
    else if (key === "largest_error_ulp") rows.push([EVIDENCE[key], `${value.toLocaleString("en", { maximumSignificantDigits: 6 })} ULP`]);
    else if (Array.isArray(value) && value.every((item) => typeof item !== "object")) {
      rows.push([EVIDENCE[key] || key, h("ul", { class: "met" }, value.map((item) => h("li", {}, String(item))))]);
    } else rows.push([EVIDENCE[key] || key.replace(/_/g, " "), typeof value === "object" ? JSON.stringify(value) : String(value)]);
  }
  rows.push(["time", seconds(time)]);
  return [h("h2", {}, "Evidence"), h("table", { class: "evidence" }, h("tbody", {}, rows.map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)))))];
}
