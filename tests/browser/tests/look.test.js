// Usability: accessibility, keyboard, phone, dark mode, size and speed.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { base, browser, expect, expectFocus, figuresShown, unfold, visit } from "../lib/browser.js";
import { evil, journey, many } from "../lib/cases.js";
import { fakeInsight, insight } from "../lib/insight.js";

const open = browser();
/** The first view: the page, its files and the answers, as transferred. */
const MAX_BYTES = 250_000;
/** Simulated 4G: 4 Mbit/s and 60 ms for each request. */
const FOUR_G = { offline: false, latency: 60, downloadThroughput: 500_000, uploadThroughput: 375_000 };
const UNLIMITED = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
const MAX_MS = 1_000;
/** Widths in CSS pixels, the last one that of the phone. */
const WIDTHS = [1920, 1280, 768, 390, 360];
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const VIEWS = [
  ["overview", "", async (page) => {
    await figuresShown(page);
    await page.locator("canvas").first().waitFor();
    await unfold(page);
  }],
  ["insight", "#/overview?from=2026-01-05&to=2026-01-06", async (page) => {
    // The figures of the view before are shown until these arrive.
    await figuresShown(page);
    await page.locator(".reach").waitFor();
    await page.locator(".heat").waitFor({ state: "attached" });
    await unfold(page);
  }],
  ["events", "#/events", (page) => page.locator("main .results:not([aria-busy]) > *").first().waitFor()],
  ["menu", "#/events", async (page) => {
    await page.getByText("Saved views", { exact: true }).click();
    await page.getByLabel("Name of this view").waitFor();
  }],
  ["message", `#/message/${journey.sms}`, async (page) => {
    await page.locator(".timeline").waitFor();
    await unfold(page);
  }],
  ["hostile", `#/message/${encodeURIComponent(evil.id)}`, (page) => page.locator(".timeline").waitFor()],
  ["number", `#/number/${journey.number}`, async (page) => {
    await page.locator(".groups > li").first().waitFor();
    await unfold(page);
  }],
  ["find", "#/message", (page) => page.getByRole("heading", { name: "Find a message" }).waitFor()],
  ["nothing", "#/message/no-such-message", (page) => page.getByRole("heading", { name: "No message or person found" }).waitFor()],
  ["live", "#/live", (page) => page.getByText("Updates automatically.").waitFor()],
  ["dead-letters", "#/dead-letters", async (page) => {
    await page.locator("[data-dead-letter]").first().waitFor();
    await page.getByRole("button", { name: "Show content" }).first().click();
    await page.locator(".dead-letter-content pre").first().waitFor();
  }],
  ["question", "#/dead-letters", async (page) => {
    await page.getByRole("button", { name: "Discard" }).first().click();
    await page.getByRole("dialog").waitFor();
  }],
];

/** The view "insight" has an answer with every field. */
const insightOnly = async (page) => page.route("**/api/summary?from=2026-01-05*", (route) => {
  const parameters = Object.fromEntries(new URL(route.request().url()).searchParams);
  return route.fulfill({ json: insight(parameters.tz) });
});

async function judge(page) {
  const { violations, passes } = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), RULES);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(" | ")}`), []);
  return passes.length;
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds no violation in any view, ${colorScheme}`, async (t) => {
    let rules = 0;
    const page = await open(t, "", { colorScheme, reducedMotion: "reduce", prepare: insightOnly });
    await page.evaluate(axe.source);
    for (const [name, hash, ready] of VIEWS) {
      await visit(page, hash);
      await ready(page);
      rules += await judge(page);
      await shot(page, `${name}-${colorScheme}`);
    }
    t.diagnostic(`${VIEWS.length} views, ${rules} rules passed, 0 violations`);
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`lines, shapes and borders have enough contrast, ${colorScheme}`, async (t) => {
    const page = await open(t, "#/message", { colorScheme });
    await page.getByRole("heading", { name: "Find a message" }).waitFor();
    const colors = await page.evaluate(() => {
      const probe = document.createElement("span");
      document.body.append(probe);
      const of = (className, value) => {
        probe.className = className;
        probe.style.color = value;
        return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
      };
      const grounds = ["--card", "--bg"].map((name) => of("", `var(${name})`));
      const statuses = ["sent", "delivered", "read", "clicked", "failed", "not_sent", "blocked", "received", "other"];
      const shapes = [...statuses.map((word) => [word, of(`s-${word}`, "var(--s)")]), ...["--edge", "--accent", "--danger"].map((name) => [name, of("", `var(${name})`)])];
      return { grounds, shapes };
    });
    const least = Math.min(
      ...colors.grounds.flatMap((ground) =>
        colors.shapes.map(([name, color]) => {
          const ratio = contrast(ground, color);
          assert.ok(ratio >= 3, `${name}: ${ratio.toFixed(2)}`);
          return ratio;
        }),
      ),
    );
    t.diagnostic(`lowest contrast of non-text elements: ${least.toFixed(2)}`);
  });
}

