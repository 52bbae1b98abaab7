// Costs that the documentation promises: how they grow with the number of elements, and one way against another.

/** The evidence of a scaling as the pictures have it, from a list of numbers or from the record's own words. */
function scalingOf(found) {
  if (!Array.isArray(found)) return found;
  const [quantity, points, exponent, low, high, least, most] = found;
  return { quantity, points, exponent, interval: [low, high], expected: [least, most] };
}

function ratioOf(found) {
  if (!Array.isArray(found)) return found;
  const [one, other, ratio, low, high, expected] = found;
  return { one, other, ratio, interval: [low, high], expected };
}

function scalingPart(where) {
  const rows = unfolded.scaling.flatMap(([cell, of]) => ["seconds", "bytes"].map((quantity) => ({
    cell, quantity, text: costText(cell), runs: of.map((some) => some.map(scalingOf).filter((each) => each.quantity === quantity)),
  }))).filter((row) => row.runs.some((some) => some.length));
  const grows = (row) => row.runs.some((some) => some.some((each) => each.points.some(([, y]) => y > 0)));
  rows.sort((one, other) => grows(other) - grows(one)); // of what costs nothing at any size there is no picture
  const choices = ["seconds", "bytes"].map((quantity) => ({ key: "quantity", value: quantity, name: quantity === "bytes" ? "Memory" : "Time", count: rows.filter((row) => row.quantity === quantity).length }));
  const list = (place) => {
    const test = finds(place.find);
    const matching = rows.filter((row) => test(row.text) && (!place.quantity || row.quantity === place.quantity));
    const body = h("div", { class: "cards" }), more = h("p", { class: "more" });
    return {
      nodes: [body, more],
      words: matching.length === rows.length ? `${counted(rows.length, "picture")}.` : matching.length ? `${counted(matching.length, "picture")} of ${rows.length.toLocaleString("en")}.` : "No cell matches.",
      rows: lazily(matching, body, more, (row) => [scalingCard(row)], "pictures"),
    };
  };
  const found = finder(where, "Search cells", choices, list);
  return {
    nodes: [h("p", { class: "lede" }, `Costs that the documentation promises, as powers of the number of elements: 0 where no element is touched, 1 where each is.${runs.length === 1 ? " The shaded fan is what is promised, the dashed line what was found." : ""}`), found.nodes],
    get rows() { return found.rows; },
  };
}

function scalingCard({ cell, quantity, runs: of }) {
  const told = of.map((_, r) => r).filter((r) => of[r].length);
  const name = `${quantity === "bytes" ? "Memory" : "Time"} of ${cellId(cell)}`;
  return h("section", { class: "card", "aria-label": name },
    h("div", { class: "head" }, cellOfCost(cell)),
    scalingPicture(told.map((r) => ({ name: runs[r].letter, all: of[r] })), quantity, name),
    table(`${name}: exponents`, ["Run", "power of n", "between", "promised", "verdict"], told.flatMap((r) => of[r].map((each) =>
      [runName(r), power(each.exponent), range(each.interval), range(each.expected), verdictMark(verdictOf(r, cell))]))));
}

/** The picture of one quantity in some runs, and its data: [{name, all: [scaling]}]. */
function scalingPicture(series, quantity, name) {
  const each = series.flatMap((one) => one.all.map((found) => ({ name: one.name, ...found })));
  const points = (found) => found.points.map(([x, y]) => ({ x, y, low: 0, high: 0 }));
  const sole = each.length === 1 ? each[0] : null;
  const picture = growth(each.map((found) => ({ name: found.name, points: points(found) })), `${name} against the number of elements, both on scales of logarithms. The table has the numbers.`, quantity, sole);
  const sizes = [...new Set(each.flatMap((found) => found.points.map(([x]) => x)))].sort((x, y) => x - y);
  return h("div", { class: "pictured" },
    picture || h("p", { class: "muted" }, `${amount(0, quantity)} at every size.`),
    asTable(name, ["Elements", ...each.map((found) => (runs.length > 1 ? found.name : quantity === "bytes" ? "memory" : "time"))],
      sizes.map((x) => [x.toLocaleString("en"), ...each.map((found) => { const met = found.points.find(([size]) => size === x); return met ? amount(met[1], quantity) : "–"; })])));
}

function range([low, high]) { return `${Number(low.toFixed(2))} to ${Number(high.toFixed(2))}`; }

