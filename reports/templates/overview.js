// The overview: is this build conformant, and if not, where?

const STATE_SYMBOLS = { conformant: "✓", deviating: "◆", broken: "✕", part: "◐", incomplete: "…", undecided: "!", untested: "–" };

function overview(where) {
  return {
    title: "Overview",
    nodes: [
      h("h1", { class: "unseen" }, "Overview"),
      runs.length === 1 ? soleStanding(runs[0]) : standings(),
      failures(),
      levelTable(),
      areaTable(where),
      environmentTable(),
      legend(),
    ],
  };
}

function standingWords(run) {
  return h("span", { class: `standing ${run.standing.state}` },
    h("b", { "aria-hidden": "true" }, STATE_SYMBOLS[run.standing.state]), " ", run.standing.words);
}

function groupsOfCounts(counts) {
  return GROUP_ORDER.map((name) => ({ name, ...index.groups[name], number: counts[name] })).filter((group) => group.number);
}

function figures(run) {
  return h("ul", { class: "figures" }, groupsOfCounts(run.counts).map((group) =>
    h("li", {}, h("a", { class: `verdict ${group.name}`, title: group.says, href: address({ view: "matrix", q: `status:${group.name}` }) },
      h("b", { "aria-hidden": "true" }, group.symbol), " ", h("strong", {}, group.number.toLocaleString("en")), " ", group.word))));
}