/** The contrast of two colors, as WCAG 2 defines it. */
function contrast(...pair) {
  const light = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [darker, lighter] = pair.map(light).sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

test("the page follows a change of the system's color scheme", async (t) => {
  const page = await open(t, "", { colorScheme: "light" });
  await figuresShown(page);
  await page.locator("canvas").first().waitFor();
  const seen = () => page.evaluate(() => {
    const canvas = document.querySelector("canvas");
    return [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color, canvas.toDataURL().length && canvas.toDataURL()];
  });
  const light = await seen();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light[0]);
  for (const [index, what] of ["background", "text", "chart"].entries()) {
    await expect.poll(async () => (await seen())[index] !== light[index], what).toBe(true);
  }
});

test("no view scrolls horizontally, from 360 to 1920 px", async (t) => {
  const page = await open(t, "", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, prepare: insightOnly });
  for (const [name, hash, ready] of VIEWS) {
    await visit(page, hash);
    await ready(page);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 740 });
      // The chart follows the width asynchronously.
      await expect.poll(() => page.evaluate(() => [Math.max(document.documentElement.scrollWidth, document.documentElement.clientWidth), document.documentElement.clientWidth]), `${name} at ${width}`).toEqual([width, width]);
    }
    await page.setViewportSize({ width: 360, height: 740 });
    await shot(page, `${name}-phone`);
  }
});

test("every control is reachable by keyboard, with visible focus and no trap", async (t) => {
  const page = await open(t, "", { prepare: insightOnly });
  for (const [name, hash, ready] of VIEWS.filter(([view]) => !["question", "hostile"].includes(view))) {
    await visit(page, hash);
    await ready(page);
    // Start at the top: a newly opened view has the focus on its heading.
    await page.evaluate(() => {
      document.body.tabIndex = -1;
      document.body.focus();
      document.body.removeAttribute("tabindex");
    });
    const wanted = await page.evaluate(() => {
      for (const element of document.querySelectorAll("[data-stop]")) delete element.dataset.stop;
      const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter((element) => element.checkVisibility() && !element.disabled && element.tabIndex >= 0);
      all.forEach((element, index) => { element.dataset.stop = index; });
      return all.length;
    });
    const reached = new Set();
    let bare = [];
    // A date field has several tab stops.
    for (let turn = 0; turn < wanted * 2 + 20; turn += 1) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element || element === document.body) return null;
        const style = getComputedStyle(element);
        return { index: element.dataset.stop, outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, what: element.outerHTML.slice(0, 80) };
      });
      if (!stop) break;
      reached.add(stop.index);
      if (!stop.outlined) bare.push(stop.what);
    }
    bare = [...new Set(bare)];
    assert.deepEqual(bare, [], `${name}: focus is not visible`);
    assert.equal([...reached].filter((index) => index !== undefined).length, wanted, `${name}: not all controls are reachable`);
  }
});

