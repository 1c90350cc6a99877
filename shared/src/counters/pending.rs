//! Pending counts: those that `projector` has counted, but not yet merged into the items of their periods.
//!
//! Writing each batch of events into the items of its periods is expensive: a batch of seven events changes some 25
//! items. Therefore `projector` stores the counts of a batch as one compressed item, and merges many of them at once. A
//! reader adds the pending counts to the items that it reads, so that its sums are as recent as the batches.
//!
//! | `series` | `period` | content |
//! |---|---|---|
//! | `<generation>#pending` | unique | the counts of a batch |
//! | `<generation>#merge` | `-` | [`MergeState`] |
//!
//! Merges have consecutive numbers, and one runs at a time. Its state names the pending counts that it merges. An item
//! that it changed has its number in [`MERGE`], so each item contains the counts of a merge either completely or not at
//! all, whenever the merge was interrupted. The pending counts are deleted at the beginning of the next merge.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    io::{Read as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{
        get_item::GetItemError,
        query::{QueryError, builders::QueryFluentBuilder},
    },
    primitives::Blob,
    types::AttributeValue,
};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde_json::value::RawValue;

use super::{NO_PERIOD, PERIOD, SERIES, UPDATED_AT, VERSION, key_of, moment};
use crate::{
    event::EpochMillis,
    events_table::item::{Item, number_at},
};

/// In an item of a period: the number of the last merge that changed it (N).
pub const MERGE: &str = "merge";
/// In an item of pending counts: the counts, see [`encode`] (B).
const COUNTS: &str = "counts";
/// In the state of the merges: the number of the last merge that began (N).
const NUMBER: &str = "number";
/// In the state of the merges: the pending counts that this merge contains (SS).
const KEYS: &str = "keys";
/// In the state of the merges: whether all items of this merge are written (BOOL).
const IS_WRITTEN: &str = "is_written";
/// In the state of the merges: when the lease of the process that merges ends, epoch milliseconds (N).
const LEASE_UNTIL: &str = "lease_until";
/// The most pages of pending counts that a reader reads, of 1 MB each. A merge begins after some hundred kilobytes, so
/// there are more only if merges failed for long. The reader then lacks the latest counts.
const MAX_PAGES: usize = 16;
/// The most bytes of the counts of a batch, packed and unpacked. An item can have 400 KB. A batch of 500 events has some
/// 5 KB, which are 60 KB unpacked, unless senders make up names and days.
const MAX_PACKED: usize = 300_000;
const MAX_UNPACKED: usize = 2_000_000;
/// The most bytes that a reader unpacks, and the most counts that it keeps, some 40 MB. Beyond, it lacks the counts of some
/// batches until they are merged.
const MAX_READ: usize = 64_000_000;
const MAX_COUNTS: usize = 300_000;

/// Counts by series, period and counter.
pub type BySeries = BTreeMap<String, BTreeMap<String, BTreeMap<String, i64>>>;

/// The partition key of the pending counts.
fn series(generation: &str) -> String {
    format!("{generation}#pending")
}

/// The key of the counts of a batch.
pub fn key(generation: &str, id: String) -> Item {
    key_of(series(generation), id)
}

/// The item of the counts of a batch.
pub fn item(generation: &str, id: String, counts: Vec<u8>, now: EpochMillis) -> Item {
    let mut item = key(generation, id);
    item.insert(COUNTS.to_owned(), AttributeValue::B(Blob::new(counts)));
    item.insert(UPDATED_AT.to_owned(), AttributeValue::N(now.to_string()));
    item
}

/// The counts as compressed JSON; `None` if they do not fit an item.
pub fn encode(counts: &BySeries) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(counts).ok()?;
    if text.len() > MAX_UNPACKED {
        return None;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&text).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() <= MAX_PACKED)
}

/// The sort key of an item: the id of pending counts, or a period.
pub fn id(item: &Item) -> Option<&str> {
    item.get(PERIOD)?.as_s().ok().map(String::as_str)
}

