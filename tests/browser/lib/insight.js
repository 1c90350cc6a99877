// An overview with every field of the API, with literal figures, for tests of the panels.

const DAY = 86_400_000;
const dayBefore = (day, days) => new Date(Date.parse(`${day}T00:00:00Z`) - days * DAY).toISOString().slice(0, 10);
const today = () => new Date().toISOString().slice(0, 10);

const row = (name, sent, reached, read, clicked, failed) => ({ name, sent, reached, read, clicked, failed });

const funnel = (channel, sent, delivered, read, clicked, failed, not_sent, blocked) => ({ channel, sent, delivered, read, clicked, failed, not_sent, blocked });

const common = {
  updated_at: Date.now() - 20_000,
  billing: [{ category: "marketing", billable: true, count: 2400, messages: 1200 }],
  failures: [
    { channel: "RCS", reason: "Number is RCS disabled or Bot is not launched with the number's provider", count: 310 },
    { channel: "SMS", reason: "Operator rejected the message", count: 25 },
  ],
  message_types: [{ channel: "RCS", message_type: "template", count: 4100 }],
  bots: ["732", "733"],
  channels: ["RCS", "SMS", "WHATSAPP"],
  folded: [],
};

/** The response for a range, by default 30 days, in a time zone: its counts are those of the 30 days up to the last day. */
export const insight = (tz = "Asia/Kolkata", { to = today(), from = dayBefore(to, 29) } = {}) => ({
  ...common,
  from,
  to,
  tz,
  counts: Array.from({ length: 30 }, (_, index) => [
    { day: dayBefore(to, 29 - index), channel: "RCS", status: "sent", count: 40 + (index % 7) * 5 },
    { day: dayBefore(to, 29 - index), channel: "RCS", status: "delivered", count: 36 + (index % 7) * 4 },
    { day: dayBefore(to, 29 - index), channel: "RCS", status: "failed", count: 1 + (index % 3) },
  ]).flat(),
  hours: [],
  funnel: [funnel("RCS", 1600, 1280, 640, 96, 240, 70, 0), funnel("SMS", 310, 270, 0, 12, 25, 0, 0), funnel("WHATSAPP", 90, 88, 60, 9, 2, 0, 0)],
  fallback: { attempts: 1670, fell_back: 310, delivered: 270, failed: 25, clicked: 12 },
  reached: { messages: 1700, reached: 1615, failed: 51, by_channel: { RCS: 1270, SMS: 260, WHATSAPP: 85 } },
  latency: [
    { from: "sent", to: "delivered", channel: "RCS", count: 1280, p50_ms: 1800, p90_ms: 9000, p99_ms: 125_000 },
    { from: "delivered", to: "read", channel: "RCS", count: 640, p50_ms: 480_000, p90_ms: 14_400_000, p99_ms: 90_000_000 },
    { from: "failed", to: "fallback", channel: "SMS", count: 310, p50_ms: 4200, p90_ms: 30_000, p99_ms: 61_000 },
  ],
  campaigns: [row("diwali-2026", 900, 870, 400, 60, 20), row("loyalty", 500, 460, 210, 30, 25), row("<img src=x onerror=window.pwned=9>", 300, 285, 90, 6, 6)],
  templates: [row("offer_1", 800, 780, 350, 50, 15), row("receipt", 400, 395, 200, 10, 2)],
  tags: [row("vip", 300, 297, 200, 40, 1), row("win-back", 700, 600, 150, 12, 70)],
  bots_table: [row("732", 1200, 1150, 500, 80, 30), row("733", 500, 465, 200, 16, 21)],
  countries: [row("IN", 1500, 1430, 650, 90, 45), row("AE", 200, 185, 50, 6, 6)],
  heat: [{ weekday: 1, hour: 9, status: "read", count: 40 }, { weekday: 1, hour: 10, status: "read", count: 20 }, { weekday: 7, hour: 21, status: "read", count: 80 }, { weekday: 5, hour: 18, status: "clicked", count: 12 }],
  spend: {
    currency: "INR", spent: 412.5, per_reached: 0.2554, forecast: 530, unpriced: 90,
    unpriced_rows: [{ country: "AE", channel: "SMS", category: "", messages: 60 }, { country: "-", channel: "WHATSAPP", category: "<b>utility", messages: 30 }],
    rows: [
      { country: "IN", channel: "RCS", category: "marketing", messages: 1400, price: 0.25, amount: 350 },
      { country: "IN", channel: "SMS", category: "", messages: 250, price: 0.25, amount: 62.5 },
    ],
  },
  previous: {
    ...common,
    from: dayBefore(to, 59),
    to: dayBefore(to, 30),
    counts: [{ day: dayBefore(to, 30), channel: "RCS", status: "sent", count: 1600 }],
    funnel: [funnel("RCS", 800, 700, 320, 40, 80, 20, 0)],
    fallback: { attempts: 820, fell_back: 100, delivered: 80, failed: 10, clicked: 2 },
    reached: { messages: 1000, reached: 900, failed: 60, by_channel: { RCS: 800, SMS: 100 } },
    latency: [{ from: "sent", to: "delivered", channel: "RCS", count: 700, p50_ms: 2000, p90_ms: 9000, p99_ms: 100_000 }],
    campaigns: [row("diwali-2026", 450, 400, 100, 10, 30)],
    templates: [], tags: [row("vip", 200, 180, 90, 10, 10)], bots_table: [], countries: [],
  },
});

/** Answers the overview's requests with `insight`, and notes their parameters. */
export async function fakeInsight(page) {
  const asked = [];
  await page.route("**/api/summary?*", async (route) => {
    const parameters = Object.fromEntries(new URL(route.request().url()).searchParams);
    asked.push(parameters);
    await route.fulfill({ json: insight(parameters.tz, parameters) });
  });
  return asked;
}
