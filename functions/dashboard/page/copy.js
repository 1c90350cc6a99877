// Copies texts to the clipboard.

import { h } from "./dom.js";

/** Copies a text. Without TLS, browsers have no clipboard for pages, so that a hidden field is copied instead. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = h("textarea", { class: "visually-hidden", value: text, readonly: true });
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  if (!done) throw new Error("the browser does not allow it");
}

/** A button that copies a text. `make` returns the text; `announce` reports the result. */
export function copyButton(label, make, announce, props = {}) {
  const button = h("button", { type: "button", ...props, onclick: async () => {
    const text = make();
    try {
      await copy(text);
      button.textContent = "Copied";
      announce(`Copied: ${text.slice(0, 200)}`);
    } catch {
      button.textContent = "Not copied";
      announce("The browser did not allow copying.");
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  } }, label);
  return button;
}
