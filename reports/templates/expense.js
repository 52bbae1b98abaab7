// What the suite itself costs: its time, area by area, how many cases a second, and how much of it is torch's own.

function expensePart() {
  const total = runs.map((_, r) => unfolded.expense.reduce((sum, [, , of]) => (of[r] ? sum.map((value, i) => (of[r][i] === null || value === null ? null : value + of[r][i])) : sum), [0, 0, 0, 0]));
  const most = Math.max(...unfolded.expense.flatMap(([, , of]) => of.map((found) => (found ? found[2] : 0))), 1e-9);
  const cell = (found, bounded) => (found && found[0] ? [
    bounded ? expenseBar(found, most) : null,
    h("p", {}, seconds(found[2]), h("span", { class: "muted" }, ` for ${counted(found[0], "cell")}`)),
    h("small", {}, `${counted(found[1], "case")}, ${found[2] > 0 ? `${digits(found[1] / found[2])} a second` : "in no time"}`),
    found[3] === null || found[2] <= 0 ? null : h("small", {}, `at least ${Math.floor((100 * found[3]) / found[2])} % of it inside torch`),
  ] : h("span", { class: "muted" }, "–"));
  const row = (heading, of, bounded = true) => h("tr", {}, h("th", { scope: "row" }, heading), of.map((found, r) => h("td", { "data-run": shownName(runs[r]) }, cell(found, bounded))));
  const measured = unfolded.expense.some(([, , of]) => of.some((found) => found && found[3] !== null));
  return {
    nodes: [
      h("p", { class: "lede" }, "The seconds are those of the cells, added up: with several workers a run takes less. ",
        measured ? "The share inside torch was counted around its calls, so it is the least that it can be: it is the coloured part of a bar." : "Which part of them torch itself took was not measured in these runs (--costs)."),
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "What the suite costs" }, h("table", { class: "areas expense" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Area"), runs.map((run) => h("th", { scope: "col" }, runHeading(run))))),
        h("tbody", {}, [...unfolded.expense].sort((one, other) => seconded(other) - seconded(one)).map(([area, title, of]) =>
          row(h("a", { href: address({ view: "matrix", q: `area:${area}` }), "data-row": true }, title), of)),
          unfolded.expense.length > 1 ? row("All areas", total, false) : null))),
      dearest(),
    ],
  };
}

function seconded([, , of]) { return Math.max(...of.map((found) => (found ? found[2] : 0))); }

function expenseBar([, , time, under], most, width = 200) {
  const long = (time / most) * width;
  return chart(width, 9, null, s("g", { class: "expense-bar" }, s("rect", { class: "all", x: 0, y: 1, width: Math.max(1, long), height: 7 }),
    under ? s("rect", { class: "inside", x: 0, y: 1, width: (under / most) * width, height: 7 }) : null));
}

/** The cells that took longest, run by run. */
function dearest() {
  const measured = unfolded.dearest.some((some) => some.some(([, , , under]) => under !== null));
  const folded = (r, list) => (runs.length > 1 ? h("details", {}, h("summary", {}, fullName(runs[r])), list) : list);
  const lists = unfolded.dearest.map((some, r) => (some.length ? folded(r, table(`The cells that take longest: ${fullName(runs[r])}`, ["Cell", "time", "cases", "a second", ...(measured ? ["inside torch"] : [])], some.map(([cell, time, cases, under]) =>
      [h("a", { class: "mono", "data-row": true, href: address({ view: "cell", id: cellId(cell), run: runs[r].letter }) }, cellId(cell)),
        seconds(time), cases.toLocaleString("en"), time > 0 ? digits(cases / time) : "–", ...(!measured ? [] : [under === null || time <= 0 ? "–" : `${Math.floor((100 * under) / time)} %`])]), "cells-of")) : null));
  return h("section", {}, h("h2", {}, "The cells that take longest"), lists);
}
