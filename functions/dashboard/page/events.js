// Renders events, in the same way in all views.

import { h, untrusted } from "./dom.js";
import { figure, personKind, utc, when } from "./format.js";
import { badge, chip, tone } from "./status.js";
import { answeredOf, keyOf, nameOf, textOf } from "./story.js";

// Order of the fields in an event's details; other fields follow.
const NAMES = {
  message_id: "Message id",
  status: "Status",
  status_key: "Status key",
  channel: "Channel",
  event_time: "Happened",
  received_at: "Arrived here",
  stored_at: "Stored",
  recipient: "Person",
  identities: "Also known as",
  provider: "Provider",
  format: "Format",
  bot_id: "Bot",
  campaign: "Campaign",
  tags: "Tags",
  message_type: "Message type",
  remarks: "Remarks",
  opened_by: "Opened by",
  last_channel: "Channel before",
  request_id: "Request id",
  callback_data: "Callback data",
  source: "Source",
  in_reply_to: "In reply to",
  click: "Click",
  content: "Content",
  pricing: "Price",
  late: "Arrived late",
  undated: "Has no usable time",
  extra: "Other fields",
  envelope: "Fields beside the record",
  as_sent: "As it was sent",
  verbatim: "The record as it was sent",
  expires_at: "Kept until",
};
/** Fields that are only used for links. */
const TOKENS = ["token", "in_reply_to_token"];
/** Fields with times, and their unit in milliseconds. */
const TIMES = { event_time: 1, received_at: 1, stored_at: 1, expires_at: 1000 };

/** A link to a message by its id, or by its token if the id is redacted; plain text if there is no token. */
export function messageLink(id, name = id) {
  const shown = untrusted(id, { max: 120 });
  if (name.includes("*")) return shown;
  return h("a", { href: `#/message/${encodeURIComponent(name)}` }, shown);
}

/** A link to a person's events; plain text if the number is redacted. */
export function numberLink(number) {
  if (!number) return null;
  const shown = untrusted(number, { max: 40 });
  if (number.includes("*")) return shown;
  return h("a", { href: `#/number/${encodeURIComponent(number)}` }, shown);
}

/** The texts of an event: the reason of a failure, or the text of a click or message. */
export function remark(event) {
  const words = textOf(event);
  const parts = [];
  if (event.remarks) parts.push(h("span", { class: "remark" }, untrusted(event.remarks)));
  if (words) parts.push(h("q", { class: "quote" }, untrusted(words)));
  return parts;
}

/** All stored fields of an event, collapsed. */
export function details(event) {
  const box = h("details", { class: "details" }, h("summary", null, "All fields"));
  // Created when opened, because most are never opened.
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1) box.append(fields(event));
  });
  return box;
}

function fields(event) {
  const names = [...Object.keys(NAMES), ...Object.keys(event)].filter((name, index, all) => name in event && all.indexOf(name) === index);
  return h(
    "dl",
    null,
    names.filter((name) => !TOKENS.includes(name)).map((name) => [h("dt", null, NAMES[name] ?? untrusted(name, { max: 80 })), h("dd", null, value(name, event))]),
  );
}

function value(name, event) {
  const it = event[name];
  if (name in TIMES && typeof it === "number") {
    const ms = it * TIMES[name];
    return [when(ms), h("br"), h("span", { class: "muted" }, utc(ms))];
  }
  if (name === "message_id") return messageLink(String(it), nameOf(event));
  if (name === "in_reply_to") return messageLink(String(it), String(answeredOf(event)));
  if (name === "recipient") return numberLink(String(it));
  if (name === "identities" && Array.isArray(it)) return it.map((id, index) => [index ? ", " : null, numberLink(String(id))]);
  if (it === true) return "yes";
  if (typeof it === "number") return figure(it);
  if (Array.isArray(it) && it.every((item) => typeof item === "string")) return it.map((item, index) => [index ? ", " : null, untrusted(item)]);
  if (typeof it === "object") return untrusted(JSON.stringify(it, null, 2), { tag: "pre" });
  return untrusted(it);
}

/** One event as an item of a list. */
export function row(event, { message = true, number = true } = {}) {
  return h(
    "li",
    { class: `event ${tone(event.status)}`, "data-key": keyOf(event) },
    h("div", { class: "event-head" }, when(event.event_time), badge(event.channel), chip(event.status), flags(event)),
    (message || number) &&
      h(
        "div",
        { class: "event-meta" },
        message && messageLink(event.message_id, nameOf(event)),
        number && event.recipient && h("span", { class: "to" }, h("span", { class: "muted" }, `${personKind(event.recipient)} `), numberLink(event.recipient)),
      ),
    h("div", { class: "event-text" }, remark(event)),
    details(event),
  );
}

/** A name and its value in a list of facts. */
export const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, value));

/** Flags for unusual times, and for opens by machines. */
export function flags(event) {
  return [
    event.late && h("span", { class: "flag" }, "arrived late"),
    event.undated && h("span", { class: "flag" }, "time of arrival"),
    event.opened_by && h("span", { class: "flag", title: "A mail provider loaded the pictures, which does not show that the person read it." }, "opened by a machine"),
  ];
}