/** When a run was made, and how deep it went: 2026-11-21 01:36 UTC, smoke profile. */
function occasion(run) {
  const moment = new Date(run.started);
  const date = isNaN(moment) ? run.started : `${moment.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return [date, `${run.settings.profile} profile`].filter((words) => !run.detail.includes(words)).join(", ");
}

/** One run: the answer in large type. */
function soleStanding(run) {
  const missing = Math.max(0, run.planned - run.cells);
  return h("section", { class: "hero", "aria-label": "Standing" },
    h("p", { class: "kicker" }, `torch ${run.torch}, ${run.environment.targets.map((t) => t.device || t.name).join(", ")}, ${occasion(run)}`),
    h("p", { class: "answer" }, standingWords(run)),
    h("p", { class: "lede" }, run.standing.detail.trim()),
    bar(groupsOfCounts(run.counts), missing),
    figures(run),
    index.performance && !run.cells ? h("p", {}, h("a", { href: address({ view: "performance" }) }, "See the timings")) : null,
    run.share ? h("p", { class: "aside" }, `${run.share} of the decided cells pass. What could not be tested is counted as neither.`) : null);
}

/** Several runs in one sentence. A part of the suite neither conforms nor does not: its musts fail or they do not. */
function answer() {
  const of = (state) => runs.filter((run) => run.standing.state === state).length;
  const parts = runs.filter((run) => run.limit && run.limit.kind === "part").length;
  const conform = of("conformant") + of("deviating");
  if (!parts) {
    const but = !of("deviating") ? null : of("conformant") ? ` ${of("deviating")} of them but for listed deviations` : " but for listed deviations";
    return [`${conform} of ${counted(runs.length, "run")} conform${conform === 1 ? "s" : ""}`, but && h("small", {}, but)];
  }
  const broken = of("broken"), listed = runs.some((run) => run.levels.must.known);
  const others = [[runs.filter((run) => run.limit && run.limit.kind === "incomplete").length, "incomplete"], [of("undecided"), "undecided"], [of("untested"), "not tested"]]
    .filter(([number]) => number).map(([number, words]) => `, ${number} ${words}`).join("");
  return [broken ? `${broken} of ${runs.length} runs break${broken === 1 ? "s" : ""} a must` : `No must fails in any of ${runs.length} runs`,
    h("small", {}, listed ? `${broken ? " not counting" : " but for"} listed deviations;` : null, parts === runs.length ? " none of them is of the whole suite" : ` ${parts} of them ${parts === 1 ? "is" : "are"} of a part of the suite`, others)];
}

/** Several runs: a row for each. */
function standings() {
  const shares = runs.some((run) => run.share); // a part of a run has none
  const differing = new Set();
  for (let cell = 0; cell < cellCount; cell++) if (differs(cell)) differing.add(behaviourOf[cell]);
  return h("section", { class: "hero", "aria-label": "Standing" },
    h("p", { class: "answer" }, answer()),
    h("p", { class: "lede" }, differing.size
      ? h("a", { href: runs.length === 2 ? address({ view: "differences" }) : address({ view: "matrix", q: "is:different" }) }, `The runs disagree about ${counted(differing.size, "behaviour")}`)
      : "The runs agree about every behaviour", "."),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Runs" }, h("table", { class: "runs" },
      h("thead", {}, h("tr", {}, ["Run", "Standing", "Cells", ...(shares ? ["Passed"] : [])].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, runs.map((run) => h("tr", {},
        h("th", { scope: "row" }, runHeading(run, h("small", {}, occasion(run)))),
        h("td", {}, standingWords(run), h("small", {}, run.standing.detail.trim())),
        h("td", { class: "counts" }, bar(groupsOfCounts(run.counts), Math.max(0, run.planned - run.cells)), figures(run)),
        shares && h("td", { class: "figure" }, run.share || h("span", { class: "muted" }, "–"))))))));
}

/** The behaviours that fail, the musts first. */
function failures() {
  const found = new Map();
  for (let cell = 0; cell < cellCount; cell++) {
    for (let run = 0; run < runs.length; run++) {
      const verdict = verdictOf(run, cell);
      if (verdict?.group === "failed") {
        const b = behaviourOf[cell];
        if (!found.has(b)) found.set(b, { b, cells: new Set(), runs: new Set(), first: [run, cell] });
        found.get(b).cells.add(cell);
        found.get(b).runs.add(run);
      }
    }
  }
  const rank = (row) => index.levels.indexOf(behaviours[row.b].level);
  const rows = [...found.values()].sort((x, y) => rank(x) - rank(y) || y.cells.size - x.cells.size || x.b - y.b);
  if (!rows.length) return null;
  const shown = rows.slice(0, 12);
  return h("section", {},
    h("h2", {}, "What fails", h("small", {}, counted(rows.length, "behaviour"))),
    h("ol", { class: "failures" }, shown.map((row) => {
      const behaviour = behaviours[row.b], [run, cell] = row.first, headline = headlines[run].get(cell);
      return h("li", {},
        h("p", { class: "what" }, levelMark(behaviour.level), " ",
          h("a", { href: address({ view: "behaviour", id: behaviour.id }) }, behaviour.id), " ",
          h("span", { class: "muted" }, `${counted(row.cells.size, "cell")}${runs.length > 1 ? ` in ${namesOf([...row.runs].sort((a, b) => a - b).map((r) => runs[r]))}` : ""}`)),
        h("p", { class: "statement" }, behaviour.statement),
        h("p", { class: "first" }, h("a", { href: address({ view: "cell", id: cellId(cell), run: runs[run].letter }) }, cellTitle(cell)),
          headline === undefined ? null : [": ", h("span", { class: "mono" }, index.strings[headline])]));
    })),
    rows.length > shown.length
      ? h("p", {}, h("a", { href: address({ view: "matrix", q: "status:failed" }) }, `All ${counted(rows.length, "failing behaviour")}`))
      : null);
}

/** The columns of the tables of counts: the runs, or the levels where there is one run. */
function tallyColumns(level) {
  return runs.length === 1
    ? ["", ...index.levels].map((of) => ({ run: 0, level: of, heading: of ? levelMark(of) : "all levels", name: of || "all" }))
    : runs.map((run, number) => ({ run: number, level, heading: runHeading(run), name: shownName(run) }));
}

/** A row of counts: of some behaviours, a cell for each column. */
function tallyRow(heading, some, columns, target, query) {
  return h("tr", {}, h("th", { scope: "row" }, heading), columns.map((column) => {
    const cells = [];
    for (const b of some) {
      if (column.level && behaviours[b].level !== column.level) continue;
      for (let cell = index.starts[b]; cell < index.starts[b + 1]; cell++) {
        if (!target || targetOf(cell) === target) cells.push(cell);
      }
    }
    return h("td", { "data-run": column.name }, cells.length ? tallies(countVerdicts(column.run, cells), cells.length, [query, column.level && `level:${column.level}`, target && `target:${target}`, runs.length > 1 && `run:${runs[column.run].letter.toLowerCase()}`]) : h("span", { class: "muted" }, "–"));
  }));
}

function tallyTable(name, columns, rows) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": name },
    h("table", { class: "areas" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, name.replace(/s$/, "")), columns.map((column) => h("th", { scope: "col" }, column.heading)))),
      h("tbody", {}, rows)));
}

/** Levels × runs: what a must comes to in each environment, at a glance. */
function levelTable() {
  if (runs.length === 1) return null; // then the levels are the columns of the areas
  const columns = tallyColumns("");
  const rows = index.levels.map((level) => [level, behaviours.map((_, b) => b).filter((b) => behaviours[b].level === level)])
    .filter(([, some]) => some.length)
    .map(([level, some]) => tallyRow([h("a", { href: address({ view: "matrix", q: `level:${level}` }), class: "plainly" }, levelMark(level)),
      h("small", {}, counted(some.length, "behaviour"))], some, columns, "", `level:${level}`));
  return h("section", {}, h("h2", {}, "Levels"), tallyTable("Levels", columns, rows));
}

/** Areas × runs, or areas × levels where there is one run. */
function areaTable(where) {
  const target = where.target || "", level = where.level || "";
  const targets = [...new Set(index.targets)].map((number) => index.strings[number]);
  const columns = tallyColumns(level);
  const all = behaviours.map((_, b) => b);
  const rows = areas.map((area) => {
    const of = all.filter((b) => behaviours[b].area === area.area);
    return tallyRow([h("a", { href: address({ view: "matrix", q: `area:${area.area}` }) }, area.title),
      h("small", {}, counted(of.length, "behaviour"))], of, columns, target, `area:${area.area}`);
  });
  if (areas.length > 1) rows.push(tallyRow(["All areas", h("small", {}, counted(all.length, "behaviour"))], all, columns, target, ""));
  if (!rows.length) return null;
  const choice = (name, label, all, values) => h("label", {}, label, " ",
    h("select", { onchange: (event) => { amend({ [name]: event.target.value }); render(`select-${name}`); }, id: `select-${name}` },
      [["", all], ...values.map((value) => [value, value])].map(([value, words]) =>
        h("option", { value, selected: value === (where[name] || "") }, words))));
  return h("section", {},
    h("div", { class: "heading" }, h("h2", {}, "Areas"), h("div", { class: "choices" },
      runs.length > 1 ? choice("level", "Level", "all", index.levels) : null,
      targets.length > 1 ? choice("target", "Target", "all", targets) : null)),
    tallyTable("Areas", columns, rows));
}

/** The counts of each group, in words and symbols, over a bar; each leads to its cells. */
function tallies(found, total, words) {
  const groups = grouped(found);
  if (!groups.length) return h("span", { class: "verdict none" }, h("b", { "aria-hidden": "true" }, "·"), " not run");
  return [bar(groups, found.none), h("span", { class: "tallies" }, groups.map((group) =>
    h("a", { class: `verdict ${group.name}`, title: `${group.number} of ${total}: ${group.says}`, href: address({ view: "matrix", q: [`status:${group.name}`, ...words].filter(Boolean).join(" ") }) },
      h("b", { "aria-hidden": "true" }, group.symbol), " ", group.number.toLocaleString("en"), " ", group.word)))];
}

/** What the verdicts mean. */
function legend() {
  return h("section", {}, h("details", { class: "legend" }, h("summary", {}, "What the verdicts mean"),
    h("dl", {}, index.verdicts.map((verdict) => [h("dt", {}, verdictMark(verdict)), h("dd", {}, verdict.says)]))));
}
