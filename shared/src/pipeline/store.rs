//! Stores the records of some batches concurrently, until a deadline.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{BatchOutcome, batch::Batch, dead::DeadRecords, positions::Positions};
use crate::{
    events_table::{
        EventsTable, Inserted, PutError,
        item::{self, Arrival, Content, Item, NewItem},
    },
    operations::dynamodb::MAX_STATEMENTS,
    queue::message::Reason,
    record::Unreadable,
};

/// The most concurrent puts of a run's single events: with all runs, enough to keep one slow core busy, and few
/// enough for 128 MB.
const PUTS_IN_FLIGHT: usize = 8;

/// The most concurrent calls with several events: 100 events. A slow table then answers each call before the
/// SDK repeats it, which would report an event's own first write as a duplicate.
const RUNS_IN_FLIGHT: usize = 4;

/// The same for retried messages. No sender waits for them, so a call has more time before it is repeated.
const RETRIED_RUNS_IN_FLIGHT: usize = 8;

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
        // A body without records is a sender's check.
        let why = self.dead.why_unreadable()?;
        Some(format!("no record can be read: {why}"))
    }
}

/// A batch while its records are stored.
struct Storing {
    outcome: BatchOutcome,
    dead: DeadRecords,
    /// Whether each record is open. One byte for each record: a body may contain two million.
    open: Vec<bool>,
}

impl Storing {
    fn of(batch: &Batch<'_>) -> Self {
        Self {
            outcome: BatchOutcome {
                received: batch.len(),
                ..BatchOutcome::default()
            },
            dead: DeadRecords::default(),
            open: vec![true; batch.len()],
        }
    }

    /// Adds a record's result.
    fn add(&mut self, position: u32, result: RecordOutcome) {
        match result {
            RecordOutcome::Later => return,
            RecordOutcome::Stored { late } => {
                self.outcome.stored += 1;
                self.outcome.late += usize::from(late);
            }
            RecordOutcome::Duplicate => self.outcome.duplicates += 1,
            RecordOutcome::Unreadable(why) => self.dead.unreadable(position, why),
            RecordOutcome::Refused(reason, detail) => self.dead.refused(position, reason, detail),
        }
        if let Some(open) = self.open.get_mut(position as usize) {
            *open = false;
        }
    }

    fn end(mut self) -> Stored {
        self.outcome.dead_lettered = self.dead.len();
        self.outcome.conflicts = self.dead.conflicts();
        let later = (0..).zip(self.open).filter(|(_, open)| *open);
        Stored {
            outcome: self.outcome,
            later: later.map(|(position, _)| position).collect(),
            dead: self.dead,
        }
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

/// A batch, and when and how it arrived.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'b> {
    pub(super) batch: &'b Batch<'b>,
    pub(super) arrival: Arrival,
}

/// One record of the batches to store.
#[derive(Clone, Copy)]
struct Record {
    /// The index of its batch.
    batch: usize,
    /// Its position in the batch.
    position: u32,
}

/// Records that fit one call, from one or several batches.
#[derive(Default)]
struct Run {
    records: Vec<Record>,
    /// The bytes of their texts and envelopes.
    bytes: usize,
}

/// The runs of all records, in order. A record that is too long for a run is a run by itself.
struct Runs<'w> {
    batches: &'w [Arrived<'w>],
    /// The index of the next record's batch.
    index: usize,
    /// The next record's position in the batch.
    position: u32,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let mut run = Run::default();
        while let Some(arrived) = self.batches.get(self.index) {
            let records = MAX_STATEMENTS - run.records.len();
            let bytes = RUN_BYTES.saturating_sub(run.bytes);
            let mut range = arrived.batch.run_from(self.position, records, bytes);
            if range.is_empty() && self.position < arrived.batch.positions().end {
                if !run.records.is_empty() {
                    break;
                }
                range.end += 1;
            }
            self.position = range.end;
            run.bytes += arrived.batch.bytes_of(&range);
            let batch = self.index;
            run.records
                .extend(range.map(|position| Record { batch, position }));
            if self.position < arrived.batch.positions().end {
                break;
            }
            self.index += 1;
            self.position = 0;
        }
        (!run.records.is_empty()).then_some(run)
    }
}

/// The batches to store, and what applies to all of them.
#[derive(Clone, Copy)]
struct Work<'w> {
    batches: &'w [Arrived<'w>],
    slice: &'w ParsingSlice,
    deadline: Instant,
    /// How long a call with several events may take before its events are put one by one. A call that starts
    /// later than this before the deadline is not cut short: a second write of an event that was just written
    /// would count it as a duplicate.
    patience: Duration,
}

