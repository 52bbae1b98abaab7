// Two chosen runs: what differs around them, then cell by cell what broke, what was repaired, what is new.

const DIFFERING_SHOWN = 60; // cells of a kind that are shown before somebody asks for more

const FOLDED = ["added", "removed"]; // they say nothing of either build

/** The group of a verdict, where it says something of the build; of none, and of what could not be told, null. */
function told(run, cell) {
  const verdict = verdictOf(run, cell);
  return verdict && ["passed", "failed", "known"].includes(verdict.group) ? verdict.group : null;
}

/** What became of a cell from one run to the other: a kind of index.kinds, or null. The rules are those of `reports diff`. */
function kindOf(a, b, cell) {
  const before = verdictOf(a, cell), after = verdictOf(b, cell);
  if (before === after) return null;
  if (!before) return after.group === "failed" && !runs[a].limit ? "broken" : "added";
  if (!after) return runs[b].complete || !told(a, cell) ? "removed" : "lost";
  const failed = ["failed", "known"].includes(before.group), fails = ["failed", "known"].includes(after.group);
  if (failed && fails) return "changed";
  if (after.group === "failed" || (before.group === "passed" && fails)) return "broken";
  if (failed && after.group === "passed") return "repaired";
  if (told(a, cell) && !told(b, cell)) return after.verdict === "not-applicable" ? "changed" : "lost";
  return !told(a, cell) && told(b, cell) ? "gained" : "changed";
}

/** Whether there is nothing to compare: both runs have cells, and no cell is in both. */
function apart(a, b) {
  const both = [...behaviourOf.keys()].some((cell) => verdictOf(a, cell) && verdictOf(b, cell));
  if (both || !(runs[a].cells || runs[b].cells)) return false;
  return runs[b].cells > 0 || runs[b].complete; // what was cut off before its first cell has lost them all
}

function differencesView(where) {
  const chosen = (letter, otherwise) => { const at = numberOf(letter); return at < 0 ? otherwise : at; };
  const a = chosen(where.a, 0), b = chosen(where.b, Math.min(1, runs.length - 1));
  const { cells, faults } = search(where.q || "");
  const kinds = Object.fromEntries(Object.keys(index.kinds).map((kind) => [kind, []]));
  for (const cell of cells) {
    const kind = kindOf(a, b, cell);
    if (kind) kinds[kind].push(cell);
  }
  const worse = kinds.broken.length + kinds.lost.length > 0;
  const all = Object.values(kinds).reduce((sum, some) => sum + some.length, 0);
  const words = faults.length ? faults[0] : a === b ? "Both are the same run: choose another."
    : apart(a, b) ? `${runs[a].letter} and ${runs[b].letter} cannot be compared: no cell is in both.` : !all ? "No cell differs."
    : `${nameOf(runs[b])} is ${worse ? "worse" : "not worse"} than ${nameOf(runs[a])}: ${Object.keys(kinds).filter((kind) => kinds[kind].length).map((kind) => saidOfKind(kind, kinds[kind].length, a, b)).join(", ")}.`;
  const pick = (key, name, at) => h("label", {}, `${name} `, h("select", { id: `select-${key}`, onchange: (event) => { amend({ a: runs[a].letter, b: runs[b].letter, [key]: event.target.value }); render(`select-${key}`); } },
    runs.map((run, r) => h("option", { value: run.letter, selected: r === at }, `${run.letter}: ${run.torch}, ${run.detail}`))));
  return {
    title: "Differences",
    announce: words,
    nodes: [
      h("h1", { class: "title" }, "Differences of two runs"),
      h("div", { class: "choices pair" }, pick("a", "From", a), pick("b", "to", b),
        h("button", { type: "button", class: "quiet", id: "swap", onclick: () => { amend({ a: runs[b].letter, b: runs[a].letter }); render("swap"); } }, "Swap")),
      h("p", { class: faults.length ? "found fault" : "found", id: "found" }, where.q && !faults.length ? `Of the cells that match: ${words}` : words),
      a === b ? null : around(a, b),
      Object.entries(kinds).filter(([, some]) => some.length).map(([kind, some]) => h("section", { class: "kind" },
        h("h2", {}, saidOfKind(kind, some.length, a, b)),
        FOLDED.includes(kind) ? h("details", {}, h("summary", {}, "Which they are"), differing(a, b, some)) : differing(a, b, some))),
      a === b || faults.length ? null : slower(a, b, cells, !where.q),
    ],
  };
}

/** "1 cell fails now", "7 cells are in C only": the kinds call the runs A and B, whichever two they are here. */
function saidOfKind(kind, number, a, b) {
  const words = index.kinds[kind][number === 1 ? 0 : 1];
  return `${counted(number, "cell")} ${words.replace(/\b([AB]) only$/, (whole, which) => `${runs[which === "A" ? a : b].letter} only`)}`;
}

