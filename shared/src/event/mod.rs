//! A normalised event: one thing that happened to one message, whatever provider told of it.
//!
//! Owns the words of the domain (channel, status, attributes). Knows neither JSON text nor tables.

pub mod journey;
pub mod key;
pub mod names;
pub mod state;
pub mod time;

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{phone, record::Unreadable};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type EpochMillis = i64;

/// The name of a provider's record shape, see [`Format`](crate::provider::Format).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatName(&'static str);

impl FormatName {
    /// The name of a format; only the formats themselves have one.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name in the table and in logs.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The provider's identifier of a message. Personal data: Netcore writes the phone number into it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// DynamoDB's limit for a partition key, in bytes:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    pub const MAX_BYTES: usize = 2048;

    /// An id that fits a partition key.
    ///
    /// # Errors
    /// [`Unreadable`] if it is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(id: String) -> Result<Self, Unreadable> {
        match id.len() {
            0 => Err(Unreadable::new("the record's message id is empty")),
            1..=Self::MAX_BYTES => Ok(Self(id)),
            n => Err(Unreadable(format!(
                "the record's message id is {n} bytes long; a table key holds {}",
                Self::MAX_BYTES
            ))),
        }
    }

    /// The id as the provider wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the provider wrote it.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", phone::redact(&self.0))
    }
}

/// What carried the message: `RCS`, `SMS`, `WHATSAPP`, else the provider's word in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(String);

impl Channel {
    /// Rich Communication Services.
    pub const RCS: &str = "RCS";
    /// Text message, mostly as a fallback.
    pub const SMS: &str = "SMS";
    /// `WhatsApp`.
    pub const WHATSAPP: &str = "WHATSAPP";

    /// The channel of a provider's word, in any letter case.
    pub fn from_word(word: &str) -> Self {
        Self(crate::event::key::bounded(word.trim().to_uppercase()))
    }

    /// The word that is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What happened. Unlisted words are kept as [`Status::Other`], in `snake_case`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted and handed to the carrier.
    Sent,
    /// Never handed to the carrier.
    NotSent,
    /// Reached the device.
    Delivered,
    /// Opened by the person.
    Read,
    /// A suggestion was tapped: link, call or reply; may repeat.
    Clicked,
    /// The carrier could not deliver it.
    Failed,
    /// The gateway refused to send it: no credit, or a duplicate.
    Blocked,
    /// An incoming message of any kind; may repeat.
    Received,
    /// The provider's word in `snake_case`; may repeat, because its meaning is unknown.
    Other(String),
}

impl Status {
    /// The status of a provider's word, in any letter case and with any separators.
    ///
    /// # Errors
    /// [`Unreadable`] if the word holds no letter or digit.
    pub fn from_word(word: &str) -> Result<Self, Unreadable> {
        // The spellings of every documented sample, without building a word for them.
        const KNOWN: [Status; 5] = [
            Status::Sent,
            Status::Delivered,
            Status::Read,
            Status::Clicked,
            Status::Failed,
        ];
        if let Some(known) = KNOWN
            .iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
        {
            return Ok(known.clone());
        }
        let word = snake_case(word);
        Ok(match word.as_str() {
            "" => return Err(Unreadable::new("the record's status is empty")),
            "sent" => Self::Sent,
            "not_sent" | "notsent" => Self::NotSent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "clicked" | "click" => Self::Clicked,
            "failed" => Self::Failed,
            "blocked" => Self::Blocked,
            "received" => Self::Received,
            _ => Self::Other(crate::event::key::bounded(word)),
        })
    }

    /// The word that is stored.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sent => "sent",
            Self::NotSent => "not_sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Clicked => "clicked",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Received => "received",
            Self::Other(word) => word,
        }
    }

    /// Whether two events of this status for one message can both be true.
    pub fn repeats(&self) -> bool {
        matches!(self, Self::Clicked | Self::Received | Self::Other(_))
    }
}

