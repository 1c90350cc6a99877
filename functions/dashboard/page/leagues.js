// League tables: campaigns, templates, tags, bots and countries by messages, with the change to the period before,
// and two of them beside each other.

import { h, fill, plain, untrusted } from "./dom.js";
import { figure, percent } from "./format.js";
import { eventsHash, hashOf } from "./links.js";
import { changed, changedShare } from "./overview-headline.js";
import { countryName, panel } from "./overview-panels.js";
import { STEPS } from "./status.js";
import { dataTable } from "./tables.js";

/** Field of the response, name of the kind, filter of the overview, and how a name is shown. */
const KINDS = [
  ["campaigns", "Campaigns", "campaign"],
  ["templates", "Templates", "template"],
  ["tags", "Tags", "tag"],
  ["bots_table", "Bots", "bot"],
  ["countries", "Countries", "country"],
];

/** Filters of which only one can be chosen; a bot and a tag combine. */
const ALONE = { bot: "", tag: "", campaign: "", template: "", country: "" };

/** The rows of a kind with messages. `tags` was a list of names in earlier versions. */
function rowsOf(summary, field) {
  const rows = summary?.[field];
  return Array.isArray(rows) ? rows.filter((row) => row.sent > 0) : [];
}

/** The panel with a table for the chosen kind, and the comparison. `state` is `{kind, a, b}` of the URL. */
export function leagues(summary, filters, { state, setState, announce, botName }) {
  const kinds = KINDS.filter(([field]) => rowsOf(summary, field).length > 0);
  if (!kinds.length) return null;
  const place = h("div", { class: "fold-body" });
  const buttons = kinds.map(([field, label]) => h("button", { type: "button", "data-kind": field, onclick: () => choose(field) }, label));
  let [chosen] = kinds.find(([field]) => field === state.kind) ?? kinds[0];
  let pair = [state.a, state.b];

  const shown = (field, name) => (field === "countries" ? countryName(name) : field === "bots_table" ? botName(name) : name);

  function choose(field) {
    chosen = field;
    pair = ["", ""];
    setState({ kind: field, a: "", b: "" });
    draw();
  }

  function draw() {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.kind === chosen)));
    const [, label, filter] = KINDS.find(([field]) => field === chosen);
    const rows = rowsOf(summary, chosen);
    const before = new Map(rowsOf(summary.previous, chosen).map((row) => [row.name, row]));
    fill(
      place,
      dataTable({
        name: label,
        caption: `${label} by messages`,
        rows,
        announce,
        sortable: true,
        sorted: 1,
        columns: columns(label, filter, filters, before, (name) => shown(chosen, name), Boolean(summary.previous)),
      }),
      rows.length > 1 && versus(rows, (name) => shown(chosen, name)),
    );
  }

  function versus(rows, labelOf) {
    const names = rows.map(({ name }) => name);
    pair = pair.map((name, index) => (names.includes(name) ? name : names[index]));
    const result = h("div");
    const select = (side) => {
      const id = `versus-${side}`;
      const box = h("select", { id }, names.map((name) => h("option", { value: name }, plain(labelOf(name) || "not named"))));
      box.value = pair[side];
      box.addEventListener("change", () => {
        pair[side] = box.value;
        setState({ kind: chosen, a: pair[0], b: pair[1] });
        show();
      });
      return h("div", { class: "field" }, h("label", { for: id }, side ? "and" : "Compare"), box);
    };
    const show = () => fill(result, beside(pair.map((name) => rows.find((row) => row.name === name)), labelOf));
    show();
    return h("div", { class: "versus" }, h("h3", null, "A beside B"), h("div", { class: "filters" }, select(0), select(1)), result);
  }

  draw();
  const filtered = Object.keys(ALONE).some((name) => filters[name]) || filters.channel;
  return panel("League tables", filtered && h("p", { class: "footnote" }, "All messages of the range, without the filters."), kinds.length > 1 && h("div", { class: "presets", role: "group", "aria-label": "Kind" }, buttons), place);
}

/** Shares of the messages: heading, field, and the statuses of the events behind it. */
const SHARES = [["Reached", "reached", ""], ["Read", "read", STEPS.read], ["Clicked", "clicked", STEPS.clicked], ["Failed", "failed", STEPS.unreached]];

/** Whether a name stands for all names that are not counted separately. */
const isRest = ({ name }) => !name || name === "other";

/** A column for each share of the messages sent, with exact counts in CSV. */
const columns = (label, filter, filters, before, labelOf, compared) => [
  {
    label: label.replace(/ies$/, "y").replace(/s$/, ""),
    value: (row) => row.name,
    cell: (row) => (isRest(row) ? untrusted(row.name || "not named") : h("a", { href: hashOf("overview", { ...filters, ...ALONE, [filter]: row.name }) }, untrusted(labelOf(row.name), { max: 80 }))),
  },
  { label: "Messages", numeric: true, value: (row) => row.sent, cell: (row) => [figure(row.sent), " ", changed(row.sent, before.get(row.name)?.sent)] },
  ...SHARES.map(([name, field, status]) => ({
    label: name,
    numeric: true,
    value: (row) => row[field],
    cell: (row) => [status && !isRest(row) ? h("a", { href: eventsHash({ ...filters, ...ALONE, [filter]: row.name }, { status }) }, figure(row[field])) : figure(row[field]), h("span", { class: "share" }, percent(row[field], row.sent))],
  })),
  ...(compared ? [{ label: "Change of reached (points)", numeric: true, value: (row) => difference(row, before.get(row.name)), cell: (row) => changedShare([row.reached, row.sent], before.get(row.name) && [before.get(row.name).reached, before.get(row.name).sent]) ?? "–" }] : []),
];

/** The change of the share of reached messages in percentage points; null if there is no period before. */
const difference = (row, before) => (before?.sent > 0 && row.sent > 0 ? Math.round((row.reached / row.sent - before.reached / before.sent) * 1000) / 10 : null);

const points = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, signDisplay: "exceptZero" });

function beside([a, b], labelOf) {
  const line = (name, field) => {
    const share = (row) => (row.sent > 0 ? row[field] / row.sent : null);
    const gap = share(a) === null || share(b) === null ? "–" : `${points.format((share(a) - share(b)) * 100)} pts`;
    return [name, [figure(a[field]), " ", percent(a[field], a.sent)], [figure(b[field]), " ", percent(b[field], b.sent)], gap];
  };
  const rows = [["Messages", figure(a.sent), figure(b.sent), ""], ...SHARES.map(([name, field]) => line(name, field))];
  const head = ["Of the messages", untrusted(labelOf(a.name), { max: 40 }), untrusted(labelOf(b.name), { max: 40 }), "A minus B"];
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": "A beside B", tabindex: "0" },
    h(
      "table",
      { "data-versus": "" },
      h("thead", null, h("tr", null, head.map((content, column) => h("th", { scope: "col", class: column ? "num" : undefined }, content)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((content, column) => h(column ? "td" : "th", { scope: column ? undefined : "row", class: column ? "num" : undefined }, content))))),
    ),
  );
}
