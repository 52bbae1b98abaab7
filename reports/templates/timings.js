// The time of a call of every subject, against the number of elements, in each run.

const SIZE_NAMES = ["small", "medium", "large"];
const SORTS = {
  "": ["as catalogued", null],
  slow: ["slowest first", (row) => Math.max(...row.runs.map((points) => points.at(-1)?.y || 0))],
  overhead: ["dearest calls first", (row) => Math.max(...row.runs.map((_, r) => row.overhead(r) || 0))],
  growth: ["steepest growth first", (row) => Math.max(...row.runs.map((_, r) => row.exponent(r) ?? -9))],
  spread: ["least steady first", (row) => Math.max(...row.runs.flat().map((point) => (point.y > 0 ? point.iqr / point.y : 0)))],
};

let timings = null;

function timingRows() {
  timings ??= unfolded.timings.map(([subject, kind, target, dtype, ids, of]) => {
    const found = of.map((points) => points.map(([size, x, y, iqr, rounds, calls, shape]) =>
      ({ size, x, y, iqr, low: y - iqr / 2, high: y + iqr / 2, rounds, calls, shape: text(shape) })));
    const row = { subject: text(subject), kind: text(kind), target: text(target), dtype: text(dtype), ids: ids.map(text), runs: found };
    row.exponent = (r) => exponentOf(found[r]);
    row.overhead = (r) => overheadOf(row, r);
    row.text = [row.subject, row.kind, row.target, row.dtype, ...row.ids].join("\n").toLowerCase();
    return row;
  });
  return timings;
}

/** The exponent of the growth between the two largest sizes: at small ones a call costs more than what it does. */
function exponentOf(points) {
  const [one, other] = points.slice(-2);
  if (!other || one.x <= 0 || other.x < 2 * one.x || one.y <= 0 || other.y <= 0) return null;
  return Math.log(other.y / one.y) / Math.log(other.x / one.x);
}

/** How many empty calls a call with the fewest elements takes, on the same target. */
function overheadOf(row, r) {
  const yardstick = unfolded.machines[r]?.yardsticks.find(([name, target]) => name === "empty call" && target === row.target);
  const first = row.runs[r][0];
  return yardstick?.[3] > 0 && first && first.size === 0 ? first.y / yardstick[3] : null;
}

function callsPart(where) {
  const rows = timingRows();
  const values = (of) => [...new Set(rows.map(of))];
  const pick = (key, label, all, some) => ({ key, label, values: [["", all], ...some.map((value) => [value, value])] });
  const picks = [pick("kind", "Kind", "every kind", values((row) => row.kind)), pick("dtype", "dtype", "every dtype", values((row) => row.dtype)),
    pick("target", "Target", "every target", values((row) => row.target))].filter(({ values: some }) => some.length > 2);
  picks.push({ key: "sort", label: "Order", values: Object.entries(SORTS).map(([key, [name]]) => [key, name]) });
  const found = rows.length ? finder(where, "Search subjects", [], listOfTimings, picks) : { nodes: null };
  return {
    nodes: [
      h("p", { class: "lede" }, "Each call was timed alone, round after round, once it was warm. Shown is the median of the rounds; ± is half the width of their middle half."),
      machines().length > 1 ? h("p", { class: "notice part" }, `These runs are of different machines (${machines().map((some) => some.map((run) => run.letter).join(", ")).join(" / ")}): their times say nothing of the builds. What can be compared is how they grow, and how many empty calls they take.`) : null,
      machineTable(),
      overheads(rows),
      h("h2", {}, "Time against size"),
      found.nodes,
      skippedSubjects(),
    ],
    get rows() { return found.rows; },
  };
}

