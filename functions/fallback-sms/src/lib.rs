//! Netcore SMS fallback events. Takes RCS events too, which have the same record shape.

use webhook_ingest::{http::receiver::Receiver, provider::netcore_events};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "fallback-sms",
    formats: &[&netcore_events::FORMAT],
};
