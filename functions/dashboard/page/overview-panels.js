// Panels of the overview: funnel, fallback, times, reasons, prices, types. A panel without its data is absent.

import { h, plain, put, untrusted } from "./dom.js";
import { figure, number, percent, plural, shortDuration } from "./format.js";
import { listed } from "./links.js";
import { changed, linked } from "./overview-headline.js";
import { meaningOf } from "./reasons.js";
import { CHANNELS, STEPS, badge, channelName, chip, isReported, status, tone } from "./status.js";
import { dataTable } from "./tables.js";
import { texts } from "./texts/all.js";

const narrow = window.matchMedia("(max-width: 46rem)");

/** A panel with a heading that folds it. On a phone, only the first panels are open. */
export function panel(name, ...children) {
  const id = `panel-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const open = !narrow.matches || name === "Volume over time";
  return h(
    "section",
    { class: "panel", "aria-labelledby": id },
    h("details", { class: "fold", open }, h("summary", null, h("h2", { id }, name)), h("div", { class: "fold-body" }, children)),
  );
}

/** A collapsed element whose content is created when it is opened. */
export function collapsed(name, make) {
  const box = h("details", { class: "details" }, h("summary", null, name));
  box.addEventListener("toggle", () => box.open && box.childElementCount === 1 && put(box, make()));
  return box;
}

/** A bar next to its number. Decorative: the number has the same information. */
export function bar(value, max, word) {
  const filled = h("span", { class: `bar-fill ${tone(word)}` });
  filled.style.width = `${max > 0 ? Math.min(100, (value / max) * 100) : 0}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, filled);
}

/** What the figures of a template lack. */
export const OF_TEMPLATES = "Only clicks name their template. These figures count only the clicks, the replies, and the messages that were clicked.";

/** A part of a step, in percent; a dash if a provider does not report the step for all messages. */
const shareOf = (part, step) => (part > step ? "–" : percent(part, step));

/** The reason why no share of the sent messages is shown; false if one is shown. */
const unreported = (delivered, sent) => delivered > sent && "More messages are reported as delivered than as sent: some providers do not report “Sent”. ";

const CHANNELS_AT_FIRST = 4;

export function funnel(summary, list) {
  const place = ({ channel }) => (CHANNELS.includes(channel) ? CHANNELS.indexOf(channel) : CHANNELS.length);
  const channels = summary.funnel
    .filter((entry) => entry.sent + entry.delivered + entry.read + entry.clicked + entry.failed + entry.not_sent + entry.blocked > 0)
    .sort((a, b) => place(a) - place(b));
  const name = "From sent to clicked";
  if (!channels.length) return panel(name, h("p", { class: "muted" }, "No message was sent in this range."));
  const draw = (entry) => {
    const max = Math.max(entry.sent, entry.delivered, entry.read, entry.clicked);
    const link = (step) => list({ channel: entry.channel, status: STEPS[step] });
    let before;
    const rows = ["sent", "delivered", "read", "clicked"].map((word) => {
      if (!isReported(entry, word)) return [chip(word), h("span", { class: "muted", "data-step": "unreported" }, "not reported"), "", ""];
      const share = before === undefined ? "" : shareOf(entry[word], before);
      before = entry[word];
      return [chip(word), linked(link(word), entry[word], { "data-step": word }), share, bar(entry[word], max, word)];
    });
    const lost = [["failed", entry.failed], ["not_sent", entry.not_sent], ["blocked", entry.blocked]].filter(([, count]) => count > 0);
    return h(
      "div",
      { class: "funnel" },
      rowsTable(plain(channelName(entry.channel)), ["Step", "Events", "Of the step before"], rows),
      h("p", { class: "footnote" }, unreported(entry.delivered, entry.sent), lost.length ? ["Did not arrive: ", lost.map(([word, count], index) => [index ? ", " : null, linked(link(word), count), ` ${word.replace("_", " ")}`])] : "None failed."),
    );
  };
  const tables = h("div", { class: "funnels" }, channels.slice(0, CHANNELS_AT_FIRST).map(draw));
  const more = channels.length > CHANNELS_AT_FIRST && h("button", { type: "button", class: "link", onclick: (event) => {
    tables.append(...channels.slice(CHANNELS_AT_FIRST).map(draw));
    event.currentTarget.remove();
    tables.querySelector(".scroll").focus();
  } }, `Show all ${number(channels.length)} channels`);
  return panel(name, tables, more);
}

