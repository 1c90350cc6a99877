// A browser for the tests of one file. Every page is watched: an error or a violation of the
// page's policy fails the test that opened it, whatever it was looking for.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { expect as playwrightExpect } from "@playwright/test";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const base = process.env.BASE;

/** How long a page may take for what a test waits for. */
const PATIENCE_MS = 15_000;

/** Assertions that wait: the page fills its views after an action, so what is read once right after it may be old. */
export const expect = playwrightExpect.configure({ timeout: PATIENCE_MS });

/** For `suite()` files: a function that opens pages. */
export function browser() {
  let running;
  before(async () => {
    running = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Chromium refuses to run as root inside its own sandbox.
      args: process.getuid?.() === 0 ? [...ARGUMENTS, "--no-sandbox"] : ARGUMENTS,
    });
  });
  after(() => running?.close());

  /** Opens a view in a fresh profile; `t` is the test, at whose end the page is judged and closed. */
  return async function open(t, hash = "", { at = base, prepare, expectErrors = false, ...options } = {}) {
    const context = await running.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", timezoneId: "Asia/Kolkata", acceptDownloads: true, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const troubles = [];
    await context.exposeBinding("reportViolation", (_, text) => troubles.push(`policy: ${text}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => troubles.push(`error: ${error.stack}`));
    page.on("dialog", (dialog) => {
      troubles.push(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("console", (message) => {
      const expected = /^Failed to load resource/.test(message.text());
      if (message.type() === "error" && !expected) troubles.push(`console: ${message.text()}`);
      if (/content security policy/i.test(message.text())) troubles.push(`console: ${message.text()}`);
    });
    t.after(async () => {
      await context.close();
      if (!expectErrors) assert.deepEqual(troubles, []);
    });
    if (prepare) await prepare(page);
    await page.goto(`${at}/${hash}`);
    return page;
  };
}

export const api = async (path) => {
  const response = await fetch(`${base}/${path}`);
  assert.equal(response.status, 200, path);
  return response.json();
};

/** Goes to a view as a reader does, without loading the page anew. Returns when the view before is gone. */
export const visit = (page, hash) =>
  page.evaluate(
    (to) =>
      new Promise((resolve) => {
        const before = location.href;
        // The page listens for the same event, and was there first.
        addEventListener("hashchange", () => resolve(), { once: true });
        location.hash = to;
        if (location.href === before) resolve();
      }),
    hash || "#/overview",
  );

/** Opens everything that is folded away; what is inside may hold more of it. */
export async function unfold(page) {
  for (;;) {
    const opened = await page.evaluate(() => {
      const closed = [...document.querySelectorAll("main details:not([open])")];
      for (const box of closed) box.open = true;
      return closed.length;
    });
    // Details are filled when they tell that they were opened, a moment later.
    await page.waitForFunction(() => [...document.querySelectorAll("main details[open]")].every((box) => box.childElementCount > 1));
    if (!opened) return;
  }
}

/** The exact value of a card of key figures, once. */
export const kpi = async (page, name) => Number(await page.locator(`[data-kpi="${name}"] data`).getAttribute("value"));

/** Waits until a card of key figures shows this value. */
export const expectKpi = (page, name, value) => expect(page.locator(`[data-kpi="${name}"] data`)).toHaveAttribute("value", String(value));

/** Waits until the focus is on an element that the function accepts. */
export const expectFocus = (page, property, value) => expect.poll(() => page.evaluate((name) => document.activeElement?.[name], property)).toBe(value);

export const heading = (page, name) => page.getByRole("heading", { level: 1, name });

/** Waits until the figures of the overview are there. */
export const figuresShown = (page) => page.locator(".results:not([aria-busy]) .cards").waitFor();
