//! Adds [pending counts](pending) to the items of their periods.
//!
//! A merge reads the pending counts, names them in its state, adds up their counts, and writes each item once. An item
//! has the number of the merge that wrote it last, so the next process continues an interrupted merge without counting
//! twice. The next merge deletes the pending counts, so a reader that still sees the items of a moment ago finds them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use webhook_ingest::{
    counters::{
        self, EXPIRES_AT, PERIOD, SERIES, UPDATED_AT, VERSION,
        pending::{self, BySeries, MERGE, MergeState},
    },
    event::{EpochMillis, time},
    events_table::item::{Item, number_at, text_at},
    operations::{clients, dynamodb},
};

use super::Rollups;
use crate::items::{self, units};

/// How long counts are pending, while there is traffic.
pub const INTERVAL_MS: EpochMillis = 900_000;
/// A process that stored this many batches since the last merge begins the next one before the end of the interval, so
/// that readers have few pending counts to read: with four shards, at most some 64.
pub const MAX_BATCHES: usize = 16;
/// The most generations with a plan: two, and those before the last rebuilds.
const MAX_GENERATIONS: usize = 4;
/// How long a process has the lease. A merge takes some seconds.
const LEASE_MS: EpochMillis = 60_000;
/// The least time for a merge.
const MIN_TIME: Duration = Duration::from_secs(5);
/// The most concurrent writes.
const WRITES: usize = 16;
/// Attempts to write an item.
const ATTEMPTS: usize = 5;

/// The most batches that a merge takes. The rest is for the next one.
const MAX_KEYS: usize = 400;
/// The most counts that a merge takes, some 40 MB, each as often as a batch has it; the last batch can exceed them. A batch
/// has some thousand, unless senders make up names and days.
const MAX_COUNTS: usize = 300_000;

/// They stay in the table, as long as it is unknown what they are.
const UNREADABLE: &str =
    "pending counts are not readable by this version; `rollups rebuild` counts their events again";

/// Pending counts.
#[derive(Default)]
struct Pending {
    ids: HashSet<String>,
    counts: BySeries,
    /// Whether there are no others.
    are_all: bool,
}

/// Result of a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Merged {
    /// Batches whose counts were merged.
    pub batches: usize,
    /// Items that were written.
    pub items: usize,
    /// Write units that the table reported.
    pub write_units: f64,
    /// Whether another process merges, so that this one did not.
    pub is_by_another: bool,
}

impl Merged {
    fn by_another() -> Self {
        Self {
            is_by_another: true,
            ..Self::default()
        }
    }
}

/// When this process merges next, for each generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Schedule(Arc<Mutex<HashMap<String, Next>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Next {
    /// `None`: the state was not read yet.
    at: Option<Instant>,
    /// Batches that this process stored since it last read the state.
    batches: usize,
    /// The number of the merge in that state.
    number: i64,
    /// Whether the last merge of this process left some.
    has_more: bool,
}

impl Schedule {
    /// Changes the plan for a generation.
    fn plan<R>(&self, generation: &str, change: impl FnOnce(&mut Next) -> R) -> R {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !generations.contains_key(generation) && generations.len() >= MAX_GENERATIONS {
            generations.clear();
        }
        change(generations.entry(generation.to_owned()).or_default())
    }
}

impl Next {
    /// Whether the state must be read.
    fn is_due(&self) -> bool {
        self.batches >= MAX_BATCHES || self.at.is_none_or(|at| at <= Instant::now())
    }

    /// Whether a merge is due, according to the state. Otherwise, the state is read again when it may be.
    fn is_merge_due(&mut self, state: &MergeState, now: EpochMillis) -> bool {
        let is_full = self.batches >= MAX_BATCHES && self.number == state.number;
        let age = state.ended_at.map_or(INTERVAL_MS, |at| (now - at).max(0));
        let left = u64::try_from(INTERVAL_MS - age).unwrap_or_default();
        let is_due = is_full || self.has_more || left == 0 || !state.is_written;
        *self = Self {
            at: Some(Instant::now() + Duration::from_millis(left)),
            batches: 0,
            number: state.number,
            has_more: false,
        };
        is_due
    }

    /// The plan after a merge. The next one is due with the next batch if not all pending counts were merged.
    fn after_merge(&mut self, number: i64, is_all: bool) {
        let interval = u64::try_from(INTERVAL_MS).unwrap_or_default();
        *self = Self {
            at: is_all.then(|| Instant::now() + Duration::from_millis(interval)),
            batches: 0,
            number,
            has_more: !is_all,
        };
    }
}

/// A unique id of pending counts.
pub(super) fn id(now: EpochMillis) -> String {
    format!("{now:x}-{:08x}", getrandom::u32().unwrap_or_default())
}

