// The overview: counts of a range of days.

import { get, latest, now } from "./api.js";
import { lines } from "./charts.js";
import { fill, h, icon, plain, table, untrusted } from "./dom.js";
import { dayName, dayNameShort, dayPlus, dayText, days, daysIn, figure, isDay, number, percent, plural, when } from "./format.js";
import { empty, failed, howToStart, into } from "./states.js";
import { CHANNELS, badge, channelName, chip, inOrder, status, tone } from "./status.js";

const PRESETS = [["Today", 1], ["7 days", 7], ["30 days", 30], ["90 days", 90]];
const MAX_DAYS = 366;
/** Maximum days for which the chart shows hours. */
const HOURLY_DAYS = 2;
const REASONS_AT_FIRST = 8;
const CHANNELS_AT_FIRST = 4;
/** Maximum lines of the chart: the most frequent statuses, and one line for all others. */
const MAX_LINES = 10;

export const title = () => "Overview";

export function mount({ main, signal, go, announce }) {
  const run = latest(signal);
  let filters = null;
  let available = { bots: [], channels: CHANNELS, tags: [] };
  const form = h("form", { class: "filters", "aria-label": "Range and filters" });
  const results = h("div", { class: "results" });
  const heading = h("p", { class: "subtitle" });
  fill(main, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Overview"), heading), form, results);
  form.addEventListener("submit", (event) => event.preventDefault());

  const change = (changes) => go("overview", { ...filters, ...changes });

  function read(parameters) {
    const today = dayText(now());
    const to = isDay(parameters.to) ? parameters.to : today;
    const from = isDay(parameters.from) ? parameters.from : dayPlus(to, -29);
    return { from, to, bot: parameters.bot ?? "", channel: parameters.channel ?? "", tag: parameters.tag ?? "" };
  }

  // Created once and then updated, so that an open list is not replaced.
  const presets = PRESETS.map(([name, length]) => {
    const button = h("button", { type: "button", onclick: () => change(presetRange(length)) }, name);
    return { button, length };
  });
  const presetRange = (length) => ({ from: dayPlus(dayText(now()), 1 - length), to: dayText(now()) });
  const day = (name, label) => {
    const input = h("input", { type: "date", id: name, required: true });
    input.addEventListener("change", () => isDay(input.value) && change({ [name]: input.value }));
    return { name, input, field: h("div", { class: "field" }, h("label", { for: name }, label), input) };
  };
  const choice = (name, label, list, shown = (value) => value) => {
    const select = h("select", { id: name });
    select.addEventListener("change", () => change({ [name]: select.value }));
    return { name, select, list, shown, field: h("div", { class: "field" }, h("label", { for: name }, label), select) };
  };
  const range = [day("from", "From (UTC day)"), day("to", "To (UTC day)")];
  const choices = [choice("channel", "Channel", "channels", channelName), choice("bot", "Bot", "bots"), choice("tag", "Tag", "tags")];
  fill(
    form,
    h("div", { class: "presets", role: "group", "aria-label": "Range" }, presets.map(({ button }) => button)),
    range.map(({ field }) => field),
    choices.map(({ field }) => field),
    h("button", { type: "button", onclick: () => show() }, "Refresh"),
  );

  function updateControls() {
    for (const { button, length } of presets) {
      const { from, to } = presetRange(length);
      button.setAttribute("aria-pressed", String(filters.from === from && filters.to === to));
    }
    for (const { name, input } of range) {
      input.value = filters[name];
      input.max = dayText(now());
    }
    for (const { name, select, list, shown } of choices) {
      const wanted = ["", ...new Set([...available[list], filters[name]])].filter((value, index) => value || index === 0);
      if (JSON.stringify(wanted) !== JSON.stringify([...select.options].map(({ value }) => value))) {
        fill(select, wanted.map((value) => h("option", { value }, value ? plain(shown(value)) : "All")));
      }
      select.value = filters[name];
    }
  }

  async function show() {
    const length = daysIn(filters.from, filters.to);
    if (length < 1 || length > MAX_DAYS) {
      const why = length < 1 ? "The range ends before it starts." : `A range can have at most ${MAX_DAYS} days.`;
      fill(results, failed(new Error(why)));
      return;
    }
    const done = await into(results, "the figures", run, (inner) => get("api/summary", filters, { signal: inner }), (summary) => {
      available = {
        bots: summary.bots,
        channels: [...new Set([...CHANNELS, ...summary.channels])],
        tags: summary.tags,
      };
      updateControls();
      fill(
        heading,
        `${dayName(summary.from)} – ${dayName(summary.to)}, ${plural(daysIn(summary.from, summary.to), "UTC day")}. `,
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
    const totals = add(summary);
    if (totals.events === 0) {
      const filtered = filters.bot || filters.channel || filters.tag;
      fill(
        results,
        empty(
          "No events in this range",
          h("p", null, filtered ? "No events match these filters." : "There are no events on these UTC days."),
          h(
            "p",
            { class: "tools" },
            filtered && h("button", { type: "button", onclick: () => change({ bot: "", channel: "", tag: "" }) }, "Remove the filters"),
            h("button", { type: "button", onclick: () => change(presetRange(90)) }, "Show 90 days"),
          ),
          !filtered && howToStart(),
        ),
      );
      return;
    }
    fill(
      results,
      folded(summary),
      cards(summary, totals),
      volume(summary, drawing.signal),
      h("div", { class: "pair" }, funnel(summary), h("div", { class: "stack" }, fallback(summary), billing(summary))),
      h("div", { class: "pair" }, reasons(summary), types(summary)),
    );
  }

  return {
    update(parameters) {
      filters = read(parameters);
      updateControls();
      show();
    },
  };
}

function add(summary) {
  const sum = (name) => summary.funnel.reduce((all, channel) => all + channel[name], 0);
  const totals = Object.fromEntries(["sent", "delivered", "read", "clicked", "failed", "not_sent", "blocked"].map((name) => [name, sum(name)]));
  totals.events = summary.counts.reduce((all, { count }) => all + count, 0);
  totals.received = summary.counts.filter(({ status: word }) => word === "received").reduce((all, { count }) => all + count, 0);
  return totals;
}

function cards(summary, totals) {
  const unreached = totals.failed + totals.not_sent + totals.blocked;
  const { attempts, fell_back: fellBack, delivered } = summary.fallback;
  const billable = summary.billing.filter((entry) => entry.billable).reduce((all, { messages }) => all + messages, 0);
  const card = (name, key, value, word, note) =>
    h("div", { class: `card ${tone(word)}`, "data-kpi": key }, h("dt", null, icon(status(word).icon), name), h("dd", null, figure(value, { class: "big" })), h("dd", { class: "note" }, note));
  return h(
    "dl",
    { class: "cards", "aria-label": "Key figures" },
    card("Sent", "sent", totals.sent, "sent", "over all channels"),
    card("Delivered", "delivered", totals.delivered, "delivered", `${percent(totals.delivered, totals.sent)} of sent`),
    card("Read", "read", totals.read, "read", `${percent(totals.read, totals.delivered)} of delivered`),
    card("Clicks", "clicked", totals.clicked, "clicked", `${percent(totals.clicked, totals.read)} of read; includes repeated clicks`),
    card("Not delivered", "unreached", unreached, "failed", `${number(totals.failed)} failed, ${number(totals.not_sent)} not sent, ${number(totals.blocked)} blocked`),
    card("Fell back to SMS", "fell_back", fellBack, "not_sent", attempts ? `${percent(fellBack, attempts)} of RCS; ${number(delivered)} delivered` : "no RCS message in this range"),
    card("Incoming", "received", totals.received, "received", "messages from people"),
    card("Billable messages", "billable", billable, "other", summary.billing.length ? "by the prices in the events" : "no event has a price"),
  );
}

const FOLDED = {
  channels: "channels",
  bots: "bots",
  tags: "tags",
  pairs: "combinations of a bot and a tag",
  statuses: "unlisted statuses",
  message_types: "message types",
  reasons: "failure reasons",
  prices: "price categories",
};

/** A note about names that are not counted separately; null if there are none. */
function folded(summary) {
  const name = ({ kind, most, days: on }) =>
    `${number(most)} ${FOLDED[kind] ?? kind} on ${plural(on, "day")}` + (kind === "pairs" ? " (the others have no combined figures)" : "");
  return summary.folded.length
    ? h("p", { class: "muted", "data-folded": summary.folded.map(({ kind }) => kind).join(" ") }, `Some names are counted as “other”, because there were more than ${summary.folded.map(name).join(", ")}. All totals are complete.`)
    : null;
}

function panel(name, ...children) {
  const id = `panel-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, name), children);
}

function volume(summary, signal) {
  const hourly = daysIn(summary.from, summary.to) <= HOURLY_DAYS && summary.hours.length > 0;
  const keys = hourly
    ? days(summary.from, summary.to).flatMap((day) => Array.from({ length: 24 }, (_, hour) => `${day}T${String(hour).padStart(2, "0")}`))
    : days(summary.from, summary.to);
  const place = new Map(keys.map((key, index) => [key, index]));
  const series = {};
  for (const entry of hourly ? summary.hours : summary.counts) {
    const index = place.get(hourly ? entry.hour : entry.day);
    if (index === undefined) continue;
    (series[entry.status] ??= new Array(keys.length).fill(0))[index] += entry.count;
  }
  const words = inOrder(Object.keys(series));
  const totals = words.map((word) => series[word].reduce((a, b) => a + b, 0));
  const drawn = mostFrequent(series, words, totals);
  const label = (word) => plain(status(word).label, 40);
  const titleOf = (key) => (hourly ? `${dayName(key.slice(0, 10))}, ${key.slice(11)}:00–${key.slice(11)}:59 UTC` : `${dayName(key)} (UTC)`);
  const shortOf = (key) => (hourly ? `${dayNameShort(key.slice(0, 10))} ${key.slice(11)}h` : dayNameShort(key));

  const sums = keys.map((_, index) => words.reduce((all, word) => all + series[word][index], 0));
  const busiest = sums.indexOf(Math.max(...sums));
  const description =
    `${plural(totals.reduce((a, b) => a + b, 0), "event")} in ${plural(keys.length, hourly ? "UTC hour" : "UTC day")}: ` +
    `${Object.entries(drawn).map(([word, counts]) => `${label(word)} ${number(counts.reduce((a, b) => a + b, 0))}`).join(", ")}. ` +
    `The busiest ${hourly ? "hour" : "day"} was ${titleOf(keys[busiest])} with ${plural(sums[busiest], "event")}.`;

  const chart = h("div", { class: "chart" }, h("p", { class: "loading" }, "Drawing…"));
  lines({ series: drawn, labels: keys.map(shortOf), titles: keys.map(titleOf), summary: description, signal })
    .then((plot) => fill(chart, plot))
    .catch(() => {
      if (!signal.aborted) fill(chart, h("p", { class: "muted" }, "The chart could not be loaded. The table below has the same figures."));
    });

  return panel(
    "Volume over time",
    h("p", { class: "summary-line" }, description),
    chart,
    collapsed("Figures as a table", () =>
      table({
        caption: `Events by status for each UTC ${hourly ? "hour" : "day"}`,
        head: [hourly ? "Hour (UTC)" : "Day (UTC)", ...words.map(label)],
        rows: keys.map((key, index) => [hourly ? `${key.replace("T", " ")}:00` : key, ...words.map((word) => number(series[word][index]))]),
        foot: ["Total", ...totals.map(number)],
        numeric: words.map((_, index) => index + 1),
      }),
    ),
  );
}

/** The series of the most frequent statuses, and the sum of all others as `other`. */
function mostFrequent(series, words, totals) {
  const total = new Map(words.map((word, index) => [word, totals[index]]));
  const kept = words.length <= MAX_LINES ? words : words.filter((word) => word !== "other").sort((a, b) => total.get(b) - total.get(a)).slice(0, MAX_LINES - 1);
  const drawn = Object.fromEntries(inOrder([...kept]).map((word) => [word, series[word]]));
  for (const word of words.filter((one) => !kept.includes(one))) {
    drawn.other = series[word].map((count, index) => count + (drawn.other?.[index] ?? 0));
  }
  return drawn;
}

/** A collapsed element whose content is created when it is opened. */
function collapsed(name, make) {
  const box = h("details", { class: "details" }, h("summary", null, name));
  box.addEventListener("toggle", () => box.open && box.childElementCount === 1 && box.append(make()));
  return box;
}

/** A bar next to its number. Decorative: the number has the same information. */
function bar(value, max, word) {
  const filled = h("span", { class: `bar-fill ${tone(word)}` });
  filled.style.width = `${max > 0 ? Math.min(100, (value / max) * 100) : 0}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, filled);
}

function funnel(summary) {
  const place = ({ channel }) => (CHANNELS.includes(channel) ? CHANNELS.indexOf(channel) : CHANNELS.length);
  const channels = summary.funnel
    .filter((entry) => entry.sent + entry.delivered + entry.read + entry.clicked + entry.failed + entry.not_sent + entry.blocked > 0)
    .sort((a, b) => place(a) - place(b));
  if (!channels.length) return panel("From sent to clicked", h("p", { class: "muted" }, "No message was sent in this range."));
  const draw = (shown) =>
    shown.map((entry) => {
      const max = Math.max(entry.sent, entry.delivered, entry.read, entry.clicked);
      const step = (word, whole) => [chip(word), figure(entry[word], { "data-step": word }), whole === null ? "" : percent(entry[word], whole), bar(entry[word], max, word)];
      const lost = entry.failed + entry.not_sent + entry.blocked;
      return [
        table({
          caption: plain(channelName(entry.channel)),
          head: ["Step", "Events", "Of the previous step", h("span", { class: "visually-hidden" }, "Bar")],
          rows: [step("sent", null), step("delivered", entry.sent), step("read", entry.delivered), step("clicked", entry.read)],
          numeric: [1, 2],
          className: "bars",
        }),
        h("p", { class: "footnote" }, lost ? `Not delivered: ${number(entry.failed)} failed, ${number(entry.not_sent)} not sent, ${number(entry.blocked)} blocked.` : "None failed."),
      ];
    });
  return panel("From sent to clicked", ...withShowAll(channels, CHANNELS_AT_FIRST, "channels", draw));
}

/** The first entries of a list, with a button to show all. */
function withShowAll(all, atFirst, what, draw) {
  const place = h("div", null, draw(all.slice(0, atFirst)));
  const more = h("button", { type: "button", class: "link" }, `Show all ${number(all.length)} ${what}`);
  more.addEventListener("click", () => {
    fill(place, draw(all));
    more.remove();
    place.querySelector(".scroll").focus();
  });
  return [place, all.length > atFirst && more];
}

function fallback(summary) {
  const { attempts, fell_back: fellBack, delivered, failed: lost, clicked } = summary.fallback;
  const name = "Fallback to SMS";
  if (!fellBack) {
    return panel(name, h("p", { class: "lead" }, attempts ? `None of ${plural(attempts, "RCS message")} fell back to SMS.` : "No RCS message in this range."));
  }
  const open = Math.max(0, fellBack - delivered - lost);
  const rows = [["Sent as SMS", fellBack, "sent"], ["Delivered", delivered, "delivered"], ["Failed", lost, "failed"], ["No report yet", open, "other"], ["Clicks", clicked, "clicked"]];
  const max = Math.max(...rows.map(([, value]) => value));
  return panel(
    name,
    h("p", { class: "lead" }, `${percent(fellBack, attempts)} of ${plural(attempts, "RCS message")} fell back to SMS; ${percent(delivered, fellBack)} of those were delivered.`),
    table({
      caption: "Fallback results",
      head: ["Result", "Messages", "Of those sent", h("span", { class: "visually-hidden" }, "Bar")],
      rows: rows.map(([label, value, word], index) => [label, figure(value), index ? percent(value, fellBack) : "", bar(value, max, word)]),
      numeric: [1, 2],
      className: "bars",
    }),
  );
}

function reasons(summary) {
  const name = "Why messages were not delivered";
  const all = [...summary.failures].sort((a, b) => b.count - a.count);
  if (!all.length) return panel(name, h("p", { class: "muted" }, "No message failed in this range."));
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const draw = (shown) =>
    table({
      caption: "Reasons as the providers report them",
      head: ["Reason", "Channel", "Events", "Share", h("span", { class: "visually-hidden" }, "Bar")],
      rows: shown.map((entry) => [entry.reason ? untrusted(entry.reason, { max: 120 }) : "No reason given", badge(entry.channel), figure(entry.count), percent(entry.count, total), bar(entry.count, all[0].count, "failed")]),
      numeric: [2, 3],
      className: "bars",
    });
  return panel(name, ...withShowAll(all, REASONS_AT_FIRST, "reasons", draw));
}

function billing(summary) {
  const name = "Billable by category";
  if (!summary.billing.length) return panel(name, h("p", { class: "muted" }, "No event in this range has a price."));
  const rows = [...summary.billing].sort((a, b) => Number(b.billable) - Number(a.billable) || b.messages - a.messages);
  return panel(
    name,
    table({
      caption: "Messages by price category",
      head: ["Category", "Billed", "Messages", "Events with a price"],
      rows: rows.map((entry) => [entry.category ? untrusted(entry.category, { max: 80 }) : "No category", entry.billable ? "Billable" : "Free", figure(entry.messages), figure(entry.count)]),
      numeric: [2, 3],
    }),
    h("p", { class: "footnote muted" }, "Several events of one message carry its price, so the number of messages is an estimate."),
  );
}

function types(summary) {
  const name = "Message types";
  if (!summary.message_types.length) return panel(name, h("p", { class: "muted" }, "No event in this range has a message type."));
  const rows = [...summary.message_types].sort((a, b) => b.count - a.count);
  return panel(
    name,
    table({
      caption: "Events by message type",
      head: ["Type", "Channel", "Events"],
      rows: rows.slice(0, 20).map((entry) => [untrusted(entry.message_type || "not named", { max: 80 }), badge(entry.channel), figure(entry.count)]),
      numeric: [2],
    }),
  );
}
