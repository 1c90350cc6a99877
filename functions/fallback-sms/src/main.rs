//! The `fallback-sms` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::lambda::run(fallback_sms::RECEIVER)
}
