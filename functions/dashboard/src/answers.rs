//! Types of the API's responses. `/openapi.json` is generated from them. [`crate::redaction`] defines the
//! visibility of each field for viewers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::roles::{AccessRole, Permissions};

/// One event: every stored attribute under its name. `message_id`, `status_key`, `status`, `channel`,
/// `event_time`, `received_at` (both epoch milliseconds), `provider` and `format` are always present.
/// A viewer gets no `status_key`, `day_shard`, `as_sent` and `verbatim`; unlisted values are `***`;
/// `token` and `in_reply_to_token` can be used instead of message ids.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Event(pub(crate) Map<String, Value>);

/// A message, its current state and its delivery path.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
pub(crate) struct Message {
    pub(crate) message_id: String,
    /// Can be used instead of the id. Only for roles that see no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    pub(crate) recipient: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) channel: Option<String>,
    /// Computed from the events: `sent`, `delivered`, `read` (also after a click, or an open of an e-mail by a
    /// person), `received`, a failure (`not_sent`, `blocked`, `dropped`, `invalid`, `expired`, `revoked`, `failed`,
    /// `bounced`), or the provider's word.
    pub(crate) state: Option<String>,
    /// Epoch milliseconds.
    pub(crate) state_time: Option<i64>,
    /// Sorted by time and rank.
    pub(crate) events: Vec<Event>,
    /// This message and the messages that continued it on other channels, sorted by their first event.
    pub(crate) journey: Vec<JourneyLeg>,
    /// The result of the journey; null if no event of this message has a status.
    pub(crate) outcome: Option<Outcome>,
    /// Events of the other messages of the journey.
    pub(crate) linked: Vec<Event>,
    /// Incoming events that answer a message of the journey.
    pub(crate) answers: Vec<Event>,
    /// Whether the response is incomplete, because it would be too large. Use `cursor` to get the rest of
    /// `events`; events of other messages are in the responses for those messages.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Cursor for the rest of `events`, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

/// One message on one channel.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JourneyLeg {
    pub(crate) message_id: String,
    /// See [`Message::token`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    pub(crate) channel: String,
    pub(crate) state: String,
    /// Epoch milliseconds.
    pub(crate) state_time: i64,
    /// Why the message did not arrive on this channel, as the provider reports it; at most 300 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The leg that decides the result of a journey: if a leg was delivered, the one with the furthest status;
/// otherwise the last one that was tried.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    pub(crate) message_id: String,
    /// See [`Message::token`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    pub(crate) channel: String,
    pub(crate) state: String,
    /// Epoch milliseconds.
    pub(crate) state_time: i64,
    /// Time at which the message was sent on this channel, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent_time: Option<i64>,
    /// Whether the person clicked in the message.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) clicked: bool,
    /// Whether the message came from the person.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) incoming: bool,
}

/// A page of a person's events, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonEvents {
    /// The ids of the person, the requested one first: those that events link to it, at most 16. Links exist some
    /// seconds after their event.
    pub(crate) ids: Vec<String>,
    /// Can have fewer events than `limit`, or none, although there is a cursor.
    pub(crate) events: Vec<Event>,
    /// Cursor for the next page; null on the last page.
    pub(crate) cursor: Option<String>,
    /// The journeys of the events, newest first. They are computed from the events of this page and up to
    /// 200 events before and after it within 72 hours, so that a journey on two pages is the same on both.
    pub(crate) journeys: Vec<PersonJourney>,
}

/// Messages that belong together, and the replies to them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonJourney {
    /// Sorted by their first event; at most 100.
    pub(crate) journey: Vec<JourneyLeg>,
    pub(crate) outcome: Outcome,
    /// Positions in `events` of the messages' events and of the replies, ascending.
    pub(crate) events: Vec<usize>,
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
pub(crate) struct Events {
    /// Can have fewer events than `limit`, or none, although there is a cursor.
    pub(crate) events: Vec<Event>,
    /// Cursor for the next page; null on the last page, and always null for roles that see no numbers.
    pub(crate) cursor: Option<String>,
    /// The time up to which the range is read, in the order of the list, epoch milliseconds. Null if all of it is. A
    /// page can end before it is full, because reading is limited.
    pub(crate) searched_to: Option<i64>,
    /// Hours of the range that were not read for this page, because the counters know no matching event in them. Use `exhaustive=true` to read them: counters can lack events.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub(crate) skipped_hours: u32,
    /// Whether there are more events. Only for roles that get no cursor.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
}

