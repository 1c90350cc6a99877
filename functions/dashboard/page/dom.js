// Creates elements. All content is inserted as text: this page never parses HTML.

const SVG = "http://www.w3.org/2000/svg";

// Allowed link targets: views, this deployment's API, and a place on a map by its degrees. This ensures that
// content of webhooks never becomes a link.
const LINK = /^(#|api\/|openapi\.json$|https:\/\/www\.openstreetmap\.org\/\?mlat=-?\d{1,2}\.\d{6}&mlon=-?\d{1,3}\.\d{6}$)/;

// Characters that are invisible or reorder text. They are shown as code points, so that a text cannot imitate another.
const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/;

/** An element with properties and children. `on…` properties are listeners, all others are attributes. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (name === "style") throw new Error("styles belong in app.css");
    else if (name === "href" && !LINK.test(value)) throw new Error("links can only lead to views and the API");
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, children);
  return element;
}

/** Appends children: nodes, texts or lists of them. Ignores null and false. */
export function put(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

/** Replaces the children of an element. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  return put(parent, ...children);
}

/** An SVG element. Only for drawings of this page, never with content of webhooks. */
export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props ?? {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A decorative icon: one path in a 16 by 16 viewBox. */
export function icon(path) {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true", focusable: "false", class: "icon" },
    svg("path", { d: path }),
  );
}

/** Text from a webhook: isolated direction, invisible characters as code points, long texts collapsed. */
export function untrusted(value, { max = 600, tag = "bdi", ...props } = {}) {
  const text = String(value);
  const element = h(tag, { dir: "auto", ...props, class: `untrusted ${props.class ?? ""}`.trim() });
  if (text.length <= max) return visible(element, text);
  const rest = h("button", { type: "button", class: "link more" }, `Show all ${text.length.toLocaleString()} characters`);
  visible(element, `${cut(text, max)}…`);
  rest.addEventListener("click", () => {
    element.replaceChildren();
    visible(element, text);
    element.tabIndex = -1;
    rest.remove();
    element.focus();
  });
  const both = document.createDocumentFragment();
  both.append(element, " ", rest);
  return both;
}

/** Text from a webhook for places without elements: invisible characters as code points, cut to a length. */
export function plain(value, max = 60) {
  const text = String(value);
  const short = text.length > max ? `${cut(text, max)}…` : text;
  return Array.from(short, (char) => (INVISIBLE.test(char) ? `[${codeOf(char)}]` : char)).join("");
}

const codeOf = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A text cut to a length, never within a surrogate pair. */
export function cut(text, max) {
  return text.slice(0, max).replace(/[\ud800-\udbff]$/, "");
}

function visible(element, text) {
  if (!INVISIBLE.test(text)) {
    element.append(text);
    return element;
  }
  let plain = "";
  for (const char of text) {
    if (!INVISIBLE.test(char)) {
      plain += char;
      continue;
    }
    if (plain) element.append(plain);
    plain = "";
    element.append(h("span", { class: "code-point" }, codeOf(char)));
  }
  if (plain) element.append(plain);
  return element;
}

/** A table with a caption. The first cell of each row is its header. Cells are nodes or texts. */
export function table({ caption, head, rows, foot, numeric = [], className = "" }) {
  const cell = (tag, scope) => (content, column) =>
    h(tag, { scope, class: numeric.includes(column) ? "num" : undefined }, content);
  const row = (cells) =>
    h("tr", null, cells.map((content, column) => (column === 0 ? cell("th", "row") : cell("td"))(content, column)));
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      { class: className },
      h("caption", null, caption),
      h("thead", null, h("tr", null, head.map(cell("th", "col")))),
      h("tbody", null, rows.map(row)),
      foot && h("tfoot", null, row(foot)),
    ),
  );
}
