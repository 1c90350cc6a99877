// Every figure of the overview is a link to its events: the list has as many events as the figure counts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, expect, figuresShown, heading, unfold } from "../lib/browser.js";
import { dayOf, journey } from "../lib/cases.js";
import { fakeInsight } from "../lib/insight.js";
import { eventsHash } from "../../../functions/dashboard/page/links.js";

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
  assert.ok(links.length >= 6 && links.every(({ title }) => /^Lists (the|all) /.test(title)), JSON.stringify(links));
  // Each message has at least one of them.
  await check(links, (listed, value) => listed >= value);
});

test("figures with filters lead to lists with these filters, replies included", async (t) => {
  // The tag of the message that the person answered with a tap.
  const page = await overview(t, { tag: "12" });
  const links = await linksIn(page.locator("main .counts").first());
  await check(links.filter(({ title }) => !title));
  const { events } = await api(`api/events?${new URLSearchParams({ ...RANGE, tag: "12", status: "clicked" })}`);
  assert.ok(events.some(({ message_id }) => message_id === journey.answer));
});

test("the figures of a league table lead to lists that are not empty, and say what they list", async (t) => {
  const page = await overview(t, { channel: "RCS" });
  const leagues = panel(page, "League tables");
  for (const kind of ["Campaigns", "Tags", "Bots", "Countries"]) {
    await leagues.getByRole("button", { name: kind, exact: true }).click();
    const columns = leagues.locator("table").first().locator("tbody tr").first().locator("td");
    for (const column of [0, 1]) await expect(columns.nth(column).locator("a")).toHaveCount(1);
    const links = await linksIn(leagues);
    assert.ok(links.every(({ title }) => /^Lists (the|all) /.test(title)), kind);
    // The table has all channels.
    assert.ok(links.every(({ href }) => !href.includes("channel=")), kind);
    await check(links, (listed, value) => listed >= value);
  }
});

test("a figure is a link only if the API has a list of its events", () => {
  const range = { from: "2026-11-01", to: "2026-11-20", tz: "UTC", channel: "", template: "", country: "" };
  const [agent, viewer] = [{ see_numbers: true }, { see_numbers: false }];
  const has = (filters, more, may = agent) => eventsHash({ ...range, ...filters }, more, may) !== null;
  assert.equal(eventsHash({ ...range, tag: "vip" }, { status: "sent" }, viewer), "#/events?from=2026-11-01&to=2026-11-20&tz=UTC&tag=vip&status=sent");
  assert.equal(eventsHash(range, { weekday: 1, hour: 0 }, viewer), "#/events?from=2026-11-01&to=2026-11-20&tz=UTC&weekday=1&hour=0");
  // Names that are counted together.
  assert.ok(!has({ channel: "OTHER" }, { status: "sent" }) && !has({}, { channel: "OTHER" }));
  assert.ok(!has({ tag: "other" }, {}) && !has({}, { reason: "other" }) && !has({}, { status: "other" }));
  assert.ok(has({}, { tag: "OTHER" }) && has({}, { channel: "other" }));
  // Events without a name, and differences.
  assert.ok(!has({}, { type: "" }) && !has({}, { status: "" }) && has({}, { status: undefined }));
  // A country, for a role that sees no numbers.
  assert.ok(has({ country: "IN" }, {}) && !has({ country: "IN" }, {}, viewer) && !has({}, { country: "IN" }, viewer) && has({}, {}, viewer));
  // Only clicks and replies name their template.
  assert.ok(has({ template: "otp" }, { status: "clicked" }) && has({ template: "otp" }, { status: "clicked,received" }) && has({ template: "otp" }, {}));
  assert.ok(!has({ template: "otp" }, { status: "delivered" }) && !has({ template: "otp" }, { status: "clicked,sent" }) && !has({ template: "otp" }, { reason: "expired" }));
});

/** An overview with made-up figures, for a role that sees no numbers. */
async function ofViewer(t, hash) {
  const page = await open(t, hash, {
    prepare: async (fresh) => {
      await fakeInsight(fresh);
      await fresh.route("**/api/session", (route) => route.fulfill({ json: { role: "viewer", may: { see_numbers: false, redrive: false, discard: false }, sign_in: false } }));
    },
  });
  await figuresShown(page);
  await unfold(page);
  return page;
}

test("a role that sees no numbers gets no links to lists of a country", async (t) => {
  const page = await ofViewer(t, "#/overview?kind=countries");
  assert.ok((await linksIn(page.locator("main .counts").first())).length > 0);
  assert.deepEqual(await linksIn(panel(page, "Spend")), []);
  assert.deepEqual(await linksIn(panel(page, "League tables")), []);
  await page.getByRole("button", { name: "Tags" }).click();
  assert.ok((await linksIn(panel(page, "League tables"))).length > 0);
  await page.getByLabel("Country", { exact: true }).selectOption("IN");
  await expect(page).toHaveURL(/country=IN/);
  await expect(page.getByRole("link", { name: "Show events" })).toBeHidden();
  await expect.poll(() => linksIn(page.locator("main .counts").first())).toEqual([]);
  assert.deepEqual(await linksIn(panel(page, "Volume over time")), []);
});

test("of a template, only clicks and replies have lists, and the page says so", async (t) => {
  const page = await ofViewer(t, "#/overview?kind=templates&template=offer_1");
  await page.getByText("Only clicks name their template.").first().waitFor();
  const links = [...(await linksIn(page.locator("main .counts").first())), ...(await linksIn(page.locator(".reach"))), ...(await linksIn(panel(page, "League tables"))), ...(await linksIn(panel(page, "Time between steps")))];
  const words = new Set(links.map(({ href }) => new URLSearchParams(href.split("?")[1]).get("status")));
  // Without a status: all events, and those with a price.
  assert.deepEqual(words, new Set(["clicked", null]));
});

test("differences say why they have no list", async (t) => {
  const page = await ofViewer(t, "#/overview");
  assert.equal(await page.locator('[data-part="other"] a').count(), 0);
  await expect(page.locator(".reach")).toContainText("“Still open” has no list, because");
  await expect(panel(page, "Fallback to SMS")).toContainText("“No report yet” has no list, because");
});
