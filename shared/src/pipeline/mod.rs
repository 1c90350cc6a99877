//! Makes each record of a batch durable: stored, known as a duplicate, queued for a retry, or sent to
//! the dead-letter queue. A record that could not be made durable counts as lost; then the sender
//! gets a 503.

pub mod batch;

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    event::Unreadable,
    events_table::{
        EventsTable, PutError,
        item::{self, Arrival, Content, Item},
    },
    operations::{clients::Aws, config::StorageConfig},
    pipeline::batch::{Batch, Places},
    queue::{
        self, SqsQueue,
        message::{Letter, Reason},
    },
};

/// Writes under way at once: as many as keep one slow core busy, few enough for 128 MB.
const IN_FLIGHT: usize = 32;

/// The length of the records under way at once in all bodies and letters together; one that is longer
/// goes alone. Expanded, values take fifty times the length of their text at worst.
const IN_FLIGHT_BYTES: u32 = 256 * 1024;

/// Reading goes on this long before writes have their turn.
const AT_A_STRETCH: Duration = Duration::from_millis(5);

/// One letter for each dead record up to this many; beyond, letters hold several, so that a body
/// of ten thousand can be dead-lettered within the budget.
const DEAD_LETTERS: usize = 100;

/// The events table and both queues.
#[derive(Clone)]
pub struct Pipeline {
    table: EventsTable,
    retry: SqsQueue,
    dead: SqsQueue,
    config: StorageConfig,
    /// [`IN_FLIGHT_BYTES`].
    room: Arc<Semaphore>,
}

/// Deadlines for the phases of a request.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// When storing stops. Remaining records are queued.
    pub store: Instant,
    /// When queueing stops. Remaining records count as lost; the sender still has them.
    pub queue: Instant,
}

/// Result of a batch. Every record is in exactly one of `stored`, `duplicates`,
/// `queued`, `dead_lettered` and `lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchOutcome {
    /// Records in the batch.
    pub received: usize,
    /// Written now.
    pub stored: usize,
    /// Stored before, with the same content.
    pub duplicates: usize,
    /// Of the dead-lettered: stored before, with other content.
    pub conflicts: usize,
    /// Of the stored: arrived late.
    pub late: usize,
    /// In the retry queue.
    pub queued: usize,
    /// In the dead-letter queue.
    pub dead_lettered: usize,
    /// Not durable anywhere.
    pub lost: usize,
    /// Of the received: readable as an event, or not read for lack of time.
    pub readable: usize,
}

/// Result of a body.
pub enum Ingested {
    /// At least one record is readable, or was not read for lack of time.
    SecretText(BatchOutcome),
    /// None could. Nothing was kept: the body as a whole is the caller's to keep.
    Unreadable {
        /// How many records there are.
        records: usize,
        /// Why, in words.
        why: String,
    },
}

/// Records that are not stored.
#[derive(Default)]
struct Left {
    /// Records whose writes failed or were cut off.
    later: Vec<u32>,
    /// Records that were not read for lack of time.
    unread: Range<u32>,
    /// Records that are no events.
    unreadable: Places,
    /// Why the first [`DEAD_LETTERS`] of them are none. The others are read again to say so: the text of
    /// millions would not fit, and a body with expensive records has only a few.
    reasons: BTreeMap<u32, String>,
    /// Events that the table will never take.
    refused: Vec<Refused>,
}

impl Left {
    /// What to try later.
    fn later(&self) -> Places {
        let mut later = Places::default();
        for place in &self.later {
            later.push(*place);
        }
        later.extend(self.unread.clone());
        later
    }

    fn is_unreadable(&mut self, place: u32, why: String) {
        self.unreadable.push(place);
        if self.reasons.len() < DEAD_LETTERS {
            self.reasons.insert(place, why);
        }
    }

    fn dead(&self) -> usize {
        self.unreadable.len() + self.refused.len()
    }

    fn conflicts(&self) -> usize {
        self.refused
            .iter()
            .filter(|refused| refused.reason == Reason::Conflict)
            .count()
    }
}

/// An event that needs a person, and why.
struct Refused {
    place: u32,
    reason: Reason,
    detail: String,
}

/// Some dead records of one reason, for one letter.
struct Group {
    places: Places,
    reason: Reason,
    /// Why the first one is here; reading it again says so where there is none.
    detail: Option<String>,
}

