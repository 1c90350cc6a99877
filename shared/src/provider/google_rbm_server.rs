//! Google's RCS for Business (RBM): events of the platform (`ServerEvent`), such as the expiration of a message.
//! They name the person in `phoneNumber`.

use super::{Format, Role, mapping::Draft, rcs_network};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"phoneNumber","agentId","messageId","eventType","eventId","sendTime"}`
pub static FORMAT: Format = Format {
    name: FormatName::new("google-rbm-server"),
    provider: "google-rbm",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| has("phoneNumber") && !has("senderPhoneNumber"),
    fields: &[
        ("messageId", Role::MessageId),
        ("eventType", Role::Text(Attribute::MessageType)),
        ("sendTime", Role::Time(Unit::Iso)),
        ("phoneNumber", Role::Recipient { plus: true }),
        ("agentId", Role::Text(Attribute::BotId)),
        ("reason", Role::Text(Attribute::Remarks)),
    ],
    also: &[("eventId", "extra")],
    derive,
    restore: |_, _| {},
};

fn derive(draft: &mut Draft<'_>) {
    rcs_network::set_status(draft);
    rcs_network::identify(draft, "eventId", &[]);
}
