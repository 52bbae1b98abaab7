// The surface: the documented names of the builds, and the behaviours that name each of them.

const surfaceNames = index.surface.names.map(([name, set, having]) => ({ name, having, behaviours: index.surface.sets[set], place: name.slice(0, name.lastIndexOf(".")), text: name.toLowerCase() }));

const allPlaces = new Map(byPlace(surfaceNames));

function surfaceView(where) {
  const named = surfaceNames.filter((each) => each.behaviours.length).length;
  const choices = [
    { key: "named", value: "yes", name: "Named", count: named },
    { key: "named", value: "no", name: "Not named", count: surfaceNames.length - named },
  ];
  const values = [["", "all modules and classes"], ...[...allPlaces].map(([place, some]) => [place, `${place}: ${shareNamed(some)}`])];
  const found = finder(where, "Search documented names", choices, listOfNames, [{ key: "place", label: "In", values }]);
  return {
    title: "Surface",
    nodes: [
      h("h1", { class: "title" }, "Documented names"),
      h("p", { class: "lede" }, `${named.toLocaleString("en")} of ${surfaceNames.length.toLocaleString("en")} names that have a docstring in ${runs.length > 1 ? "these builds" : "this build"} are named by a behaviour of the suite, as its subject or as the place of its documentation. `,
        "A name with behaviours is not covered whole, and one without may be used by the checks of others."),
      found.nodes,
    ],
    get rows() { return found.rows; },
  };
}

function listOfNames(where) {
  const test = finds(where.find);
  const matching = surfaceNames.filter((each) => test(each.text) && (!where.place || each.place === where.place) && (!["yes", "no"].includes(where.named) || (where.named === "yes") === each.behaviours.length > 0));
  const items = byPlace(matching).flatMap(([place, some]) => [{ place, some }, ...some]);
  const body = h("tbody", {}), more = h("p", { class: "more" });
  return {
    nodes: [matching.length ? h("table", { class: "matrix surface" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Name"), h("th", { scope: "col" }, "Behaviours"))), body) : null, more],
    words: !matching.length ? "No documented name matches." : matching.length === surfaceNames.length ? `${counted(surfaceNames.length, "name")}.` : `${counted(matching.length, "name")} of ${surfaceNames.length.toLocaleString("en")}.`,
    rows: lazily(items, body, more, surfaceRow, "names"),
  };
}

/** Names by the module or class that they are of: [place, names], the places in order. */
function byPlace(names) {
  const places = new Map();
  for (const each of names) {
    if (!places.has(each.place)) places.set(each.place, []);
    places.get(each.place).push(each);
  }
  return [...places].sort(([one], [other]) => (one < other ? -1 : 1));
}

function surfaceRow(item) {
  if (item.some) {
    return [h("tr", { class: "area" }, h("th", { scope: "rowgroup" }, item.place), h("td", {}, shareNamed(allPlaces.get(item.place))))];
  }
  const ids = item.behaviours.map((number) => index.surface.behaviours[number]);
  const some = item.having.map((r) => runs[r]);
  const list = h("ul", { class: "naming" });
  const unfold = (event) => { if (event.target.open && !list.firstChild) append(list, ids.map((id) => h("li", {}, behaviourLink(id), statementOf(id)))); };
  return [h("tr", { class: "name" },
    h("th", { scope: "row" }, ids.length ? h("details", { class: "unfolds", ontoggle: unfold }, h("summary", { class: "mono", "data-row": true }, item.name), list) : h("span", { class: "mono" }, item.name),
      some.length < runs.length ? h("small", {}, `with a docstring in ${namesOf(some)} only`) : null),
    h("td", {}, ids.length ? ids.length.toLocaleString("en") : h("span", { class: "muted" }, "none")))];
}

/** "36 of 165": how many of some names a behaviour names. */
function shareNamed(some) {
  return `${some.filter((each) => each.behaviours.length).length.toLocaleString("en")} of ${some.length.toLocaleString("en")}`;
}

function statementOf(id) {
  const b = behaviourByName.get(id);
  return b === undefined ? null : h("span", { class: "statement" }, " ", behaviours[b].statement);
}
