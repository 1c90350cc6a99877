//! Meta's `WhatsApp` Cloud API: the status of a message that was sent. A message that is read may never be
//! reported as delivered.

use serde_json::Value;

use super::{
    Format, Role,
    mapping::Draft,
    meta::{self, PersonFields},
};
use crate::event::{Attribute, FormatName, Status, key, time::Unit};

/// `{"id","status","timestamp","recipient_id","recipient_user_id","pricing","conversation","errors"}` in
/// `statuses`
pub static FORMAT: Format = Format {
    name: FormatName::new("meta-status"),
    provider: "meta",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |has| has("status") && !has("event"),
    fields: &[
        ("id", Role::MessageId),
        ("status", Role::Status(spell)),
        ("timestamp", Role::Time(Unit::SecondsText)),
        ("biz_opaque_callback_data", Role::Text(Attribute::CallbackData)),
        ("pricing", Role::Any(Attribute::Pricing)),
    ],
    also: &[
        ("recipient_id", "extra"),
        ("recipient_user_id", "extra"),
        ("recipient_parent_user_id", "extra"),
        ("recipient_type", "extra"),
        ("recipient_participant_id", "extra"),
        ("recipient_participant_user_id", "extra"),
        ("recipient_participant_parent_user_id", "extra"),
        ("conversation", "extra"),
        ("errors", "extra"),
        ("type", "extra"),
        ("payment", "extra"),
    ],
    derive,
    restore: |_, _| {},
};

const RECIPIENT: PersonFields = ["recipient_id", "recipient_user_id", "recipient_parent_user_id"];
const PARTICIPANT: PersonFields = [
    "recipient_participant_id",
    "recipient_participant_user_id",
    "recipient_participant_parent_user_id",
];

fn derive(draft: &mut Draft<'_>) {
    meta::set_sender(draft);
    meta::explain(draft);
    meta::distinguish_by_time(draft);
    // In a message to a group, the recipient is the group. Each participant reports a separate event.
    let to_group = draft.record.get("recipient_type").and_then(Value::as_str) == Some("group");
    if to_group {
        let named = PARTICIPANT
            .iter()
            .find_map(|field| draft.record.get(field)?.as_str());
        draft.addressee = named.map(str::to_owned);
        // Two participants can have the same event in the same second.
        if let (Some(participant), Some(event)) = (&draft.addressee, &draft.event_id) {
            draft.event_id = Some(key::digest([participant.as_bytes(), b" ", event.as_bytes()]));
        }
    }
    meta::name_person(draft, if to_group { PARTICIPANT } else { RECIPIENT });
}

fn spell(status: &Status) -> Option<&'static str> {
    Some(match status {
        Status::Sent => "sent",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Failed => "failed",
        _ => return None,
    })
}
