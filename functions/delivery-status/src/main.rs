//! The `delivery-status` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::http::runtime::run(delivery_status::RECEIVER)
}
