// The overview's panels, on an answer with every field and literal figures.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { browser, expect, expectKpi } from "../lib/browser.js";
import { fakeInsight, insight } from "../lib/insight.js";
import { byHeight } from "../../../functions/dashboard/page/series.js";
import { csv } from "../../../functions/dashboard/page/tables.js";
import { hourIn, isZone } from "../../../functions/dashboard/page/zones.js";

const open = browser();

async function overview(t, hash = "", options = {}) {
  let asked;
  const page = await open(t, hash, { ...options, prepare: async (fresh) => { asked = await fakeInsight(fresh); await options.prepare?.(fresh); } });
  await page.locator(".reach").waitFor();
  return { page, asked };
}

const panel = (page, name) => page.getByRole("region", { name, exact: true }).first();

test("the headline says how many messages reached a person, with the change", async (t) => {
  const { page } = await overview(t);
  await expectKpi(page, "reached", 1615);
  const reach = page.locator(".reach");
  await expect(reach).toContainText("of 1,700 messages, 95%");
  // 95 % now, 90 % before.
  await expect(reach.locator(".reach-figure .delta")).toHaveText("+5 pts");
  await expect(reach.locator('[data-part="failed"] data')).toHaveAttribute("value", "51");
  // 1,700 less 1,615 reached and 51 failed.
  await expect(reach.locator('[data-part="other"] data')).toHaveAttribute("value", "34");
  await expect(reach).toContainText("Reached over RCS 1,270, SMS 260, WhatsApp 85.");
});

test("rates count only channels that report the later step", async (t) => {
  const { page } = await overview(t);
  await expectKpi(page, "delivered", 1638);
  // 700 of 1,280 + 88 delivered, without the 270 SMS.
  await expect(page.locator('[data-kpi="read"]')).toContainText("51.2% of delivered, without SMS");
  const sms = page.getByRole("table", { name: "SMS", exact: true });
  await expect(sms).toContainText("not reported");
  await expect(sms.locator('[data-step="read"]')).toHaveCount(0);
});

test("e-mail, which reports no delivery, is left out of the rates of deliveries and reads", async (t) => {
  const { page } = await overview(t, "", {
    prepare: (fresh) => fresh.route("**/api/summary?*", (route) => {
      const all = insight();
      const email = { channel: "EMAIL", sent: 400, delivered: 0, read: 100, clicked: 20, failed: 0, not_sent: 0, blocked: 0 };
      return route.fulfill({ json: { ...all, funnel: [...all.funnel, email] } });
    }),
  });
  const sent = insight().funnel.reduce((all, entry) => all + entry.sent, 0);
  await expectKpi(page, "sent", sent + 400);
  await expectKpi(page, "read", 800);
  await expect(page.locator('[data-kpi="delivered"]')).toContainText("of sent, without E-mail");
  // 700 of 1,280 + 88 delivered.
  await expect(page.locator('[data-kpi="read"]')).toContainText("51.2% of delivered, without SMS and E-mail");
  const email = page.getByRole("table", { name: "E-mail", exact: true });
  await expect(email.getByRole("row", { name: /^Delivered/ })).toHaveText(/Delivered\s*not reported/);
  // The share of the last step that is reported.
  await expect(email.getByRole("row", { name: /^Read/ })).toHaveText(/Read\s*100\s*25%/);
});

test("every figure is a link to its events, with the filters", async (t) => {
  const { page } = await overview(t, "#/overview?from=2026-11-01&to=2026-11-20&tz=Asia/Kolkata&bot=732");
  const linkOf = (locator) => locator.evaluate((link) => Object.fromEntries(new URLSearchParams(link.getAttribute("href").split("?")[1])));
  const range = { from: "2026-11-01", to: "2026-11-20", tz: "Asia/Kolkata", bot: "732" };
  assert.deepEqual(await linkOf(page.locator('[data-kpi="sent"] a')), { ...range, status: "sent" });
  assert.deepEqual(await linkOf(page.locator('[data-part="failed"] a')), { ...range, status: "failed,not_sent,blocked,bounced,dropped,invalid,expired,revoked" });
  const funnel = page.getByRole("table", { name: "WhatsApp", exact: true });
  assert.deepEqual(await linkOf(funnel.locator('a:has([data-step="read"])')), { ...range, channel: "WHATSAPP", status: "read,opened_by_person" });
  const reason = panel(page, "Why messages were not delivered").getByRole("row", { name: /Operator rejected/ });
  assert.deepEqual(await linkOf(reason.getByRole("link")), { ...range, channel: "SMS", reason: "Operator rejected the message" });
  assert.deepEqual(await linkOf(panel(page, "Message types").getByRole("link")), { ...range, channel: "RCS", type: "template" });
  const campaign = panel(page, "League tables").getByRole("row", { name: /^loyalty/ }).getByRole("link", { name: "25" });
  assert.deepEqual(await linkOf(campaign), { from: range.from, to: range.to, tz: range.tz, campaign: "loyalty", status: "failed,not_sent,blocked,bounced,dropped,invalid,expired,revoked" });
  assert.deepEqual(await linkOf(page.getByRole("link", { name: "Show events" })), range);
});

