// Usability: accessibility, keyboard, phone, dark mode, size and speed.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { browser, expect, expectFocus, figuresShown, unfold, visit } from "../lib/browser.js";
import { evil, journey, many } from "../lib/cases.js";

const open = browser();
const MAX_BYTES = 300 * 1024;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const VIEWS = [
  ["overview", "", async (page) => {
    await figuresShown(page);
    await page.locator("canvas").waitFor();
    await unfold(page);
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
  ["search", "#/message", (page) => page.getByRole("heading", { name: "Find a message" }).waitFor()],
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

async function judge(page) {
  const { violations, passes } = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), RULES);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(" | ")}`), []);
  return passes.length;
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds no violation in any view, ${colorScheme}`, async (t) => {
    let rules = 0;
    const page = await open(t, "", { colorScheme, reducedMotion: "reduce" });
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
  await page.locator("canvas").waitFor();
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

test("no view scrolls horizontally on a phone of 360 px", async (t) => {
  const page = await open(t, "", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  for (const [name, hash, ready] of VIEWS) {
    await visit(page, hash);
    await ready(page);
    const wide = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, window: document.documentElement.clientWidth }));
    assert.ok(wide.page <= wide.window && wide.window === 360, `${name}: ${JSON.stringify(wide)}`);
    await shot(page, `${name}-phone`);
  }
});

test("every control is reachable by keyboard, with visible focus and no trap", async (t) => {
  const page = await open(t);
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
      const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter((element) => element.checkVisibility() && !element.disabled);
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

test("the size of the page stays below the limit", async (t) => {
  const sizes = [];
  const page = await open(t, "", {
    prepare: async (fresh) => {
      fresh.on("requestfinished", (request) => sizes.push(request.sizes().then(async (size) => ({ url: request.url(), bytes: size.responseBodySize, encoding: (await request.response())?.headers()["content-encoding"] ?? "none" }))));
      await fresh.addInitScript(() => {
        new MutationObserver((_, observer) => {
          if (!document.querySelector(".card")) return;
          observer.disconnect();
          requestAnimationFrame(() => { window.firstView = performance.now(); });
        }).observe(document, { childList: true, subtree: true });
      });
    },
  });
  await figuresShown(page);
  await page.locator("canvas").waitFor();
  await page.waitForLoadState("networkidle");
  const files = (await Promise.all(sizes)).filter(({ url }) => !url.includes("/api/"));
  const sum = files.reduce((all, { bytes }) => all + bytes, 0);
  t.diagnostic(`first view usable after ${Math.round(await page.evaluate(() => window.firstView))} ms`);
  t.diagnostic(`${files.length} files, ${(sum / 1024).toFixed(1)} KiB as transferred`);
  assert.ok(files.some(({ url }) => url.includes("chart.umd")), "the chart's library is counted");
  assert.ok(sum < MAX_BYTES, `${sum} bytes; ${files.map(({ url, bytes, encoding }) => `${new URL(url).pathname} ${bytes} ${encoding}`).join(", ")}`);
});

/** Saves a screenshot if SHOTS is set. */
async function shot(page, name) {
  if (!process.env.SHOTS) return;
  const folder = fileURLToPath(new URL("../out/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png`, fullPage: name !== "question-light" && name !== "question-dark" });
}
