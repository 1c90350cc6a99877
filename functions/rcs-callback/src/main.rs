//! The `rcs-callback` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::http::runtime::run(rcs_callback::RECEIVER)
}