/// The text of an item of pending counts; `None` if it is not readable.
fn unpacked(item: &Item) -> Option<Vec<u8>> {
    let counts = item.get(COUNTS)?.as_b().ok()?;
    let mut text = Vec::new();
    let decoder = ZlibDecoder::new(counts.as_ref());
    decoder.take(MAX_UNPACKED as u64).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The counts of an item of pending counts; `None` if it is not readable.
pub fn decode(item: &Item) -> Option<BySeries> {
    serde_json::from_slice(&unpacked(item)?).ok()
}

/// The same, without parsing the counts of other series.
fn decode_some(text: &[u8], series: &[String]) -> Option<BySeries> {
    let all: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(text).ok()?;
    let wanted = series.iter().filter_map(|series| {
        let periods = all.get(series.as_str())?;
        Some((series.clone(), serde_json::from_str(periods.get()).ok()?))
    });
    Some(wanted.collect())
}

/// The number of counts.
pub fn len(counts: &BySeries) -> usize {
    counts
        .values()
        .flat_map(BTreeMap::values)
        .map(BTreeMap::len)
        .sum()
}

/// Adds counts to others.
pub fn add(sum: &mut BySeries, counts: BySeries) {
    for (series, periods) in counts {
        let of_series = sum.entry(series).or_default();
        for (period, counters) in periods {
            let of_period = of_series.entry(period).or_default();
            for (counter, count) in counters {
                *of_period.entry(counter).or_default() += count;
            }
        }
    }
}

/// The state of the merges of a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeState {
    /// The number of the last merge that began; 0 before the first.
    pub number: i64,
    /// The ids of the pending counts that it merges.
    pub keys: HashSet<String>,
    /// Whether all items of it are written.
    pub is_written: bool,
    /// When the lease of the process that merges ends, epoch milliseconds. `None` if no process merges.
    pub lease_until: Option<EpochMillis>,
    /// When the last merge ended, epoch milliseconds.
    pub ended_at: Option<EpochMillis>,
    /// Changes with every write.
    pub version: i64,
}

impl MergeState {
    /// The key of its item.
    fn key(generation: &str) -> Item {
        key_of(format!("{generation}#merge"), NO_PERIOD.to_owned())
    }

    /// Reads the state with strong consistency.
    ///
    /// # Errors
    /// The SDK's error.
    pub async fn read(
        client: &Client,
        table: &str,
        generation: &str,
    ) -> Result<Self, SdkError<GetItemError>> {
        let answer = client
            .get_item()
            .table_name(table)
            .set_key(Some(Self::key(generation)))
            .consistent_read(true)
            .send()
            .await?;
        let item = answer.item.unwrap_or_default();
        let keys = item.get(KEYS).and_then(|keys| keys.as_ss().ok());
        Ok(Self {
            number: number_at(&item, NUMBER).unwrap_or_default(),
            keys: keys.into_iter().flatten().cloned().collect(),
            is_written: item.get(IS_WRITTEN) == Some(&AttributeValue::Bool(true)),
            lease_until: number_at(&item, LEASE_UNTIL),
            ended_at: number_at(&item, UPDATED_AT),
            version: number_at(&item, VERSION).unwrap_or_default(),
        })
    }

    /// Its item.
    pub fn item(&self, generation: &str) -> Item {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let mut item = Self::key(generation);
        item.insert(NUMBER.to_owned(), number(self.number));
        item.insert(VERSION.to_owned(), number(self.version));
        item.insert(IS_WRITTEN.to_owned(), AttributeValue::Bool(self.is_written));
        // A set cannot be empty.
        if !self.keys.is_empty() {
            let keys = self.keys.iter().cloned().collect();
            item.insert(KEYS.to_owned(), AttributeValue::Ss(keys));
        }
        if let Some(until) = self.lease_until {
            item.insert(LEASE_UNTIL.to_owned(), number(until));
        }
        if let Some(at) = self.ended_at {
            item.insert(UPDATED_AT.to_owned(), number(at));
        }
        item
    }
}

/// The pending counts of a generation at one moment, for a reader.
#[derive(Debug, Default)]
pub struct PendingCounts {
    /// The number of the last merge that had begun.
    merge: i64,
    /// The counts that this merge contains: only items without its number lack them.
    of_merge: BySeries,
    /// The counts that no merge contains.
    later: BySeries,
    /// When the latest of them were stored.
    updated_at: Option<EpochMillis>,
    /// Whether there are more than a reader reads.
    lacks_some: bool,
    is_outdated: AtomicBool,
}

/// Why pending counts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The state of the merges could not be read.
    #[error(transparent)]
    State(#[from] SdkError<GetItemError>),
    /// The counts could not be read.
    #[error(transparent)]
    Counts(#[from] SdkError<QueryError>),
}

/// What a reader needs.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The generation that it reads.
    pub generation: &'w str,
    /// The series.
    pub series: &'w [String],
    /// The first and the last UTC day, `2026-11-21`.
    pub days: (&'w str, &'w str),
}

impl Wanted<'_> {
    fn has(&self, period: &str) -> bool {
        let day = moment(period).and_then(|moment| moment.get(..10));
        day.is_some_and(|day| (self.days.0..=self.days.1).contains(&day))
    }
}

