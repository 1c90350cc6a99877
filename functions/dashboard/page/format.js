// Formats numbers, times, days and phone numbers.

import { h } from "./dom.js";

const exact = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const compactSize = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const localClock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const localDate = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const utcDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const utcDayShort = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

/** Names of the weekdays; Monday is the first, as in ISO 8601. 5 January 2026 is a Monday. */
export const WEEKDAYS = Array.from({ length: 7 }, (_, index) => new Intl.DateTimeFormat(undefined, { weekday: "long", timeZone: "UTC" }).format(Date.UTC(2026, 0, 5 + index)));

/** Numbers from here on are rounded; the tooltip has the exact number. */
const LARGE = 100_000;

export const number = (value) => exact.format(value);

/** A number. The element contains the exact value, even if the text is rounded. */
export function figure(value, props) {
  const large = Math.abs(value) >= LARGE;
  return h("data", { ...props, value, title: large ? exact.format(value) : undefined }, large ? compact.format(value) : exact.format(value));
}

/** `part` of `whole` in percent; a dash if `whole` is 0. */
export const percent = (part, whole) => (whole > 0 ? share.format(part / whole) : "–");

/** "1 message", "2 messages". */
export const plural = (count, one, many = `${one}s`) => `${exact.format(count)} ${count === 1 ? one : many}`;

const valid = (ms) => Number.isFinite(ms) && Math.abs(ms) <= 8.64e15;

/** The exact time in UTC, as text. */
export function utc(ms) {
  return valid(ms) ? `${new Date(ms).toISOString().replace("T", " ").replace("Z", "")} UTC` : "no usable time";
}

/** A time in the user's time zone, with the exact UTC time in the tooltip. */
export function when(ms, { clock = false } = {}) {
  if (!valid(ms)) return h("span", { class: "muted" }, "no usable time");
  const date = new Date(ms);
  return h("time", { datetime: date.toISOString(), title: utc(ms) }, (clock ? localClock : local).format(date));
}

/** The day in the user's time zone, for headings between events. */
export const dayOf = (ms) => (valid(ms) ? localDate.format(new Date(ms)) : "No usable time");

/** A duration in at most two units. */
export function duration(ms) {
  const size = Math.abs(ms);
  if (size < 1000) return `${Math.round(size)} ms`;
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];
  const first = units.findIndex(([, length]) => size >= length);
  const [name, length] = units[first];
  const whole = Math.floor(size / length);
  const next = units[first + 1];
  const rest = next ? Math.floor((size % length) / next[1]) : 0;
  return rest ? `${whole} ${name} ${rest} ${next[0]}` : `${whole} ${name}`;
}

const SIZES = ["bytes", "KB", "MB", "GB"];

/** A size of a file, with 1 KB = 1,000 bytes. */
export function size(bytes) {
  const unit = Math.min(SIZES.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return bytes === 1 ? "1 byte" : `${compactSize.format(bytes / 1000 ** unit)} ${SIZES[unit]}`;
}

/** A duration, below a minute with tenths of a second. */
export const shortDuration = (ms) => (ms >= 1000 && ms < 60_000 ? `${tenths.format(ms / 1000)} s` : duration(ms));

/** The UTC day of a time, as `YYYY-MM-DD`. */
export const dayText = (ms) => new Date(ms).toISOString().slice(0, 10);

/** The UTC day some days later. */
export const dayPlus = (day, days) => dayText(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000);

/** Whether a text is a valid day. */
export function isDay(text) {
  const time = Date.parse(`${text}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text ?? "") && Number.isFinite(time) && dayText(time) === text;
}

/** Number of days in a range, including both ends. */
export const daysIn = (from, to) => Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) + 1;

export const dayName = (day) => utcDay.format(Date.parse(`${day}T00:00:00Z`));
export const dayNameShort = (day) => utcDayShort.format(Date.parse(`${day}T00:00:00Z`));

/** All days of a range. */
export function days(from, to) {
  return Array.from({ length: Math.max(0, daysIn(from, to)) }, (_, index) => dayPlus(from, index));
}

/** What kind of id names a person. */
export const personKind = (id) => {
  if (id.startsWith("mailto:")) return "E-mail address";
  if (id.startsWith("whatsapp:")) return "WhatsApp user";
  return id.includes(":") ? "Person" : "Number";
};

/** The user's time zone with its UTC offset. */
export function zone() {
  const parts = new Intl.DateTimeFormat(undefined, { timeZoneName: "longOffset" }).formatToParts(new Date());
  const offset = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return `${Intl.DateTimeFormat().resolvedOptions().timeZone}, ${offset}`;
}
