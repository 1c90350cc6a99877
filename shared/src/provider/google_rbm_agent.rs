//! Google's RCS for Business (RBM): records without a message id. A person types, subscribes, unsubscribes or
//! writes, or something happened to the agent itself.
//!
//! The event id takes the place of the message id, see `rcs_network::identify`.

use super::{Format, Role, google_rbm};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"senderPhoneNumber","eventType","eventId","sendTime","agentId"}`
pub static FORMAT: Format = Format {
    name: FormatName::new("google-rbm-agent"),
    provider: "google-rbm",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| !has("messageId") && (has("eventType") || has("eventId") || has("senderPhoneNumber")),
    fields: &[
        ("eventType", Role::Text(Attribute::MessageType)),
        ("sendTime", Role::Time(Unit::Iso)),
        ("senderPhoneNumber", Role::Recipient { plus: true }),
        ("agentId", Role::Text(Attribute::BotId)),
        ("suggestionResponse", Role::Any(Attribute::Click)),
        ("reason", Role::Text(Attribute::Remarks)),
    ],
    also: &google_rbm::ALSO,
    derive: google_rbm::derive,
    restore: google_rbm::restore,
};
