// Starts the page: session, routing and focus.
//
// The route is in the hash, because phone numbers must not appear in server logs or referrers.

import { SIGN_IN, get, remove } from "./api.js";
import { fill, h } from "./dom.js";
import { looksLikePerson, zone } from "./format.js";
import { failed } from "./states.js";
import * as deadLetters from "./dead-letters.js";
import * as live from "./live.js";
import * as message from "./message.js";
import * as number from "./number.js";
import * as overview from "./overview.js";
import * as signIn from "./sign-in.js";

const VIEWS = { overview, message, number, live, "dead-letters": deadLetters };
const ROLES = { viewer: "Viewer", agent: "Agent", operator: "Operator" };

const main = document.getElementById("main");
const search = document.getElementById("search");
const field = document.getElementById("q");
const account = document.getElementById("account");
const announcer = document.getElementById("announcer");

let session = null;
let current = null;
let signingIn = false;
// The view that redirected an unsuccessful search; not part of the URL.
let redirectOptions = null;

/** View and parameters of the URL. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name, ...rest] = path.split("/");
  const parameters = Object.fromEntries(new URLSearchParams(query));
  if (!Object.hasOwn(VIEWS, name)) return { name: "overview", parameters: {} };
  if (name === "message" || name === "number") {
    let id = rest.join("/");
    try {
      id = decodeURIComponent(id);
    } catch {
      // Not percent-encoded, for example typed by hand: used unchanged.
    }
    if (name === "number" && !id) return { name: "message", parameters: {} };
    return { name, parameters: { id } };
  }
  return { name, parameters };
}

function hashOf(name, parameters) {
  if (name === "message" || name === "number") return `#/${name}/${encodeURIComponent(parameters)}`;
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return `#/${name}${query ? `?${query}` : ""}`;
}

/** Navigates to a view, with a history entry. */
function go(name, parameters) {
  const hash = hashOf(name, parameters);
  if (location.hash === hash) show();
  else location.hash = hash;
}

/** Navigates to a view, and replaces the current history entry. */
function replace(name, parameters, options = null) {
  redirectOptions = options;
  history.replaceState(null, "", hashOf(name, parameters));
  show();
}

let announcing = null;
function announce(text) {
  // Cleared first: screen readers do not repeat an unchanged text.
  announcer.textContent = "";
  clearTimeout(announcing);
  announcing = setTimeout(() => { announcer.textContent = text; }, 100);
}

function show() {
  if (!session || signingIn) return;
  const { name, parameters } = route();
  const options = redirectOptions;
  redirectOptions = null;
  const view = VIEWS[name];
  document.title = `${view.title(parameters)} · netcore-webhooks`;
  const tab = name === "number" ? "message" : name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  field.value = parameters.id ?? "";
  const same = current?.name === name && current.id === parameters.id;
  const first = current === null;
  if (current?.name !== name) {
    current?.leave.abort();
    const leave = new AbortController();
    current = { name, leave };
    fill(main);
    current.view = view.mount({ main, signal: leave.signal, session, go, replace, announce });
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
  document.getElementById("views").hidden = false;
  fill(
    account,
    h("span", { class: "role", title: session.may.see_numbers ? "Sees numbers" : "Numbers are redacted" }, ROLES[session.role] ?? session.role),
    session.sign_in && h("button", { type: "button", class: "link", onclick: signOut }, "Sign out"),
  );
  current?.leave.abort();
  current = null;
  show();
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

function showSignIn() {
  if (signingIn) return;
  signingIn = true;
  session = null;
  current?.leave.abort();
  current = null;
  fill(account);
  search.hidden = true;
  document.getElementById("views").hidden = true;
  document.title = "Sign in · netcore-webhooks";
  signIn.show({
    main,
    done: (answer) => {
      startSession(answer);
      main.querySelector("h1")?.focus({ preventScroll: true });
    },
  });
}

async function start() {
  try {
    startSession(await get("api/session"));
  } catch (error) {
    if (error.signIn || error.status === 401) return showSignIn();
    fill(main, h("h1", { tabindex: "-1" }, "The dashboard did not start"), failed(error, start));
  }
}

window.addEventListener(SIGN_IN, showSignIn);
window.addEventListener("hashchange", show);
document.getElementById("skip").addEventListener("click", (event) => {
  // The hash contains the route, so the link must not change it.
  event.preventDefault();
  main.focus();
});
search.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!text) return;
  go(looksLikePerson(text) ? "number" : "message", text);
});
document.getElementById("zone").textContent = ` (${zone()})`;

start();
