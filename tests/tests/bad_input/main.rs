//! What strangers, faults and surprises send: each body gets the answer that is documented for it,
//! and whatever was authenticated is kept, byte for byte, in the table or as a dead letter.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod large;
mod odd_values;
mod senders;
mod unreadable;

use integration_tests::ledger;
use serde_json::{Value, json};
use webhook_ingest::events_table::item::Item;

/// An event's text with some fields in place of its own.
fn event(fields: &Value) -> String {
    let mut event = json!({"message_id": "m-1", "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828});
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event.to_string()
}

/// An event's text without its closing brace, to write into what no JSON value can hold.
fn open_event(id: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","mobile":"919209209291","status":"Sent","channel":"RCS","event_time":1704876828"#
    )
}

/// The provider's record, put together from its item.
fn rebuilt(item: &Item) -> Value {
    Value::Object(ledger::rebuilt(item))
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
