//! Local event source mapping of the retry queue: passes messages to `redrive` and deletes those
//! that the partial batch response does not list as failed.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName},
};
use lambda_runtime::{Context, LambdaEvent};
use redrive::Redrive;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use webhook_ingest::{
    operations::{clients::Timeouts, config::StorageConfig},
    queue::{MAX_ENTRIES, message::MAX_MESSAGE_BYTES},
};

use crate::local::RunningInstance;

/// Batch size of the template.
const BATCH: usize = 100;
/// Lambda ends a batch before it exceeds the 6 MB of one invocation.
const BATCH_BYTES: usize = 6_000_000 - MAX_MESSAGE_BYTES;
const LONG_POLL_SECONDS: i32 = 1;
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Polls until a stop.
pub(crate) async fn run(instance: RunningInstance, storage: StorageConfig, stopped: watch::Receiver<bool>) {
    let aws = instance.aws(Timeouts::background()).await;
    let redrive = Redrive::start(storage, &aws);
    while !*stopped.borrow() {
        if let Err(error) = poll(&aws.sqs, &instance.retry_queue_url, &redrive).await {
            tracing::warn!(%error, "the retry queue could not be polled");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn poll(sqs: &Client, queue: &str, redrive: &Redrive) -> anyhow::Result<()> {
    let messages = receive(sqs, queue).await?;
    if messages.is_empty() {
        return Ok(());
    }
    let response = redrive.clone().handle(event(&messages)?).await;
    let failed: HashSet<&str> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    let done: Vec<&Message> = messages
        .iter()
        .filter(|message| message.message_id().is_none_or(|id| !failed.contains(id)))
        .collect();
    delete(sqs, queue, &done).await
}

/// Waits for the first messages, and takes more while the queue has some at once.
async fn receive(sqs: &Client, queue: &str) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut bytes = 0;
    while messages.len() < BATCH && bytes < BATCH_BYTES {
        let received = sqs
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(MAX_ENTRIES.try_into()?)
            .wait_time_seconds(if messages.is_empty() { LONG_POLL_SECONDS } else { 0 })
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await?
            .messages
            .unwrap_or_default();
        if received.is_empty() {
            break;
        }
        bytes += received
            .iter()
            .filter_map(Message::body)
            .map(str::len)
            .sum::<usize>();
        messages.extend(received);
    }
    Ok(messages)
}

async fn delete(sqs: &Client, queue: &str, messages: &[&Message]) -> anyhow::Result<()> {
    for messages in messages.chunks(MAX_ENTRIES) {
        let entries = messages.iter().enumerate().filter_map(|(index, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(message.receipt_handle()?);
            entry.build().ok()
        });
        sqs.delete_message_batch()
            .queue_url(queue)
            .set_entries(Some(entries.collect()))
            .send()
            .await?;
    }
    Ok(())
}

fn event(messages: &[Message]) -> anyhow::Result<LambdaEvent<SqsEvent>> {
    let records: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id(),
                "receiptHandle": message.receipt_handle(),
                "body": message.body(),
                "attributes": system_attributes(message),
                "messageAttributes": attributes(message),
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    let mut context = Context::default();
    let deadline = SystemTime::now() + FUNCTION_TIMEOUT;
    context.deadline = u64::try_from(deadline.duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(LambdaEvent::new(
        serde_json::from_value(json!({"Records": records}))?,
        context,
    ))
}

/// System attributes of a message. `redrive` reads the receive count and the time of sending.
fn system_attributes(message: &Message) -> Value {
    let all = message.attributes().into_iter().flatten();
    all.map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect::<Map<String, Value>>()
        .into()
}

/// String attributes of a message.
fn attributes(message: &Message) -> Value {
    let all = message.message_attributes().into_iter().flatten();
    all.filter_map(|(name, value)| {
        let text = value.string_value()?;
        Some((name.clone(), json!({"dataType": "String", "stringValue": text})))
    })
    .collect::<Map<String, Value>>()
    .into()
}
