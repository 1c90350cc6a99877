//! What the API answers, as types: the answers are written from them, and so is `/openapi.json`.
//! [`crate::redaction`] says what a viewer gets of each field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::roles::{AccessRole, May};

/// One event: every stored attribute under its name. `message_id`, `status_key`, `status`, `channel`,
/// `event_time`, `received_at` (both epoch milliseconds), `provider` and `format` are always there.
/// A viewer gets no `status_key`, `day_shard`, `as_sent` and `verbatim`; unlisted values are `***`;
/// `token` and `in_reply_to_token` open a message like its id.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Event(pub(crate) Map<String, Value>);

/// A message, its present state and its way over channels.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
pub(crate) struct Message {
    pub(crate) message_id: String,
    /// Opens the message like its id, for a role that sees no numbers; only that role gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    pub(crate) recipient: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) channel: Option<String>,
    /// Folded from the events: the word of a status.
    pub(crate) state: Option<String>,
    /// Epoch milliseconds.
    pub(crate) state_time: Option<i64>,
    /// In order of time and rank.
    pub(crate) events: Vec<Event>,
    /// This message and those it went on as, in the order in which they began.
    pub(crate) journey: Vec<JourneyLeg>,
    /// How the journey ended; null if no event of this message has a status.
    pub(crate) outcome: Option<Outcome>,
    /// Events of the other messages of the journey.
    pub(crate) linked: Vec<Event>,
    /// Incoming events that answer a message of the journey.
    pub(crate) answers: Vec<Event>,
    /// Whether something was left out because the answer would be too large. The rest of `events` is
    /// behind `cursor`; events of other messages are in the answers of those.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Where the rest of `events` begins, if there is one.
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
    /// Why the message did not arrive on this channel, in the provider's words; 300 characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The leg that speaks for a journey: the one that got furthest if any was delivered, else the one tried
/// last.
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
    /// When the message was sent over this channel, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent_time: Option<i64>,
    /// Whether the person tapped something in the message.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) clicked: bool,
    /// Whether the person wrote or tapped the message themselves.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) incoming: bool,
}

/// A part of a person's events, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonEvents {
    /// May be fewer than asked for, even none, while there is a cursor.
    pub(crate) events: Vec<Event>,
    /// Where the next part begins; null at the end.
    pub(crate) cursor: Option<String>,
    /// What the events belong to, the newest first. They are folded from the events of this part and from up
    /// to 200 events before and after it, within 72 hours: so a journey of two parts is the same in both.
    pub(crate) journeys: Vec<PersonJourney>,
}

/// Messages that belong together, and the answers to them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonJourney {
    /// In the order in which they began; 100 at most.
    pub(crate) journey: Vec<JourneyLeg>,
    pub(crate) outcome: Outcome,
    /// Positions in `events`, ascending: of the messages and of the answers to them.
    pub(crate) events: Vec<usize>,
}

/// A part of a list, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
pub(crate) struct Events {
    /// May be fewer than asked for, even none, while there is a cursor.
    pub(crate) events: Vec<Event>,
    /// Where the next part begins; null at the end, and always for a role that sees no numbers.
    pub(crate) cursor: Option<String>,
    /// Whether there is more, to a role that gets no cursor.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
}

