//! The `incoming-webhook` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::lambda::run(incoming_webhook::RECEIVER)
}
