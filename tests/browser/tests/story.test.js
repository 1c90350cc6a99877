// The page's sentences: pure functions of the API's responses, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { textOf } from "../../../functions/dashboard/page/content.js";
import { isDay, days, daysIn, duration, percent } from "../../../functions/dashboard/page/format.js";
import { daysToAsk } from "../../../functions/dashboard/page/live.js";
import { inOrder } from "../../../functions/dashboard/page/status.js";
import { headline, isFinal } from "../../../functions/dashboard/page/story.js";

const at = Date.UTC(2026, 10, 21, 12);
const event = (message_id, channel, status, seconds, more = {}) => ({ message_id, channel, status, status_key: `${channel}#${status}#${seconds}`, event_time: at + seconds * 1000, ...more });
const leg = (message_id, channel, state, seconds, reason) => ({ message_id, channel, state, state_time: at + seconds * 1000, ...(reason && { reason }) });
/** A response of the API. The outcome is one of the legs with further fields. */
const message = (journey, events, { answers = [], speaks = 0, sent, ...more } = {}) => ({
  message_id: journey[0]?.message_id ?? "m",
  journey,
  outcome: journey.length ? { ...journey[speaks], ...(sent !== undefined && { sent_time: at + sent * 1000 }), ...more } : null,
  events,
  linked: [],
  answers,
});

test("one sentence states the result of a message", () => {
  const cases = [
    [message([leg("m", "RCS", "sent", 0)], [event("m", "RCS", "sent", 0)]), "Sent over RCS; no delivery reported yet."],
    [message([leg("m", "RCS", "delivered", 5)], [event("m", "RCS", "delivered", 5)]), "Delivered over RCS; no reading reported yet."],
    [message([leg("m", "WHATSAPP", "read", 125)], [event("m", "WHATSAPP", "sent", 0), event("m", "WHATSAPP", "read", 125)], { sent: 0 }), "Read over WhatsApp, 2 min 5 s after it was sent."],
    [message([leg("m", "RCS", "failed", 5, "Operator rejected the message.")], [event("m", "RCS", "failed", 5)]), "Failed over RCS: Operator rejected the message."],
    [message([leg("m", "RCS", "blocked", 5)], [event("m", "RCS", "blocked", 5)]), "Blocked over RCS."],
    [
      message([leg("m", "RCS", "not_sent", 0, "no RCS"), leg("s", "SMS", "delivered", 9)], [event("m", "RCS", "not_sent", 0), event("s", "SMS", "delivered", 9)], { speaks: 1 }),
      "Delivered over SMS after RCS could not be sent: no RCS.",
    ],
    [
      message([leg("m", "RCS", "failed", 0, "off"), leg("s", "SMS", "failed", 9, "barred")], [event("m", "RCS", "failed", 0), event("s", "SMS", "failed", 9)], { speaks: 1 }),
      "Failed over SMS too, after RCS failed: off (SMS: barred).",
    ],
    [message([leg("m", "RCS", "delivered", 0), leg("s", "SMS", "sent", 9)], [event("m", "RCS", "delivered", 0)]), "Delivered over RCS; no reading reported yet; also sent over SMS."],
    [message([leg("m", "RCS", "queued", 0)], [event("m", "RCS", "queued", 0)]), "“queued” over RCS."],
    [message([leg("m", "RCS", "received", 0)], [event("m", "RCS", "received", 0, { content: { text: "Hello" } })], { incoming: true }), "Received over RCS: “Hello”."],
    [message([leg("m", "RCS", "read", 0)], [event("m", "RCS", "clicked", 0, { click: { text: "Yes" }, in_reply_to: "n" })], { clicked: true, incoming: true }), "Tapped over RCS: “Yes”."],
    [message([leg("m", "WHATSAPP", "read", 0)], [event("m", "WHATSAPP", "clicked", 0, { format: "whatsapp-incoming" })], { clicked: true, incoming: true }), "Tapped over WhatsApp."],
    [
      message([leg("m", "RCS", "read", 60)], [event("m", "RCS", "clicked", 60, { click: { text: "Visit Now" } })], { clicked: true }),
      "Read and clicked over RCS. Tapped: “Visit Now”.",
    ],
    [
      message([leg("m", "RCS", "delivered", 0)], [event("m", "RCS", "delivered", 0)], { answers: [event("a", "RCS", "received", 60, { content: { text: "Thanks" }, in_reply_to: "m" })] }),
      "Delivered over RCS; no reading reported yet. The person replied: “Thanks”.",
    ],
    [message([], []), "No status of this message is known yet."],
  ];
  for (const [given, expected] of cases) assert.equal(headline(given).text, expected);
});

