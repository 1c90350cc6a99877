//! Keeps the dashboard's counters. Consumes the stream of the events table.
//!
//! A stream delivers at least once, and Lambda may split a batch. [`counter_delta`] defines the counts that
//! an event adds, `names` the names that a day counts separately, `dedup_markers` the events that were
//! counted before. [`rollups`] counts every event once and merges the counts of many batches, and [`rebuild`] counts
//! the whole table again. A record that cannot be counted goes to the dead-letter queue, so that it does not block later
//! records.
//! `links` links the ids of a person, and writes the lookups of the search.
//! Counters only grow: events that expire or are erased stay counted.

mod chunk;
pub mod counter_delta;
mod dedup_markers;
pub mod dimensions;
mod items;
mod lease;
mod links;
pub mod messages;
mod names;
mod progress;
pub mod rebuild;
mod related;
pub mod rollups;
mod subjects;

use std::{collections::BTreeMap, time::Duration};

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use webhook_ingest::{
    event::time,
    events_table::{
        item::{Item, RECEIVED_AT, STORED_AT, number_at},
        rejected,
    },
    links::Links,
    operations::{
        clients::Aws,
        metrics::{self, Metrics, is_zero},
    },
    queue::{
        SqsQueue,
        message::{Body, QueueMessage, Reason},
    },
};

use crate::{
    counter_delta::CounterDelta,
    links::{LinkWriter, Written},
    messages::Messages,
    rollups::{Counted, NotCounted, Rollups},
};

/// This function's name in logs and queue messages.
pub const FUNCTION: &str = "projector";

/// How old an event is at least when its message is read. The events of a message often arrive together, and a receiver
/// stores an event within two seconds of its arrival or queues it. So an event that arrived earlier is in the table.
const SETTLED: Duration = Duration::from_secs(3);
/// The part of the function's time for dead letters and the response.
const RESERVE: Duration = Duration::from_secs(3);
/// Part of [`RESERVE`], for the response.
const ANSWER: Duration = Duration::from_secs(1);

/// The part of the stream's event that is read:
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Debug, Clone, Deserialize)]
pub struct StreamEvent {
    /// Untyped JSON, so that one malformed record does not fail the batch.
    #[serde(rename = "Records", default)]
    records: Vec<Value>,
}

/// The running function. Cheap to clone.
#[derive(Clone)]
pub struct Projector {
    rollups: Rollups,
    messages: Messages,
    links: LinkWriter,
    dead_letters: SqsQueue,
}

/// The new events of a batch.
#[derive(Default)]
struct Batch {
    /// The events, each with the index of its record.
    events: Vec<(usize, Item)>,
    /// The links between the ids of people that the events name, and the lookups of the search.
    links: Links,
    /// Records that cannot be counted, by index, with the reason.
    uncountable: BTreeMap<usize, String>,
}

/// The fields of a batch's line.
#[derive(Serialize)]
struct BatchLine {
    function: &'static str,
    received: usize,
    #[serde(skip_serializing_if = "is_zero")]
    counted: usize,
    #[serde(skip_serializing_if = "is_zero")]
    replayed: usize,
    #[serde(skip_serializing_if = "is_zero")]
    uncountable: usize,
    write_units: f64,
    read_units: f64,
    transactions: usize,
    #[serde(skip_serializing_if = "is_zero")]
    conflicts: usize,
    /// Batches that were merged into the counters.
    #[serde(skip_serializing_if = "is_zero")]
    merged: usize,
    #[serde(skip)]
    failed_merges: usize,
    #[serde(skip_serializing_if = "is_zero")]
    links: usize,
    #[serde(skip_serializing_if = "is_zero")]
    lookups: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_from: Option<usize>,
    duration_ms: f64,
}

impl BatchLine {
    fn write(&self) {
        let mut metrics = Metrics::default();
        metrics.count("Projected", self.counted);
        metrics.count("Replayed", self.replayed);
        metrics.count("Unprojectable", self.uncountable);
        metrics.count("FailedMerges", self.failed_merges);
        let is_logged = tracing::enabled!(tracing::Level::INFO);
        metrics::write("batch", is_logged.then_some(self), metrics);
    }
}

impl Projector {
    /// Creates a projector for the events table, the counters' table and the queue for records that cannot be counted.
    pub fn start(events_table: String, table: String, dead_letter_queue_url: String, aws: &Aws) -> Self {
        Self {
            messages: Messages::new(aws.dynamodb.clone(), events_table),
            links: LinkWriter::new(aws.dynamodb.clone(), table.clone()),
            rollups: Rollups::new(aws.dynamodb.clone(), table),
            dead_letters: SqsQueue::new(aws.sqs.clone(), dead_letter_queue_url),
        }
    }

