// The events of any range, with filters, an order, and CSV. Every figure of the overview leads here.

import { address, get, latest, now } from "./api.js";
import { fill, h, plain } from "./dom.js";
import { row } from "./events.js";
import { csvLink } from "./files.js";
import { WEEKDAYS, dayPlus, plural, when } from "./format.js";
import { savedMenu } from "./saved.js";
import { empty, failed, into } from "./states.js";
import { CHANNELS, ORDER, STATUSES, STEPS, channelName, statusNames } from "./status.js";
import { dayIn, isZone, ownZone } from "./zones.js";

const PAGE = 100;
/** Maximum rows of the list; the CSV file has more. */
const MAX_ROWS = 2000;
/** Groups of statuses that the overview counts together. */
const GROUPS = [["Arrived", STEPS.reached], ["Did not arrive", STEPS.unreached], ["Read or opened", STEPS.read], ["Failed, bounced or expired", STEPS.failed], ["Not sent", STEPS.not_sent]];
/** Filters with a text: parameter, label, and an example. */
const TEXTS = [["tag", "Tag", ""], ["bot", "Bot", ""], ["campaign", "Campaign", ""], ["template", "Template", ""], ["reason", "Reason", ""], ["type", "Message type", ""], ["country", "Country", "IN"], ["category", "Price category", ""]];
/** Filters with a choice besides channel and status: parameter, label, and the options after "All". */
const CHOICES = [
  ["billable", "Price", [["true", "Billable"], ["false", "Free"], ["unknown", "No price"], ["true,unknown", "Not free"]]],
  ["weekday", "Weekday", WEEKDAYS.map((name, index) => [String(index + 1), name])],
  ["hour", "Hour", Array.from({ length: 24 }, (_, hour) => [String(hour), `${hour}:00–${hour}:59`])],
];
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?$/;

export const title = () => "Events";

const wide = window.matchMedia("(min-width: 46.0625rem)");