/** A table of steps with bars. */
function rowsTable(caption, head, rows) {
  const cell = (content, column) => h(column ? "td" : "th", { scope: column ? undefined : "row", class: column === 1 || column === 2 ? "num" : undefined }, content);
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      { class: "bars" },
      h("caption", null, caption),
      h("thead", null, h("tr", null, [...head, h("span", { class: "visually-hidden" }, "Bar")].map((content, column) => h("th", { scope: "col", class: column === 1 || column === 2 ? "num" : undefined }, content)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map(cell)))),
    ),
  );
}

/** The fallback, which needs both channels: with a channel filter it would compare a channel with nothing. */
export function fallback(summary, filters, list) {
  const name = "Fallback to SMS";
  if (filters.channel) return panel(name, h("p", { class: "muted" }, "Hidden while a channel is chosen: a fallback is a message on two channels."));
  const { attempts, fell_back: fellBack, delivered, failed: lost, clicked } = summary.fallback;
  if (!fellBack) return panel(name, h("p", null, attempts ? `None of ${plural(attempts, "RCS message")} fell back to SMS.` : "No RCS message in this range."));
  const open = Math.max(0, fellBack - delivered - lost);
  const of = (channel, step) => list({ channel, status: STEPS[step] ?? "" });
  const rows = [["Sent as SMS", fellBack, "sent"], ["Delivered", delivered, "delivered"], ["Failed", lost, "failed"], ["No report yet", open, "other"], ["Clicks", clicked, "clicked"]];
  const max = Math.max(...rows.map(([, value]) => value));
  return panel(
    name,
    h("p", null, `${percent(fellBack, attempts)} of `, linked(of("RCS", "attempts"), attempts), ` RCS ${attempts === 1 ? "message" : "messages"} fell back to SMS`, delivered <= fellBack && `; ${percent(delivered, fellBack)} of those were delivered`, "."),
    rowsTable("Fallback results", ["Result", "Messages", "Of those sent"], rows.map(([label, value, word], index) => [label, linked(of("SMS", word), value), index ? shareOf(value, fellBack) : "", bar(value, max, word)])),
    delivered > fellBack && h("p", { class: "footnote" }, unreported(delivered, fellBack)),
    open > 0 && h("p", { class: "footnote" }, "“No report yet” has no list, because lists contain events, and these messages have none after “Sent”."),
  );
}

