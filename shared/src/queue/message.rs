//! The messages of both queues. The retry queue and the dead-letter queue have the same envelope, so SQS can
//! move a message to the dead-letter queue unchanged.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{Verified, VerifiedBody},
    event::{EpochMillis, key, url_bot},
    operations::config::MAX_BODY_BYTES,
    record,
};

/// SQS's limit for a message and for a batch of them, with its attributes:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// Bytes reserved for the message attributes `reason` and `function`.
const FOR_ATTRIBUTES: usize = 1_024;

/// SQS bills in units of 64 KiB, so a readable body below this size costs no more than a compressed one.
const READABLE_BYTES: usize = 60 * 1024;

/// The most bytes of an unpacked message body: the most that a receiver accepts, plus room for another
/// spelling of the envelope's fields. This program writes no larger message.
const MAX_UNPACKED_BYTES: usize = MAX_BODY_BYTES + 64 * 1024;

/// The most parts of one message. The largest body takes nine parts if it cannot be compressed.
const MAX_PARTS: usize = 16;

/// Why a body is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Not JSON, or no known envelope.
    Malformed,
    /// JSON, but not an event.
    Unreadable,
    /// An event with this key is stored and has different content.
    Conflict,
    /// The table did not accept it. In the dead-letter queue: retries were exhausted.
    Exhausted,
    /// A record of the table's stream that cannot be counted. The event is stored.
    Uncountable,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::Malformed,
        Self::Unreadable,
        Self::Conflict,
        Self::Exhausted,
        Self::Uncountable,
    ];

    /// The word in the message and in its attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Uncountable => "uncountable",
        }
    }
}

/// A body that could not be stored, with the information that `redrive` or a person needs. If it is too large
/// for one SQS message, it is cut into parts, one SQS message each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// Why it is in the queue.
    pub reason: Reason,
    /// The reason in words. Does not quote the body.
    pub detail: String,
    /// The function that received it.
    pub function: String,
    /// When it first arrived, epoch milliseconds.
    pub received_at: EpochMillis,
    /// The content.
    pub body: Body,
}

/// The content of a queue message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Records of a webhook. Posted to the same function again, they are read the same way.
    Webhook(VerifiedBody),
    /// A record of the table's stream ([`Reason::Uncountable`]), as JSON. No parser accepts it.
    StreamRecord(Vec<u8>),
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Webhook(body) => body.bytes(),
            Self::StreamRecord(record) => record,
        }
    }

    /// The bot that the URL of the request named.
    pub fn bot(&self) -> Option<&str> {
        match self {
            Self::Webhook(body) => body.verified().bot(),
            Self::StreamRecord(_) => None,
        }
    }
}

impl From<VerifiedBody> for Body {
    fn from(body: VerifiedBody) -> Self {
        Self::Webhook(body)
    }
}

/// The encoding of `body` if it is not the original text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Encoding {
    #[serde(rename = "base64")]
    Base64,
    #[serde(rename = "gzip+base64")]
    GzipBase64,
}

/// One part of a message that is too large for one SQS message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The same for all parts of a message.
    pub id: String,
    /// From 1.
    pub part: usize,
    /// The number of parts.
    pub parts: usize,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u8,
    reason: Reason,
    #[serde(default)]
    detail: String,
    function: String,
    received_at: EpochMillis,
    /// The bot that the URL of the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bot: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    body: String,
}

const VERSION: u8 = 1;

/// Why the text of an SQS message is not a whole [`QueueMessage`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueMessageError {
    /// Another program wrote it.
    #[error("the message was not written by this program: {0}")]
    Foreign(String),
    /// One of several parts.
    #[error("the message is part {} of {} of a larger one", .0.part, .0.parts)]
    Partial(Part),
}

