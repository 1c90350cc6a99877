//! What a viewer gets of an event: each stored attribute has a class.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{
        AS_SENT, CHANNEL, DAY_SHARD, ENVELOPE, EVENT_TIME, EXPIRES_AT, EXTRA, FORMAT, LATE, MESSAGE_ID,
        PROVIDER, RECEIVED_AT, RECIPIENT, STATUS, STATUS_KEY, UNDATED, VERBATIM,
    },
};

use super::{ForViewer, REDACTED, TOKEN, Viewer, is_plain, person, text};
use crate::answers::Event;

/// The same of the message that an event answers.
const IN_REPLY_TO_TOKEN: &str = "in_reply_to_token";

/// The class of an event's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A figure, a time or a mark: anything but a number and a boolean is redacted.
    Figure,
    /// A text of a provider or person, or a list of them: shown with numbers redacted.
    Words,
    /// A message id: as words, and beside it, under this name, the token that opens the message.
    Id(&'static str),
    /// A person.
    Person,
    /// An object: of the fields in [`TOLD`] the words, of all others the name at most.
    Structure,
    /// An object of unlisted fields: names at most.
    Names,
    /// Never shown: it holds the record again, or what a number can be computed from.
    Withheld,
}

/// The class of every attribute that is stored under a name of ours. Any other is redacted as a whole.
const ATTRIBUTES: [(&str, Class); 31] = [
    (MESSAGE_ID, Class::Id(TOKEN)),
    (RECIPIENT, Class::Person),
    (CHANNEL, Class::Words),
    (STATUS, Class::Words),
    (PROVIDER, Class::Words),
    (FORMAT, Class::Words),
    (EVENT_TIME, Class::Figure),
    (RECEIVED_AT, Class::Figure),
    (EXPIRES_AT, Class::Figure),
    (LATE, Class::Figure),
    (UNDATED, Class::Figure),
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
    (Attribute::Click.name(), Class::Structure),
    (Attribute::Content.name(), Class::Structure),
    (Attribute::Pricing.name(), Class::Structure),
    (EXTRA, Class::Names),
    (ENVELOPE, Class::Names),
    // A digest of the record's content is in it.
    (STATUS_KEY, Class::Withheld),
    // Its last part is a digest of the id.
    (DAY_SHARD, Class::Withheld),
    (AS_SENT, Class::Withheld),
    (VERBATIM, Class::Withheld),
    // Not stored: a name of ours in the answer, which no attribute may take.
    (TOKEN, Class::Withheld),
];

/// Fields of `click`, `content` and `pricing` whose words a viewer reads, at any depth. No address
/// (`url`, `fileUri`) and nothing the sender put in to get it back (`postbackData`, `payload`) is among
/// them: those may hold numbers in other encodings.
const TOLD: [&str; 27] = [
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
                    shown.insert(name, text(&id).into());
                }
                (Some(Class::Person), Value::String(recipient)) => {
                    shown.insert(name, person(&recipient).into());
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
                (Some(Class::Figure | Class::Id(_) | Class::Person | Class::Names), _) => {
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
        Value::String(said) => text(&said).into(),
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
                if TOLD.contains(&name.as_str()) {
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

/// A field's name where it cannot hold a number in any spelling.
fn plain_name(name: &str) -> &str {
    if is_plain(name) { name } else { REDACTED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VIEWER: Viewer<'_> = Viewer { seal: None };

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
    fn what_nobody_classified_is_redacted_as_a_whole() {
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
    fn of_structures_the_listed_words_are_shown() {
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