const STEP_NAMES = { sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed", fallback: "Fallback" };

/** The events of the later step of a time. */
const LATER = { delivered: STEPS.delivered, read: STEPS.read, fallback: STEPS.sent };
/** The same for e-mails, which a machine opens only if they arrived. */
const LATER_EMAIL = { ...LATER, delivered: "delivered,opened_by_machine" };
const later = ({ channel, to }) => (channel === "EMAIL" ? LATER_EMAIL : LATER)[to];

/** Times between two steps: the middle, and what 90 and 99 of 100 messages needed at most. */
export function latency(summary, list, announce) {
  if (!summary.latency) return null;
  const name = "Time between steps";
  const rows = summary.latency.filter(({ count }) => count > 0);
  if (!rows.length) return panel(name, h("p", { class: "muted" }, "No message in this range has two steps."));
  const step = (word) => STEP_NAMES[word] ?? word;
  const time = (field) => (row) => h("data", { value: row[field] }, shortDuration(row[field]));
  const before = (row) => summary.previous?.latency?.find((other) => other.from === row.from && other.to === row.to && other.channel === row.channel);
  return panel(
    name,
    dataTable({
      name,
      caption: "Half, 90 % and 99 % of the messages took at most this time",
      rows,
      announce,
      columns: [
        { label: "Step", value: (row) => `${step(row.from)} to ${step(row.to)}` },
        { label: "Channel", value: (row) => row.channel, cell: (row) => badge(row.channel) },
        { label: "Messages", numeric: true, value: (row) => row.count, cell: (row) => linked(list({ channel: row.channel, status: later(row) ?? "" }), row.count, null, `Lists the events of the later step. The figure counts only messages that also have the step “${step(row.from)}”.`) },
        { label: "Half", unit: "ms", numeric: true, value: (row) => row.p50_ms, cell: (row) => [time("p50_ms")(row), " ", changed(row.p50_ms, before(row)?.p50_ms)] },
        { label: "90 %", unit: "ms", numeric: true, value: (row) => row.p90_ms, cell: time("p90_ms") },
        { label: "99 %", unit: "ms", numeric: true, value: (row) => row.p99_ms, cell: time("p99_ms") },
      ],
    }),
  );
}

export function reasons(summary, list, announce) {
  const name = "Why messages were not delivered";
  const all = [...summary.failures].sort((a, b) => b.count - a.count);
  if (!all.length) return panel(name, h("p", { class: "muted" }, "No message failed in this range."));
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const explanation = (entry) => texts().reasons[meaningOf(entry.reason)]?.means;
  return panel(
    name,
    dataTable({
      name,
      caption: "Reasons as the providers report them",
      rows: all,
      announce,
      atFirst: 8,
      className: "bars",
      columns: [
        { label: "Reason", value: (entry) => entry.reason || "No reason given", cell: (entry) => [entry.reason ? untrusted(entry.reason, { max: 120 }) : "No reason given", explanation(entry) && h("span", { class: "meaning" }, explanation(entry))] },
        { label: "Channel", value: (entry) => entry.channel, cell: (entry) => badge(entry.channel) },
        { label: "Events", numeric: true, value: (entry) => entry.count, cell: (entry) => linked(list({ channel: entry.channel, reason: entry.reason }), entry.count) },
        { label: "Share", numeric: true, value: (entry) => entry.count / total, cell: (entry) => percent(entry.count, total) },
        { label: "Bar", hidden: true, value: () => "", cell: (entry) => bar(entry.count, all[0].count, "failed") },
      ],
    }),
  );
}

export function billing(summary, list, announce) {
  const name = "Billable by category";
  if (!summary.billing.length) return null;
  const rows = [...summary.billing].sort((a, b) => Number(b.billable) - Number(a.billable) || b.messages - a.messages);
  const link = ({ category, billable }, more) => list({ category, billable, ...more });
  const messages = (entry) => linked(link(entry, { status: listed(entry.status ?? "") }), entry.messages, null, `Lists the events “${plain(status(entry.status ?? "").label, 40)}” with this price, one for each message.`);
  return panel(
    name,
    dataTable({
      name,
      caption: "Messages by price category",
      rows,
      announce,
      columns: [
        { label: "Category", value: (entry) => entry.category || "No category", cell: (entry) => (entry.category ? untrusted(entry.category, { max: 80 }) : "No category") },
        { label: "Billed", value: (entry) => (entry.billable ? "Billable" : "Free") },
        { label: "Messages", numeric: true, value: (entry) => entry.messages, cell: messages },
        { label: "Events with a price", numeric: true, value: (entry) => entry.count, cell: (entry) => linked(link(entry), entry.count) },
      ],
    }),
    h("p", { class: "footnote" }, "Several events of one message carry its price, so the number of messages is an estimate."),
  );
}

const UNPRICED_AT_MOST = 5;

/** What the messages cost; null without a rate card. */
export function spend(summary, list, announce) {
  const { spend: money } = summary;
  if (!money) return null;
  const name = "Spend";
  const amount = price(money.currency);
  const link = ({ country, channel, category, per }) =>
    list({ country, channel, status: per ?? "", category: category || "-", billable: category ? "true" : "true,unknown" });
  const listing = ({ per }) => `Lists the events “${status(per ?? "").label}” of this range. The figure also counts messages that lack this event if a later one proves it. Each message counts at the time of its first event.`;
  const naming = ({ country, channel, category }) => [countryName(country), channelName(channel), category].filter(Boolean).join(" ");
  const unpriced = (row, index) => {
    const per = "sent";
    return [index ? ", " : "", untrusted(naming(row), { max: 80 }), " (", linked(link({ ...row, per }), row.messages, null, listing({ per })), ")"];
  };
  const more = money.unpriced_rows.length - UNPRICED_AT_MOST;
  const before = summary.previous?.spend;
  const item = (key, label, value, last) => value !== null && value !== undefined && h("div", { "data-kpi": key }, h("dt", null, label), h("dd", null, h("data", { value, class: "big" }, amount(value)), " ", changed(value, last)));
  return panel(
    name,
    h("dl", { class: "counts is-flat" }, item("spent", "Spent", money.spent, before?.spent), item("per_reached", "Per person reached", money.per_reached, before?.per_reached), item("forecast", "Forecast for the month", money.forecast)),
    money.unpriced > 0 && h("p", { class: "footnote" }, `${plural(money.unpriced, "message")} ${money.unpriced === 1 ? "has no price in the rate card and is" : "have no price in the rate card and are"} not in these amounts. Add a rate for `, money.unpriced_rows.slice(0, UNPRICED_AT_MOST).map(unpriced), more > 0 ? `, and ${number(more)} more.` : "."),
    money.rows.length > 0 &&
      dataTable({
        name,
        caption: "Messages by country, channel and category",
        rows: money.rows,
        announce,
        sortable: true,
        sorted: 5,
        columns: [
          { label: "Country", value: (row) => row.country || "Unknown", cell: (row) => untrusted(countryName(row.country), { max: 60 }) },
          { label: "Channel", value: (row) => row.channel, cell: (row) => badge(row.channel) },
          { label: "Category", value: (row) => row.category || "–", cell: (row) => untrusted(row.category || "–", { max: 60 }) },
          { label: "Messages", numeric: true, value: (row) => row.messages, cell: (row) => linked(link(row), row.messages, null, listing(row)) },
          { label: "Price", numeric: true, value: (row) => row.price, cell: (row) => amount(row.price) },
          { label: "Amount", numeric: true, value: (row) => row.amount, cell: (row) => amount(row.amount) },
        ],
      }),
  );
}

/** Formats amounts of a currency; an unknown code is shown as a word. */
function price(currency) {
  try {
    const format = new Intl.NumberFormat(undefined, { style: "currency", currency, maximumFractionDigits: 4, minimumFractionDigits: 2 });
    return (value) => format.format(value);
  } catch {
    return (value) => `${number(value)} ${plain(currency, 12)}`;
  }
}

const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "code" });

