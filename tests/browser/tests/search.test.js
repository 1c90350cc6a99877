// The search field: what it asks, and how it shows what was found. Answers are made up, so that each kind occurs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, expect, expectFocus, figuresShown, heading } from "../lib/browser.js";
import { journey } from "../lib/cases.js";

const open = browser();
const time = Date.UTC(2026, 10, 21, 10);
const message = (kind, id, more = {}) => ({ kind, message_id: id, recipient: "919000000101", state: "delivered", event_time: time, ...more });

/** Opens a page with one made-up answer for every search. */
async function searching(t, answer, hash = "") {
  const asked = [];
  const page = await open(t, hash, {
    prepare: (fresh) =>
      fresh.route("**/api/search?*", (route) => {
        asked.push(new URL(route.request().url()).searchParams.get("q"));
        return route.fulfill(answer.status ? answer : { json: answer });
      }),
  });
  await figuresShown(page);
  return { page, asked };
}

const find = async (page, text) => {
  await page.getByRole("combobox", { name: /^Search/ }).fill(text);
  await page.keyboard.press("Enter");
};

test("the key / goes to the field, but is typed into a field", async (t) => {
  const { page, asked } = await searching(t, { found: [] });
  await page.keyboard.press("/");
  await expectFocus(page, "id", "q");
  await page.keyboard.type("a/b");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Nothing found" }).waitFor();
  assert.deepEqual(asked, ["a/b"]);
  await expect(page.getByRole("combobox", { name: /^Search/ })).toHaveValue("a/b");
});

test("results are grouped by what they are, with the number that is left out", async (t) => {
  const { page } = await searching(t, {
    left_out: 3,
    found: [message("request", journey.rcs), message("request", journey.sms, { state: "failed" }), { kind: "recipient", recipient: "919000000101" }, { kind: "campaign", name: "<img src=x onerror=window.pwned=7>" }],
  });
  await find(page, "00101");
  await heading(page, "Search").waitFor();
  await page.getByText("4 results, and 3 more results that are not shown.").waitFor();
  await expect(page.getByRole("region", { name: "Messages of this request id" }).getByRole("listitem")).toHaveCount(2);
  await expect(page.getByRole("region", { name: "People" }).getByRole("link")).toHaveAttribute("href", "#/number/919000000101");
  await expect(page.getByRole("region", { name: "Campaigns" }).getByRole("link")).toHaveAttribute("href", /^#\/events\?campaign=%3Cimg/);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await page.getByRole("link", { name: journey.rcs }).click();
  await page.locator(".timeline").waitFor();
  await page.goBack();
  await heading(page, "Search").waitFor();
});

test("one hit opens at once, and back does not return to the search", async (t) => {
  const { page } = await searching(t, { found: [message("message", journey.sms)] });
  await find(page, journey.sms);
  await heading(page, `Message ${journey.sms}`).waitFor();
  await page.goBack();
  await heading(page, "Overview").waitFor();
});

test("one person opens as a conversation, and a redacted one does not", async (t) => {
  const { page } = await searching(t, { found: [{ kind: "recipient", recipient: journey.number }] });
  await find(page, "00101");
  await heading(page, `Number ${journey.number}`).waitFor();
  await page.unroute("**/api/search?*");
  await page.route("**/api/search?*", (route) => route.fulfill({ json: { found: [{ kind: "recipient", recipient: "*********101" }] } }));
  await find(page, "anything");
  await page.getByText("1 result.").waitFor();
  await expect(page.locator(".found a")).toHaveCount(0);
});

test("a refused search is explained", async (t) => {
  const { page } = await searching(t, { status: 403, json: { error: "your role cannot search numbers" } });
  await find(page, "919000000101");
  await page.getByRole("alert").getByText("Your role cannot search numbers.").waitFor();
});

test("the field offers the views and saved views, and opens them by name", async (t) => {
  const { page, asked } = await searching(t, { found: [] }, "#/overview");
  await page.evaluate(() => localStorage.setItem("netcore-webhooks.views", JSON.stringify([{ name: "Failed SMS", hash: "#/events?channel=SMS&status=failed" }])));
  await page.keyboard.press("/");
  await expect(page.locator("datalist option")).toHaveCount(5);
  assert.deepEqual(await page.locator("datalist option").evaluateAll((options) => options.map(({ value }) => value)), ["Go to Overview", "Go to Events", "Go to Live", "Go to Dead letters", "Go to saved view Failed SMS"]);
  await page.keyboard.type("go to saved view failed sms");
  await page.keyboard.press("Enter");
  await heading(page, "Events").waitFor();
  await expect(page).toHaveURL(/#\/events\?channel=SMS&status=failed/);
  await page.keyboard.press("/");
  await page.keyboard.type("Go to Dead letters");
  await page.keyboard.press("Enter");
  await heading(page, "Dead letters").waitFor();
  assert.deepEqual(asked, []);
  await find(page, "Events");
  await expect.poll(() => asked).toEqual(["Events"]);
});

test("a saved view with the name of a view, or of another saved view in other letters, can be opened", async (t) => {
  const { page, asked } = await searching(t, { found: [] }, "#/overview");
  const saved = [{ name: "Events", hash: "#/events?channel=SMS" }, { name: "failed", hash: "#/events?status=failed" }, { name: "Failed", hash: "#/events?status=failed%2Cbounced" }];
  await page.evaluate((views) => localStorage.setItem("netcore-webhooks.views", JSON.stringify(views)), saved);
  await page.keyboard.press("/");
  const offered = await page.locator("datalist option").evaluateAll((options) => options.map(({ value }) => value));
  assert.equal(new Set(offered).size, 7);
  for (const [text, hash] of [["Go to Events", "#/events"], ["Go to saved view Events", saved[0].hash], ["Go to saved view Failed", saved[2].hash], ["Go to saved view failed", saved[1].hash]]) {
    await find(page, text);
    await expect.poll(() => new URL(page.url()).hash).toBe(hash);
    // The field is empty from here on.
    await heading(page, "Events").waitFor();
  }
  assert.deepEqual(asked, []);
});