export function mount({ main, signal, session, go, announce }) {
  const run = latest(signal);
  let filters = {};
  /** The range of the URL; without one, it is the last days. */
  let given = {};
  let cursor = null;
  let count = 0;
  /** Hours that were not read, because the counters know no such event in them. */
  let skipped = 0;

  const form = h("form", { class: "filters", "aria-label": "Filters" });
  const formLabel = h("summary", null, "Filters");
  const formBox = h("details", { class: "filter-box", open: wide.matches }, formLabel, form);
  const tools = h("p", { class: "tools" });
  const list = h("ol", { class: "events", "aria-label": "Events" });
  const more = h("div", { class: "more-events" });
  const body = h("div", { class: "results" });
  fill(
    main,
    h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Events"), h("p", { class: "subtitle" }, "Single events, by the time they happened."), h("div", { class: "title-tools" }, savedMenu({ announce }), h("button", { type: "button", onclick: () => print() }, "Print"))),
    formBox,
    tools,
    body,
  );
  wide.addEventListener("change", () => { formBox.open = wide.matches; }, { signal });

  const field = (id, label, control) => h("div", { class: "field" }, h("label", { for: id }, label), control);
  const controls = new Map();
  const add = (name, label, control) => {
    controls.set(name, control);
    return field(control.id, label, control);
  };
  const select = (name, options) => h("select", { id: name }, options.map(([value, text]) => h("option", { value }, text)));
  fill(
    form,
    add("from", "From", h("input", { type: "datetime-local", id: "from" })),
    add("to", "To", h("input", { type: "datetime-local", id: "to" })),
    add("channel", "Channel", select("channel", [["", "All"], ...CHANNELS.map((name) => [name, channelName(name)])])),
    add("status", "Status", select("status", [["", "All"], ...ORDER.map((word) => [word, STATUSES[word].label]), ...GROUPS.map(([text, value]) => [value, text])])),
    TEXTS.filter(([name]) => session.may.see_numbers || name !== "country").map(([name, label, example]) => add(name, label, h("input", { id: name, autocomplete: "off", spellcheck: "false", placeholder: example }))),
    CHOICES.map(([name, label, options]) => add(name, label, select(name, [["", "All"], ...options]))),
    add("order", "Order", select("order", [["", "Newest first"], ["oldest", "Oldest first"]])),
    h("button", { type: "submit", class: "primary" }, "Show"),
    h("button", { type: "button", onclick: () => go("events", { tz: filters.tz }) }, "Clear"),
  );
  const submit = () => {
    const typed = Object.fromEntries([...controls].map(([name, control]) => [name, control.value.trim()]));
    // A day without a time stays a day, which is complete, and a range up to today stays one.
    for (const name of ["from", "to"]) if (typed[name] === boundary(filters[name], name)) typed[name] = given[name] ?? "";
    go("events", { ...typed, tz: filters.tz });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  for (const name of ["channel", "status", "order", ...CHOICES.map(([name]) => name)]) controls.get(name).addEventListener("change", submit);

  /** A day in a field for times: its first or its last minute. */
  const boundary = (time, name) => (time?.includes("T") ? time : `${time}T${name === "from" ? "00:00" : "23:59"}`);

  function read(parameters) {
    const tz = isZone(parameters.tz) ? parameters.tz : ownZone();
    const today = dayIn(now(), tz);
    const time = (text, other) => (TIME.test(text ?? "") ? text : other);
    const to = time(parameters.to, today);
    const names = ["channel", "status", "order", "exhaustive", ...[...TEXTS, ...CHOICES].map(([name]) => name)];
    return { from: time(parameters.from, dayPlus(to.slice(0, 10), -6)), to, tz, ...Object.fromEntries(names.map((name) => [name, parameters[name] ?? ""])) };
  }

  function updateControls() {
    for (const [name, control] of controls) {
      const value = name === "from" || name === "to" ? boundary(filters[name], name) : filters[name];
      // A word that the list does not have, for example of a provider.
      if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value)) control.append(h("option", { value }, name === "status" ? statusNames(value) : value));
      control.value = value;
    }
    const names = chosen().map((name) => plain(controls.get(name).selectedOptions?.[0]?.text ?? filters[name], 20));
    formLabel.textContent = `Filters${names.length ? `: ${names.join(", ")}` : ""}`;
  }

  /** The names of the filters, besides the range and the order. */
  const chosen = () => [...controls.keys()].filter((name) => !["from", "to", "order"].includes(name) && filters[name]);

  async function first() {
    cursor = null;
    count = 0;
    skipped = 0;
    fill(list);
    fill(more);
    fill(body);
    const csv = csvLink("Download as CSV", "events.csv", { href: address("api/events", { ...filters, format: "csv" }), signal });
    fill(tools, csv.link, h("span", { class: "muted" }, `The filters use the time zone ${filters.tz}.`), csv.status);
    await into(body, "the events", run, (inner) => get("api/events", { ...filters, limit: PAGE }, { signal: inner }), (answer) => {
      append(answer);
      draw(answer);
    });
  }

  async function next(button) {
    button.disabled = true;
    try {
      const answer = await run((inner) => get("api/events", { ...filters, limit: PAGE, cursor }, { signal: inner }));
      if (!answer) return;
      const had = count;
      append(answer);
      draw(answer);
      announce(`${plural(count - had, "event")} added.`);
      (more.querySelector("button") ?? more.querySelector("[tabindex]"))?.focus();
    } catch (error) {
      fill(more, failed(error, () => { fill(more, button); next(button); }));
    }
  }

  function append(answer) {
    list.append(...answer.events.map((event) => row(event)));
    count += answer.events.length;
    skipped += answer.skipped_hours ?? 0;
    cursor = answer.cursor;
  }

  function draw(answer) {
    const searched = Number.isFinite(answer.searched_to) ? [" Searched up to ", when(answer.searched_to), "."] : null;
    const unread = skipped > 0 && h("p", { class: "muted" }, `${plural(skipped, "hour")} of this range ${skipped === 1 ? "was" : "were"} not searched, because the counters show no matching events then. `, h("button", { type: "button", class: "link", onclick: () => go("events", { ...given, exhaustive: "true" }) }, "Search all hours"));
    if (!count && cursor === null) {
      const filtered = chosen().length > 0;
      fill(body, empty("No events in this range", h("p", null, filtered ? "No events match these filters." : "There are no events in this range."), unread, filtered && h("p", { class: "tools" }, h("button", { type: "button", onclick: () => go("events", { from: given.from, to: given.to, tz: filters.tz }) }, "Remove the filters"))));
      return;
    }
    if (!list.isConnected) fill(body, list, more);
    const state = `${plural(count, "event")} so far.`;
    if (cursor === null) {
      const end = answer.truncated ? `${plural(count, "event")}. There are more, but your role sees only the first page. Choose a shorter range.` : `${plural(count, "event")} in all.`;
      fill(more, h("p", { class: "end muted", tabindex: "-1" }, end), unread);
    } else if (count >= MAX_ROWS) {
      fill(more, h("p", { class: "end muted", tabindex: "-1" }, state, " Download the CSV file for more, or choose a shorter range."));
    } else {
      fill(more, h("p", { class: "muted" }, state, searched), h("button", { type: "button", onclick: (event) => next(event.currentTarget) }, count ? "Load more events" : "Continue the search"));
    }
  }

  return {
    update(parameters) {
      given = parameters;
      filters = read(parameters);
      updateControls();
      first();
    },
  };
}
