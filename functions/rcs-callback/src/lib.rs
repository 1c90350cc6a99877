//! RCS callbacks of a gateway that posts one object per event.

use webhook_ingest::{http::receiver::Receiver, provider::rcs_gateway};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "rcs-callback",
    formats: &[&rcs_gateway::FORMAT],
};
