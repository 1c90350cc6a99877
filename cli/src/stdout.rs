//! Standard output of the command. Commands print their results with [`print()`] and
//! [`print_line`] only.
//!
//! Rust ignores SIGPIPE, and `println!` panics if the reader has closed the pipe, as `head` does. Here
//! this is an error like any other, so that a command can clean up; `main` then ends quietly with
//! [`CLOSED_PIPE`].

use std::{
    fmt,
    io::{self, Write as _},
};

use anyhow::Context as _;

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
