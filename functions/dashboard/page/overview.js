// The overview: figures of a range of days.

import { get, latest, now } from "./api.js";
import { fill, h, plain } from "./dom.js";
import { dayName, dayPlus, daysIn, isDay, plural, when } from "./format.js";
import { heat } from "./heat.js";
import { leagues } from "./leagues.js";
import { eventsHash, hashOf } from "./links.js";
import { counts, headline, totalsOf } from "./overview-headline.js";
import { OF_TEMPLATES, billing, countryName, fallback, folded, funnel, lacksLatest, latency, reasons, spend, types } from "./overview-panels.js";
import { HOURLY_DAYS, volume } from "./overview-volume.js";
import { savedMenu } from "./saved.js";
import { empty, howToStart, into } from "./states.js";
import { CHANNELS, channelName } from "./status.js";
import { dayIn, isZone, ownZone, zones } from "./zones.js";

const PRESETS = [["Today", 1], ["7 days", 7], ["30 days", 30], ["90 days", 90]];
const MAX_DAYS = 366;
/** The most days in a time zone other than UTC, as in the API. */
const MAX_ZONE_DAYS = 92;
/** Filters by a name. A bot and a tag combine; each of the others stands alone. */
const NAMES = ["bot", "tag", "campaign", "template", "country"];
const ALONE = ["campaign", "template", "country"];
/** State of the panels in the URL, which changes no figure. */
const PANELS = ["kind", "a", "b"];
const DAYS = 30;

const wide = window.matchMedia("(min-width: 46.0625rem)");

export const title = () => "Overview";

