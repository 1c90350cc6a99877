// The headline of the overview: how many messages reached a person. Below it, the counts of events.

import { copyButton } from "./copy.js";
import { h, icon, svg } from "./dom.js";
import { figure, number, percent, plural } from "./format.js";
import { listed } from "./links.js";
import { CHANNELS, STEPS, channelName, isReported, status, tone } from "./status.js";

/** The change to the period before, in percent; null if there is none or it was 0. */
export function change(now, before) {
  if (before === undefined || before === null || !(before > 0)) return null;
  return now / before - 1;
}

const sign = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const points = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, signDisplay: "exceptZero" });

/** The change of a count as text; null if it cannot be stated. */
export function changed(now, before) {
  const value = change(now, before);
  return value === null ? null : h("span", { class: "delta", title: `${number(before)} in the period before` }, sign.format(value));
}

/** The change of a share in percentage points. */
export function changedShare([part, whole], [partBefore, wholeBefore] = []) {
  if (!(whole > 0) || !(wholeBefore > 0)) return null;
  return h("span", { class: "delta", title: `${percent(partBefore, wholeBefore)} in the period before` }, `${points.format((part / whole - partBefore / wholeBefore) * 100)} pts`);
}

const sum = (entries, name) => entries.reduce((all, entry) => all + entry[name], 0);

/** The share of a step in an earlier one, over the channels that report both, with the channels that do not. */
function rate(funnel, step, earlier) {
  const hasBoth = (entry) => isReported(entry, step) && isReported(entry, earlier);
  const counted = funnel.filter(hasBoth);
  const left = funnel.filter((entry) => !hasBoth(entry) && entry[step] + entry[earlier] > 0).map(({ channel }) => channelName(channel));
  const [part, whole] = [sum(counted, step), sum(counted, earlier)];
  return whole >= part && whole > 0 ? `${percent(part, whole)} of ${earlier}${left.length ? `, without ${left.join(" and ")}` : ""}` : null;
}

/** Counts of events over all channels. */
export function totalsOf(summary) {
  const totals = Object.fromEntries(["sent", "delivered", "read", "clicked", "failed", "not_sent", "blocked"].map((name) => [name, sum(summary.funnel, name)]));
  return {
    ...totals,
    unreached: totals.failed + totals.not_sent + totals.blocked,
    events: sum(summary.counts, "count"),
    received: sum(summary.counts.filter(({ status: word }) => word === "received"), "count"),
    billable: sum(summary.billing.filter(({ billable }) => billable), "messages"),
  };
}

/** The headline as a sentence, for copying. */
export function sentence({ messages, reached, failed, by_channel: channels }, open) {
  const over = Object.entries(channels).sort((a, b) => b[1] - a[1]).map(([channel, count]) => `${channelName(channel)} ${number(count)}`);
  return `${number(reached)} of ${plural(messages, "message")} reached a person (${percent(reached, messages)})${over.length ? `: ${over.join(", ")}` : ""}. ${number(failed)} did not arrive, ${number(open)} ${open === 1 ? "is" : "are"} still open.`;
}

/** A figure as a link to its events; without one if there is no list, or nothing to list. The title says what is listed
    if that is not exactly what is counted. */
export const linked = (href, value, props, title) => (href && value > 0 ? h("a", { href, title }, figure(value, props)) : figure(value, props));

/** What the links of a number of messages list: statuses, and a title. A message is counted once, and can have several of
    these events. */
export const LISTS = {
  messages: [undefined, "Lists all events. A message has several."],
  reached: [STEPS.reached, "Lists the events that prove a delivery, also reads and clicks. A message can have several."],
  read: [`${STEPS.read},${STEPS.clicked}`, "Lists the events “Read”, “Opened” by a person, and clicks. A message can have several."],
  clicked: [STEPS.clicked, "Lists the clicks. A message can have several."],
  failed: [STEPS.unreached, "Lists the failures. A message that failed on one channel and arrived on another has one, too."],
};

