// The search box: "status:fail area:inplace level:must dtype:float16 subject:add_ is:different free words".
// All terms must hold, of one cell in one run; a comma means or; a leading minus means not; * stands for anything.

const TERMS = {
  status: "a verdict (fail, known, not-applicable …) or a group (failed, passed, untested)",
  area: "an area, as inplace",
  behaviour: "a behaviour, as returns-self",
  level: "must, should or may",
  subject: "a subject, as add_ or add*",
  target: "a device, as cpu or cuda",
  dtype: "a dtype that the cell met or the device refused",
  run: "a run by its letter or its torch version",
  doc: "the quoted phrase: quoted, changed, missing or unchecked",
  is: "different: the runs disagree",
};

const statuses = [...index.verdicts.map((verdict) => verdict.verdict), ...GROUP_ORDER.filter((name) => name !== "error" && name !== "known")];

/** Read a query into terms, and the faults in it. */
function parseQuery(text) {
  const terms = [], faults = [];
  for (const match of text.matchAll(/(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi)) {
    const [whole, minus, key, quoted, bare] = match;
    const value = (quoted ?? bare ?? "").toLowerCase();
    const not = minus === "-" && (key !== undefined || value !== "");
    if (key === undefined) {
      if (value && !unfinished(value)) terms.push({ key: "text", values: [value], not, whole });
    } else if (!Object.hasOwn(TERMS, key.toLowerCase())) {
      faults.push(`There is no term “${key}:”. The terms are ${Object.keys(TERMS).join(", ")}. To search for these words, put them in quotes.`);
    } else if (value) {
      terms.push({ key: key.toLowerCase(), values: value.split(",").filter(Boolean), not, whole });
    }
  }
  for (const { key, values, whole } of terms) {
    const known = { status: statuses, level: index.levels, is: ["different"] }[key];
    const unknown = known && values.find((value) => !known.some((name) => name.startsWith(value)));
    if (unknown) faults.push(`“${whole}” finds nothing: there is no “${unknown}”. There are ${known.join(", ")}.`);
  }
  return { terms, faults };
}

/** Whether this is a term whose value is still to be typed. */
function unfinished(word) {
  return word.endsWith(":") && Object.hasOwn(TERMS, word.slice(0, -1));
}

/** A pattern with * as a test of a whole name. */
function pattern(value) {
  const parts = value.split("*");
  return (name) => {
    if (!name.startsWith(parts[0])) return false;
    let at = parts[0].length;
    for (const part of parts.slice(1, -1)) {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    const last = parts[parts.length - 1];
    return name.length - last.length >= at && name.endsWith(last);
  };
}

/**
 * A test of names, for the values of a term. A value means the name that is exactly it; where there is none,
 * it means the names that begin with it: so cuda means cuda:0, and half a word already finds something.
 */
function meaning(values, names) {
  const lower = new Set(names.map((name) => name.toLowerCase()));
  const tests = values.map((value) => {
    if (value.includes("*")) return pattern(value);
    if (lower.has(value)) return (name) => name === value;
    return (name) => name.startsWith(value);
  });
  return (name) => tests.some((test) => test(name.toLowerCase()));
}

const behaviourText = behaviours.map((behaviour) =>
  [behaviour.id, behaviour.statement, behaviour.docs.object, behaviour.docs.says, behaviour.note, areaOf.get(behaviour.area)?.title]
    .filter(Boolean).join("\n").toLowerCase());
const lowerStrings = index.strings.map((string) => string.toLowerCase());
const documentationWords = { q: "quoted", c: "changed", m: "missing", u: "unchecked", ".": "" };

/**
 * A term as two tests: of the cell alone, and of the cell in one run. The term holds where either does.
 * There are ten times as many of the second kind to make, so what can be said of the cell alone is.
 */
function compileTerm({ key, values }) {
  switch (key) {
    case "status": {
      const test = meaning(values, statuses);
      const yes = index.verdicts.map((verdict) => test(verdict.verdict) || test(verdict.group));
      return { ofRun: (cell, run) => yes[results[run][cell]] };
    }
    case "area": return ofBehaviour(meaning(values, areas.map((area) => area.area)), "area");
    case "level": return ofBehaviour(meaning(values, index.levels), "level");
    case "behaviour": {
      const key = values.some((value) => value.includes(".")) ? "id" : "behaviour";
      return ofBehaviour(meaning(values, behaviours.map((behaviour) => behaviour[key])), key);
    }
    case "subject": return ofColumn(values, index.subjects);
    case "target": return ofColumn(values, index.targets);
    case "dtype": {
      const test = meaning(values, [...new Set(index.sets.flat())]);
      const yes = index.sets.map((set) => set.some(test));
      return { ofRun: (cell, run) => yes[index.dtypes[run][cell]] };
    }
    case "run": {
      const yes = runs.map((run) => values.some((v) => run.letter.toLowerCase() === v || run.torch.toLowerCase().startsWith(v)));
      return { ofRun: (cell, run) => yes[run] };
    }
    case "doc": return { ofRun: (cell, run) => values.includes(documentationWords[index.documentation[run][cell]]) };
    case "is": return { ofCell: differs };
    default: {
      const inBehaviour = behaviourText.map((text) => text.includes(values[0]));
      const inString = lowerStrings.map((text) => text.includes(values[0]));
      return {
        ofCell: (cell) => inBehaviour[behaviourOf[cell]] || inString[index.subjects[cell]] || inString[index.targets[cell]],
        ofRun: (cell, run) => inString[headlines[run].get(cell)] === true,
      };
    }
  }
}

function ofBehaviour(test, key) {
  const yes = behaviours.map((behaviour) => test(behaviour[key]));
  return { ofCell: (cell) => yes[behaviourOf[cell]] };
}

/** A column holds numbers of names: a table of yes and no, so that a cell costs one look-up. */
function ofColumn(values, column) {
  const used = new Set(column);
  const test = meaning(values, [...used].map((number) => index.strings[number]));
  const yes = index.strings.map((string, number) => used.has(number) && test(string));
  return { ofCell: (cell) => yes[column[cell]] };
}

/** The cells that the query means, in order, and the faults of the query. */
function search(text) {
  const { terms, faults } = parseQuery(text);
  const tests = terms.map((term) => ({ ...compileTerm(term), not: term.not }));
  const cells = [], open = []; // open: the terms that the cell alone does not settle
  next: for (let cell = 0; cell < cellCount && !faults.length; cell++) {
    open.length = 0;
    for (const test of tests) {
      const yes = test.ofCell ? test.ofCell(cell) : false;
      if (!yes && test.ofRun) open.push(test);
      else if (yes === test.not) continue next;
    }
    for (let run = 0; run < runs.length; run++) {
      if (results[run][cell] !== NO_VERDICT && holds(open, cell, run)) {
        cells.push(cell);
        break;
      }
    }
  }
  return { cells, faults, all: terms.length === 0 };
}

function holds(tests, cell, run) {
  for (const test of tests) if (test.ofRun(cell, run) === test.not) return false;
  return true;
}
