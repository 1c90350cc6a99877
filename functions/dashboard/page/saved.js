// Saved views: names for addresses of this page, kept in the browser's storage.

import { fill, h, plain } from "./dom.js";

const KEY = "netcore-webhooks.views";
const MAX_VIEWS = 30;
const MAX_NAME = 60;
const MAX_HASH = 2000;
/** Only views of figures and lists: the address of a person or a message is personal data. */
const SAVABLE = /^#\/(overview|events|live)\b/;

const isView = (view) => typeof view?.name === "string" && typeof view.hash === "string" && view.name.length <= MAX_NAME && view.hash.length <= MAX_HASH && SAVABLE.test(view.hash);

/** The saved views; none if the storage is off or has other content. */
export function savedViews(storage = localStorage) {
  try {
    const all = JSON.parse(storage.getItem(KEY) ?? "[]");
    return Array.isArray(all) ? all.filter(isView).slice(0, MAX_VIEWS) : [];
  } catch {
    return [];
  }
}

/** A menu of the saved views, with a form to save the current one. */
export function savedMenu({ announce }) {
  const list = h("ul", { class: "menu-list" });
  const name = h("input", { id: "view-name", maxlength: MAX_NAME, required: true, autocomplete: "off" });
  const message = h("p", { class: "form-error", role: "alert" });
  const form = h("form", { class: "menu-form" }, h("label", { for: "view-name" }, "Name of this view"), name, h("button", { type: "submit" }, "Save"), message);
  const label = h("summary", null, "Saved views");
  const box = h("details", { class: "menu" }, label, h("div", { class: "menu-box" }, list, form));

  function write(views) {
    try {
      localStorage.setItem(KEY, JSON.stringify(views));
      return true;
    } catch {
      fill(message, "This browser does not allow this page to store views.");
      return false;
    }
  }

  function draw() {
    const views = savedViews();
    fill(
      list,
      views.length ? null : h("li", { class: "muted" }, "No saved views yet."),
      views.map((view) =>
        h(
          "li",
          null,
          h("a", { href: view.hash, onclick: () => { box.open = false; } }, plain(view.name)),
          h("button", { type: "button", class: "link", "aria-label": `Remove ${plain(view.name)}`, onclick: () => { if (write(savedViews().filter((other) => other.name !== view.name))) { draw(); label.focus(); announce("Removed."); } } }, "Remove"),
        ),
      ),
    );
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fill(message);
    const view = { name: name.value.trim(), hash: location.hash || "#/overview" };
    const others = savedViews().filter((other) => other.name !== view.name);
    if (!isView(view) || !view.name) return fill(message, "This view cannot be saved.");
    if (others.length >= MAX_VIEWS) return fill(message, `At most ${MAX_VIEWS} views can be saved. Remove one first.`);
    if (!write([...others, view])) return;
    name.value = "";
    draw();
    announce("Saved.");
  });
  box.addEventListener("toggle", () => box.open && draw());
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    box.open = false;
    label.focus();
  });
  draw();
  return box;
}
