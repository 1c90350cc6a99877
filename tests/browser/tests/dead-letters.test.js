// Dead letters: list, redrive and discard, each after a confirmation. Uses a separate instance, because
// listing hides dead letters for a second, and the other tests list them too.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { browser, expect, expectKpi, heading } from "../lib/browser.js";
import { deadLetters } from "../lib/cases.js";
import { post, start } from "../lib/instance.js";

const openAt = browser();
let instance;

before(async () => {
  instance = await start();
  for (const [name, body] of deadLetters.bodies) assert.equal((await post(instance, name, body)).status, 400);
});
after(() => instance?.stop());

const open = (t) => openAt(t, "#/dead-letters", { at: instance.base });

/** The dead letter whose body contains a word, or null. Listing hides dead letters for a second. */
async function deadLetterWith(word, tries = 3) {
  for (let turn = 0; turn < tries; turn += 1) {
    if (turn) await new Promise((resolve) => setTimeout(resolve, 1100));
    const { newest } = await (await fetch(`${instance.base}/api/dead-letters?content=full`)).json();
    const deadLetter = newest.find(({ body }) => body?.includes(word));
    if (deadLetter) return deadLetter;
  }
  return null;
}

const idOf = async (word) => {
  const deadLetter = await deadLetterWith(word);
  assert.ok(deadLetter, `${word} is in the queue`);
  return deadLetter.id;
};

const card = (page, id) => page.locator(`[data-dead-letter="${id}"]`);

test("depths and reasons are shown, content only on request", async (t) => {
  const id = await idOf(deadLetters.shown);
  const page = await open(t);
  await heading(page, "Dead letters").waitFor();
  await card(page, id).waitFor();
  await expectKpi(page, "dead", deadLetters.bodies.length);
  await expect(page.locator("[data-dead-letter]")).toHaveCount(deadLetters.bodies.length);
  await page.getByRole("table", { name: "Reasons of the dead letters shown below" }).waitFor();
  await expect(page.locator("main"), "no phone number before a request").not.toContainText(deadLetters.number);
  const button = card(page, id).getByRole("button", { name: "Show content" });
  await button.click();
  await card(page, id).getByText(deadLetters.shown).waitFor();
  await expect(card(page, id)).toContainText(deadLetters.number);
  await card(page, id).getByRole("button", { name: "Hide content" }).click();
  await expect(card(page, id)).not.toContainText(deadLetters.number, { useInnerText: true });
});

test("a dead letter is redriven only after a confirmation", async (t) => {
  const id = await idOf(deadLetters.redriven);
  const page = await open(t);
  const button = card(page, id).getByRole("button", { name: "Try again (redrive)" });
  await button.click();
  const dialog = page.getByRole("dialog", { name: "Try this dead letter again?" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await expect(button, "the focus returns to the button").toBeFocused();
  assert.equal(await idOf(deadLetters.redriven), id, "the dead letter is unchanged");

  await page.reload();
  await card(page, id).getByRole("button", { name: "Try again (redrive)" }).click();
  await dialog.getByRole("button", { name: "Try again" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await page.locator("#announcer", { hasText: "The dead letter was sent to the retry queue." }).waitFor({ state: "attached" });
  const found = await deadLetterWith(deadLetters.redriven, 2);
  assert.notEqual(found?.id, id, "the dead letter left the queue; after another failure it is a new one");
});

test("a dead letter is discarded after a confirmation", async (t) => {
  const id = await idOf(deadLetters.discarded);
  const page = await open(t);
  await card(page, id).waitFor();
  const before = Number(await page.locator('[data-kpi="dead"] data').getAttribute("value"));
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog", { name: "Discard this dead letter?" }).getByRole("button", { name: "Discard" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await expectKpi(page, "dead", before - 1);
  assert.equal(await deadLetterWith(deadLetters.discarded), null, "it left the queue");

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save what was discarded as a file" }).click()]);
  assert.ok((await readFile(await download.path(), "utf8")).includes(deadLetters.discarded), "the file contains the discarded dead letter");
});

test("a dead letter that was removed meanwhile is reported as gone", async (t) => {
  const id = await idOf(deadLetters.taken);
  const page = await open(t);
  await card(page, id).waitFor();
  const response = await fetch(`${instance.base}/api/dead-letters/${encodeURIComponent(id)}/discard`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(response.status, 200);
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await card(page, id).getByRole("alert").waitFor();
  await card(page, id).getByRole("button", { name: "Try again", exact: true }).waitFor();
});
