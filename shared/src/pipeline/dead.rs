//! The records of a batch that can never be stored, grouped for the dead-letter queue.

use super::positions::Positions;
use crate::queue::message::Reason;

/// The most groups of one batch and reason. Up to this many records, each has its own message. Beyond, one
/// message has several records, so that ten thousand records can be dead-lettered within the budget.
const MAX_GROUPS: usize = 100;

/// The records of a batch that can never be stored.
#[derive(Default)]
pub(super) struct DeadRecords {
    unreadable: UnreadableRecords,
    refused: Vec<Refused>,
}

/// Records that are not events. Only every `stride`-th has its reason: a body may contain millions of them,
/// and all reasons would not fit into memory.
struct UnreadableRecords {
    positions: Positions,
    count: usize,
    stride: usize,
    reasons: Vec<String>,
}

impl Default for UnreadableRecords {
    fn default() -> Self {
        Self {
            positions: Positions::default(),
            count: 0,
            stride: 1,
            reasons: Vec::new(),
        }
    }
}

/// An event that the table can never store, and why.
struct Refused {
    position: u32,
    reason: Reason,
    detail: String,
}

/// Records with the same reason, for one message.
pub(super) struct Group {
    pub(super) positions: Positions,
    pub(super) reason: Reason,
    /// The reason of the first record in words.
    pub(super) detail: String,
}

impl DeadRecords {
    /// Adds a record that is not an event.
    pub(super) fn unreadable(&mut self, position: u32, why: String) {
        self.unreadable.add(position, why);
    }

    /// Adds an event that the table can never store.
    pub(super) fn refused(&mut self, position: u32, reason: Reason, detail: String) {
        self.refused.push(Refused {
            position,
            reason,
            detail,
        });
    }

    /// The number of records.
    pub(super) fn len(&self) -> usize {
        self.unreadable.count + self.refused.len()
    }

    /// The number of records that are not events.
    pub(super) fn unreadable_len(&self) -> usize {
        self.unreadable.count
    }

    /// The reason of a record that is not an event.
    pub(super) fn why_unreadable(&self) -> Option<&str> {
        self.unreadable.reasons.first().map(String::as_str)
    }

    /// The number of records with another event's key.
    pub(super) fn conflicts(&self) -> usize {
        let conflicts = self.refused.iter().filter(|one| one.reason == Reason::Conflict);
        conflicts.count()
    }

    /// Groups the records by reason.
    pub(super) fn into_groups(mut self) -> Vec<Group> {
        let mut groups = self.unreadable.into_groups();
        let at_most = self.refused.len().div_ceil(MAX_GROUPS).max(1);
        self.refused.sort_by_key(|refused| refused.reason);
        for same_reason in self.refused.chunk_by(|one, next| one.reason == next.reason) {
            for refused in same_reason.chunks(at_most) {
                let Some(first) = refused.first() else { continue };
                groups.push(Group {
                    positions: refused.iter().map(|one| one.position).collect(),
                    reason: first.reason,
                    detail: first.detail.clone(),
                });
            }
        }
        groups
    }
}

impl UnreadableRecords {
    fn add(&mut self, position: u32, why: String) {
        if self.count.is_multiple_of(self.stride) {
            if self.reasons.len() == MAX_GROUPS {
                // Every second reason is kept and stands for twice as many records.
                let mut stays = false;
                self.reasons.retain(|_| {
                    stays = !stays;
                    stays
                });
                self.stride *= 2;
            }
            // After the stride doubled, the new record starts a group only every second time.
            if self.count.is_multiple_of(self.stride) {
                self.reasons.push(why);
            }
        }
        self.positions.push(position);
        self.count += 1;
    }

    fn into_groups(self) -> Vec<Group> {
        let parts = self.positions.parts(self.stride);
        parts
            .into_iter()
            .zip(self.reasons)
            .map(|(positions, detail)| Group {
                positions,
                reason: Reason::Unreadable,
                detail,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_reason_of_its_first_record() {
        for records in [0_u32, 1, 99, 100, 101, 200, 201, 5_000] {
            let mut dead = DeadRecords::default();
            for position in 0..records {
                dead.unreadable(position, position.to_string());
            }
            let groups = dead.into_groups();
            assert!(groups.len() <= MAX_GROUPS, "{records}: {}", groups.len());
            let mut next = 0;
            for group in groups {
                assert_eq!(group.detail, next.to_string());
                next += u32::try_from(group.positions.len()).unwrap();
            }
            assert_eq!(next, records);
        }
    }

    #[test]
    fn refused_events_of_different_reasons_are_in_different_groups() {
        let mut dead = DeadRecords::default();
        for position in 0..300 {
            let reason = [Reason::Conflict, Reason::Unreadable][position as usize % 2];
            dead.refused(position, reason, reason.as_str().to_owned());
        }
        assert_eq!(
            (dead.len(), dead.conflicts(), dead.unreadable_len()),
            (300, 150, 0)
        );
        let groups = dead.into_groups();
        assert!(groups.iter().all(|group| group.detail == group.reason.as_str()));
        let of = |reason: Reason| -> usize {
            let wanted = groups.iter().filter(|group| group.reason == reason);
            wanted.map(|group| group.positions.len()).sum()
        };
        assert_eq!((of(Reason::Conflict), of(Reason::Unreadable)), (150, 150));
    }
}
