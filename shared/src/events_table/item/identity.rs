//! Identity of an event, the same for every delivery: its sort key.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    event::{
        Event,
        key::{Distinction, StatusKey, digest},
    },
    provider::{self, Format},
};

pub(super) fn status_key(event: &Event) -> StatusKey {
    let repeats = event.status.repeats();
    let digest = match (&event.addressee, &event.event_id) {
        (Some(addressee), _) if !repeats => digest([addressee.as_bytes()]),
        (_, None) if repeats => content_digest(event),
        _ => String::new(),
    };
    let distinction = match (&event.addressee, &event.event_id) {
        (Some(_), _) if !repeats => Distinction::Recipient(&digest),
        (_, Some(id)) => Distinction::EventId(id),
        (_, None) => Distinction::Content(event.event_time, &digest),
    };
    StatusKey::new(&event.channel, &event.status, distinction)
}

/// A digest of an event's documented fields, without its time and the provider's spelling. It is the same for
/// every delivery of an event, with or without empty fields, in any field order. Undocumented fields are
/// excluded, since one may be a sender's counter of attempts. Two events that differ only in undocumented
/// fields are a conflict.
fn content_digest(event: &Event) -> String {
    let mut hash = Sha256::new();
    for (attribute, value) in event
        .attributes
        .iter()
        .filter(|(attribute, _)| attribute.is_in_key())
    {
        hash.update(attribute.name());
        hash_value(value, &mut hash);
    }
    hash.update(event.recipient.as_deref().unwrap_or_default());
    let documented = match Format::of(event) {
        Some(format) => format.documented(&event.extra),
        None => Vec::new(),
    };
    hash_fields(documented, &mut hash);
    digest([hash.finalize().as_slice()])
}

fn hash_value(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Null => hash.update("z"),
        Value::Bool(b) => hash.update(if *b { "t" } else { "f" }),
        Value::Number(n) => {
            hash.update("n");
            hash.update(n.to_string());
        }
        Value::String(text) => {
            hash.update("s");
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        Value::Array(list) => {
            hash.update("[");
            for value in list {
                hash_value(value, hash);
            }
            hash.update("]");
        }
        Value::Object(fields) => {
            hash_fields(fields.iter().map(|(name, value)| (name.as_str(), value)), hash);
        }
    }
}

fn hash_fields<'v>(fields: impl IntoIterator<Item = (&'v str, &'v Value)>, hash: &mut Sha256) {
    // Sorted here, since a feature of another crate decides whether the map is sorted.
    let mut sorted: Vec<_> = fields
        .into_iter()
        .filter(|(_, value)| !provider::is_empty(value))
        .collect();
    sorted.sort_by_key(|(name, _)| *name);
    hash.update("{");
    for (name, value) in sorted {
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash_value(value, hash);
    }
    hash.update("}");
}
