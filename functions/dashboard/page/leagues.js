// League tables: campaigns, templates, tags, bots and countries by messages, with the change to the period before,
// and two of them beside each other.

import { h, fill, plain, untrusted } from "./dom.js";
import { percent } from "./format.js";
import { hashOf } from "./links.js";
import { LISTS, changed, changedShare, linked } from "./overview-headline.js";
import { OF_TEMPLATES, countryName, panel } from "./overview-panels.js";
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
export function leagues(summary, filters, list, { state, setState, announce, botName }) {
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

  /** The list of a figure of a row. The tables have all messages of the range, without the filters. */
  const listOf = (row, name) => list({ [KINDS.find(([field]) => field === chosen)[2]]: row.name, status: LISTS[name][0] }, { ...ALONE, channel: "" });

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
        columns: columns(label, filter, filters, before, { labelOf: (name) => shown(chosen, name), listOf, compared: Boolean(summary.previous) }),
      }),
      chosen === "templates" && h("p", { class: "footnote" }, OF_TEMPLATES, " Only clicks and replies have a list."),
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
    const show = () => fill(result, beside(pair.map((name) => rows.find((row) => row.name === name)), { labelOf, listOf }));
    show();
    return h("div", { class: "versus" }, h("h3", null, "A beside B"), h("div", { class: "filters" }, select(0), select(1)), result);
  }

  draw();
  const filtered = Object.keys(ALONE).some((name) => filters[name]) || filters.channel;
  return panel("League tables", filtered && h("p", { class: "footnote" }, "All messages of the range, without the filters."), kinds.length > 1 && h("div", { class: "presets", role: "group", "aria-label": "Kind" }, buttons), place);
}

/** Shares of the messages: heading, and field. */
const SHARES = [["Reached", "reached"], ["Read", "read"], ["Clicked", "clicked"], ["Failed", "failed"]];

/** Whether a name stands for all names that are not counted separately. */
const isRest = ({ name }) => !name || name === "other";

/** A column for each share of the messages sent, with exact counts in CSV. */
const columns = (label, filter, filters, before, { labelOf, listOf, compared }) => [
  {
    label: label.replace(/ies$/, "y").replace(/s$/, ""),
    value: (row) => row.name,
    cell: (row) => (isRest(row) ? untrusted(row.name || "not named") : h("a", { href: hashOf("overview", { ...filters, ...ALONE, [filter]: row.name }) }, untrusted(labelOf(row.name), { max: 80 }))),
  },
  { label: "Messages", numeric: true, value: (row) => row.sent, cell: (row) => [linked(listOf(row, "messages"), row.sent, null, LISTS.messages[1]), " ", changed(row.sent, before.get(row.name)?.sent)] },
  ...SHARES.map(([name, field]) => ({
    label: name,
    numeric: true,
    value: (row) => row[field],
    cell: (row) => [linked(listOf(row, field), row[field], null, LISTS[field][1]), h("span", { class: "share" }, percent(row[field], row.sent))],
  })),
  ...(compared ? [{ label: "Change of reached (points)", numeric: true, value: (row) => difference(row, before.get(row.name)), cell: (row) => changedShare([row.reached, row.sent], before.get(row.name) && [before.get(row.name).reached, before.get(row.name).sent]) ?? "–" }] : []),
];

/** The change of the share of reached messages in percentage points; null if there is no period before. */
const difference = (row, before) => (before?.sent > 0 && row.sent > 0 ? Math.round((row.reached / row.sent - before.reached / before.sent) * 1000) / 10 : null);

const points = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, signDisplay: "exceptZero" });

function beside([a, b], { labelOf, listOf }) {
  const of = (row, field, name = field) => linked(listOf(row, name), row[field], null, LISTS[name][1]);
  const line = (name, field) => {
    const share = (row) => (row.sent > 0 ? row[field] / row.sent : null);
    const gap = share(a) === null || share(b) === null ? "–" : `${points.format((share(a) - share(b)) * 100)} pts`;
    return [name, [of(a, field), " ", percent(a[field], a.sent)], [of(b, field), " ", percent(b[field], b.sent)], gap];
  };
  const rows = [["Messages", of(a, "sent", "messages"), of(b, "sent", "messages"), ""], ...SHARES.map(([name, field]) => line(name, field))];
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
