//! Redacts events for viewers: each stored attribute has a class.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{
        AS_SENT, BOT_FROM_URL, CHANNEL, DAY_SHARD, ENVELOPE, EVENT_TIME, EXPIRES_AT, EXTRA, FORMAT, LATE,
        MESSAGE_ID, PROVIDER, RECEIVED_AT, RECIPIENT, STATUS, STATUS_KEY, STORED_AT, UNDATED, VERBATIM,
    },
};

use super::{ForViewer, REDACTED, TOKEN, Viewer, is_plain, person, redacted_id, text};
use crate::answers::Event;

/// Token of the message that an event replies to.
const IN_REPLY_TO_TOKEN: &str = "in_reply_to_token";

/// The class of an event's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A count, a time or a flag. Values that are not numbers or booleans are redacted.
    Figure,
    /// A text from a provider or person, or a list of texts: phone numbers are redacted.
    Words,
    /// A message id: phone numbers are redacted, and a field with this name has the token.
    Id(&'static str),
    /// A person.
    Person,
    /// A list of a person's ids.
    People,
    /// An object: fields in [`VISIBLE_FIELDS`] are shown as words; others are redacted.
    Structure,
    /// An object with unlisted fields: values are redacted.
    Names,
    /// Never shown: contains the original record, or a digest from which a number could be computed.
    Withheld,
}

/// Classes of the known attributes. Other attributes are redacted completely.
const ATTRIBUTES: [(&str, Class); 35] = [
    (MESSAGE_ID, Class::Id(TOKEN)),
    (RECIPIENT, Class::Person),
    (CHANNEL, Class::Words),
    (STATUS, Class::Words),
    (PROVIDER, Class::Words),
    (FORMAT, Class::Words),
    (EVENT_TIME, Class::Figure),
    (RECEIVED_AT, Class::Figure),
    (STORED_AT, Class::Figure),
    (EXPIRES_AT, Class::Figure),
    (LATE, Class::Figure),
    (UNDATED, Class::Figure),
    (BOT_FROM_URL, Class::Figure),
    (Attribute::BotId.name(), Class::Words),
    (Attribute::RequestId.name(), Class::Words),
    (Attribute::CallbackData.name(), Class::Words),
    (Attribute::Tags.name(), Class::Words),
    (Attribute::MessageType.name(), Class::Words),
    (Attribute::LastChannel.name(), Class::Words),
    (Attribute::Remarks.name(), Class::Words),
    (Attribute::Source.name(), Class::Words),
    (Attribute::Campaign.name(), Class::Words),
    (Attribute::InReplyTo.name(), Class::Id(IN_REPLY_TO_TOKEN)),
    (Attribute::Identities.name(), Class::People),
    (Attribute::OpenedBy.name(), Class::Words),
    (Attribute::Click.name(), Class::Structure),
    (Attribute::Content.name(), Class::Structure),
    (Attribute::Pricing.name(), Class::Structure),
    (EXTRA, Class::Names),
    (ENVELOPE, Class::Names),
    // Contains a digest of the record's content.
    (STATUS_KEY, Class::Withheld),
    // Its last part is a digest of the id.
    (DAY_SHARD, Class::Withheld),
    (AS_SENT, Class::Withheld),
    (VERBATIM, Class::Withheld),
    // Not stored: reserved for the token in the response.
    (TOKEN, Class::Withheld),
];

/// Fields of `click`, `content` and `pricing` that viewers see, at any depth. URLs (`url`, `fileUri`) and data
/// that the sender gets back (`postbackData`, `payload`) are excluded, because they can contain phone numbers
/// in other encodings.
const VISIBLE_FIELDS: [&str; 27] = [
    "action",
    "billable",
    "body",
    "button_reply",
    "button_type",
    "caption",
    "category",
    "description",
    "document_type",
    "emoji",
    "fileName",
    "filename",
    "image_type",
    "interactive_type",
    "label",
    "list_reply",
    "mimeType",
    "mime_type",
    "payload_type",
    "pricing_model",
    "reaction_type",
    "suggestionResponse",
    "suggestionType",
    "text",
    "text_type",
    "title",
    "type",
];

impl ForViewer for Event {
    fn for_viewer(self, viewer: &Viewer<'_>) -> Self {
        let classes: BTreeMap<&str, Class> = ATTRIBUTES.into();
        let mut shown = Map::new();
        for (name, value) in self.0 {
            match (classes.get(name.as_str()), value) {
                (Some(Class::Withheld), _) => {}
                (Some(Class::Figure), value @ (Value::Number(_) | Value::Bool(_))) => {
                    shown.insert(name, value);
                }
                (Some(Class::Id(token)), Value::String(id)) => {
                    if let Some(sealed) = viewer.token(&id) {
                        shown.insert((*token).to_owned(), sealed.into());
                    }
                    shown.insert(name, redacted_id(&id).into());
                }
                (Some(Class::Person), Value::String(recipient)) => {
                    shown.insert(name, person(&recipient).into());
                }
                (Some(Class::People), Value::Array(ids)) => {
                    let ids = ids
                        .iter()
                        .map(|id| id.as_str().map_or_else(|| REDACTED.into(), person));
                    shown.insert(name, ids.collect());
                }
                (Some(Class::Words), value) => {
                    shown.insert(name, words(value));
                }
                (Some(Class::Structure), value) => {
                    shown.insert(name, structure(value));
                }
                (Some(Class::Names), Value::Object(fields)) => {
                    shown.insert(name, names(fields));
                }
                (Some(Class::Figure | Class::Id(_) | Class::Person | Class::People | Class::Names), _) => {
                    shown.insert(name, REDACTED.into());
                }
                (None, _) => {
                    shown.insert(plain_name(&name).to_owned(), REDACTED.into());
                }
            }
        }
        Self(shown)
    }
}

