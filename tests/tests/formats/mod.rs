//! Every known body, from HTTP to the table and back. Each becomes the documented event, and the provider's
//! record can be rebuilt from its item.

mod meta;
mod properties;
mod samples;
mod variants;
mod wild;
mod wild_netcore;
mod wild_rcs;

use serde_json::{Map, Value};

/// The only record of a body.
fn record_of(body: &[u8]) -> Map<String, Value> {
    match record_in(&serde_json::from_slice(body).unwrap()) {
        Value::Object(record) => record,
        other => panic!("{other} is no record"),
    }
}

fn record_in(body: &Value) -> Value {
    // Meta nests its records.
    let body = body.pointer("/entry/0/changes/0/value").unwrap_or(body);
    let inside = ["delivery_status", "incoming_message", "statuses", "messages"]
        .iter()
        .find_map(|envelope| body.get(*envelope))
        .unwrap_or(body);
    match inside {
        Value::Array(records) => {
            assert_eq!(records.len(), 1);
            records[0].clone()
        }
        record => record.clone(),
    }
}
