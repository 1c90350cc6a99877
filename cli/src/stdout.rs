//! Standard output of the command. Commands print their results with [`print()`] and
//! [`print_line`] only.
//!
//! Rust ignores SIGPIPE, and `println!` panics if the reader has closed the pipe, as `head` does. Here
//! this is an error like any other, so that a command can clean up; `main` then ends quietly with
//! [`CLOSED_PIPE`].

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use anyhow::Context as _;
use serde::Serialize;

/// Exit status after the reader closed the pipe: as a shell reports a process that SIGPIPE killed.
pub const CLOSED_PIPE: u8 = 128 + 13;

/// Writes a text to standard output and flushes it.
///
/// # Errors
/// If standard output cannot be written; see [`is_closed_pipe`].
pub fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        written => written.context("standard output"),
    }
}

/// Writes a text and a line break to standard output.
///
/// # Errors
/// As [`print()`].
pub fn print_line(text: impl fmt::Display) -> anyhow::Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes a value as JSON over several lines.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(escaped(&serde_json::to_string_pretty(value)?))
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// As [`print()`].
pub fn print_json_line(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(escaped(&serde_json::to_string(value)?))
}

/// Providers choose texts: control characters must not reach the terminal. JSON requires escapes only for those below
/// U+0020.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether an error means that the reader of standard output closed the pipe. Broken pipes of network
/// connections do not count.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.is::<ClosedPipe>()
}

/// The reader of standard output closed the pipe.
#[derive(Debug)]
struct ClosedPipe;

impl fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is a closed pipe")
    }
}

impl std::error::Error for ClosedPipe {}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn json_contains_no_control_characters() {
        let json = serde_json::to_string_pretty(&["\u{1b}[2J\u{9b}2J\u{7f}\u{85}\r\n é"]).unwrap();
        assert_eq!(
            escaped(&json),
            "[\n  \"\\u001b[2J\\u009b2J\\u007f\\u0085\\r\\n é\"\n]"
        );
    }
}
