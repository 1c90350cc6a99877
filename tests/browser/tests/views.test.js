// Each view on real data: its content, its navigation, and its URL.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { api, base, browser, expect, expectFocus, figuresShown, heading } from "../lib/browser.js";
import { digits, figures, journey, many, read, today } from "../lib/cases.js";
import { post } from "../lib/instance.js";

const open = browser();
const instance = { base, auth: process.env.WEBHOOK_AUTH };

const find = async (page, text) => {
  await page.getByRole("combobox", { name: /^Search/ }).fill(text);
  await page.keyboard.press("Enter");
};

test("the overview shows figures, a chart, its summary and its table", async (t) => {
  const page = await open(t);
  await heading(page, "Overview").waitFor();
  await figuresShown(page);
  for (const name of ["Volume over time", "From sent to clicked", "Fallback to SMS", "Why messages were not delivered", "Billable by category", "Message types"]) {
    await page.getByRole("heading", { level: 2, name }).waitFor();
  }
  const chart = page.getByRole("img", { name: /events in 30 days/ }).first();
  await chart.waitFor();
  const painted = () => chart.evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0));
  await expect.poll(painted, "the chart is drawn").toBe(true);
  const table = page.getByRole("table", { name: /Events by status for each day/ });
  await expect(table, "the table is collapsed").toHaveCount(0);
  await page.getByText("Figures as a table").focus();
  await page.keyboard.press("Enter");
  await expect(table.locator("tbody tr")).toHaveCount(30);
});

test("lines of the chart can be switched off by toggle buttons", async (t) => {
  const page = await open(t);
  const sent = page.getByRole("list", { name: "Lines of the chart" }).getByRole("button", { name: "Sent", exact: true });
  await expect(sent).toHaveAttribute("aria-pressed", "true");
  await sent.press("Enter");
  await expect(sent).toHaveAttribute("aria-pressed", "false");
});

test("filters change the figures and the URL; reload and back restore them", async (t) => {
  const page = await open(t, `#/overview?from=${figures.from}&to=${figures.to}`);
  await figuresShown(page);
  const all = Number(await page.locator('[data-kpi="sent"] data').getAttribute("value"));
  await page.getByLabel("Bot").focus();
  await page.getByLabel("Bot").selectOption(figures.bot);
  await page.waitForFunction((before) => Number(document.querySelector('.results:not([aria-busy]) [data-kpi="sent"] data')?.value) < before, all);
  await expect(page).toHaveURL(new RegExp(`bot=${figures.bot}`));
  await expectFocus(page, "id", "bot");
  const filtered = await page.locator('[data-kpi="sent"] data').getAttribute("value");

  await page.reload();
  await figuresShown(page);
  await expect(page.locator('[data-kpi="sent"] data')).toHaveAttribute("value", filtered);
  await expect(page.getByLabel("Bot")).toHaveValue(figures.bot);
  await expect(page.getByLabel("From", { exact: true })).toHaveValue(figures.from);

  await page.goBack();
  await page.waitForFunction((before) => Number(document.querySelector('.results:not([aria-busy]) [data-kpi="sent"] data')?.value) === before, all);
  await expect(page.getByLabel("Bot")).toHaveValue("");
});

test("the range picker accepts presets and days, and rejects a range that ends before it starts", async (t) => {
  const page = await open(t);
  await figuresShown(page);
  await page.getByRole("button", { name: "7 days" }).click();
  await page.getByText("7 days in", { exact: false }).first().waitFor();
  await expect(page.getByRole("button", { name: "7 days" })).toHaveAttribute("aria-pressed", "true");
  await page.getByLabel("To", { exact: true }).fill(figures.to);
  await page.getByLabel("From", { exact: true }).fill(figures.to);
  await page.waitForURL(`**/#/overview?from=${figures.to}&to=${figures.to}&*`);
  await page.getByRole("img", { name: /24 hours/ }).first().waitFor();
  await page.goto(`${base}/#/overview?from=${figures.to}&to=${figures.from}`);
  await page.getByRole("alert").getByText("ends before it starts").waitFor();
});

test("a range without events is reported, with a longer range to choose", async (t) => {
  const page = await open(t, "#/overview?from=2020-01-01&to=2020-01-02");
  await page.getByRole("heading", { name: "No events in this range" }).waitFor();
  await page.getByRole("button", { name: "Show 90 days" }).click();
  await figuresShown(page);
});

