// The parts that several views share: verdicts, levels, runs, notices.

/** A verdict: its symbol and its word. */
function verdictMark(verdict, extra) {
  if (!verdict) return h("span", { class: "verdict none" }, h("b", { "aria-hidden": "true" }, "·"), " not run");
  return h("span", { class: `verdict ${verdict.group}`, title: verdict.says },
    h("b", { "aria-hidden": "true" }, verdict.symbol), " ", verdict.word, extra || "");
}

function levelMark(level) {
  return h("span", { class: `level ${level}` }, level);
}

function documentationMark(found) {
  const words = {
    quoted: "the quoted phrase is in the documentation of this build",
    changed: "documentation changed: the phrase is gone from this build",
    missing: "this build does not document it",
    unchecked: "the phrase was not looked up in this build",
  };
  return found ? h("span", { class: `documentation ${found}` }, words[found]) : null;
}

/** A torch version that can be broken where a reader would break it: 2.15.0 | .dev20261120 | +cpu. */
function torchName(version) {
  return h("span", { class: "torch" }, version.split(/(?=\+|\.dev)/).map((part, i) =>
    [i ? h("wbr") : null, h("span", { class: part.length <= 16 ? "whole" : null }, part)]));
}

/** The detail of a run, which is broken between its parts and not within a date. */
function detailName(detail) {
  const parts = detail.split(", ");
  return parts.map((part, i) => [i ? " " : null, h("span", { class: part.length <= 22 ? "whole" : null }, i < parts.length - 1 ? `${part},` : part)]);
}

const FEW = 3; // runs whose names there is room for in a line of text; of more, the letters

/** A run in a line of text: by its torch, or by its letter and what else tells it apart; where there are many, by its letter. */
function nameOf(run) {
  if (runs.length > FEW) return run.letter;
  return run.short === run.torch ? run.torch : `${run.letter} (${run.short})`;
}

/** A run beside a number, where there is room for little: null where there is no other to take it for. */
function shownName(run) {
  if (runs.length === 1) return null;
  return runs.length > FEW ? run.letter : run.short;
}

/** Some runs in a line of text. */
function namesOf(some) {
  return some.length > FEW ? `${some.length} runs` : some.map(nameOf).join(runs.length > FEW ? " " : " and ");
}

/** The run of a letter, as an address or a search has it; -1 where there is none. */
function numberOf(letter) {
  return runs.findIndex((run) => run.letter === (letter || "").toUpperCase());
}

/** The heading of a run's column. */
function runHeading(run, more) {
  return h("span", { class: "heading-of-run" }, runs.length > 1 ? h("span", { class: "letter" }, run.letter) : null, h("span", {}, torchName(run.torch), h("small", {}, detailName(run.detail)), more));
}

/** Groups with their counts: [{name, symbol, word, number}], the gravest first. */
function grouped({ counts }) {
  return GROUP_ORDER.map((name, g) => ({
    name, ...index.groups[name],
    number: counts.reduce((sum, count, verdict) => sum + (groupOf[verdict] === g ? count : 0), 0),
  })).filter((group) => group.number);
}

const LEADING = ["failed", "error", "known"]; // what somebody wants to see the case of

/**
 * What came of some cells in one run, in two lines of a narrow column: the gravest thing and how often,
 * then of how many. Where all cells have one verdict, its own word.
 */
function outcome(found, href = null) {
  const total = found.counts.reduce((sum, count) => sum + count, 0);
  if (!total) return h("span", { class: "verdict none" }, h("b", { "aria-hidden": "true" }, "·"), " not run");
  const groups = grouped(found), gravest = groups[0];
  const kinds = found.counts.map((count, verdict) => (count ? verdict : -1)).filter((v) => v >= 0 && GROUP_ORDER[groupOf[v]] === gravest.name);
  const { symbol, word } = kinds.length === 1 ? index.verdicts[kinds[0]] : gravest;
  const all = groups.map((group) => `${group.number} ${group.word}`).join(", ") + (found.none ? `, ${found.none} without a verdict` : "");
  const leads = href && LEADING.includes(gravest.name); // a link for every pass would cost half of a keystroke
  return h(leads ? "a" : "span", { class: `verdict ${gravest.name}`, title: all, href: leads && href(gravest) },
    h("b", { "aria-hidden": "true" }, symbol), " ", total > 1 ? `${gravest.number.toLocaleString("en")} ` : "", word,
    total > gravest.number ? h("small", {}, `of ${total.toLocaleString("en")}`) : null);
}

/** A bar of the groups' shares. The counts stand beside it in words, so a screen reader need not see it. */
function bar(groups, missing = 0) {
  const parts = [...groups, ...(missing ? [{ name: "none", number: missing }] : [])];
  return h("div", { class: "bar", "aria-hidden": "true" }, parts.map((part) => {
    const piece = h("i", { class: part.name });
    piece.style.flexGrow = part.number;
    return piece;
  }));
}

/** What stands above every view: runs that are not of the whole suite, and places where the suite itself broke. */
function notices() {
  const found = [], limits = new Map();
  for (const run of runs) {
    if (run.limit) limits.set(run.limit.says, [...(limits.get(run.limit.says) || []), run]);
  }
  for (const some of limits.values()) {
    const { kind, name, says, beyond } = some[0].limit;
    const all = runs.length > 1 && some.length === runs.length;
    found.push(h("div", { class: `notice ${kind}` }, h("p", {}, h("b", {}, `${name}. `), runs.length === 1 ? `${says} ${beyond}`
      : `${all ? (runs.length === 2 ? "Both runs" : "All runs") : some.length === 1 ? fullName(some[0]) : `Runs ${some.map((run) => run.letter).join(", ")}`}: ${lowered(says)} ${beyond}`)));
  }
  for (const run of runs) {
    const broken = run.counts.error;
    if (run.errors.length || broken) {
      found.push(h("div", { class: "notice error" },
        h("p", {}, h("b", {}, "Suite errors. "),
          runs.length === 1 ? `The suite itself broke in ${counted(run.errors.length + broken, "place")}. That says nothing about the build. `
          : `${fullName(run)}: the suite itself broke in ${counted(run.errors.length + broken, "place")}. That says nothing about the build. `,
          broken ? h("a", { href: address({ view: "matrix", q: `status:error run:${run.letter.toLowerCase()}` }) }, `See ${counted(broken, "cell")}`) : null),
        run.errors.length ? h("details", {}, h("summary", {}, `What it said (${run.errors.length})`),
          run.errors.slice(0, 50).map((error) => h("pre", {}, error)),
          run.errors.length > 50 ? h("p", {}, `${run.errors.length - 50} more in the run record.`) : null) : null));
    }
  }
  return found;
}

/** A run in a sentence of its own: Run B, torch 2.13.0, seed 7. */
function fullName(run) {
  return `Run ${run.letter}, torch ${run.torch}${run.short === run.torch ? "" : `, ${run.short.replace(`${run.torch}, `, "")}`}`;
}

function lowered(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
