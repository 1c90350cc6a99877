// The search: one field for everything that a customer's system knows. Shows what was found, and of which kind.

import { get, latest } from "./api.js";
import { fill, h, untrusted } from "./dom.js";
import { messageLink, numberLink } from "./events.js";
import { plural, when } from "./format.js";
import { hashOf } from "./links.js";
import { empty, into } from "./states.js";
import { chip } from "./status.js";
import { nameOf } from "./story.js";

const LIMIT = 50;
const KINDS = {
  message: ["Message", "Messages with this id"],
  recipient: ["Person", "People"],
  request: ["Message", "Messages of this request id"],
  callback: ["Message", "Messages with this callback data"],
  campaign: ["Campaign", "Campaigns"],
  tag: ["Tag", "Tags"],
};

export const title = ({ id }) => (id ? "Search" : "Find a message");

export function mount({ main, signal, replace, announce }) {
  const run = latest(signal);
  const body = h("div", { class: "results" });
  fill(main, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Search")), body);

  const ask = (text) => (inner) => get("api/search", { q: text, limit: LIMIT }, { signal: inner });

  return {
    update({ id }) {
      fill(body);
      into(body, "the search", run, ask(id), (answer) => {
        const [only] = answer.found;
        if (answer.found.length === 1 && (only.kind === "message" || !leftOut(answer))) {
          if (only.kind === "recipient" && openable(only.recipient)) return replace("number", only.recipient);
          if (only.message_id && openable(nameOf(only))) return replace("message", nameOf(only));
        }
        show(id, answer);
      });
    },
  };

  function show(text, answer) {
    if (!answer.found.length) {
      fill(
        body,
        empty(
          "Nothing found",
          h("p", null, "Nothing found for ", untrusted(text, { max: 120, tag: "code" }), "."),
          h("p", null, "The search finds complete message ids, request ids and callback data, numbers and their last digits, e-mail addresses, and names of campaigns. Events expire after the retention time."),
          h("p", null, h("a", { href: `#/message/${encodeURIComponent(text)}` }, "Open it as a message id")),
        ),
      );
      announce("Nothing found.");
      return;
    }
    const kinds = [...new Set(answer.found.map(({ kind }) => kind))];
    const more = leftOut(answer);
    const summary = `${plural(answer.found.length, "result")}${more ? `, and ${more === true ? "more" : plural(more, "more result")} that ${more === 1 ? "is" : "are"} not shown` : ""}.`;
    fill(
      body,
      h("p", { class: "summary-line" }, summary),
      kinds.map((kind) => section(kind, answer.found.filter((one) => one.kind === kind))),
    );
    announce(summary);
  }
}

/** Whether a name can be opened: a redacted one cannot. */
const openable = (name) => Boolean(name) && !name.includes("*");

/** Number of results that the response leaves out, or `true` if it is unknown. */
const leftOut = ({ left_out: count, truncated }) => count || truncated || 0;

function section(kind, found) {
  const [, heading] = KINDS[kind] ?? [kind, kind];
  const id = `found-${kind.replace(/\W/g, "")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, heading), h("ul", { class: "found" }, found.map((one) => h("li", null, result(one)))));
}

function result(one) {
  const { kind, name } = one;
  if (kind === "campaign" || kind === "tag") return h("a", { href: hashOf("events", { [kind]: name }) }, untrusted(name, { max: 120 }));
  return [
    kind === "recipient" ? numberLink(one.recipient) : one.message_id && messageLink(one.message_id, nameOf(one)),
    kind !== "recipient" && one.recipient && h("span", null, h("span", { class: "muted" }, "to "), numberLink(one.recipient)),
    one.state && chip(one.state),
    Number.isFinite(one.event_time) && h("span", null, h("span", { class: "muted" }, "last event "), when(one.event_time)),
  ].filter(Boolean).flatMap((node, index) => (index ? [" ", node] : [node]));
}