impl QueueMessage {
    /// The body for a parser; `None` for a record of the stream.
    pub fn verified(&self) -> Option<Verified<'_>> {
        match &self.body {
            Body::Webhook(body) => Some(body.verified()),
            Body::StreamRecord(_) => None,
        }
    }

    /// Writes the SQS message, or its parts if one SQS message is too small.
    pub fn write(&self) -> Vec<String> {
        if let Some(readable) = self.readable() {
            return vec![readable];
        }
        let packed = STANDARD.encode(gzip(self.body.bytes()));
        let room = MAX_MESSAGE_BYTES - FOR_ATTRIBUTES;
        let overhead = self
            .message(Some(Encoding::GzipBase64), Some(some_part()), String::new())
            .len();
        if packed.len() + overhead <= room {
            return vec![self.message(Some(Encoding::GzipBase64), None, packed)];
        }
        let each = room.saturating_sub(overhead).max(1);
        let id = self.id();
        let parts = packed.len().div_ceil(each);
        packed
            .as_bytes()
            .chunks(each)
            .enumerate()
            .map(|(i, chunk)| {
                let part = Part {
                    id: id.clone(),
                    part: i + 1,
                    parts,
                };
                let text = String::from_utf8_lossy(chunk).into_owned();
                self.message(Some(Encoding::GzipBase64), Some(part), text)
            })
            .collect()
    }

    /// The message with an unencoded body, if that is small.
    fn readable(&self) -> Option<String> {
        let bytes = self.body.bytes();
        if bytes.len() > READABLE_BYTES {
            return None;
        }
        let message = match std::str::from_utf8(bytes) {
            Ok(text) => self.message(None, None, text.to_owned()),
            Err(_) => self.message(Some(Encoding::Base64), None, STANDARD.encode(bytes)),
        };
        (message.len() <= READABLE_BYTES).then_some(message)
    }

    fn message(&self, encoding: Option<Encoding>, part: Option<Part>, body: String) -> String {
        let written = Envelope {
            version: VERSION,
            reason: self.reason,
            detail: self.detail.clone(),
            function: self.function.clone(),
            received_at: self.received_at,
            bot: self.body.bot().map(str::to_owned),
            encoding,
            part,
            body,
        };
        let json = serde_json::to_string(&written).unwrap_or_default();
        // SQS refuses these two characters. JSON can escape them.
        if json.contains(['\u{fffe}', '\u{ffff}']) {
            return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        }
        json
    }

    /// Reads an SQS message that contains a whole message. Safe on untrusted input.
    ///
    /// # Errors
    /// [`QueueMessageError`] if the message is only a part, or was not written by this program.
    pub fn read(message: &str) -> Result<Self, QueueMessageError> {
        let written = parse(message)?;
        match written.part.clone() {
            Some(part) => Err(QueueMessageError::Partial(part)),
            None => Self::unpack(written),
        }
    }

    /// Joins the parts of one message, in any order. Repeated parts take no additional memory.
    ///
    /// # Errors
    /// [`QueueMessageError`] if a part is missing or belongs to another message.
    pub fn join<'a>(messages: impl IntoIterator<Item = &'a str>) -> Result<Self, QueueMessageError> {
        let mut parts: BTreeMap<usize, Envelope> = BTreeMap::new();
        let mut first: Option<Part> = None;
        for message in messages {
            let mut written = parse(message)?;
            let part = written.part.take().ok_or_else(|| foreign("not a part"))?;
            let first = first.get_or_insert_with(|| part.clone());
            if (&part.id, part.parts) != (&first.id, first.parts) {
                return Err(foreign("parts of different messages"));
            }
            parts.entry(part.part).or_insert(written);
        }
        let first = first.ok_or_else(|| foreign("no parts"))?;
        if parts.len() != first.parts {
            return Err(QueueMessageError::Partial(first));
        }
        let mut parts = parts.into_values();
        let mut whole = parts.next().ok_or_else(|| foreign("no parts"))?;
        for part in parts {
            whole.body.push_str(&part.body);
        }
        let message = Self::unpack(whole)?;
        if message.id() == first.id {
            Ok(message)
        } else {
            Err(foreign("its parts do not belong together"))
        }
    }

    /// The same for all parts of this message, and different for other messages.
    fn id(&self) -> String {
        key::digest([self.body.bytes(), &self.received_at.to_le_bytes()])
    }

    fn unpack(written: Envelope) -> Result<Self, QueueMessageError> {
        let bytes = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| foreign("its body is not base64"))
        };
        let body = match written.encoding {
            None => written.body.into_bytes(),
            Some(Encoding::Base64) => bytes(&written.body)?,
            Some(Encoding::GzipBase64) => gunzip(&bytes(&written.body)?)?,
        };
        let body = match written.reason {
            Reason::Uncountable => Body::StreamRecord(body),
            _ => Body::Webhook(VerifiedBody::from_queue(
                body,
                written.bot.filter(|bot| url_bot::is_valid(bot)),
            )),
        };
        Ok(Self {
            reason: written.reason,
            detail: written.detail,
            function: written.function,
            received_at: written.received_at,
            body,
        })
    }
}

