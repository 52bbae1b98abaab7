// Pictures: SVG made of numbers. Colours come from the style sheet, and what a picture shows stands beside it in words.

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element: attributes and children; null and false are left out. */
function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

/** A picture. With words it is an image that they describe; without, the text beside it says all of it. */
function chart(width, height, words, ...children) {
  return s("svg", {
    class: "chart", width, height, viewBox: `0 0 ${width} ${height}`,
    role: words ? "img" : null, "aria-label": words, "aria-hidden": words ? null : "true",
  }, ...children);
}

/** As wide as there is room for, within bounds. */
function roomFor(most) {
  return Math.max(280, Math.min(most, main.clientWidth || most));
}

/** A scale of logarithms: [low, high] onto [from, to]. What lies outside is put on its edge. */
function logarithmic(low, high, from, to) {
  const start = Math.log(low), span = Math.log(high) - start || 1;
  const free = (value) => from + ((Math.log(value) - start) / span) * (to - from);
  return Object.assign((value) => free(Math.min(Math.max(value, low), high)), { low, high, free });
}

const BASES = { bytes: 16 }; // of the ticks: 16 B, 256 B, 4 KiB; all else is told in tens

/** The powers around some values, of ten or of what suits the unit. */
function powersAround(values, unit) {
  const base = BASES[unit] || 10, power = (value) => Math.log(value) / Math.log(base);
  const low = Math.floor(power(Math.min(...values)) + 1e-9), high = Math.ceil(power(Math.max(...values)) - 1e-9);
  return [base ** low, base ** Math.max(high, low + 1)];
}

/** The powers on a scale, no more of them than there is room for. */
function ticksOf({ low, high }, unit, most = 5) {
  const base = BASES[unit] || 10, power = (value) => Math.log(value) / Math.log(base);
  const first = Math.ceil(power(low) - 1e-9), last = Math.floor(power(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / most));
  const found = [];
  for (let at = first; at <= last; at += step) found.push(base ** at);
  return found;
}

/** Places for labels that would stand on each other: as near to where they belong as the gap allows. */
function apartFrom(places, gap, low, high) {
  const order = places.map((_, i) => i).sort((x, y) => places[x] - places[y]);
  const found = [...places];
  let least = low;
  for (const i of order) { found[i] = Math.max(found[i], least); least = found[i] + gap; }
  let most = high;
  for (const i of [...order].reverse()) { found[i] = Math.min(found[i], most); most = found[i] - gap; }
  return found;
}

const MARKERS = [
  (x, y) => s("circle", { cx: x, cy: y, r: 3.2 }),
  (x, y) => s("rect", { x: x - 2.9, y: y - 2.9, width: 5.8, height: 5.8 }),
  (x, y) => s("path", { d: `M${x} ${y - 4}l3.8 6.6h-7.6z` }),
  (x, y) => s("path", { d: `M${x} ${y - 4.2}l4.2 4.2l-4.2 4.2l-4.2 -4.2z` }),
];

const HUES = 6; // colours of series; the letter at its end names a series, and its marks differ too

/**
 * Costs against sizes, both by their logarithms. Series are [{name, points: [{x, y, low, high}]}]; `fit` is
 * {exponent, expected}: a line through the first series, and a fan of what is expected.
 */
