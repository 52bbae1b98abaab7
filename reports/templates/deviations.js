// The listed deviations: what each is, where it still fails, and where it passes, so that the list is stale.

const DEVIATING_CELLS = 40; // cells of a deviation that are named before the rest is only counted

function deviationsView() {
  const { deviations } = index;
  const stale = deviations.filter((each) => each.fixed.some((cells) => cells.length)).length;
  return {
    title: "Deviations",
    nodes: [
      h("h1", { class: "title" }, "Listed deviations"),
      h("p", { class: "found" }, deviations.length
        ? [counted(deviations.length, "listed deviation"), stale ? [", ", h("strong", {}, deviations.length === 1 ? "which is stale" : `${stale} of them stale`), ": what is listed passes, so the list should lose it"] : deviations.length === 1 ? ", not stale" : ", none of them stale", "."]
        : "No run met a listed deviation."),
      deviations.length ? h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Listed deviations" }, h("table", { class: "areas deviations" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Deviation"), runs.map((run) => h("th", { scope: "col" }, runHeading(run))))),
        h("tbody", {}, deviations.map(deviationRow)))) : null,
    ],
  };
}

function deviationRow(deviation) {
  const cells = [...new Set([...deviation.known, ...deviation.fixed].flat())].sort((x, y) => x - y);
  const shown = cells.slice(0, DEVIATING_CELLS);
  return h("tr", {},
    h("th", { scope: "row" }, h("p", {}, deviation.reason),
      h("p", {}, deviation.issue ? outward(deviation.issue) : h("span", { class: "muted" }, "not reported upstream")),
      h("details", {}, h("summary", {}, counted(cells.length, "cell")),
        h("ul", {}, shown.map((cell) => h("li", {}, h("a", { class: "mono", href: address({ view: "cell", id: cellId(cell) }) }, cellId(cell)))),
          cells.length > shown.length ? h("li", { class: "muted" }, `and ${counted(cells.length - shown.length, "more cell")}`) : null))),
    runs.map((run, r) => {
      const failing = deviation.known[r].length, passing = deviation.fixed[r].length;
      return h("td", { "data-run": shownName(run) },
        failing ? verdictCount("known", failing) : null,
        passing ? [failing ? " " : null, verdictCount("fixed", passing), " ", h("strong", { class: "stale" }, failing ? "partly stale" : "stale")] : null,
        failing || passing ? null : h("span", { class: "muted" }, "–"));
    }));
}

function verdictCount(name, number) {
  const verdict = index.verdicts.find((each) => each.verdict === name);
  return h("span", { class: `verdict ${verdict.group}`, title: verdict.says }, h("b", { "aria-hidden": "true" }, verdict.symbol), ` ${number.toLocaleString("en")} ${verdict.word}`);
}