impl Rollups {
    /// Merges if it is time, after this process stored so many batches. Another process may do it instead.
    ///
    /// # Errors
    /// Why the table did not accept the merge. The next one continues it.
    pub(crate) async fn merge_if_due(
        &self,
        generation: &str,
        batches: usize,
        until: Instant,
    ) -> Result<Merged, String> {
        let is_due = self.schedule.plan(generation, |next| {
            next.batches += batches;
            next.is_due()
        });
        if !is_due || until.saturating_duration_since(Instant::now()) < MIN_TIME {
            return Ok(Merged::default());
        }
        let merge = async {
            let state = self.merge_state(generation).await?;
            let is_due = |next: &mut Next| next.is_merge_due(&state, time::now());
            if !self.schedule.plan(generation, is_due) {
                return Ok(Merged::default());
            }
            self.merge_from(generation, state, until).await
        };
        timeout_at(until, merge)
            .await
            .unwrap_or_else(|_| Err("there was no time left".to_owned()))
    }

    /// Adds the pending counts to the items of their periods, also those of an interrupted merge. Does nothing while another
    /// process does it.
    ///
    /// # Errors
    /// Why the table did not accept the merge. The next one continues it.
    pub async fn merge(&self, generation: &str, until: Instant) -> Result<Merged, String> {
        let state = self.merge_state(generation).await?;
        self.merge_from(generation, state, until).await
    }

    async fn merge_state(&self, generation: &str) -> Result<MergeState, String> {
        MergeState::read(&self.client, &self.table, generation)
            .await
            .map_err(|error| clients::failure(&error).to_owned())
    }

    async fn merge_from(
        &self,
        generation: &str,
        mut state: MergeState,
        until: Instant,
    ) -> Result<Merged, String> {
        let now = time::now();
        // A later end is of a wrong clock.
        let leased = now + 1..=now + LEASE_MS;
        if state.lease_until.is_some_and(|until| leased.contains(&until)) {
            return Ok(Merged::by_another());
        }
        let mut merged = Merged::default();
        state.lease_until = Some(now + LEASE_MS);
        if !self.write_state(generation, &mut state, &mut merged).await? {
            return Ok(Merged::by_another());
        }
        let mut is_all = false;
        if state.is_written || state.keys.is_empty() {
            let keys: Vec<Item> = state
                .keys
                .iter()
                .map(|id| pending::key(generation, id.clone()))
                .collect();
            for some in keys.chunks(items::MAX_DELETED) {
                merged.write_units += items::delete(&self.client, &self.table, some.to_vec(), until).await?;
            }
            let pending = self.pending(generation, &state.keys, false).await?;
            is_all = pending.are_all;
            state.keys = pending.ids;
            if !state.keys.is_empty() {
                state.number += 1;
                state.is_written = false;
                if !self.write_state(generation, &mut state, &mut merged).await? {
                    return Ok(merged);
                }
                self.add_counts(&state, pending.counts, until, &mut merged)
                    .await?;
            }
        } else {
            // An interrupted merge. Its counts are deleted by the next one, as usual.
            let pending = self.pending(generation, &state.keys, true).await?;
            self.add_counts(&state, pending.counts, until, &mut merged)
                .await?;
        }
        merged.batches = state.keys.len();
        state.is_written = true;
        state.lease_until = None;
        state.ended_at = Some(time::now());
        self.write_state(generation, &mut state, &mut merged).await?;
        self.schedule
            .plan(generation, |next| next.after_merge(state.number, is_all));
        Ok(merged)
    }

