//! The `fallback-sms` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::http::runtime::run(fallback_sms::RECEIVER)
}
