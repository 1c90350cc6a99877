// The views and saved views as suggestions of the search field: "Go to Events" opens the view instead of a search, and
// "Go to saved view Events" the saved one.

import { fill, h, plain } from "./dom.js";
import { savedViews } from "./saved.js";

/** Offers the views in the links of `nav`, and the saved ones, in a search field. */
export function suggest(field, nav) {
  const list = h("datalist", { id: "suggestions" });
  field.after(list);
  field.setAttribute("list", list.id);
  field.addEventListener("focus", () => fill(list, targets(nav).map(({ text }) => h("option", { value: text }))));
}

/** The address of the view that a text names, in any letter case if no name has these letters; undefined for a search. */
export function viewOf(text, nav) {
  const all = targets(nav);
  return (all.find((target) => target.text === text) ?? all.find((target) => target.text.toLowerCase() === text.toLowerCase()))?.hash;
}

const targets = (nav) => [
  ...[...nav.querySelectorAll("a")].map((link) => ({ text: `Go to ${link.textContent}`, hash: link.getAttribute("href") })),
  ...savedViews().map(({ name, hash }) => ({ text: `Go to saved view ${plain(name)}`, hash })),
];
