//! Meta's `WhatsApp` Cloud API: a call begins or ends. Its status is the word in `event`.

use serde_json::Value;

use super::{
    Format, Role,
    mapping::Draft,
    meta::{self, PersonFields},
};
use crate::event::{Attribute, FormatName, time::Unit};

/// `{"id","from","to","event","timestamp","direction"}` in `calls`
pub static FORMAT: Format = Format {
    name: FormatName::new("meta-call"),
    provider: "meta",
    envelope: None,
    recognizes: |has| has("event"),
    fields: &[
        ("id", Role::MessageId),
        ("event", Role::Status(|_| None)),
        ("timestamp", Role::Time(Unit::SecondsText)),
        ("biz_opaque_callback_data", Role::Text(Attribute::CallbackData)),
    ],
    also: &[
        ("from", "extra"),
        ("from_user_id", "extra"),
        ("from_parent_user_id", "extra"),
        ("to", "extra"),
        ("to_user_id", "extra"),
        ("to_parent_user_id", "extra"),
        ("direction", "extra"),
        ("status", "extra"),
        ("start_time", "extra"),
        ("end_time", "extra"),
        ("duration", "extra"),
        ("session", "extra"),
        ("errors", "extra"),
    ],
    derive,
    restore: |_, _| {},
};

const CALLER: PersonFields = ["from", "from_user_id", "from_parent_user_id"];
const CALLED: PersonFields = ["to", "to_user_id", "to_parent_user_id"];

fn derive(draft: &mut Draft<'_>) {
    meta::set_sender(draft);
    meta::explain(draft);
    meta::distinguish_by_time(draft);
    let by_business = draft.record.get("direction").and_then(Value::as_str) == Some("BUSINESS_INITIATED");
    meta::name_person(draft, if by_business { CALLED } else { CALLER });
}
