// Says in one sentence what became of a message. Pure functions of the API's answer.

import { duration } from "./format.js";
import { channelName } from "./status.js";
import { cut } from "./dom.js";

/** What names the message of an event or a leg: a role that sees no numbers has a token, since its ids are redacted. */
export const nameOf = (of) => of.token ?? of.message_id;

/** What names the message that an event answers. */
export const answeredOf = (event) => event.in_reply_to_token ?? event.in_reply_to;

/** What identifies an event. A role that sees no numbers gets no status key; channel and status are most of it. */
export const keyOf = (event) => JSON.stringify([nameOf(event), event.status_key ?? [event.channel, event.status], event.event_time]);

const FAILURES = ["failed", "not_sent", "blocked"];
const SUCCESS = ["delivered", "read"];
const LONGEST_REASON = 160;

const VERBS = { sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed", not_sent: "Not sent", blocked: "Blocked", received: "Received" };
const AFTER = { failed: "failed", not_sent: "could not be sent", blocked: "was blocked" };

const clip = (text) => {
  const one = text.replace(/\s+/g, " ").trim();
  return one.length > LONGEST_REASON ? `${cut(one, LONGEST_REASON)}…` : one;
};
const clause = (text) => clip(text).replace(/[.\s]+$/, "");
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** What a person wrote, sent or tapped, in short; null where an event carries nothing of the kind. */
export function said(event) {
  const { click, content } = event;
  if (isObject(click)) {
    const tap = isObject(click.suggestionResponse) ? click.suggestionResponse : isObject(click.button_type) ? click.button_type : click;
    const text = [tap.text, tap.postbackData, tap.payload].find((value) => typeof value === "string" && value.trim());
    if (text) return text.trim();
  }
  if (typeof content === "string" && content.trim()) return content.trim();
  if (!isObject(content)) return null;
  if (typeof content.text === "string" && content.text.trim()) return content.text.trim();
  const file = content.userFile?.payload ?? (content.fileName || content.fileUrl || content.fileUri ? content : null);
  if (isObject(file)) return `File ${file.fileName ?? file.fileUrl ?? file.fileUri ?? ""}`.trim() + (file.mimeType ? ` (${file.mimeType})` : "");
  const spot = isObject(content.location) ? content.location : content;
  if (spot.latitude !== undefined && spot.longitude !== undefined) return `Location ${spot.latitude}, ${spot.longitude}`;
  if (typeof content.title === "string") return [content.title, content.description].filter((value) => typeof value === "string").join(": ");
  for (const [kind, part] of Object.entries(content)) {
    if (!kind.endsWith("_type") || !isObject(part)) continue;
    const text = [part.text, part.caption, part.filename, part.emoji].find((value) => typeof value === "string" && value.trim());
    if (text) return text.trim();
  }
  return null;
}

/** Whether a leg or an event is of the same message on the same channel as another one. */
export const isSameLeg = (one, other) => nameOf(one) === nameOf(other) && one.channel === other.channel;

/** All events of a journey in order of time. */
export function everything(message) {
  const seen = new Set();
  return [...message.events, ...message.linked, ...message.answers]
    .filter((event) => {
      const key = keyOf(event);
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => a.event_time - b.event_time);
}

/** The first answer: one sentence, and whether it tells of success. */
export function headline(message) {
  const { outcome } = message;
  if (!outcome) return { text: "No status of this message is known yet.", state: "other" };
  if (outcome.incoming) return incoming(message);
  const others = message.journey.filter((other) => !isSameLeg(other, outcome));
  const before = others.filter((other) => FAILURES.includes(other.state));
  const beside = others.filter((other) => !FAILURES.includes(other.state));
  const over = `over ${channelName(outcome.channel)}`;

  let text = `${VERBS[outcome.state] ?? `“${clip(outcome.state)}”`} ${over}`;
  if (outcome.state === "read" && outcome.clicked) text = `Read and clicked ${over}`;
  if (before.length) {
    const why = before.map((other) => `${channelName(other.channel)} ${AFTER[other.state]}${other.reason ? `: ${clause(other.reason)}` : ""}`);
    text += `${SUCCESS.includes(outcome.state) || outcome.state === "sent" ? "" : " too,"} after ${why.join("; ")}`;
  }
  const { reason } = message.journey.find((leg) => isSameLeg(leg, outcome)) ?? {};
  if (reason) text += before.length ? ` (${channelName(outcome.channel)}: ${clause(reason)})` : `: ${clause(reason)}`;
  if (outcome.state === "sent") text += "; no delivery reported yet";
  // An SMS reports no reading: silence about it says nothing.
  if (outcome.state === "delivered" && outcome.channel !== "SMS") text += "; no reading reported yet";
  if (outcome.state === "read" && outcome.state_time > outcome.sent_time) text += `, ${duration(outcome.state_time - outcome.sent_time)} after it was sent`;
  if (beside.length) {
    text += `; also ${beside.map((other) => `${(VERBS[other.state] ?? other.state).toLowerCase()} over ${channelName(other.channel)}`).join(", ")}`;
  }
  return { text: `${text}.${answered(message)}`, state: outcome.state };
}

/** What a person wrote, sent or tapped. */
function incoming(message) {
  const last = message.events.at(-1);
  const words = message.events.map(said).findLast(Boolean);
  return { text: `${last.status === "clicked" ? "Tapped" : "Received"} over ${channelName(last.channel)}${words ? `: “${clip(words)}”` : ""}.`, state: last.status };
}

/** What the person answered or tapped, as a sentence after the first. */
function answered(message) {
  const answer = message.answers.map(said).findLast(Boolean);
  if (answer) return ` The person answered: “${clip(answer)}”.`;
  const clicks = everything(message).filter((event) => event.status === "clicked" && isSameLeg(event, message.outcome));
  const tapped = clicks.map(said).findLast(Boolean);
  return tapped ? ` ${message.answers.length ? "The person answered" : "Tapped"}: “${clip(tapped)}”.` : "";
}