test("the request names the zone, compares, and leaves hours out that nobody sees", async (t) => {
  const { page, asked } = await overview(t);
  assert.deepEqual([asked[0].tz, asked[0].compare, asked[0].hours], ["Asia/Calcutta", "true", "false"]);
  await page.getByRole("button", { name: "Today" }).click();
  await expect.poll(() => asked.at(-1).hours).toBe(undefined);
  await page.getByLabel("Time zone").selectOption("UTC");
  await expect.poll(() => asked.at(-1).tz).toBe("UTC");
  await expect(page).toHaveURL(/tz=UTC/);
  await page.reload();
  await expect.poll(() => asked.at(-1).tz).toBe("UTC");
  await expect(page.getByLabel("Time zone")).toHaveValue("UTC");
});

test("times between steps are shown as durations", async (t) => {
  const { page } = await overview(t);
  const rows = panel(page, "Time between steps").locator("tbody tr");
  await expect(rows).toHaveCount(3);
  // 1,800 ms instead of 2,000 before: 10 % less.
  await expect(rows.nth(0)).toHaveText(/Sent to Delivered\s*RCS\s*1,280\s*1.8 s -10%\s*9 s\s*2 min 5 s/);
  await expect(rows.nth(2)).toHaveText(/Failed to Fallback\s*SMS\s*310\s*4.2 s\s*30 s\s*1 min 1 s/);
});

test("weekday by hour names the busiest hour, for reads and for clicks", async (t) => {
  const { page } = await overview(t);
  const heat = panel(page, "When people read and click");
  await expect(heat).toContainText("Most on Sunday from 21:00 to 21:59: 80 events.");
  await expect(heat.locator("tbody tr")).toHaveCount(7);
  await expect(heat.locator("tbody tr").nth(6).locator("td").nth(21)).toHaveClass("shade-8");
  await expect(heat.locator("tbody tr").nth(0).locator("td").nth(9)).toHaveClass("shade-4");
  await heat.getByRole("button", { name: "Clicked" }).click();
  await expect(heat).toContainText("Most on Friday from 18:00 to 18:59: 12 events.");
});

test("league tables sort, show the change, and filter by a name", async (t) => {
  const { page } = await overview(t);
  const leagues = panel(page, "League tables");
  const first = () => leagues.locator("tbody").first().locator("tr").first();
  await expect(first()).toContainText("diwali-2026");
  // 870 of 900 now, 400 of 450 before: 96.7 % less 88.9 %.
  await expect(first()).toContainText("+7.8 pts");
  const failed = leagues.getByRole("button", { name: "Failed" });
  await failed.press("Enter");
  await expect(first()).toContainText("loyalty");
  await expect(leagues.getByRole("columnheader", { name: "Failed" }).first()).toHaveAttribute("aria-sort", "descending");
  await failed.press("Enter");
  await expect(first()).toContainText("<img src=x");
  await leagues.getByRole("button", { name: "Countries" }).click();
  await expect(first()).toContainText("India");
  await expect(page).toHaveURL(/kind=countries/);
  await leagues.getByRole("button", { name: "Tags" }).click();
  await leagues.getByRole("link", { name: "vip" }).click();
  await expect(page).toHaveURL(/tag=vip/);
  await expect(page.getByLabel("Tag", { exact: true })).toHaveValue("vip");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
});

