// A behaviour: what is promised, where, and its cells.

function behaviourView(where) {
  const b = behaviourByName.get(where.id);
  if (b === undefined) return missing("behaviour", where.id);
  const behaviour = behaviours[b];
  const cells = Array.from({ length: index.starts[b + 1] - index.starts[b] }, (_, i) => index.starts[b] + i);
  const body = h("tbody", {}, cellRows(cells, 0));
  return {
    title: behaviour.id,
    nodes: [
      trail([behaviour.area, address({ view: "matrix", q: `area:${behaviour.area}` })], [behaviour.behaviour]),
      promise(behaviour, h("h1", { class: "statement" }, behaviour.statement)),
      h("section", {},
        h("h2", {}, "Cells", h("small", {}, counted(cells.length, "cell"))),
        cells.length ? h("div", { class: "wide" }, h("table", { class: "matrix" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Subject and target"), runs.map((run) => h("th", { scope: "col" }, runHeading(run))))),
          h("tbody", {}, h("tr", { class: "behaviour total" }, h("th", { scope: "row" }, "All"), runs.map((run, r) => h("td", { "data-run": shownName(run) }, outcome(countVerdicts(r, cells), toGravest(behaviour, r, cells)))))),
          body)) : h("p", {}, "No run has a cell of this behaviour.")),
    ],
  };
}

/** The documentation of one subject, where a behaviour speaks of many; of none, the page of the area stands in. */
function ofSubject(docs, subject) {
  if (!(docs.object || "").includes("{subject}")) return docs;
  const named = (text) => (subject === null ? null : text && text.replaceAll("{subject}", subject));
  return { ...docs, object: named(docs.object), url: named(docs.url) };
}

/** The statement with everything that is said about it. */
function promise(behaviour, heading, subject = null) {
  const docs = ofSubject(behaviour.docs, subject);
  const versions = [behaviour.since && `since ${behaviour.since}`, behaviour.until && `until ${behaviour.until}`].filter(Boolean).join(", ");
  const area = areaOf.get(behaviour.area);
  return h("section", { class: "promise" },
    h("p", { class: "what" }, levelMark(behaviour.level), " ", h("code", {}, behaviour.id), versions ? h("span", { class: "muted" }, ` ${versions}`) : null),
    heading,
    h("p", { class: "docs" },
      docs.says ? h("q", {}, docs.says) : null, docs.says ? " " : null,
      docs.object ? [h("code", {}, docs.object), " "] : null,
      outward(docs.url || (area && area.page), "documentation")),
    behaviour.note ? h("p", { class: "note" }, behaviour.note) : null,
    behaviour.others.map((other) => h("p", { class: "note" }, `${fullName(runs[other.run])}, states it as a ${other.level}: `, h("q", {}, other.statement))),
    behaviour.source ? h("p", { class: "muted source" }, behaviour.source) : null);
}

function trail(...steps) {
  const { q } = place();
  return h("nav", { class: "trail", "aria-label": "Where this is" },
    h("a", { href: address({ view: "matrix", q }) }, q ? "Results" : "Behaviours"),
    steps.map(([name, href]) => [h("span", { "aria-hidden": "true" }, " › "), href ? h("a", { href }, name) : h("span", {}, name)]));
}

function missing(kind, id) {
  return {
    title: "Not found",
    nodes: [h("h1", {}, `This report has no such ${kind}`), h("p", { class: "mono" }, id || "(no name)"),
      h("p", {}, h("a", { href: address({ view: "matrix" }) }, "Show every behaviour"))],
  };
}
