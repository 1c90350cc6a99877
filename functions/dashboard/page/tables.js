// Tables of figures. Each can be copied and saved as CSV, with exact values.

import { copyButton } from "./copy.js";
import { h, put } from "./dom.js";
import { save } from "./files.js";

/** Rows that a table shows before "Show all". */
const AT_FIRST = 10;

/** A value in CSV. An apostrophe precedes what a spreadsheet could interpret as a formula. */
const csvValue = (value) => {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** The headings, with units, and the exact values. */
const lines = (columns, rows) => [columns.map(({ label, unit }) => (unit ? `${label} (${unit})` : label)), ...rows.map((row) => columns.map(({ value }) => value(row)))];

/** Lines of CSV as RFC 4180 describes them. */
export const csv = (columns, rows) => lines(columns, rows).map((line) => `${line.map(csvValue).join(",")}\r\n`).join("");

/** The same with tabs, as spreadsheets paste it. */
const tabs = (columns, rows) => lines(columns, rows).map((line) => line.map((value) => String(value ?? "").replace(/[\t\r\n]+/g, " ")).join("\t")).join("\n");

/** Buttons that copy and save a table. */
export const tools = ({ name, columns, rows, announce }) =>
  h(
    "p",
    { class: "tools table-tools" },
    copyButton("Copy", () => tabs(columns, rows()), announce, { class: "link", "aria-label": `Copy: ${name}` }),
    h("button", { type: "button", class: "link", "aria-label": `CSV: ${name}`, onclick: () => save(`${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.csv`, "text/csv;charset=utf-8", [csv(columns, rows())]) }, "CSV"),
  );

/**
 * A table with a caption. `columns` are `{label, unit, value, cell, numeric, hidden}`: `unit` is for CSV, `value` is the exact value of a
 * row for CSV, `cell` its node (default: the value). The first column is the row's header. With `sortable`, the
 * heading of each column is a button; `sorted` is the column of the first order, the largest first.
 */
export function dataTable({ name, caption = name, columns, rows, announce, sortable = false, sorted = -1, atFirst = AT_FIRST, className = "", foot = null }) {
  let order = { column: sorted, descending: true };
  let all = false;
  const body = h("tbody");
  const heads = columns.map((column, index) => {
    const content = column.hidden ? h("span", { class: "visually-hidden" }, column.label) : sortable
      ? h("button", { type: "button", class: "sort", onclick: () => { order = { column: index, descending: order.column === index ? !order.descending : Boolean(column.numeric) }; draw(); announce(`Sorted by ${column.label}, ${order.descending ? "largest" : "smallest"} first.`); } }, column.label)
      : column.label;
    return h("th", { scope: "col", class: column.numeric ? "num" : undefined }, content);
  });
  const more = h("button", { type: "button", class: "link" });
  more.addEventListener("click", () => {
    all = true;
    draw();
    region.focus();
  });
  const compare = (a, b) => (typeof a === "number" || typeof b === "number" ? (a ?? -Infinity) - (b ?? -Infinity) : String(a).localeCompare(String(b)));
  const inOrder = () => {
    if (order.column < 0) return rows;
    const { value } = columns[order.column];
    return [...rows].sort((a, b) => compare(value(a), value(b)) * (order.descending ? -1 : 1));
  };

  function draw() {
    heads.forEach((head, index) => {
      if (order.column === index) head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const shown = all ? inOrder() : inOrder().slice(0, atFirst);
    body.replaceChildren(
      ...shown.map((row) =>
        h("tr", null, columns.map((column, index) => h(index ? "td" : "th", { scope: index ? undefined : "row", class: column.numeric ? "num" : undefined }, (column.cell ?? column.value)(row)))),
      ),
    );
    more.hidden = shown.length === rows.length;
    more.textContent = `Show all ${rows.length.toLocaleString()} rows`;
  }

  const region = h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { class: className }, h("caption", null, caption), h("thead", null, h("tr", null, heads)), body, foot && h("tfoot", null, h("tr", null, foot.map((content, index) => h(index ? "td" : "th", { scope: index ? undefined : "row", class: columns[index].numeric ? "num" : undefined }, content))))),
  );
  draw();
  return put(document.createDocumentFragment(), region, h("div", { class: "table-foot" }, more, tools({ name, columns: columns.filter(({ hidden }) => !hidden), rows: inOrder, announce })));
}