enum Written {
    Stored { late: bool },
    Duplicate,
    Refused(Reason, String),
    Later,
}

impl Pipeline {
    /// Clients for the table and the queues of a configuration.
    pub fn new(config: StorageConfig, aws: &Aws) -> Self {
        Self {
            table: EventsTable::new(aws.dynamodb.clone(), config.events_table.clone()),
            retry: SqsQueue::new(aws.sqs.clone(), config.retry_queue_url.clone()),
            dead: SqsQueue::new(aws.sqs.clone(), config.dead_letter_queue_url.clone()),
            config,
            room: Arc::new(Semaphore::new(IN_FLIGHT_BYTES as usize)),
        }
    }

    /// The rules that events arriving at `at` (epoch milliseconds) are stored under.
    pub fn arrival(&self, at: i64) -> Arrival {
        self.config.arrival(at)
    }

    /// Stores a batch's records concurrently, queues the rest at the deadline and sends records that
    /// can never be stored to the dead-letter queue.
    pub async fn ingest(
        &self,
        function: &str,
        batch: &Batch<'_>,
        arrival: Arrival,
        until: Deadlines,
    ) -> Ingested {
        let (mut outcome, mut left) = self.store(batch, arrival, until.store).await;
        if outcome.readable == 0 {
            return Ingested::Unreadable {
                records: outcome.received,
                why: match left.reasons.first_key_value() {
                    Some((_, why)) => format!("not one record can be read: {why}"),
                    None => "the body holds no record".to_owned(),
                },
            };
        }
        let dead = groups(&mut left);
        let later = left.later();
        let (queued, aside) = tokio::join!(
            self.queue(function, batch, arrival, &later, until.queue),
            self.put_aside(function, batch, arrival, &dead, most_of(until.queue)),
        );
        // What the dead-letter queue did not take is as safe in the other: `redrive` finds the same fault.
        let again = self.queue(function, batch, arrival, &aside, until.queue).await;
        outcome.dead_lettered -= aside.len();
        outcome.queued = queued + again;
        outcome.lost = later.len() + aside.len() - outcome.queued;
        Ingested::SecretText(outcome)
    }

    /// Stores the records of a letter from the retry queue. What is left counts as lost, and the
    /// letter comes back by itself. If only the time was too short, what is left goes into the queue
    /// as a separate letter. Each one is smaller, so a letter of any size is stored eventually.
    pub async fn restore(&self, letter: &Letter, batch: &Batch<'_>, until: Deadlines) -> BatchOutcome {
        let arrival = self.arrival(letter.received_at);
        let (mut outcome, mut left) = self.store(batch, arrival, until.store).await;
        let later = left.later();
        if Instant::now() >= until.store && later.len() < outcome.received {
            outcome.queued = self
                .queue(&letter.function, batch, arrival, &later, until.queue)
                .await;
        }
        if outcome.queued < later.len() {
            // The letter comes back whole; putting its dead records aside now would do it again then.
            outcome.queued = 0;
            outcome.lost = later.len() + left.dead();
            outcome.dead_lettered = 0;
            outcome.conflicts = 0;
            return outcome;
        }
        let dead = groups(&mut left);
        let aside = self
            .put_aside(&letter.function, batch, arrival, &dead, until.queue)
            .await;
        outcome.dead_lettered -= aside.len();
        outcome.lost = aside.len();
        outcome
    }

