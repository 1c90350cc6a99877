//! The `rcs-callback` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    webhook_ingest::lambda::run(rcs_callback::RECEIVER)
}
