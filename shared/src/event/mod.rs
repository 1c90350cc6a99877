//! A normalized event: one thing that happened to one message, independent of the provider.
//!
//! Owns the terms of the domain (channel, status, attributes). Does not know JSON text or tables.

pub mod journey;
pub mod key;
pub mod names;
pub mod opens;
pub mod person;
pub mod state;
pub mod time;
pub mod url_bot;

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{personal, record::Unreadable};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type EpochMillis = i64;

/// The name of a provider's record format, see [`Format`](crate::provider::Format).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatName(&'static str);

impl FormatName {
    /// The name of a format. Only the formats construct names.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name in the table and in logs.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The provider's id of a message. Personal data: Netcore's ids contain the phone number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// DynamoDB's limit for a partition key, in bytes:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    pub const MAX_BYTES: usize = 2048;

    /// Wraps an id that fits a partition key.
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
        write!(f, "MessageId({})", personal::redact_id(&self.0))
    }
}

/// The channel of a message: `RCS`, `SMS`, `WHATSAPP`, `EMAIL`, or the provider's word in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(String);

impl Channel {
    /// Rich Communication Services.
    pub const RCS: &str = "RCS";
    /// Text message, mostly as a fallback.
    pub const SMS: &str = "SMS";
    /// `WhatsApp`.
    pub const WHATSAPP: &str = "WHATSAPP";
    /// E-mail.
    pub const EMAIL: &str = "EMAIL";

    /// The channels whose name is fixed.
    pub const LISTED: [&str; 4] = [Self::RCS, Self::SMS, Self::WHATSAPP, Self::EMAIL];

    /// Parses a provider's word for a channel, in any letter case.
    pub fn from_word(word: &str) -> Self {
        Self(crate::event::key::bounded(word.trim().to_uppercase()))
    }

    /// The word as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The status of an event. Unlisted words become [`Status::Other`], in `snake_case`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted and handed to the carrier.
    Sent,
    /// Not handed to the carrier.
    NotSent,
    /// Reached the device.
    Delivered,
    /// Opened by the person.
    Read,
    /// A suggestion was tapped: link, call or reply. May repeat.
    Clicked,
    /// The carrier could not deliver it.
    Failed,
    /// The gateway refused to send it: no credit, or a duplicate.
    Blocked,
    /// An incoming message of any kind. May repeat.
    Received,
    /// The pictures of an e-mail were loaded, by the person or by a machine, see [`opens`]. May repeat.
    Opened,
    /// The receiving mail server returned it. May repeat: a server can return several attempts.
    Bounced,
    /// The sender's platform did not send it: the person is on a suppression list. May repeat.
    Dropped,
    /// The address is not one. May repeat.
    Invalid,
    /// It was not delivered before its time to live ended. May repeat.
    Expired,
    /// It was taken back before it was delivered, so that a fallback can be sent. May repeat.
    Revoked,
    /// The person unsubscribed, which proves that a message arrived. May repeat.
    Unsubscribed,
    /// The person reported it as spam, which proves that it arrived. May repeat.
    Spam,
    /// [`Self::Spam`] in an older word of e-mail. May repeat.
    Abuse,
    /// The provider's word in `snake_case`. May repeat, since its meaning is unknown.
    Other(String),
}

