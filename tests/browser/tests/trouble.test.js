// Failing and slow API requests. Only these tests use made-up responses.

import { test } from "node:test";
import { browser, expect, expectKpi, figuresShown, heading, kpi, visit } from "../lib/browser.js";
import { figures, journey } from "../lib/cases.js";

const open = browser();
const broken = { status: 503, contentType: "application/json", body: JSON.stringify({ error: "the events table does not answer just now; try again" }) };

test("every view explains an error and can retry", async (t) => {
  const page = await open(t, "#/message");
  for (const [hash, path, works] of [
    ["", "**/api/summary*", (page) => figuresShown(page)],
    [`#/message/${journey.rcs}`, "**/api/messages/*", (page) => page.locator(".timeline").waitFor()],
    [`#/number/${journey.number}`, "**/api/recipients/*", (page) => page.locator(".groups > li").first().waitFor()],
    ["#/live", "**/api/events*", (page) => page.getByText("Updates automatically.").waitFor()],
    ["#/dead-letters", "**/api/dead-letters*", (page) => page.locator('[data-kpi="dead"]').waitFor()],
  ]) {
    await page.route(path, (route) => route.fulfill(broken));
    await visit(page, hash);
    const alert = page.getByRole("alert");
    await alert.getByText("The events table does not answer just now; try again.").waitFor();
    await page.unroute(path);
    await alert.getByRole("button", { name: "Try again" }).click();
    await works(page);
    await expect(alert, hash).toHaveCount(0);
  }
});

test("a response that is not JSON and a failed connection are explained", async (t) => {
  const page = await open(t, "", { prepare: (fresh) => fresh.route("**/api/summary*", (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" })) });
  await page.getByRole("alert").getByText("The server answered 502 without a reason.").waitFor();
  await page.unroute("**/api/summary*");
  await page.route("**/api/summary*", (route) => route.abort("connectionrefused"));
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The server cannot be reached.", { exact: false }).waitFor();
});

test("a dashboard that did not start explains it and can retry", async (t) => {
  const page = await open(t, "", { prepare: (fresh) => fresh.route("**/api/session", (route) => route.fulfill(broken)) });
  await heading(page, "The dashboard did not start").waitFor();
  await page.unroute("**/api/session");
  await page.getByRole("button", { name: "Try again" }).click();
  await figuresShown(page);
});

test("a hanging request is aborted after its timeout", async (t) => {
  const page = await open(t, "", {
    prepare: async (fresh) => {
      await fresh.clock.install();
      await fresh.route("**/api/summary*", () => {});
    },
  });
  await page.getByText("Loading the figures…").waitFor();
  await page.clock.fastForward(16_000);
  await page.getByRole("alert").getByText("The server did not answer within 15 seconds.").waitFor();
  await page.unroute("**/api/summary*");
  await page.getByRole("button", { name: "Try again" }).click();
  await figuresShown(page);
});

test("a late response to an old request does not replace a newer one", async (t) => {
  let late;
  const page = await open(t, `#/overview?from=${figures.from}&to=${figures.to}`);
  await figuresShown(page);
  const answered = new Promise((resolve) => { late = resolve; });
  await page.route(/\/api\/summary.*bot=/, async (route) => {
    const response = await route.fetch();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.fulfill({ response }).catch(() => {});
    late();
  });
  const all = await kpi(page, "sent");
  await page.getByLabel("Bot").selectOption(figures.bot);
  await page.locator(".results[aria-busy]").waitFor();
  await page.getByLabel("Bot").selectOption("");
  await page.locator(".results:not([aria-busy])").waitFor();
  await answered;
  await page.waitForTimeout(200);
  await expectKpi(page, "sent", all);

  // The same if another view is opened meanwhile.
  await page.getByLabel("Bot").selectOption(figures.bot);
  await page.getByRole("navigation").getByRole("link", { name: "Dead letters" }).click();
  await page.locator('[data-kpi="dead"]').waitFor();
  await page.waitForTimeout(1800);
  await expect(page.locator('[data-kpi="sent"]')).toHaveCount(0);
});
