// Known messages for the tests. Their times depend on CASES_NOW, which all test processes inherit
// from the first, so that all use the same times.

process.env.CASES_NOW ??= String(Date.now());
const now = Number(process.env.CASES_NOW);

const DAY = 86_400_000;
/** Noon UTC, the given number of days ago: no test depends on the hour of its run. */
const noon = (daysAgo) => now - (now % DAY) - daysAgo * DAY + DAY / 2;
export const dayOf = (daysAgo) => new Date(noon(daysAgo)).toISOString().slice(0, 10);
export const today = () => new Date().toISOString().slice(0, 10);

const netcore = (fields, at) => ({
  type: "Template", tags: ["12"], remarks: "", last_channel: "", channel: "RCS", click_data: {}, callbackdata: "", ...fields, event_time: Math.floor(at / 1000),
});

/** RCS failed, the SMS was delivered, and the person replied. */
export const journey = {
  number: "919000000101",
  rcs: "api-337-919000000101-0f0e0d0c-1",
  sms: "sms-337-919000000101-0f0e0d0c-2",
  answer: "MxJourneyAnswer01",
  reason: "Number is RCS disabled or Bot is not launched with the number's provider",
};
const leg = { mobile: journey.number, requestid: "req-journey-1", callbackdata: "order 1021", nc_bot_id: "journey-bot" };
journey.bodies = [
  ["event-webhook", [netcore({ ...leg, message_id: journey.rcs, status: "Failed", remarks: journey.reason }, noon(1))]],
  [
    "fallback-sms",
    [
      netcore({ ...leg, message_id: journey.sms, status: "Delivered", channel: "SMS", last_channel: "RCS" }, noon(1) + 9000),
      netcore({ ...leg, message_id: journey.sms, status: "Sent", channel: "SMS", last_channel: "RCS" }, noon(1) + 4000),
    ],
  ],
  [
    "incoming-webhook",
    [
      {
        message_id: journey.answer,
        from: "fG2uBk2yZaj3TkwN",
        received_at: noon(1) + 3_600_000,
        message_type: "click",
        message_details: {
          suggestionResponse: { metadata: JSON.stringify({ msgId: journey.sms, suggestionType: "reply" }), postbackData: "yes", text: "Yes, please deliver", type: "REPLY" },
        },
        to: `+${journey.number}`,
      },
    ],
  ],
];

/** A message that was read and clicked. */
export const read = { number: "919000000102", id: "api-337-919000000102-aa-1" };
read.bodies = [
  [
    "event-webhook",
    ["Sent", "Delivered", "Read", "Clicked"].map((status, index) =>
      netcore(
        {
          message_id: read.id, mobile: read.number, requestid: "req-read", status,
          click_data: status === "Clicked" ? { text: "Visit Now", type: "ACTION", suggestionType: "url_action", postbackData: "https://shop.example.com/" } : {},
        },
        noon(1) + index * 60_000,
      ),
    ),
  ],
];

/** A fallback that only its callback data links, and a message with clicks but without a read. */
export const linked = { number: "919000000107", rcs: "linked-rcs", sms: "linked-sms", clicked: "linked-clicked", firstClick: noon(1) + 120_000 };
linked.bodies = [
  [
    "event-webhook",
    [
      netcore({ message_id: linked.rcs, mobile: linked.number, callbackdata: "order 7", status: "Not Sent", remarks: "no RCS here" }, noon(1)),
      netcore({ message_id: linked.sms, mobile: linked.number, callbackdata: "order 7", status: "Sent", channel: "SMS" }, noon(1) + 1000),
      netcore({ message_id: linked.clicked, mobile: linked.number, status: "Clicked", click_data: { text: "Later" } }, noon(1) + 180_000),
      netcore({ message_id: linked.clicked, mobile: linked.number, status: "Clicked", click_data: { text: "First" } }, linked.firstClick),
    ],
  ],
];

/** A location, as Netcore documents it. */
export const place = { number: "919000000109" };
place.bodies = [["incoming-webhook", [{ message_id: "MxPlace", from: "fG2uBk2yZaj3TkwN", received_at: noon(1), message_type: "location", message_details: { location: { latitude: 46.2760738253062, longitude: 10.312510281801224 } }, to: `+${place.number}` }]]];