impl<'w> Work<'w> {
    #[expect(
        clippy::indexing_slicing,
        reason = "Runs makes all records, from these batches"
    )]
    fn batch_of(&self, record: Record) -> &'w Arrived<'w> {
        &self.batches[record.batch]
    }

    /// Reads a record and builds its item. Also returns whether the event is late.
    fn read(&self, record: Record) -> Result<(NewItem, bool), Unreadable> {
        let Arrived { batch, arrival } = *self.batch_of(record);
        let event = batch.read(record.position)?;
        let late = arrival.is_late(event.event_time);
        Ok((item::build(event, arrival)?, late))
    }
}

/// Result of inserting a run of records. The other records of the run may be stored later.
#[derive(Default)]
struct InsertedRun {
    decided: Vec<(Record, RecordOutcome)>,
    /// Only a put of the single item shows what happened to it.
    undecided: Vec<Record>,
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

    /// Stores the records of a batch until the deadline.
    pub(super) async fn store(&self, arrived: Arrived<'_>, deadline: Instant) -> Stored {
        let mut storing = Storing::of(arrived.batch);
        let add = |record: Record, result| storing.add(record.position, result);
        self.store_each(&[arrived], RUNS_IN_FLIGHT, deadline, add).await;
        storing.end()
    }

    /// Stores the records of several retried batches until the deadline. A call may contain records of several
    /// batches. Returns the result of each batch.
    pub(super) async fn store_all(&self, batches: &[Arrived<'_>], deadline: Instant) -> Vec<Stored> {
        let mut storing: Vec<Storing> = batches.iter().map(|arrived| Storing::of(arrived.batch)).collect();
        let add = |record: Record, result| {
            if let Some(storing) = storing.get_mut(record.batch) {
                storing.add(record.position, result);
            }
        };
        self.store_each(batches, RETRIED_RUNS_IN_FLIGHT, deadline, add)
            .await;
        storing.into_iter().map(Storing::end).collect()
    }

    /// Stores the records of all batches until the deadline, with this many concurrent calls with several
    /// events. Calls `add` with each result.
    async fn store_each(
        &self,
        batches: &[Arrived<'_>],
        runs_in_flight: usize,
        deadline: Instant,
        mut add: impl FnMut(Record, RecordOutcome),
    ) {
        let slice = ParsingSlice::begin();
        let work = Work {
            batches,
            slice: &slice,
            deadline,
            patience: deadline.saturating_duration_since(Instant::now()) / 2,
        };
        if let [Arrived { batch, .. }] = batches
            && batch.len() == 1
        {
            // Most requests have one event, which needs no concurrency.
            let record = Record {
                batch: 0,
                position: 0,
            };
            if let Ok(result) = timeout_at(deadline, Box::pin(self.store_record(work, record))).await {
                add(record, result);
            }
            return;
        }
        let runs = Runs {
            batches,
            index: 0,
            position: 0,
        };
        let records = stream::iter(runs)
            .map(|run| self.store_run(work, run).boxed())
            .flatten_unordered(runs_in_flight)
            .take_until(sleep_until(deadline));
        let mut records = std::pin::pin!(records);
        while let Some((record, result)) = records.next().await {
            add(record, result);
        }
    }

    /// Stores a run of records: all of them with one call, then one by one those that the call did not
    /// decide.
    fn store_run<'s>(
        &'s self,
        work: Work<'s>,
        run: Run,
    ) -> impl Stream<Item = (Record, RecordOutcome)> + Send + 's {
        stream::once(self.insert_run(work, run)).flat_map(move |inserted| {
            let one_by_one = stream::iter(inserted.undecided)
                .map(move |record| async move { (record, self.store_record(work, record).await) })
                .buffer_unordered(PUTS_IN_FLIGHT);
            stream::iter(inserted.decided).chain(one_by_one)
        })
    }

