//! Stores the records of a batch concurrently, until a deadline.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use super::{BatchOutcome, batch::Batch, dead::DeadRecords, positions::Positions};
use crate::{
    events_table::{
        EventsTable, Inserted, MAX_STATEMENTS, PutError,
        item::{self, Arrival, Content, Item, NewItem},
    },
    queue::message::Reason,
    record::Unreadable,
};

/// The most concurrent calls of the table for one batch: enough to keep one slow core busy, and few enough for
/// 128 MB.
const IN_FLIGHT: usize = 32;

/// The most concurrent calls with several events: 100 events. A slow table then answers each call before the
/// SDK repeats it, which would report an event's own first write as a duplicate.
const RUNS_IN_FLIGHT: usize = 4;

/// The most bytes of records in one call with several events. A longer record has its own call.
const RUN_BYTES: usize = 32 * 1024;

/// Attempts of a call with several events, if only some of them were throttled.
const ATTEMPTS: u32 = 4;

/// The longest delay before the second attempt. Each further attempt doubles it.
const BACKOFF: Duration = Duration::from_millis(30);

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

/// The records to store, and what applies to all of them.
#[derive(Clone, Copy)]
struct Work<'w> {
    batch: &'w Batch<'w>,
    arrival: Arrival,
    slice: &'w ParsingSlice,
    deadline: Instant,
    /// How long a call with several events may take before its events are put one by one. A call that starts
    /// later than this before the deadline is not cut short: a second write of an event that was just written
    /// would count it as a duplicate.
    patience: Duration,
}

impl Work<'_> {
    /// Reads a record and builds its item. Also returns whether the event is late.
    fn read(&self, position: u32) -> Result<(NewItem, bool), Unreadable> {
        let event = self.batch.read(self.batch.record(position))?;
        let late = self.arrival.is_late(event.event_time);
        Ok((item::build(event, self.arrival)?, late))
    }
}

/// Result of inserting a run of records. The other records of the run may be stored later.
#[derive(Default)]
struct InsertedRun {
    decided: Vec<(u32, RecordOutcome)>,
    /// Only a put of the single item shows what happened to it.
    undecided: Vec<u32>,
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
        let work = Work {
            batch,
            arrival,
            slice: &slice,
            deadline,
            patience: deadline.saturating_duration_since(Instant::now()) / 2,
        };
        let records = stream::iter(batch.runs(MAX_STATEMENTS, RUN_BYTES))
            .map(|run| self.store_run(work, run).boxed())
            .flatten_unordered(RUNS_IN_FLIGHT)
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

    /// Stores neighboring records: all of them with one call, then one by one those that the call did not
    /// decide.
    fn store_run<'s>(
        &'s self,
        work: Work<'s>,
        run: Range<u32>,
    ) -> impl Stream<Item = (u32, RecordOutcome)> + Send + 's {
        stream::once(self.insert_run(work, run)).flat_map(move |inserted| {
            let one_by_one = stream::iter(inserted.undecided)
                .map(move |position| async move { (position, self.store_record(work, position).await) })
                .buffer_unordered(IN_FLIGHT / RUNS_IN_FLIGHT);
            stream::iter(inserted.decided).chain(one_by_one)
        })
    }

    /// Parses neighboring records and inserts their items. Repeats what was throttled, until the deadline.
    async fn insert_run(&self, work: Work<'_>, run: Range<u32>) -> InsertedRun {
        let mut inserted = InsertedRun::default();
        if run.len() == 1 {
            inserted.undecided.push(run.start);
            return inserted;
        }
        let Ok(_room) = self.room_for(work.batch.bytes_of(&run)).await else {
            return inserted;
        };
        let mut open: Vec<u32> = run.collect();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let delay = (BACKOFF * 2_u32.pow(attempt - 1)).mul_f32(f32::midpoint(fastrand::f32(), 1.0));
                if Instant::now() + delay >= work.deadline {
                    break;
                }
                tokio::time::sleep(delay).await;
            }
            open = self.insert_records(work, open, &mut inserted).await;
            if open.is_empty() {
                break;
            }
        }
        inserted
    }

    /// Parses records and inserts their items with one call. Returns the records that were throttled.
    async fn insert_records(&self, work: Work<'_>, open: Vec<u32>, inserted: &mut InsertedRun) -> Vec<u32> {
        let mut read = Vec::with_capacity(open.len());
        let mut items = Vec::with_capacity(open.len());
        for position in open {
            work.slice.pause().await;
            if Instant::now() >= work.deadline {
                return Vec::new();
            }
            match work.read(position) {
                Ok((item, late)) => {
                    read.push((position, late));
                    items.push(item);
                }
                Err(Unreadable(why)) => inserted.decided.push((position, RecordOutcome::Unreadable(why))),
            }
        }
        if let [] | [_] = items.as_slice() {
            inserted
                .undecided
                .extend(read.iter().map(|(position, _)| position));
            return Vec::new();
        }
        let undecided = vec![Inserted::Undecided; items.len()];
        let insert = timeout(work.patience, self.table.insert(items));
        let results = insert.await.unwrap_or(undecided);
        let mut throttled = Vec::new();
        for ((position, late), result) in read.into_iter().zip(results) {
            match result {
                Inserted::Stored => inserted.decided.push((position, RecordOutcome::Stored { late })),
                Inserted::Undecided => inserted.undecided.push(position),
                Inserted::Retryable => throttled.push(position),
                Inserted::Unavailable => {}
            }
        }
        throttled
    }

    /// Parses one record and puts its item. Does not start after the deadline.
    async fn store_record(&self, work: Work<'_>, position: u32) -> RecordOutcome {
        let run = position..position + 1;
        let Ok(_room) = self.room_for(work.batch.bytes_of(&run)).await else {
            return RecordOutcome::Later;
        };
        work.slice.pause().await;
        if Instant::now() >= work.deadline {
            return RecordOutcome::Later;
        }
        match work.read(position) {
            Ok((item, late)) => {
                self.write(work.batch, work.batch.record(position), item, late)
                    .await
            }
            Err(Unreadable(why)) => RecordOutcome::Unreadable(why),
        }
    }

    /// Waits until the concurrent records leave room for a record of this length.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES);
        Arc::clone(&self.room).acquire_many_owned(wanted).await
    }

    async fn write(&self, batch: &Batch<'_>, record: &str, item: NewItem, late: bool) -> RecordOutcome {
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
