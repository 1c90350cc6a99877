//! The `sms-delivery` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    receivers::run(env!("CARGO_BIN_NAME"))
}