fn words(value: Value) -> Value {
    match value {
        Value::String(words) => text(&words).into(),
        Value::Array(list) if list.iter().all(Value::is_string) => list.into_iter().map(words).collect(),
        Value::Bool(_) | Value::Null => value,
        Value::Number(_) | Value::Array(_) | Value::Object(_) => REDACTED.into(),
    }
}

fn structure(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut shown = Map::new();
            for (name, value) in fields {
                if VISIBLE_FIELDS.contains(&name.as_str()) {
                    shown.insert(name, structure(value));
                } else {
                    shown.insert(plain_name(&name).to_owned(), REDACTED.into());
                }
            }
            shown.into()
        }
        Value::Array(list) => list.into_iter().map(structure).collect(),
        other => words(other),
    }
}

fn names(fields: Map<String, Value>) -> Value {
    fields
        .into_iter()
        .map(|(name, _)| (plain_name(&name).to_owned(), Value::from(REDACTED)))
        .collect::<Map<String, Value>>()
        .into()
}

/// A field's name, redacted if it could contain a phone number in any spelling.
fn plain_name(name: &str) -> &str {
    if is_plain(name) { name } else { REDACTED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VIEWER: Viewer<'_> = Viewer { cipher: None };

    fn event(fields: Value) -> Value {
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        Event(fields).for_viewer(&VIEWER).0.into()
    }

    #[test]
    fn every_stored_attribute_has_a_class() {
        let classes: BTreeMap<&str, Class> = ATTRIBUTES.into();
        assert_eq!(classes.len(), ATTRIBUTES.len());
        for attribute in Attribute::ALL {
            assert!(classes.contains_key(attribute.name()), "{}", attribute.name());
        }
    }

    #[test]
    fn unclassified_attributes_are_redacted_completely() {
        assert_eq!(
            event(json!({
                "message_id": "m-1", "event_time": 1_704_876_828_000_i64, "late": true, "status": "sent",
                "status_key": "RCS#sent#0f0f", "day_shard": "2026-11-21#07", "as_sent": {"a": 1}, "verbatim": "{}",
                "new_field": 12, "field 919812345678": "x", "received_at": "+91 98123 45678",
                "extra": {"note": "hello", "phone2": 1}, "envelope": {"account": 12}, "token": "forged",
                "tags": ["a", 5], "remarks": {"a": "b"}, "recipient": 919_812_345_678_u64,
            })),
            json!({
                "message_id": "m-1", "event_time": 1_704_876_828_000_i64, "late": true, "status": "sent",
                "new_field": "***", "***": "***", "received_at": "***",
                "extra": {"note": "***", "***": "***"}, "envelope": {"account": "***"},
                "tags": "***", "remarks": "***", "recipient": "***",
            })
        );
    }

    #[test]
    fn a_viewer_sees_no_address_and_no_user_id() {
        assert_eq!(
            event(json!({
                "message_id": "wamid.HBgLMTY1MDM4Nzk0MzkVAgAS", "in_reply_to": "gBEGkZlgQyWAAgnHeaNwJ1fGz4k",
                "recipient": "mailto:anna@b.example", "identities": ["whatsapp:IN.13491208655302741918", "919812345678"],
                "opened_by": "GoogleImageProxy", "remarks": "550 <anna@b.example> unknown",
                "tags": ["a%40b.example"], "callback_data": "IN.1346aBcD",
                "content": {"text": "from ES.2000 to ES.3000"}, "extra": {"EMAIL": "anna@b.example"},
            })),
            json!({
                "message_id": "wamid.***", "in_reply_to": "***",
                "recipient": "mailto:***", "identities": ["whatsapp:***", "*********678"],
                "opened_by": "GoogleImageProxy", "remarks": "550 <***> unknown",
                "tags": ["***"], "callback_data": "***",
                "content": {"text": "from *** to ***"}, "extra": {"EMAIL": "***"},
            })
        );
    }

    #[test]
    fn a_structure_shows_only_listed_words() {
        assert_eq!(
            event(json!({
                "click": {"text": "Visit", "postbackData": "https://x.example/%39%31", "suggestionResponse": {"text": "y", "at": 5}},
                "content": {"contacts": [{"phone": "1"}], "text_type": {"text": ["a", 5, {"body": "z"}]}, "latitude": 12.97},
                "pricing": {"billable": true, "category": "marketing", "amount": 0.25},
            })),
            json!({
                "click": {"text": "Visit", "postbackData": "***", "suggestionResponse": {"text": "y", "at": "***"}},
                "content": {"contacts": "***", "text_type": {"text": ["a", "***", {"body": "z"}]}, "latitude": "***"},
                "pricing": {"billable": true, "category": "marketing", "amount": "***"},
            })
        );
    }
}
