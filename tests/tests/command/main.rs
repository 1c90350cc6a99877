//! The command as people use it: the real binary, its output, its exit codes, and what it leaves
//! behind on disk.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod closed_pipe;
mod dead_letters;
mod serve;
mod sign_and_get;

use serde_json::{Value, json};

fn event(id: &str, more: &Value) -> Value {
    let mut event = json!({"message_id": id, "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828});
    event
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    event
}
