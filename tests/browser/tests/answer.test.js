// Answers for customers and the dictionary of failure reasons: pure functions, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answerOf, explained } from "../../../functions/dashboard/page/answer.js";
import { mapOf, partsOf } from "../../../functions/dashboard/page/content.js";
import { size } from "../../../functions/dashboard/page/format.js";
import { MEANINGS, meaningOf } from "../../../functions/dashboard/page/reasons.js";
import { texts } from "../../../functions/dashboard/page/texts/all.js";
import * as en from "../../../functions/dashboard/page/texts/en.js";

// 14:05 in India, in the year of the test.
const at = Date.UTC(new Date().getFullYear(), 10, 24, 8, 35);
const leg = (channel, state, reason) => ({ message_id: `m-${channel}`, channel, state, state_time: at, ...(reason && { reason }) });
const answer = (journey, more = {}) => answerOf({ journey, outcome: { ...journey.at(-1), ...more } }, en, "Asia/Kolkata");

test("the answer for a customer is one plain sentence", () => {
  const off = "Number is RCS disabled or Bot is not launched with the number's provider";
  assert.equal(answer([leg("RCS", "not_sent", off), leg("SMS", "delivered")]), "Delivered as SMS on 24 November at 14:05, because the phone does not support RCS.");
  assert.equal(answer([leg("RCS", "failed", "E-4711"), leg("SMS", "delivered")]), "Delivered as SMS on 24 November at 14:05, because the message could not be delivered by RCS.");
  assert.equal(answer([leg("RCS", "delivered")]), "Delivered by RCS on 24 November at 14:05.");
  assert.equal(answer([leg("WHATSAPP", "read")]), "Read by WhatsApp on 24 November at 14:05.");
  assert.equal(answer([leg("RCS", "read")], { clicked: true }), "Read and tapped by RCS on 24 November at 14:05.");
  assert.equal(answer([leg("SMS", "sent")]), "Sent as SMS on 24 November at 14:05. No delivery is reported yet.");
  assert.equal(answer([leg("EMAIL", "bounced", "550 5.1.1 User unknown")]), "Not delivered by e-mail; last try on 24 November at 14:05, because the address does not exist.");
  assert.equal(answer([leg("RCS", "failed", off), leg("SMS", "failed", "Handset unreachable")]), "Not delivered by RCS or as SMS; last try on 24 November at 14:05, because the phone was not reachable.");
  assert.equal(answer([leg("RCS", "received")], { incoming: true }), "Received from the person by RCS on 24 November at 14:05.");
  assert.equal(answer([leg("TELEGRAM", "queued")]), "The last status by TELEGRAM is “queued”, on 24 November at 14:05.");
  assert.equal(answerOf({ journey: [], outcome: null }, en), "No status of this message is known yet.");
});

test("an answer of an earlier year names the year", () => {
  const old = { message_id: "m", channel: "SMS", state: "delivered", state_time: Date.UTC(2019, 0, 5, 12) };
  assert.equal(answerOf({ journey: [old], outcome: old }, en, "UTC"), "Delivered as SMS on 5 January 2019 at 12:00.");
});

test("every meaning has its sentences in every language", () => {
  assert.deepEqual(Object.keys(en.reasons).sort(), [...new Set(MEANINGS)].sort());
  for (const [name, { because, means, next }] of Object.entries(en.reasons)) {
    assert.match(because, /^[^A-Z].*[^.]$|^WhatsApp.*[^.]$/, name);
    assert.match(means, /^[A-Z].*\.$/, name);
    assert.match(next, /^[A-Z].*\.$/, name);
  }
  assert.equal(texts(["xx", "en-IN"]).language, "en");
  assert.equal(texts([]).language, "en");
});