impl PendingCounts {
    /// Reads the pending counts of some series, before the items to which they are added.
    ///
    /// # Errors
    /// The SDK's error.
    pub async fn read(client: &Client, table: &str, wanted: Wanted<'_>) -> Result<Self, ReadError> {
        let state = MergeState::read(client, table, wanted.generation).await?;
        let mut pending = Self {
            merge: state.number,
            ..Self::default()
        };
        // Strongly consistent, like the state: a merge deletes counts before it changes the state.
        let query = query(client, table, wanted.generation).consistent_read(true);
        let mut pages = query.into_paginator().send();
        let (mut bytes, mut kept) = (0, 0);
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else {
                return Ok(pending);
            };
            for item in page?.items.unwrap_or_default() {
                pending.updated_at = pending.updated_at.max(number_at(&item, UPDATED_AT));
                let Some(text) = unpacked(&item) else { continue };
                let Some(mut counts) = decode_some(&text, wanted.series) else {
                    continue;
                };
                for periods in counts.values_mut() {
                    periods.retain(|period, _| wanted.has(period));
                }
                bytes += text.len();
                kept += len(&counts);
                if bytes > MAX_READ || kept > MAX_COUNTS {
                    return Ok(pending.incomplete());
                }
                let is_of_merge = id(&item).is_some_and(|id| state.keys.contains(id));
                let of = if is_of_merge {
                    &mut pending.of_merge
                } else {
                    &mut pending.later
                };
                add(of, counts);
            }
        }
        Ok(pending.incomplete())
    }

    fn incomplete(self) -> Self {
        tracing::warn!("there are too many pending counts; the answer lacks some of the latest");
        Self {
            lacks_some: true,
            ..self
        }
    }

    /// Whether no pending counts are missing.
    pub fn is_complete(&self) -> bool {
        !self.lacks_some
    }

    /// Adds the pending counts of a series to its items, which were read in a range of sort keys.
    pub fn add_to(&self, items: &mut Vec<Item>, series: &str, (first, last): &(String, String)) {
        if items
            .iter()
            .filter_map(|item| number_at(item, MERGE))
            .any(|merge| merge > self.merge)
        {
            self.is_outdated.store(true, Ordering::Relaxed);
        }
        let mut indexes: HashMap<String, usize> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| Some((id(item)?.to_owned(), index)))
            .collect();
        for (of, is_of_merge) in [(&self.of_merge, true), (&self.later, false)] {
            let periods = of
                .get(series)
                .into_iter()
                .flat_map(|of| of.range(first.clone()..=last.clone()));
            for (period, counters) in periods {
                let index = *indexes.entry(period.clone()).or_insert_with(|| {
                    items.push(Item::from([(
                        PERIOD.to_owned(),
                        AttributeValue::S(period.clone()),
                    )]));
                    items.len() - 1
                });
                let Some(item) = items.get_mut(index) else {
                    continue;
                };
                if is_of_merge && number_at(item, MERGE).is_some_and(|merge| merge >= self.merge) {
                    continue;
                }
                for (counter, count) in counters {
                    change(item, counter, *count);
                }
                let updated_at = number_at(item, UPDATED_AT).max(self.updated_at);
                item.extend(updated_at.map(|at| (UPDATED_AT.to_owned(), AttributeValue::N(at.to_string()))));
            }
        }
    }

    /// Whether an item to which they were added was merged later, so that it may contain some of them twice. The reader
    /// must then begin again.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Relaxed)
    }
}

/// Adds to a counter of an item. A counter of zero is removed; a value that is not a number is replaced.
pub fn change(item: &mut Item, counter: &str, count: i64) {
    let sum = number_at(item, counter).unwrap_or_default() + count;
    if sum == 0 {
        item.remove(counter);
    } else {
        item.insert(counter.to_owned(), AttributeValue::N(sum.to_string()));
    }
}

