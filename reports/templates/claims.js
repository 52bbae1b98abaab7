// The claims of tutorials: what each says, what decides it, and what became of it in each run.

const CLAIM_CLASSES = { confirmed: "passed", conditional: "known", outdated: "error", false: "failed", undecided: "untested" };
const claimTexts = index.claims.rows.map((row) => [row.id, row.claim, row.section, ...row.decided_by, ...row.verdicts.map(([, why]) => index.claims.whys[why])].join("\n").toLowerCase());

function claimsView(where) {
  const { rows, verdicts } = index.claims;
  const counts = verdicts.map((_, v) => rows.filter((row) => row.verdicts.some(([verdict]) => verdict === v)).length);
  const decided = rows.filter((row) => row.verdicts.some(([verdict]) => verdicts[verdict].name !== "undecided")).length;
  const choices = verdicts.map((verdict, v) => ({ key: "verdict", value: verdict.name, name: [h("b", { "aria-hidden": "true", class: `verdict ${CLAIM_CLASSES[verdict.name]}` }, verdict.symbol), " ", verdict.word], count: counts[v] }));
  const found = finder(where, "Search claims", choices, listOfClaims);
  return {
    title: "Claims",
    nodes: [
      h("h1", { class: "title" }, "What tutorials claim"),
      h("p", { class: "lede" }, `Widely read tutorials of 2017 to 2021 make ${counted(rows.length, "claim")} about torch. Where behaviours can decide a claim, its verdict follows from what came of them in ${runs.length > 1 ? "each run" : "this run"}: ${decided ? decided.toLocaleString("en") : "none"} of them ${decided > 1 ? "are" : "is"} decided ${runs.length > 1 ? (decided ? "in at least one" : "in any") : "here"}. `,
        "A false claim is a fault of the tutorial, unless a behaviour fails here."),
      found.nodes,
      h("details", { class: "legend" }, h("summary", {}, "What these verdicts mean"),
        h("dl", {}, verdicts.map((verdict) => [h("dt", {}, claimMark(verdict)), h("dd", {}, verdict.says)]))),
    ],
    get rows() { return found.rows; },
  };
}

function claimMark(verdict, release) {
  return h("span", { class: `verdict ${CLAIM_CLASSES[verdict.name]}`, title: verdict.says }, h("b", { "aria-hidden": "true" }, verdict.symbol), " ",
    release ? `outdated since ${release}` : verdict.word);
}

function listOfClaims(where) {
  const { rows, verdicts } = index.claims;
  const wanted = verdicts.findIndex((verdict) => verdict.name === where.verdict), test = finds(where.find);
  const matching = rows.filter((row, r) => test(claimTexts[r]) && (wanted < 0 || row.verdicts.some(([verdict]) => verdict === wanted)));
  const items = matching.flatMap((row, r) => (r && matching[r - 1].section === row.section ? [row] : [row.section, row]));
  const body = h("tbody", {}), more = h("p", { class: "more" });
  const nodes = [matching.length ? h("div", { class: "wide matrix-frame", tabindex: "-1" }, h("table", { class: "matrix claims" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Claim"), runs.map((run) => h("th", { scope: "col" }, runHeading(run))))), body)) : null, more];
  const all = matching.length === rows.length;
  return { nodes, words: !matching.length ? "No claim matches." : all ? `${counted(rows.length, "claim")}.` : `${counted(matching.length, "claim")} of ${rows.length.toLocaleString("en")}.`,
    rows: lazily(items, body, more, claimRow, "claims") };
}

function claimRow(item) {
  if (typeof item === "string") return [h("tr", { class: "area" }, h("th", { scope: "rowgroup", colspan: runs.length + 1 }, item))];
  const reasons = new Map(); // why, and the runs that say so
  item.verdicts.forEach(([, why], r) => { if (index.claims.whys[why]) reasons.set(why, [...(reasons.get(why) || []), runs[r]]); });
  return [h("tr", { class: "behaviour" },
    h("th", { scope: "row" },
      h("p", { class: "statement" }, item.claim),
      [...reasons].map(([why, some]) => h("p", { class: "why" }, some.length < runs.length ? `${namesOf(some)}: ` : null, index.claims.whys[why])),
      h("p", { class: "by" }, item.decided_by.length ? [item.expects === "fails" ? "Against it: " : "Decided by: ",
        item.decided_by.map((reference, n) => [n ? ", " : null, behaviourLink(reference, n === 0)]), " · "] : null, h("code", {}, item.id))),
    item.verdicts.map(([verdict, , release], r) => h("td", { "data-run": shownName(runs[r]) }, claimMark(index.claims.verdicts[verdict], release))))];
}
