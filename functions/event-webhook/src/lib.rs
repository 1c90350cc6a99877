//! Netcore RCS events: Sent, Not Sent, Delivered, Read, Clicked, Failed. Takes SMS fallback events
//! too, which have the same record shape.

use webhook_ingest::{http::receiver::Receiver, provider::netcore_events};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "event-webhook",
    formats: &[&netcore_events::FORMAT],
};
