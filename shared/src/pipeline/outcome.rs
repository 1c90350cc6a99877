//! Result of a batch, and its metrics.

use std::ops::AddAssign;

use serde::Serialize;

use crate::operations::metrics::{Metrics, is_zero};

/// Result of a batch. Every record is in exactly one of `stored`, `duplicates`, `queued`,
/// `dead_lettered` and `lost`. Serialized as the fields of a log line, without counts that are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BatchOutcome {
    /// Records in the batch.
    #[serde(skip_serializing_if = "is_zero")]
    pub received: usize,
    /// Written now.
    #[serde(skip_serializing_if = "is_zero")]
    pub stored: usize,
    /// Stored before, with the same content.
    #[serde(skip_serializing_if = "is_zero")]
    pub duplicates: usize,
    /// Subset of `dead_lettered`: stored before, with other content.
    #[serde(skip_serializing_if = "is_zero")]
    pub conflicts: usize,
    /// Subset of `stored`: arrived late.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: usize,
    /// In the retry queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub queued: usize,
    /// In the dead-letter queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub dead_lettered: usize,
    /// Subset of `dead_lettered`: in the queue already, since the same body was rejected before.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: usize,
    /// Not durable anywhere.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: usize,
}

impl BatchOutcome {
    /// Counts the records, except `Received`: `redrive` did not receive its records.
    pub fn count(&self, metrics: &mut Metrics) {
        for (name, n) in [
            ("Stored", self.stored),
            ("Duplicates", self.duplicates),
            ("Conflicts", self.conflicts),
            ("Late", self.late),
            ("Queued", self.queued),
            ("DeadLettered", self.dead_lettered - self.repeated),
            ("Repeated", self.repeated),
        ] {
            metrics.count(name, n);
        }
    }
}

impl AddAssign for BatchOutcome {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.late += other.late;
        self.queued += other.queued;
        self.dead_lettered += other.dead_lettered;
        self.repeated += other.repeated;
        self.lost += other.lost;
    }
}
