//! Stores events that could not be stored in time. Consumes the retry queue with partial batch responses, so
//! that only failed messages return to the queue. A message that may work later is retried with growing
//! delays for twelve days. A message that can never work goes to the dead-letter queue at once. Storing is
//! idempotent, so a repeated message changes nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use lambda_runtime::LambdaEvent;
use receivers::receiver;
use serde::Serialize;
use tokio::time::Instant;
use webhook_ingest::{
    event::{EpochMillis, time},
    http::receiver::Receiver,
    operations::{
        clients::Aws,
        config::StorageConfig,
        metrics::{self, Metrics, is_zero},
    },
    pipeline::{
        BatchOutcome, Deadlines, Pipeline, Retried,
        batch::Batch,
        decode::{Decoded, decode},
    },
    queue::message::{QueueMessage, QueueMessageError, Reason},
};

/// This function's name in logs.
pub const FUNCTION: &str = "redrive";

/// Time reserved at the end of an invocation for dead-lettering records and for the response.
const RESERVE: Duration = Duration::from_secs(3);

/// Part of [`RESERVE`], for setting visibility timeouts and for the response. Without a response, SQS
/// delivers the successful messages of the batch again too.
const ANSWER: Duration = Duration::from_secs(1);

/// Part of [`ANSWER`], for the response only.
const LAST: Duration = Duration::from_millis(300);

/// Messages are unpacked until their bodies have this many bytes, and stored together; then the next messages
/// are unpacked. The last one can exceed it: a body has at most 6 MiB and 64 KiB.
const UNPACKED_BYTES: usize = 8 * 1024 * 1024;

/// The visibility timeout after the first failed try. Each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(30);

/// The longest visibility timeout, and therefore the longest wait of a message after an outage.
const LONGEST_DELAY: Duration = Duration::from_mins(20);

/// A message that could not be stored for this long goes to the dead-letter queue. SQS deletes a message 14
/// days after it was first sent, even if SQS moved it to the dead-letter queue in the meantime. A message
/// that `redrive` sends there has another 14 days.
const GIVE_UP_AFTER: Duration = Duration::from_hours(12 * 24);

/// The visibility timeout of a message that was received this many times and not stored.
pub fn delay(receives: u32) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY)
}

/// Why a message could not be stored.
#[derive(Clone)]
enum Failure {
    /// A retry may work.
    Later(String),
    /// A retry can never work: the message goes to the dead-letter queue.
    Malformed(Box<QueueMessage>),
    /// Not a message of this program: it goes to the dead-letter queue unchanged.
    Foreign(String),
}

/// A message of the retry queue, with the receiver that got its body.
struct Unpacked {
    message: QueueMessage,
    receiver: Receiver,
}

/// Result of a message.
struct Outcome {
    /// SQS must deliver the message again. Otherwise its records are durable elsewhere.
    returns: bool,
    /// Result of its records.
    records: BatchOutcome,
    /// The age of the message, if it could not be stored.
    waited: Option<Duration>,
}

/// The fields of an invocation's line, besides its metrics.
#[derive(Default, Serialize)]
struct InvocationLine<'a> {
    function: &'static str,
    /// Messages by the function that received them.
    receivers: BTreeMap<&'a str, usize>,
    messages: usize,
    #[serde(skip_serializing_if = "is_zero")]
    returned: usize,
    #[serde(skip)]
    records: BatchOutcome,
    duration_ms: f64,
}

/// The running function. Cheap to clone.
#[derive(Clone)]
pub struct Redrive {
    pipeline: Arc<Pipeline>,
}

impl Redrive {
    /// Creates the clients, once.
    pub fn start(config: StorageConfig, aws: &Aws) -> Self {
        Self {
            pipeline: Arc::new(Pipeline::new(config, aws)),
        }
    }

