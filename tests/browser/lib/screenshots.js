// Pictures of the page for the documentation, on simulated messages.

import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const MESSAGES = "3000";
const COUNTED_MS = 60_000;
const VIEWPORT = { width: 1280, height: 860 };

/** Waits until the number of counted events does not change any more. */
async function counted(base) {
  const until = Date.now() + COUNTED_MS;
  let before = -1;
  while (Date.now() < until) {
    const { counts } = await (await fetch(`${base}/api/summary`)).json();
    const sum = counts.reduce((all, { count }) => all + count, 0);
    if (sum > 0 && sum === before) return;
    before = sum;
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/** A delivered SMS that followed a failed RCS message, with a reply if there is one. */
async function fallbackMessage(base) {
  const { events } = await (await fetch(`${base}/api/events?channel=SMS&status=delivered&limit=50`)).json();
  let found = null;
  for (const { message_id: id } of events) {
    const message = await (await fetch(`${base}/api/messages/${encodeURIComponent(id)}`)).json();
    if (message.journey.length < 2) continue;
    found ??= message;
    if (message.answers.length) return message;
  }
  if (!found) throw new Error("the simulation has no fallback");
  return found;
}

/** Fills an instance and writes `overview.png`, `message.png` and `person.png` to a folder. */
export async function screenshots(instance, folder) {
  await run(instance.command, ["--data", instance.data, "simulate", "--url", instance.base, "--messages", MESSAGES, "--seed", "7"], { env: { ...process.env, WEBHOOK_AUTH: instance.auth }, timeout: 300_000 });
  await counted(instance.base);
  const message = await fallbackMessage(instance.base);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: process.getuid?.() === 0 ? ["--no-sandbox", "--disable-gpu"] : ["--disable-gpu"] });
  try {
    const context = await browser.newContext({ viewport: VIEWPORT, locale: "en-GB", timezoneId: "Asia/Kolkata", colorScheme: "light" });
    const page = await context.newPage();
    for (const [name, hash, ready] of [
      ["overview", "", "canvas"],
      ["message", `#/message/${encodeURIComponent(message.message_id)}`, ".timeline"],
      ["person", `#/number/${encodeURIComponent(message.recipient)}`, ".bubble"],
    ]) {
      await page.goto("about:blank");
      await page.goto(`${instance.base}/${hash}`);
      await page.locator(ready).first().waitFor();
      await page.waitForLoadState("networkidle");
      await page.screenshot({ path: `${folder}/${name}.png` });
      console.log(`${folder}/${name}.png`);
    }
  } finally {
    await browser.close();
  }
}

/** The folder of the arguments, relative to where the command was called. */
export const folderOf = (argument) => resolve(process.env.CALLED_FROM ?? ".", argument);
