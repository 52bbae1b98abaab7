// Two builds timed in turn on one machine: how the ratios lie, and each of them with its interval.

const RATIO_SORTS = {
  "": ["most slowed first", (one, other) => other.ratio - one.ratio],
  faster: ["most sped up first", (one, other) => one.ratio - other.ratio],
  name: ["by name", (one, other) => (one.subject < other.subject ? -1 : one.subject > other.subject ? 1 : one.elements - other.elements)],
};

/** What an interval says of a ratio: the second build is slower, faster, or cannot be told apart. */
function tendency({ interval: [low, high] }) {
  return low > 1 ? "slower" : high < 1 ? "faster" : "alike";
}

function alternationPart(where) {
  const files = unfolded.alternations, chosen = Math.min(files.length - 1, Math.max(0, Number(where.pair) - 1 || 0)), file = files[chosen];
  file.told ??= file.rows.map(([subject, kind, dtype, size, elements, a, b, ratio, low, high, pairs]) =>
    ({ subject, kind, dtype, size, elements, a, b, ratio, interval: [low, high], pairs, text: `${subject}\n${kind}\n${dtype}\n${size}`.toLowerCase() }));
  const rows = file.told, [a, b] = file.sides;
  const bounds = aroundOne(rows.map((row) => Math.max(row.ratio, 1 / row.ratio) ** 1.2)); // a wild interval shows that it goes on
  const of = (name) => rows.filter((row) => tendency(row) === name).length;
  const choices = [["slower", "Slower"], ["faster", "Faster"], ["alike", "Cannot be told apart"]].map(([value, name]) => ({ key: "tendency", value, name, count: of(value) }));
  const kinds = [...new Set(rows.map((row) => row.kind))], sizes = [...new Set(rows.map((row) => row.size))];
  const picks = [
    files.length > 1 && { key: "pair", label: "Builds", values: files.map((each, f) => [f ? String(f + 1) : "", `${each.sides[0].torch} and ${each.sides[1].torch} (${each.file})`]), whole: true },
    kinds.length > 1 && { key: "kind", label: "Kind", values: [["", "every kind"], ...kinds.map((kind) => [kind, kind])] },
    sizes.length > 1 && { key: "size", label: "Size", values: [["", "every size"], ...sizes.map((size) => [size, size])] },
    { key: "sort", label: "Order", values: Object.entries(RATIO_SORTS).map(([key, [name]]) => [key, name]) },
  ].filter(Boolean);
  const list = (place) => {
    const test = finds(place.find), [, by] = RATIO_SORTS[Object.hasOwn(RATIO_SORTS, place.sort || "") ? place.sort || "" : ""];
    const matching = rows.filter((row) => test(row.text) && (!place.tendency || tendency(row) === place.tendency) && ["kind", "size"].every((key) => !place[key] || row[key] === place[key])).sort(by);
    const body = h("tbody", {}), more = h("p", { class: "more" });
    return {
      nodes: [matching.length ? [distribution(matching, a, b), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Ratios" }, h("table", { class: "ratios" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Subject"), h("th", { scope: "col", class: "figure" }, `torch ${a.torch}`), h("th", { scope: "col", class: "figure" }, `torch ${b.torch}`), h("th", { scope: "col" }, "second over first"), h("th", { scope: "col", class: "figure" }, "ratio"))), body))] : null, more],
      words: matching.length === rows.length ? `${counted(rows.length, "timing")}.` : matching.length ? `${counted(matching.length, "timing")} of ${rows.length.toLocaleString("en")}.` : "No timing matches.",
      rows: lazily(matching, body, more, (row) => [alternationRow(row, bounds, file.sides)], "timings"),
    };
  };
  const found = finder(where, "Search subjects", choices, list, picks);
  return {
    nodes: [
      h("p", { class: "answer small" }, `torch ${b.torch} takes ${ratioWords(middleOf(rows))} as long as ${a.torch}`),
      h("p", { class: "lede" }, `That is the geometric mean of ${counted(rows.length, "ratio")} on ${file.target}, the builds timed in turn on one machine (${machineName(file.fingerprint)}). `,
        `Slower: ${of("slower").toLocaleString("en")}; faster: ${of("faster").toLocaleString("en")}; the others, ${of("alike").toLocaleString("en")}, cannot be told apart: their interval holds 1.`,
        file.complete ? null : " It was broken off: not all calls were timed.",
        a.python !== b.python || a.numpy !== b.numpy ? ` The first ran with Python ${a.python} and NumPy ${a.numpy}, the second with Python ${b.python} and NumPy ${b.numpy}.` : null),
      found.nodes,
      notTimed(file.skipped.map(([subject, reason]) => ({ subject, reason, some: runs }))),
    ],
    get rows() { return found.rows; },
  };
}

/** The mean of ratios is that of their logarithms: twice and half as long come to the same. */
function middleOf(rows) {
  return Math.exp(rows.reduce((sum, row) => sum + Math.log(row.ratio), 0) / Math.max(1, rows.length));
}

function ratioWords(ratio) { return `${ratio.toFixed(2)} times`; }

/** How the ratios lie around 1: the bins are as wide as each other on a scale of logarithms, and one stands over 1. */
function distribution(rows, a, b) {
  const far = Math.log(aroundOne(rows.map((row) => row.ratio))[1]), half = 10, step = Math.max(far / (half + 0.5), Math.log(1.02));
  const bins = Array.from({ length: 2 * half + 1 }, (_, i) => {
    const low = Math.exp((i - half - 0.5) * step), high = Math.exp((i - half + 0.5) * step);
    return { low, high, count: 0, faster: 0, alike: 0, slower: 0, name: `${digits(Math.exp((i - half) * step))}×` };
  });
  for (const row of rows) {
    const bin = bins[Math.max(0, Math.min(2 * half, Math.round(Math.log(row.ratio) / step) + half))];
    bin.count++;
    bin[tendency(row)]++;
  }
  for (const bin of bins) {
    let from = 0;
    bin.parts = ["alike", "faster", "slower"].map((kind) => ({ kind, from, to: from += bin[kind] }));
  }
  return [histogram(bins, `How the ratios of ${counted(rows.length, "timing")} lie: to the left torch ${b.torch} takes less time than ${a.torch}, to the right more. The table below has the numbers.`, roomFor(720)),
    asTable("How the ratios lie", ["Ratio", "timings", "faster", "cannot be told apart", "slower"], bins.filter((bin) => bin.count).map((bin) =>
      [`${digits(bin.low)} to ${digits(bin.high)}`, ...["count", "faster", "alike", "slower"].map((key) => bin[key].toLocaleString("en"))]))];
}

function alternationRow(row, bounds, sides) {
  const words = { slower: "slower", faster: "faster", alike: "cannot be told apart" }[tendency(row)];
  return h("tr", {},
    h("th", { scope: "row" }, subjectLink(row.subject), h("small", {}, `${row.kind}, ${row.dtype}, ${row.size}, ${counted(row.elements, "element")}`)),
    [row.a, row.b].map((time, i) => h("td", { class: "figure", "data-run": sides[i].torch }, duration(time))),
    h("td", {}, ratioBar(row.ratio, row.interval, bounds, tendency(row))),
    h("td", { class: "figure" }, `${digits(row.ratio)}×`, h("small", {}, `${digits(row.interval[0])} to ${digits(row.interval[1])}, ${words}, ${counted(row.pairs, "pair")}`)));
}