function listOfTimings(where) {
  const test = finds(where.find), [, by] = SORTS[Object.hasOwn(SORTS, where.sort || "") ? where.sort || "" : ""];
  const all = timingRows();
  const matching = all.filter((row) => test(row.text) && ["kind", "dtype", "target"].every((key) => !where[key] || row[key] === where[key]));
  if (by) matching.sort((one, other) => by(other) - by(one) || (one.subject < other.subject ? -1 : 1));
  const body = h("div", { class: "cards" }), more = h("p", { class: "more" });
  return {
    nodes: [body, more],
    words: !matching.length ? "No timing matches." : matching.length === all.length ? `${counted(all.length, "timing")}.` : `${counted(matching.length, "timing")} of ${all.length.toLocaleString("en")}.`,
    rows: lazily(matching, body, more, (row) => [timingCard(row)], "timings"),
  };
}

/** A subject: the picture, and beside it the numbers. */
function timingCard(row) {
  const told = row.runs.map((_, r) => r).filter((r) => row.runs[r].length);
  const sizes = [...new Map(row.runs.flat().map((point) => [`${point.size}:${point.x}`, point])).values()].sort((one, other) => one.x - other.x || one.size - other.size);
  const name = `${row.subject}, ${row.dtype} on ${row.target}`;
  const line = (of) => told.map((r) => of(r) ?? h("span", { class: "muted" }, "–"));
  const rows = sizes.map((size) => [[SIZE_NAMES[size.size], h("small", {}, `${counted(size.x, "element")}, shape ${size.shape}`)], ...line((r) => {
    const point = row.runs[r].find((each) => each.size === size.size && each.x === size.x);
    return point && [duration(point.y), h("small", {}, point.y > 0 ? `± ${percent(point.iqr / 2 / point.y)}, ${counted(point.rounds, "round")}` : null)];
  })]);
  if (sizes.length > 1) rows.push([`growth, ${sizes.slice(-2).map(({ size }) => SIZE_NAMES[size]).join(" to ")}`, ...line((r) => { const found = row.exponent(r); return found === null ? null : power(found); })]);
  if (told.some((r) => row.overhead(r) !== null)) rows.push(["a small call, counted in empty calls", ...line((r) => { const found = row.overhead(r); return found === null ? null : `${digits(found)}`; })]);
  return h("section", { class: "card", "aria-label": name },
    h("h3", {}, subjectLink(row.subject), " ", h("small", {}, `${row.kind}, ${row.dtype} on ${row.target}`)),
    growth(told.map((r) => ({ name: runs[r].letter, points: row.runs[r] })), `Time of ${name} against the number of elements, both on scales of logarithms. The table beside it has the numbers.`, "seconds"),
    table(`Time of ${name}`, ["Size", ...told.map(runName)], rows));
}

/** An exponent as people write it: n^0.98. */
function power(exponent) {
  return h("span", { title: "cost grows as the number of elements to this power" }, "n", h("sup", {}, exponent.toFixed(2)));
}

/** Where each run was timed, and what the yardsticks took there. */
function machineTable() {
  const told = unfolded.machines.map((machine, r) => ({ machine, r })).filter(({ machine }) => machine);
  if (!told.length) return null;
  const names = [...new Set(told.flatMap(({ machine }) => machine.yardsticks.map((each) => JSON.stringify(each.slice(0, 3)))))]; // name, target, elements
  const one = machines().length === 1; // then it need not stand over every run
  const rows = [
    ...(one ? [] : [["machine", ...told.map(({ machine }) => [machineName(machine.fingerprint), h("small", { class: "mono" }, machine.fingerprint.id)])]]),
    ["Python", ...told.map(({ machine }) => `${machine.fingerprint.python}, ${counted(machine.threads, "thread")}`)],
    ...names.map((key) => {
      const [name, target, elements] = JSON.parse(key);
      return [[name, h("small", {}, `${elements ? `${counted(elements, "element")} ` : ""}on ${target}`)], ...told.map(({ machine }) => {
        const found = machine.yardsticks.find((each) => JSON.stringify(each.slice(0, 3)) === key);
        return found ? [duration(found[3]), h("small", {}, found[3] > 0 ? `± ${percent(found[4] / 2 / found[3])}` : null)] : "–";
      })];
    }),
    ["all of it took", ...told.map(({ machine }) => [machine.seconds > 0 ? seconds(machine.seconds) : "unknown", h("small", {}, counted(machine.timed, "timing"))])],
  ];
  return h("section", {}, h("h2", {}, "Machines and yardsticks", h("small", {}, "simple calls to measure everything else by")),
    one ? h("p", { class: "muted" }, told.length > 1 ? "All on the same machine: " : null, machineName(told[0].machine.fingerprint), ` (${told[0].machine.fingerprint.id}).`) : null,
    table("Machines and yardsticks", ["", ...told.map(({ r }) => runName(r))], rows, "machines"));
}

