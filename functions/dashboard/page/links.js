// Addresses of views.

/** Filters that an overview and a list of events share. */
const SHARED = ["from", "to", "tz", "bot", "tag", "channel", "campaign", "template", "country"];

const query = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "")).toString();

/** The address of a view with parameters. */
export function hashOf(name, parameters = {}) {
  const text = query(parameters);
  return `#/${name}${text ? `?${text}` : ""}`;
}

/** The status of the list for a counted status: opens by machines are counted separately. */
export const listed = (word) => (word === "opened" ? "opened_by_person" : word);

/** The address of the events that a figure counts: the overview's filters, and what the figure adds. */
export const eventsHash = (filters, more = {}) => hashOf("events", { ...Object.fromEntries(SHARED.map((name) => [name, filters[name]])), ...more });