test("a search by id shows the journey over RCS and SMS", async (t) => {
  const page = await open(t);
  await find(page, ` ${journey.sms} `);
  await heading(page, `Message ${journey.sms}`).waitFor();
  await page.getByText(`Delivered over SMS after RCS failed: ${journey.reason}. The person replied: “Yes, please deliver”.`).waitFor();
  await expect.poll(() => decodeURIComponent(new URL(page.url()).hash)).toBe(`#/message/${journey.sms}`);

  const legs = page.locator(".legs > li");
  await expect.poll(() => legs.evaluateAll((items) => items.map((item) => item.dataset.leg))).toEqual(["RCS", "SMS"]);
  const steps = () => page.locator(".timeline > li[data-status]").evaluateAll((items) => items.map((item) => `${item.dataset.channel} ${item.dataset.status}`));
  await expect.poll(steps).toEqual(["RCS failed", "SMS sent", "SMS delivered", "RCS clicked"]);
  const answer = page.locator(".timeline .is-reply");
  await expect(answer).toContainText("Yes, please deliver");
  await expect(answer).toContainText("to this message");

  await legs.getByRole("link", { name: journey.rcs }).click();
  await heading(page, `Message ${journey.rcs}`).waitFor();
  await page.getByText(/^Delivered over SMS after RCS failed/).waitFor();
  await page.goBack();
  await heading(page, `Message ${journey.sms}`).waitFor();
});

test("the details of an event show every stored field and the exact UTC time", async (t) => {
  const page = await open(t, `#/message/${read.id}`);
  await page.getByText(/^Read and clicked over RCS, 2 min after it was sent\. Tapped: “Visit Now”\.$/).waitFor();
  const { events } = await api(`api/messages/${read.id}`);
  const step = page.locator('.timeline > li[data-status="read"]');
  await step.getByText("All fields").click();
  const event = events.find(({ status }) => status === "read");
  await expect(step.locator("dl > dt")).toHaveCount(Object.keys(event).length);
  const fields = step.locator("dl");
  await expect(fields).toContainText(`${new Date(event.event_time).toISOString().replace("T", " ").replace("Z", "")} UTC`);
  await expect(fields).toContainText(new Date(event.expires_at * 1000).toISOString().slice(0, 10));
  for (const value of [event.request_id, event.provider, event.format, event.recipient, event.status_key]) await expect(fields).toContainText(value);
  const time = step.locator(".event-head time");
  await expect(time).toHaveAttribute("datetime", new Date(event.event_time).toISOString());
  await expect(time).toHaveAttribute("title", / UTC$/);
});

test("a search by number shows messages in pages and a CSV file", async (t) => {
  const page = await open(t);
  await find(page, "+91 90000-00104");
  await page.getByText(`50 messages, 50 events so far, the newest first.`).waitFor();
  await page.getByRole("button", { name: "Load older events" }).click();
  await page.getByText(`${many.count} messages, ${many.count} events, the newest first.`).waitFor();
  await expect(page.locator(".groups > li")).toHaveCount(many.count);
  await page.waitForFunction(() => document.activeElement?.matches(".end"));

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  const csv = await readFile(await download.path(), "utf8");
  assert.equal(csv.trimEnd().split(/\r?\n/).length, many.count + 1);
  assert.ok(csv.includes("many-069"));
});

test("a fallback is one entry of a number's list, with its reply", async (t) => {
  const page = await open(t, `#/number/${journey.number}`);
  const entry = page.locator(".groups > li");
  await expect(entry).toHaveCount(1);
  await expect(entry).toHaveText(/RCS\s*Failed.*then\s*SMS\s*Delivered.*4 events, 1 reply/s, { useInnerText: true });
  await entry.getByText("4 events").click();
  await expect(entry.locator("ol.events > li")).toHaveCount(4);
});

test("digits and dashes are looked up as a number, then as an id", async (t) => {
  const page = await open(t);
  await find(page, digits.id);
  await heading(page, `Message ${digits.id}`).waitFor();
  await page.getByText("Sent over RCS; no delivery reported yet.").waitFor();
  await expect.poll(() => decodeURIComponent(new URL(page.url()).hash)).toBe(`#/message/${digits.id}`);
});

test("text typed into the search while the page starts is kept", async (t) => {
  const page = await open(t);
  await page.route("**/api/session", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await route.continue();
  });
  await page.reload({ waitUntil: "commit" });
  const field = page.getByRole("combobox", { name: /^Search/ });
  await field.fill(digits.id);
  await figuresShown(page);
  await expect(field).toHaveValue(digits.id);
});

