//! The counts of a rebuild, before they are written. A month has a million subjects, so each takes some 50 bytes here,
//! and its values are kept once.

use std::collections::HashMap;

use indexmap::{IndexMap, IndexSet};
use webhook_ingest::counters::{Counter, Progress, QUARTER_MS};

use crate::{counter_delta::Subject, dimensions::Dimensions};

/// The most subjects, some 100 MB.
const MAX_SUBJECTS: usize = 2_000_000;
/// The most different values and sets of counters, some 100 MB.
const MAX_VALUES: usize = 100_000;

/// Counts by subject.
#[derive(Default)]
pub(crate) struct Subjects {
    dimensions: IndexSet<Dimensions>,
    counters: IndexSet<Counters>,
    counts: IndexMap<Key, i64>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Counters {
    counters: Vec<Counter>,
    league: Vec<Progress>,
}

/// A subject: its quarter of an hour since 1970, and indices of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    quarter: i64,
    dimensions: u32,
    counters: u32,
}

impl Subjects {
    /// The index of a subject. It stays the same.
    pub(crate) fn index(&mut self, subject: Subject) -> usize {
        let Subject {
            began,
            dimensions,
            counters,
            league,
        } = subject;
        let key = Key {
            quarter: began.div_euclid(QUARTER_MS),
            dimensions: index_of(&mut self.dimensions, dimensions),
            counters: index_of(&mut self.counters, Counters { counters, league }),
        };
        let entry = self.counts.entry(key);
        let index = entry.index();
        entry.or_default();
        index
    }

    /// Adds to the count of a subject.
    pub(crate) fn add(&mut self, index: usize, count: i64) {
        if let Some((_, sum)) = self.counts.get_index_mut(index) {
            *sum += count;
        }
    }

    /// Whether the counts must be written before more subjects are added.
    pub(crate) fn is_full(&self) -> bool {
        self.counts.len() >= MAX_SUBJECTS || self.dimensions.len() + self.counters.len() >= MAX_VALUES
    }

    /// The subjects without quarters: a subject at the beginning of each day that has it. The most frequent are first.
    pub(crate) fn of_days(&self) -> impl Iterator<Item = Subject> {
        const QUARTERS: i64 = 96;
        let mut sums: HashMap<Key, i64> = HashMap::new();
        for (key, count) in &self.counts {
            let day = Key {
                quarter: key.quarter.div_euclid(QUARTERS) * QUARTERS,
                ..*key
            };
            *sums.entry(day).or_default() += count;
        }
        let mut sums: Vec<(Key, i64)> = sums.into_iter().filter(|(_, count)| *count != 0).collect();
        sums.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        sums.into_iter().filter_map(|(key, _)| self.subject(key))
    }

    /// The subjects with their counts, by time. So the items of a period are written together.
    pub(crate) fn into_ordered(mut self) -> impl Iterator<Item = (Subject, i64)> {
        self.counts.retain(|_, count| *count != 0);
        self.counts.sort_unstable_keys();
        let counts = std::mem::take(&mut self.counts);
        counts
            .into_iter()
            .filter_map(move |(key, count)| Some((self.subject(key)?, count)))
    }

    fn subject(&self, key: Key) -> Option<Subject> {
        let index = |index: u32| usize::try_from(index).ok();
        let Counters { counters, league } = self.counters.get_index(index(key.counters)?)?;
        Some(Subject {
            began: key.quarter * QUARTER_MS,
            dimensions: self.dimensions.get_index(index(key.dimensions)?)?.clone(),
            counters: counters.clone(),
            league: league.clone(),
        })
    }
}

/// The index of a value, which is added if it is new.
fn index_of<T: Eq + std::hash::Hash>(values: &mut IndexSet<T>, value: T) -> u32 {
    let (index, _) = values.insert_full(value);
    // MAX_VALUES is far below the limit.
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use webhook_ingest::counters::Quantity;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn subject(at: i64, tag: &str, status: &str) -> Subject {
        let mut subject = Subject::at(
            at,
            Dimensions {
                tags: vec![tag.to_owned()],
                ..Dimensions::default()
            },
        );
        subject
            .counters
            .push(Quantity::Status(status.to_owned()).on("RCS"));
        subject
    }

    #[test]
    fn counts_are_summed_up_and_come_out_by_time() {
        let mut subjects = Subjects::default();
        let late = subjects.index(subject(2 * DAY_MS + 1, "sale", "sent"));
        let early = subjects.index(subject(-1, "sale", "sent"));
        // The same quarter of an hour.
        assert_eq!(
            subjects.index(subject(2 * DAY_MS + 899_999, "sale", "sent")),
            late
        );
        let other = subjects.index(subject(2 * DAY_MS, "sale", "read"));
        let none = subjects.index(subject(0, "gone", "sent"));
        for (index, count) in [
            (late, 2),
            (early, 5),
            (late, 3),
            (other, 1),
            (none, 1),
            (none, -1),
        ] {
            subjects.add(index, count);
        }
        let days: Vec<Subject> = subjects.of_days().take(2).collect();
        assert_eq!(
            days,
            [
                subject(-DAY_MS, "sale", "sent"),
                subject(2 * DAY_MS, "sale", "sent")
            ]
        );
        let mut ordered: Vec<(Subject, i64)> = subjects.into_ordered().collect();
        assert_eq!(ordered.remove(0), (subject(-900_000, "sale", "sent"), 5));
        ordered.sort();
        assert_eq!(
            ordered,
            [
                (subject(2 * DAY_MS, "sale", "read"), 1),
                (subject(2 * DAY_MS, "sale", "sent"), 5)
            ]
        );
    }

    #[test]
    fn a_month_of_half_a_million_subjects_is_written_once() {
        let mut subjects = Subjects::default();
        for number in 0..1_000_000_i64 {
            let at = number * 7_919_000 % (30 * DAY_MS);
            subjects.index(subject(at, &format!("{}", number % 360), "sent"));
        }
        assert_eq!(subjects.counts.len(), 555_736);
        assert!(!subjects.is_full());
    }

    #[test]
    fn a_tag_per_message_fills_it() {
        let mut subjects = Subjects::default();
        let full = (0..200_000).find(|number| {
            subjects.index(subject(0, &format!("order-{number}"), "sent"));
            subjects.is_full()
        });
        assert_eq!(full, Some(99_998));
    }
}
