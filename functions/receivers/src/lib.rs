//! The receivers, one row each. Each row has a binary with its name in `src/bin`.

use std::process::ExitCode;

use webhook_ingest::{
    http::{
        receiver::Receiver,
        runtime,
        sender::{NETCORE, NETCORE_SMS, PAYTM, RCS_GATEWAY},
    },
    provider::{
        netcore_delivery_status, netcore_events, netcore_incoming, netcore_sms, rcs_gateway,
        whatsapp_incoming,
    },
};

/// All receivers.
///
/// RCS events and SMS fallback have the same record format, so `event-webhook` and `fallback-sms` accept
/// both.
pub static RECEIVERS: [Receiver; 6] = [
    Receiver {
        function: "event-webhook",
        provider: "netcore",
        formats: &[&netcore_events::FORMAT],
        senders: &[&NETCORE, &PAYTM],
    },
    Receiver {
        function: "fallback-sms",
        provider: "netcore",
        formats: &[&netcore_events::FORMAT],
        senders: &[&NETCORE],
    },
    Receiver {
        function: "incoming-webhook",
        provider: "netcore",
        formats: &[&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT],
        senders: &[&NETCORE],
    },
    Receiver {
        function: "delivery-status",
        provider: "netcore",
        formats: &[&netcore_delivery_status::FORMAT],
        senders: &[&NETCORE],
    },
    Receiver {
        function: "rcs-callback",
        provider: "rcs-gateway",
        formats: &[&rcs_gateway::FORMAT],
        senders: &[&RCS_GATEWAY],
    },
    Receiver {
        function: "sms-delivery",
        provider: "netcore",
        formats: &[&netcore_sms::FORMAT],
        senders: &[&NETCORE_SMS],
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