test("a result is final if nothing can change it", () => {
  const now = at + 3_600_000;
  const aged = (state, channel, minutes, more = {}) => isFinal({ outcome: { channel, state, state_time: now - minutes * 60_000, ...more } }, now);
  assert.deepEqual(
    [aged("read", "RCS", 1), aged("delivered", "SMS", 1), aged("received", "RCS", 1, { incoming: true }), aged("failed", "RCS", 61), aged("sent", "RCS", 72 * 60 + 1)],
    [true, true, true, true, true],
  );
  assert.deepEqual([aged("sent", "RCS", 1), aged("delivered", "RCS", 1), aged("failed", "RCS", 59), isFinal({ outcome: null }, now)], [false, false, false, false]);
});

test("a reason of ten thousand characters is shortened in the sentence", () => {
  const { text } = headline(message([leg("m", "RCS", "failed", 0, "😀".repeat(5000))], [event("m", "RCS", "failed", 0)]));
  assert.ok(text.length < 250, String(text.length));
  assert.ok(text.isWellFormed?.() ?? true);
});

test("the text of a reply is found in every documented form", () => {
  assert.equal(textOf({ click: { text: "Yes", postbackData: "y" } }), "Yes");
  assert.equal(textOf({ click: { suggestionResponse: { text: "See it" } } }), "See it");
  assert.equal(textOf({ click: { button_type: { payload: "YES", text: "Yes, please" } } }), "Yes, please");
  assert.equal(textOf({ click: { text_type: { payload: "STOP", text: "Stop" } } }), "Stop");
  assert.equal(textOf({ click: { interactive_type: { type: "list_reply", list_reply: { id: "2", title: "Train" } } } }), "Train");
  assert.equal(textOf({ click: { url: "https://example.com/cta" } }), "https://example.com/cta");
  assert.equal(textOf({ content: { text_type: [{ text: "hello" }] } }), "hello");
  assert.equal(textOf({ content: { text: " Hell " } }), "Hell");
  assert.equal(textOf({ content: { userFile: { payload: { fileName: "a.pdf", mimeType: "application/pdf" } } } }), "File a.pdf (application/pdf)");
  assert.equal(textOf({ content: { location: { latitude: 46.2, longitude: 10.3 } } }), "Location 46.2, 10.3");
  assert.equal(textOf({ content: { latitude: -23.5, longitude: -46.6 } }), "Location -23.5, -46.6");
  assert.equal(textOf({ content: { text_type: { text: "hello" } } }), "hello");
  assert.equal(textOf({ content: { reaction_type: { emoji: "👍🏽" } } }), "👍🏽");
  assert.equal(textOf({ content: { title: "Spring", description: "Half price" } }), "Spring: Half price");
  for (const nothing of [{}, { click: {} }, { click: null }, { content: {} }, { content: [] }, { content: 5 }, { click: { text: 5 } }]) assert.equal(textOf(nothing), null, JSON.stringify(nothing));
});

test("days are calendar days in UTC", () => {
  assert.deepEqual(days("2026-02-27", "2026-03-02"), ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
  assert.equal(daysIn("2024-01-01", "2024-12-31"), 366);
  assert.ok(isDay("2024-02-29"));
  for (const bad of ["2026-02-29", "2026-2-1", "today", "", undefined, "2026-11-21T00"]) assert.ok(!isDay(bad), String(bad));
});

test("after midnight the previous day is still requested, but not at the start", () => {
  const midnight = Date.UTC(2026, 10, 22);
  assert.deepEqual(daysToAsk(midnight - 1, true), ["2026-11-21"]);
  assert.deepEqual(daysToAsk(midnight, true), ["2026-11-22", "2026-11-21"]);
  assert.deepEqual(daysToAsk(midnight + 10 * 60_000, true), ["2026-11-22"]);
  assert.deepEqual(daysToAsk(midnight, false), ["2026-11-22"]);
});

test("numbers and durations are formatted", () => {
  assert.equal(duration(0), "0 ms");
  assert.equal(duration(61_000), "1 min 1 s");
  assert.equal(duration(90_000_000), "1 d 1 h");
  assert.equal(percent(1, 0), "–");
  assert.deepEqual(inOrder(["zeta", "clicked", "sent", "alpha", "sent"]), ["sent", "clicked", "alpha", "zeta"]);
});