    /// Parses a run's records and inserts their items. Repeats what was throttled, until the deadline.
    async fn insert_run(&self, work: Work<'_>, run: Run) -> InsertedRun {
        let mut inserted = InsertedRun::default();
        let mut open = run.records;
        if open.len() == 1 {
            inserted.undecided = open;
            return inserted;
        }
        let Ok(_room) = self.room_for(run.bytes).await else {
            return inserted;
        };
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
    async fn insert_records(
        &self,
        work: Work<'_>,
        open: Vec<Record>,
        inserted: &mut InsertedRun,
    ) -> Vec<Record> {
        let mut read = Vec::with_capacity(open.len());
        let mut items = Vec::with_capacity(open.len());
        for record in open {
            work.slice.pause().await;
            if Instant::now() >= work.deadline {
                return Vec::new();
            }
            match work.read(record) {
                Ok((item, late)) => {
                    read.push((record, late));
                    items.push(item);
                }
                Err(Unreadable(why)) => inserted.decided.push((record, RecordOutcome::Unreadable(why))),
            }
        }
        if let [] | [_] = items.as_slice() {
            inserted.undecided.extend(read.iter().map(|(record, _)| record));
            return Vec::new();
        }
        let undecided = vec![Inserted::Undecided; items.len()];
        let insert = timeout(work.patience, self.table.insert(items));
        let results = insert.await.unwrap_or(undecided);
        let mut throttled = Vec::new();
        for ((record, late), result) in read.into_iter().zip(results) {
            match result {
                Inserted::Stored => inserted.decided.push((record, RecordOutcome::Stored { late })),
                Inserted::Undecided => inserted.undecided.push(record),
                Inserted::Retryable => throttled.push(record),
                Inserted::Unavailable => {}
            }
        }
        throttled
    }

    /// Parses one record and puts its item. Does not start after the deadline.
    async fn store_record(&self, work: Work<'_>, record: Record) -> RecordOutcome {
        let alone = record.position..record.position + 1;
        let Ok(_room) = self.room_for(work.batch_of(record).batch.bytes_of(&alone)).await else {
            return RecordOutcome::Later;
        };
        work.slice.pause().await;
        if Instant::now() >= work.deadline {
            return RecordOutcome::Later;
        }
        match work.read(record) {
            Ok((item, late)) => self.write(work, record, item, late).await,
            Err(Unreadable(why)) => RecordOutcome::Unreadable(why),
        }
    }

    /// Waits until the concurrent records leave room for a record of this length.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES);
        Arc::clone(&self.room).acquire_many_owned(wanted).await
    }

    async fn write(&self, work: Work<'_>, record: Record, item: NewItem, late: bool) -> RecordOutcome {
        match self.table.put(item).await {
            Ok(()) => RecordOutcome::Stored { late },
            Err(PutError::Exists(stored)) => compare(work.batch_of(record).batch, record.position, &stored),
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
fn compare(batch: &Batch<'_>, position: u32, stored: &Item) -> RecordOutcome {
    let around = batch.around(position);
    let said = match batch.content(position, &around) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Verified,
        provider::{FormatId, netcore_events},
    };

    static EVENTS: [FormatId; 1] = [&netcore_events::FORMAT];

    /// The positions of each run, by batch.
    fn runs(bodies: &[String]) -> Vec<Vec<(usize, u32)>> {
        let batches: Vec<Batch<'_>> = bodies
            .iter()
            .map(|body| Batch::parse(Verified::in_test(body.as_bytes()), &EVENTS).unwrap())
            .collect();
        let arrival = Arrival {
            stored_at: None,
            at: 0,
            retention_days: 0,
            late_after_hours: 72,
        };
        let arrived: Vec<Arrived<'_>> = batches.iter().map(|batch| Arrived { batch, arrival }).collect();
        let runs = Runs {
            batches: &arrived,
            index: 0,
            position: 0,
        };
        runs.map(|run| {
            assert!(run.records.len() == 1 || run.bytes <= RUN_BYTES, "{}", run.bytes);
            run.records
                .iter()
                .map(|record| (record.batch, record.position))
                .collect()
        })
        .collect()
    }

    fn of(records: &[usize]) -> String {
        let records: Vec<String> = records
            .iter()
            .map(|bytes| format!("\"{}\"", "x".repeat(*bytes)))
            .collect();
        format!("[{}]", records.join(","))
    }

    #[test]
    fn batches_share_runs() {
        let all = |batches: std::ops::Range<usize>| batches.map(|batch| (batch, 0)).collect::<Vec<_>>();
        assert!(runs(&[]).is_empty());
        assert_eq!(runs(&[of(&[]), of(&[]), of(&[5]), of(&[])]), [[(2, 0)]]);
        assert_eq!(runs(&vec![of(&[5]); 60]), [all(0..25), all(25..50), all(50..60)]);
        let long = 40 * 1024;
        let mixed = [of(&[5, long, 5]), of(&[5]), of(&[long])];
        assert_eq!(
            runs(&mixed),
            [vec![(0, 0)], vec![(0, 1)], vec![(0, 2), (1, 0)], vec![(2, 0)]]
        );
        // Thirteen of 2.5 KB fit 32 KB.
        let lengths: Vec<usize> = runs(&vec![of(&[2_500]); 30]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [13, 13, 4]);
    }
}
