// Describes the result of a message in one sentence. Pure functions of the API's response.

import { textOf } from "./content.js";
import { duration } from "./format.js";
import { FAILURES, channelName, reports } from "./status.js";
import { cut } from "./dom.js";

/** The id of the message of an event or leg, or its token for roles that see only redacted ids. */
export const nameOf = (of) => of.token ?? of.message_id;

/** The id or token of the message that an event replies to. */
export const answeredOf = (event) => event.in_reply_to_token ?? event.in_reply_to;

/** A unique key of an event. Roles that see no numbers get no status key; channel and status replace it. */
export const keyOf = (event) => JSON.stringify([nameOf(event), event.status_key ?? [event.channel, event.status], event.event_time]);

const SUCCESS = ["delivered", "read"];
const LONGEST_REASON = 160;

const VERBS = { sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed", not_sent: "Not sent", blocked: "Blocked", bounced: "Bounced", dropped: "Not sent", invalid: "Invalid address", expired: "Expired", revoked: "Expired and taken back", received: "Received" };
const AFTER = { failed: "failed", not_sent: "could not be sent", blocked: "was blocked", bounced: "bounced", dropped: "was not sent", invalid: "has an invalid address", expired: "expired", revoked: "expired and was taken back" };

const clip = (text) => {
  const one = text.replace(/\s+/g, " ").trim();
  return one.length > LONGEST_REASON ? `${cut(one, LONGEST_REASON)}…` : one;
};
const clause = (text) => clip(text).replace(/[.\s]+$/, "");

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

/** After this time, a failure has no fallback any more; after the longest time that a journey lasts, nothing changes. */
const FALLBACK_MS = 3_600_000;
const JOURNEY_MS = 72 * 3_600_000;

/** Whether the result of a message will not change any more. `now` and all times are epoch milliseconds. */
export function isFinal({ outcome }, now) {
  if (!outcome) return false;
  const age = now - outcome.state_time;
  if (outcome.incoming || outcome.state === "read" || age > JOURNEY_MS) return true;
  if (FAILURES.includes(outcome.state)) return age > FALLBACK_MS;
  return outcome.state === "delivered" && !reports(outcome.channel, "read");
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
  if (outcome.state === "delivered" && reports(outcome.channel, "read")) text += "; no reading reported yet";
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
  if (answer) return ` The person replied: “${clip(answer)}”.`;
  const clicks = everything(message).filter((event) => event.status === "clicked" && isSameLeg(event, message.outcome));
  const tapped = clicks.map(textOf).findLast(Boolean);
  return tapped ? ` ${message.answers.length ? "The person replied" : "Tapped"}: “${clip(tapped)}”.` : "";
}
