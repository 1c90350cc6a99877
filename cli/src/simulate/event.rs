//! An event of a simulated message, with the expected attributes. They are not computed by the
//! receivers' parser, because a parser with a fault would then confirm its own results.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{meta, people::OutgoingMessage, random::Random};

/// A format in which a provider posts events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PostFormat {
    /// The function that receives it.
    pub function: &'static str,
    /// Envelope of a body.
    pub envelope: Envelope,
}

/// Envelope of the records in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Envelope {
    /// An array of records.
    Array,
    /// An object with the array in the field of this name.
    Field(&'static str),
    /// One record.
    Single,
    /// A Pub/Sub push with one record, base64.
    PubSub,
    /// Meta's entries and changes, see `meta`.
    Changes,
}

impl PostFormat {
    /// Whether a body can contain several records.
    pub fn takes_batches(self) -> bool {
        !matches!(self.envelope, Envelope::Single | Envelope::PubSub)
    }

    /// A body with these records.
    pub fn body(self, records: &[&Value]) -> Vec<u8> {
        let body = match self.envelope {
            Envelope::Array => json!(records),
            Envelope::Field(name) => json!({ name: records }),
            Envelope::Single => json!(records.first()),
            Envelope::PubSub => {
                let data = STANDARD.encode(json!(records.first()).to_string());
                json!({"subscription": "projects/simulated/subscriptions/rbm", "message": {"data": data, "attributes": {"product": "RBM"}}})
            }
            Envelope::Changes => meta::body(records),
        };
        body.to_string().into_bytes()
    }

    /// The fields around a record in a body, as they are stored.
    pub fn around(self, record: &Value) -> Value {
        match self.envelope {
            Envelope::Array | Envelope::Field(_) | Envelope::Single | Envelope::PubSub => Value::Null,
            Envelope::Changes => meta::around(record),
        }
    }
}

/// One event: the provider's record and the expected attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedEvent {
    /// Format in which it is posted.
    pub format: PostFormat,
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

/// The simulation of one provider.
pub(super) struct Provider {
    /// Weight of the provider: its share of all messages.
    pub(super) weight: u32,
    /// Formats of its events.
    pub(super) formats: &'static [PostFormat],
    /// Creates the events of one message. The second argument is the share of messages that fall back to SMS.
    pub(super) simulate: fn(&OutgoingMessage, f64, &mut Random) -> Vec<SimulatedEvent>,
}
