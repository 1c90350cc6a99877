//! The `incoming-webhook` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::http::runtime::run(incoming_webhook::RECEIVER)
}
