// The view of events: its filters, its request and its states. Answers are made up, so that each state occurs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { browser, expect, expectFocus, heading } from "../lib/browser.js";

const open = browser();

const event = (index, more = {}) => ({ message_id: `m-${index}`, status_key: `RCS#sent#${index}`, status: "sent", channel: "RCS", event_time: Date.UTC(2026, 10, 21, 10) - index * 1000, received_at: 0, provider: "netcore", format: "rcs", ...more });

/** Opens the view with answers by cursor; returns the requests, too. */
async function explorer(t, hash, answers) {
  const asked = [];
  const page = await open(t, hash, {
    prepare: (fresh) =>
      fresh.route("**/api/events?*", async (route) => {
        const parameters = Object.fromEntries(new URL(route.request().url()).searchParams);
        asked.push(parameters);
        const answer = answers(parameters);
        await (typeof answer === "string" ? route.fulfill({ contentType: "text/csv", body: answer }) : route.fulfill({ json: answer }));
      }),
  });
  return { page, asked };
}

test("the filters of the address are those of the request and of the form", async (t) => {
  const wanted = { from: "2026-11-20", to: "2026-11-21T17:30", tz: "Asia/Kolkata", channel: "RCS", status: "failed,bounced,expired,revoked", tag: "vip", bot: "732", campaign: "<b>c</b>", template: "t", reason: "Operator rejected", type: "text", country: "IN", order: "oldest" };
  const { page, asked } = await explorer(t, `#/events?${new URLSearchParams(wanted)}`, () => ({ events: [event(1)], cursor: null, searched_to: null }));
  await page.locator(".events > li").waitFor();
  assert.deepEqual(asked, [{ ...wanted, limit: "100" }]);
  await expect(page.getByLabel("From", { exact: true })).toHaveValue("2026-11-20T00:00");
  await expect(page.getByLabel("To", { exact: true })).toHaveValue("2026-11-21T17:30");
  await expect(page.getByLabel("Status", { exact: true })).toHaveValue(wanted.status);
  await expect(page.getByLabel("Campaign", { exact: true })).toHaveValue("<b>c</b>");
  await expect(page.getByText("1 event in all.")).toBeVisible();

  // A changed word keeps the day, which is complete, and goes into the address.
  await page.getByLabel("Country", { exact: true }).fill("AE");
  await page.keyboard.press("Enter");
  await expect.poll(() => asked.at(-1)).toEqual({ ...wanted, country: "AE", limit: "100" });
  await expect(page).toHaveURL(/country=AE/);
  await page.goBack();
  await expect(page.getByLabel("Country", { exact: true })).toHaveValue("IN");
  await page.getByRole("button", { name: "Clear" }).click();
  await expect.poll(() => [asked.at(-1).channel, asked.at(-1).tz]).toEqual([undefined, "Asia/Kolkata"]);
});

test("a list continues with its cursor, by keyboard", async (t) => {
  const pages = { "": [1, 2], two: [3], end: [4] };
  const next = { "": "two", two: "end", end: null };
  const { page, asked } = await explorer(t, "#/events?from=2026-11-01&to=2026-11-21", ({ cursor = "" }) => ({ events: pages[cursor].map((index) => event(index)), cursor: next[cursor], searched_to: null }));
  const rows = page.locator(".events > li");
  await expect(rows).toHaveCount(2);
  await page.getByRole("button", { name: "Load more events" }).press("Enter");
  await expect(rows).toHaveCount(3);
  await expectFocus(page, "textContent", "Load more events");
  await page.keyboard.press("Enter");
  await page.getByText("4 events in all.").waitFor();
  assert.deepEqual(asked.map(({ cursor }) => cursor), [undefined, "two", "end"]);
  await rows.nth(2).getByRole("link", { name: "m-3" }).waitFor();
});

test("a page without a match says how far it searched, and continues", async (t) => {
  const { page } = await explorer(t, "#/events?status=blocked", ({ cursor }) => (cursor ? { events: [event(1, { status: "blocked" })], cursor: null, searched_to: null } : { events: [], cursor: "more", searched_to: Date.UTC(2026, 10, 20) }));
  await page.getByText("Searched up to 20 Nov 2026").waitFor();
  await page.getByRole("button", { name: "Continue the search" }).click();
  await page.getByText("1 event in all.").waitFor();
});

test("no match, a refused filter and a role without pages are explained", async (t) => {
  const { page } = await explorer(t, "#/events?tag=none", ({ tag }) => ({ events: tag === "none" ? [] : [event(1)], cursor: null, searched_to: null, ...(tag === "shown" && { truncated: true }) }));
  await page.getByRole("heading", { name: "No events in this range" }).waitFor();
  await page.goto(page.url().replace("tag=none", "tag=shown"));
  await page.getByText("There are more, but your role sees only the first page.", { exact: false }).waitFor();
  await page.route("**/api/events?*", (route) => route.fulfill({ status: 400, json: { error: "from must be before to, and the range must have at most 366 days" } }));
  await page.goto(page.url().replace("tag=shown", "from=2020-01-01"));
  await page.getByRole("alert").getByText("From must be before to, and the range must have at most 366 days.").waitFor();
});

test("hours that were not searched can be searched; the folded filters are named", async (t) => {
  const { page, asked } = await explorer(t, "#/events?from=2026-11-01&to=2026-11-21&tz=UTC&tag=vip&status=delivered%2Copened_by_machine", ({ exhaustive }) => ({ events: [], cursor: null, searched_to: null, skipped_hours: exhaustive ? 0 : 1 }));
  await page.getByText("1 hour of this range was not searched, because the counters show no matching events then.", { exact: false }).waitFor();
  await expect(page.locator(".filter-box summary")).toHaveText("Filters: Delivered, Opened by…, vip");
  await page.getByRole("button", { name: "Search all hours" }).click();
  await expect.poll(() => asked.at(-1).exhaustive).toBe("true");
  await page.getByText("No events match these filters.").waitFor();
  await page.getByRole("button", { name: "Remove the filters" }).click();
  await expect.poll(() => asked.at(-1)).toEqual({ from: "2026-11-01", to: "2026-11-21", tz: "UTC", limit: "100" });
  await page.getByText("There are no events in this range.").waitFor();
});

test("the CSV file has the same filters", async (t) => {
  const { page, asked } = await explorer(t, "#/events?from=2026-11-01&to=2026-11-21&tz=UTC&reason=off", ({ format }) => (format === "csv" ? "message_id\r\nm-1\r\n" : { events: [event(1)], cursor: null, searched_to: null }));
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  assert.equal(await readFile(await download.path(), "utf8"), "message_id\r\nm-1\r\n");
  assert.deepEqual(asked.find(({ format }) => format === "csv"), { from: "2026-11-01", to: "2026-11-21", tz: "UTC", reason: "off", format: "csv" });
});

test("the overview leads to the events of a figure, and back", async (t) => {
  const { page, asked } = await explorer(t, "", () => ({ events: [event(1)], cursor: null, searched_to: null }));
  await page.locator('[data-kpi="sent"] a').click();
  await heading(page, "Events").waitFor();
  await expect.poll(() => asked.at(-1)?.status).toBe("sent");
  await page.goBack();
  await heading(page, "Overview").waitFor();
});
