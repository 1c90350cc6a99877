//! The `event-webhook` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::http::runtime::run(event_webhook::RECEIVER)
}
