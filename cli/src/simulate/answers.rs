//! What receivers answer, held against what they must answer, and summed up.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use super::traffic::{Expected, Post};

/// The counts of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Records in the bodies.
    pub received: usize,
    /// Stored now.
    pub stored: usize,
    /// Stored before.
    pub duplicates: usize,
    /// In the retry queue.
    pub queued: usize,
    /// In the dead-letter queue.
    pub dead_lettered: usize,
}

/// How the posting went.
#[derive(Debug, Default)]
pub struct Sent {
    /// The sums of all answers.
    pub counts: Counts,
    /// Requests by function and status code.
    pub answers: BTreeMap<(&'static str, u16), usize>,
    /// Records of bodies that were sent again because nothing sure was known of them.
    pub uncertain: usize,
    /// The time to each answer, sorted.
    pub latencies: Vec<Duration>,
    /// Answers that should have been others.
    pub faults: Vec<String>,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// One answer.
pub(super) struct Try {
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
    /// Holds an answer against what the body must be answered.
    pub(super) fn judge(&mut self, post: &Post, answer: &Try) {
        let counts = serde_json::from_slice::<Counts>(&answer.body).ok();
        match (answer.status, post.expected, counts) {
            (StatusCode::BAD_REQUEST, Expected::Rejected, _) => {}
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
                    "{} answered {status} for a body of {} records that is to be {}",
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

impl Sent {
    pub(super) fn note(&mut self, post: &Post, outcome: Outcome) {
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

    /// The time within which this share of the answers came.
    pub fn within(&self, percent: usize) -> Duration {
        let place = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(place).copied().unwrap_or_default()
    }
}
