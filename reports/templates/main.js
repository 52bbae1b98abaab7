// The views and the keys. A further view is a line in VIEWS and a file of its own.

const VIEWS = {
  "": { name: "Overview", draw: overview },
  matrix: { name: "Behaviours", draw: matrix, searches: true },
  differences: { name: runs.length > 1 && "Differences", draw: runs.length > 1 ? differencesView : overview, searches: runs.length > 1 },
  deviations: { name: index.deviations.length > 0 && "Deviations", draw: deviationsView },
  claims: { name: index.claims.rows.length > 0 && "Claims", draw: index.claims.rows.length ? claimsView : overview },
  surface: { name: index.surface.names.length > 0 && "Surface", draw: index.surface.names.length ? surfaceView : overview },
  performance: { name: index.performance && "Performance", draw: index.performance ? performanceView : overview },
  behaviour: { draw: behaviourView },
  cell: { draw: cellView },
};

const QUICK = [
  ["Failed", "status:failed"],
  ["Known", "status:known"],
  ["Could not test", "status:untested"],
  ...(runs.length > 1 ? [["Different", "is:different"]] : []),
  ["Must", "level:must"],
];

const main = document.getElementById("main");
const box = h("input", {
  type: "search", id: "query", autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-keyshortcuts": "/",
  placeholder: "status:fail area:inplace level:must dtype:float16 …", oninput: () => ask(box.value),
});
const ownTitle = document.title;
const scrolled = new Map();
let current = null;
let coming = false; // typing has set the address, and the browser has yet to tell of it

/** What the address asks for and this report has not, in a line; null where it has all of it. */
function lost(where, view) {
  if (view.draw === overview && where.view) return `This report has no view “${where.view}”. This is the overview.`;
  const letters = view.draw === cellView ? [where.run] : view.draw === differencesView ? [where.a, where.b] : [];
  const unknown = letters.filter((letter) => letter && numberOf(letter) < 0);
  if (!unknown.length) return null;
  return `This report has no run ${unknown.join(" and no run ")}. What follows is of ${unknown.length > 1 ? "other runs" : "another run"}.`;
}

/** Draw the view of the address. The focus goes to what is named, or stays where it is. */
function render(focus) {
  const where = place();
  const view = Object.hasOwn(VIEWS, where.view) ? VIEWS[where.view] : VIEWS[""];
  current = view.draw(where);
  const gap = lost(where, view);
  fill(main, gap && h("p", { class: "notice lost" }, gap), current.nodes);
  const tab = main.querySelector(".tabs [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft; // on a telephone they scroll
  document.title = legible(`${current.title} · ${ownTitle}`);
  if (document.activeElement !== box) box.value = where.q || "";
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === (view.draw === overview ? "" : where.view)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const chip of document.querySelectorAll("#search .chip")) chip.setAttribute("aria-pressed", String(words(where.q).includes(chip.dataset.term)));
  if (document.getElementById("found")) box.setAttribute("aria-describedby", "found");
  else box.removeAttribute("aria-describedby");
  if (gap || current.announce) document.getElementById("status").textContent = legible(gap || current.announce);
  if (focus) document.getElementById(focus)?.focus();
}

function words(query) { return (query || "").split(/\s+/).filter(Boolean); }

/** Search, as somebody types. */
function ask(query) {
  const where = place();
  if (Object.hasOwn(VIEWS, where.view) && VIEWS[where.view].searches) {
    amend({ q: query });
    render();
  } else {
    coming = true;
    location.hash = address({ view: "matrix", q: query });
  }
}

function toggleTerm(term) {
  const now = words(box.value);
  const next = now.includes(term) ? now.filter((word) => word !== term) : [...now.filter((word) => word.split(":")[0] !== term.split(":")[0]), term];
  box.value = next.join(" ");
  ask(box.value);
}

/** Another address: another view, from its top; back again: where the reader was. */
function moved(event) {
  if (!coming) { // else what has been typed since is still to be shown
    forget();
    box.value = place().q || "";
  }
  coming = false;
  scrolled.set(new URL(event.oldURL).hash, { y: scrollY, rows: current?.rows?.shown() });
  const typing = document.activeElement === box;
  render();
  const before = scrolled.get(location.hash);
  if (before?.rows) current.rows?.upTo(before.rows);
  scrollTo(0, typing ? scrollY : before ? before.y : 0);
  if (!typing) main.focus({ preventScroll: true });
}

/** Keys: / to search, j and k along the rows, n and p along the cells, Escape to leave the search. */
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape" && event.target === box) {
    if (box.value) { box.value = ""; ask(""); } else box.blur();
    return;
  }
  if (event.key === "ArrowDown" && event.target === box) along(1, event);
  if (typing) return;
  if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); }
  else if (event.key === "j") along(1, event);
  else if (event.key === "k") along(-1, event);
  else if (event.key === "n") document.getElementById("next")?.click();
  else if (event.key === "p") document.getElementById("previous")?.click();
}

function along(step, event) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  event.preventDefault();
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))].focus();
}

const toKnow = notices();
if (toKnow.length) fill(document.getElementById("notices"), toKnow);
else document.getElementById("notices").remove();
fill(document.getElementById("views"), Object.entries(VIEWS).filter(([, view]) => view.name).map(([key, view]) =>
  h("a", { href: address({ view: key }), "data-view": key }, view.name)));
fill(document.getElementById("search"),
  h("form", { role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", { for: "query", class: "unseen" }, "Search behaviours"), box, h("kbd", { "aria-hidden": "true" }, "/")),
  h("div", { class: "chips" }, QUICK.map(([name, term]) =>
    h("button", { type: "button", class: "chip", "data-term": term, "aria-pressed": "false", onclick: () => toggleTerm(term) }, name)),
    h("details", { class: "help" }, h("summary", {}, "Search terms and keys"), terms(),
      h("p", { class: "muted" }, "Keys: / to search, j and k along the rows, n and p along the cells of a search."))));
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
if ("scrollRestoration" in history) history.scrollRestoration = "manual";
addEventListener("hashchange", moved);
addEventListener("keydown", pressed);
addEventListener("click", settle, true); // before a link leads away from here
addEventListener("beforeprint", () => {
  current.rows?.upTo(Infinity);
  for (let rest; (rest = main.querySelector(".rest"));) rest.click(); // a button on paper would hide what it holds
  for (const details of document.querySelectorAll("main details:not(.unfolds), .notice details")) details.open = true;
});
render();
document.documentElement.dataset.ready = Math.round(performance.now());
