//! Result of a batch, and its metrics.

use std::ops::AddAssign;

use crate::operations::metrics::Metrics;

/// Result of a batch. Every record is in exactly one of `stored`, `duplicates`, `queued`,
/// `dead_lettered` and `lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchOutcome {
    /// Records in the batch.
    pub received: usize,
    /// Written now.
    pub stored: usize,
    /// Stored before, with the same content.
    pub duplicates: usize,
    /// Subset of `dead_lettered`: stored before, with other content.
    pub conflicts: usize,
    /// Subset of `stored`: arrived late.
    pub late: usize,
    /// In the retry queue.
    pub queued: usize,
    /// In the dead-letter queue.
    pub dead_lettered: usize,
    /// Subset of `dead_lettered`: in the queue already, since the same body was rejected before.
    pub repeated: usize,
    /// Not durable anywhere.
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
