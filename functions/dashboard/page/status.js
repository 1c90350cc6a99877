// Labels of statuses and channels. Each status has a word, a shape and a color, so that color is never the
// only distinction.

import { h, icon, plain, untrusted } from "./dom.js";

// `dash` and `point` distinguish lines of a chart without color.
export const STATUSES = {
  sent: { label: "Sent", icon: "M2 8h10M8 4l4 4-4 4", dash: [], point: "circle" },
  delivered: { label: "Delivered", icon: "M3 8.5 6.5 12 13 4.5", dash: [], point: "rect" },
  read: { label: "Read", icon: "M1 8.5 4.5 12 10 5M7.5 11l1 1L15 4.5", dash: [7, 3], point: "triangle" },
  clicked: { label: "Clicked", icon: "M4 2.5v10l2.8-2.4 1.7 3.9 1.8-.8-1.7-3.8 3.7-.3z", dash: [2, 3], point: "star" },
  failed: { label: "Failed", icon: "M4 4l8 8M12 4l-8 8", dash: [], point: "crossRot" },
  not_sent: { label: "Not sent", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M5 8h6", dash: [7, 3], point: "rectRot" },
  blocked: { label: "Blocked", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M3.8 3.8l8.4 8.4", dash: [2, 3], point: "cross" },
  opened: { label: "Opened", icon: "M2 4h12v8H2zM2 4l6 5 6-5", dash: [7, 3], point: "triangle" },
  opened_by_machine: { label: "Opened by a machine", icon: "M2 4h12v8H2zM5 7h1M10 7h1M6 10h4", dash: [1, 2], point: "dash" },
  bounced: { label: "Bounced", icon: "M13 12V7a3 3 0 0 0-3-3H3M6 1 3 4l3 3", dash: [], point: "crossRot" },
  dropped: { label: "Dropped", icon: "M8 2v8M4 7l4 4 4-4M3 14h10", dash: [7, 3], point: "rectRot" },
  invalid: { label: "Invalid address", icon: "M8 3v6M8 11.5v1", dash: [7, 3], point: "rectRot" },
  expired: { label: "Expired", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 5v3l2 2", dash: [], point: "crossRot" },
  revoked: { label: "Revoked", icon: "M4 8a4 4 0 1 1 2 3.5M4 13V9h4", dash: [], point: "crossRot" },
  unsubscribed: { label: "Unsubscribed", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M5 11l6-6", dash: [10, 3, 2, 3], point: "rectRounded" },
  spam: { label: "Reported as spam", icon: "M4 14V3h7l-1.5 2.5L11 8H4", dash: [10, 3, 2, 3], point: "rectRounded" },
  received: { label: "Received", icon: "M14 8H4M8 4 4 8l4 4", dash: [10, 3, 2, 3], point: "rectRounded" },
};

const OTHER = { icon: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5", dash: [1, 2], point: "dash" };

export const ORDER = Object.keys(STATUSES);

export const CHANNELS = ["RCS", "SMS", "WHATSAPP", "EMAIL"];

/** Statuses that prove that a message did not arrive on its channel. */
export const FAILURES = ["failed", "not_sent", "blocked", "bounced", "dropped", "invalid", "expired", "revoked"];

/** The statuses that each step of an overview counts, for links to its events. */
export const STEPS = {
  sent: "sent", delivered: "delivered", read: "read,opened_by_person", clicked: "clicked", received: "received",
  failed: "failed,bounced,expired,revoked", not_sent: "not_sent,dropped,invalid", blocked: "blocked", unreached: FAILURES.join(","),
  attempts: "sent,not_sent,dropped,invalid,blocked",
  // Each proves a delivery.
  reached: "delivered,read,opened,clicked,unsubscribed,spam,abuse",
};

/** The steps that a channel cannot report. E-mail reports what the person did after the delivery. */
const UNREPORTED = { SMS: ["read"], EMAIL: ["delivered"] };

/** Whether the figures of a channel contain a step: it can report the step, or did. */
export const isReported = (entry, step) => entry[step] > 0 || reports(entry.channel, step);

/** Whether a channel can report a step of a message. */
export const reports = (channel, step) => !(Object.hasOwn(UNREPORTED, channel) && UNREPORTED[channel].includes(step));

const CHANNEL_NAMES = { WHATSAPP: "WhatsApp", EMAIL: "E-mail" };

/** Label and shapes of a status. The label of an unlisted status is the provider's word. */
export const status = (word) => (Object.hasOwn(STATUSES, word) ? STATUSES[word] : { ...OTHER, label: word });

/** The CSS class with the color of a status. */
export const tone = (word) => `s-${Object.hasOwn(STATUSES, word) ? word : "other"}`;

/** A list of statuses as text. */
export const statusNames = (words) => words.split(",").map((word) => (word === "opened_by_person" ? "Opened by a person" : plain(status(word).label, 40))).join(", ");

/** A status as a label with its shape. */
export const chip = (word) =>
  h("span", { class: `chip ${tone(word)}` }, icon(status(word).icon), Object.hasOwn(STATUSES, word) ? status(word).label : untrusted(word, { max: 40 }));

export const channelName = (channel) => CHANNEL_NAMES[channel] ?? channel;

/** A channel as a label. */
export const badge = (channel) => h("span", { class: "badge" }, untrusted(channelName(channel), { max: 40 }));

const rank = (word) => (ORDER.includes(word) ? ORDER.indexOf(word) : ORDER.length);

/** Statuses in their usual order, then unlisted ones by name. */
export const inOrder = (words) => [...new Set(words)].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