impl Status {
    /// Parses a provider's word for a status, in any letter case and with any separators.
    ///
    /// # Errors
    /// [`Unreadable`] if the word contains no letter or digit.
    pub fn from_word(word: &str) -> Result<Self, Unreadable> {
        // The spellings in the documented samples. They need no allocation.
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
            "opened" => Self::Opened,
            "bounced" => Self::Bounced,
            "dropped" => Self::Dropped,
            "invalid" => Self::Invalid,
            "expired" => Self::Expired,
            "revoked" => Self::Revoked,
            "unsubscribed" => Self::Unsubscribed,
            "spam" => Self::Spam,
            "abuse" => Self::Abuse,
            _ => Self::Other(crate::event::key::bounded(word)),
        })
    }

    /// The word as stored.
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
            Self::Opened => "opened",
            Self::Bounced => "bounced",
            Self::Dropped => "dropped",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unsubscribed => "unsubscribed",
            Self::Spam => "spam",
            Self::Abuse => "abuse",
            Self::Other(word) => word,
        }
    }

    /// All statuses with a fixed word, in the order of the documentation.
    pub const LISTED: [Self; 17] = [
        Self::Sent,
        Self::NotSent,
        Self::Delivered,
        Self::Read,
        Self::Clicked,
        Self::Failed,
        Self::Blocked,
        Self::Received,
        Self::Opened,
        Self::Bounced,
        Self::Dropped,
        Self::Invalid,
        Self::Expired,
        Self::Revoked,
        Self::Unsubscribed,
        Self::Spam,
        Self::Abuse,
    ];

    /// The status that a provider of e-mail means by a word that other providers do not use for it: `open`,
    /// `bounce`, `hardbounce`, `softbounce`, `drop`, `unsub`, `unsubscribe`, `spamreport`. Other
    /// statuses stay as they are.
    ///
    /// Formats of e-mail call it after [`Self::from_word`], which does not know these words: a stored event of
    /// another provider must keep its key. The record's word stays in `as_sent`.
    #[must_use]
    pub fn in_email(self) -> Self {
        match self.as_str() {
            "open" => Self::Opened,
            "bounce" | "hard_bounce" | "hardbounce" | "soft_bounce" | "softbounce" => Self::Bounced,
            "drop" => Self::Dropped,
            "unsub" | "unsubscribe" => Self::Unsubscribed,
            "spam_report" | "spamreport" => Self::Spam,
            _ => self,
        }
    }

    /// Whether one message can have several events with this status. A redelivery is still recognized: it has
    /// the same time and content.
    pub fn repeats(&self) -> bool {
        match self {
            Self::Sent | Self::NotSent | Self::Delivered | Self::Read | Self::Failed | Self::Blocked => false,
            Self::Clicked
            | Self::Received
            | Self::Opened
            | Self::Bounced
            | Self::Dropped
            | Self::Invalid
            | Self::Expired
            | Self::Revoked
            | Self::Unsubscribed
            | Self::Spam
            | Self::Abuse
            | Self::Other(_) => true,
        }
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

/// The attributes that an event may have besides its key, times and recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// The sender: bot, or business number (string).
    BotId,
    /// The id of the API request that sent the message (string).
    RequestId,
    /// The sender's callback data: a reference to find the message again (string).
    CallbackData,
    /// The sender's labels (list of strings).
    Tags,
    /// The provider's word for the kind of message (string).
    MessageType,
    /// The channel that was tried before (string).
    LastChannel,
    /// The reason of a failure, or the carrier's text (string).
    Remarks,
    /// The suggestion that was tapped (map).
    Click,
    /// The content of a message (map or string).
    Content,
    /// Billable, category, model and type (map).
    Pricing,
    /// The provider's routing source (string).
    Source,
    /// The campaign's name (string).
    Campaign,
    /// The id of the message that this one answers (string).
    InReplyTo,
    /// Further ids of the person that the record names besides `recipient`, see [`person`] (list of strings).
    /// Not a part of the event's key: some senders write them beside the record.
    Identities,
    /// The machine that opened an e-mail, see [`opens`] (string). Absent if a person did, or if nothing is known.
    /// Not a part of the event's key: the list of machines grows.
    OpenedBy,
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
            Self::Identities => "identities",
            Self::OpenedBy => "opened_by",
        }
    }

    /// All attributes, in the order of the table's documentation.
    pub const ALL: [Self; 15] = [
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
        Self::Identities,
        Self::OpenedBy,
    ];

    /// Whether the attribute can distinguish two events of one message with the same repeatable status.
    pub(crate) const fn is_in_key(self) -> bool {
        !matches!(self, Self::Identities | Self::OpenedBy)
    }
}

/// One normalized event.
///
/// `attributes`, `extra` and `as_sent` together hold the whole provider record. [`crate::provider::rebuild`]
/// rebuilds the record from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The format of the record.
    pub format: FormatName,
    /// The provider of the webhook.
    pub provider: &'static str,
    /// The event's message.
    pub message_id: MessageId,
    /// The channel of the message.
    pub channel: Channel,
    /// The status.
    pub status: Status,
    /// When it happened; `None` if the record has no plausible time.
    pub event_time: Option<EpochMillis>,
    /// The person: the digits of a number, or `<kind>:<id>`, see [`person`].
    pub recipient: Option<String>,
    /// The provider's id of this event, for some repeatable events.
    pub event_id: Option<String>,
    /// Which recipient of the message the event is about, if the provider gives several recipients one message
    /// id. Part of the key, and not stored otherwise.
    pub addressee: Option<String>,
    /// The bot that the URL of the request names, see [`url_bot`]. Not a part of the record.
    pub url_bot: Option<String>,
    /// The listed attributes that are not empty.
    pub attributes: BTreeMap<Attribute, Value>,
    /// All unlisted fields of the record, under the provider's names.
    pub extra: Map<String, Value>,
    /// Original values of listed fields that the normalized form does not reproduce: an empty string, a
    /// number sent as a string, an unusual letter case.
    pub as_sent: Map<String, Value>,
    /// Fields around the record in the provider's body, that is the body without its records: an object, or its
    /// JSON text if a table attribute could not hold it exactly. Null if there are none.
    pub envelope: Value,
    /// The record's text, if a table attribute could not hold the record exactly.
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
        for status in Status::LISTED {
            assert_eq!(Status::from_word(status.as_str()), Ok(status));
        }
        for (word, meant) in [
            ("abuse", "abuse"),
            ("spamreport", "spam"),
            ("Hard-Bounce", "bounced"),
            ("open", "opened"),
            ("unsub", "unsubscribed"),
            ("deferred", "deferred"),
            ("Sent", "sent"),
        ] {
            assert_eq!(Status::from_word(word).unwrap().in_email().as_str(), meant);
        }
        assert_eq!(
            Status::from_word(" - "),
            Err(Unreadable::new("the record's status is empty"))
        );
    }

    #[test]
    fn a_message_id_that_does_not_fit_a_partition_key_is_refused() {
        assert!(MessageId::new("x".repeat(2048)).is_ok());
        assert!(MessageId::new(String::new()).is_err());
        let error = MessageId::new("é".repeat(1500)).unwrap_err();
        assert_eq!(
            error.0,
            "the record's message id is 3000 bytes long; a table key holds 2048"
        );
    }

    #[test]
    fn debug_output_contains_no_phone_number() {
        let id = MessageId::new("api-337-919209209291-3c90".into()).unwrap();
        assert_eq!(format!("{id:?}"), "MessageId(api-***-*********291-*c90)");
    }
}