fn snake_case(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    let mut previous_lower = false;
    for c in word.chars() {
        if c.is_alphanumeric() {
            if c.is_uppercase() && previous_lower {
                out.push('_');
            }
            out.extend(c.to_lowercase());
            previous_lower = c.is_lowercase() || c.is_numeric();
        } else {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            previous_lower = false;
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// The attributes an event may carry beside its key, times and recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// The sender: bot, or business number (string).
    BotId,
    /// The id of the API request that sent the message (string).
    RequestId,
    /// What the sender attached to find the message again (string).
    CallbackData,
    /// The sender's labels (list of strings).
    Tags,
    /// The provider's word for the kind of message (string).
    MessageType,
    /// The channel that was tried before (string).
    LastChannel,
    /// Why it failed, or what the carrier said (string).
    Remarks,
    /// The suggestion that was tapped (map).
    Click,
    /// What a message says (map or string).
    Content,
    /// Billable, category, model and type (map).
    Pricing,
    /// The provider's routing source (string).
    Source,
    /// The campaign's name (string).
    Campaign,
    /// The message id that this one answers (string).
    InReplyTo,
}

impl Attribute {
    /// The name in the table and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BotId => "bot_id",
            Self::RequestId => "request_id",
            Self::CallbackData => "callback_data",
            Self::Tags => "tags",
            Self::MessageType => "message_type",
            Self::LastChannel => "last_channel",
            Self::Remarks => "remarks",
            Self::Click => "click",
            Self::Content => "content",
            Self::Pricing => "pricing",
            Self::Source => "source",
            Self::Campaign => "campaign",
            Self::InReplyTo => "in_reply_to",
        }
    }

    /// All of them, in the order of the table's documentation.
    pub const ALL: [Self; 13] = [
        Self::BotId,
        Self::RequestId,
        Self::CallbackData,
        Self::Tags,
        Self::MessageType,
        Self::LastChannel,
        Self::Remarks,
        Self::Click,
        Self::Content,
        Self::Pricing,
        Self::Source,
        Self::Campaign,
        Self::InReplyTo,
    ];
}

/// One event, normalised.
///
/// `attributes`, `extra` and `as_sent` together hold the whole provider record:
/// [`crate::provider::rebuild`] puts it together again.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The shape it came in.
    pub format: FormatName,
    /// Whose webhook it was.
    pub provider: &'static str,
    /// Which message it is about.
    pub message_id: MessageId,
    /// What carried the message.
    pub channel: Channel,
    /// What happened.
    pub status: Status,
    /// When it happened; `None` if the record gave no time that makes sense.
    pub event_time: Option<EpochMillis>,
    /// The person's number, digits only.
    pub recipient: Option<String>,
    /// The provider's id of this one event, where a repeatable event has one.
    pub event_id: Option<String>,
    /// The listed attributes that hold something.
    pub attributes: BTreeMap<Attribute, Value>,
    /// Every unlisted field of the record, under the provider's name.
    pub extra: Map<String, Value>,
    /// Listed fields whose wording the normalised form does not give back: an empty string,
    /// a number sent as a string, an unusual letter case.
    pub as_sent: Map<String, Value>,
    /// Fields beside the records in the provider's envelope: an object, or its JSON text where a table
    /// attribute could not hold a part of it exactly. Null where there are none.
    pub envelope: Value,
    /// The record's text, where a table attribute could not hold a part of it exactly.
    pub verbatim: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_read_in_any_spelling() {
        for (word, status) in [
            ("Sent", Status::Sent),
            ("Not sent", Status::NotSent),
            ("NOT-SENT", Status::NotSent),
            ("notSent", Status::NotSent),
            ("DELIVERED", Status::Delivered),
            (" Read ", Status::Read),
            ("Clicked", Status::Clicked),
            ("Template Paused", Status::Other("template_paused".into())),
            ("optOut", Status::Other("opt_out".into())),
            ("ÄNDERUNG", Status::Other("änderung".into())),
        ] {
            assert_eq!(Status::from_word(word).unwrap(), status, "{word}");
        }
        assert_eq!(
            Status::from_word(" - "),
            Err(Unreadable::new("the record's status is empty"))
        );
    }

    #[test]
    fn a_message_id_fits_a_partition_key_or_is_refused() {
        assert!(MessageId::new("x".repeat(2048)).is_ok());
        assert!(MessageId::new(String::new()).is_err());
        let error = MessageId::new("é".repeat(1500)).unwrap_err();
        assert_eq!(
            error.0,
            "the record's message id is 3000 bytes long; a table key holds 2048"
        );
    }

    #[test]
    fn debug_output_shows_no_number() {
        let id = MessageId::new("api-337-919209209291-3c90".into()).unwrap();
        assert_eq!(format!("{id:?}"), "MessageId(api-***-*********291-*c90)");
    }
}
