//! Jio's RCS events, and those of its resellers: the event is nested in `entity`.

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::Draft,
    rcs_network::{content_fields, find_person, identify, set_status, take_content},
};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"userPhoneNumber","botId","entityType","entity":{"eventType","messageId","eventId","sendTime","error",…}}`
///
/// In a person's message, `entity` has `text`, `userFile`, `location` or `suggestionResponse`.
pub static FORMAT: Format = Format {
    name: FormatName::new("jio-rcs"),
    provider: "jio",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &FIELDS,
    also: &ALSO,
    derive,
    restore,
};

static FIELDS: [(&str, Role); 8] = fields("botId", true);

/// The fields, with the name of the agent's field, and whether the number has a plus.
pub(super) const fn fields(agent: &'static str, plus: bool) -> [(&'static str, Role); 8] {
    [
        ("entity.messageId", Role::MessageId),
        ("entity.eventType", Role::Text(Attribute::MessageType)),
        ("entity.sendTime", Role::Time(Unit::Iso)),
        ("userPhoneNumber", Role::Recipient { plus }),
        (agent, Role::Text(Attribute::BotId)),
        ("entity.suggestionResponse", Role::Any(Attribute::Click)),
        // An object in some events, a string in others.
        ("entity.error.message", Role::Text(Attribute::Remarks)),
        ("entity.error", Role::Text(Attribute::Remarks)),
    ]
}

/// Documented fields without a role.
pub(super) const ALSO: [(&str, &str); 9] = [
    ("entityType", "extra"),
    ("entity.error.code", "extra"),
    ("entity.error.errCode", "extra"),
    ("entity.eventId", "extra"),
    ("entity.phoneNumber", "extra"),
    ("entity.senderPhoneNumber", "extra"),
    ("entity.text", "content"),
    ("entity.userFile", "content"),
    ("entity.location", "content"),
];

pub(super) fn derive(draft: &mut Draft<'_>) {
    take_content(draft, &["entity.text", "entity.userFile", "entity.location"]);
    find_person(draft, &["entity.senderPhoneNumber", "entity.phoneNumber"]);
    set_status(draft);
    identify(draft, "entity.eventId", &["botId", "agentId"]);
}

pub(super) fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    let fields = content_fields(content);
    if let Some(entity) = record.get_mut("entity") {
        for (name, value) in fields {
            entity.set(name, value);
        }
    }
}