/** The headline. `reached` counts messages by the time of their first event, over all channels. */
export function headline(summary, list, announce) {
  const { reached } = summary;
  if (!reached?.messages) return null;
  const open = Math.max(0, reached.messages - reached.reached - reached.failed);
  const before = summary.previous?.reached;
  const parts = [["delivered", "Reached", reached.reached, "reached"], ["failed", "Did not arrive", reached.failed, "failed"], ["other", "Still open", open, null]];
  const messages = (name, count, props, more) => linked(list({ status: LISTS[name][0], ...more }), count, props, LISTS[name][1]);
  const order = (channel) => (CHANNELS.includes(channel) ? CHANNELS.indexOf(channel) : CHANNELS.length);
  const channels = Object.entries(reached.by_channel).sort((a, b) => order(a[0]) - order(b[0]) || b[1] - a[1]);
  return h(
    "section",
    { class: "panel reach", "aria-labelledby": "reach" },
    h("h2", { id: "reach" }, "People reached"),
    h(
      "p",
      { class: "reach-figure" },
      h("span", { class: "huge", "data-kpi": "reached" }, messages("reached", reached.reached)),
      h("span", null, "of ", messages("messages", reached.messages, { "data-of": "messages" }), " messages, ", h("strong", null, percent(reached.reached, reached.messages)), " ", changedShare([reached.reached, reached.messages], before && [before.reached, before.messages])),
    ),
    meter(parts.map(([word, , count]) => [word, count]), reached.messages),
    h(
      "ul",
      { class: "reach-parts" },
      parts.map(([word, label, count, name]) =>
        h("li", { class: tone(word), "data-part": word }, h("span", { class: "swatch", "aria-hidden": "true" }), h("span", null, label, " "), name ? messages(name, count) : figure(count), h("span", { class: "muted" }, ` ${percent(count, reached.messages)}`)),
      ),
    ),
    channels.length > 0 &&
      h("p", { class: "footnote" }, "Reached over ", channels.map(([channel, count], index) => [index ? ", " : null, h("span", { "data-channel": channel }, `${channelName(channel)} `, messages("reached", count, null, { channel }))]), ". A message that failed on one channel and arrived on another counts once.", Number.isFinite(reached.read) && [" Read: ", messages("read", reached.read, { "data-of": "read" }), "; clicked: ", messages("clicked", reached.clicked, { "data-of": "clicked" }), "."], open > 0 && " “Still open” has no list, because lists contain events, and these messages have no final event yet."),
    h("p", { class: "tools table-tools" }, copyButton("Copy", () => sentence(reached, open), announce, { class: "link", "aria-label": "Copy: People reached" })),
  );
}

/** A bar with parts of a whole. Decorative: the list below has the same numbers. */
function meter(parts, whole) {
  const bar = svg("svg", { viewBox: "0 0 1000 20", preserveAspectRatio: "none", class: "meter", "aria-hidden": "true", focusable: "false" });
  let x = 0;
  for (const [word, count] of parts) {
    const width = whole > 0 ? (count / whole) * 1000 : 0;
    bar.append(svg("rect", { x: x.toFixed(2), y: "0", width: width.toFixed(2), height: "20", class: tone(word) }));
    x += width;
  }
  return bar;
}

/** The status whose events are the billable messages; undefined if it is not the same for all prices. */
function charged(summary) {
  const words = new Set(summary.billing.filter(({ billable }) => billable).map((entry) => entry.status));
  const [word] = words;
  return words.size === 1 && word && word !== "other" ? listed(word) : undefined;
}

/** Counts of events. Each is a link to its events. */
export function counts(summary, filters, list, totals) {
  const before = summary.previous && totalsOf(summary.previous);
  const { attempts, fell_back: fellBack } = summary.fallback;
  const item = (name, key, word, value, note, link, beforeValue, title) =>
    h(
      "div",
      { class: `count ${tone(word)}`, "data-kpi": key },
      h("dt", null, icon(status(word).icon), name),
      h("dd", null, linked(link, value, { class: "big" }, title), " ", changed(value, beforeValue)),
      note && h("dd", { class: "note" }, note),
    );
  const of = (step) => list({ status: STEPS[step] });
  const lost = [[totals.failed, "failed"], [totals.not_sent, "not sent"], [totals.blocked, "blocked"]].filter(([count]) => count > 0).map(([count, label]) => `${number(count)} ${label}`);
  return h(
    "dl",
    { class: "counts", "aria-label": "Events in this range" },
    item("Sent", "sent", "sent", totals.sent, null, of("sent"), before?.sent),
    item("Delivered", "delivered", "delivered", totals.delivered, rate(summary.funnel, "delivered", "sent"), of("delivered"), before?.delivered),
    summary.funnel.some((entry) => entry.delivered + entry.read > 0 && isReported(entry, "read")) && item("Read", "read", "read", totals.read, rate(summary.funnel, "read", "delivered"), of("read"), before?.read),
    item("Clicks", "clicked", "clicked", totals.clicked, "including repeated clicks", of("clicked"), before?.clicked),
    item("Failed attempts", "unreached", "failed", totals.unreached, lost.join(", ") || "none failed", of("unreached"), before?.unreached),
    !filters.channel && attempts > 0 && item("Fell back to SMS", "fell_back", "not_sent", fellBack, `${percent(fellBack, attempts)} of RCS`, list({ channel: "SMS", status: STEPS.sent }), summary.previous?.fallback.fell_back),
    item("Incoming", "received", "received", totals.received, "messages from people", of("received"), before?.received),
    summary.billing.length > 0 && item("Billable messages", "billable", "other", totals.billable, "by the prices in the events", list({ billable: "true", status: charged(summary) }), before?.billable, charged(summary) ? undefined : "Lists all events with a billable price. A message can have several."),
  );
}
