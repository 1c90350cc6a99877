//! Identity of an event, the same for every delivery: its sort key, and its partition in the day index.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::DAY_SHARDS;
use crate::{
    event::{
        EpochMillis, Event,
        key::{Distinction, StatusKey},
        time,
    },
    provider::{self, Format},
};

pub(super) fn status_key(event: &Event) -> StatusKey {
    let digest = if event.status.repeats() && event.event_id.is_none() {
        content_digest(event)
    } else {
        String::new()
    };
    let distinction = match (&event.participant, &event.event_id) {
        (Some(person), id) => Distinction::Participant(person, id.as_deref()),
        (None, Some(id)) => Distinction::EventId(id),
        (None, None) => Distinction::Content(event.event_time, &digest),
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
    let format = Format::of(event);
    let documented = event
        .extra
        .iter()
        .filter(|(name, _)| format.is_some_and(|format| format.documents(name)));
    hash_fields(documented, &mut hash);
    crate::event::key::digest([hash.finalize().as_slice()])
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
        Value::Object(fields) => hash_fields(fields, hash),
    }
}

fn hash_fields<'v>(fields: impl IntoIterator<Item = (&'v String, &'v Value)>, hash: &mut Sha256) {
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

/// The day index's partition of an event. The message id decides the shard, so that it is the same for every
/// delivery.
pub(super) fn day_shard(at: EpochMillis, message_id: &str) -> String {
    // FNV-1a is stable across versions; std's hasher does not promise that.
    let hash = message_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!(
        "{}#{:02}",
        time::utc_day(at),
        (hash >> 32) % u64::from(DAY_SHARDS)
    )
}
