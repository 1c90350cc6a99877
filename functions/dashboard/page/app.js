// Starts the page: session, routing, keys and focus. Each view is loaded when it is opened.
//
// The route is in the hash, because phone numbers must not appear in server logs or referrers.

import { SIGN_IN, get, remove } from "./api.js";
import { fill, h } from "./dom.js";
import { zone } from "./format.js";
import { hashOf } from "./links.js";
import { suggest, viewOf } from "./palette.js";
import { failed, loading } from "./states.js";

const VIEWS = {
  overview: () => import("./overview.js"),
  events: () => import("./explorer.js"),
  message: () => import("./message.js"),
  number: () => import("./number.js"),
  search: () => import("./search.js"),
  live: () => import("./live.js"),
  "dead-letters": () => import("./dead-letters.js"),
};
/** Views with an id in their path. */
const WITH_ID = ["message", "number", "search"];
const ROLES = { viewer: "Viewer", agent: "Agent", operator: "Operator" };

const main = document.getElementById("main");
const search = document.getElementById("search");
const field = document.getElementById("q");
const views = document.getElementById("views");
const account = document.getElementById("account");
const announcer = document.getElementById("announcer");

let session = null;
let current = null;
let signingIn = false;
/** Number of the last call of `show`: a view that loads slowly must not replace a newer one. */
let turn = 0;
// The view that redirected an unsuccessful search; not part of the URL.
let redirectOptions = null;

/** View and parameters of the URL. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name, ...rest] = path.split("/");
  const parameters = Object.fromEntries(new URLSearchParams(query));
  if (!Object.hasOwn(VIEWS, name)) return { name: "overview", parameters: {} };
  if (WITH_ID.includes(name)) {
    let id = rest.join("/");
    try {
      id = decodeURIComponent(id);
    } catch {
      // Not percent-encoded, for example typed by hand: used unchanged.
    }
    if (name !== "message" && !id) return { name: "message", parameters: {} };
    return { name, parameters: { id } };
  }
  return { name, parameters };
}

const hashFor = (name, parameters) => (WITH_ID.includes(name) ? `#/${name}/${encodeURIComponent(parameters)}` : hashOf(name, parameters));

/** Navigates to an address of this page, with a history entry. The current address is loaded again. */
function visit(hash) {
  if (location.hash === hash) show();
  else location.hash = hash;
}

const go = (name, parameters) => visit(hashFor(name, parameters));

/** Navigates to a view, and replaces the current history entry. */
function replace(name, parameters, options = null) {
  redirectOptions = options;
  history.replaceState(null, "", hashFor(name, parameters));
  show();
}

let announcing = null;
function announce(text) {
  // Cleared first: screen readers do not repeat an unchanged text.
  announcer.textContent = "";
  clearTimeout(announcing);
  announcing = setTimeout(() => { announcer.textContent = text; }, 100);
}

async function show() {
  if (!session || signingIn) return;
  const { name, parameters } = route();
  const options = redirectOptions;
  redirectOptions = null;
  const mine = (turn += 1);
  const tab = WITH_ID.includes(name) ? "" : name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const same = current?.name === name && current.id === parameters.id;
  // Other filters keep what is being typed.
  if (!same) field.value = parameters.id ?? "";
  const first = current === null;
  const isNew = current?.name !== name;
  if (isNew) {
    current?.leave.abort();
    current = { name, leave: new AbortController(), id: parameters.id };
    fill(main, loading("the view"));
  }
  let view;
  try {
    view = await VIEWS[name]();
  } catch {
    if (mine !== turn) return;
    // After an update, the files of an old page do not exist any more.
    fill(main, h("h1", { tabindex: "-1" }, "This view could not be loaded"), failed(new Error("The connection failed, or this page was updated since you opened it."), () => location.reload()));
    current = null;
    return;
  }
  // A later call shows the view, also if it is for the same view.
  if (mine !== turn) return;
  document.title = `${view.title(parameters)} · netcore-webhooks`;
  if (!current.view) {
    fill(main);
    current.view = view.mount({ main, signal: current.leave.signal, session, go, replace, announce });
  }
  current.id = parameters.id;
  current.view.update({ ...parameters, ...options });
  // A new view gets the focus on its heading; changed filters keep the focus.
  if (!first && !same) {
    window.scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
}

function startSession(answer) {
  session = answer;
  signingIn = false;
  search.hidden = false;
  // Enabled only now: the first view sets the field, and would delete typed text.
  field.disabled = false;
  views.hidden = false;
  fill(
    account,
    h("span", { class: "role", title: session.may.see_numbers ? "Sees numbers" : "Numbers are redacted" }, ROLES[session.role] ?? session.role),
    session.sign_in && h("button", { type: "button", class: "link", onclick: signOut }, "Sign out"),
  );
  current?.leave.abort();
  current = null;
  return show();
}

async function signOut() {
  try {
    await remove("api/session");
  } catch (error) {
    announce(error.message);
    return;
  }
  showSignIn();
}

async function showSignIn() {
  if (signingIn) return;
  signingIn = true;
  session = null;
  turn += 1;
  current?.leave.abort();
  current = null;
  fill(account);
  search.hidden = true;
  views.hidden = true;
  document.title = "Sign in · netcore-webhooks";
  const signIn = await import("./sign-in.js");
  signIn.show({
    main,
    done: async (answer) => {
      await startSession(answer);
      main.querySelector("h1")?.focus({ preventScroll: true });
    },
  });
}

async function start() {
  // Loaded at the same time as the session.
  VIEWS[route().name]().catch(() => {});
  try {
    await startSession(await get("api/session"));
  } catch (error) {
    if (error.signIn || error.status === 401) return showSignIn();
    fill(main, h("h1", { tabindex: "-1" }, "The dashboard did not start"), failed(error, start));
  }
}

/** Whether a key is typed into a control. */
const isTyping = (element) => element?.closest("input, select, textarea, [contenteditable]") !== null;

window.addEventListener(SIGN_IN, showSignIn);
window.addEventListener("hashchange", show);
window.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  field.focus();
  field.select();
});
document.getElementById("skip").addEventListener("click", (event) => {
  // The hash contains the route, so the link must not change it.
  event.preventDefault();
  main.focus();
});
search.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  const hash = viewOf(text, views);
  if (hash) {
    field.value = "";
    visit(hash);
  } else if (text) go("search", text);
});
suggest(field, views);
document.getElementById("zone").textContent = ` (${zone()})`;

start();
