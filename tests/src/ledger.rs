//! What the tables and the queues hold, read and written past every proxy, and the keys that the
//! posted events must have there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, Select, WriteRequest};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use netcore_webhooks::local::RunningInstance;
use serde_json::{Map, Value, json, value::RawValue};
use webhook_ingest::{
    events_table::item::{self, Item},
    operations::clients::{Aws, Timeouts},
    provider,
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

    /// Clients that no proxy disturbs.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Every item of the events table.
    pub async fn items(&self) -> Vec<Item> {
        self.scan(&self.place.events_table).await
    }

    /// Every item of the counters' table.
    pub async fn rollups(&self) -> Vec<Item> {
        self.scan(&self.place.rollups_table).await
    }

    async fn scan(&self, table: &str) -> Vec<Item> {
        self.aws
            .dynamodb
            .scan()
            .table_name(table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .expect("the table can be read")
    }

    /// How many items the events table holds.
    pub async fn count(&self) -> usize {
        let scan = self.aws.dynamodb.scan().table_name(&self.place.events_table);
        let scan = scan.consistent_read(true).select(Select::Count);
        let mut pages = scan.into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            let page = page.expect("the table can be read");
            count += usize::try_from(page.count()).expect("a count");
        }
        count
    }

    /// All items of a message, by status key.
    pub async fn items_of(&self, message_id: &str) -> BTreeMap<String, Item> {
        let query = self.aws.dynamodb.query().table_name(&self.place.events_table);
        let items = query
            .key_condition_expression("message_id = :id")
            .expression_attribute_values(":id", AttributeValue::S(message_id.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>()
            .await
            .expect("the table can be read");
        items.into_iter().map(|item| (key(&item).1, item)).collect()
    }

    /// The one item of a message.
    pub async fn item_of(&self, message_id: &str) -> Item {
        let items = self.items_of(message_id).await;
        assert_eq!(items.len(), 1, "{message_id}: {:?}", items.keys());
        items.into_values().next().expect("one item")
    }

    /// Puts an item into the events table.
    pub async fn put(&self, item: Item) {
        self.put_into(&self.place.events_table, item).await;
    }

    /// Puts items into the events table, 25 at once.
    pub async fn put_all(&self, items: Vec<Item>) {
        for batch in items.chunks(25) {
            let writes = batch.iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                let put = put.expect("a put request");
                WriteRequest::builder().put_request(put).build()
            });
            let write = self.aws.dynamodb.batch_write_item();
            let write = write.request_items(&self.place.events_table, writes.collect());
            let written = write.send().await.expect("the table can be written");
            assert!(written.unprocessed_items().is_none_or(HashMap::is_empty));
        }
    }

    /// Puts an item into the counters' table.
    pub async fn put_rollup(&self, item: Item) {
        self.put_into(&self.place.rollups_table, item).await;
    }

    async fn put_into(&self, table: &str, item: Item) {
        let put = self.aws.dynamodb.put_item().table_name(table);
        let put = put.set_item(Some(item));
        put.send().await.expect("an item can be stored");
    }

    /// The keys of every item of the events table.
    pub async fn stored(&self) -> BTreeSet<Key> {
        self.items().await.iter().map(key).collect()
    }

    /// Empties the events table.
    pub async fn clear(&self) {
        for item in self.items().await {
            self.delete_item(item).await;
        }
    }

    /// Deletes an item of the events table.
    pub async fn delete_item(&self, mut item: Item) {
        item.retain(|name, _| name == item::MESSAGE_ID || name == item::STATUS_KEY);
        let delete = self.aws.dynamodb.delete_item();
        let delete = delete.table_name(&self.place.events_table).set_key(Some(item));
        delete.send().await.expect("an item can be deleted");
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
        self.send_to(&self.place.retry_queue_url, body).await;
    }

    /// Puts a message into the dead-letter queue.
    pub async fn send_dead(&self, body: &str) {
        self.send_to(&self.place.dead_letter_queue_url, body).await;
    }

    async fn send_to(&self, queue: &str, body: &str) {
        let send = self.aws.sqs.send_message().queue_url(queue);
        send.message_body(body).send().await.expect("a message is sent");
    }

    /// Deletes every message of the dead-letter queue, visible or not.
    pub async fn purge_dead(&self) {
        let purge = self.aws.sqs.purge_queue();
        let purge = purge.queue_url(&self.place.dead_letter_queue_url);
        purge.send().await.expect("the queue can be purged");
    }

    /// Takes everything that is visible out of the retry queue.
    pub async fn take_retries(&self) -> Vec<Message> {
        self.take(&self.place.retry_queue_url).await
    }

    /// Takes everything that is visible out of the dead-letter queue.
    pub async fn take_dead(&self) -> Vec<Message> {
        self.take(&self.place.dead_letter_queue_url).await
    }

    /// Takes every letter that is visible out of the dead-letter queue. The attributes of a whole letter
    /// say what it says.
    pub async fn take_letters(&self) -> Vec<QueueMessage> {
        let messages = self.take_dead().await;
        for message in &messages {
            if let Ok(letter) = QueueMessage::read(message.body().expect("a body")) {
                let attributes = message.message_attributes().expect("attributes");
                let attribute = |name: &str| attributes[name].string_value().expect("a text");
                assert_eq!(attribute("reason"), letter.reason.as_str());
                assert_eq!(attribute("function"), letter.function);
            }
        }
        letters(&messages)
    }

    /// Messages in the retry queue and in the dead-letter queue, visible or not.
    pub async fn depths(&self) -> [u64; 2] {
        let retry = self.depth(&self.place.retry_queue_url).await;
        [retry, self.depth(&self.place.dead_letter_queue_url).await]
    }

    async fn depth(&self, queue: &str) -> u64 {
        let get = self.aws.sqs.get_queue_attributes().queue_url(queue);
        let get = get.attribute_names(QueueAttributeName::All);
        let answer = get.send().await.expect("the queue can be read");
        let attributes = answer.attributes().expect("attributes");
        [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ]
        .iter()
        .map(|name| attributes[name].parse::<u64>().expect("a number"))
        .sum()
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
        .flat_map(|letter| keys(letter.body.bytes()))
        .collect()
}

/// The keys of a body of [`events`](crate::fixtures::events), as docs/reference.md describes them. A
/// record without a message id is no event.
pub fn keys(body: &[u8]) -> Vec<Key> {
    let records: Vec<&RawValue> = serde_json::from_slice(body).expect("a list of records");
    records.into_iter().map(|record| key_of(record.get())).collect()
}

fn key_of(text: &str) -> Key {
    let record: Value = serde_json::from_str(text).expect("JSON");
    let Some(id) = record["message_id"].as_str() else {
        return (NO_EVENT.to_owned(), text.to_owned());
    };
    let status_key = match record["status"].as_str() {
        Some("Sent") => "RCS#sent",
        Some("Delivered") => "RCS#delivered",
        Some("Read") => "RCS#read",
        Some("Failed") => "RCS#failed",
        _ => panic!("{text} is none of the made events"),
    };
    (id.to_owned(), status_key.to_owned())
}

/// The key of an item.
pub fn key(item: &Item) -> Key {
    let part = |name: &str| item[name].as_s().expect("a string").clone();
    (part(item::MESSAGE_ID), part(item::STATUS_KEY))
}

/// The provider's record, put together from its item.
pub fn rebuilt(item: &Item) -> Map<String, Value> {
    provider::rebuild(&item::event(item).expect("an event"))
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
