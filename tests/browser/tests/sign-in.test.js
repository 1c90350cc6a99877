// A deployment with a sign-in: signing in and out, and what each role sees. Uses a separate instance.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe from "axe-core";
import { browser, expect, expectFocus, heading } from "../lib/browser.js";
import { deadLetters, journey } from "../lib/cases.js";
import { post, start } from "../lib/instance.js";

const open = browser();
const PASSWORDS = { viewer: "viewers-have-this-one", agent: "agents-have-this-one", operator: "operators-have-this" };
let instance;

before(async () => {
  const auth = { key: "k".repeat(32), hours: 8, sign_in: Object.entries(PASSWORDS).map(([role, password]) => ({ role, password })) };
  instance = await start({ environment: { DASHBOARD_AUTH: JSON.stringify(auth) } });
  for (const [name, body] of [...journey.bodies, deadLetters.bodies[0]]) await post(instance, name, body);
});
after(() => instance?.stop());

const signIn = async (page, role) => {
  await page.getByLabel("Password").fill(PASSWORDS[role]);
  await page.getByLabel("Password").press("Enter");
};

test("nothing is shown before the sign-in, and a wrong password is reported", async (t) => {
  const page = await open(t, `#/message/${journey.sms}`, { at: instance.base });
  await heading(page, "Sign in").waitFor();
  await expectFocus(page, "id", "password");
  await expect(page.getByRole("navigation")).toBeHidden();
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map(({ id }) => id), []);

  await page.getByLabel("Password").fill("not this one at all");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
  await expectFocus(page, "id", "password");

  await signIn(page, "agent");
  await page.getByText(/^Delivered over SMS after RCS failed/).waitFor();
  await page.getByText("Agent", { exact: true }).waitFor();
  await page.reload();
  await page.getByText(/^Delivered over SMS after RCS failed/).waitFor();

  const cookies = await page.context().cookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  await page.reload();
  await heading(page, "Sign in").waitFor();
  // A copy of the cookie is invalid.
  await page.context().addCookies(cookies);
  await page.reload();
  await heading(page, "Sign in").waitFor();
});

test("an agent sees dead letters; only an operator can change the queue", async (t) => {
  const page = await open(t, "#/dead-letters", { at: instance.base });
  await signIn(page, "agent");
  const deadLetter = page.locator("[data-dead-letter]");
  await deadLetter.getByRole("button", { name: "Show content" }).waitFor();
  await expect(page.getByRole("button", { name: "Discard" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Try again (redrive)" })).toHaveCount(0);
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, "operator");
  await deadLetter.getByRole("button", { name: "Discard" }).waitFor();
});

test("a viewer sees no phone number and opens a message without its id", async (t) => {
  const page = await open(t, "#/live", { at: instance.base });
  await signIn(page, "viewer");
  await page.getByText("Updates automatically.").waitFor();
  await post(instance, "event-webhook", [{ message_id: `api-337-${journey.number}-viewer-1`, mobile: journey.number, status: "Sent", channel: "RCS", event_time: Math.floor(Date.now() / 1000) }]);
  const event = page.locator(".events > li", { hasText: "-viewer-1" });
  await event.waitFor();
  await expect(event).toContainText(/\*{4}/);
  // A link to the message, none to the number.
  await expect(event.getByRole("link")).toHaveCount(1);
  await event.getByText("All fields").click();
  await event.locator("dl").waitFor();
  assert.ok(!(await page.content()).includes(journey.number));
  await event.locator(".event-meta").getByRole("link").click();
  await page.getByText("Sent over RCS; no delivery reported yet.").waitFor();
  await page.getByRole("heading", { level: 1, name: /-viewer-1$/ }).waitFor();
  assert.ok(!(await page.content()).includes(journey.number));
  assert.ok(!page.url().includes(journey.number));

  await page.getByRole("combobox", { name: /^Search/ }).fill(journey.number);
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText(/Your role cannot search for people\.$/).waitFor();

  await page.getByRole("navigation").getByRole("link", { name: "Dead letters" }).click();
  await page.locator("[data-dead-letter]").waitFor();
  await expect(page.getByRole("button", { name: "Show content" })).toHaveCount(0);
  assert.ok(!(await page.content()).includes(deadLetters.number));
});

test("an expired session leads to the sign-in and back to the view", async (t) => {
  const page = await open(t, "", { at: instance.base });
  await signIn(page, "operator");
  await heading(page, "Overview").waitFor();
  await page.context().clearCookies();
  await page.getByRole("navigation").getByRole("link", { name: "Dead letters" }).click();
  await heading(page, "Sign in").waitFor();
  await signIn(page, "operator");
  await heading(page, "Dead letters").waitFor();
  await page.locator("[data-dead-letter]").waitFor();
});
