//! The report of an interrupted simulation: how to repeat it, and what was sent until then.

use std::fmt;

use serde::Serialize;

use super::responses::{Counts, SendResult};

/// A simulation that Ctrl-C ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interrupted {
    /// Always true; distinguishes this from a report.
    pub interrupted: bool,
    /// `sending` or `reading back`.
    pub phase: &'static str,
    /// The seed.
    pub seed: u64,
    /// End of the simulated time, ISO 8601.
    pub until: String,
    /// Requests that the simulation has.
    pub requests: usize,
    /// Those of them that were completely answered, or given up. Up to `--parallel` more were in progress, and the
    /// receivers may have stored their records.
    pub finished_requests: usize,
    /// Sums of the responses.
    pub answers: Counts,
}

impl Interrupted {
    pub(super) fn new(
        phase: &'static str,
        seed: u64,
        until: i64,
        requests: usize,
        sent: &SendResult,
    ) -> Self {
        Self {
            interrupted: true,
            phase,
            seed,
            until: super::report::iso(until),
            requests,
            finished_requests: sent.finished,
            answers: sent.counts,
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.answers;
        writeln!(
            f,
            "interrupted while {}: {} of {} requests are finished; those in progress may be stored",
            self.phase, self.finished_requests, self.requests
        )?;
        writeln!(f, "answers     {counts}")?;
        writeln!(f, "repeat      --seed {} --until {}", self.seed, self.until)
    }
}

impl std::error::Error for Interrupted {}
