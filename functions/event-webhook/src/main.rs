//! The `event-webhook` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::lambda::run(event_webhook::RECEIVER)
}