/** An id that looks like a phone number, and a phone number that looks like an id. */
export const digits = { id: "20261121-0000-77", number: "919000000103" };
digits.bodies = [["event-webhook", [netcore({ message_id: digits.id, mobile: digits.number, requestid: "req-digits", status: "Sent" }, noon(1))]]];

/** More events than a page of a number's list contains. */
export const many = { number: "919000000104", count: 70 };
many.bodies = [
  [
    "event-webhook",
    Array.from({ length: many.count }, (_, index) =>
      netcore({ message_id: `many-${String(index).padStart(3, "0")}`, mobile: many.number, requestid: `req-many-${index}`, status: "Sent" }, noon(2) + index * 1000),
    ),
  ],
];

/** Messages of a separate bot with known sums. */
export const figures = { bot: "figures-bot", tag: "figures-tag", from: dayOf(3), to: dayOf(2) };
{
  const records = [];
  const add = (index, status, channel, daysAgo, more = {}) =>
    records.push(
      netcore(
        { message_id: `fig-${channel}-${index}`, mobile: `9190000002${String(index).padStart(2, "0")}`, requestid: `req-fig-${index}`, callbackdata: `fig ${index}`, nc_bot_id: figures.bot, tags: [figures.tag], status, channel, last_channel: channel === "SMS" ? "RCS" : "", ...more },
        noon(daysAgo) + index * 1000,
      ),
    );
  for (let index = 0; index < 20; index += 1) add(index, "Sent", "RCS", index % 2 ? 3 : 2);
  for (let index = 0; index < 17; index += 1) add(index, "Delivered", "RCS", index % 2 ? 3 : 2);
  for (let index = 0; index < 9; index += 1) add(index, "Read", "RCS", 2);
  for (let index = 0; index < 4; index += 1) add(index, "Clicked", "RCS", 2, { click_data: { text: "Visit", type: "ACTION" } });
  for (let index = 20; index < 23; index += 1) add(index, "Failed", "RCS", 3, { remarks: "Figures: device is off" });
  for (let index = 23; index < 25; index += 1) add(index, "Not sent", "RCS", 3, { remarks: "Figures: no RCS" });
  for (let index = 20; index < 25; index += 1) add(index, "Sent", "SMS", 3);
  for (let index = 20; index < 24; index += 1) add(index, "Delivered", "SMS", 3);
  add(24, "Failed", "SMS", 3, { remarks: "Figures: operator" });
  figures.bodies = [["event-webhook", records.filter(({ channel }) => channel === "RCS")], ["fallback-sms", records.filter(({ channel }) => channel === "SMS")]];
  figures.records = records;
}

/** More statuses and channels of one bot than are listed separately. The first status is the most frequent. */
export const words = { bot: "words-bot", statuses: 14, channels: 6 };
words.records = Array.from({ length: words.statuses }, (_, index) =>
  Array.from({ length: words.statuses - index }, (_, turn) =>
    netcore({ message_id: `words-${index}-${turn}`, mobile: "919000000106", requestid: `req-words-${index}`, nc_bot_id: words.bot, tags: [], status: `Word ${String(index).padStart(2, "0")}` }, noon(2) + turn * 1000),
  ),
).flat();
words.bodies = [
  ["event-webhook", words.records],
  ["event-webhook", Array.from({ length: words.channels }, (_, index) => netcore({ message_id: `channel-${index}`, mobile: "919000000106", requestid: "req-channel", nc_bot_id: words.bot, tags: [], status: "Sent", channel: `CH${index}` }, noon(2)))],
];

/** Messages with a price, in a separate category. */
export const billed = { category: "figures_marketing" };
billed.bodies = [
  [
    "delivery-status",
    {
      delivery_status: ["sent", "delivered", "read"].map((status, index) => ({
        ncmessage_id: `billed-${index}`, phoneNumber: "912249000000", recipient: `91900000030${index}`, received_at: String(Math.floor(noon(2) / 1000) + index),
        status, status_remark: "", source: "", "x-apiheader": "", pricing: { billable: index !== 2, category: billed.category, pricing_model: "PMP", type: "regular" },
      })),
    },
  ],
];