/** What a call costs before it does anything, kind by kind: small calls in empty calls. */
function overheads(rows) {
  const groups = new Map();
  for (const row of rows) {
    row.runs.forEach((_, r) => {
      const found = row.overhead(r), key = JSON.stringify([row.kind, r]);
      if (found === null) return;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(found);
    });
  }
  if (!groups.size) return null;
  const told = [...groups].map(([key, values]) => {
    const [kind, r] = JSON.parse(key);
    values.sort((one, other) => one - other);
    const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))];
    return { kind, r, hue: r, count: values.length, least: values[0], first: at(0.25), median: at(0.5), third: at(0.75), most: values[values.length - 1] };
  });
  const rank = (kind) => Math.max(...told.filter((row) => row.kind === kind).map((row) => row.median));
  told.sort((one, other) => rank(other.kind) - rank(one.kind) || one.r - other.r);
  const bounds = powersAround(told.flatMap(({ least, most }) => [least, most]), "times");
  const many = runs.length > FEW, kinds = [...new Set(told.map(({ kind }) => kind))];
  const drawn = many ? kinds.map((kind) => told.filter((row) => row.kind === kind)) : told.map((row) => [row]);
  const label = ({ kind, r }) => (runs.length > 1 ? [h("span", { class: "letter" }, runs[r].letter), " ", kind] : kind);
  return h("section", {}, h("h2", {}, "What a call costs before it does anything", h("small", {}, "small calls, counted in empty calls on the same device")),
    h("div", { class: "boxes" },
      h("ol", { class: "rows-of-boxes" }, drawn.map(([row]) => h("li", {}, many ? row.kind : label(row), h("small", {}, ` ${row.count.toLocaleString("en")}`)))),
      boxes(drawn, bounds, "times", `Overhead of a call by kind: ${many ? "the median of each run" : "from the least to the most, the middle half as a box, the median as a line"}. The table below has the numbers.`, roomFor(720) < 600 ? Math.max(140, main.clientWidth - 190) : 440)),
    asTable("Overhead of a call, in empty calls", ["Kind", "subjects", "least", "quarter", "median", "three quarters", "most"],
      told.map((row) => [label(row), row.count.toLocaleString("en"), ...[row.least, row.first, row.median, row.third, row.most].map((value) => `${digits(value)}×`)])));
}

/** The subjects that were not timed, and why. */
function skippedSubjects() {
  const reasons = new Map();
  unfolded.machines.forEach((machine, r) => machine?.skipped.forEach(([subject, reason]) => {
    const key = JSON.stringify([subject, reason]);
    reasons.set(key, { subject, reason, some: [...(reasons.get(key)?.some || []), runs[r]] });
  }));
  return notTimed([...reasons.values()]);
}

function notTimed(reasons) {
  if (!reasons.length) return null;
  return h("details", { class: "legend" }, h("summary", {}, `${counted(reasons.length, "subject")} not timed, and why`),
    h("dl", {}, reasons.map(({ subject, reason, some }) => [h("dt", { class: "mono" }, subject), h("dd", {}, reason, some.length < runs.length ? ` (${namesOf(some)})` : null)])));
}
