//! Makes each record of a batch durable: stored, recognized as a duplicate, queued for a retry, or sent to
//! the dead-letter queue. A record that could not be made durable counts as lost; then the sender gets a 503.

pub mod batch;
mod dead;
pub mod decode;
mod layout;
mod outcome;
mod positions;
mod rejected;
mod store;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use self::{
    batch::Batch,
    dead::Group,
    store::{Arrived, Stored, Writer},
};
pub use self::{outcome::BatchOutcome, positions::Positions, rejected::Rejected};
use crate::{
    event::{EpochMillis, time},
    events_table::{EventsTable, item::Arrival},
    operations::{clients::Aws, config::StorageConfig},
    queue::{
        SqsQueue,
        message::{Body, QueueMessage, Reason},
    },
};

/// The events table and both queues.
#[derive(Clone)]
pub struct Pipeline {
    table: EventsTable,
    writer: Writer,
    retry: SqsQueue,
    dead: SqsQueue,
    config: StorageConfig,
}

/// Deadlines for the phases of a request.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// When storing stops. Remaining records are queued.
    pub store: Instant,
    /// When queueing stops. Remaining records count as lost, and the sender must send them again.
    pub queue: Instant,
}

/// Result of ingesting a body.
pub enum Ingested {
    /// At least one record is an event, or was not parsed in time.
    Batch(BatchOutcome),
    /// There are records, and none is an event. Nothing was written: the caller dead-letters the whole body.
    NothingReadable {
        /// The number of records.
        records: usize,
        /// The reason in words.
        why: String,
    },
}

/// Records that arrived longer ago waited in a queue: a request begins to store them sooner. Shorter than the time
/// after which `projector` counts an event, so that it sees the events of a message in the order of storing.
const WAITED_MS: EpochMillis = 1_500;

impl Pipeline {
    /// Creates the clients for the configured table and queues.
    pub fn new(config: StorageConfig, aws: &Aws) -> Self {
        let table = EventsTable::new(aws.dynamodb.clone(), config.events_table.clone());
        Self {
            writer: Writer::new(table.clone()),
            table,
            retry: SqsQueue::new(aws.sqs.clone(), config.retry_queue_url.clone()),
            dead: SqsQueue::new(aws.sqs.clone(), config.dead_letter_queue_url.clone()),
            config,
        }
    }

    /// Stores a batch's records concurrently, queues the rest at the deadline and sends records that
    /// can never be stored to the dead-letter queue. `received_at` is in epoch milliseconds.
    pub async fn ingest(
        &self,
        function: &str,
        batch: &Batch<'_>,
        received_at: EpochMillis,
        until: Deadlines,
    ) -> Ingested {
        let source = Source {
            function,
            batch,
            received_at,
        };
        let stored = self.writer.store(self.arrived(source), until.store).await;
        if let Some(why) = stored.nothing_readable() {
            return Ingested::NothingReadable {
                records: stored.outcome.received,
                why,
            };
        }
        let Stored {
            mut outcome,
            later,
            dead,
        } = stored;
        let groups = dead.into_groups();
        let (queued, not_taken) = tokio::join!(
            self.queue(source, &later, until.queue),
            self.dead_letter_records(source, &groups, most_of(until.queue)),
        );
        // A record that the dead-letter queue did not accept is safe in the retry queue: `redrive` finds the
        // same fault.
        let queued_instead = self.queue(source, &not_taken, until.queue).await;
        outcome.dead_lettered -= not_taken.len();
        outcome.queued = queued + queued_instead;
        outcome.lost = later.len() + not_taken.len() - outcome.queued;
        Ingested::Batch(outcome)
    }