fn parse(message: &str) -> Result<Envelope, QueueMessageError> {
    let written: Envelope = serde_json::from_str(message).map_err(|e| foreign(&record::describe(&e)))?;
    if written.version != VERSION {
        return Err(foreign("its version is not supported"));
    }
    match &written.part {
        Some(part) if part.parts > MAX_PARTS || !(1..=part.parts).contains(&part.part) => {
            Err(foreign("its part number is invalid"))
        }
        _ => Ok(written),
    }
}

fn foreign(why: &str) -> QueueMessageError {
    QueueMessageError::Foreign(why.to_owned())
}

/// The longest part numbers, to reserve their space.
fn some_part() -> Part {
    Part {
        id: "x".repeat(22),
        part: 999,
        parts: 999,
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, QueueMessageError> {
    let mut body = Vec::new();
    GzDecoder::new(packed)
        .take(MAX_UNPACKED_BYTES as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|_| foreign("its body is not gzip"))?;
    if body.len() > MAX_UNPACKED_BYTES {
        return Err(foreign("its body is larger than the limit"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn message(body: Vec<u8>) -> QueueMessage {
        QueueMessage {
            reason: Reason::Conflict,
            detail: "it differs in remarks".into(),
            function: "event-webhook".into(),
            received_at: 1_704_876_828_000,
            body: VerifiedBody::from_queue(body, None).into(),
        }
    }

    #[test]
    fn a_small_message_is_the_documented_json() {
        let messages = message(b"[{\"a\":1}]".to_vec()).write();
        assert_eq!(
            serde_json::from_str::<Value>(&messages[0]).unwrap(),
            json!({"version":1,"reason":"conflict","detail":"it differs in remarks","function":"event-webhook",
                   "received_at":1_704_876_828_000_i64,"body":"[{\"a\":1}]"})
        );
        assert_eq!(messages.len(), 1);
    }

    #[test]
    fn binary_bodies_and_characters_that_sqs_refuses_survive() {
        for body in [
            b"\xff\xfe\x00".to_vec(),
            "\u{fffe}\u{ffff}\u{0}\u{1}".as_bytes().to_vec(),
        ] {
            let whole = message(body);
            let messages = whole.write();
            assert!(messages[0].chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)));
            assert_eq!(QueueMessage::read(&messages[0]), Ok(whole));
        }
    }

    #[test]
    fn large_messages_are_compressed_and_larger_ones_are_split() {
        let repetitive = message(b"{\"message_id\":\"x\"},".repeat(300_000));
        let messages = repetitive.write();
        assert_eq!(messages.len(), 1);
        assert_eq!(QueueMessage::read(&messages[0]), Ok(repetitive));

        // Random bytes cannot be compressed.
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        })
        .take(6 * 1024 * 1024)
        .collect();
        let incompressible = message(noise);
        let mut messages = incompressible.write();
        assert!(messages.len() > 8);
        assert!(
            messages
                .iter()
                .all(|m| m.len() <= MAX_MESSAGE_BYTES - FOR_ATTRIBUTES)
        );
        assert!(matches!(
            QueueMessage::read(&messages[2]),
            Err(QueueMessageError::Partial(Part { part: 3, .. }))
        ));
        messages.reverse();
        messages.push(messages[0].clone());
        assert_eq!(
            QueueMessage::join(messages.iter().map(String::as_str)),
            Ok(incompressible)
        );
        assert!(QueueMessage::join(messages.iter().skip(2).take(3).map(String::as_str)).is_err());
    }

    #[test]
    fn texts_of_other_senders_are_foreign() {
        for text in [
            "",
            "[]",
            "{}",
            "hello",
            r#"{"version":2,"reason":"conflict","function":"f","received_at":1,"body":""}"#,
        ] {
            assert!(
                matches!(QueueMessage::read(text), Err(QueueMessageError::Foreign(_))),
                "{text}"
            );
        }
        let bad = r#"{"version":1,"reason":"conflict","function":"f","received_at":1,"encoding":"gzip+base64","body":"AAAA"}"#;
        assert_eq!(QueueMessage::read(bad), Err(foreign("its body is not gzip")));
    }

    #[test]
    fn the_unpacked_size_is_limited_to_that_of_a_receiver() {
        let packed = |bytes: usize| {
            let message = json!({"version":1,"reason":"exhausted","function":"f","received_at":1,
                "encoding":"gzip+base64","body":STANDARD.encode(gzip(&vec![b'1'; bytes]))});
            QueueMessage::read(&message.to_string())
        };
        assert_eq!(packed(MAX_BODY_BYTES).unwrap().body.bytes().len(), MAX_BODY_BYTES);
        for bytes in [MAX_UNPACKED_BYTES + 1, 64 * 1024 * 1024] {
            assert_eq!(packed(bytes), Err(foreign("its body is larger than the limit")));
        }
    }

    #[test]
    fn parts_of_different_messages_are_refused() {
        let part = |id: &str, part: usize, parts: usize, body: &str| {
            json!({"version":1,"reason":"exhausted","function":"f","received_at":1,"id":id,"part":part,"parts":parts,"body":body})
                .to_string()
        };
        for (number, of) in [(0, 2), (3, 2), (1, 17), (usize::MAX, usize::MAX), (1, 0)] {
            let impossible = part("a", number, of, "x");
            assert_eq!(
                QueueMessage::read(&impossible),
                Err(foreign("its part number is invalid"))
            );
            assert_eq!(
                QueueMessage::join([impossible.as_str()]),
                Err(foreign("its part number is invalid"))
            );
        }
        let (one, two) = (part("a", 1, 2, "x"), part("a", 2, 2, "y"));
        assert_eq!(
            QueueMessage::join([one.as_str(), &two]),
            Err(foreign("its parts do not belong together"))
        );
        let other = part("a", 2, 3, "y");
        assert_eq!(
            QueueMessage::join([one.as_str(), &other]),
            Err(foreign("parts of different messages"))
        );
        // One part, however often repeated, does not make a whole message.
        assert!(matches!(
            QueueMessage::join(std::iter::repeat_n(one.as_str(), 1000)),
            Err(QueueMessageError::Partial(_))
        ));
    }

    proptest! {
        #[test]
        fn every_body_round_trips(body in prop::collection::vec(any::<u8>(), 0..2000)) {
            let whole = message(body);
            prop_assert_eq!(QueueMessage::join_or_read(&whole.write()), Ok(whole));
        }
    }

    impl QueueMessage {
        fn join_or_read(messages: &[String]) -> Result<Self, QueueMessageError> {
            match messages {
                [one] => Self::read(one),
                several => Self::join(several.iter().map(String::as_str)),
            }
        }
    }
}
