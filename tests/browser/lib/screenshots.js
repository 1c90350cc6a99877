// Pictures of the page for the documentation, on simulated messages.

import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const MESSAGES = "3000";
const COUNTED_MS = 60_000;
/** Where a fallback is searched: days, and messages. */
const DAYS = 30;
const MAX_LOOKED = 300;
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

/** Messages whose SMS was delivered, of the last days, the newest first. */
async function* deliveredSms(base) {
  for (let daysAgo = 0; daysAgo < DAYS; daysAgo += 1) {
    const day = new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10);
    let cursor = "";
    do {
      const query = new URLSearchParams({ day, channel: "SMS", status: "delivered", limit: "200", ...(cursor && { cursor }) });
      const page = await (await fetch(`${base}/api/events?${query}`)).json();
      yield* page.events.map(({ message_id: id }) => id);
      cursor = page.cursor;
    } while (cursor);
  }
}

/** A message that arrived as SMS after another channel failed, with a reply if there is one. */
async function fallbackMessage(base) {
  let found = null;
  let looked = 0;
  for await (const id of deliveredSms(base)) {
    const message = await (await fetch(`${base}/api/messages/${encodeURIComponent(id)}`)).json();
    if (message.journey.length > 1) found ??= message;
    if (message.journey.length > 1 && message.answers.length) return message;
    if ((looked += 1) >= MAX_LOOKED) break;
  }
  if (!found) throw new Error("the simulation has no fallback");
  return found;
}

/** Fills an instance and writes `overview.png` and `message.png` to a folder. */
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
