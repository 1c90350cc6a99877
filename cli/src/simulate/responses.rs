//! Compares the receivers' responses with the expected ones, and sums their counts.

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::traffic::{Expected, Post};

/// Counts in the responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records received.
    pub received: usize,
    /// Events stored.
    pub stored: usize,
    /// Events that were already stored.
    pub duplicates: usize,
    /// Records sent to the retry queue.
    pub queued: usize,
    /// Records sent to the dead-letter queue.
    pub dead_lettered: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "received {}, stored {}, duplicates {}, queued {}, dead-lettered {}",
            self.received, self.stored, self.duplicates, self.queued, self.dead_lettered
        )
    }
}

/// Result of sending.
#[derive(Debug, Default)]
pub struct SendResult {
    /// Sums of all responses.
    pub counts: Counts,
    /// Requests that were answered completely, or given up.
    pub finished: usize,
    /// Whether the sending was stopped.
    pub is_interrupted: bool,
    /// Number of requests by function and status code.
    pub answers: BTreeMap<(&'static str, u16), usize>,
    /// Records of bodies that were sent again, because the result of the first try is unknown.
    pub uncertain: usize,
    /// Response times, sorted.
    pub latencies: Vec<Duration>,
    /// Unexpected responses, one line each.
    pub faults: Vec<String>,
    /// Time from the first request to the last response.
    pub took: Duration,
}

/// One response.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Result of one body.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    pub(super) answers: Vec<(u16, Duration)>,
    pub(super) uncertain: bool,
    pub(super) fault: Option<String>,
}

impl Outcome {
    /// Compares a response with the expected one.
    pub(super) fn check(&mut self, post: &Post, answer: &Response) {
        let counts = serde_json::from_slice::<Counts>(&answer.body).ok();
        match (answer.status, post.expected, counts) {
            // Each sender needs another status; one of success says how many records were dead-lettered.
            (StatusCode::BAD_REQUEST | StatusCode::NO_CONTENT, Expected::Rejected, _) => {}
            (status, Expected::Rejected, Some(counts))
                if status.is_success() && counts.received > 0 && counts.dead_lettered == counts.received => {}
            (StatusCode::OK, Expected::Accepted { broken }, Some(counts)) => {
                let ways = counts.stored + counts.duplicates + counts.queued + counts.dead_lettered;
                if counts.received != post.records || ways != post.records || counts.dead_lettered != broken {
                    self.fault = Some(format!(
                        "{} answered {} for {} records, {broken} of them broken",
                        post.function,
                        String::from_utf8_lossy(&answer.body),
                        post.records
                    ));
                }
                self.counts = counts;
            }
            (status, expected, _) => {
                self.fault = Some(format!(
                    "{} answered {status} for a body of {} records that must be {}",
                    post.function,
                    post.records,
                    match expected {
                        Expected::Accepted { .. } => "accepted",
                        Expected::Rejected => "rejected",
                    }
                ));
            }
        }
    }
}

impl SendResult {
    pub(super) fn add(&mut self, post: &Post, outcome: Outcome) {
        self.finished += 1;
        let all = &mut self.counts;
        let new = outcome.counts;
        all.received += new.received;
        all.stored += new.stored;
        all.duplicates += new.duplicates;
        all.queued += new.queued;
        all.dead_lettered += new.dead_lettered;
        for (status, took) in outcome.answers {
            *self.answers.entry((post.function, status)).or_default() += 1;
            self.latencies.push(took);
        }
        if outcome.uncertain {
            self.uncertain += post.records;
        }
        self.faults.extend(outcome.fault);
    }

    /// Percentile of the response times.
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or_default()
    }
}
