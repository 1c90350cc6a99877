//! An event of a simulated message. The expectation is written down here and not taken from the receiver's
//! own reading, or the two would always agree.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{chance::Chance, people::Sending};

/// A shape in which a provider posts events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// The function that receives it.
    pub function: &'static str,
    /// What a body is.
    pub envelope: Envelope,
}

/// What a body of records is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Envelope {
    /// An array of records.
    Array,
    /// An object whose field of this name holds the array.
    Field(&'static str),
    /// One record.
    Single,
}

impl Form {
    /// Whether a body holds several records.
    pub fn takes_batches(self) -> bool {
        self.envelope != Envelope::Single
    }

    /// A body of records.
    pub fn body(self, records: &[&Value]) -> Vec<u8> {
        let body = match self.envelope {
            Envelope::Array => json!(records),
            Envelope::Field(name) => json!({ name: records }),
            Envelope::Single => json!(records.first()),
        };
        body.to_string().into_bytes()
    }
}

/// One event: what the provider reports, and what must be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The shape in which it is reported.
    pub form: Form,
    /// The function that receives it.
    pub function: &'static str,
    /// The provider's record.
    pub record: Value,
    /// Stored as `message_id`.
    pub message_id: String,
    /// Stored as `channel`.
    pub channel: &'static str,
    /// Stored as `status`.
    pub status: &'static str,
    /// Stored as `event_time`.
    pub at: EpochMillis,
    /// Stored as `recipient`.
    pub recipient: String,
}

/// The life of one provider's messages.
pub(super) struct Life {
    /// Its share of the messages, beside the others' weights.
    pub(super) weight: u32,
    /// The shapes in which its events are reported.
    pub(super) forms: &'static [Form],
    /// The events of one message. The second argument is the share of messages that fall back to SMS.
    pub(super) live: fn(&Sending, f64, &mut Chance) -> Vec<Happening>,
}
