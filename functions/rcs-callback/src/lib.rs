//! RCS callbacks of a gateway that posts one object per event.

use webhook_ingest::{provider::rcs_gateway, receiver::Receiver};

/// This function's name and formats.
pub const RECEIVER: Receiver = Receiver {
    function: "rcs-callback",
    formats: &[&rcs_gateway::FORMAT],
};