test("a campaign replaces a bot and a tag, which do not combine with it", async (t) => {
  const { page, asked } = await overview(t, "#/overview?bot=732&tag=vip&channel=RCS");
  await page.getByLabel("Campaign", { exact: true }).selectOption("loyalty");
  await expect.poll(() => asked.at(-1).campaign).toBe("loyalty");
  assert.deepEqual([asked.at(-1).bot, asked.at(-1).tag, asked.at(-1).channel], [undefined, undefined, "RCS"]);
});

test("A beside B compares two rows, and the URL keeps them", async (t) => {
  const { page } = await overview(t, "#/overview?kind=tags&a=vip&b=win-back");
  const rows = page.locator("table[data-versus] tbody tr");
  // 297 of 300 and 600 of 700: 99 % and 85.7 %.
  await expect(rows.nth(1)).toHaveText(/Reached\s*297 99%\s*600 85.7%\s*\+13.3 pts/);
  await page.getByLabel("Compare").selectOption("win-back");
  await expect(rows.nth(1)).toHaveText(/Reached\s*600 85.7%\s*600 85.7%\s*0 pts/);
  await expect(page).toHaveURL(/a=win-back&b=win-back/);
});

test("a league table says that it ignores the filters", async (t) => {
  const { page } = await overview(t, "#/overview?channel=RCS");
  await expect(panel(page, "League tables")).toContainText("All messages of the range, without the filters.");
});

test("money is shown with its currency, and what has no price", async (t) => {
  const { page } = await overview(t);
  await expectKpi(page, "spent", 412.5);
  const spend = panel(page, "Spend");
  await expect(spend.locator('[data-kpi="spent"]')).toContainText("₹412.50");
  await expect(spend.locator('[data-kpi="per_reached"]')).toContainText("₹0.2554");
  await expect(spend).toContainText("90 messages have no price in the rate card and are not in these amounts. Add a rate for United Arab Emirates SMS (60), Unknown WhatsApp <b>utility (30).");
  const unpriced = await spend.getByRole("link", { name: "60" }).getAttribute("href");
  const { from, to, tz, ...filters } = Object.fromEntries(new URLSearchParams(unpriced.split("?")[1]));
  assert.deepEqual(filters, { country: "AE", channel: "SMS", status: "sent", category: "-", billable: "true,unknown" });
});

test("with a channel, the fallback is hidden and says why", async (t) => {
  const { page } = await overview(t, "#/overview?channel=SMS");
  await expect(panel(page, "Fallback to SMS")).toContainText("Hidden while a channel is chosen");
  await expect(page.locator('[data-kpi="fell_back"]')).toHaveCount(0);
});

test("panels without data are absent", async (t) => {
  const { page } = await overview(t, "", {
    prepare: (fresh) => fresh.route("**/api/summary?*", (route) => {
      const { reached, latency, heat, spend, previous, campaigns, templates, tags, bots_table, countries, ...rest } = insight();
      return route.fulfill({ json: { ...rest, tags: tags.map(({ name }) => name), reached: { ...reached, messages: 1700 } } });
    }),
  });
  for (const name of ["Time between steps", "When people read and click", "Spend", "League tables"]) await expect(panel(page, name)).toHaveCount(0);
  await expect(panel(page, "From sent to clicked")).toBeVisible();
});

test("an overview without messages, for example of clicks only, has no headline", async (t) => {
  const { page } = await overview(t);
  await page.route("**/api/summary?*", (route) => route.fulfill({ json: { ...insight(), reached: { messages: 0, reached: 0, failed: 0, by_channel: {} } } }));
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.locator(".reach")).toHaveCount(0);
  await expect(page.locator(".counts").first()).toBeVisible();
});

