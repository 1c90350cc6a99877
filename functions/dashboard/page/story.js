// Describes the result of a message in one sentence. Pure functions of the API's response.

import { duration } from "./format.js";
import { channelName } from "./status.js";
import { cut } from "./dom.js";

/** The id of the message of an event or leg, or its token for roles that see only redacted ids. */
export const nameOf = (of) => of.token ?? of.message_id;

/** The id or token of the message that an event replies to. */
export const answeredOf = (event) => event.in_reply_to_token ?? event.in_reply_to;

/** A unique key of an event. Roles that see no numbers get no status key; channel and status replace it. */
export const keyOf = (event) => JSON.stringify([nameOf(event), event.status_key ?? [event.channel, event.status], event.event_time]);

const FAILURES = ["failed", "not_sent", "blocked", "bounced", "dropped", "invalid", "expired", "revoked"];
const SUCCESS = ["delivered", "read"];
const LONGEST_REASON = 160;

const VERBS = { sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed", not_sent: "Not sent", blocked: "Blocked", bounced: "Bounced", dropped: "Not sent", invalid: "Invalid address", expired: "Expired", revoked: "Expired and taken back", received: "Received" };
const AFTER = { failed: "failed", not_sent: "could not be sent", blocked: "was blocked", bounced: "bounced", dropped: "was not sent", invalid: "has an invalid address", expired: "expired", revoked: "expired and was taken back" };

const clip = (text) => {
  const one = text.replace(/\s+/g, " ").trim();
  return one.length > LONGEST_REASON ? `${cut(one, LONGEST_REASON)}…` : one;
};
const clause = (text) => clip(text).replace(/[.\s]+$/, "");
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The text of a person's message or click; null if an event has none. */
export function textOf(event) {
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

/** Whether two legs or events belong to the same message and channel. */
export const isSameLeg = (one, other) => nameOf(one) === nameOf(other) && one.channel === other.channel;

/** All events of a journey, sorted by time. */
export function everything(message) {
  const seen = new Set();
  return [...message.events, ...message.linked, ...message.answers]
    .filter((event) => {
      const key = keyOf(event);
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => a.event_time - b.event_time);
}

/** The result of a message: one sentence, and a state. */
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
  // There are no read receipts for SMS.
  if (outcome.state === "delivered" && outcome.channel !== "SMS") text += "; no reading reported yet";
  if (outcome.state === "read" && outcome.state_time > outcome.sent_time) text += `, ${duration(outcome.state_time - outcome.sent_time)} after it was sent`;
  if (beside.length) {
    text += `; also ${beside.map((other) => `${(VERBS[other.state] ?? other.state).toLowerCase()} over ${channelName(other.channel)}`).join(", ")}`;
  }
  return { text: `${text}.${answered(message)}`, state: outcome.state };
}

/** The sentence for an incoming message. */
function incoming(message) {
  const last = message.events.at(-1);
  const words = message.events.map(textOf).findLast(Boolean);
  return { text: `${last.status === "clicked" ? "Tapped" : "Received"} over ${channelName(last.channel)}${words ? `: “${clip(words)}”` : ""}.`, state: last.status };
}

/** A second sentence for a reply or a click. */
function answered(message) {
  const answer = message.answers.map(textOf).findLast(Boolean);
  if (answer) return ` The person answered: “${clip(answer)}”.`;
  const clicks = everything(message).filter((event) => event.status === "clicked" && isSameLeg(event, message.outcome));
  const tapped = clicks.map(textOf).findLast(Boolean);
  return tapped ? ` ${message.answers.length ? "The person answered" : "Tapped"}: “${clip(tapped)}”.` : "";
}
