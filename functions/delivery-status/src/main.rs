//! The `delivery-status` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::lambda::run(delivery_status::RECEIVER)
}
