//! The counters' table. Counts every event once, even if events are repeated, split over batches or out of
//! order.
//!
//! The transaction that changes the counters also adds a marker for every event. It fails if a marker exists
//! already.

mod bulk;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, ReturnConsumedCapacity, TransactWriteItem},
};
use tokio::time::Instant;
use webhook_ingest::{
    counters::{COMMON_SLOT, Generations, NO_PERIOD, PERIOD, SERIES, SLOTS, UPDATED_AT},
    event::time,
    operations::{backoff::Backoff, clients, dynamodb},
};

use crate::{
    chunk::{Counts, TransactionSize},
    counter_delta::{CounterDelta, Identity, Subject},
    dedup_markers::{NewMarkers, Paths},
    names::{Entry, Registry},
};

/// A projector that receives this many events at once is busy. Other projectors are then probably busy, too.
const BUSY: usize = 200;
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
    slot: Arc<Slot>,
}

/// The slot that this process uses while it is busy. After a conflict it takes another one, so that processes
/// that run at the same time soon use different slots.
struct Slot {
    number: AtomicU8,
    /// Whether there was a conflict.
    is_contended: AtomicBool,
}

impl Slot {
    fn any() -> Self {
        Self {
            number: AtomicU8::new(random(SLOTS)),
            is_contended: AtomicBool::new(false),
        }
    }

    /// The slot for this many events.
    fn of(&self, events: usize) -> u8 {
        if events >= BUSY || self.is_contended.load(Ordering::Relaxed) {
            self.number.load(Ordering::Relaxed)
        } else {
            COMMON_SLOT
        }
    }

    /// Takes another slot.
    fn evade(&self) {
        self.is_contended.store(true, Ordering::Relaxed);
        let current = self.number.load(Ordering::Relaxed);
        let other = (current - 1 + random(SLOTS - 1)) % SLOTS + 1;
        self.number.store(other, Ordering::Relaxed);
    }
}

/// A random number from 1 to `most`.
fn random(most: u8) -> u8 {
    let number = 1 + getrandom::u32().unwrap_or_default() % u32::from(most);
    u8::try_from(number).unwrap_or(1)
}

/// The codes of an update whose item another process wrote in the meantime, or is writing:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const CONFLICTS: [&str; 2] = ["TransactionConflict", "ConditionalCheckFailed"];

enum CommitError {
    /// Nothing was written, because another process wrote the item of this update, counted from 0.
    Conflict(usize),
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
            Self::Conflict(_) => "another process wrote at the same time",
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
            slot: Arc::new(Slot::any()),
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
                    *conflicts += usize::from(matches!(error, CommitError::Conflict(_)));
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
        let deltas = deltas.get(..fitting(deltas, entries)).unwrap_or(deltas);
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
        let mut counts = Counts::new(self.slot.of(deltas.len()));
        let mut size = TransactionSize::with(paths.closing().cloned());
        let mut taken = AttemptResult::default();
        for (delta, entries) in deltas.iter().zip(entries) {
            let mut is_fresh = false;
            if let Some(marker) = paths.item_for(generation, &delta.identity) {
                if !size.add(entries, marker.clone()) && !fresh.is_empty() {
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
            taken.fresh += usize::from(delta.is_event && is_fresh);
            taken.replayed += usize::from(delta.is_event && !is_fresh);
        }
        if fresh.is_empty() {
            return Ok(taken);
        }
        paths
            .renew(&self.client, &self.table, now)
            .await
            .map_err(CommitError::Unknown)?;
        let mut updates = counts.updates(&self.table, now);
        updates.extend(paths.updates(&self.table, fresh, now));
        taken.write_units = self.commit(updates, None).await.inspect_err(|error| {
            if matches!(error, CommitError::Conflict(update) if *update < counts.len()) {
                self.slot.evade();
            }
        })?;
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
    if let Some(update) = of(&CONFLICTS) {
        return CommitError::Conflict(update);
    }
    let code = codes.into_iter().find(|code| !matches!(*code, "" | "None"));
    CommitError::Cancelled(code.unwrap_or("cancelled").to_owned())
}

/// How many of the first deltas fit one transaction, if each minute has at most one item of markers.
fn fitting(deltas: &[CounterDelta], entries: &[Vec<Entry>]) -> usize {
    let mut size = TransactionSize::default();
    let minute = |delta: &CounterDelta| delta.identity.received_at.div_euclid(60_000).to_string();
    let fit = deltas
        .iter()
        .zip(entries)
        .take_while(|(delta, entry)| size.add(entry, minute(delta)));
    fit.count().max(1)
}