test("a table is saved as CSV and copied with exact values", async (t) => {
  const { page } = await overview(t, "", { permissions: ["clipboard-read", "clipboard-write"] });
  const latency = panel(page, "Time between steps");
  const [download] = await Promise.all([page.waitForEvent("download"), latency.getByRole("button", { name: "CSV: Time between steps" }).click()]);
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n");
  assert.equal(lines[0], "Step,Channel,Messages,Half (ms),90 % (ms),99 % (ms)");
  assert.equal(lines[1], "Sent to Delivered,RCS,1280,1800,9000,125000");
  await latency.getByRole("button", { name: "Copy: Time between steps" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("Sent to Delivered\tRCS\t1280\t1800\t9000\t125000");
  await page.getByRole("button", { name: "Copy: People reached" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("1,615 of 1,700 messages reached a person (95%): RCS 1,270, SMS 260, WhatsApp 85. 51 did not arrive, 34 are still open.");
});

test("a view can be saved under a name, opened and removed", async (t) => {
  const { page } = await overview(t, "#/overview?channel=RCS");
  const menu = page.locator(".menu");
  await menu.locator("summary").press("Enter");
  await page.getByLabel("Name of this view").fill("<b>RCS</b>");
  await page.keyboard.press("Enter");
  await menu.getByRole("link", { name: "<b>RCS</b>" }).waitFor();
  await page.keyboard.press("Escape");
  await expect(menu.locator(".menu-box")).toBeHidden();
  await page.goto(`${page.url().split("#")[0]}#/events`);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  await page.locator(".menu summary").click();
  await page.getByRole("link", { name: "<b>RCS</b>" }).click();
  await expect(page).toHaveURL(/#\/overview\?channel=RCS/);
  await page.locator(".menu summary").click();
  await page.getByRole("button", { name: "Remove <b>RCS</b>" }).click();
  await expect(page.locator(".menu-list")).toContainText("No saved views yet.");
});

test("a range up to today stays one in a saved view", async (t) => {
  const { page, asked } = await overview(t);
  await page.getByRole("button", { name: "7 days" }).click();
  await expect(page).toHaveURL(/#\/overview\?.*days=7/);
  assert.doesNotMatch(page.url(), /from=|to=/);
  await expect.poll(() => (Date.parse(asked.at(-1).to) - Date.parse(asked.at(-1).from)) / 86_400_000).toBe(6);
  await page.getByLabel("From", { exact: true }).fill("2026-01-05");
  await expect(page).toHaveURL(/from=2026-01-05&to=\d{4}-\d{2}-\d{2}/);
  assert.doesNotMatch(page.url(), /days=/);
});

test("a range that is too long for its time zone offers UTC, or a shorter range", async (t) => {
  const { page, asked } = await overview(t);
  const long = `${page.url().split("#")[0]}#/overview?tz=Asia/Kolkata&from=2025-11-27&to=2026-11-27`;
  await page.goto(long);
  const alert = page.getByRole("alert");
  await alert.getByText("In UTC, a range can have up to 366 days; in other time zones, up to 92. This one has 366 days in Asia/Kolkata.").waitFor();
  await alert.getByRole("button", { name: "Show the last 92 days" }).click();
  await expect.poll(() => [asked.at(-1).from, asked.at(-1).to, asked.at(-1).tz]).toEqual(["2026-08-28", "2026-11-27", "Asia/Kolkata"]);
  await page.goto(long);
  await alert.getByRole("button", { name: "Show 366 days in UTC" }).click();
  await expect.poll(() => [asked.at(-1).from, asked.at(-1).to, asked.at(-1).tz]).toEqual(["2025-11-27", "2026-11-27", "UTC"]);
  await page.goto(`${page.url().split("#")[0]}#/overview?tz=UTC&from=2025-11-26&to=2026-11-27`);
  await alert.getByText("A range can have at most 366 days. This one has 367 days.").waitFor();
});

test("more deliveries than messages sent have no share, and the page says why", async (t) => {
  const { page } = await overview(t, "", {
    prepare: (fresh) => fresh.route("**/api/summary?*", (route) => {
      const all = insight();
      const funnel = all.funnel.map((entry) => (entry.channel === "SMS" ? { ...entry, sent: 100, delivered: 270 } : entry));
      return route.fulfill({ json: { ...all, funnel, fallback: { ...all.fallback, fell_back: 100, delivered: 270 } } });
    }),
  });
  for (const name of ["From sent to clicked", "Fallback to SMS"]) await expect(panel(page, name)).toContainText("More messages are reported as delivered than as sent: some providers do not report “Sent”.");
  await expect(panel(page, "Fallback to SMS")).toContainText("RCS messages fell back to SMS.");
  await expect(page.getByRole("table", { name: "Fallback results" }).getByRole("row", { name: /^Delivered/ })).toHaveText(/Delivered\s*270\s*–/);
  await expect(page.getByRole("table", { name: "SMS", exact: true }).getByRole("row", { name: /^Delivered/ })).toHaveText(/Delivered\s*270\s*–/);
});

test("the page says that the latest counts are missing", async (t) => {
  const note = (page) => page.locator("[data-lacks-latest]");
  const { page } = await overview(t);
  await expect(note(page)).toHaveCount(0);
  await page.route("**/api/summary?*", (route) => route.fulfill({ json: { ...insight(), lacks_latest_counts: true } }));
  await page.reload();
  await expect(note(page)).toContainText("The latest counts are missing, because the counters could not be merged for long.");
});

test("the weekly pattern says for which ranges it is counted", async (t) => {
  const { page } = await overview(t, "#/overview?tz=UTC&from=2026-09-01&to=2026-10-02", {
    prepare: (fresh) => fresh.route("**/api/summary?*", (route) => route.fulfill({ json: { ...insight("UTC", { from: "2026-09-01", to: "2026-10-02" }), heat: [] } })),
  });
  await expect(panel(page, "When people read and click")).toContainText("In UTC, this is shown for up to 31 days.");
});

test("saved views are limited, and the address of a person cannot be saved", async (t) => {
  const { page } = await overview(t);
  const saved = await page.evaluate(() => {
    const views = Array.from({ length: 40 }, (_, index) => ({ name: `n${index}`, hash: "#/overview" }));
    localStorage.setItem("netcore-webhooks.views", JSON.stringify([{ name: "person", hash: "#/number/919000000101" }, { name: "script", hash: "javascript:alert(1)" }, 7, ...views]));
    return true;
  });
  assert.ok(saved);
  await page.locator(".menu summary").click();
  await expect(page.locator(".menu-list li")).toHaveCount(30);
  await expect(page.locator(".menu-list")).not.toContainText("person");
  await page.getByLabel("Name of this view").fill("one more");
  await page.keyboard.press("Enter");
  await page.getByText("At most 30 views can be saved.").waitFor();
});

test("printing opens the panels and hides the controls", async (t) => {
  const { page } = await overview(t);
  await panel(page, "Spend").locator("summary").first().click();
  await expect(panel(page, "Spend").locator(".fold-body")).toBeHidden();
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  await expect(panel(page, "Spend").locator(".fold-body")).toBeVisible();
  await expect(page.locator(".filter-box")).toBeHidden();
  await expect(page.locator(".header")).toBeHidden();
});

test("statuses that would be flat have a separate chart, and today's chart ends now", async (t) => {
  const { page } = await overview(t);
  await page.getByRole("img", { name: /Failed 60\./ }).waitFor();
  await expect(page.locator("canvas")).toHaveCount(2);
  assert.deepEqual(byHeight({ sent: [100, 90], delivered: [50, 8], blocked: [1, 7], queued: [1, 1] }), [{ sent: [100, 90], delivered: [50, 8], queued: [1, 1] }, { blocked: [1, 7] }]);

  const now = new Date("2026-11-26T10:20:00Z");
  await page.clock.setFixedTime(now);
  await page.route("**/api/summary?*", (route) => route.fulfill({ headers: { date: now.toUTCString() }, json: { ...insight("Asia/Kolkata", { from: "2026-11-26", to: "2026-11-26" }), hours: [{ hour: "2026-11-26T09", channel: "RCS", status: "sent", count: 3 }] } }));
  await page.goto(`${page.url().split("#")[0]}#/overview?from=2026-11-26&to=2026-11-26&tz=Asia/Kolkata`);
  // 10:20 UTC is 15:50 in India: the hours 0 to 15.
  await page.getByRole("img", { name: /3 events in 16 hours/ }).waitFor();
});

test("CSV has quotes where needed and no formulas; hours are those of the zone", () => {
  const columns = [{ label: "A, b", value: (row) => row[0] }, { label: "c", value: (row) => row[1] }];
  assert.equal(csv(columns, [["=1+1", -5], ['say "x"', "a\nb"]]), '"A, b",c\r\n\'=1+1,-5\r\n"say ""x""","a\nb"\r\n');
  assert.equal(hourIn(Date.UTC(2026, 10, 25, 18, 30), "Asia/Kolkata"), "2026-11-26T00");
  assert.equal(hourIn(Date.UTC(2026, 10, 25, 18, 29), "Asia/Kolkata"), "2026-11-25T23");
  assert.deepEqual([isZone("Asia/Kolkata"), isZone("Mars/Base"), isZone(""), isZone(undefined)], [true, false, false, false]);
});