    /// Stores what it can until the deadline. The rest is returned, and counted as if all dead
    /// records were dead-lettered.
    async fn store(&self, batch: &Batch<'_>, arrival: Arrival, deadline: Instant) -> (BatchOutcome, Left) {
        let mut outcome = BatchOutcome {
            received: batch.len(),
            ..BatchOutcome::default()
        };
        let mut left = Left {
            unread: batch.places(),
            ..Left::default()
        };
        let mut writes = FuturesUnordered::new();
        // Which records are being written, to know them when the deadline cuts their writes off.
        let mut under_way: Vec<u32> = Vec::with_capacity(IN_FLIGHT);
        let stop = sleep_until(deadline);
        tokio::pin!(stop);
        loop {
            // The clock is asked for every record: millions of unreadable ones never wait for a write,
            // and the writes of the readable ones beside them go on meanwhile.
            let began = Instant::now();
            let mut paused = false;
            while writes.len() < IN_FLIGHT
                && Instant::now() < deadline
                && let Some(place) = Some(left.unread.start).filter(|place| left.unread.contains(place))
            {
                let record = batch.record(place);
                paused = !writes.is_empty() && began.elapsed() > AT_A_STRETCH;
                if paused {
                    break;
                }
                let room = match self.room_for(record.len() + batch.envelope_bytes()) {
                    Ok(room) => room,
                    // A write that ends makes room.
                    Err(_) if !writes.is_empty() => break,
                    Err(wanted) => {
                        let room = Arc::clone(&self.room).acquire_many_owned(wanted);
                        match timeout_at(deadline, room).await {
                            Ok(Ok(room)) => room,
                            _ => break,
                        }
                    }
                };
                left.unread.start += 1;
                match batch.read(record).and_then(|event| build(event, arrival)) {
                    Ok((item, late)) => {
                        outcome.readable += 1;
                        under_way.push(place);
                        writes.push(async move {
                            let written = self.write(batch, record, item, late).await;
                            drop(room);
                            (place, written)
                        });
                    }
                    Err(Unreadable(why)) => left.is_unreadable(place, why),
                }
            }
            // Everything was read and written, or the deadline left no time to begin.
            if writes.is_empty() {
                break;
            }
            let (place, written) = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(written) = writes.next() => written,
                () = tokio::task::yield_now(), if paused => continue,
            };
            under_way.retain(|under_way| *under_way != place);
            match written {
                Written::Stored { late } => {
                    outcome.stored += 1;
                    outcome.late += usize::from(late);
                }
                Written::Duplicate => outcome.duplicates += 1,
                Written::Refused(reason, detail) => left.refused.push(Refused {
                    place,
                    reason,
                    detail,
                }),
                Written::Later => left.later.push(place),
            }
        }
        drop(writes);
        left.later.extend(under_way);
        outcome.readable += left.unread.len();
        outcome.dead_lettered = left.dead();
        outcome.conflicts = left.conflicts();
        (outcome, left)
    }

    /// Room for a record of this length, or how much it takes.
    fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, u32> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES);
        Arc::clone(&self.room)
            .try_acquire_many_owned(wanted)
            .map_err(|_| wanted)
    }

    async fn write(&self, batch: &Batch<'_>, record: &str, item: Item, late: bool) -> Written {
        match self.table.put(item).await {
            Ok(()) => Written::Stored { late },
            Err(PutError::Exists(stored)) => compare(batch, record, &stored),
            Err(PutError::Refused(why)) => {
                Written::Refused(Reason::Unreadable, format!("DynamoDB refused the item: {why}"))
            }
            Err(error @ PutError::Unavailable(_)) => {
                tracing::debug!(%error, "an event goes to the retry queue");
                Written::Later
            }
        }
    }

    /// Queues records for `redrive`. Returns how many are in the queue.
    async fn queue(
        &self,
        function: &str,
        batch: &Batch<'_>,
        arrival: Arrival,
        places: &Places,
        deadline: Instant,
    ) -> usize {
        let mut sizes = Vec::new();
        let letters = batch.chunks(places).map(|chunk| {
            sizes.push(chunk.len());
            Cow::Owned(Letter {
                reason: Reason::Exhausted,
                detail: format!("{} events could not be stored in time", chunk.len()),
                function: function.to_owned(),
                received_at: arrival.at,
                body: batch.body_of(&chunk),
            })
        });
        let failed = self.retry.send(Box::new(letters), deadline).await;
        let sent = sizes
            .iter()
            .enumerate()
            .filter(|(place, _)| !failed.contains(place));
        sent.map(|(_, records)| records).sum()
    }

    /// Sends records to the dead-letter queue. Returns those that the dead-letter queue did not take.
    async fn put_aside(
        &self,
        function: &str,
        batch: &Batch<'_>,
        arrival: Arrival,
        groups: &[Group],
        deadline: Instant,
    ) -> Places {
        let letters = groups.iter().map(|group| {
            let first = group.places.first().unwrap_or_default();
            let mut detail = group.detail.clone().unwrap_or_else(|| why(batch, arrival, first));
            if group.places.len() > 1 {
                detail = format!("{detail} (and {} more records)", group.places.len() - 1);
            }
            Cow::Owned(Letter {
                reason: group.reason,
                detail,
                function: function.to_owned(),
                received_at: arrival.at,
                body: batch.body_of(&group.places),
            })
        });
        let failed = self.dead.send(Box::new(letters), deadline).await;
        let mut left = Places::default();
        for (_, group) in groups
            .iter()
            .enumerate()
            .filter(|(place, _)| failed.contains(place))
        {
            for run in group.places.runs() {
                left.extend(run);
            }
        }
        left
    }

    /// Puts a letter into the dead-letter queue. Returns whether it is there, whole.
    pub async fn give_up(&self, letter: &Letter, deadline: Instant) -> bool {
        let letters = std::slice::from_ref(letter);
        self.dead.send(queue::all(letters), deadline).await.is_empty()
    }

    /// Puts a queue message that is no letter into the dead-letter queue as it is. Returns whether it
    /// is there.
    pub async fn give_up_message(&self, body: &str, attributes: &[(&str, &str)], deadline: Instant) -> bool {
        self.dead.forward(body, attributes, deadline).await
    }

    /// Hides messages that were received from the retry queue, for a time each.
    pub async fn delay_retries(&self, messages: &[(&str, std::time::Duration)], deadline: Instant) {
        self.retry.hide(messages, deadline).await;
    }

    /// Sends a whole body to the dead-letter queue, or else to the retry queue, from which `redrive`
    /// moves it on. Returns whether it is durable.
    pub async fn put_body_aside(&self, letter: &Letter, deadline: Instant) -> bool {
        let letters = std::slice::from_ref(letter);
        self.dead
            .send(queue::all(letters), most_of(deadline))
            .await
            .is_empty()
            || self.retry.send(queue::all(letters), deadline).await.is_empty()
    }
}

