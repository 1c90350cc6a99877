// A person's list shows the journeys and states that the API tells, and no others.

import { test } from "node:test";
import { browser, expect } from "../lib/browser.js";
import { linked } from "../lib/cases.js";

const open = browser();

test("a person's messages are grouped and named as the API does", async (t) => {
  const page = await open(t, `#/number/${linked.number}`);
  const entries = page.locator(".groups > li");
  await expect(entries).toHaveCount(2);
  // A click proves a read, since the first one; the page once showed the last click.
  await expect(entries.nth(0).getByRole("link", { name: linked.clicked })).toBeVisible();
  await expect(entries.nth(0).locator(".event-head").first()).toContainText("Read");
  await expect(entries.nth(0).locator(".event-head time").first()).toHaveAttribute("datetime", new Date(linked.firstClick).toISOString());
  // Linked by the callback data; the page once linked by the request only, and showed two messages.
  await expect(entries.nth(1)).toHaveText(/RCS\s*Not sent.*no RCS here.*then\s*SMS\s*Sent.*2 events/s, { useInnerText: true });

  await page.goto(page.url().replace(/#.*/, `#/message/${linked.clicked}`));
  await page.getByText("Read and clicked over RCS. Tapped: “Later”.").waitFor();
  await page.goto(page.url().replace(/#.*/, `#/message/${linked.rcs}`));
  await page.getByText("Sent over SMS after RCS could not be sent: no RCS here; no delivery reported yet.").waitFor();
});
