// Text of a webhook is shown as text: it does not run as a script or become an element or a link.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, expect, figuresShown, unfold, visit } from "../lib/browser.js";
import { dayOf, deadLetters, evil } from "../lib/cases.js";

const open = browser();

/** Asserts that no hostile text became a script, an element or a link. */
async function harmless(page) {
  const found = await page.evaluate(() => ({
    ran: window.pwned ?? null,
    images: [...document.images].filter((image) => !/\/assets\/[0-9a-f]{16}\/icon\.svg$/.test(image.src)).length,
    scripts: [...document.scripts].filter((script) => !script.src.startsWith(location.origin)).length,
    styles: document.querySelectorAll("style, main [style]:not(.bar-fill):not(canvas)").length,
    handlers: [...document.querySelectorAll("*")].filter((element) => element.getAttributeNames().some((name) => name.startsWith("on"))).length,
    links: [...document.links].map((link) => link.getAttribute("href")).filter((href) => !/^(#|api\/|openapi\.json$|https:\/\/www\.openstreetmap\.org\/\?mlat=-?\d+\.\d{6}&mlon=-?\d+\.\d{6}$)/.test(href)),
    visible: getComputedStyle(document.body).display !== "none",
  }));
  assert.deepEqual(found, { ran: null, images: 0, scripts: 0, styles: 0, handlers: 0, links: [], visible: true });
}

test("a hostile message is shown literally", async (t) => {
  const page = await open(t, `#/message/${encodeURIComponent(evil.id)}`);
  await page.locator(".timeline").waitFor();
  await unfold(page);
  await harmless(page);
  const main = page.locator("main");
  for (const piece of evil.pieces) await expect(main).toContainText(piece);
  await expect(main, "its id").toContainText(evil.id);
  await expect(main, "its reply").toContainText(evil.answer);
  await expect(main, "characters that reorder text are shown by their codes").toContainText("U+202E");
  assert.ok(!(await page.locator("main").evaluate((main) => main.textContent)).includes("\u202e"));
});

test("ten thousand characters are collapsed and can be expanded", async (t) => {
  const page = await open(t, `#/message/${encodeURIComponent(evil.id)}`);
  const step = page.locator('.timeline > li[data-status="failed"] .event-text');
  await step.waitFor();
  assert.ok(!(await step.innerText()).includes(evil.long));
  await step.getByRole("button", { name: /Show all 10,\d{3} characters/ }).click();
  await expect(step).toContainText(evil.long);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});

test("hostile events are shown literally in a person's list", async (t) => {
  const page = await open(t, `#/number/${evil.number}`);
  await page.locator(".groups > li").first().waitFor();
  await unfold(page);
  await harmless(page);
  const { events } = await api(`api/recipients/${evil.number}?limit=200`);
  const shown = () => page.locator("[data-key]").evaluateAll((items) => items.map((item) => item.dataset.key).sort());
  await expect.poll(shown).toEqual(events.map((event) => JSON.stringify([event.message_id, event.status_key, event.event_time])).sort());
  assert.ok(events.length >= 8, String(events.length));
});

test("hostile bots, tags, reasons and types are shown literally in the overview", async (t) => {
  const day = dayOf(1);
  const page = await open(t, `#/overview?${new URLSearchParams({ from: day, to: day, bot: evil.bot })}`);
  await figuresShown(page);
  await page.locator("canvas").first().waitFor();
  await page.getByText("Figures as a table").click();
  await page.getByRole("table", { name: /for each (day|hour)/ }).waitFor();
  await harmless(page);
  const main = page.locator("main");
  for (const piece of [evil.image, evil.script]) await expect(main).toContainText(piece);
  await expect(page.getByLabel("Bot")).toHaveValue(evil.bot);
  await expect(page.getByLabel("Tag").locator("option", { hasText: "<img src=x" })).not.toHaveCount(0);
});

test("hostile text in the URL is shown literally", async (t) => {
  const page = await open(t);
  for (const hash of [`#/message/${encodeURIComponent(evil.image)}`, `#/overview?bot=${encodeURIComponent(evil.script)}`, `#/live?channel=${encodeURIComponent(evil.image)}`, "#/message/%E0%A4%A", "#/__proto__", "#/number/"]) {
    await visit(page, hash);
    await page.locator("main h1").waitFor();
    await expect(page.locator("main .loading")).toHaveCount(0);
    await page.locator(".results[aria-busy]").waitFor({ state: "detached" });
    await harmless(page);
  }
});

test("a hostile dead letter is shown literally", async (t) => {
  const page = await open(t, "#/dead-letters");
  // The page shows a sample of the queue, and dead letters that another test just listed are hidden for a second.
  await expect(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.locator(".results:not([aria-busy]) [data-dead-letter]").first().waitFor();
    for (const button of await page.locator('[data-do="show"]').all()) {
      await button.click();
      await page.locator(".dead-letter-content .loading").waitFor({ state: "detached" });
    }
    await expect(page.locator("main")).toContainText(JSON.stringify(deadLetters.evil).slice(1, -1), { timeout: 1000 });
  }).toPass({ timeout: 60_000 });
  await harmless(page);
});
