//! The receivers, one row each. Each row has a binary with its name in `src/bin`.

use std::process::ExitCode;

use webhook_ingest::{
    http::{
        receiver::Receiver,
        runtime,
        sender::{self, GOOGLE, NETCORE, NETCORE_EMAIL, NETCORE_SMS, PAYTM, RCS_GATEWAY},
    },
    provider::{
        FormatId, airtel_rcs, google_rbm, google_rbm_agent, google_rbm_server, jio_rcs, jio_rcs_agent,
        meta_account, meta_call, meta_message, meta_status, netcore_delivery_status, netcore_email,
        netcore_email_sendgrid, netcore_events, netcore_incoming, netcore_sms, paytm_rcs, paytm_sms,
        rcs_gateway, whatsapp_incoming,
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
/// both. Paytm Pi sends the events of all channels to one URL, therefore `event-webhook` and `delivery-status` also
/// accept its own formats and Meta's.
pub static RECEIVERS: [Receiver; 9] = [
    Receiver {
        function: "event-webhook",
        provider: "netcore",
        formats: &[
            &netcore_events::FORMAT,
            &paytm_sms::FORMAT,
            &paytm_rcs::FORMAT,
            &jio_rcs_agent::FORMAT,
            META[0],
            META[1],
            META[2],
            META[3],
        ],
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
        formats: &[
            &netcore_delivery_status::FORMAT,
            META[0],
            META[1],
            META[2],
            META[3],
        ],
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
    Receiver {
        function: "email-event",
        provider: "netcore",
        formats: &[&netcore_email::FORMAT, &netcore_email_sendgrid::FORMAT],
        senders: &[&NETCORE_EMAIL],
    },
    Receiver {
        function: "rbm-event",
        provider: "rbm",
        // The more specific formats first: the formats for events of no message follow those of a message.
        formats: &[
            &google_rbm_server::FORMAT,
            &google_rbm::FORMAT,
            &airtel_rcs::FORMAT,
            &google_rbm_agent::FORMAT,
            &paytm_rcs::FORMAT,
            &jio_rcs::FORMAT,
            &jio_rcs_agent::FORMAT,
        ],
        senders: &[&GOOGLE],
    },
    Receiver {
        function: "whatsapp-cloud",
        provider: "meta",
        formats: &META,
        senders: &[&sender::META],
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
