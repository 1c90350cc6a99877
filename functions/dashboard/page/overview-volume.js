// The chart of the overview: events over time by status. Statuses that would be flat on the axis of the frequent
// ones have a second chart.

import { now } from "./api.js";
import { lines } from "./charts.js";
import { fill, h, plain } from "./dom.js";
import { dayName, dayNameShort, days, daysIn, number, plural } from "./format.js";
import { listed } from "./links.js";
import { collapsed, panel } from "./overview-panels.js";
import { byHeight, mostFrequent } from "./series.js";
import { inOrder, status } from "./status.js";
import { dataTable } from "./tables.js";
import { hourIn } from "./zones.js";

/** Maximum days for which the chart shows hours. */
export const HOURLY_DAYS = 2;

export function volume(summary, list, { signal, announce }) {
  const zone = summary.tz ?? "UTC";
  const hourly = daysIn(summary.from, summary.to) <= HOURLY_DAYS && summary.hours?.length > 0;
  const latest = hourIn(now(), zone);
  const all = hourly
    ? days(summary.from, summary.to).flatMap((day) => Array.from({ length: 24 }, (_, hour) => `${day}T${String(hour).padStart(2, "0")}`))
    : days(summary.from, summary.to);
  const entries = hourly ? summary.hours : summary.counts;
  const keyOf = (entry) => (hourly ? entry.hour : entry.day);
  // The chart ends now, or with the last event if one claims to be later.
  const end = [latest.slice(0, hourly ? 13 : 10), ...entries.map(keyOf)].sort().at(-1);
  const keys = all.filter((key, index) => index === 0 || key <= end);
  const place = new Map(keys.map((key, index) => [key, index]));
  const series = {};
  for (const entry of entries) {
    const index = place.get(keyOf(entry));
    if (index === undefined) continue;
    (series[entry.status] ??= new Array(keys.length).fill(0))[index] += entry.count;
  }
  const words = inOrder(Object.keys(series));
  const totals = words.map((word) => series[word].reduce((a, b) => a + b, 0));
  const drawn = mostFrequent(series, words, totals);
  const label = (word) => plain(status(word).label, 40);
  const titleOf = (key) => (hourly ? `${dayName(key.slice(0, 10))}, ${key.slice(11)}:00–${key.slice(11)}:59` : dayName(key));
  const shortOf = (key) => (hourly ? `${dayNameShort(key.slice(0, 10))} ${key.slice(11)}h` : dayNameShort(key));
  const unit = hourly ? "hour" : "day";

  const sums = keys.map((_, index) => words.reduce((sum, word) => sum + series[word][index], 0));
  const busiest = sums.indexOf(Math.max(...sums));
  const description = (part) => `${plural(Object.values(part).flat().reduce((a, b) => a + b, 0), "event")} in ${plural(keys.length, unit)}: ${Object.entries(part).map(([word, counts]) => `${label(word)} ${number(counts.reduce((a, b) => a + b, 0))}`).join(", ")}.`;
  const text = `${description(drawn)} The busiest ${unit} was ${titleOf(keys[busiest])} with ${plural(sums[busiest], "event")}.`;

  const [frequent, rare] = byHeight(drawn);
  const chart = (part, className) => {
    const box = h("div", { class: `chart ${className}` }, h("p", { class: "loading" }, "Drawing…"));
    lines({ series: part, labels: keys.map(shortOf), titles: keys.map(titleOf), summary: description(part), signal })
      .then((plot) => fill(box, plot))
      .catch(() => {
        if (!signal.aborted) fill(box, h("p", { class: "muted" }, "The chart could not be loaded. The table below has the same figures."));
      });
    return box;
  };
  const link = (key, status) => list({ ...(hourly ? { from: `${key}:00`, to: `${nextHour(key)}:00` } : { from: key, to: key }), status });
  const linked = (href, text) => (href ? h("a", { href }, text) : text);
  const columns = [
    { label: hourly ? "Hour" : "Day", value: (index) => (hourly ? `${keys[index].replace("T", " ")}:00` : keys[index]), cell: (index) => linked(link(keys[index]), hourly ? `${keys[index].replace("T", " ")}:00` : keys[index]) },
    ...words.map((word) => ({ label: label(word), numeric: true, value: (index) => series[word][index], cell: (index) => linked(series[word][index] > 0 && link(keys[index], listed(word)), number(series[word][index])) })),
  ];
  return panel(
    "Volume over time",
    h("p", { class: "summary-line" }, text),
    chart(frequent, ""),
    Object.keys(rare).length > 0 && [h("h3", null, "Rare statuses on a separate axis"), chart(rare, "is-small")],
    collapsed("Figures as a table", () =>
      dataTable({ name: `Events by status for each ${unit}`, columns, rows: keys.map((_, index) => index), announce, atFirst: 62, foot: ["Total", ...totals.map(number)] }),
    ),
  );
}

/** The hour after an hour `YYYY-MM-DDTHH`. */
const nextHour = (key) => new Date(Date.parse(`${key}:00Z`) + 3_600_000).toISOString().slice(0, 13);
