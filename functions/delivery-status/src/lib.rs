//! Netcore Webhooks v2: `{"delivery_status":[…]}`.

use webhook_ingest::{http::receiver::Receiver, provider::netcore_delivery_status};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "delivery-status",
    formats: &[&netcore_delivery_status::FORMAT],
};
