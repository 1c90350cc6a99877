// A browser for the tests of one file. Every page is monitored: a script error or a violation of
// the content security policy fails the test that opened the page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { expect as playwrightExpect } from "@playwright/test";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const base = process.env.BASE;

/** Timeout of each wait. */
const PATIENCE_MS = 15_000;

/** Assertions that retry: the page updates its views asynchronously after an action, so a single read may be outdated. */
export const expect = playwrightExpect.configure({ timeout: PATIENCE_MS });

/** Starts a browser before the tests of a `suite()`. Returns a function that opens pages. */
export function browser() {
  let running;
  before(async () => {
    running = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Chromium's sandbox does not work as root.
      args: process.getuid?.() === 0 ? [...ARGUMENTS, "--no-sandbox"] : ARGUMENTS,
    });
  });
  after(() => running?.close());

  /** Opens a view in a new profile. `t` is the test; at its end the page is checked and closed. */
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
    if (process.env.PAGE) await serveFrom(context, process.env.PAGE);
    if (prepare) await prepare(page);
    await page.goto(`${at}/${hash}`);
    return page;
  };
}

/** Serves the page's files from a folder instead of those in the command, so that a change needs no build. */
async function serveFrom(context, folder) {
  await context.route(/\/assets\//, async (route) => {
    const path = new URL(route.request().url()).pathname.replace(/^\/assets\/[0-9a-f]{16}\//, "");
    const kind = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" }[path.split(".").at(-1)];
    await route.fulfill({ path: `${folder}/${path}`, contentType: kind });
  });
  await context.route((url) => url.pathname === "/", async (route) => {
    const response = await route.fetch();
    const version = /"assets\/([0-9a-f]{16})\//.exec(await response.text())[1];
    await route.fulfill({ response, body: readFileSync(`${folder}/index.html`, "utf8").replaceAll('"assets/', `"assets/${version}/`) });
  });
}

export const api = async (path) => {
  const response = await fetch(`${base}/${path}`);
  assert.equal(response.status, 200, path);
  return response.json();
};

/** Navigates to a view without reloading the page, as a user does. Returns after the previous view is removed. */
export const visit = (page, hash) =>
  page.evaluate(
    (to) =>
      new Promise((resolve) => {
        const before = location.href;
        // The page's listener for the same event was added first, so it runs first.
        addEventListener("hashchange", () => resolve(), { once: true });
        location.hash = to;
        if (location.href === before) resolve();
      }),
    hash || "#/overview",
  );

/** Opens all collapsed sections, including nested ones. */
export async function unfold(page) {
  for (;;) {
    const opened = await page.evaluate(() => {
      const closed = [...document.querySelectorAll("main details:not([open])")];
      for (const box of closed) box.open = true;
      return closed.length;
    });
    // Sections get their content asynchronously, after their toggle event.
    await page.waitForFunction(() => [...document.querySelectorAll("main details[open]")].every((box) => box.childElementCount > 1));
    if (!opened) return;
  }
}

/** Reads the exact value of a KPI card once. */
export const kpi = async (page, name) => Number(await page.locator(`[data-kpi="${name}"] data`).getAttribute("value"));

/** Waits until a KPI card shows this value. */
export const expectKpi = (page, name, value) => expect(page.locator(`[data-kpi="${name}"] data`)).toHaveAttribute("value", String(value));

/** Waits until the focused element has this value in the property. */
export const expectFocus = (page, property, value) => expect.poll(() => page.evaluate((name) => document.activeElement?.[name], property)).toBe(value);

export const heading = (page, name) => page.getByRole("heading", { level: 1, name });

/** Waits until the overview shows its figures. */
export const figuresShown = (page) => page.locator(".results:not([aria-busy]) .counts").first().waitFor();
