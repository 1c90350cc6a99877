//! The receivers, one row each. Each row has a binary with its name in `src/bin`.

use std::process::ExitCode;

use webhook_ingest::{
    http::{receiver::Receiver, runtime},
    provider::{
        FormatId, meta_account, meta_call, meta_message, meta_status, netcore_delivery_status,
        netcore_events, netcore_incoming, rcs_gateway, whatsapp_incoming,
    },
};

/// Meta's formats, which occur only in Meta's envelope.
const META: [FormatId; 4] = [
    &meta_status::FORMAT,
    &meta_message::FORMAT,
    &meta_call::FORMAT,
    &meta_account::FORMAT,
];

/// All receivers.
///
/// RCS events and SMS fallback have the same record format, so `event-webhook` and `fallback-sms` accept
/// both. `event-webhook` and `delivery-status` also accept Meta's form: Paytm Pi sends the events of all channels
/// to one address.
pub static RECEIVERS: [Receiver; 6] = [
    Receiver {
        function: "event-webhook",
        provider: "netcore",
        formats: &[&netcore_events::FORMAT, META[0], META[1], META[2], META[3]],
    },
    Receiver {
        function: "fallback-sms",
        provider: "netcore",
        formats: &[&netcore_events::FORMAT],
    },
    Receiver {
        function: "incoming-webhook",
        provider: "netcore",
        formats: &[&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT],
    },
    Receiver {
        function: "delivery-status",
        provider: "netcore",
        formats: &[
            &netcore_delivery_status::FORMAT,
            META[0],
            META[1],
            META[2],
            META[3],
        ],
    },
    Receiver {
        function: "rcs-callback",
        provider: "rcs-gateway",
        formats: &[&rcs_gateway::FORMAT],
    },
    Receiver {
        function: "whatsapp-cloud",
        provider: "meta",
        formats: &META,
    },
];

/// The receiver with this function name.
pub fn receiver(function: &str) -> Option<Receiver> {
    RECEIVERS
        .into_iter()
        .find(|receiver| receiver.function == function)
}

/// Runs the receiver with this function name until Lambda stops the process.
pub fn run(function: &str) -> ExitCode {
    match receiver(function) {
        Some(receiver) => runtime::run(receiver),
        None => ExitCode::FAILURE,
    }
}