/** Hostile text: attempts to inject HTML, scripts, links and styles. */
const IMAGE = `<img src=x onerror="window.pwned=1">`;
const SCRIPT = `"><script>window.pwned=2</script>`;
const LINK = "javascript:window.pwned=3";
const REVERSED = "safe\u202egnp.exe\u202c";
const STYLE = `</style><style>body{display:none}</style>`;
export const evil = {
  number: "919000000105",
  id: `evil-${SCRIPT}-1`,
  pieces: [IMAGE, SCRIPT, LINK, STYLE],
  image: IMAGE,
  script: SCRIPT,
  long: "W".repeat(10_240),
  bot: `bot ${IMAGE}`,
  answer: `answer ${IMAGE}${SCRIPT}`,
};
const hostile = [IMAGE, SCRIPT, LINK, REVERSED, STYLE, "${7*7}{{7*7}}"].join(" ");
evil.bodies = [
  [
    "event-webhook",
    [
      netcore(
        {
          message_id: evil.id, mobile: evil.number, status: "Failed", remarks: `${hostile} ${evil.long}`, type: hostile, tags: [hostile, IMAGE], requestid: `req ${hostile}`,
          callbackdata: hostile, last_channel: hostile, nc_bot_id: evil.bot, [IMAGE]: hostile, nested: { [SCRIPT]: [hostile, { deep: IMAGE }] },
        },
        noon(1),
      ),
      netcore({ message_id: evil.id, mobile: evil.number, status: "Clicked", requestid: `req ${hostile}`, nc_bot_id: evil.bot, click_data: { text: hostile, postbackData: LINK, type: IMAGE } }, noon(1) + 60_000),
      netcore({ message_id: `evil-status-${IMAGE}`, mobile: evil.number, status: IMAGE, requestid: "req-evil-2" }, noon(1) + 120_000),
      netcore({ message_id: `evil-channel-${REVERSED}`, mobile: evil.number, status: "Sent", channel: SCRIPT, requestid: "req-evil-3" }, noon(1) + 180_000),
    ],
  ],
  [
    "incoming-webhook",
    [
      {
        message_id: "MxEvilAnswer", from: IMAGE, from_name: SCRIPT, received_at: noon(1) + 240_000, message_type: hostile, to: `+${evil.number}`,
        message_details: { suggestionResponse: { metadata: JSON.stringify({ msgId: evil.id }), postbackData: LINK, text: evil.answer, type: "REPLY" } },
      },
      { message_id: "MxEvilText", from: IMAGE, received_at: noon(1) + 300_000, message_type: "text", to: `+${evil.number}`, message_details: { text: `${hostile}\n${evil.long}` } },
      {
        message_id: "MxEvilFile", from: IMAGE, received_at: noon(1) + 360_000, message_type: "image", to: `+${evil.number}`,
        message_details: { userFile: { payload: { fileName: IMAGE, fileUri: LINK, mimeType: SCRIPT, fileSizeBytes: 1 } } },
      },
    ],
  ],
  [
    "rcs-callback",
    {
      reference: `evil-gateway-${SCRIPT}`, campaign_name: hostile, event_id: IMAGE, direction: "outbound", session_id: SCRIPT, user_id: evil.number,
      timestamp: new Date(noon(1) + 420_000).toISOString(), channel: "RCS", type: "richCard", message: { title: IMAGE, description: hostile, suggestions: [{ type: "openUrl", text: SCRIPT, url: LINK }] }, vars: { [IMAGE]: SCRIPT },
    },
  ],
];

/** Bodies that become dead deadLetters, each with a different request id. */
export const deadLetters = {
  shown: "dead-letter-to-be-shown",
  redriven: "dead-letter-to-be-redriven",
  discarded: "dead-letter-to-be-discarded",
  taken: "dead-letter-to-be-taken",
  evil: IMAGE,
  number: "919000000106",
};
deadLetters.bodies = [deadLetters.shown, deadLetters.redriven, deadLetters.discarded, deadLetters.taken, deadLetters.evil].map((word) => [
  "event-webhook",
  JSON.stringify([{ mobile: deadLetters.number, status: "Sent", channel: "RCS", requestid: word }]),
]);

export const all = [journey, read, linked, place, digits, many, figures, words, billed, evil, deadLetters].flatMap(({ bodies }) => bodies);
