// Days and hours of a time zone. Zones are IANA names such as `Asia/Kolkata`.

/** The user's time zone. */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Whether the browser knows a time zone. */
export function isZone(name) {
  try {
    return Boolean(name && new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** All time zones to choose from, the user's and UTC first. */
export const zones = () => [...new Set([ownZone(), "UTC", ...(Intl.supportedValuesOf?.("timeZone") ?? [])])];

/** The hour of a time in a zone, as `YYYY-MM-DDTHH`. */
export function hourIn(ms, timeZone) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", hourCycle: "h23" }).formatToParts(new Date(ms));
  const of = (type) => parts.find((part) => part.type === type).value;
  return `${of("year").padStart(4, "0")}-${of("month")}-${of("day")}T${of("hour")}`;
}

/** The day of a time in a zone, as `YYYY-MM-DD`. */
export const dayIn = (ms, timeZone) => hourIn(ms, timeZone).slice(0, 10);
