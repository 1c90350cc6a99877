//! The accounts: what the table and the queues hold, read directly and by event, to be held
//! against what was posted.

use std::collections::{BTreeMap, BTreeSet};

use crate::verified;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use netcore_webhooks::local::RunningInstance;
use serde_json::{Map, Value, json};
use webhook_ingest::{
    events_table::item::{self, Arrival, Item},
    operations::clients::{Aws, Timeouts},
    pipeline::batch::Batch,
    queue::message::{QueueMessage, QueueMessageError},
};

/// An event's place in the table: message id and status key. A record that is no event has
/// [`NO_EVENT`] and its own text instead.
pub type Key = (String, String);

/// Stands in a [`Key`] for the message id of what has none.
pub const NO_EVENT: &str = "no event";

/// SQS hands out and deletes at most this many messages at once.
const AT_ONCE: i32 = 10;

/// Access to table and queues that no proxy disturbs.
pub struct Ledger {
    aws: Aws,
    place: RunningInstance,
}

impl Ledger {
    /// The ledger of a place.
    pub async fn open(place: &RunningInstance) -> Self {
        Self {
            aws: place.aws(Timeouts::unhurried()).await,
            place: place.clone(),
        }
    }

    /// Every item of the table.
    pub async fn items(&self) -> Vec<Item> {
        self.aws
            .dynamodb
            .scan()
            .table_name(&self.place.events_table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .expect("the table can be read")
    }

    /// The keys of every item of the table.
    pub async fn stored(&self) -> BTreeSet<Key> {
        self.items().await.iter().map(key).collect()
    }

    /// Empties the table.
    pub async fn clear(&self) {
        for mut item in self.items().await {
            item.retain(|name, _| name == item::MESSAGE_ID || name == item::STATUS_KEY);
            let delete = self.aws.dynamodb.delete_item();
            let delete = delete.table_name(&self.place.events_table).set_key(Some(item));
            delete.send().await.expect("an item can be deleted");
        }
    }

    /// The next messages of the retry queue, waiting up to a second for one. They come back unless
    /// they are [deleted](Self::delete).
    pub async fn receive(&self) -> Vec<Message> {
        self.receive_from(&self.place.retry_queue_url, AT_ONCE, 1).await
    }

    async fn receive_from(&self, queue: &str, at_most: i32, wait: i32) -> Vec<Message> {
        let received = self
            .aws
            .sqs
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(at_most)
            .wait_time_seconds(wait)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .expect("the queue can be read");
        received.messages.unwrap_or_default()
    }

    /// Deletes messages of the retry queue, as the event source mapping does with what `redrive`
    /// stored.
    pub async fn delete(&self, messages: &[Message]) {
        self.delete_from(&self.place.retry_queue_url, messages).await;
    }

    async fn delete_from(&self, queue: &str, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let entries = messages.iter().enumerate().map(|(i, message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(i.to_string())
                .receipt_handle(message.receipt_handle().expect("a receipt"))
                .build()
                .expect("an entry")
        });
        let delete = self.aws.sqs.delete_message_batch().queue_url(queue);
        let deleted = delete.set_entries(Some(entries.collect())).send().await;
        assert!(deleted.expect("the queue can be written").failed().is_empty());
    }

    /// Puts a message into the retry queue.
    pub async fn send(&self, body: &str) {
        let send = self.aws.sqs.send_message().queue_url(&self.place.retry_queue_url);
        send.message_body(body).send().await.expect("a message is sent");
    }

    /// Takes everything that is visible out of the retry queue.
    pub async fn take_retries(&self) -> Vec<Message> {
        self.take(&self.place.retry_queue_url).await
    }

    /// Takes everything that is visible out of the dead-letter queue.
    pub async fn take_dead(&self) -> Vec<Message> {
        self.take(&self.place.dead_letter_queue_url).await
    }

    async fn take(&self, queue: &str) -> Vec<Message> {
        let mut taken = Vec::new();
        loop {
            let messages = self.receive_from(queue, AT_ONCE, 0).await;
            if messages.is_empty() {
                return taken;
            }
            self.delete_from(queue, &messages).await;
            taken.extend(messages);
        }
    }
}

/// The letters that messages hold, those in parts put together.
pub fn letters(messages: &[Message]) -> Vec<QueueMessage> {
    let mut letters = Vec::new();
    let mut parts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for message in messages {
        let text = message.body().expect("a body");
        match QueueMessage::read(text) {
            Ok(letter) => letters.push(letter),
            Err(QueueMessageError::Partial(part)) => parts.entry(part.id).or_default().push(text),
            Err(error) => panic!("{error}: {text}"),
        }
    }
    letters.extend(
        parts
            .into_values()
            .map(|parts| QueueMessage::join(parts).expect("all parts")),
    );
    letters
}

/// The keys of all events in letters, one for each time an event is there.
pub fn keys_in(letters: &[QueueMessage]) -> Vec<Key> {
    letters
        .iter()
        .flat_map(|letter| keys(&letter.function, letter.body.bytes()))
        .collect()
}

/// The keys that a function gives to the records of a body.
pub fn keys(function: &str, body: &[u8]) -> Vec<Key> {
    let receiver = receivers::receiver(function).expect("a receiver");
    let body = verified(body);
    let batch = Batch::parse(body.verified(), receiver.formats).expect("a batch");
    let arrival = Arrival {
        at: 0,
        retention_days: 0,
        late_after_hours: 72,
    };
    let read = |record: &str| batch.read(record).and_then(|event| item::build(event, arrival));
    batch
        .records()
        .map(|record| match read(record) {
            Ok(item) => key(&item),
            Err(_) => (NO_EVENT.to_owned(), record.to_owned()),
        })
        .collect()
}

/// The key of an item.
pub fn key(item: &Item) -> Key {
    let part = |name: &str| item[name].as_s().expect("a string").clone();
    (part(item::MESSAGE_ID), part(item::STATUS_KEY))
}

/// The event in which Lambda hands messages to `redrive`.
pub fn sqs_event(messages: &[Message]) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id(),
                "receiptHandle": message.receipt_handle(),
                "body": message.body(),
                "attributes": message
                    .attributes()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
                    .collect::<Map<String, Value>>(),
                "messageAttributes": message
                    .message_attributes()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| {
                        let value = json!({"dataType": "String", "stringValue": value.string_value()});
                        (name.clone(), value)
                    })
                    .collect::<Map<String, Value>>(),
                "md5OfBody": message.md5_of_body(),
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:local:000000000000:retry",
                "awsRegion": "local",
            })
        })
        .collect();
    json!({"Records": records})
}

/// The messages that `redrive` names as failed.
pub fn failures(response: &Value) -> Vec<String> {
    let failed = response["batchItemFailures"].as_array().expect("a list");
    failed
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned())
        .collect()
}