/** The name of a country by its ISO code; other words unchanged. */
export function countryName(code) {
  if (!code || code === "-") return "Unknown";
  return /^[A-Z]{2}$/.test(code) ? regions.of(code) : code;
}

export function types(summary, list, announce) {
  const name = "Message types";
  if (!summary.message_types.length) return panel(name, h("p", { class: "muted" }, "No event in this range has a message type."));
  return panel(
    name,
    dataTable({
      name,
      caption: "Events by message type",
      rows: [...summary.message_types].sort((a, b) => b.count - a.count),
      announce,
      columns: [
        { label: "Type", value: (entry) => entry.message_type || "not named", cell: (entry) => untrusted(entry.message_type || "not named", { max: 80 }) },
        { label: "Channel", value: (entry) => entry.channel, cell: (entry) => badge(entry.channel) },
        { label: "Events", numeric: true, value: (entry) => entry.count, cell: (entry) => linked(list({ channel: entry.channel, type: entry.message_type }), entry.count) },
      ],
    }),
  );
}

const FOLDED = {
  channels: "channels",
  bots: "bots",
  tags: "tags",
  campaigns: "campaigns",
  templates: "templates",
  countries: "countries",
  pairs: "combinations of a bot and a tag",
  statuses: "unlisted statuses",
  message_types: "message types",
  reasons: "failure reasons",
  prices: "price categories",
};

/** A note that the latest counts are missing; null if they are not. */
export const lacksLatest = (summary) =>
  summary.lacks_latest_counts
    ? h("p", { class: "muted", "data-lacks-latest": "" }, "The latest counts are missing, because the counters could not be merged for long. An operator finds the steps under “Failed merges” in the guide.")
    : null;

/** A note about names that are not counted separately; null if there are none. */
export function folded(summary) {
  const name = ({ kind, most, days: on }) =>
    `${number(most)} ${FOLDED[kind] ?? kind} on ${plural(on, "day")}` + (kind === "pairs" ? " (the others have no combined figures)" : "");
  return summary.folded.length
    ? h("p", { class: "muted", "data-folded": summary.folded.map(({ kind }) => kind).join(" ") }, `Some names are counted as “other”, because there were more than ${summary.folded.map(name).join(", ")}. All totals are complete.`)
    : null;
}
