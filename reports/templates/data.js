// The data: the index is read at once, the details of a behaviour when somebody looks at it.

const index = JSON.parse(document.getElementById("index").textContent);
const { runs, areas, behaviours } = index;
const cellCount = index.names.length;
const NO_VERDICT = 255;

/** Verdicts as numbers, one array for each run; NO_VERDICT where the run has none for the cell. */
const results = index.results.map((text) => {
  const array = new Uint8Array(cellCount);
  for (let i = 0; i < cellCount; i++) array[i] = text[i] === "." ? NO_VERDICT : text.charCodeAt(i) - 48;
  return array;
});

/** The behaviour of each cell, as a number. */
const behaviourOf = new Uint32Array(cellCount);
behaviours.forEach((_, b) => behaviourOf.fill(b, index.starts[b], index.starts[b + 1]));

const GROUP_ORDER = ["failed", "error", "known", "passed", "untested"];
const groupOf = Uint8Array.from(index.verdicts, (verdict) => GROUP_ORDER.indexOf(verdict.group));
const areaOf = new Map(areas.map((area) => [area.area, area]));
const behaviourByName = new Map(behaviours.map((behaviour, b) => [behaviour.id, b]));

const headlines = index.headlines.map((flat) => {
  const map = new Map();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
  return map;
});

function verdictOf(run, cell) {
  const number = results[run][cell];
  return number === NO_VERDICT ? null : index.verdicts[number];
}

function cellId(cell) {
  const name = index.names[cell], behaviour = behaviours[behaviourOf[cell]].id;
  return name.startsWith("[") ? behaviour + name : name;
}

let numberOfCell = null;
function cellByName(id) {
  if (!numberOfCell) {
    numberOfCell = new Map();
    for (let i = 0; i < cellCount; i++) numberOfCell.set(cellId(i), i);
  }
  return numberOfCell.get(id);
}

function subjectOf(cell) { return index.strings[index.subjects[cell]]; }
function targetOf(cell) { return index.strings[index.targets[cell]]; }

/** "add_ on cpu". */
function cellTitle(cell) {
  return subjectOf(cell) ? `${subjectOf(cell)} on ${targetOf(cell)}` : `on ${targetOf(cell)}`;
}

/** Counts of a run's verdicts over cells: an array in the order of index.verdicts, and the cells without one. */
function countVerdicts(run, cells) {
  const counts = new Array(index.verdicts.length).fill(0), array = results[run];
  let none = 0;
  for (const cell of cells) {
    if (array[cell] === NO_VERDICT) none++;
    else counts[array[cell]]++;
  }
  return { counts, none };
}

/** The run that has the gravest verdict for the cell, the first of them. */
function gravest(cell) {
  let found = 0, least = 99;
  results.forEach((array, run) => {
    const gravity = array[cell] === NO_VERDICT ? 99 : groupOf[array[cell]];
    if (gravity < least) [found, least] = [run, gravity];
  });
  return found;
}

let disagreements = null;

/** Whether the runs that have a verdict for the cell disagree. */
function differs(cell) {
  disagreements ??= index.names.map((_, number) => disagree(number));
  return disagreements[cell];
}

function disagree(cell) {
  let first = NO_VERDICT;
  for (const array of results) {
    const verdict = array[cell];
    if (verdict === NO_VERDICT) continue;
    if (first === NO_VERDICT) first = verdict;
    else if (verdict !== first) return true;
  }
  return false;
}

let packed = null;
const unpacked = new Map();

/** The details of a behaviour's cells: an array over cells of an array over runs of a result, or null. */
function detailsOf(b) {
  if (!unpacked.has(b)) unpacked.set(b, unpack(b));
  return unpacked.get(b);
}

/** What a packed text holds. */
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function unpack(b) {
  packed ??= JSON.parse(document.getElementById("details").textContent);
  const { fields, pool, rows } = await inflated(packed[b]);
  const result = (numbers) => {
    if (!numbers) return null;
    const found = { seconds: numbers[0] };
    fields.forEach((field, i) => { found[field] = pool[numbers[i + 1]]; });
    const flat = found.evidence;
    found.evidence = new Map();
    for (let i = 0; i < flat.length; i += 2) found.evidence.set(pool[flat[i]], pool[flat[i + 1]]);
    return found;
  };
  return rows.map((row) => row.map(result));
}
