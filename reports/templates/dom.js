// Elements. Text goes in as text and never as markup, so nothing of a run is ever parsed as HTML.

const HTTP = /^https?:\/\//i;
// they turn the words around them round, ours too
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Make an element: attributes, "on…" listeners and children; null and false are left out. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(legible(child)));
  }
}

/** Text with escapes in the place of what changes the direction of writing. */
function legible(value) {
  return String(value).replace(DIRECTIONS, (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** Put the children in the place of whatever the element holds. */
function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** A link out, for an address that a browser fetches by http; any other address is shown as text. */
function outward(address, ...children) {
  if (!address) return null;
  if (!HTTP.test(address)) return h("span", { class: "mono" }, address);
  return h("a", { href: address, rel: "noreferrer noopener", class: "outward" }, children.length ? children : address);
}

/** "1 cell", "2,810 cells". */
function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function seconds(value) {
  if (value === null || value === undefined) return "unknown";
  if (value >= 120) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  if (value >= 1) return `${value.toFixed(1)} s`;
  return `${Number((value * 1000).toPrecision(2))} ms`;
}

/** Code, with a button that copies it. A program keeps its lines, and scrolls sideways where they are long. */
function code(text, name, kind = "") {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${name}` }, "Copy");
  button.addEventListener("click", () => {
    copy(text).then(
      () => announce(button, "Copied"),
      () => { select(shown); announce(button, "Selected: press Ctrl+C"); },
    );
  });
  const shown = h("code", {}, text);
  return h("div", { class: `code ${kind}` }, button, h("pre", { tabindex: "0", role: "region", "aria-label": name }, shown));
}

function announce(button, words) {
  button.textContent = words;
  document.getElementById("status").textContent = words;
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

async function copy(text) {
  if (navigator.clipboard) {
    try {
      return await navigator.clipboard.writeText(text);
    } catch { /* some browsers refuse it to a file: fall through to the old way */ }
  }
  const area = h("textarea", { class: "unseen", readonly: true, tabindex: "-1", "aria-hidden": "true" });
  const focused = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.focus({ preventScroll: true });
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true }); // whoever pressed the button by keyboard is still there
  if (!done) throw new Error("refused");
}

/** Mark all of an element, for hands that copy it themselves. */
function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}