/// Counts of events by UTC day and hour of the event time.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// First day, `YYYY-MM-DD`.
    pub(crate) from: String,
    /// Last day.
    pub(crate) to: String,
    /// When something was last counted, epoch milliseconds.
    pub(crate) updated_at: Option<i64>,
    pub(crate) counts: Vec<DayCount>,
    /// Empty for ranges over 31 days.
    pub(crate) hours: Vec<HourCount>,
    pub(crate) billing: Vec<BillingCount>,
    /// Failed, not sent and blocked messages by reason, the most frequent first.
    pub(crate) failures: Vec<FailureCount>,
    pub(crate) message_types: Vec<TypeCount>,
    pub(crate) funnel: Vec<Funnel>,
    pub(crate) fallback: Fallback,
    /// What `bot` can be in this range; of very many, those of the latest days.
    pub(crate) bots: Vec<String>,
    /// What `tag` can be in this range; of very many, those of the latest days.
    pub(crate) tags: Vec<String>,
    /// What `channel` can be in this range.
    pub(crate) channels: Vec<String>,
    /// Whether words were so many that the answer would be too large: rare channels and statuses are then
    /// added up as `OTHER` and `other`, and of names there are the first or most frequent 500.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Kinds of names that a day had more of than are counted by name. The rest counts as `other`
    /// (channels as `OTHER`); a bot and a tag together then have no counts.
    pub(crate) folded: Vec<Folded>,
}

/// A kind of names that were too many.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Folded {
    /// `channels`, `bots`, `tags`, `pairs` (of a bot and a tag), `statuses`, `message_types`, `reasons`
    /// or `prices`.
    pub(crate) kind: String,
    /// How many a UTC day counts by name, at most.
    pub(crate) most: usize,
    /// On how many days of the range there were more.
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

/// Events that carry a price.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BillingCount {
    pub(crate) category: String,
    pub(crate) billable: bool,
    pub(crate) count: u64,
    /// How many messages those are at least: providers repeat the price with every status.
    pub(crate) messages: u64,
}

/// Messages that did not arrive.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailureCount {
    pub(crate) channel: String,
    pub(crate) reason: String,
    pub(crate) count: u64,
}

/// Events by the provider's word for the kind of message.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TypeCount {
    pub(crate) channel: String,
    pub(crate) message_type: String,
    pub(crate) count: u64,
}

/// How far messages of a channel came. `clicked` counts clicks.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Funnel {
    pub(crate) channel: String,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) read: u64,
    pub(crate) clicked: u64,
    pub(crate) failed: u64,
    pub(crate) not_sent: u64,
    pub(crate) blocked: u64,
}

/// How RCS messages went on as SMS.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Fallback {
    /// Messages tried over RCS: sent, not sent or blocked.
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
    /// Up to ten, the newest first; of a deep queue a sample, since SQS knows no order.
    pub(crate) newest: Vec<DeadLetter>,
}

/// How many messages lie in each queue, about.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Depths {
    pub(crate) retry: Depth,
    pub(crate) dead_letter: Depth,
}

/// Of one queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Depth {
    pub(crate) visible: Option<u64>,
    /// Received and not deleted yet.
    pub(crate) in_flight: Option<u64>,
}

/// One message of the dead-letter queue: a dead letter, a part of one, or a message of another sender.
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
    /// What came; numbers redacted unless `content=full`. A role that sees no numbers gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// `base64` where the body is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<String>,
    /// Whether `body` is only the beginning; the command `dead-letters show` has the whole.
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    pub(crate) truncated: bool,
    /// Of a dead letter in parts: which this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<usize>,
    /// Of a dead letter in parts: the id that its parts share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) letter: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Who is asking.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Session {
    pub(crate) role: AccessRole,
    /// Whether this dashboard has a sign-in.
    pub(crate) sign_in: bool,
    pub(crate) may: May,
}

/// A dead letter that was sent to the retry queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Redriven {
    /// How many: always 1.
    pub(crate) redriven: usize,
}

/// A dead letter that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Discarded {
    /// How many: always 1.
    pub(crate) discarded: usize,
    /// The dead letter as a whole, so that it is not lost.
    pub(crate) letter: Value,
}

/// The body of a request that says it all in its path: another site cannot make a browser send JSON.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Empty {}

/// What a body looks like, for the error of one that does not.
pub(crate) trait Example {
    const EXAMPLE: &str;
}

impl Example for Empty {
    const EXAMPLE: &str = "{}";
}

/// The function runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
}

/// Why there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fault {
    /// For a person.
    pub(crate) error: String,
    /// Whether a sign-in would help.
    pub(crate) sign_in: bool,
}
