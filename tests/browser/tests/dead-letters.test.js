// Dead letters: looked at, sent back and discarded, each after a question.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, heading } from "../lib/browser.js";
import { letters } from "../lib/cases.js";

const open = browser();

/** The letter whose body holds a word, or null. A look hides what it saw for a second. */
async function letterWith(word, looks = 3) {
  for (let turn = 0; turn < looks; turn += 1) {
    if (turn) await new Promise((resolve) => setTimeout(resolve, 1100));
    const { newest } = await api("api/dead-letters?content=full");
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

const card = (page, id) => page.locator(`[data-letter="${id}"]`);

test("depths and reasons are shown, content only when asked for", async (t) => {
  const id = await idOf(letters.shown);
  const page = await open(t, "#/dead-letters");
  await heading(page, "Dead letters").waitFor();
  await card(page, id).waitFor();
  assert.ok(Number(await page.locator('[data-kpi="dead"] data').getAttribute("value")) >= 4);
  await page.getByRole("table", { name: "Reasons of the letters shown below" }).waitFor();
  assert.ok(!(await page.locator("main").innerText()).includes(letters.number), "no number before somebody asks");
  const button = card(page, id).getByRole("button", { name: "Show content" });
  await button.click();
  await card(page, id).getByText(letters.shown).waitFor();
  assert.ok((await card(page, id).innerText()).includes(letters.number));
  await card(page, id).getByRole("button", { name: "Hide content" }).click();
  assert.ok(!(await card(page, id).innerText()).includes(letters.number));
});

test("a letter is sent back after a question, and not without one", async (t) => {
  const id = await idOf(letters.redriven);
  const page = await open(t, "#/dead-letters");
  const button = card(page, id).getByRole("button", { name: "Try again (redrive)" });
  await button.click();
  const dialog = page.getByRole("dialog", { name: "Try this letter again?" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.ok(await button.evaluate((element) => element === document.activeElement), "the focus is back");
  assert.equal(await idOf(letters.redriven), id, "nothing was done");

  await page.reload();
  await card(page, id).getByRole("button", { name: "Try again (redrive)" }).click();
  await dialog.getByRole("button", { name: "Try again" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await page.locator("#announcer", { hasText: "The letter was sent to the retry queue." }).waitFor({ state: "attached" });
  const still = await letterWith(letters.redriven, 2);
  assert.notEqual(still?.id, id, "the letter left the queue; if it failed again, it is a new one");
});

test("a letter is discarded after a question", async (t) => {
  const id = await idOf(letters.discarded);
  const page = await open(t, "#/dead-letters");
  await card(page, id).waitFor();
  const before = Number(await page.locator('[data-kpi="dead"] data').getAttribute("value"));
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog", { name: "Discard this letter?" }).getByRole("button", { name: "Discard" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await page.waitForFunction((count) => Number(document.querySelector('[data-kpi="dead"] data').value) === count - 1, before);
  assert.equal(await letterWith(letters.discarded), null, "nowhere in the queue");
});

test("a letter that somebody else took meanwhile is said to be gone", async (t) => {
  const id = await idOf(letters.taken);
  const page = await open(t, "#/dead-letters");
  await card(page, id).waitFor();
  const response = await fetch(`${process.env.BASE}/api/dead-letters/${encodeURIComponent(id)}/discard`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(response.status, 200);
  await card(page, id).getByRole("button", { name: "Discard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await card(page, id).getByRole("alert").waitFor();
  await card(page, id).getByRole("button", { name: "Try again", exact: true }).waitFor();
});
