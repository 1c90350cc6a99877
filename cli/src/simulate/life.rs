//! Lives of messages: what a provider tells, beside what must be stored of it. The expectation is
//! written down here and not taken from the receiver's own reading, or the two would always agree.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    Cast,
    chance::Chance,
    gateway, netcore,
    people::{Sending, World},
    whatsapp,
};

/// Format in which a provider reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Netcore RCS events, an array.
    RcsEvents,
    /// Netcore SMS fallback events, an array.
    SmsFallback,
    /// Netcore incoming RCS messages, an array.
    RcsIncoming,
    /// Netcore incoming `WhatsApp` messages, in an envelope.
    WhatsAppIncoming,
    /// Netcore delivery status, in an envelope.
    DeliveryStatus,
    /// A gateway's callbacks, one to a body.
    Gateway,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RcsEvents,
        Self::SmsFallback,
        Self::RcsIncoming,
        Self::WhatsAppIncoming,
        Self::DeliveryStatus,
        Self::Gateway,
    ];

    /// The function that it is posted to.
    pub fn function(self) -> &'static str {
        match self {
            Self::RcsEvents => "event-webhook",
            Self::SmsFallback => "fallback-sms",
            Self::RcsIncoming | Self::WhatsAppIncoming => "incoming-webhook",
            Self::DeliveryStatus => "delivery-status",
            Self::Gateway => "rcs-callback",
        }
    }

    /// Whether a body holds several records.
    pub fn takes_batches(self) -> bool {
        self != Self::Gateway
    }

    /// A body of records.
    pub fn body(self, records: &[&Value]) -> Vec<u8> {
        let body = match self {
            Self::RcsEvents | Self::SmsFallback | Self::RcsIncoming => json!(records),
            Self::WhatsAppIncoming => json!({ "incoming_message": records }),
            Self::DeliveryStatus => json!({ "delivery_status": records }),
            Self::Gateway => json!(records.first()),
        };
        body.to_string().into_bytes()
    }
}

/// One event: what is told, and what must be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// In which shape it is told.
    pub form: Form,
    /// The function that is told.
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

/// As many messages as are wanted, each with all that happened to it.
pub(super) fn all(
    messages: usize,
    fallback: f64,
    world: &World,
    cast: &Cast,
    chance: &mut Chance,
) -> Vec<Happening> {
    /// Of some forms only few messages tell; still there is an end to looking for them.
    const TRIES: usize = 60;
    let mut all = Vec::new();
    let mut lived = 0;
    for _ in 0..messages.saturating_mul(TRIES) {
        if lived == messages {
            break;
        }
        let sending = world.sending(chance);
        let told = all.len();
        all.extend(
            life(&sending, fallback, chance)
                .into_iter()
                .filter(|happening| happening.at <= sending.until)
                .filter_map(|happening| cast.told(happening)),
        );
        lived += usize::from(all.len() > told);
    }
    all
}

fn life(sending: &Sending, fallback: f64, chance: &mut Chance) -> Vec<Happening> {
    match chance.weighed(&[(55, 0), (25, 1), (20, 2)]) {
        0 => netcore::life(sending, fallback, chance),
        1 => whatsapp::life(sending, chance),
        _ => gateway::life(sending, fallback, chance),
    }
}
