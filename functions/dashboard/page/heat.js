// When people read and click: weekday by hour, as a table with shaded cells. Each is a link to its events.

import { fill, h } from "./dom.js";
import { WEEKDAYS, daysIn, number, plural } from "./format.js";
import { panel } from "./overview-panels.js";
import { STEPS, status, tone } from "./status.js";

/** Shades of a cell; the busiest hour has the last. */
const SHADES = 8;
/** The most days in UTC for which the API counts hours. Ranges of other time zones are shorter than their limit. */
const MAX_UTC_DAYS = 31;
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
/** Moves between cells: weekdays and hours. */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export function heat(summary, list) {
  if (!summary.heat) return null;
  const name = "When people read and click";
  const words = ["read", "clicked"].filter((word) => summary.heat.some((entry) => entry.status === word && entry.count > 0));
  if (!words.length) {
    const isTooLong = summary.tz === "UTC" && daysIn(summary.from, summary.to) > MAX_UTC_DAYS;
    return panel(name, h("p", { class: "muted" }, isTooLong ? `In UTC, this is shown for up to ${MAX_UTC_DAYS} days.` : "No reads or clicks in this range."));
  }
  const place = h("div");
  const buttons = words.map((word) => h("button", { type: "button", onclick: () => draw(word) }, status(word).label));

  function draw(word) {
    words.forEach((other, index) => buttons[index].setAttribute("aria-pressed", String(other === word)));
    const counts = new Map(summary.heat.filter((entry) => entry.status === word).map(({ weekday, hour, count }) => [weekday * 24 + hour, count]));
    const of = (weekday, hour) => counts.get(weekday * 24 + hour) ?? 0;
    const [busiest, most] = [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [24, 0]);
    const [day, hour] = [Math.floor(busiest / 24), busiest % 24];
    const caption = `${status(word).label} by weekday and hour`;
    const link = (weekday, hour) => list({ status: STEPS[word], weekday, hour });
    fill(
      place,
      h("p", { class: "summary-line" }, `Most on ${WEEKDAYS[day - 1]} from ${hour}:00 to ${hour}:59: ${plural(most, "event")}.`),
      h(
        "div",
        { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
        h(
          "table",
          { class: `heat ${tone(word)}` },
          h("caption", null, `${caption}, time zone ${summary.tz ?? "UTC"}`),
          h("thead", null, h("tr", null, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Weekday")), HOURS.map((one) => h("th", { scope: "col" }, one)))),
          h("tbody", { onkeydown: move }, WEEKDAYS.map((label, index) => h("tr", null, h("th", { scope: "row" }, label), HOURS.map((one) => cell(of(index + 1, one), most, `${label} ${one}:00`, link(index + 1, one), index + 1 === day && one === hour))))),
        ),
      ),
    );
  }

  draw(words[0]);
  return panel(name, words.length > 1 && h("div", { class: "presets", role: "group", "aria-label": "Status" }, buttons), place);
}

/** The number is text for screen readers and the tooltip; the shade has the same information. Tab reaches only the busiest
    cell, and the arrow keys the others. */
function cell(count, most, title, href, isFirst) {
  const text = h("span", { class: "visually-hidden" }, number(count));
  const content = href && count > 0 ? h("a", { href, tabindex: isFirst ? "0" : "-1", "aria-label": `${title}: ${number(count)}` }, text) : text;
  return h("td", { class: `shade-${most > 0 ? Math.ceil((count / most) * SHADES) : 0}`, title: `${title}: ${number(count)}` }, content);
}

/** Moves the focus to the next cell with events. */
function move(event) {
  const [down, right] = MOVES[event.key] ?? [0, 0];
  const from = event.target.closest("td");
  if (!from || (!down && !right)) return;
  event.preventDefault();
  const rows = [...event.currentTarget.rows];
  let [row, column] = [rows.indexOf(from.parentNode), from.cellIndex];
  for (;;) {
    row += down;
    column += right;
    const next = rows[row]?.cells[column];
    if (!next || next.tagName !== "TD") return;
    const link = next.querySelector("a");
    if (!link) continue;
    event.target.tabIndex = -1;
    link.tabIndex = 0;
    link.focus();
    return;
  }
}
