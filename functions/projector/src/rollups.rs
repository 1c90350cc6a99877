//! The counters' table. Counts every event once, even if events are repeated, split over batches or out of
//! order.
//!
//! The transaction that stores the counts of a batch also adds a marker for every event. It fails if a marker exists
//! already. [`merge`](Rollups::merge) adds the stored counts to the items of their periods later.

mod bulk;
mod merge;

use std::{collections::BTreeSet, fmt};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, Put, ReturnConsumedCapacity, TransactWriteItem},
};
use tokio::time::Instant;
use webhook_ingest::{
    counters::{Generations, MERGED_SLOT, NO_PERIOD, PERIOD, SERIES, UPDATED_AT, pending},
    event::time,
    operations::{backoff::Backoff, clients, dynamodb},
};

use crate::{
    chunk::{Counts, MAX_ITEMS},
    counter_delta::{CounterDelta, Identity, Subject},
    dedup_markers::{NewMarkers, Paths},
    names::{Entry, Registry},
};

pub use self::merge::{INTERVAL_MS, MAX_BATCHES, Merged};

/// Result of counting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// Events that were counted now.
    pub fresh: usize,
    /// Events that had already been counted.
    pub replayed: usize,
    /// Events that can never be counted. All others were counted.
    pub uncountable: Vec<Uncountable>,
    /// Write units that the table reported.
    pub write_units: f64,
    /// Transactions that were executed.
    pub transactions: usize,
    /// Transactions that failed because another process wrote at the same time, and were tried again.
    pub conflicts: usize,
    /// Batches whose counts were merged into the items of their periods.
    pub merged: usize,
    /// Merges that failed.
    pub failed_merges: usize,
}

/// An event that the table refuses to count, although it accepts other writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncountable {
    /// Its index among the events.
    pub index: usize,
    /// The reason that the table gave.
    pub why: String,
}

/// Why events were not counted. A retry may work.
#[derive(Debug, thiserror::Error)]
#[error("the counters' table did not accept a count: {why}")]
pub struct NotCounted {
    /// How many of the first events were counted.
    pub done: usize,
    /// The result for those events.
    pub counted: Counted,
    /// The reason that the table gave.
    pub why: String,
}

/// The counters' table.
#[derive(Clone)]
pub struct Rollups {
    client: Client,
    table: String,
    names: Registry,
    schedule: merge::Schedule,
}

/// The codes of an update whose item another process wrote in the meantime, or is writing:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const CONFLICTS: [&str; 2] = ["TransactionConflict", "ConditionalCheckFailed"];

enum CommitError {
    /// Nothing was written, because another process wrote one of the items.
    Conflict,
    /// Nothing was written: the table was busy.
    Cancelled(String),
    /// Unknown whether anything was written.
    Unknown(String),
    /// The table will always refuse this.
    Never(String),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "another process wrote at the same time",
            Self::Cancelled(why) | Self::Unknown(why) | Self::Never(why) => why,
        })
    }
}

/// Result of one transaction.
#[derive(Default)]
struct AttemptResult {
    deltas: usize,
    /// Events among them that were counted now.
    fresh: usize,
    /// Events among them that had been counted before.
    replayed: usize,
    write_units: f64,
}

