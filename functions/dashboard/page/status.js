// Labels of statuses and channels. Each status has a word, a shape and a color, so that color is never the
// only distinction.

import { h, icon, untrusted } from "./dom.js";

// `dash` and `point` distinguish lines of a chart without color.
export const STATUSES = {
  sent: { label: "Sent", icon: "M2 8h10M8 4l4 4-4 4", dash: [], point: "circle" },
  delivered: { label: "Delivered", icon: "M3 8.5 6.5 12 13 4.5", dash: [], point: "rect" },
  read: { label: "Read", icon: "M1 8.5 4.5 12 10 5M7.5 11l1 1L15 4.5", dash: [7, 3], point: "triangle" },
  clicked: { label: "Clicked", icon: "M4 2.5v10l2.8-2.4 1.7 3.9 1.8-.8-1.7-3.8 3.7-.3z", dash: [2, 3], point: "star" },
  failed: { label: "Failed", icon: "M4 4l8 8M12 4l-8 8", dash: [], point: "crossRot" },
  not_sent: { label: "Not sent", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M5 8h6", dash: [7, 3], point: "rectRot" },
  blocked: { label: "Blocked", icon: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M3.8 3.8l8.4 8.4", dash: [2, 3], point: "cross" },
  received: { label: "Received", icon: "M14 8H4M8 4 4 8l4 4", dash: [10, 3, 2, 3], point: "rectRounded" },
};

const OTHER = { icon: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5", dash: [1, 2], point: "dash" };

export const ORDER = Object.keys(STATUSES);

export const CHANNELS = ["RCS", "SMS", "WHATSAPP"];

const CHANNEL_NAMES = { WHATSAPP: "WhatsApp" };

/** Label and shapes of a status. The label of an unlisted status is the provider's word. */
export const status = (word) => (Object.hasOwn(STATUSES, word) ? STATUSES[word] : { ...OTHER, label: word });

/** The CSS class with the color of a status. */
export const tone = (word) => `s-${Object.hasOwn(STATUSES, word) ? word : "other"}`;

/** A status as a label with its shape. */
export const chip = (word) =>
  h("span", { class: `chip ${tone(word)}` }, icon(status(word).icon), Object.hasOwn(STATUSES, word) ? status(word).label : untrusted(word, { max: 40 }));

export const channelName = (channel) => CHANNEL_NAMES[channel] ?? channel;

/** A channel as a label. */
export const badge = (channel) => h("span", { class: "badge" }, untrusted(channelName(channel), { max: 40 }));

const rank = (word) => (ORDER.includes(word) ? ORDER.indexOf(word) : ORDER.length);

/** Statuses in their usual order, then unlisted ones by name. */
export const inOrder = (words) => [...new Set(words)].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
