//! Google's RCS for Business (RBM): events of a person (`UserEvent`), and a person's messages (`UserMessage`). Vi
//! sends the same records.
//!
//! A Pub/Sub push contains a record as base64. [`decode`](crate::pipeline::decode) unpacks it before the records are
//! found.

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::Draft,
    rcs_network::{content_fields, identify, set_status, take_content},
};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"senderPhoneNumber","eventType","eventId","messageId","sendTime","agentId"}`, or `text`, `userFile`, `location`
/// or `suggestionResponse` instead of `eventType`.
pub static FORMAT: Format = Format {
    name: FormatName::new("google-rbm"),
    provider: "google-rbm",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| has("senderPhoneNumber") || has("eventId"),
    fields: &[
        ("messageId", Role::MessageId),
        ("eventType", Role::Text(Attribute::MessageType)),
        ("sendTime", Role::Time(Unit::Iso)),
        ("senderPhoneNumber", Role::Recipient { plus: true }),
        ("agentId", Role::Text(Attribute::BotId)),
        ("suggestionResponse", Role::Any(Attribute::Click)),
        ("reason", Role::Text(Attribute::Remarks)),
    ],
    also: &ALSO,
    derive,
    restore,
};

/// Documented fields without a role.
pub(super) const ALSO: [(&str, &str); 4] = [
    ("eventId", "extra"),
    ("text", "content"),
    ("userFile", "content"),
    ("location", "content"),
];

pub(super) fn derive(draft: &mut Draft<'_>) {
    take_content(draft, &["text", "userFile", "location"]);
    set_status(draft);
    identify(draft, "eventId", &[]);
}

pub(super) fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    record.extend(content_fields(content));
}