    /// Stores the records of messages of the retry queue, several of which may share a call of the table.
    /// Returns the result of each message. Remaining records count as lost, and SQS delivers the message
    /// again. If only time ran out, the remaining records are queued as a separate message. Each such message
    /// is smaller, so a message of any size is stored eventually.
    pub async fn restore(&self, messages: &[Retried<'_>], until: Deadlines) -> Vec<BatchOutcome> {
        let sources: Vec<Source<'_>> = messages.iter().map(Source::from).collect();
        let arrived: Vec<Arrived<'_>> = sources.iter().map(|source| self.arrived(*source)).collect();
        let stored = self.writer.store_all(&arrived, until.store).await;
        let in_time = Instant::now() < until.store;
        let settled = sources.into_iter().zip(stored);
        join_all(settled.map(|(source, stored)| self.settle(source, stored, in_time, until.queue))).await
    }

    /// Queues or dead-letters the records of a retried message that were not stored.
    async fn settle(
        &self,
        source: Source<'_>,
        stored: Stored,
        in_time: bool,
        deadline: Instant,
    ) -> BatchOutcome {
        let Stored {
            mut outcome,
            later,
            dead,
        } = stored;
        if !in_time && later.len() < outcome.received {
            outcome.queued = self.queue(source, &later, deadline).await;
        }
        if outcome.queued < later.len() {
            // SQS delivers the whole message again; dead-lettering records now would do it twice.
            outcome.queued = 0;
            outcome.lost = later.len() + dead.len();
            outcome.dead_lettered = 0;
            outcome.conflicts = 0;
            return outcome;
        }
        let groups = dead.into_groups();
        let not_taken = self.dead_letter_records(source, &groups, deadline).await;
        outcome.dead_lettered -= not_taken.len();
        outcome.lost = not_taken.len();
        outcome
    }

    /// When and how a batch arrived.
    fn arrived<'s>(&self, source: Source<'s>) -> Arrived<'s> {
        let now = time::now();
        Arrived {
            batch: source.batch,
            arrival: Arrival {
                at: source.received_at,
                stored_at: (now.saturating_sub(source.received_at) > WAITED_MS).then_some(now),
                retention_days: self.config.retention_days,
                late_after_hours: self.config.late_after_hours,
            },
        }
    }

    /// Queues records for `redrive`. Returns how many were queued.
    async fn queue(&self, source: Source<'_>, positions: &Positions, deadline: Instant) -> usize {
        let mut sizes = Vec::new();
        let messages = source.batch.chunks(positions).map(|chunk| {
            sizes.push(chunk.len());
            let detail = format!("{} events could not be stored in time", chunk.len());
            source.message(Reason::Exhausted, detail, &chunk)
        });
        let sent = self.retry.send(messages, deadline).await;
        let taken = sizes.into_iter().zip(sent).filter(|(_, sent)| *sent);
        taken.map(|(records, _)| records).sum()
    }

    /// Sends records to the dead-letter queue. Returns the records that it did not accept.
    async fn dead_letter_records(
        &self,
        source: Source<'_>,
        groups: &[Group],
        deadline: Instant,
    ) -> Positions {
        let messages = groups.iter().map(|group| {
            let detail = match group.positions.len() {
                1 => group.detail.clone(),
                records => format!("{} (and {} more records)", group.detail, records - 1),
            };
            source.message(group.reason, detail, &group.positions)
        });
        let sent = self.dead.send(messages, deadline).await;
        let mut not_taken = Positions::default();
        for (group, _) in groups.iter().zip(sent).filter(|(_, sent)| !sent) {
            for run in group.positions.runs() {
                not_taken.extend(run);
            }
        }
        not_taken
    }

    /// Sends a message to the dead-letter queue. Returns whether the queue has all of it.
    pub async fn dead_letter(&self, message: &QueueMessage, deadline: Instant) -> bool {
        is_sent(&self.dead.send([message].into_iter(), deadline).await)
    }

    /// Forwards an SQS message in an unknown format to the dead-letter queue unchanged. Returns whether the
    /// queue has it.
    pub async fn dead_letter_foreign(
        &self,
        body: &str,
        attributes: &[(&str, &str)],
        deadline: Instant,
    ) -> bool {
        self.dead.forward(body, attributes, deadline).await
    }

    /// Sets the visibility timeout of messages received from the retry queue.
    pub async fn delay_retries(&self, messages: &[(&str, Duration)], deadline: Instant) {
        self.retry.delay(messages, deadline).await;
    }

    /// Sends a whole body to the dead-letter queue. If that fails, sends it to the retry queue, from which
    /// `redrive` moves it to the dead-letter queue. Returns whether the body is durable.
    async fn dead_letter_body(&self, message: &QueueMessage, deadline: Instant) -> bool {
        self.dead_letter(message, most_of(deadline)).await
            || is_sent(&self.retry.send([message].into_iter(), deadline).await)
    }
}

/// A message of the retry queue, with its records.
#[derive(Clone, Copy)]
pub struct Retried<'m> {
    /// The message.
    pub message: &'m QueueMessage,
    /// The records of its body.
    pub batch: &'m Batch<'m>,
}

impl<'m> From<&Retried<'m>> for Source<'m> {
    fn from(retried: &Retried<'m>) -> Self {
        Self {
            function: &retried.message.function,
            batch: retried.batch,
            received_at: retried.message.received_at,
        }
    }
}

/// The origin of records. Every message with them contains it.
#[derive(Clone, Copy)]
struct Source<'s> {
    function: &'s str,
    batch: &'s Batch<'s>,
    received_at: EpochMillis,
}

impl Source<'_> {
    fn message(&self, reason: Reason, detail: String, positions: &Positions) -> QueueMessage {
        QueueMessage {
            reason,
            detail,
            function: self.function.to_owned(),
            received_at: self.received_at,
            body: Body::Webhook(self.batch.body_of(positions)),
        }
    }
}

fn is_sent(sent: &[bool]) -> bool {
    sent.iter().all(|sent| *sent)
}

/// The deadline for the first queue. If it hangs, a third of the time remains for the other queue.
fn most_of(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) * 2 / 3
}
