// The page of a person, with exactly the journeys and states of the API, and the page of a message.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, browser, expect } from "../lib/browser.js";
import { evil, journey, linked, place } from "../lib/cases.js";
import { post } from "../lib/instance.js";

const open = browser();

test("the messages of a number have the journeys and states of the API", async (t) => {
  const page = await open(t, `#/number/${linked.number}`);
  const entries = page.locator(".groups > li");
  await expect(entries).toHaveCount(2);
  // The first click proves a read. Regression: the page showed the last click.
  await expect(entries.nth(0).getByRole("link", { name: linked.clicked })).toBeVisible();
  await expect(entries.nth(0).locator(".event-head").first()).toContainText("Read");
  await expect(entries.nth(0).locator(".event-head time").first()).toHaveAttribute("datetime", new Date(linked.firstClick).toISOString());
  // Linked by callback data. Regression: the page linked only by request id and showed two messages.
  await expect(entries.nth(1)).toHaveText(/RCS\s*Not sent.*no RCS here.*then\s*SMS\s*Sent.*2 events/s, { useInnerText: true });

  await page.goto(page.url().replace(/#.*/, `#/message/${linked.clicked}`));
  await page.getByText("Read and clicked over RCS. Tapped: “Later”.").waitFor();
  await page.goto(page.url().replace(/#.*/, `#/message/${linked.rcs}`));
  await page.getByText("Sent over SMS after RCS could not be sent: no RCS here; no delivery reported yet.").waitFor();
});

test("a person's page reads as a conversation", async (t) => {
  const page = await open(t, `#/number/${evil.number}`);
  const bubbles = page.locator(".bubble");
  await bubbles.first().waitFor();
  // The reply is below the message that it answers, on the person's side.
  const group = page.locator(".groups > li", { has: page.getByRole("link", { name: evil.id, exact: true }) });
  await expect(group.locator(`[data-reply="MxEvilAnswer"]`)).toContainText(evil.answer);
  await expect(group.locator(".bubble").first()).not.toHaveClass(/is-person/);
  await expect(page.locator(".bubble.is-person", { hasText: "MxEvilFile" })).toContainText("1 byte");
  await expect(page.locator(".bubble .buttons li").first()).toContainText(evil.script);
  await expect(group.locator("details").first()).not.toHaveAttribute("open", "");
});

test("a location has a link to a map, made of its degrees only", async (t) => {
  const page = await open(t, `#/number/${place.number}`);
  const bubble = page.locator(".bubble.is-person");
  await expect(bubble.getByRole("link", { name: "Show on a map" })).toHaveAttribute("href", "https://www.openstreetmap.org/?mlat=46.276074&mlon=10.312510");
  await expect(bubble).toContainText("Location 46.2760738253062, 10.312510281801224");
});

test("an open message updates itself while its result can change", async (t) => {
  const id = `refresh-${Date.now()}`;
  const send = (status) => post({ base, auth: process.env.WEBHOOK_AUTH }, "event-webhook", [{ message_id: id, mobile: "919000000108", status, channel: "RCS", requestid: id, event_time: Math.floor(Date.now() / 1000) }]);
  await send("Sent");
  const page = await open(t, `#/message/${id}`, { prepare: (fresh) => fresh.clock.install() });
  await page.getByText("Sent over RCS; no delivery reported yet.").waitFor();
  await page.getByText("Updates automatically.").waitFor();
  await page.locator(".timeline").getByText("All fields").click();
  await page.evaluate(() => document.activeElement.blur());
  await send("Delivered");
  await page.clock.runFor(6_000);
  await page.getByText("Delivered over RCS; no reading reported yet.").waitFor();
  await expect(page.locator("details.details[open]"), "open details stay open").toHaveCount(1);

  // With the focus in the view, nothing moves.
  await page.locator("main .results button", { hasText: "Refresh" }).focus();
  await send("Read");
  await page.clock.runFor(10_000);
  await page.getByRole("button", { name: "Show the new events" }).click();
  await page.getByText(/^Read over RCS/).waitFor();

  // A final result is not requested again.
  let asked = 0;
  page.on("request", (request) => { if (request.url().includes("/api/messages/")) asked += 1; });
  await page.clock.runFor(120_000);
  assert.equal(asked, 0);
  await expect(page.getByText("Updates automatically.")).toHaveCount(0);
});

test("the answer for a customer and the link can be copied", async (t) => {
  const page = await open(t, `#/message/${journey.sms}`, { permissions: ["clipboard-read", "clipboard-write"] });
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy answer" }).press("Enter");
  await expect.poll(copied).toMatch(/^Delivered as SMS on \d+ [A-Z][a-z]+ at 17:30, because the phone does not support RCS\.$/);
  await page.getByRole("button", { name: "Copied" }).waitFor();
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect.poll(copied).toBe(page.url());
  const meaning = page.getByRole("region", { name: "Why it did not arrive at once" });
  await expect(meaning).toContainText("RCS is off on this phone or not supported");
  await expect(meaning).toContainText("Next: Keep the SMS fallback.");
});