impl Rollups {
    /// Wraps the counters' table with this name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            names: Registry::new(client.clone(), table.clone()),
            client,
            table,
            schedule: merge::Schedule::default(),
        }
    }

    /// The client and the table's name.
    pub(crate) fn parts(&self) -> (&Client, &str) {
        (&self.client, &self.table)
    }

    /// The generations to count into.
    ///
    /// # Errors
    /// Why the table did not answer.
    pub async fn generations(&self) -> Result<Generations, String> {
        Generations::read(&self.client, &self.table, true)
            .await
            .map_err(|e| clients::failure(&e).to_owned())
    }

    /// Counts events that were not counted before, in as many transactions as necessary.
    ///
    /// # Errors
    /// [`NotCounted`] if the table did not accept a transaction in time. The events before it were counted,
    /// or are named as uncountable.
    pub async fn count(
        &self,
        generation: &str,
        deltas: &[CounterDelta],
        until: Instant,
    ) -> Result<Counted, NotCounted> {
        let mut counted = Counted::default();
        let counts = deltas.iter().flat_map(|delta| &delta.counts);
        let subjects: Vec<&Subject> = counts.map(|(subject, _)| subject).collect();
        let entries: Vec<Vec<Entry>> = match self.names.register(generation, &subjects, until).await {
            Ok((entries, units)) => {
                counted.write_units += units;
                let mut entries = entries.into_iter();
                let of = |delta: &CounterDelta| entries.by_ref().take(delta.counts.len()).collect();
                deltas.iter().map(of).collect()
            }
            Err(why) => {
                return Err(NotCounted {
                    done: 0,
                    counted,
                    why,
                });
            }
        };
        let mut done = 0;
        // After a refused transaction, the events before this index are tried one at a time.
        let mut alone = 0;
        while done < deltas.len() {
            if done > 0 && Instant::now() >= until {
                let why = "there was no time left".to_owned();
                return Err(NotCounted { done, counted, why });
            }
            let end = if done < alone { done + 1 } else { deltas.len() };
            let (Some(deltas), Some(entries)) = (deltas.get(done..end), entries.get(done..end)) else {
                break;
            };
            let tried = self.tried(generation, deltas, entries, until, &mut counted.conflicts);
            match tried.await {
                Ok(taken) => {
                    counted.fresh += taken.fresh;
                    counted.replayed += taken.replayed;
                    counted.write_units += taken.write_units;
                    counted.transactions += usize::from(taken.write_units > 0.0);
                    done += taken.deltas;
                }
                Err(CommitError::Never(_)) if deltas.len() > 1 => alone = end,
                Err(CommitError::Never(why)) if self.takes_writes().await => {
                    counted.uncountable.push(Uncountable { index: done, why });
                    done += 1;
                }
                Err(error) => {
                    let why = error.to_string();
                    return Err(NotCounted { done, counted, why });
                }
            }
        }
        Ok(counted)
    }

    async fn tried(
        &self,
        generation: &str,
        deltas: &[CounterDelta],
        entries: &[Vec<Entry>],
        until: Instant,
        conflicts: &mut usize,
    ) -> Result<AttemptResult, CommitError> {
        let mut backoff = Backoff::until(until);
        loop {
            match self.attempt(generation, deltas, entries, until).await {
                Ok(done) => return Ok(done),
                Err(never @ CommitError::Never(_)) => return Err(never),
                Err(error) => {
                    *conflicts += usize::from(matches!(error, CommitError::Conflict));
                    backoff.pause(error).await?;
                }
            }
        }
    }

    /// Counts as many of the first events as fit one transaction.
    async fn attempt(
        &self,
        generation: &str,
        deltas: &[CounterDelta],
        entries: &[Vec<Entry>],
        until: Instant,
    ) -> Result<AttemptResult, CommitError> {
        let now = time::now();
        // Markers of events that do not fit the transaction need not be read.
        let deltas = deltas.get(..fitting(deltas)).unwrap_or(deltas);
        let identities: Vec<&Identity> = deltas.iter().map(|delta| &delta.identity).collect();
        let mut paths = Paths::read(
            &self.client,
            &self.table,
            generation,
            identities.iter().copied(),
            until,
        )
        .await
        .map_err(CommitError::Unknown)?;
        paths.close_busy(generation, &identities);
        let mut fresh = NewMarkers::new();
        let mut counts = Counts::new(MERGED_SLOT);
        let mut marker_items: BTreeSet<String> = paths.closing().cloned().collect();
        let mut taken = AttemptResult::default();
        for (delta, entries) in deltas.iter().zip(entries) {
            let mut is_fresh = false;
            if let Some(marker) = paths.item_for(generation, &delta.identity) {
                marker_items.insert(marker.clone());
                // One item is that of the counts.
                if marker_items.len() >= MAX_ITEMS && !fresh.is_empty() {
                    break;
                }
                // An event that occurs twice in one batch counts once.
                is_fresh = fresh.entry(marker).or_default().insert(delta.identity.marker);
                if is_fresh {
                    for (entry, (_, count)) in entries.iter().zip(&delta.counts) {
                        counts.add(generation, entry, *count);
                    }
                }
            }
            taken.deltas += 1;
            taken.fresh += usize::from(is_fresh);
            taken.replayed += usize::from(!is_fresh);
        }
        if fresh.is_empty() {
            return Ok(taken);
        }
        let Some(counts) = pending::encode(&counts.into_series()) else {
            if taken.deltas == 1 {
                return Err(CommitError::Never("its counts do not fit an item".to_owned()));
            }
            let half = deltas.get(..taken.deltas / 2).unwrap_or(deltas);
            return Box::pin(self.attempt(generation, half, entries, until)).await;
        };
        paths
            .renew(&self.client, &self.table, now)
            .await
            .map_err(CommitError::Unknown)?;
        let item = pending::item(generation, merge::id(now), counts, now);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#series)")
            .expression_attribute_names("#series", SERIES)
            .build();
        // All required fields are set.
        let put = put.map_err(|error| CommitError::Never(error.to_string()))?;
        let mut updates = vec![TransactWriteItem::builder().put(put).build()];
        updates.extend(paths.updates(&self.table, fresh, now));
        taken.write_units = self.commit(updates, None).await?;
        Ok(taken)
    }

    /// Whether the table accepts a write that is independent of the events. If it does, a refusal is the
    /// event's fault; otherwise, the table's.
    async fn takes_writes(&self) -> bool {
        let probe = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(SERIES, AttributeValue::S("probe".to_owned()))
            .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
            .update_expression("SET #at = :now")
            .expression_attribute_names("#at", UPDATED_AT)
            .expression_attribute_values(":now", AttributeValue::N(time::now().to_string()))
            .send()
            .await;
        probe.is_ok()
    }

    /// Executes a transaction. Returns the write units that it used.
    async fn commit(
        &self,
        updates: Vec<TransactWriteItem>,
        name: Option<String>,
    ) -> Result<f64, CommitError> {
        let outcome = self
            .client
            .transact_write_items()
            .set_transact_items(Some(updates))
            .set_client_request_token(name)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let error = match outcome {
            Ok(answer) => {
                let tables = answer.consumed_capacity.unwrap_or_default();
                return Ok(tables.iter().filter_map(|table| table.capacity_units).sum());
            }
            Err(error) => error,
        };
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        {
            return Err(cancellation(cancelled.cancellation_reasons()));
        }
        Err(if dynamodb::is_validation(&error) {
            CommitError::Never("ValidationException".to_owned())
        } else {
            CommitError::Unknown(clients::failure(&error).to_owned())
        })
    }
}

/// Why DynamoDB cancelled a transaction. There is a reason for each update, in order.
fn cancellation(reasons: &[CancellationReason]) -> CommitError {
    let codes: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.code().unwrap_or_default())
        .collect();
    let of = |wanted: &[&str]| codes.iter().position(|code| wanted.contains(code));
    if let Some(reason) = of(&["ValidationError"]).and_then(|index| reasons.get(index)) {
        let why = reason.message().unwrap_or_default();
        return CommitError::Never(format!("ValidationError: {why}"));
    }
    if of(&CONFLICTS).is_some() {
        return CommitError::Conflict;
    }
    let code = codes.into_iter().find(|code| !matches!(*code, "" | "None"));
    CommitError::Cancelled(code.unwrap_or("cancelled").to_owned())
}

/// How many of the first deltas fit one transaction, if each minute has at most one item of markers.
fn fitting(deltas: &[CounterDelta]) -> usize {
    let mut minutes = BTreeSet::new();
    let fit = deltas.iter().take_while(|delta| {
        minutes.insert(delta.identity.received_at.div_euclid(60_000));
        minutes.len() < MAX_ITEMS
    });
    fit.count().max(1)
}
