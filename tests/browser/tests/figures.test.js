// The figures of the page match those of the API, and both match a recount of the posted events.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, expect, expectKpi, figuresShown } from "../lib/browser.js";
import { billed, figures, words } from "../lib/cases.js";

const open = browser();

const query = new URLSearchParams({ from: figures.from, to: figures.to, bot: figures.bot }).toString();
const posted = (status, channel) => figures.records.filter((record) => record.status === status && (!channel || record.channel === channel)).length;

/** All events of a day, page by page. */
async function eventsOf(day) {
  const events = [];
  let cursor = null;
  do {
    const page = await api(`api/events?${new URLSearchParams({ day, limit: "200", ...(cursor && { cursor }) })}`);
    events.push(...page.events);
    cursor = page.cursor;
  } while (cursor);
  return events;
}

test("the cards match a recount of the posted events", async (t) => {
  const page = await open(t, `#/overview?${query}`);
  await figuresShown(page);
  await expectKpi(page, "sent", posted("Sent"));
  await expectKpi(page, "delivered", posted("Delivered"));
  await expectKpi(page, "read", posted("Read"));
  await expectKpi(page, "clicked", posted("Clicked"));
  await expectKpi(page, "unreached", posted("Failed") + posted("Not sent"));
  await expectKpi(page, "fell_back", posted("Sent", "SMS"));
  const cell = (name) => page.getByRole("table", { name: "Fallback results" }).getByRole("row", { name }).locator("data");
  await expect(cell(/^Sent as SMS/)).toHaveAttribute("value", "5");
  await expect(cell(/^Delivered/)).toHaveAttribute("value", "4");
  await expect(cell(/^Failed/)).toHaveAttribute("value", "1");
  // The sum of sent, not sent and blocked, without failed: 20 + 2.
  await expect(page.getByRole("region", { name: "Fallback to SMS" }).first()).toContainText("of 22 RCS messages fell back to SMS; 80% of those were delivered");
});

test("the table of the chart matches a recount of the stored events", async (t) => {
  const page = await open(t, `#/overview?${query}`);
  await figuresShown(page);
  await page.getByText("Figures as a table").click();
  const table = page.getByRole("table", { name: /for each (day|hour)/ });
  // A header, a row per hour of the two days, and the sum.
  await expect(table.locator("tr")).toHaveCount(2 * 24 + 2);
  const rows = await table.locator("tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
  const [head, ...body] = rows;
  const names = head.slice(1).map((name) => name.toLowerCase().replace(" ", "_"));
  const shown = new Map();
  for (const [label, ...numbers] of body.slice(0, -1)) numbers.forEach((text, index) => add(shown, `${label.slice(0, 10)} ${names[index]}`, Number(text.replace(/\D/g, ""))));

  const counted = new Map();
  for (const day of [figures.from, figures.to]) {
    for (const event of await eventsOf(day)) {
      if (event.bot_id === figures.bot) add(counted, `${day} ${event.status}`, 1);
    }
  }
  const plain = (map) => Object.fromEntries([...map].filter(([, count]) => count).sort());
  assert.deepEqual(plain(shown), plain(counted));
  assert.equal([...counted.values()].reduce((a, b) => a + b, 0), figures.records.length);
});

test("reasons and funnel match the summary", async (t) => {
  const summary = await api(`api/summary?${query}`);
  const page = await open(t, `#/overview?${query}`);
  await figuresShown(page);
  const reasons = page.getByRole("table", { name: "Reasons as the providers report them" });
  const shown = () => reasons.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [row.cells[0].querySelector(".untrusted").innerText, row.cells[1].innerText, row.cells[2].innerText].join("|")).sort());
  await expect.poll(shown).toEqual(["Figures: device is off|RCS|3", "Figures: no RCS|RCS|2", "Figures: operator|SMS|1"]);
  for (const entry of summary.funnel) {
    const table = page.locator("section", { hasText: "From sent to clicked" }).getByRole("table", { name: entry.channel, exact: true });
    // SMS has no read receipts.
    const steps = entry.channel === "SMS" ? ["sent", "delivered", "clicked"] : ["sent", "delivered", "read", "clicked"];
    for (const step of steps) {
      await expect(table.locator(`[data-step="${step}"]`), `${entry.channel} ${step}`).toHaveAttribute("value", String(entry[step]));
    }
  }
  assert.ok(summary.bots.includes(figures.bot) && summary.tags.some(({ name }) => name === figures.tag));
});

test("many statuses and channels do not lengthen the overview", async (t) => {
  const page = await open(t, `#/overview?${new URLSearchParams({ from: figures.from, to: figures.to, bot: words.bot })}`);
  await figuresShown(page);
  // Ten lines: Sent and the most frequent of the 14 words, and one line for the others.
  const lines = page.getByRole("list", { name: "Lines of the chart" }).getByRole("listitem");
  await expect(lines).toHaveCount(10);
  await expect(lines.filter({ hasText: "other" })).toHaveCount(1);
  await expect(page.locator(".summary-line").first()).toContainText(/other 21\b/);
  // All of them are in the table.
  await page.getByText("Figures as a table").click();
  await expect(page.getByRole("table", { name: /for each (day|hour)/ }).locator("tr").first().locator("th")).toHaveCount(1 + words.statuses + 1);
  const panel = page.getByRole("region", { name: "From sent to clicked" });
  await expect(panel.getByRole("table")).toHaveCount(4);
  await panel.getByRole("button", { name: "Show all 6 channels" }).click();
  await expect(panel.getByRole("table")).toHaveCount(6);
});

test("filters by channel and tag narrow the figures", async (t) => {
  const page = await open(t, `#/overview?${query}&channel=SMS`);
  await figuresShown(page);
  await expectKpi(page, "sent", posted("Sent", "SMS"));
  await page.goto(page.url().replace(/#.*/, `#/overview?${new URLSearchParams({ from: figures.from, to: figures.to, tag: figures.tag, channel: "RCS" })}`));
  await page.waitForFunction((count) => Number(document.querySelector('.results:not([aria-busy]) [data-kpi="sent"] data')?.value) === count, posted("Sent", "RCS"));
});

test("billable messages are shown by category", async (t) => {
  const page = await open(t, `#/overview?from=${figures.from}&to=${figures.to}`);
  await figuresShown(page);
  // The days of the page are those of its zone, so at some hours it shows other simulated messages than days of UTC.
  const summary = await api(`api/summary?from=${figures.from}&to=${figures.to}&tz=Asia/Kolkata`);
  const lines = page.getByRole("table", { name: "Messages by price category" }).locator("tbody tr");
  await expect(lines).toHaveCount(summary.billing.length);
  const rows = await lines.evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
  for (const entry of summary.billing) {
    const row = rows.find(([category, paid]) => category === entry.category && paid === (entry.billable ? "Billable" : "Free"));
    assert.deepEqual(row?.slice(2).map((text) => Number(text.replace(/\D/g, ""))), [entry.messages, entry.count], entry.category);
  }
  const known = rows.filter(([category]) => category === billed.category);
  assert.deepEqual(known.map(([, paid, , count]) => `${paid} ${count}`).sort(), ["Billable 2", "Free 1"]);
});

function add(map, key, count) {
  map.set(key, (map.get(key) ?? 0) + count);
}