/// A queue that hangs leaves the other one a third of the time.
fn most_of(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) * 2 / 3
}

/// Whether a record says what the stored item with its key says.
fn compare(batch: &Batch<'_>, record: &str, stored: &Item) -> Written {
    let said = match batch.content(record) {
        Ok(said) => said,
        Err(Unreadable(why)) => return Written::Refused(Reason::Unreadable, why),
    };
    let differing = match Content::of(stored) {
        Some(stored) => said.differences(&stored),
        None => vec![item::FORMAT],
    };
    if differing.is_empty() {
        return Written::Duplicate;
    }
    let detail = format!(
        "an event with this key is stored and differs in {}",
        differing.join(", ")
    );
    Written::Refused(Reason::Conflict, detail)
}

/// Why a record is no event or makes no item.
fn why(batch: &Batch<'_>, arrival: Arrival, place: u32) -> String {
    let read = batch
        .read(batch.record(place))
        .and_then(|event| build(event, arrival));
    read.err().map_or_else(String::new, |Unreadable(why)| why)
}

/// The dead records in groups of one reason: one letter for each record, or for several where there
/// are more than [`DEAD_LETTERS`].
fn groups(left: &mut Left) -> Vec<Group> {
    let at_most = left.dead().div_ceil(DEAD_LETTERS).max(1);
    let mut refused = std::mem::take(&mut left.refused);
    refused.sort_by_key(|refused| refused.reason);
    let refused = refused
        .chunk_by(|one, next| one.reason == next.reason)
        .flat_map(|same_reason| same_reason.chunks(at_most))
        .map(|group| {
            let mut places = Places::default();
            for refused in group {
                places.push(refused.place);
            }
            Group {
                places,
                reason: group.first().map_or(Reason::Unreadable, |refused| refused.reason),
                detail: group.first().map(|refused| refused.detail.clone()),
            }
        });
    let unreadable = std::mem::take(&mut left.unreadable);
    let mut reasons = std::mem::take(&mut left.reasons);
    let unreadable = unreadable.parts(at_most).into_iter().map(|places| Group {
        reason: Reason::Unreadable,
        detail: places.first().and_then(|first| reasons.remove(&first)),
        places,
    });
    unreadable.chain(refused).collect()
}

fn build(event: crate::event::Event, arrival: Arrival) -> Result<(Item, bool), Unreadable> {
    let late = arrival.is_late(event.event_time);
    Ok((item::build(event, arrival)?, late))
}