/// Counts of events by day and hour of the event time, and of messages by the time of their first event.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// First day of the zone, `YYYY-MM-DD`.
    pub(crate) from: String,
    /// Last day.
    pub(crate) to: String,
    /// The time zone of days and hours, an IANA name.
    pub(crate) tz: String,
    /// Time of the last update of the counters, epoch milliseconds.
    pub(crate) updated_at: Option<i64>,
    /// Whether the latest counts are missing, because they were not merged for long.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) lacks_latest_counts: bool,
    pub(crate) counts: Vec<DayCount>,
    /// How many messages arrived, on any channel.
    pub(crate) reached: Reached,
    /// How long messages took.
    pub(crate) latency: Vec<LatencyRow>,
    /// Empty for ranges over 31 days, and with `hours=false`.
    pub(crate) hours: Vec<HourCount>,
    /// Reads (with opens by persons) and clicks by weekday and hour. Empty for UTC ranges over 31 days.
    pub(crate) heat: Vec<HeatCell>,
    /// What the messages cost. Only if the dashboard has a rate card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spend: Option<Spend>,
    pub(crate) billing: Vec<BillingCount>,
    /// Messages that did not arrive (`failed`, `not_sent`, `blocked`, `bounced`, `dropped`, `invalid`, `expired`,
    /// `revoked`) by reason, most frequent first.
    pub(crate) failures: Vec<FailureCount>,
    pub(crate) message_types: Vec<TypeCount>,
    pub(crate) funnel: Vec<Funnel>,
    pub(crate) fallback: Fallback,
    /// Values for `bot` in this range; if there are very many, those of the latest days.
    pub(crate) bots: Vec<String>,
    /// Messages by tag. This table and the following ones show all messages of the range, whatever the filters; at most
    /// 500 rows, most messages first. A name without messages has an empty row, if it has other events.
    pub(crate) tags: Vec<LeagueRow>,
    /// Messages by bot.
    pub(crate) bots_table: Vec<LeagueRow>,
    /// Messages by campaign.
    pub(crate) campaigns: Vec<LeagueRow>,
    /// Messages by template: those in which a tap named the template.
    pub(crate) templates: Vec<LeagueRow>,
    /// Messages by country, ISO 3166-1 alpha-2.
    pub(crate) countries: Vec<LeagueRow>,
    /// Values for `channel` in this range.
    pub(crate) channels: Vec<String>,
    /// Whether the response was shortened, because it would be too large: rare channels and statuses are
    /// summed up as `OTHER` and `other`, and lists of names contain the first or most frequent 500.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Kinds of names with more names on a day than are counted separately. The other names are counted as
    /// `other` (channels as `OTHER`); other combinations of a bot and a tag have no counts.
    pub(crate) folded: Vec<Folded>,
    /// The same for the equally long range before, without `hours`, `heat` and `previous`. Only with `compare=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Box<Summary>>,
}

/// Messages, each once, whatever channels it took: an RCS message and its fallback SMS are one. With a filter on
/// the channel, the messages on this channel. `messages` − `reached` − `failed` have no result yet.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
pub(crate) struct Reached {
    pub(crate) messages: u64,
    /// Delivered, read or clicked.
    pub(crate) reached: u64,
    pub(crate) read: u64,
    pub(crate) clicked: u64,
    /// Did not arrive on any channel.
    pub(crate) failed: u64,
    /// `reached` by the channel on which the message got furthest.
    pub(crate) by_channel: BTreeMap<String, u64>,
}

/// The time between two events of a message, by the time of the later one. Percentiles are computed from a histogram
/// with four buckets for each doubling of the time.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LatencyRow {
    /// `sent`, `delivered` or `failed`.
    pub(crate) from: String,
    /// `delivered`, `read` or `fallback` (the message on the next channel was sent).
    pub(crate) to: String,
    /// The channel of the later event.
    pub(crate) channel: String,
    /// Number of messages.
    pub(crate) count: u64,
    pub(crate) p50_ms: u64,
    pub(crate) p90_ms: u64,
    pub(crate) p99_ms: u64,
}

/// Messages of a tag, a bot, a campaign, a template or a country. Each message counts once.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct LeagueRow {
    pub(crate) name: String,
    /// All messages, also those that were not sent.
    pub(crate) sent: u64,
    pub(crate) reached: u64,
    pub(crate) read: u64,
    pub(crate) clicked: u64,
    /// Did not arrive on any channel.
    pub(crate) failed: u64,
}

/// Events of an hour of the week.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HeatCell {
    /// 1 (Monday) to 7.
    pub(crate) weekday: u8,
    /// 0 to 23.
    pub(crate) hour: u8,
    /// `read` or `clicked`.
    pub(crate) status: String,
    pub(crate) count: u64,
}

/// What messages cost by the dashboard's rate card.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Spend {
    pub(crate) currency: String,
    pub(crate) spent: f64,
    /// Null if no message arrived.
    pub(crate) per_reached: Option<f64>,
    /// For the month of the last day, if every day costs as much as those of the range until now.
    pub(crate) forecast: Option<f64>,
    /// Messages for which the card has no rate.
    pub(crate) unpriced: u64,
    /// The same by country, channel and category, most messages first.
    pub(crate) unpriced_rows: Vec<UnpricedRow>,
    /// Most expensive first.
    pub(crate) rows: Vec<SpendRow>,
}

/// Messages without a price in the rate card.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UnpricedRow {
    /// `-` if unknown.
    pub(crate) country: String,
    pub(crate) channel: String,
    /// Empty if the provider names none.
    pub(crate) category: String,
    /// Messages that were sent.
    pub(crate) messages: u64,
}