    /// The same projector without the lookups of the search.
    #[must_use]
    pub fn without_search_index(mut self) -> Self {
        self.links = self.links.without_search_index();
        self
    }

    /// Counts new events. The response names the first record that could not be counted yet. Lambda delivers
    /// again from this record; events that were counted are not counted twice. A record that can never be
    /// counted is sent to the dead-letter queue and skipped.
    pub async fn handle(self, event: LambdaEvent<StreamEvent>) -> DynamoDbEventResponse {
        let started = Instant::now();
        let left = event
            .context
            .deadline()
            .duration_since(std::time::SystemTime::now())
            .unwrap_or_default();
        let ends = started + left;
        let records = event.payload.records;
        let mut batch = Batch::of(&records);
        let until = ends - RESERVE.min(left);
        // Before the counts, which can take the whole time. Half of the time remains for them.
        let links_until = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        let written = self
            .links
            .write(std::mem::take(&mut batch.links), links_until)
            .await;
        let (deltas, indexes, read_units) = self.deltas(&batch.events, until).await;
        let (counted, mut failed) = match &deltas {
            Some(deltas) => self.count(deltas, until).await,
            None => (Counted::default(), Some(0)),
        };
        // The whole batch comes again without its links; its events are not counted again.
        let written = written.unwrap_or_else(|why| {
            tracing::error!(
                function = FUNCTION,
                why,
                "links were not written; the batch comes again"
            );
            failed = Some(0).filter(|_| !batch.events.is_empty());
            Written::default()
        });
        let failed = failed.and_then(|index| indexes.get(index).copied());
        for refused in &counted.uncountable {
            if let Some(index) = indexes.get(refused.index) {
                batch.uncountable.insert(*index, refused.why.clone());
            }
        }
        // Records that are delivered again are not dead-lettered yet.
        batch
            .uncountable
            .retain(|index, _| failed.is_none_or(|failed| *index < failed));
        let unsent = self
            .dead_letter_records(&records, &batch.uncountable, ends - ANSWER.min(left))
            .await;
        let uncountable = batch.uncountable.len();
        let failed = failed.into_iter().chain(unsent).min();
        let line = BatchLine {
            function: FUNCTION,
            received: batch.events.len() + uncountable,
            counted: counted.fresh,
            replayed: counted.replayed,
            uncountable,
            write_units: counted.write_units,
            read_units,
            transactions: counted.transactions,
            conflicts: counted.conflicts,
            merged: counted.merged,
            failed_merges: counted.failed_merges,
            links: written.links,
            lookups: written.lookups,
            failed_from: failed,
            duration_ms: metrics::milliseconds(started.elapsed()),
        };
        line.write();
        let mut response = DynamoDbEventResponse::default();
        if let Some(record) = failed.and_then(|index| records.get(index)) {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(sequence_number(record));
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// The counts of events, the index of the record of each count, and the read units for their messages. No counts if
    /// the events table does not answer.
    async fn deltas(
        &self,
        events: &[(usize, Item)],
        until: Instant,
    ) -> (Option<Vec<CounterDelta>>, Vec<usize>, f64) {
        let items: Vec<&Item> = events.iter().map(|(_, item)| item).collect();
        sleep(until_settled(&items)).await;
        let known = match self.messages.read(&items, until).await {
            Ok(known) => known,
            Err(why) => {
                tracing::error!(
                    function = FUNCTION,
                    why,
                    "the events table does not answer; the batch comes again"
                );
                return (None, events.iter().map(|(index, _)| *index).collect(), 0.0);
            }
        };
        let messages = known.parsed();
        let of_events = events
            .iter()
            .filter_map(|(index, item)| Some((CounterDelta::all(item, &messages)?, *index)));
        let (deltas, indexes) = of_events.unzip();
        (Some(deltas), indexes, known.read_units)
    }

    /// Counts events. Returns the result and the index of the first event that was not counted.
    async fn count(&self, deltas: &[CounterDelta], until: Instant) -> (Counted, Option<usize>) {
        if deltas.is_empty() {
            return (Counted::default(), None);
        }
        let generations = match self.rollups.generations().await {
            Ok(generations) => generations,
            Err(why) => {
                tracing::error!(function = FUNCTION, why, "the counters' table does not answer");
                return (Counted::default(), Some(0));
            }
        };
        let mut all = Counted::default();
        let mut failed: Option<usize> = None;
        let mut stored = Vec::new();
        for generation in [Some(&generations.current), generations.next.as_ref()]
            .into_iter()
            .flatten()
        {
            let counted = match self.rollups.count(generation, deltas, until).await {
                Ok(counted) => counted,
                Err(NotCounted { done, counted, why }) => {
                    tracing::error!(function = FUNCTION, why, "a batch comes again");
                    failed = Some(failed.map_or(done, |index| index.min(done)));
                    counted
                }
            };
            all.uncountable.extend(counted.uncountable);
            all.write_units += counted.write_units;
            all.transactions += counted.transactions;
            all.conflicts += counted.conflicts;
            if *generation == generations.current {
                (all.fresh, all.replayed) = (counted.fresh, counted.replayed);
            }
            stored.push((generation, counted.transactions));
        }
        for (generation, batches) in stored {
            // Readers add the counts that are not merged, so the batch need not come again.
            match self.rollups.merge_if_due(generation, batches, until).await {
                Ok(merged) => {
                    all.merged += merged.batches;
                    all.write_units += merged.write_units;
                }
                Err(why) => {
                    all.failed_merges += 1;
                    tracing::error!(
                        function = FUNCTION,
                        why,
                        "counts were not merged; the next batch tries again"
                    );
                }
            }
        }
        (all, failed)
    }

    /// Sends records to the dead-letter queue. Returns the index of the first record that it did not accept.
    async fn dead_letter_records(
        &self,
        records: &[Value],
        uncountable: &BTreeMap<usize, String>,
        until: Instant,
    ) -> Option<usize> {
        if uncountable.is_empty() {
            return None;
        }
        let messages: Vec<QueueMessage> = uncountable
            .iter()
            .map(|(index, why)| {
                tracing::warn!(
                    function = FUNCTION,
                    why,
                    "a record of the stream goes to the dead-letter queue"
                );
                QueueMessage {
                    reason: Reason::Uncountable,
                    detail: why.clone(),
                    function: FUNCTION.to_owned(),
                    received_at: time::now(),
                    body: Body::StreamRecord(
                        records
                            .get(*index)
                            .map(Value::to_string)
                            .unwrap_or_default()
                            .into_bytes(),
                    ),
                }
            })
            .collect();
        let sent = self.dead_letters.send(messages.iter(), until).await;
        let mut unsent = uncountable.keys().zip(sent).filter(|(_, sent)| !sent);
        unsent.next().map(|(index, _)| *index)
    }
}

/// How long to wait until all events are [`SETTLED`].
fn until_settled(events: &[&Item]) -> Duration {
    let now = time::now();
    let ages = events
        .iter()
        .filter_map(|event| number_at(event, STORED_AT).or_else(|| number_at(event, RECEIVED_AT)))
        .map(|at| Duration::from_millis(u64::try_from(now.saturating_sub(at)).unwrap_or_default()));
    ages.min()
        .map_or(Duration::ZERO, |age| SETTLED.saturating_sub(age))
}

impl Batch {
    fn of(records: &[Value]) -> Self {
        let mut batch = Self::default();
        for (index, record) in records.iter().enumerate() {
            match event_name(record) {
                Some("INSERT") => match image(record) {
                    Some(item) if CounterDelta::is_event(&item) => {
                        batch.links.add(&item);
                        batch.events.push((index, item));
                    }
                    Some(item) if rejected::is_marker(&item) => {}
                    _ => {
                        let why =
                            "the record is not an event: a key, a channel, a status or a time is missing";
                        batch.uncountable.insert(index, why.to_owned());
                    }
                },
                // Events never change, and counted events stay counted.
                Some("MODIFY" | "REMOVE") => {}
                _ => {
                    let why = "the record has an unknown event name";
                    batch.uncountable.insert(index, why.to_owned());
                }
            }
        }
        batch
    }
}

fn event_name(record: &Value) -> Option<&str> {
    record.get("eventName")?.as_str()
}

fn sequence_number(record: &Value) -> String {
    let number = record
        .get("dynamodb")
        .and_then(|change| change.get("SequenceNumber"));
    number.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn image(record: &Value) -> Option<Item> {
    let image = record.get("dynamodb")?.get("NewImage")?;
    let image: serde_dynamo::Item = Deserialize::deserialize(image).ok()?;
    Some(Item::from(image))
}
