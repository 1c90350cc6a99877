//! Netcore Webhooks v2: `{"delivery_status":[…]}`, with the price of each message.
//!
//! The records do not name the channel. Billing categories and per-message pricing belong to `WhatsApp`, and
//! the related format for incoming messages is `WhatsApp`'s, so the channel is `WHATSAPP`.

use super::{Format, Role, mapping::Draft};
use crate::event::{Attribute, Channel, FormatName, Status, time::Unit};

/// `{"delivery_status":[{"ncmessage_id","recipient","status","received_at","pricing",…}]}`
pub static FORMAT: Format = Format {
    name: FormatName::new("netcore-delivery-status"),
    provider: "netcore",
    envelope: Some("delivery_status"),
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("ncmessage_id", Role::MessageId),
        ("status", Role::Status(spell)),
        ("channel", Role::Channel { documented: false }),
        ("received_at", Role::Time(Unit::SecondsText)),
        ("recipient", Role::Recipient { plus: false }),
        ("phoneNumber", Role::Text(Attribute::BotId)),
        ("pricing", Role::Any(Attribute::Pricing)),
        ("source", Role::Text(Attribute::Source)),
        ("status_remark", Role::Text(Attribute::Remarks)),
        ("x-apiheader", Role::Text(Attribute::CallbackData)),
    ],
    also: &[],
    derive,
    restore: |_, _| {},
};

fn derive(draft: &mut Draft<'_>) {
    draft
        .channel
        .get_or_insert_with(|| Channel::from_word(Channel::WHATSAPP));
}

fn spell(status: &Status) -> Option<&'static str> {
    Some(match status {
        Status::Sent => "sent",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Clicked => "clicked",
        Status::Failed => "failed",
        _ => return None,
    })
}
