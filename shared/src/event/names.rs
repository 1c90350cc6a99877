//! Names of an event's attributes in the events table and in the API. [`Attribute::name`](super::Attribute::name) has the others.

/// Partition key: the message id (S).
pub const MESSAGE_ID: &str = "message_id";
/// Sort key, see [`StatusKey`](super::key::StatusKey) (S).
pub const STATUS_KEY: &str = "status_key";
/// Partition key of `recipient-index`: the person, the digits of a number or `<kind>:<id>`, see [`person`](super::person) (S).
pub const RECIPIENT: &str = "recipient";
/// Sort key of both indexes: the time of the event, epoch milliseconds (N).
pub const EVENT_TIME: &str = "event_time";
/// Partition key of `day-index`: UTC day and shard, `2026-11-21#00` (S).
pub const DAY_SHARD: &str = "day_shard";
/// When the event first arrived, epoch milliseconds (N).
pub const RECEIVED_AT: &str = "received_at";
/// When the event was stored, epoch milliseconds (N): only if it waited in a queue. Not a part of the event.
pub const STORED_AT: &str = "stored_at";
/// Time to live, epoch seconds (N).
pub const EXPIRES_AT: &str = "expires_at";
/// See [`Channel`](super::Channel) (S).
pub const CHANNEL: &str = "channel";
/// See [`Status`](super::Status) (S).
pub const STATUS: &str = "status";
/// The provider of the webhook (S).
pub const PROVIDER: &str = "provider";
/// The provider's record format (S).
pub const FORMAT: &str = "format";
/// True if the event arrived more than `LATE_AFTER_HOURS` after it happened (BOOL).
pub const LATE: &str = "late";
/// True if the record has no usable time, or a time more than 48 hours after its arrival. `event_time` is
/// then the arrival, and the record keeps the sender's value (BOOL).
pub const UNDATED: &str = "undated";
/// True if `bot_id` is not in the record: the URL of the request named it, see [`url_bot`](super::url_bot) (BOOL).
pub const BOT_FROM_URL: &str = "bot_from_url";
/// See [`Event::extra`](super::Event::extra) (M).
pub const EXTRA: &str = "extra";
/// See [`Event::as_sent`](super::Event::as_sent) (M).
pub const AS_SENT: &str = "as_sent";
/// See [`Event::envelope`](super::Event::envelope) (M, or S for its JSON text).
pub const ENVELOPE: &str = "envelope";
/// See [`Event::verbatim`](super::Event::verbatim) (S).
pub const VERBATIM: &str = "verbatim";