function growth(series, words, unit, fit = null, width = 300, height = 188) {
  const told = series.map((one, number) => ({ ...one, number, points: one.points.filter(({ x, y }) => x > 0 && y > 0) })).filter((one) => one.points.length);
  if (!told.length) return null;
  const all = told.flatMap((one) => one.points);
  const xs = all.map(({ x }) => x), values = all.flatMap(({ y, low, high }) => [y, low > 0 ? low : y, high || y]);
  const left = 54, right = told.length > 1 ? 20 : 12, top = 10, bottom = 26;
  const x = logarithmic(Math.min(...xs), Math.max(...xs, Math.min(...xs) * 2), left + 8, width - right - 8);
  const y = logarithmic(...powersAround(values, unit), height - bottom, top);
  const sizes = [...new Set(xs)].sort((one, other) => one - other);
  const shown = sizes.length <= 4 ? sizes : [sizes[0], sizes[sizes.length >> 1], sizes[sizes.length - 1]];
  return chart(width, height, words,
    s("g", { class: "grid" },
      ticksOf(y, unit).map((value) => s("path", { d: `M${left} ${y(value)}H${width - right}` })),
      s("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` })),
    s("g", { class: "ticks" },
      ticksOf(y, unit).map((value) => s("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, amount(value, unit))),
      shown.map((value) => s("text", { x: x(value), y: height - 9, "text-anchor": "middle" }, short(value)))),
    fit ? s("svg", { x: left, y: top, width: width - right - left, height: height - bottom - top, viewBox: `${left} ${top} ${width - right - left} ${height - bottom - top}` }, fitted(told[0].points, fit, x, y)) : null,
    told.map((one) => s("g", { class: `series hue${one.number % HUES}` },
      one.points.length > 1 && !fit ? s("path", { class: "line", d: one.points.map((p, i) => `${i ? "L" : "M"}${x(p.x)} ${y(p.y)}`).join("") }) : null,
      one.points.map((p) => [
        p.high > p.low ? s("path", { class: "spread", d: `M${x(p.x)} ${y(Math.max(p.low, y.low))}V${y(p.high)}` }) : null,
        MARKERS[(one.number + Math.floor(one.number / HUES)) % MARKERS.length](x(p.x), y(p.y)),
      ]))),
    told.length > 1 ? endings(told, y, width, top, height - bottom) : null);
}

function endings(series, y, width, top, bottom) {
  const places = apartFrom(series.map(({ points }) => y(points[points.length - 1].y)), 11, top, bottom);
  return series.map((one, i) => s("text", { class: `ending hue${one.number % HUES}`, x: width - 2, y: places[i] + 4, "text-anchor": "end" }, one.name));
}

/** A line of the fitted exponent through the points, and the exponents that are expected as a fan around it. */
function fitted(points, { exponent, expected }, x, y) {
  const middle = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];
  const mx = Math.sqrt(x.low * x.high);
  const height = Math.exp(middle(points.map((point) => Math.log(point.y) - exponent * Math.log(point.x / mx))));
  const corner = (value, power) => `${x.free(value)} ${y.free(height * (value / mx) ** power)}`;
  const [low, high] = expected;
  return [
    s("path", { class: "expected", d: `M${corner(x.low, low)}L${corner(x.high, low)}V${y.free(height * (x.high / mx) ** high)}L${corner(x.low, high)}Z` }),
    s("path", { class: "fit", d: `M${corner(x.low, exponent)}L${corner(x.high, exponent)}` }),
  ];
}

/** A ratio and its interval on a line of its own, beside 1. The numbers stand in the table around it. */
function ratioBar(ratio, [low, high], bounds, klass = "", width = 180) {
  const height = 18, middle = height / 2, x = logarithmic(...bounds, 4, width - 4);
  return chart(width, height, null,
    s("g", { class: `ratio ${klass}` },
      s("rect", { class: "bar-of", x: Math.min(x(1), x(ratio)), y: middle - 4, width: Math.max(1, Math.abs(x(ratio) - x(1))), height: 8 }),
      s("path", { class: "whisker", d: `M${x(low)} ${middle}H${x(high)}${[low, high].filter((end) => end >= x.low && end <= x.high).map((end) => `M${x(end)} ${middle - 3}v6`).join("")}` }),
      s("path", { class: "one", d: `M${x(1)} 0V${height}` })));
}

/** Bounds of a scale of ratios: as far below 1 as above. */
function aroundOne(values) {
  const far = Math.max(1.1, ...values.filter((value) => value > 0).map((value) => Math.max(value, 1 / value)));
  return [1 / far, far];
}

/** How often values fall between bounds: bars beside each other, whose heights are counts, each made of parts. */
function histogram(bins, words, width, height = 170) {
  const left = 38, right = 8, top = 10, bottom = 30;
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const step = (width - left - right) / bins.length;
  const y = (count) => height - bottom - (count / most) * (height - bottom - top);
  const every = Math.max(1, Math.ceil(bins.length / Math.floor((width - left) / 52)));
  const center = bins.findIndex((bin) => bin.low <= 1 && bin.high > 1);
  return chart(width, height, words,
    s("g", { class: "grid" }, [most, most / 2].map((count) => s("path", { d: `M${left} ${y(count)}H${width - right}` })),
      s("path", { class: "axis", d: `M${left} ${height - bottom}H${width - right}` })),
    bins.map((bin, i) => bin.parts.map(({ kind, from, to }) => (to > from ? s("rect", { class: `bin ${kind}`, x: left + i * step + 0.5, y: y(to), width: Math.max(1, step - 1), height: y(from) - y(to) }) : null))),
    s("g", { class: "ticks" },
      s("text", { x: left - 6, y: y(most) + 4, "text-anchor": "end" }, most.toLocaleString("en")),
      bins.map((bin, i) => ((i - center) % every === 0 ? s("text", { x: left + (i + 0.5) * step, y: height - 12, "text-anchor": "middle" }, bin.name) : null))));
}

/** Quartiles on one scale: a line from end to end, a box around the middle half, a mark at the median; of several in a row the marks. */
function boxes(rows, bounds, unit, words, width) {
  const left = 4, right = 4, line = 22, foot = 24, height = rows.length * line + foot;
  const x = logarithmic(...bounds, left + 12, width - right - 16), ticks = ticksOf(x, unit, Math.max(2, Math.floor(width / 85)));
  return chart(width, height, words,
    s("g", { class: "grid" }, ticks.map((value) => s("path", { d: `M${x(value)} 0V${height - foot}` }))),
    s("g", { class: "ticks" }, ticks.map((value) => s("text", { x: x(value), y: height - 8, "text-anchor": "middle" }, amount(value, unit)))),
    rows.map((row, i) => row.map((each) => s("g", { class: `series hue${each.hue % HUES}` },
      row.length > 1 ? null : [s("path", { class: "spread", d: `M${x(each.least)} ${i * line + line / 2}H${x(each.most)}` }),
        s("rect", { class: "box", x: x(each.first), y: i * line + 5, width: Math.max(1, x(each.third) - x(each.first)), height: line - 10 })],
      s("path", { class: "median", d: `M${x(each.median)} ${i * line + 3}v${line - 6}` })))));
}

const LARGE = [[2 ** 30, "Gi"], [2 ** 20, "Mi"], [2 ** 10, "Ki"]];

/** A number of elements, as short as an axis needs it: 64, 16 Ki, 4 Mi; 1,000 stays 1,000. */
function short(value) {
  const found = LARGE.find(([unit]) => value >= unit && value % (unit / 16) === 0);
  if (found) return `${Number((value / found[0]).toPrecision(3))} ${found[1]}`;
  return value >= 1e6 ? value.toExponential(0).replace("+", "") : value.toLocaleString("en");
}

/** A value of a unit: seconds, bytes, or how many times. */
function amount(value, unit) {
  if (unit === "seconds") return duration(value);
  if (unit === "bytes") return bytes(value);
  return `${digits(value)}×`;
}

/** Seconds of one call: 310 ns, 1.25 µs, 4.2 ms. */
function duration(value) {
  if (value === 0) return "0 s";
  const [factor, unit] = value < 0.9995e-6 ? [1e9, "ns"] : value < 0.9995e-3 ? [1e6, "µs"] : value < 0.9995 ? [1e3, "ms"] : [1, "s"];
  return `${digits(value * factor)} ${unit}`;
}

function bytes(value) {
  const [factor, unit] = LARGE.find(([least]) => Math.abs(value) >= least) || [1, ""];
  return `${digits(value / factor)} ${unit}B`;
}

/** Three digits, and no more zeros than they need. */
function digits(value) {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** A share in percent, with two digits: 0.96 %, 2.3 %, 24 %. */
function percent(share) { return `${Number((100 * share).toPrecision(2)).toLocaleString("en")} %`; }

/** Data of a picture, for whoever would rather read it: folded away, and in the page all the same. */
function asTable(name, heads, rows) {
  return h("details", { class: "data" }, h("summary", {}, "The numbers as a table"), table(name, heads, rows));
}

function table(name, heads, rows, klass = "") {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": name }, h("table", { class: `figures-of ${klass}` },
    h("caption", { class: "unseen" }, name),
    h("thead", {}, h("tr", {}, heads.map((head, i) => h("th", { scope: "col", class: i ? "figure" : null }, head)))),
    h("tbody", {}, rows.map(([head, ...values]) => h("tr", {}, h("th", { scope: "row" }, head), values.map((value) => h("td", { class: "figure" }, value)))))));
}
