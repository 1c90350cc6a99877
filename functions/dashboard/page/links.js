// Addresses of views.

/** Filters that an overview and a list of events share. */
const SHARED = ["from", "to", "tz", "bot", "tag", "channel", "campaign", "template", "country"];
/** The words for channels, and for names of another kind, that are counted together. */
const OTHER_CHANNELS = "OTHER";
const OTHER_NAMES = "other";
/** The only events that name their template: clicks, and the replies to them. */
const OF_TEMPLATE = ["clicked", "received"];

const query = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "")).toString();

/** The address of a view with parameters. */
export function hashOf(name, parameters = {}) {
  const text = query(parameters);
  return `#/${name}${text ? `?${text}` : ""}`;
}

/** The status of the list for a counted status: opens by machines are counted separately. */
export const listed = (word) => (word === "opened" ? "opened_by_person" : word);

/**
 * Whether a list has the events of a figure. There is no list for names that are counted together, and for a country if
 * the role sees no numbers. A list of a template has only clicks and replies.
 */
function hasList({ channel, ...filters }, may) {
  const { status, reason, country, template } = filters;
  if (channel === OTHER_CHANNELS || Object.values(filters).includes(OTHER_NAMES)) return false;
  if (country && !may.see_numbers) return false;
  return !template || (!reason && (!status || status.split(",").every((word) => OF_TEMPLATE.includes(word))));
}

/**
 * The address of the events that a figure counts; null if no list has them. `filters` are those of the overview, and
 * `more` are those that the figure adds: an empty one stands for events without a name, which no filter finds. `may` are
 * the permissions of the session.
 */
export function eventsHash(filters, more, may) {
  const all = { ...Object.fromEntries(SHARED.map((name) => [name, filters[name]])), ...more };
  return Object.values(more).includes("") || !hasList(all, may) ? null : hashOf("events", all);
}