/// Messages with the same price.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SpendRow {
    /// `-` if unknown.
    pub(crate) country: String,
    pub(crate) channel: String,
    /// Empty if the provider names none.
    pub(crate) category: String,
    /// Messages that the rate applies to: sent or delivered ones.
    pub(crate) messages: u64,
    /// `sent` or `delivered`: what the rate is for.
    pub(crate) per: &'static str,
    pub(crate) price: f64,
    pub(crate) amount: f64,
}

/// A kind with too many names to count each.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Folded {
    /// `channels`, `bots`, `tags`, `pairs` (of a bot and a tag), `statuses`, `message_types`, `reasons`, `prices`,
    /// `campaigns`, `templates`, `countries` or `charges`.
    pub(crate) kind: String,
    /// Maximum of names that are counted separately on a UTC day.
    pub(crate) most: usize,
    /// Number of days in the range with more names.
    pub(crate) days: usize,
}

/// Events of a day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DayCount {
    pub(crate) day: String,
    pub(crate) channel: String,
    pub(crate) status: String,
    pub(crate) count: u64,
}

/// Events of an hour, `2026-11-21T10`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HourCount {
    pub(crate) hour: String,
    pub(crate) channel: String,
    pub(crate) status: String,
    pub(crate) count: u64,
}

/// Events with a price.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BillingCount {
    pub(crate) category: String,
    pub(crate) billable: bool,
    pub(crate) count: u64,
    /// Minimum number of messages, because providers repeat the price in every event: the number of events of `status`.
    pub(crate) messages: u64,
    /// The status with the most of these events.
    pub(crate) status: String,
}

/// Messages that were not delivered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailureCount {
    pub(crate) channel: String,
    pub(crate) reason: String,
    pub(crate) count: u64,
}

/// Events by the provider's message type.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TypeCount {
    pub(crate) channel: String,
    pub(crate) message_type: String,
    pub(crate) count: u64,
}

/// Events of a channel by status. `clicked` counts clicks.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Funnel {
    pub(crate) channel: String,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    /// Also opened e-mails, except those that only a machine opened.
    pub(crate) read: u64,
    pub(crate) clicked: u64,
    /// Also bounced, expired and revoked messages.
    pub(crate) failed: u64,
    /// Also dropped messages and those to an invalid address.
    pub(crate) not_sent: u64,
    pub(crate) blocked: u64,
}

/// RCS messages that fell back to SMS.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Fallback {
    /// RCS messages: sent, not sent or blocked.
    pub(crate) attempts: u64,
    /// SMS sent.
    pub(crate) fell_back: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) clicked: u64,
}

/// Both queues.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeadLetters {
    pub(crate) depths: Depths,
    /// Up to ten, newest first. In a long queue this is a sample, because SQS is not ordered.
    pub(crate) newest: Vec<DeadLetter>,
}

/// Approximate number of messages in each queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Depths {
    pub(crate) retry: Depth,
    pub(crate) dead_letter: Depth,
}

/// Approximate number of messages in a queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Depth {
    pub(crate) visible: Option<u64>,
    /// Received and not yet deleted.
    pub(crate) in_flight: Option<u64>,
}

/// One message of the dead-letter queue: a dead letter, a part of one, or a foreign message.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct DeadLetter {
    /// SQS's id of the message.
    pub(crate) id: String,
    /// Epoch milliseconds.
    pub(crate) sent_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    /// Epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_bytes: Option<usize>,
    /// The payload, with redacted numbers unless `content=full`. Roles that see no numbers get none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// `base64` if the payload is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<String>,
    /// Whether `body` is only the beginning; the command `dead-letters show` prints all of it.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Number of this part, for a dead letter in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<usize>,
    /// Common id of the parts, for a dead letter in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) letter: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The caller's session.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Session {
    pub(crate) role: AccessRole,
    /// Whether this dashboard has a sign-in.
    pub(crate) sign_in: bool,
    pub(crate) may: Permissions,
    /// Names of bots, by the values of `bot_id` and by the names of the counters.
    pub(crate) bot_names: BTreeMap<String, String>,
}

/// A dead letter that was sent to the retry queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Redriven {
    /// Number of dead letters, always 1.
    pub(crate) redriven: usize,
}

/// A dead letter that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Discarded {
    /// Number of dead letters, always 1.
    pub(crate) discarded: usize,
    /// The complete dead letter, so that it is not lost.
    pub(crate) letter: Value,
}

/// The body of a request without parameters. It must be JSON, which other sites cannot make a browser send.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Empty {}

/// An example of a body, for error messages.
pub(crate) trait Example {
    const EXAMPLE: &str;
}

impl Example for Empty {
    const EXAMPLE: &str = "{}";
}

/// The function is running.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
}

/// An error.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fault {
    /// Message for the user.
    pub(crate) error: String,
    /// Whether the user must sign in.
    pub(crate) sign_in: bool,
}
