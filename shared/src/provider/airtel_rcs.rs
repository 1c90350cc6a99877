//! Airtel's RCS events and replies.
//!
//! A template's approval has the template's id in `messageId`, and is stored under it. Some of Airtel's times contain
//! spaces; such an event is undated, and the record keeps the text.

use serde_json::Value;

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::{Draft, is_empty, text_of},
    rcs_network,
};
use crate::event::{Attribute, FormatName, Status, time::Unit};

/// `{"messageId","msisdn","msgStream","templateId","eventType","sendTime","messageContent","error"}`
pub static FORMAT: Format = Format {
    name: FormatName::new("airtel-rcs"),
    provider: "airtel",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("messageId", Role::MessageId),
        ("eventType", Role::Text(Attribute::MessageType)),
        ("sendTime", Role::Time(Unit::Iso)),
        ("msisdn", Role::Recipient { plus: true }),
        ("agentId", Role::Text(Attribute::BotId)),
        ("messageContent", Role::Any(Attribute::Content)),
        ("error.errorMessage", Role::Text(Attribute::Remarks)),
        ("error", Role::Text(Attribute::Remarks)),
    ],
    also: &[
        ("error.errorType", "extra"),
        ("eventId", "extra"),
        ("messageType", "extra"),
        ("msgStream", "extra"),
        ("templateId", "extra"),
    ],
    derive,
    restore,
};

fn derive(draft: &mut Draft<'_>) {
    rcs_network::set_status(draft);
    let content = draft.attributes.get(&Attribute::Content);
    let field = |name: &str| content.and_then(|content: &Value| content.get(name));
    let answered = field("contextMessageId").and_then(text_of);
    let is_tap = field("postbackData").is_some_and(|data| !is_empty(data));
    if draft.status == Some(Status::Received) {
        if is_tap && let Some(tap) = draft.attributes.remove(&Attribute::Content) {
            draft.status = Some(Status::Clicked);
            draft.attributes.insert(Attribute::Click, tap);
        }
        if let Some(answered) = answered.filter(|id| !id.is_empty()) {
            draft.attributes.insert(Attribute::InReplyTo, answered.into());
        }
    }
    rcs_network::identify(draft, "eventId", &[]);
}

fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    if let Some(tap) = content.attributes.remove(&Attribute::Click) {
        record.insert("messageContent".into(), tap);
    }
}
