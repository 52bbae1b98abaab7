// Where the reader is: the view, its subject, and the query, all in the part of the address after #.

/** Everything but what would end the address, so that a link reads like the id that it leads to. */
function readable(text) {
  return encodeURIComponent(text).replace(/%(5B|5D|3A|2C|2F|20)/gi, (code) => (code === "%20" ? "+" : decodeURIComponent(code)));
}

/** The address of a place: {view, id, q, run, …}. */
function address({ view = "", id = "", ...rest }) {
  const path = `#/${view}${id ? "/" + encodeURIComponent(id).replace(/%(5B|5D|3A|2C)/gi, decodeURIComponent) : ""}`;
  const parts = Object.entries(rest).filter(([, value]) => value).map(([key, value]) => `${key}=${readable(value.trim())}`);
  return parts.length ? `${path}?${parts.join("&")}` : path;
}

let pending = null, timer = 0; // a place that the bar does not show yet

/** Where the reader is. The overview has no name, and answers to its own. */
function place() {
  if (pending) return { ...pending };
  const [path, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const [anchor, view = "", ...rest] = path.split("/");
  const asked = decoded(anchor && !document.getElementById(anchor) ? anchor : view);
  const found = { view: asked === "overview" ? "" : asked, id: decoded(rest.join("/")) };
  for (const part of query.split("&").filter(Boolean)) {
    const [key, value = ""] = part.split(/=(.*)/s);
    if (key !== "view" && key !== "id" && key !== "__proto__") found[key] = decoded(value.replace(/\+/g, " "));
  }
  return found;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Change parts of the place without a new entry in the history: what typing does. */
function amend(changes) {
  pending = { ...place(), ...changes };
  clearTimeout(timer);
  timer = setTimeout(settle, 200); // browsers refuse to have the address written at every keystroke
}

/** The reader has gone elsewhere. */
function forget() {
  clearTimeout(timer);
  pending = null;
}

/** Show in the bar where the reader is. */
function settle() {
  if (!pending) return;
  const hash = address(pending);
  forget();
  try {
    history.replaceState(history.state, "", hash);
  } catch {
    location.replace(hash); // a browser that lets no script write the address of a file
  }
}
