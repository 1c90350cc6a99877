//! Callbacks of an RCS gateway: one object per POST. `type` mixes content, state and interaction; together
//! with `direction` it gives the status.

use serde_json::Value;

use super::{
    EventContent, Format, Role,
    content::Fields,
    mapping::{Draft, is_empty, text_of},
};
use crate::event::{Attribute, FormatName, Status, time::Unit};

/// `{"reference","event_id","direction","user_id","timestamp","channel","type","message",…}`
pub static FORMAT: Format = Format {
    name: FormatName::new("rcs-gateway"),
    provider: "rcs-gateway",
    envelope: None,
    parameters: false,
    aliases: &[],
    recognizes: |_| true,
    fields: &[
        ("reference", Role::MessageId),
        ("channel", Role::Channel { documented: true }),
        ("timestamp", Role::Time(Unit::Iso)),
        ("user_id", Role::Recipient { plus: false }),
        ("type", Role::Text(Attribute::MessageType)),
        ("campaign_name", Role::Text(Attribute::Campaign)),
        ("message", Role::Any(Attribute::Content)),
    ],
    also: &[
        ("event_id", "extra"),
        ("direction", "extra"),
        ("session_id", "extra"),
        ("status", "extra"),
        ("vars", "extra"),
    ],
    derive,
    restore,
};

const CONTENT: [&str; 11] = [
    "text", "image", "video", "audio", "document", "contact", "location", "richcard", "carousel", "basic",
    "single",
];

fn derive(draft: &mut Draft<'_>) {
    draft.event_id = draft.record.get("event_id").and_then(text_of);
    let block = draft
        .record
        .get("status")
        .filter(|s| !is_empty(s))
        .and_then(text_of);
    let kind = match draft.attributes.get(&Attribute::MessageType) {
        Some(Value::String(kind)) => kind.clone(),
        _ => String::new(),
    };
    let inbound = draft
        .record
        .get("direction")
        .and_then(Value::as_str)
        .is_some_and(|d| d.trim().eq_ignore_ascii_case("inbound"));
    let Some(status) = block
        .as_ref()
        .map(|_| Status::Blocked)
        .or_else(|| status_of(&kind, inbound))
    else {
        return;
    };
    let reason = match block {
        // A text in `message` is then content, so that both fields can be rebuilt.
        Some(reason) => Some(reason),
        None if has_reason(&status) => draft.take_text(Attribute::Content),
        None => None,
    };
    if let Some(reason) = reason {
        draft.attributes.insert(Attribute::Remarks, reason.into());
    }
    if status == Status::Clicked
        && let Some(tap) = draft.attributes.remove(&Attribute::Content)
    {
        draft.attributes.insert(Attribute::Click, tap);
    }
    draft.status = Some(status);
}

fn restore<'a>(content: &mut EventContent<'a>, record: &mut Fields<'a>) {
    if let Some(tap) = content.attributes.remove(&Attribute::Click) {
        record.insert("message".into(), tap);
    }
    let reason_from_block = record
        .get("status")
        .is_some_and(|s| !s.is_empty() && s.as_word().is_some());
    if !reason_from_block
        && has_reason(&content.status)
        && let Some(reason) = content.attributes.remove(&Attribute::Remarks)
    {
        record.insert("message".into(), reason);
    }
}

/// For a failure, `message` is the reason; otherwise it is the content.
fn has_reason(status: &Status) -> bool {
    matches!(status, Status::Failed | Status::Blocked)
}

/// `None` if the type contains no word.
fn status_of(kind: &str, inbound: bool) -> Option<Status> {
    let word: String = kind
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    Some(match word.as_str() {
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "suggestionresponse" => Status::Clicked,
        "exception" | "error" => Status::Failed,
        // Some versions of the gateway write the reason of the block into `type`.
        "prepaidblocked" | "bloqueadoporduplicidade" => Status::Blocked,
        "suggestion" if inbound => Status::Clicked,
        content if content == "suggestion" || CONTENT.contains(&content) => {
            if inbound {
                Status::Received
            } else {
                Status::Sent
            }
        }
        _ => return Status::from_word(kind).ok(),
    })
}