    /// Replaces the state. Returns whether no other process replaced it meanwhile.
    async fn write_state(
        &self,
        generation: &str,
        state: &mut MergeState,
        merged: &mut Merged,
    ) -> Result<bool, String> {
        let read = state.version;
        state.version += 1;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(state.item(generation)))
            .expression_attribute_names("#version", VERSION)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let put = if read == 0 {
            put.condition_expression("attribute_not_exists(#version)")
        } else {
            put.condition_expression("#version = :read")
                .expression_attribute_values(":read", AttributeValue::N(read.to_string()))
        };
        match put.send().await {
            Ok(answer) => {
                merged.write_units += units(answer.consumed_capacity.as_ref());
                Ok(true)
            }
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(clients::failure(&error).to_owned()),
        }
    }

    /// The pending counts that a merge named, or those that it did not name, up to the limits of a merge.
    async fn pending(
        &self,
        generation: &str,
        of_merge: &HashSet<String>,
        is_named: bool,
    ) -> Result<Pending, String> {
        let mut pending = Pending::default();
        let mut counts = 0;
        let mut items = pending::query(&self.client, &self.table, generation)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while is_named || (pending.ids.len() < MAX_KEYS && counts < MAX_COUNTS) {
            let Some(item) = items.next().await else {
                pending.are_all = true;
                break;
            };
            let item = item.map_err(|error| clients::failure(&error).to_owned())?;
            let Some(id) = pending::id(&item).filter(|id| of_merge.contains(*id) == is_named) else {
                continue;
            };
            if let Some(of_batch) = pending::decode(&item) {
                counts += pending::len(&of_batch);
                pending.ids.insert(id.to_owned());
                pending::add(&mut pending.counts, of_batch);
            } else if is_named {
                return Err(format!("{UNREADABLE} {id}"));
            } else {
                tracing::error!(id, "{UNREADABLE}");
            }
        }
        Ok(pending)
    }

    /// Adds the counts of a merge to all items that do not have its number yet.
    async fn add_counts(
        &self,
        state: &MergeState,
        counts: BySeries,
        until: Instant,
        merged: &mut Merged,
    ) -> Result<(), String> {
        let additions = counts.into_iter().flat_map(|(series, periods)| {
            periods.into_iter().map(move |(period, counters)| Addition {
                series: series.clone(),
                period,
                counters,
            })
        });
        let mut chunks = stream::iter(additions).chunks(items::MAX_READ);
        while let Some(additions) = chunks.next().await {
            let keys = additions.iter().map(Addition::key).collect();
            let read = items::read(&self.client, &self.table, keys, until).await?;
            let key = |item: &Item| {
                let text = |name| text_at(item, name).map(str::to_owned);
                Some((text(SERIES)?, text(PERIOD)?))
            };
            let mut items: HashMap<_, Item> = read
                .into_iter()
                .filter_map(|item| Some((key(&item)?, item)))
                .collect();
            let mut writes = stream::iter(additions)
                .map(|addition| {
                    let item = items.remove(&(addition.series.clone(), addition.period.clone()));
                    self.add_to_item(state.number, addition, item)
                })
                .buffer_unordered(WRITES);
            while let Some(units) = writes.next().await {
                if let Some(units) = units? {
                    merged.items += 1;
                    merged.write_units += units;
                }
            }
        }
        Ok(())
    }

    /// Adds counts to an item that was read. Returns the write units; `None` if it has the number of the merge already.
    async fn add_to_item(
        &self,
        merge: i64,
        addition: Addition,
        mut item: Option<Item>,
    ) -> Result<Option<f64>, String> {
        for _ in 0..ATTEMPTS {
            let before = item.as_ref().and_then(|item| number_at(item, MERGE));
            if before.is_some_and(|before| before >= merge) {
                return Ok(None);
            }
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(addition.added(item, merge, time::now())))
                .expression_attribute_names("#merge", MERGE)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let put = match before {
                None => put.condition_expression("attribute_not_exists(#merge)"),
                Some(before) => put
                    .condition_expression("#merge = :before")
                    .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
            };
            match put.send().await {
                Ok(answer) => return Ok(Some(units(answer.consumed_capacity.as_ref()))),
                // It expired, or a process whose lease ended wrote it.
                Err(error) if is_refused(&error) => {}
                // One item must not stop the others.
                Err(error) if dynamodb::is_validation(&error) => {
                    tracing::error!(
                        series = addition.series,
                        why = error.code(),
                        "an item of counters does not accept its counts; `rollups rebuild` counts again"
                    );
                    return Ok(None);
                }
                Err(error) => return Err(clients::failure(&error).to_owned()),
            }
            let read = self
                .client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(addition.key()))
                .consistent_read(true);
            let read = read.send().await;
            item = read.map_err(|error| clients::failure(&error).to_owned())?.item;
        }
        Err("other processes write the same counters".to_owned())
    }
}

/// What a merge adds to an item.
struct Addition {
    series: String,
    period: String,
    counters: BTreeMap<String, i64>,
}

impl Addition {
    fn key(&self) -> Item {
        counters::key_of(self.series.clone(), self.period.clone())
    }

    /// The item after the merge.
    fn added(&self, item: Option<Item>, merge: i64, now: EpochMillis) -> Item {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let mut item = item.unwrap_or_else(|| self.key());
        for (counter, count) in &self.counters {
            pending::change(&mut item, counter, *count);
        }
        item.insert(MERGE.to_owned(), number(merge));
        item.insert(UPDATED_AT.to_owned(), number(now));
        if counters::expires(&self.series) {
            item.insert(EXPIRES_AT.to_owned(), counters::expires_at(now));
        }
        item
    }
}

fn is_refused<R>(error: &SdkError<PutItemError, R>) -> bool {
    matches!(
        error.as_service_error(),
        Some(PutItemError::ConditionalCheckFailedException(_))
    )
}