test("the skip link skips the navigation and keeps the view", async (t) => {
  const page = await open(t, "#/message");
  await page.getByRole("heading", { name: "Find a message" }).waitFor();
  await page.keyboard.press("Tab");
  await expectFocus(page, "textContent", "Skip to the content");
  await page.keyboard.press("Enter");
  await expectFocus(page, "id", "main");
  await expect(page).toHaveURL(/#\/message$/);
});

test("a search, a message and back work by keyboard alone", async (t) => {
  const page = await open(t);
  await figuresShown(page);
  for (let turn = 0; turn < 20 && (await page.evaluate(() => document.activeElement.id)) !== "q"; turn += 1) await page.keyboard.press("Tab");
  await page.keyboard.type(many.number);
  await page.keyboard.press("Enter");
  await page.locator(".groups > li").first().waitFor();
  for (let turn = 0; turn < 10 && !(await page.evaluate(() => document.activeElement.closest(".group h2"))); turn += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator(".timeline").waitFor();
  await page.goBack();
  await page.locator(".groups > li").first().waitFor();
});

test("the first view transfers less than 250 KB", { skip: process.env.PAGE && "files come from a folder" }, async (t) => {
  const sizes = [];
  const page = await open(t, "", {
    prepare: (fresh) => fresh.on("requestfinished", (request) => sizes.push(request.sizes().then(async (size) => ({ path: new URL(request.url()).pathname, bytes: size.responseBodySize + size.responseHeadersSize, encoding: (await request.response())?.headers()["content-encoding"] ?? "none" })))),
  });
  await figuresShown(page);
  await page.locator("canvas").first().waitFor();
  await page.waitForLoadState("networkidle");
  const files = await Promise.all(sizes);
  const sum = files.reduce((all, { bytes }) => all + bytes, 0);
  const largest = files.sort((a, b) => b.bytes - a.bytes).slice(0, 5).map(({ path, bytes, encoding }) => `${path} ${bytes} ${encoding}`).join(", ");
  t.diagnostic(`${files.length} responses, ${sum} bytes as transferred, the largest: ${largest}`);
  assert.ok(files.some(({ path }) => path.includes("chart.umd")), "the chart's library is counted");
  assert.ok(files.some(({ path, encoding }) => path.endsWith("/api/summary") && encoding === "gzip"), "answers are compressed");
  assert.ok(!files.some(({ path }) => /live|dead-letters\.js|message\.js/.test(path)), "other views are not loaded");
  assert.ok(sum < MAX_BYTES, `${sum} bytes, the largest: ${largest}`);
});

test("simulated 4G delays the figures by less than a second", { skip: process.env.PAGE && "files come from a folder" }, async (t) => {
  const page = await open(t, "#/dead-letters");
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  await client.send("Network.setCacheDisabled", { cacheDisabled: true });
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector(".counts")) return;
      observer.disconnect();
      requestAnimationFrame(() => { window.firstView = performance.now(); });
    }).observe(document, { childList: true, subtree: true });
  });
  // In turns, and the best of three: the machine of the tests does other work at the same time.
  const shown = { limited: [], unlimited: [] };
  for (let turn = 0; turn < 3; turn += 1) {
    for (const [name, network] of [["limited", FOUR_G], ["unlimited", UNLIMITED]]) {
      await client.send("Network.emulateNetworkConditions", network);
      await page.goto("about:blank");
      await page.goto(`${base}/`);
      await figuresShown(page);
      shown[name].push(Math.round(await page.evaluate(() => window.firstView)));
    }
  }
  t.diagnostic(`the figures are shown after ${shown.limited.join(", ")} ms, and after ${shown.unlimited.join(", ")} ms without a limit`);
  assert.ok(Math.min(...shown.limited) - Math.min(...shown.unlimited) < MAX_MS, JSON.stringify(shown));
});

test("a browser does not load the files of the page twice", { skip: process.env.PAGE && "files come from a folder" }, async (t) => {
  const page = await open(t);
  await figuresShown(page);
  const asked = [];
  page.on("response", async (response) => asked.push([response.url(), response.fromServiceWorker(), (await response.request().sizes()).responseHeadersSize]));
  await page.goto(`${base}/#/live`);
  await page.reload();
  await page.getByText("Updates automatically.").waitFor();
  const cached = await page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => /app\.css|dom\.js/.test(name)).map(({ transferSize }) => transferSize));
  assert.ok(cached.length >= 2 && cached.every((size) => size === 0), JSON.stringify(cached));
});

test("on a phone the overview is shorter than 3,000 px, with folded filters", async (t) => {
  const page = await open(t, "", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, prepare: fakeInsight });
  await page.locator(".reach").waitFor();
  await page.locator("canvas").nth(1).waitFor();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  assert.ok(height < 3000, `${height} px`);
  await expect(page.getByLabel("Channel", { exact: true })).toBeHidden();
  await page.getByText("Range and filters").click();
  await expect(page.getByLabel("Channel", { exact: true })).toBeVisible();
  await shot(page, "insight-phone");
});

test("a wide screen is used", async (t) => {
  const page = await open(t, "", { viewport: { width: 1920, height: 1080 }, prepare: fakeInsight });
  await page.locator(".reach").waitFor();
  const columns = await page.evaluate(() => new Set([...document.querySelectorAll(".panels > section")].map((panel) => Math.round(panel.getBoundingClientRect().left))).size);
  assert.ok(columns >= 3, `${columns} columns`);
  const { left, right } = await page.locator("main").evaluate((main) => main.getBoundingClientRect());
  assert.ok(right - left > 1800, `${right - left} px`);
  await shot(page, "insight-wide");
});

/** Saves a screenshot if SHOTS is set. */
async function shot(page, name) {
  if (!process.env.SHOTS) return;
  const folder = fileURLToPath(new URL("../out/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png`, fullPage: name !== "question-light" && name !== "question-dark" });
}
