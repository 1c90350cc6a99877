//! The records of one batch, each made durable: stored, found to be a duplicate, queued for later,
//! or put aside for a person. What could not be made durable is counted as lost, and only then is
//! the sender asked to come again.

use std::{borrow::Cow, collections::HashMap};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use crate::{
    aws::Aws,
    batch::{self, Batch},
    config::StorageConfig,
    event::Unreadable,
    item::{self, Arrival},
    letter::{Letter, Reason},
    queue::{self, SqsQueue},
    store::{DynamoStore, PutError},
};

/// Writes under way at once: as many as keep one slow core busy, few enough for 128 MB.
const IN_FLIGHT: usize = 32;

/// One letter for each dead record up to this many; beyond, letters hold several, so that a body
/// of ten thousand can be put aside within the budget.
const DEAD_LETTERS: usize = 100;

/// Where events go.
#[derive(Clone)]
pub struct Storage {
    table: DynamoStore,
    retry: SqsQueue,
    dead: SqsQueue,
    config: StorageConfig,
}

/// Until when what must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Then storing stops, and what is left is queued.
    pub store: Instant,
    /// Then queueing stops, and what is left is lost here: the sender still has it.
    pub queue: Instant,
}

/// What became of a batch's records. Every record is in exactly one of `stored`, `duplicates`,
/// `queued`, `dead_lettered` and `lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
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
    /// Nowhere.
    pub lost: usize,
    /// Of the received: could be read as an event, or nobody had the time to try.
    pub readable: usize,
}

/// A record that needs a person, and why.
struct Dead<'a> {
    record: &'a str,
    reason: Reason,
    detail: String,
}

enum Written<'a> {
    Stored { late: bool },
    Duplicate,
    Dead(Dead<'a>),
    Later,
}

impl Storage {
    /// Clients for the table and the queues of a configuration.
    pub fn new(config: StorageConfig, aws: &Aws) -> Self {
        Self {
            table: DynamoStore::new(aws.dynamodb.clone(), config.events_table.clone()),
            retry: SqsQueue::new(aws.sqs.clone(), config.retry_queue_url.clone()),
            dead: SqsQueue::new(aws.sqs.clone(), config.dead_letter_queue_url.clone()),
            config,
        }
    }

    /// The rules that events arriving at `at` (epoch milliseconds) are stored under.
    pub fn arrival(&self, at: i64) -> Arrival {
        self.config.arrival(at)
    }

    /// Stores a batch's records concurrently, queues what is left at the deadline and puts aside
    /// what cannot be stored. If not one record could be read, nothing is put aside: `readable` is
    /// then 0, and the body as a whole is the caller's to keep.
    pub async fn ingest(
        &self,
        function: &str,
        batch: &Batch<'_>,
        arrival: Arrival,
        until: Deadlines,
    ) -> Tally {
        let (mut tally, later, mut dead) = self.store(batch, arrival, until.store).await;
        if tally.readable == 0 {
            return tally;
        }
        let (queued, left) = tokio::join!(
            self.queue(function, batch, arrival, &later, until.queue),
            self.put_aside(function, batch, arrival, &mut dead, most_of(until.queue)),
        );
        // What the dead-letter queue did not take is as safe in the other: `redrive` finds the same fault.
        let queued = queued + self.queue(function, batch, arrival, &left, until.queue).await;
        tally.dead_lettered = dead.len() - left.len();
        tally.conflicts = conflicts(&dead);
        tally.lost = later.len() + left.len() - queued;
        tally.queued = queued;
        tally
    }

    /// Stores the records of a letter from the retry queue. What is left counts as lost, and the
    /// letter comes back by itself. If only the time was too short, what is left goes into the queue
    /// as a letter of its own: it is fewer each time, so that a letter of any size is stored at last.
    pub async fn restore(&self, letter: &Letter, batch: &Batch<'_>, until: Deadlines) -> Tally {
        let arrival = self.arrival(letter.received_at);
        let (mut tally, later, mut dead) = self.store(batch, arrival, until.store).await;
        let cut_off = Instant::now() >= until.store && later.len() < tally.received;
        if cut_off {
            tally.queued = self
                .queue(&letter.function, batch, arrival, &later, until.queue)
                .await;
        }
        if tally.queued < later.len() {
            // The letter comes back whole; putting its dead records aside now would do it again then.
            tally.queued = 0;
            tally.lost = later.len() + dead.len();
            return tally;
        }
        let left = self
            .put_aside(&letter.function, batch, arrival, &mut dead, until.queue)
            .await;
        tally.dead_lettered = dead.len() - left.len();
        tally.conflicts = conflicts(&dead);
        tally.lost = left.len();
        tally
    }

