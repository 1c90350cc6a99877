//! Netcore incoming messages: what people wrote, sent or tapped, over RCS or `WhatsApp`.

use webhook_ingest::{
    http::receiver::Receiver,
    provider::{netcore_incoming, whatsapp_incoming},
};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "incoming-webhook",
    formats: &[&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT],
};
