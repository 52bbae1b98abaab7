// A list with a box and chips of its own: what is typed and pressed is in the address, and only the list is drawn anew.

/**
 * Choices are [{key, value, name, count}]: one value of a key at a time. `draw` is given the place and returns
 * {nodes, words, rows}: the list, what is said of it, and a way to have more of it. Picks are [{key, label, values}]:
 * longer lists of values, each with its words; one that is `whole` has the whole view drawn anew.
 */
function finder(where, label, choices, draw, picks = []) {
  const list = h("div", {}), said = h("p", { class: "found", id: "listed" });
  const found = { nodes: null, rows: null };
  const show = (announced = true) => {
    const drawn = draw(place());
    fill(list, drawn.nodes);
    fill(said, drawn.words);
    found.rows = drawn.rows;
    if (announced) document.getElementById("status").textContent = drawn.words;
  };
  const field = h("input", {
    type: "search", id: "find", class: "find", placeholder: label, "aria-label": label, "aria-describedby": "listed", autocomplete: "off",
    spellcheck: "false", value: where.find || "", oninput: () => { amend({ find: field.value }); show(); },
  });
  const chips = choices.map(({ key, value, name, count }) => {
    const chip = h("button", { type: "button", class: "chip", "aria-pressed": String(where[key] === value), "data-key": key }, name,
      count === undefined ? null : [" ", h("span", { class: "muted" }, count.toLocaleString("en"))]);
    chip.addEventListener("click", () => {
      const pressed = chip.getAttribute("aria-pressed") === "true";
      for (const other of chips) if (other.dataset.key === key) other.setAttribute("aria-pressed", "false");
      chip.setAttribute("aria-pressed", String(!pressed));
      amend({ [key]: pressed ? "" : value });
      show();
    });
    return chip;
  });
  const changed = (pick, value) => {
    amend({ [pick.key]: value });
    if (pick.whole) render(`select-${pick.key}`);
    else show();
  };
  const picked = picks.map((pick) => h("label", { class: "muted" }, `${pick.label} `, h("select", { id: `select-${pick.key}`, onchange: (event) => changed(pick, event.target.value) },
    pick.values.map(([value, words]) => h("option", { value, selected: value === (where[pick.key] || "") }, words)))));
  found.nodes = [h("div", { class: "finder" }, field, h("div", { class: "chips" }, chips), picked), said, list];
  show(false);
  return found;
}

/** A test of texts: every word of the query is in them. */
function finds(query) {
  const wanted = (query || "").toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => wanted.every((word) => text.includes(word));
}

/** A link to a behaviour, or to one subject of it; of a behaviour that no run has, its name. */
function behaviourLink(reference, row = false) {
  const [, id, subject] = reference.match(/^([^[]*)(?:\[(.*)\])?$/s) || [null, reference];
  if (!behaviourByName.has(id)) return h("code", { class: "muted", title: "in none of these runs" }, reference);
  const href = subject ? address({ view: "matrix", q: `behaviour:${id} subject:${subject}` }) : address({ view: "behaviour", id });
  return h("a", { class: "mono", href, "data-row": row }, reference);
}
