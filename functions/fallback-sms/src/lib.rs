//! Netcore SMS fallback events. Takes RCS events too, which have the same record shape.

use webhook_ingest::{provider::netcore_events, receiver::Receiver};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "fallback-sms",
    formats: &[&netcore_events::FORMAT],
};