/** The fields of the environment that differ: they come before any verdict that does. */
function around(a, b) {
  const rows = ENVIRONMENT.filter(([name]) => !["command", "started", "took", "record"].includes(name))
    .map(([name, of]) => [name, of(runs[a]) || "none", of(runs[b]) || "none"]).filter(([, one, other]) => one !== other);
  if (!rows.length) return h("p", { class: "muted" }, "Build, devices, versions and settings are the same.");
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "What differs around them" }, h("table", { class: "environment" },
    h("thead", {}, h("tr", {}, h("td", {}), [a, b].map((r) => h("th", { scope: "col" }, runHeading(runs[r]))))),
    h("tbody", {}, rows.map(([name, one, other]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, one), h("td", {}, other))))));
}

/** Cells that differ, the musts first. */
function differing(a, b, cells) {
  const rank = (cell) => index.levels.indexOf(behaviours[behaviourOf[cell]].level);
  const sorted = [...cells].sort((x, y) => rank(x) - rank(y) || x - y);
  const list = h("ul", { class: "failures" });
  const step = (from) => {
    append(list, sorted.slice(from, from + DIFFERING_SHOWN).map((cell) => differingRow(a, b, cell)));
    const left = sorted.length - from - DIFFERING_SHOWN;
    if (left <= 0) return;
    const more = h("li", {}, h("button", { type: "button", class: "quiet rest", onclick: () => { more.remove(); step(from + DIFFERING_SHOWN); } }, counted(left, "more cell")));
    list.append(more);
  };
  step(0);
  return list;
}

function differingRow(a, b, cell) {
  const r = verdictOf(b, cell) ? b : a, behaviour = behaviours[behaviourOf[cell]];
  const telling = [r, a].find((run) => headlines[run].has(cell)); // what passes now says nothing; what failed before does
  return h("li", {},
    h("p", { class: "what" }, levelMark(behaviour.level), " ", h("a", { href: address({ view: "cell", id: cellId(cell), run: runs[r].letter }), "data-row": true }, cellId(cell))),
    h("p", { class: "statement" }, behaviour.statement),
    h("p", { class: "change" }, verdictMark(verdictOf(a, cell)), h("span", { class: "muted" }, " → "), verdictMark(verdictOf(b, cell))),
    telling === undefined ? null : h("p", { class: "first mono" }, telling === r ? null : `in ${nameOf(runs[telling])}: `, index.strings[headlines[telling].get(cell)]));
}

/** The calls that take longer, by their timings and by more than all others do: what `reports diff` says, in its words. */
function slower(a, b, cells, all) {
  const found = index.slower.pairs[a][b], { fewest } = index.slower;
  const heading = h("h2", {}, "Slower", h("small", {}, "by the timings of single calls"));
  const section = (words, ...rest) => h("section", { class: "kind slower" }, heading, h("p", { class: "muted" }, words), ...rest);
  if (typeof found === "string") {
    const why = found.replace(/^[AB](?= was not timed$)/, (letter) => runs[letter === "A" ? a : b].letter);
    return section(`Times are not compared: ${why}. What a cell took is a single measurement beside other work, and says nothing of a build; python -m conformance run --performance times calls.`);
  }
  if (found.pairs < fewest) return section(`Times are not compared: both runs timed only ${counted(found.pairs, "call")} of the same, too few to tell a slow build from a busy machine.`);
  const asked = new Set(cells.map(subjectOf)), shown = found.calls.filter(([, subject]) => all || asked.has(subject));
  return section([`The ${counted(found.pairs, "call")} that both runs timed take ${times(found.usual)} as long as in ${runs[a].letter}, in the median; nineteen of twenty lie within ${found.spread.toFixed(2)} times of that. `,
    found.slower ? `${found.slower.toLocaleString("en")} of them take over ${times(found.bar)} as long, noise excluded${found.slower > found.calls.length ? `; the first ${found.calls.length}` : ""}:` : `None takes over ${times(found.bar)} as long, noise excluded.`],
  shown.length ? h("ul", { class: "failures" }, shown.map(([call, subject, before, after, ratio, low, high]) => h("li", {},
    h("p", { class: "what" }, h("a", { class: "mono", href: address({ view: "performance", part: "calls", find: subject }), "data-row": true }, call)),
    h("p", { class: "change" }, `${duration(before)} → ${duration(after)}, ${times(ratio)} as long (${low.toFixed(1)} to ${high.toFixed(1)})`)))) : null,
  shown.length ? h("p", { class: "muted" }, "Time a call again before you trust one of these: other work that lasts for all of its rounds looks the same.") : null);
}

function times(ratio) { return `${ratio.toFixed(1)} times`; }
