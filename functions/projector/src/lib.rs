//! Keeps the dashboard's counters: a consumer of the events table's stream.
//!
//! A stream delivers at least once, and Lambda may split a batch. [`fact`] says what an event adds,
//! `chunk` makes transactions of it, [`rollups`] counts every event once, and [`rebuild`] counts the
//! whole table anew. Counters only grow: events that expire or are erased stay counted.

mod chunk;
pub mod fact;
pub mod rebuild;
pub mod rollups;

use std::time::Duration;

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use webhook_ingest::{aws::Aws, item::Item, metrics};

use crate::{
    fact::Fact,
    rollups::{Counted, Rollups},
};

/// This function's name in metrics and logs.
pub const FUNCTION: &str = "projector";

/// Of the function's time, for the answer.
const RESERVE: Duration = Duration::from_secs(2);

/// What the stream delivers, as far as it is read:
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Debug, Clone, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<StreamRecord>,
}

#[derive(Debug, Clone, Deserialize)]
struct StreamRecord {
    #[serde(rename = "eventName", default)]
    event_name: String,
    #[serde(default)]
    dynamodb: Change,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Change {
    #[serde(rename = "SequenceNumber", default)]
    sequence_number: String,
    /// Any JSON here, so that one odd record does not take the batch with it.
    #[serde(rename = "NewImage", default)]
    new_image: Value,
}

/// `projector` at work. Cheap to clone.
#[derive(Clone)]
pub struct Projector {
    rollups: Rollups,
}

impl Projector {
    /// A projector on the counters' table.
    pub fn start(table: String, aws: &Aws) -> Self {
        Self {
            rollups: Rollups::new(aws.dynamodb.clone(), table),
        }
    }

    /// Counts new events. Names the first record that could not be counted, from which Lambda then
    /// delivers again; what was counted is not counted twice.
    pub async fn handle(self, event: LambdaEvent<StreamEvent>) -> DynamoDbEventResponse {
        let started = Instant::now();
        let left = event
            .context
            .deadline()
            .duration_since(std::time::SystemTime::now())
            .unwrap_or_default();
        let until = started + left.saturating_sub(RESERVE);
        let inserts: Vec<Change> = event
            .payload
            .records
            .into_iter()
            .filter(|record| record.event_name == "INSERT")
            .map(|record| record.dynamodb)
            .collect();
        let received = inserts.len();
        let (numbers, facts): (Vec<String>, Vec<Fact>) = inserts
            .into_iter()
            .filter_map(|change| Some((change.sequence_number, fact(change.new_image)?)))
            .unzip();
        let unprojectable = received - facts.len();
        let (counted, failed) = self.count(&facts, until).await;
        metrics::projected(FUNCTION, counted.fresh, counted.replayed, unprojectable);
        tracing::info!(
            function = FUNCTION,
            received,
            counted = counted.fresh,
            replayed = counted.replayed,
            unprojectable,
            failed_from = failed,
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "batch"
        );
        let mut response = DynamoDbEventResponse::default();
        if let Some(place) = failed {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(numbers.get(place).cloned().unwrap_or_default());
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// What was counted, and the place of the first event that was not.
    async fn count(&self, facts: &[Fact], until: Instant) -> (Counted, Option<usize>) {
        if facts.is_empty() {
            return (Counted::default(), None);
        }
        let generations = match self.rollups.generations().await {
            Ok(generations) => generations,
            Err(why) => {
                tracing::error!(function = FUNCTION, why, "the counters' table does not answer");
                return (Counted::default(), Some(0));
            }
        };
        let mut current = Counted::default();
        let mut failed: Option<usize> = None;
        for generation in [Some(&generations.current), generations.next.as_ref()]
            .into_iter()
            .flatten()
        {
            let counted = match self.rollups.count(generation, facts, until).await {
                Ok(counted) => counted,
                Err(not) => {
                    tracing::error!(function = FUNCTION, error = %not, "a batch comes again");
                    failed = Some(failed.map_or(not.done, |place| place.min(not.done)));
                    not.counted
                }
            };
            if *generation == generations.current {
                current = counted;
            }
        }
        (current, failed)
    }
}

fn fact(new_image: Value) -> Option<Fact> {
    let fact = serde_json::from_value::<serde_dynamo::Item>(new_image)
        .ok()
        .and_then(|image| Fact::of(&Item::from(image)));
    if fact.is_none() {
        tracing::warn!(
            function = FUNCTION,
            "a record of the stream holds no event; it is not counted"
        );
    }
    fact
}
