// The list of a phone number shows exactly the journeys and states of the API.

import { test } from "node:test";
import { browser, expect } from "../lib/browser.js";
import { linked } from "../lib/cases.js";

const open = browser();

test("the messages of a number have the journeys and states of the API", async (t) => {
  const page = await open(t, `#/number/${linked.number}`);
  const entries = page.locator(".groups > li");
  await expect(entries).toHaveCount(2);
  // The first click proves a read. Regression: the page showed the last click.
  await expect(entries.nth(0).getByRole("link", { name: linked.clicked })).toBeVisible();
  await expect(entries.nth(0).locator(".event-head").first()).toContainText("Read");
  await expect(entries.nth(0).locator(".event-head time").first()).toHaveAttribute("datetime", new Date(linked.firstClick).toISOString());
  // Linked by callback data. Regression: the page linked only by request id and showed two messages.
  await expect(entries.nth(1)).toHaveText(/RCS\s*Not sent.*no RCS here.*then\s*SMS\s*Sent.*2 events/s, { useInnerText: true });

  await page.goto(page.url().replace(/#.*/, `#/message/${linked.clicked}`));
  await page.getByText("Read and clicked over RCS. Tapped: “Later”.").waitFor();
  await page.goto(page.url().replace(/#.*/, `#/message/${linked.rcs}`));
  await page.getByText("Sent over SMS after RCS could not be sent: no RCS here; no delivery reported yet.").waitFor();
});