test("the words of each provider have their meaning", () => {
  for (const [words, meaning] of [
    ["Number is RCS disabled or Bot is not launched with the number's provider", "no_rcs"],
    ["User disabled RCS", "no_rcs"],
    ["Capability check failed", "no_rcs"],
    ["Request failed with status code 403: Device does not support RCS.", "no_rcs"],
    ["Request failed with status code 401: Failed to fetch the authentication token.", "provider_fault"],
    ["Handset memory is full", "phone_full"],
    ["TM-Chain registration is incomplete", "dlt"],
    ["Request failed with status code 404", "no_rcs"],
    ["Request failed with status code 503", "provider_fault"],
    ["Operator rejected the message", "operator"],
    ["Handset unreachable", "unreachable"],
    ["Limite de créditos do cliente atingido", "no_credit"],
    ["bloqueado por duplicidade", "duplicate"],
    ["Number of API requests allowed per second exceeded. Please retry", "too_fast"],
    ["131026 Message undeliverable", "whatsapp_undeliverable"],
    ["131047 Re-engagement message", "whatsapp_window"],
    ["131049 This message was not delivered to maintain healthy ecosystem engagement.", "whatsapp_marketing_limit"],
    ["131050 User has stopped marketing messages", "opted_out"],
    ["132001 Template does not exist", "template"],
    ["131056 Pair rate limit hit", "too_fast"],
    ["131051 Message type unknown", "content_unsupported"],
    ["smtp;550 5.1.1 user unknown", "no_mailbox"],
    ["452 4.2.2 Mailbox full", "mailbox_full"],
    ["550 5.7.1 Message refused", "mail_refused"],
    ["Email dropped: User suppressed due to unsubscription", "opted_out"],
    ["Invalid email id", "no_mailbox"],
    ["E-4711", null],
    ["order 131026 is late", null],
    ["", null],
    [undefined, null],
  ]) assert.equal(meaningOf(words), meaning, words);
  // Bounded work for ten thousand characters.
  assert.equal(meaningOf(`${"x".repeat(10_000)} RCS is disabled`), null);
});

test("a meaning is explained once", () => {
  const found = explained({ journey: [leg("RCS", "failed", "RCS is disabled"), leg("RCS", "not_sent", "no RCS"), leg("SMS", "delivered", "no RCS")] }, en);
  assert.deepEqual(found.map(({ channel, reason }) => [channel, reason]), [["RCS", "RCS is disabled"]]);
});

test("the parts of a message are found in the forms of the gateways", () => {
  assert.deepEqual(partsOf({ content: { userFile: { payload: { fileName: "a.pdf", mimeType: "application/pdf", fileSizeBytes: 28_096, fileUri: "https://x.example/a" } } } }), [{ kind: "file", name: "a.pdf", type: "application/pdf", bytes: 28_096 }]);
  assert.deepEqual(partsOf({ content: { document_type: { filename: "report.pdf", mime_type: "application/pdf" } } }), [{ kind: "file", name: "report.pdf", type: "application/pdf", bytes: null }]);
  assert.deepEqual(partsOf({ content: { location_type: { latitude: "28.64", longitude: "77.18", name: "Place", address: "Street 1" } } }), [{ kind: "place", latitude: "28.64", longitude: "77.18", name: "Place, Street 1" }]);
  assert.deepEqual(partsOf({ content: { contentType: "richCard", message: { title: "Offer", description: "20 %", suggestions: [{ type: "openUrl", title: "See", value: "https://x.example" }, { type: "reply", text: "Stop" }] } } }), [
    { kind: "text", text: "Offer: 20 %" },
    { kind: "buttons", labels: ["See", "Stop"] },
  ]);
  const carousel = { message: { text: "Look", items: [{ title: "A", fileUrl: "https://x.example/a.jpg", suggestions: [{ title: "Want A" }] }] } };
  assert.deepEqual(partsOf({ content: carousel }).map((part) => part.text ?? part.labels ?? part.name), ["Look", "A", "https://x.example/a.jpg", ["Want A"]]);
  // Nesting and lists without end.
  let deep = { text: "end" };
  for (let level = 0; level < 1000; level += 1) deep = { message: deep };
  assert.deepEqual(partsOf({ content: deep }), []);
  assert.ok(partsOf({ content: { items: Array.from({ length: 1000 }, () => ({ title: "x" })) } }).length <= 12);
});

test("a place has a map only with degrees of this earth", () => {
  assert.equal(mapOf({ latitude: 46.2760738253062, longitude: "10.31" }), "https://www.openstreetmap.org/?mlat=46.276074&mlon=10.310000");
  for (const [latitude, longitude] of [["***", "***"], [91, 0], [0, 181], ["1&x=javascript:", 2], [null, 0], ["", ""], [{}, []]]) assert.equal(mapOf({ latitude, longitude }), null, JSON.stringify([latitude, longitude]));
});

test("sizes of files are readable", () => {
  assert.deepEqual([1, 999, 28_096, 822_303, 3_000_000].map(size), ["1 byte", "999 bytes", "28.1 KB", "822 KB", "3 MB"]);
});
