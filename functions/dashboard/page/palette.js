// The views and saved views as suggestions of the search field: "Go to Events" opens the view instead of a search.

import { fill, h, plain } from "./dom.js";
import { savedViews } from "./saved.js";

const PREFIX = "Go to ";

/** Offers the views in the links of `nav`, and the saved ones, in a search field. */
export function suggest(field, nav) {
  const list = h("datalist", { id: "suggestions" });
  field.after(list);
  field.setAttribute("list", list.id);
  field.addEventListener("focus", () => fill(list, targets(nav).map(({ text }) => h("option", { value: text }))));
}

/** The address of the view that a text names; undefined for a search. */
export const viewOf = (text, nav) => targets(nav).find((target) => target.text.toLowerCase() === text.toLowerCase())?.hash;

const targets = (nav) => [
  ...[...nav.querySelectorAll("a")].map((link) => ({ text: PREFIX + link.textContent, hash: link.getAttribute("href") })),
  ...savedViews().map(({ name, hash }) => ({ text: PREFIX + plain(name), hash })),
];
