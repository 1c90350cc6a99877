//! Jio's RCS events without a message id: a person types, subscribes or unsubscribes. Paytm Pi sends the same shape.
//!
//! The event id takes the place of the message id, see `rcs_network::identify`.

use super::{Format, Role, jio_rcs};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"userPhoneNumber","botId","entityType","entity":{"eventType","eventId","sendTime"}}`
pub static FORMAT: Format = Format {
    name: FormatName::new("jio-rcs-agent"),
    provider: "jio",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| has("entity.eventType") && !has("entity.messageId"),
    fields: &[
        ("entity.eventType", Role::Text(Attribute::MessageType)),
        ("entity.sendTime", Role::Time(Unit::Iso)),
        ("userPhoneNumber", Role::Recipient { plus: true }),
        ("botId", Role::Text(Attribute::BotId)),
        ("entity.suggestionResponse", Role::Any(Attribute::Click)),
        ("entity.error.message", Role::Text(Attribute::Remarks)),
        ("entity.error", Role::Text(Attribute::Remarks)),
    ],
    also: &jio_rcs::ALSO,
    derive: jio_rcs::derive,
    restore: jio_rcs::restore,
};