export function mount({ main, signal, session, go, announce }) {
  const run = latest(signal);
  let filters = null;
  let state = {};
  /** Names to choose from, also those of earlier responses: with a filter, a response has only some. */
  const known = { bots: new Set(), channels: new Set(CHANNELS), tags: new Set(), campaigns: new Set(), templates: new Set(), countries: new Set() };
  const botName = (id) => session.bot_names?.[id] ?? id;
  const form = h("form", { class: "filters", "aria-label": "Range and filters" });
  const formLabel = h("summary", null, "Range and filters");
  const formBox = h("details", { class: "filter-box", open: wide.matches }, formLabel, form);
  const results = h("div", { class: "results" });
  const heading = h("p", { class: "subtitle" });
  const events = h("a", { class: "button", href: "#/events" }, "Show events");
  fill(
    main,
    h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Overview"), heading, h("div", { class: "title-tools" }, savedMenu({ announce }), events, h("button", { type: "button", onclick: () => print() }, "Print"))),
    formBox,
    results,
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  wide.addEventListener("change", () => { formBox.open = wide.matches; }, { signal });
  // Folded panels are printed, too.
  window.addEventListener("beforeprint", () => { for (const box of results.querySelectorAll("details.fold")) box.open = true; }, { signal });

  /** The list of the events of a figure, with changed filters of the overview. */
  const list = (more, changes = {}) => eventsHash({ ...filters, ...changes }, more, session.may);

  /** The parameters of the URL: a range up to today stays one, so that a saved view is never outdated. */
  const parameters = () => ({ ...filters, ...(state.days ? { from: "", to: "" } : {}), ...state });
  const change = (changes) => go("overview", { ...parameters(), ...changes });

  function read(given) {
    const tz = isZone(given.tz) ? given.tz : ownZone();
    const to = isDay(given.to) ? given.to : dayIn(now(), tz);
    const from = isDay(given.from) ? given.from : dayPlus(to, 1 - (lengthOf(given) || DAYS));
    return { from, to, tz, channel: given.channel ?? "", ...Object.fromEntries(NAMES.map((name) => [name, given[name] ?? ""])) };
  }

  /** The days of a range up to today; 0 for a range with dates. */
  const lengthOf = ({ from, to, days }) => (from || to || !/^\d{1,3}$/.test(days ?? "") || Number(days) < 1 || Number(days) > MAX_DAYS ? 0 : Number(days));

  // Created once and then updated, so that an open list is not replaced.
  const today = () => dayIn(now(), filters?.tz ?? ownZone());
  const presetRange = (length) => ({ from: dayPlus(today(), 1 - length), to: today() });
  const presets = PRESETS.map(([name, length]) => ({ length, button: h("button", { type: "button", onclick: () => change({ from: "", to: "", days: length }) }, name) }));
  const field = (id, label, control) => h("div", { class: "field" }, h("label", { for: id }, label), control);
  const range = [["from", "From"], ["to", "To"]].map(([name, label]) => {
    const input = h("input", { type: "date", id: name, required: true });
    input.addEventListener("change", () => isDay(input.value) && change({ from: filters.from, to: filters.to, days: "", [name]: input.value }));
    return { name, input, field: field(name, label, input) };
  });
  const choice = (name, label, list, text = (value) => value) => {
    const select = h("select", { id: name });
    select.addEventListener("change", () => change({ ...others(name, select.value), [name]: select.value }));
    return { name, select, list, text, field: field(name, label, select) };
  };
  const choices = [
    choice("channel", "Channel", "channels", channelName),
    choice("bot", "Bot", "bots", botName),
    choice("tag", "Tag", "tags"),
    choice("campaign", "Campaign", "campaigns"),
    choice("template", "Template", "templates"),
    choice("country", "Country", "countries", countryName),
  ];
  const zone = h("select", { id: "tz" });
  zone.addEventListener("change", () => change({ tz: zone.value }));
  zone.addEventListener("focus", () => fillZones(zones()), { once: true });
  const fillZones = (names) => {
    fill(zone, [...new Set([filters.tz, ...names])].map((name) => h("option", { value: name }, name)));
    zone.value = filters.tz;
  };
  fill(
    form,
    h("div", { class: "presets", role: "group", "aria-label": "Range" }, presets.map(({ button }) => button)),
    range.map((one) => one.field),
    choices.map((one) => one.field),
    field("tz", "Time zone", zone),
    h("button", { type: "button", onclick: () => show() }, "Refresh"),
  );

  /** Filters that a choice removes, because they do not combine with it. */
  const others = (name, value) => {
    if (!value || !NAMES.includes(name)) return {};
    const removed = ALONE.includes(name) ? NAMES : ALONE;
    return Object.fromEntries(removed.map((other) => [other, ""]));
  };

  function updateControls() {
    for (const { button, length } of presets) {
      const { from, to } = presetRange(length);
      button.setAttribute("aria-pressed", String(filters.from === from && filters.to === to));
    }
    for (const { name, input } of range) {
      input.value = filters[name];
      input.max = today();
    }
    for (const { name, select, list, text, field: box } of choices) {
      const wanted = ["", ...new Set([...known[list], filters[name]])].filter((value, index) => value || index === 0);
      if (JSON.stringify(wanted) !== JSON.stringify([...select.options].map(({ value }) => value))) {
        fill(select, wanted.map((value) => h("option", { value }, value ? plain(text(value)) : "All")));
      }
      select.value = filters[name];
      box.hidden = wanted.length === 1 && ALONE.includes(name);
    }
    if (![...zone.options].some(({ value }) => value === filters.tz)) fillZones([ownZone(), "UTC"]);
    zone.value = filters.tz;
    const href = list({});
    events.hidden = href === null;
    if (href) events.setAttribute("href", href);
    const chosen = choices.filter(({ name }) => filters[name]).map(({ name, text }) => plain(text(filters[name]), 20));
    formLabel.textContent = `Range and filters${chosen.length ? `: ${chosen.join(", ")}` : ""}`;
  }

  function remember(summary) {
    const names = (rows) => (rows ?? []).map((row) => (typeof row === "string" ? row : row.name)).filter((name) => name && name !== "other");
    for (const list of Object.keys(known)) for (const name of names(summary[list])) known[list].add(name);
  }

  /** The response, with hours only if the chart shows them. */
  const ask = (inner) => get("api/summary", { ...filters, compare: "true", hours: daysIn(filters.from, filters.to) <= HOURLY_DAYS ? undefined : "false" }, { signal: inner });

  /** Why a range of this length has no figures, and what to do; null if it has. */
  function refusal(length) {
    if (length < 1) return empty("No figures for this range", h("p", null, "The range ends before it starts."));
    if (length > MAX_DAYS) return empty("No figures for this range", h("p", null, `A range can have at most ${MAX_DAYS} days. This one has ${plural(length, "day")}.`));
    if (filters.tz === "UTC" || length <= MAX_ZONE_DAYS) return null;
    return empty(
      "No figures for this range",
      h("p", null, `In UTC, a range can have up to ${MAX_DAYS} days; in other time zones, up to ${MAX_ZONE_DAYS}. This one has ${plural(length, "day")} in ${filters.tz}.`),
      h(
        "p",
        { class: "tools" },
        h("button", { type: "button", onclick: () => change({ tz: "UTC" }) }, `Show ${plural(length, "day")} in UTC`),
        h("button", { type: "button", onclick: () => change({ from: dayPlus(filters.to, 1 - MAX_ZONE_DAYS), to: filters.to, days: "" }) }, `Show the last ${MAX_ZONE_DAYS} days`),
      ),
    );
  }

  async function show() {
    const refused = refusal(daysIn(filters.from, filters.to));
    if (refused) {
      fill(heading);
      fill(results, h("div", { role: "alert" }, refused));
      return;
    }
    const done = await into(results, "the figures", run, ask, (summary) => {
      remember(summary);
      updateControls();
      fill(
        heading,
        `${dayName(summary.from)} – ${dayName(summary.to)}, ${plural(daysIn(summary.from, summary.to), "day")} in ${summary.tz ?? "UTC"}. `,
        summary.updated_at === null ? "No events yet." : ["Counted up to ", when(summary.updated_at), "."],
      );
      draw(summary);
    });
    if (done) announce("The overview is up to date.");
  }

  let drawing = new AbortController();
  signal.addEventListener("abort", () => drawing.abort());

  function draw(summary) {
    drawing.abort();
    drawing = new AbortController();
    const totals = totalsOf(summary);
    if (totals.events === 0) {
      const filtered = [...NAMES, "channel"].some((name) => filters[name]);
      fill(
        results,
        empty(
          "No events in this range",
          h("p", null, filtered ? "No events match these filters." : "There are no events on these days."),
          h(
            "p",
            { class: "tools" },
            filtered && h("button", { type: "button", onclick: () => change(Object.fromEntries([...NAMES, "channel"].map((name) => [name, ""]))) }, "Remove the filters"),
            h("button", { type: "button", onclick: () => change({ from: "", to: "", days: 90 }) }, "Show 90 days"),
          ),
          !filtered && howToStart(),
        ),
      );
      return;
    }
    const setState = (changes) => {
      state = { ...state, ...changes };
      history.replaceState(null, "", hashOf("overview", parameters()));
    };
    fill(
      results,
      filters.template && h("p", { class: "muted" }, OF_TEMPLATES),
      lacksLatest(summary),
      folded(summary),
      h("div", { class: "top" }, headline(summary, list, announce), counts(summary, filters, list, totals)),
      h(
        "div",
        { class: "panels" },
        h("div", { class: "is-wide" }, volume(summary, list, { signal: drawing.signal, announce })),
        [
          leagues(summary, filters, list, { state, setState, announce, botName }),
          funnel(summary, list),
          reasons(summary, list, announce),
          latency(summary, list, announce),
          fallback(summary, filters, list),
          heat(summary, list),
          spend(summary, list, announce),
          billing(summary, list, announce),
          types(summary, list, announce),
        ],
      ),
    );
  }

  return {
    update(given) {
      filters = read(given);
      state = { ...Object.fromEntries(PANELS.map((name) => [name, given[name] ?? ""])), days: lengthOf(given) || (given.from || given.to ? "" : DAYS) };
      updateControls();
      show();
    },
  };
}