    /// Stores what it can until the deadline. The rest is returned: what to try later, and what
    /// will never work.
    async fn store<'a>(
        &self,
        batch: &Batch<'a>,
        arrival: Arrival,
        deadline: Instant,
    ) -> (Tally, Vec<&'a str>, Vec<Dead<'a>>) {
        let mut tally = Tally::default();
        let (mut later, mut dead) = (Vec::new(), Vec::new());
        let mut records = batch.records();
        let mut writes = FuturesUnordered::new();
        // Which records are being written, to know them when the deadline cuts their writes off.
        let mut under_way: HashMap<usize, &'a str> = HashMap::with_capacity(IN_FLIGHT);
        let stop = sleep_until(deadline);
        tokio::pin!(stop);
        loop {
            // The clock is asked for every record: millions of unreadable ones never wait for a write.
            while writes.len() < IN_FLIGHT
                && Instant::now() < deadline
                && let Some(record) = records.next()
            {
                tally.received += 1;
                match batch.read(record).and_then(|event| build(event, arrival)) {
                    Ok((item, late)) => {
                        tally.readable += 1;
                        let number = tally.received;
                        under_way.insert(number, record);
                        writes.push(
                            async move { (number, self.write(batch, record, item, late, arrival).await) },
                        );
                    }
                    Err(Unreadable(detail)) => dead.push(Dead {
                        record,
                        reason: Reason::Unreadable,
                        // Beyond the first hundred found again when it is told: of millions it would not fit.
                        detail: if dead.len() < DEAD_LETTERS {
                            detail
                        } else {
                            String::new()
                        },
                    }),
                }
            }
            let (number, written) = tokio::select! {
                biased;
                () = &mut stop => break,
                written = writes.next() => match written {
                    Some(written) => written,
                    None => break,
                },
            };
            let record = under_way.remove(&number);
            match written {
                Written::Stored { late } => {
                    tally.stored += 1;
                    tally.late += usize::from(late);
                }
                Written::Duplicate => tally.duplicates += 1,
                Written::Dead(record) => dead.push(record),
                Written::Later => later.extend(record),
            }
        }
        drop(writes);
        later.extend(under_way.into_values());
        for record in records {
            tally.received += 1;
            tally.readable += 1;
            later.push(record);
        }
        (tally, later, dead)
    }

    async fn write<'a>(
        &self,
        batch: &Batch<'a>,
        record: &'a str,
        item: item::Item,
        late: bool,
        arrival: Arrival,
    ) -> Written<'a> {
        let dead = |reason, detail| {
            Written::Dead(Dead {
                record,
                reason,
                detail,
            })
        };
        match self.table.put(item).await {
            Ok(()) => Written::Stored { late },
            Err(PutError::Exists(stored)) => {
                // Built again rather than kept: keeping a copy would cost every event, duplicates are rare.
                let differing = match batch.read(record).and_then(|event| build(event, arrival)) {
                    Ok((item, _)) => item::differences(&item, &stored),
                    Err(Unreadable(detail)) => return dead(Reason::Unreadable, detail),
                };
                if differing.is_empty() {
                    Written::Duplicate
                } else {
                    dead(
                        Reason::Conflict,
                        format!(
                            "an event with this key is stored and differs in {}",
                            differing.join(", ")
                        ),
                    )
                }
            }
            Err(PutError::Refused(why)) => {
                dead(Reason::Unreadable, format!("DynamoDB refused the item: {why}"))
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
        records: &[&str],
        deadline: Instant,
    ) -> usize {
        let chunks = batch::by_bytes(records);
        let letters = chunks.iter().map(|chunk| {
            Cow::Owned(Letter {
                reason: Reason::Exhausted,
                detail: format!("{} events could not be stored in time", chunk.len()),
                function: function.to_owned(),
                received_at: arrival.at,
                body: batch.body_of(chunk),
            })
        });
        let failed = self.retry.send(Box::new(letters), deadline).await;
        let sent = chunks
            .iter()
            .enumerate()
            .filter(|(place, _)| !failed.contains(place));
        sent.map(|(_, chunk)| chunk.len()).sum()
    }

    /// Puts records aside for a person. Returns those that the dead-letter queue did not take.
    async fn put_aside<'a>(
        &self,
        function: &str,
        batch: &Batch<'_>,
        arrival: Arrival,
        dead: &mut [Dead<'a>],
        deadline: Instant,
    ) -> Vec<&'a str> {
        dead.sort_by_key(|d| d.reason);
        let at_most = dead.len().div_ceil(DEAD_LETTERS).max(1);
        let groups: Vec<&[Dead<'a>]> = dead
            .chunk_by(|one, next| one.reason == next.reason)
            .flat_map(|same_reason| same_reason.chunks(at_most))
            .collect();
        let letters = groups.iter().filter_map(|group| {
            let first = group.first()?;
            let mut detail = match first.detail.as_str() {
                "" => batch
                    .read(first.record)
                    .err()
                    .map_or_else(String::new, |why| why.0),
                known => known.to_owned(),
            };
            if group.len() > 1 {
                detail = format!("{detail} (and {} more records)", group.len() - 1);
            }
            let records: Vec<&str> = group.iter().map(|d| d.record).collect();
            Some(Cow::Owned(Letter {
                reason: first.reason,
                detail,
                function: function.to_owned(),
                received_at: arrival.at,
                body: batch.body_of(&records),
            }))
        });
        let failed = self.dead.send(Box::new(letters), deadline).await;
        let left = groups
            .iter()
            .enumerate()
            .filter(|(place, _)| failed.contains(place));
        left.flat_map(|(_, group)| group.iter().map(|d| d.record))
            .collect()
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

    /// Keeps a whole body for a person. Returns whether it is durable. From the retry queue, where
    /// it goes if need be, `redrive` puts it into the dead-letter queue.
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

fn conflicts(dead: &[Dead<'_>]) -> usize {
    dead.iter().filter(|d| d.reason == Reason::Conflict).count()
}

fn build(event: crate::event::Event, arrival: Arrival) -> Result<(item::Item, bool), Unreadable> {
    let late = arrival.is_late(event.event_time);
    Ok((item::build(event, arrival)?, late))
}
