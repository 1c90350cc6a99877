//! The command as users run it: the real binary, its output, its exit codes and its files.

mod closed_pipe;
mod dead_letters;
mod doctor;
mod formats;
mod init;
mod interrupt;
mod json;
mod listen;
mod manual;
mod serve;
mod sign_and_get;
mod terminal;

use integration_tests::fixtures::{self, with};
use serde_json::{Value, json};

fn event(id: &str, more: &Value) -> Value {
    with(fixtures::event(json!({ "message_id": id })), more.clone())
}
