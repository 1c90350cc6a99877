// Every figure of the overview is a link to its events: the list has as many events as the figure counts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, expect, figuresShown, heading, unfold } from "../lib/browser.js";
import { dayOf, journey } from "../lib/cases.js";

const open = browser();

/** Days before today, which no other test changes. */
const RANGE = { from: dayOf(10), to: dayOf(1), tz: "Asia/Kolkata" };
/** Lists that are counted at once. */
const AT_ONCE = 8;

/** The links to lists in an element, with the figure of each: `{href, value, title}`. */
const linksIn = (locator) =>
  locator.evaluate((element) => {
    const exact = (link) => link.querySelector("data")?.value ?? link.textContent.replace(/\D/g, "");
    return [...element.querySelectorAll('a[href^="#/events"]')].filter((link) => /\d/.test(link.textContent)).map((link) => ({ href: link.getAttribute("href"), value: Number(exact(link)), title: link.title }));
  });

/** The number of events in a list. */
async function counted(href) {
  const query = new URLSearchParams(href.split("?")[1]);
  let [count, cursor] = [0, null];
  do {
    const page = await api(`api/events?${new URLSearchParams({ ...Object.fromEntries(query), limit: "200", ...(cursor && { cursor }) })}`);
    count += page.events.length;
    cursor = page.cursor;
  } while (cursor);
  return count;
}

/** Compares figures with their lists: by default, the numbers are equal. */
async function check(links, fits = (listed, value) => listed === value) {
  const different = [];
  for (let index = 0; index < links.length; index += AT_ONCE) {
    const some = links.slice(index, index + AT_ONCE);
    const counts = await Promise.all(some.map(({ href }) => counted(href)));
    some.forEach((link, at) => !fits(counts[at], link.value) && different.push({ ...link, listed: counts[at] }));
  }
  assert.deepEqual(different, []);
}

async function overview(t, more = {}) {
  const page = await open(t, `#/overview?${new URLSearchParams({ ...RANGE, ...more })}`);
  await figuresShown(page);
  await unfold(page);
  return page;
}

const panel = (page, name) => page.locator("section.panel", { has: page.getByRole("heading", { level: 2, name, exact: true }) });

test("the counts of events lead to as many events", async (t) => {
  const page = await overview(t);
  const links = await linksIn(page.locator("main .counts").first());
  assert.ok(links.length >= 7, JSON.stringify(links));
  await check(links.filter(({ title }) => !title));
});

for (const [name, least] of [["From sent to clicked", 8], ["Fallback to SMS", 4], ["Why messages were not delivered", 3], ["Message types", 3], ["Billable by category", 4], ["When people read and click", 3]]) {
  test(`${name}: each figure leads to its events`, async (t) => {
    const page = await overview(t);
    const links = await linksIn(panel(page, name));
    assert.ok(links.length >= least, `${links.length} links`);
    await check(links);
  });
}

test("the clicks of the week lead to their events, by keyboard", async (t) => {
  const page = await overview(t);
  const heat = panel(page, "When people read and click");
  await heat.getByRole("button", { name: "Clicked" }).click();
  await expect(heat.getByRole("table")).toContainText("Clicked by weekday and hour");
  const links = await linksIn(heat);
  assert.ok(links.length >= 2);
  await check(links);
  // One cell is reached by Tab, the others by arrow keys.
  assert.equal(await heat.locator('a[tabindex="0"]').count(), 1);
  await heat.locator('a[tabindex="0"]').focus();
  const first = await page.evaluate(() => document.activeElement.href);
  const cells = await heat.locator("tbody a").count();
  for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) await page.keyboard.press(key);
  if (cells > 1) assert.equal(await heat.locator('a[tabindex="0"]').count(), 1);
  await heat.locator(`a[href="${new URL(first).hash}"]`).focus();
  await page.keyboard.press("Enter");
  await heading(page, "Events").waitFor();
  await expect(page.getByLabel("Weekday", { exact: true })).not.toHaveValue("");
  await expect(page.getByLabel("Hour", { exact: true })).not.toHaveValue("");
});

test("the table of the chart leads to the events of a day and a status", async (t) => {
  const page = await overview(t);
  const links = await linksIn(panel(page, "Volume over time").locator("table").last());
  assert.ok(links.length > 20, `${links.length} links`);
  await check(links.filter((link) => new URLSearchParams(link.href.split("?")[1]).has("status")));
});

// Messages: a title says what is listed instead. A delivery without a report of sending has no time between them, and a
// message that is known as read has arrived without a report of its delivery.
for (const [name, fits] of [["Time between steps", (listed, value) => listed >= value], ["Spend", (listed, value) => listed <= value]]) {
  test(`${name}: each message leads to its deciding event`, async (t) => {
    const page = await overview(t);
    const links = await linksIn(panel(page, name));
    assert.ok(links.length >= 3, `${links.length} links`);
    assert.ok(links.every(({ title }) => title.startsWith("Lists the events")));
    await check(links, fits);
  });
}

test("the figures of the headline say what they list", async (t) => {
  const page = await overview(t);
  const links = await linksIn(page.locator(".reach"));
  assert.ok(links.length >= 6 && links.every(({ title }) => title.startsWith("Lists the ")), JSON.stringify(links));
});

test("figures with filters lead to lists with these filters, replies included", async (t) => {
  // The tag of the message that the person answered with a tap.
  const page = await overview(t, { tag: "12" });
  const links = await linksIn(page.locator("main .counts").first());
  await check(links.filter(({ title }) => !title));
  const { events } = await api(`api/events?${new URLSearchParams({ ...RANGE, tag: "12", status: "clicked" })}`);
  assert.ok(events.some(({ message_id }) => message_id === journey.answer));
});
