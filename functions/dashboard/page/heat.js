// When people read and click: weekday by hour, as a table with shaded cells.

import { fill, h } from "./dom.js";
import { number, plural } from "./format.js";
import { panel } from "./overview-panels.js";
import { status, tone } from "./status.js";

/** Shades of a cell; the busiest hour has the last. */
const SHADES = 8;
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
/** Monday is 1, as in ISO 8601. 5 January 2026 is a Monday. */
const WEEKDAYS = Array.from({ length: 7 }, (_, index) => new Intl.DateTimeFormat(undefined, { weekday: "long", timeZone: "UTC" }).format(Date.UTC(2026, 0, 5 + index)));

export function heat(summary) {
  if (!summary.heat) return null;
  const name = "When people read and click";
  const words = ["read", "clicked"].filter((word) => summary.heat.some((entry) => entry.status === word && entry.count > 0));
  if (!words.length) return panel(name, h("p", { class: "muted" }, "No reads and clicks in this range."));
  const place = h("div");
  const buttons = words.map((word) => h("button", { type: "button", onclick: () => draw(word) }, status(word).label));

  function draw(word) {
    words.forEach((other, index) => buttons[index].setAttribute("aria-pressed", String(other === word)));
    const counts = new Map(summary.heat.filter((entry) => entry.status === word).map(({ weekday, hour, count }) => [weekday * 24 + hour, count]));
    const of = (weekday, hour) => counts.get(weekday * 24 + hour) ?? 0;
    const [busiest, most] = [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [24, 0]);
    const [day, hour] = [Math.floor(busiest / 24), busiest % 24];
    const caption = `${status(word).label} by weekday and hour`;
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
          h("tbody", null, WEEKDAYS.map((label, index) => h("tr", null, h("th", { scope: "row" }, label), HOURS.map((one) => cell(of(index + 1, one), most, `${label} ${one}:00`))))),
        ),
      ),
    );
  }

  draw(words[0]);
  return panel(name, words.length > 1 && h("div", { class: "presets", role: "group", "aria-label": "Status" }, buttons), place);
}

/** The number is text for screen readers and the tooltip; the shade has the same information. */
const cell = (count, most, title) =>
  h("td", { class: `shade-${most > 0 ? Math.ceil((count / most) * SHADES) : 0}`, title: `${title}: ${number(count)}` }, h("span", { class: "visually-hidden" }, number(count)));