function ratiosPart(where) {
  const rows = unfolded.ratios.flatMap(([cell, of]) => {
    const ways = [...new Set(of.flatMap((some) => some.map(([one, other]) => JSON.stringify([one, other]))))];
    return ways.map((way) => ({ cell, way: JSON.parse(way), text: `${costText(cell)}\n${JSON.parse(way).join("\n").toLowerCase()}`, runs: of.map((some) => some.map(ratioOf).find((each) => JSON.stringify([each.one, each.other]) === way) || null) }));
  });
  const bounds = aroundOne(rows.flatMap((row) => row.runs.flatMap((found) => (found ? [found.ratio, ...found.interval] : []))));
  const list = (place) => {
    const test = finds(place.find), matching = rows.filter((row) => test(row.text));
    const body = h("tbody", {}), more = h("p", { class: "more" });
    return {
      nodes: [matching.length ? h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "One way against another" }, h("table", { class: "ratios" },
        h("thead", {}, h("tr", {}, ["Cell", ...(runs.length > 1 ? ["Run"] : []), "cost of the first over the second", "ratio", "promised", "verdict"].map((head) => h("th", { scope: "col" }, head)))), body)) : null, more],
      words: matching.length === rows.length ? `${counted(rows.length, "pair")}.` : matching.length ? `${counted(matching.length, "pair")} of ${rows.length.toLocaleString("en")}.` : "No pair matches.",
      rows: lazily(matching.map((row, i) => ({ ...row, first: !i || matching[i - 1].cell !== row.cell })), body, more, (row) => ratioRows(row, bounds), "pairs"),
    };
  };
  const found = finder(where, "Search pairs", [], list);
  return {
    nodes: [h("p", { class: "lede" }, "Two ways to the same result, measured in the same run, by time unless the cell counts something else: below 1 the first is the cheaper one. The thin line is the interval that the ratio lies in."), found.nodes],
    get rows() { return found.rows; },
  };
}

/** Two ways, which may be lines of code. */
function ways(one, other) {
  return h("div", { class: "ways" }, h("code", {}, one), h("span", {}, " against "), h("code", {}, other));
}

function ratioRows({ cell, way, runs: of, first }, bounds) {
  const told = of.map((_, r) => r).filter((r) => of[r]);
  return told.map((r, i) => h("tr", {},
    i === 0 ? h("th", { scope: "rowgroup", rowspan: told.length }, first ? cellOfCost(cell) : null, ways(...way)) : null,
    runs.length > 1 ? h("td", {}, runName(r)) : null,
    h("td", {}, ratioBar(of[r].ratio, of[r].interval, bounds)),
    h("td", { class: "figure" }, `${digits(of[r].ratio)}×`, h("small", {}, `${digits(of[r].interval[0])} to ${digits(of[r].interval[1])}`)),
    h("td", {}, of[r].expected),
    h("td", {}, verdictMark(verdictOf(r, cell)))));
}

/** What the evidence of a cell says of costs: pictures in the view of the cell. */
function costEvidence(found, id) {
  const scalings = found.get("scaling") || [], ratios = found.get("ratios") || [];
  const bounds = aroundOne(ratios.flatMap(({ ratio, interval }) => [ratio, ...interval]));
  return [
    scalings.map((each) => [h("h2", {}, each.quantity === "bytes" ? "Memory against size" : "Time against size"),
      h("div", { class: "card" }, scalingPicture([{ name: "", all: [each] }], each.quantity, `${each.quantity === "bytes" ? "Memory" : "Time"} of ${id}`),
        table("The power of the number of elements", ["power of n", "between", "promised"], [[power(each.exponent), range(each.interval), range(each.expected)]]))]),
    ratios.length ? [h("h2", {}, "One way against another"), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "One way against another" }, h("table", { class: "ratios" },
      h("thead", {}, h("tr", {}, ["Ways", "cost of the first over the second", "ratio", "promised"].map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, ratios.map((each) => h("tr", {}, h("th", { scope: "row" }, ways(each.one, each.other)),
        h("td", {}, ratioBar(each.ratio, each.interval, bounds)),
        h("td", { class: "figure" }, `${digits(each.ratio)}×`, h("small", {}, `${digits(each.interval[0])} to ${digits(each.interval[1])}`)), h("td", {}, each.expected))))))] : null,
  ];
}