test("a number that looks like an id is found, and unknown ids and numbers are reported", async (t) => {
  const page = await open(t);
  await find(page, `(91) ${digits.number.slice(2)}`);
  await page.getByText("1 message, 1 event, the newest first.").waitFor();
  await find(page, "no-such-message");
  await page.getByRole("heading", { name: "Nothing found" }).waitFor();
  await find(page, "+91 00000 00000");
  await page.getByRole("heading", { name: "Nothing found" }).waitFor();
});

test("live shows new events, holds them back while the list has the focus, and filters", async (t) => {
  const page = await open(t, "#/live");
  await page.getByText("Updates automatically.").waitFor();
  const send = (id, status = "Sent") =>
    post(instance, "event-webhook", [{ message_id: id, mobile: "919000000107", status, channel: "RCS", requestid: id, event_time: Math.floor(Date.now() / 1000) }]);
  const stamp = Date.now();
  await send(`live-${stamp}-1`);
  await page.locator(".events > li", { hasText: `live-${stamp}-1` }).waitFor();
  await page.locator("#announcer", { hasText: /new event/ }).waitFor({ state: "attached" });

  // With the focus in the list, nothing may move.
  const link = page.getByRole("link", { name: `live-${stamp}-1` });
  await link.focus();
  const box = await link.boundingBox();
  await send(`live-${stamp}-2`, "Failed");
  await page.getByRole("button", { name: /Show \d+ new event/ }).waitFor();
  assert.deepEqual(await link.boundingBox(), box);
  await expect(page.getByRole("link", { name: `live-${stamp}-2` })).toHaveCount(0);
  await page.getByRole("button", { name: /Show \d+ new event/ }).click();
  await page.getByRole("link", { name: `live-${stamp}-2` }).waitFor();

  await page.locator("main select#status").selectOption("failed");
  await page.waitForURL(/#\/live\?status=failed$/);
  await page.getByRole("link", { name: `live-${stamp}-2` }).waitFor();
  await expect(page.getByRole("link", { name: `live-${stamp}-1` })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "Download today as CSV" })).toHaveAttribute("href", new RegExp(`^api/events\\?day=${today()}&status=failed&format=csv$`));
});

test("live sends no requests while it is paused or hidden", async (t) => {
  const page = await open(t, "#/live", { prepare: (fresh) => fresh.clock.install() });
  await page.getByText("Updates automatically.").waitFor();
  let asked = 0;
  page.on("request", (request) => { if (request.url().includes("/api/events")) asked += 1; });
  const minute = async () => {
    asked = 0;
    await page.clock.runFor(60_000);
    return asked;
  };
  assert.ok((await minute()) > 0, "requests while visible");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused.").waitFor();
  assert.equal(await minute(), 0, "paused");
  await Promise.all([page.waitForRequest(/\/api\/events/), page.getByRole("button", { name: "Continue" }).click()]);
  await page.getByText("Updates automatically.").waitFor();

  // A headless page is always visible, so the test overrides its state.
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.getByText("Paused while hidden.").waitFor();
  assert.equal(await minute(), 0, "hidden");
  const again = page.waitForRequest(/\/api\/events/);
  await page.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await again;
});

test("the view follows the URL, and the focus follows the view", async (t) => {
  const page = await open(t);
  await figuresShown(page);
  for (const [link, title] of [["Events", "Events"], ["Live", "Live"], ["Dead letters", "Dead letters"], ["Overview", "Overview"]]) {
    await page.getByRole("navigation").getByRole("link", { name: link }).click();
    await heading(page, title).waitFor();
    await expectFocus(page, "tagName", "H1");
    await expect(page.getByRole("navigation").locator("[aria-current]")).toHaveText(link);
    await expect(page).toHaveTitle(/netcore-webhooks$/);
  }
  await page.goBack();
  await heading(page, "Dead letters").waitFor();
  await page.goForward();
  await heading(page, "Overview").waitFor();
});

test("phone numbers are in no URL path or query and in no referrer", async (t) => {
  const asked = [];
  const page = await open(t, `#/number/${journey.number}`, { prepare: (fresh) => fresh.on("request", (request) => asked.push([request.url(), request.headers().referer ?? ""])) });
  await page.locator(".groups > li").first().waitFor();
  await page.reload();
  await page.locator(".groups > li").first().waitFor();
  for (const [url, referrer] of asked) {
    assert.equal(referrer, "");
    if (!url.includes("/api/")) assert.ok(!url.split("#")[0].includes(journey.number), url);
  }
});
