//! Bad input. Each body gets its documented response, and everything authenticated is kept byte for byte, in
//! the table or as a dead letter.

mod large;
mod odd_values;
mod senders;
mod unreadable;

use integration_tests::{fixtures, storage};
use serde_json::Value;
use webhook_ingest::events_table::item::Item;

/// The text of an event with these fields added or replaced.
fn event(fields: &Value) -> String {
    fixtures::event(fields.clone()).to_string()
}

/// The text of an event without its closing brace, to append what a JSON value cannot hold.
fn open_event(id: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","mobile":"919209209291","status":"Sent","channel":"RCS","event_time":1704876828"#
    )
}

/// The provider's record, rebuilt from its item.
fn rebuilt(item: &Item) -> Value {
    Value::Object(storage::rebuilt(item))
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
