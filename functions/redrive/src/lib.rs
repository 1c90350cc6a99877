//! Stores what could not be stored in time: a consumer of the retry queue with partial batch
//! responses, so that one bad message returns alone and SQS moves the hopeless ones to the
//! dead-letter queue. Storing is idempotent, so a message that comes twice changes nothing.

pub mod dead_letters;

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use tokio::time::Instant;
use webhook_ingest::{
    aws::Aws,
    batch::Batch,
    config::StorageConfig,
    letter::Letter,
    metrics,
    receiver::Receiver,
    storage::{Deadlines, Storage, Tally},
};

/// This function's name in metrics and logs.
pub const FUNCTION: &str = "redrive";

/// Every receiver whose events come here.
pub const RECEIVERS: [Receiver; 5] = [
    event_webhook::RECEIVER,
    fallback_sms::RECEIVER,
    incoming_webhook::RECEIVER,
    delivery_status::RECEIVER,
    rcs_callback::RECEIVER,
];

/// The receiver of a name.
pub fn receiver(function: &str) -> Option<Receiver> {
    RECEIVERS
        .into_iter()
        .find(|receiver| receiver.function == function)
}

/// What of the function's time is kept for putting records aside and answering.
const RESERVE: Duration = Duration::from_secs(3);

/// Of that, for the answer: without one, the good messages of a batch would come again too.
const ANSWER: Duration = Duration::from_secs(1);

/// `redrive` at work. Cheap to clone.
#[derive(Clone)]
pub struct Redrive {
    storage: Arc<Storage>,
}

impl Redrive {
    /// Builds the clients, once.
    pub fn start(config: StorageConfig, aws: &Aws) -> Self {
        Self {
            storage: Arc::new(Storage::new(config, aws)),
        }
    }

    /// Stores the events of every message; names the messages that must come again.
    pub async fn handle(self, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
        let ends = Instant::now() + remaining(event.context.deadline());
        let mut response = SqsBatchResponse::default();
        for message in event.payload.records {
            let id = message.message_id.clone().unwrap_or_default();
            if let Err(why) = self.store(&message, ends).await {
                tracing::warn!(
                    function = FUNCTION,
                    sqs_message_id = id,
                    why,
                    "a message goes back to the queue"
                );
                response.add_failure(id);
            }
        }
        response
    }

    /// Stores one message's events, or says why it must come again.
    async fn store(&self, message: &SqsMessage, ends: Instant) -> Result<(), String> {
        let started = Instant::now();
        if started + RESERVE >= ends {
            return Err("no time was left for it".into());
        }
        let letter = Letter::read(message.body.as_deref().unwrap_or_default()).map_err(|e| e.to_string())?;
        let receiver = receiver(&letter.function).ok_or("no function of its name takes webhooks")?;
        let batch =
            Batch::parse(letter.verified(), receiver.formats).map_err(|malformed| malformed.to_string())?;
        let until = Deadlines {
            store: ends - RESERVE,
            queue: ends - ANSWER,
        };
        let tally = self.storage.restore(&letter, &batch, until).await;
        metrics::tally(FUNCTION, receiver.provider(), &tally, false);
        log(&letter, &tally, started.elapsed());
        match tally.lost {
            0 => Ok(()),
            n => Err(format!("{n} of its events could not be stored")),
        }
    }
}

fn log(letter: &Letter, tally: &Tally, took: Duration) {
    tracing::info!(
        function = FUNCTION,
        receiver = letter.function,
        received = tally.received,
        stored = tally.stored,
        duplicates = tally.duplicates,
        conflicts = tally.conflicts,
        late = tally.late,
        dead_lettered = tally.dead_lettered,
        lost = tally.lost,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "message"
    );
}

fn remaining(deadline: std::time::SystemTime) -> Duration {
    deadline
        .duration_since(std::time::SystemTime::now())
        .unwrap_or_default()
}