    /// Stores the events of all messages. The response names the messages that SQS must deliver again.
    pub async fn handle(self, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
        let started = Instant::now();
        let ends = started + remaining(event.context.deadline());
        let messages = event.payload.records;
        let mut line = InvocationLine {
            function: FUNCTION,
            messages: messages.len(),
            ..InvocationLine::default()
        };
        let mut oldest: Option<Duration> = None;
        let mut returns: Vec<&SqsMessage> = Vec::new();
        let mut rest = messages.as_slice();
        while !rest.is_empty() {
            let unpacked = unpack(rest);
            for unpacked in unpacked.iter().flatten() {
                *line.receivers.entry(unpacked.receiver.function).or_default() += 1;
            }
            let (group, later) = rest.split_at_checked(unpacked.len()).unwrap_or((rest, &[]));
            let outcomes = self.settle_group(group, unpacked, ends).await;
            for (message, outcome) in group.iter().zip(outcomes) {
                line.records += outcome.records;
                oldest = oldest.max(outcome.waited);
                if outcome.returns {
                    returns.push(message);
                }
            }
            rest = later;
        }
        line.returned = returns.len();
        let delays: Vec<(&str, Duration)> = returns
            .iter()
            .filter_map(|message| Some((message.receipt_handle.as_deref()?, delay(receives(message)))))
            .collect();
        self.pipeline.delay_retries(&delays, ends - LAST).await;
        line.duration_ms = metrics::milliseconds(started.elapsed());
        let mut metrics = Metrics::default();
        line.records.count(&mut metrics);
        if let Some(oldest) = oldest {
            metrics.seconds(metrics::RETRY_AGE, oldest);
        }
        let is_logged = tracing::enabled!(tracing::Level::INFO);
        metrics::write("batch", is_logged.then_some(&line), metrics);
        let mut response = SqsBatchResponse::default();
        for message in returns {
            response.add_failure(id(message));
        }
        response
    }

    /// Stores the events of some messages together, and decides what happens to each message.
    async fn settle_group(
        &self,
        messages: &[SqsMessage],
        unpacked: Vec<Result<Unpacked, Failure>>,
        ends: Instant,
    ) -> Vec<Outcome> {
        let stored = self.store(&unpacked, ends).await;
        let settled = messages.iter().zip(stored);
        join_all(
            settled
                .map(|(message, (records, failure))| self.settle(message, records, failure, ends - ANSWER)),
        )
        .await
    }

    /// Decides what happens to a message whose records have this result.
    async fn settle(
        &self,
        message: &SqsMessage,
        records: BatchOutcome,
        failure: Option<Failure>,
        until: Instant,
    ) -> Outcome {
        let mut outcome = Outcome {
            returns: false,
            records,
            waited: None,
        };
        let (why, dead_lettered) = match failure {
            None => return outcome,
            Some(Failure::Later(why)) => {
                let waited = age(message, time::now());
                outcome.waited = Some(waited);
                if waited < GIVE_UP_AFTER {
                    tracing::warn!(
                        function = FUNCTION,
                        sqs_message_id = id(message),
                        receives = receives(message),
                        waited_seconds = waited.as_secs(),
                        why,
                        "a message returns to the queue"
                    );
                    outcome.returns = true;
                    return outcome;
                }
                (why, self.forward(message, until).await)
            }
            Some(Failure::Foreign(why)) => (why, self.forward(message, until).await),
            Some(Failure::Malformed(malformed)) => {
                let dead_lettered = self.pipeline.dead_letter(&malformed, until).await;
                outcome.records.dead_lettered += usize::from(dead_lettered);
                (malformed.detail, dead_lettered)
            }
        };
        tracing::warn!(
            function = FUNCTION,
            sqs_message_id = id(message),
            dead_lettered,
            why,
            "a message goes to the dead-letter queue"
        );
        outcome.returns = !dead_lettered;
        outcome
    }

    /// Forwards a message to the dead-letter queue unchanged.
    async fn forward(&self, message: &SqsMessage, until: Instant) -> bool {
        let attributes: Vec<(&str, &str)> = message
            .message_attributes
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.string_value.as_deref()?)))
            .collect();
        let body = message.body.as_deref().unwrap_or_default();
        self.pipeline.dead_letter_foreign(body, &attributes, until).await
    }

    /// Stores the events of some messages together. Returns the result of each message's records, and the
    /// reason if the message failed.
    async fn store(
        &self,
        unpacked: &[Result<Unpacked, Failure>],
        ends: Instant,
    ) -> Vec<(BatchOutcome, Option<Failure>)> {
        let none = BatchOutcome::default();
        if Instant::now() + RESERVE >= ends {
            let late = Failure::Later("there was no time left".into());
            return vec![(none, Some(late)); unpacked.len()];
        }
        let mut results = Vec::with_capacity(unpacked.len());
        let mut readable = Vec::with_capacity(unpacked.len());
        for (index, unpacked) in unpacked.iter().enumerate() {
            match unpacked.as_ref().map_err(Clone::clone).and_then(parse) {
                Ok((unpacked, batch)) => {
                    readable.push((index, unpacked, batch));
                    results.push((none, None));
                }
                Err(failure) => results.push((none, Some(failure))),
            }
        }
        let retried: Vec<Retried<'_>> = readable
            .iter()
            .map(|(_, unpacked, batch)| Retried {
                message: &unpacked.message,
                batch,
            })
            .collect();
        let until = Deadlines {
            store: ends - RESERVE,
            queue: ends - ANSWER,
        };
        let outcomes = self.pipeline.restore(&retried, until).await;
        for ((index, _, _), outcome) in readable.iter().zip(outcomes) {
            let failure = (outcome.lost > 0)
                .then(|| Failure::Later(format!("{} of its events could not be stored", outcome.lost)));
            if let Some(result) = results.get_mut(*index) {
                *result = (outcome, failure);
            }
        }
        results
    }
}

