// Dead letters: looked at, sent back and discarded, each after a question.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, browser, heading } from "../lib/browser.js";
import { letters } from "../lib/cases.js";

const open = browser();

/** All letters by the word their body holds: a look hides what it saw for a second. */
async function queue() {
  const found = new Map();
  for (let turn = 0; turn < 3; turn += 1) {
    if (turn) await new Promise((resolve) => setTimeout(resolve, 1200));
    const { newest } = await api("api/dead-letters?content=full");
    for (const letter of newest) found.set(letter.id, letter);
  }
  return [...found.values()];
}

const idOf = async (word) => {
  const letter = (await queue()).find(({ body }) => body?.includes(word));
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
  assert.ok((await queue()).some((letter) => letter.id === id), "nothing was done");

  await page.reload();
  await card(page, id).getByRole("button", { name: "Try again (redrive)" }).click();
  await dialog.getByRole("button", { name: "Try again" }).click();
  await card(page, id).waitFor({ state: "detached" });
  await page.locator("#announcer", { hasText: "The letter was sent to the retry queue." }).waitFor({ state: "attached" });
  assert.ok(!(await queue()).some((letter) => letter.id === id), "the letter left the queue");
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
  assert.ok(!(await queue()).some(({ body }) => body?.includes(letters.discarded)), "nowhere in the queue");
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