/// The query for all pending counts of a generation.
pub fn query(client: &Client, table: &str, generation: &str) -> QueryFluentBuilder {
    client
        .query()
        .table_name(table)
        .key_condition_expression("#series = :series")
        .expression_attribute_names("#series", SERIES)
        .expression_attribute_values(":series", AttributeValue::S(series(generation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{MERGED_SLOT, day};

    const SERIES_OF_ALL: &str = "0#all";

    fn counts(of: &[(&str, i64)]) -> BySeries {
        let counters = of.iter().map(|(counter, count)| ((*counter).to_owned(), *count));
        let periods = BTreeMap::from([(day("2026-11-21", MERGED_SLOT), counters.collect())]);
        BySeries::from([(SERIES_OF_ALL.to_owned(), periods)])
    }

    fn stored(merge: Option<i64>, slot: u8) -> Item {
        let mut item = Item::from([
            (PERIOD.to_owned(), AttributeValue::S(day("2026-11-21", slot))),
            ("s|RCS|sent".to_owned(), AttributeValue::N("5".to_owned())),
        ]);
        item.extend(merge.map(|merge| (MERGE.to_owned(), AttributeValue::N(merge.to_string()))));
        item
    }

    fn pending() -> PendingCounts {
        PendingCounts {
            merge: 7,
            of_merge: counts(&[("s|RCS|sent", 10)]),
            later: counts(&[("s|RCS|sent", 100), ("s|RCS|read", 1)]),
            updated_at: Some(9),
            ..PendingCounts::default()
        }
    }

    fn sum(items: &[Item], counter: &str) -> i64 {
        items.iter().filter_map(|item| number_at(item, counter)).sum()
    }

    #[test]
    fn decoding_inverts_encoding() {
        let counts = counts(&[("s|RCS|sent", 3), ("j|RCS|a", -1)]);
        let item = item("0", "x".to_owned(), encode(&counts).unwrap(), 1);
        assert_eq!((id(&item), decode(&item)), (Some("x"), Some(counts.clone())));
        let text = unpacked(&item).unwrap();
        assert_eq!(decode_some(&text, &[SERIES_OF_ALL.to_owned()]), Some(counts));
        assert_eq!(decode_some(&text, &["0#bot=1".to_owned()]), Some(BySeries::new()));
        assert_eq!(decode(&stored(None, 0)), None);
    }

    #[test]
    fn counts_that_do_not_fit_an_item_are_not_encoded() {
        let counters = |number: usize| (0..number).map(|n| (format!("s|{n}|sent"), 1)).collect();
        let of = |periods: usize| {
            let periods = (0..periods).map(|n| (format!("day#2026-11-21#{n}"), counters(20)));
            BySeries::from([(SERIES_OF_ALL.to_owned(), periods.collect())])
        };
        assert!(encode(&of(1_000)).is_some());
        assert_eq!(encode(&of(10_000)), None);
    }

    #[test]
    fn a_reader_wants_days_and_quarters_of_its_range() {
        let wanted = Wanted {
            generation: "0",
            series: &[],
            days: ("2026-11-20", "2026-11-21"),
        };
        for (period, is_wanted) in [
            ("day#2026-11-20#10", true),
            ("hour#2026-11-21T23:45#10", true),
            ("day#2026-11-21#spring#10", true),
            ("hour#2026-11-22T00:00#10", false),
            ("day#2026-11-19#10", false),
            ("-", false),
        ] {
            assert_eq!(wanted.has(period), is_wanted, "{period}");
        }
    }

    #[test]
    fn an_item_gets_the_counts_that_it_lacks() {
        let range = crate::counters::days("2026-11-21", "2026-11-21");
        for (item, sent, is_outdated) in [
            // Of an earlier version, before any merge, before the last merge, in it, and after it.
            (stored(None, 0), 115, false),
            (stored(None, MERGED_SLOT), 115, false),
            (stored(Some(6), MERGED_SLOT), 115, false),
            (stored(Some(7), MERGED_SLOT), 105, false),
            (stored(Some(8), MERGED_SLOT), 105, true),
        ] {
            let (pending, mut items) = (pending(), vec![item]);
            pending.add_to(&mut items, SERIES_OF_ALL, &range);
            assert_eq!(sum(&items, "s|RCS|sent"), sent, "{items:?}");
            assert_eq!(sum(&items, "s|RCS|read"), 1);
            assert_eq!(pending.is_outdated(), is_outdated);
            let latest = items.iter().filter_map(|item| number_at(item, UPDATED_AT)).max();
            assert_eq!(latest, Some(9));
        }
    }

    #[test]
    fn other_series_and_periods_get_nothing() {
        let mut items = Vec::new();
        pending().add_to(
            &mut items,
            "0#bot=1",
            &crate::counters::days("2026-11-21", "2026-11-21"),
        );
        pending().add_to(
            &mut items,
            SERIES_OF_ALL,
            &crate::counters::days("2026-11-22", "2026-11-30"),
        );
        assert_eq!(items, []);
    }

    #[test]
    fn counters_of_zero_are_removed_and_texts_replaced() {
        let mut item = stored(None, 0);
        change(&mut item, "s|RCS|sent", -5);
        assert!(!item.contains_key("s|RCS|sent"));
        item.insert("s|RCS|sent".to_owned(), AttributeValue::S("many".to_owned()));
        change(&mut item, "s|RCS|sent", 2);
        assert_eq!(number_at(&item, "s|RCS|sent"), Some(2));
    }
}
