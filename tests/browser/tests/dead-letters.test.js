// Dead letters: looked at, sent back and discarded, each after a question. On an instance of its
// own: a look hides letters for a moment, and so would the looks of other tests.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { browser, expect, expectKpi, heading } from "../lib/browser.js";
import { letters } from "../lib/cases.js";
import { post, start } from "../lib/instance.js";

const openAt = browser();
let instance;

before(async () => {
  instance = await start();
  for (const [name, body] of letters.bodies) assert.equal((await post(instance, name, body)).status, 400);
});
after(() => instance?.stop());

const open = (t) => openAt(t, "#/dead-letters", { at: instance.base });

/** The letter whose body holds a word, or null. A look hides what it saw for a second. */
async function letterWith(word, looks = 3) {
  for (let turn = 0; turn < looks; turn += 1) {
    if (turn) await new Promise((resolve) => setTimeout(resolve, 1100));
    const { newest } = await (await fetch(`${instance.base}/api/dead-letters?content=full`)).json();
    const letter = newest.find(({ body }) => body?.includes(word));
    if (letter) return letter;
  }
  return null;
}

const idOf = async (word) => {
  const letter = await letterWith(word);
  assert.ok(letter, `${word} is in the queue`);
  return letter.id;
};

const card = (page, id) => page.locator(`[data-dead-letter="${id}"]`);

test("depths and reasons are shown, content only when asked for", async (t) => {
  const id = await idOf(letters.shown);
  const page = await open(t);
  await heading(page, "Dead letters").waitFor();
  await card(page, id).waitFor();
  await expectKpi(page, "dead", letters.bodies.length);
  await expect(page.locator("[data-dead-letter]")).toHaveCount(letters.bodies.length);
  await page.getByRole("table", { name: "Reasons of the dead letters shown below" }).waitFor();
  await expect(page.locator("main"), "no number before somebody asks").not.toContainText(letters.number);
  const button = card(page, id).getByRole("button", { name: "Show content" });
  await button.click();
  await card(page, id).getByText(letters.shown).waitFor();
  await expect(card(page, id)).toContainText(letters.number);
  await card(page, id).getByRole("button", { name: "Hide content" }).click();
  await expect(card(page, id)).not.toContainText(letters.number, { useInnerText: true });
});

test("a letter is sent back after a question, and not without one", async (t) => {
  const id = await idOf(letters.redriven);
  const page = await open(t);
  const button = card(page, id).getByRole("button", { name: "Try again (redrive)" });
  await button.click();
  const dialog = page.getByRole("dialog", { name: "Try this dead letter again?" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await expect(button, "the focus is back").toBeFocused();
  assert.equal(await idOf(letters.redriven), id, "nothing was done");

  await page.reload();
  await card(page, id).getByRole("button", { name: "Try again (redrive)" }).click();
  await dialog.getByRole("button", { name: "Try again" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await page.locator("#announcer", { hasText: "The dead letter was sent to the retry queue." }).waitFor({ state: "attached" });
  const still = await letterWith(letters.redriven, 2);
  assert.notEqual(still?.id, id, "the letter left the queue; if it failed again, it is a new one");
});

test("a letter is discarded after a question", async (t) => {
  const id = await idOf(letters.discarded);
  const page = await open(t);
  await card(page, id).waitFor();
  const before = Number(await page.locator('[data-kpi="dead"] data').getAttribute("value"));
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog", { name: "Discard this dead letter?" }).getByRole("button", { name: "Discard" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await expectKpi(page, "dead", before - 1);
  assert.equal(await letterWith(letters.discarded), null, "nowhere in the queue");

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save what was discarded as a file" }).click()]);
  assert.ok((await readFile(await download.path(), "utf8")).includes(letters.discarded), "whoever discarded it still has it");
});

test("a letter that somebody else took meanwhile is said to be gone", async (t) => {
  const id = await idOf(letters.taken);
  const page = await open(t);
  await card(page, id).waitFor();
  const response = await fetch(`${instance.base}/api/dead-letters/${encodeURIComponent(id)}/discard`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(response.status, 200);
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await card(page, id).getByRole("alert").waitFor();
  await card(page, id).getByRole("button", { name: "Try again", exact: true }).waitFor();
});
