//! Stores the records of a batch concurrently, until a deadline.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{BatchOutcome, batch::Batch, dead::DeadRecords, positions::Positions};
use crate::{
    event::Event,
    events_table::{
        EventsTable, PutError,
        item::{self, Arrival, Content, Item},
    },
    queue::message::Reason,
    record::Unreadable,
};

/// The most concurrent records: enough to keep one slow core busy, and few enough for 128 MB.
const IN_FLIGHT: usize = 32;

/// The most bytes of concurrent records in all batches of a process. A longer record is processed alone.
/// Parsed values take up to fifty times the length of their text.
const IN_FLIGHT_BYTES: u32 = 256 * 1024;

/// The longest time of parsing before pending writes can proceed.
const PARSING_SLICE: Duration = Duration::from_millis(5);

/// Result of storing a batch until the deadline.
pub(super) struct Stored {
    /// `queued` and `lost` are not set yet; `dead_lettered` counts all of `dead`.
    pub(super) outcome: BatchOutcome,
    /// Not stored in time. A retry may store them.
    pub(super) later: Positions,
    /// Records that can never be stored.
    pub(super) dead: DeadRecords,
}

impl Stored {
    /// The reason if no record is an event.
    pub(super) fn nothing_readable(&self) -> Option<String> {
        if self.dead.unreadable_len() < self.outcome.received {
            return None;
        }
        Some(match self.dead.why_unreadable() {
            Some(why) => format!("no record can be read: {why}"),
            None => "the body contains no records".to_owned(),
        })
    }
}

/// Result of one record.
enum RecordOutcome {
    Stored { late: bool },
    Duplicate,
    Unreadable(String),
    Refused(Reason, String),
    Later,
}

/// Writes records to the events table. Clones share the limit of concurrent bytes.
#[derive(Clone)]
pub(super) struct Writer {
    table: EventsTable,
    room: Arc<Semaphore>,
}

impl Writer {
    pub(super) fn new(table: EventsTable) -> Self {
        Self {
            table,
            room: Arc::new(Semaphore::new(IN_FLIGHT_BYTES as usize)),
        }
    }

    /// Stores records until the deadline.
    pub(super) async fn store(&self, batch: &Batch<'_>, arrival: Arrival, deadline: Instant) -> Stored {
        let mut outcome = BatchOutcome {
            received: batch.len(),
            ..BatchOutcome::default()
        };
        let mut dead = DeadRecords::default();
        // One byte for each record: a body may contain two million.
        let mut open = vec![true; batch.len()];
        let slice = ParsingSlice::begin();
        let records = stream::iter(batch.positions())
            .map(|position| {
                let slice = &slice;
                async move {
                    let result = self.store_record(batch, position, arrival, slice, deadline).await;
                    (position, result)
                }
            })
            .buffer_unordered(IN_FLIGHT)
            .take_until(sleep_until(deadline));
        let mut records = std::pin::pin!(records);
        while let Some((position, result)) = records.next().await {
            match result {
                RecordOutcome::Later => continue,
                RecordOutcome::Stored { late } => {
                    outcome.stored += 1;
                    outcome.late += usize::from(late);
                }
                RecordOutcome::Duplicate => outcome.duplicates += 1,
                RecordOutcome::Unreadable(why) => dead.unreadable(position, why),
                RecordOutcome::Refused(reason, detail) => dead.refused(position, reason, detail),
            }
            if let Some(open) = open.get_mut(position as usize) {
                *open = false;
            }
        }
        outcome.dead_lettered = dead.len();
        outcome.conflicts = dead.conflicts();
        let later = batch.positions().zip(open).filter(|(_, open)| *open);
        Stored {
            outcome,
            later: later.map(|(position, _)| position).collect(),
            dead,
        }
    }

    /// Parses one record and writes its item. Does not start after the deadline.
    async fn store_record(
        &self,
        batch: &Batch<'_>,
        position: u32,
        arrival: Arrival,
        slice: &ParsingSlice,
        deadline: Instant,
    ) -> RecordOutcome {
        let record = batch.record(position);
        let Ok(_room) = self.room_for(record.len() + batch.envelope_bytes()).await else {
            return RecordOutcome::Later;
        };
        slice.pause().await;
        if Instant::now() >= deadline {
            return RecordOutcome::Later;
        }
        match batch.read(record).and_then(|event| build(event, arrival)) {
            Ok((item, late)) => self.write(batch, record, item, late).await,
            Err(Unreadable(why)) => RecordOutcome::Unreadable(why),
        }
    }

    /// Waits until the concurrent records leave room for a record of this length.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES);
        Arc::clone(&self.room).acquire_many_owned(wanted).await
    }

    async fn write(&self, batch: &Batch<'_>, record: &str, item: Item, late: bool) -> RecordOutcome {
        match self.table.put(item).await {
            Ok(()) => RecordOutcome::Stored { late },
            Err(PutError::Exists(stored)) => compare(batch, record, &stored),
            Err(PutError::Refused(why)) => {
                RecordOutcome::Refused(Reason::Unreadable, format!("DynamoDB refused the item: {why}"))
            }
            Err(error @ PutError::Unavailable(_)) => {
                tracing::debug!(%error, "an event goes to the retry queue");
                RecordOutcome::Later
            }
        }
    }
}

/// Lets pending writes proceed after each [`PARSING_SLICE`] of parsing.
struct ParsingSlice(Mutex<Instant>);

impl ParsingSlice {
    fn begin() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    async fn pause(&self) {
        if self.began().elapsed() > PARSING_SLICE {
            tokio::task::yield_now().await;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    fn began(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares a record with the stored item that has its key.
fn compare(batch: &Batch<'_>, record: &str, stored: &Item) -> RecordOutcome {
    let said = match batch.content(record) {
        Ok(said) => said,
        Err(Unreadable(why)) => return RecordOutcome::Refused(Reason::Unreadable, why),
    };
    let differing = match Content::of(stored) {
        Some(stored) => said.differences(&stored),
        None => vec![item::FORMAT],
    };
    if differing.is_empty() {
        return RecordOutcome::Duplicate;
    }
    let detail = format!(
        "an event with this key is stored and differs in {}",
        differing.join(", ")
    );
    RecordOutcome::Refused(Reason::Conflict, detail)
}

fn build(event: Event, arrival: Arrival) -> Result<(Item, bool), Unreadable> {
    let late = arrival.is_late(event.event_time);
    Ok((item::build(event, arrival)?, late))
}