/// Unpacks the first messages, until their bodies have [`UNPACKED_BYTES`].
fn unpack(messages: &[SqsMessage]) -> Vec<Result<Unpacked, Failure>> {
    let mut bytes = 0;
    let mut unpacked = Vec::new();
    for message in messages {
        if bytes >= UNPACKED_BYTES {
            break;
        }
        let read = Unpacked::read(message);
        bytes += read
            .as_ref()
            .map_or(0, |unpacked| unpacked.message.body.bytes().len());
        unpacked.push(read);
    }
    unpacked
}

impl Unpacked {
    fn read(message: &SqsMessage) -> Result<Self, Failure> {
        let message = QueueMessage::read(message.body.as_deref().unwrap_or_default())
            .map_err(|error: QueueMessageError| Failure::Foreign(error.to_string()))?;
        let Some(receiver) = receiver(&message.function) else {
            return Err(Failure::Foreign(
                "no function with its name receives webhooks".into(),
            ));
        };
        // A rejected body is kept as it arrived, and a person can send it back.
        let rewritten = match message.verified().map(|body| decode(body, receiver.formats)) {
            Some(Ok(Decoded::Rewritten(json))) => Some(json),
            _ => None,
        };
        let message = match rewritten {
            Some(json) => QueueMessage {
                body: json.into(),
                ..message
            },
            None => message,
        };
        Ok(Self { message, receiver })
    }
}

/// Splits a message's body into records.
fn parse(unpacked: &Unpacked) -> Result<(&Unpacked, Batch<'_>), Failure> {
    let Unpacked { message, receiver } = unpacked;
    let Some(verified) = message.verified() else {
        return Err(Failure::Foreign("it contains no webhook".into()));
    };
    match Batch::parse(verified, receiver.formats) {
        Ok(batch) => Ok((unpacked, batch)),
        Err(malformed) => {
            let malformed = QueueMessage {
                reason: Reason::Malformed,
                detail: malformed.to_string(),
                ..message.clone()
            };
            Err(Failure::Malformed(Box::new(malformed)))
        }
    }
}

/// SQS's id of a message.
fn id(message: &SqsMessage) -> String {
    message.message_id.clone().unwrap_or_default()
}

/// How many times SQS delivered a message, including this time.
fn receives(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// How long a message has been in the queue.
fn age(message: &SqsMessage, now: EpochMillis) -> Duration {
    let sent = message.attributes.get("SentTimestamp");
    let sent: EpochMillis = sent.and_then(|sent| sent.parse().ok()).unwrap_or(now);
    Duration::from_millis(u64::try_from(now.saturating_sub(sent)).unwrap_or_default())
}

fn remaining(deadline: std::time::SystemTime) -> Duration {
    deadline
        .duration_since(std::time::SystemTime::now())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use webhook_ingest::queue::{MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT};

    const DAY: u64 = 86_400;

    #[test]
    fn delays_grow_to_twenty_minutes() {
        let seconds = [1, 2, 3, 4, 5, 6, 7, 8, 1000, u32::MAX].map(|receives| delay(receives).as_secs());
        assert_eq!(seconds, [30, 60, 120, 240, 480, 960, 1200, 1200, 1200, 1200]);
        assert_eq!(delay(0).as_secs(), 30);
    }

    #[test]
    fn receives_suffice_for_twelve_days() {
        let waited = |receives: u32| (1..=receives).map(|n| delay(n).as_secs()).sum::<u64>();
        // The first day of an outage takes 77 receives, twelve days take 869. The others are a reserve.
        assert!(waited(76) < DAY && waited(77) >= DAY);
        assert!(waited(868) < GIVE_UP_AFTER.as_secs() && waited(869) >= GIVE_UP_AFTER.as_secs());
        assert_eq!(MAX_RECEIVE_COUNT, 1000);
        // Even if no delay could be set, the receives are enough for four days.
        assert!(VISIBILITY_TIMEOUT.as_secs() * u64::from(MAX_RECEIVE_COUNT) > 4 * DAY);
        // SQS keeps a message for 14 days.
        assert_eq!(GIVE_UP_AFTER.as_secs(), 12 * DAY);
    }
}
