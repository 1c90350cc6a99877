//! The contents of tables and queues, read and written past the proxies, and the keys that posted events
//! have there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, Select, WriteRequest};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use futures::future::join_all;
use netcore_webhooks::local::RunningInstance;
use serde_json::{Map, Value, json, value::RawValue};
use webhook_ingest::{
    events_table::{
        item::{self, Item},
        rejected,
    },
    operations::clients::{Aws, Timeouts},
    provider,
    queue::{
        MAX_ENTRIES,
        message::{QueueMessage, QueueMessageError},
    },
};

/// The key of an item: message id and status key. For a record that is not an event, [`NO_EVENT`] and the
/// record's text.
pub type Key = (String, String);

/// The message id in the [`Key`] of a record without one.
pub const NO_EVENT: &str = "no event";

/// Most messages that SQS receives or deletes in one call.
const AT_ONCE: i32 = 10;

/// Access to tables and queues past the proxies.
pub struct Storage {
    aws: Aws,
    /// Addresses of the servers, and names of tables and queues.
    pub instance: RunningInstance,
}

impl Storage {
    /// The storage of a running instance.
    pub async fn open(instance: &RunningInstance) -> Self {
        Self {
            aws: instance.aws(Timeouts::background()).await,
            instance: instance.clone(),
        }
    }

    /// Clients past the proxies.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Every event of the events table.
    pub async fn items(&self) -> Vec<Item> {
        let (_, events) = self.markers_and_events().await;
        events
    }

    /// The markers of rejected bodies in the events table.
    pub async fn markers(&self) -> Vec<Item> {
        let (markers, _) = self.markers_and_events().await;
        markers
    }

    async fn markers_and_events(&self) -> (Vec<Item>, Vec<Item>) {
        let items = self.scan(&self.instance.events_table).await;
        items.into_iter().partition(rejected::is_marker)
    }

    /// Every item of the counters' table.
    pub async fn rollup_items(&self) -> Vec<Item> {
        self.scan(&self.instance.rollups_table).await
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
            .expect("the table is readable")
    }

    /// The number of events in the events table.
    pub async fn count(&self) -> usize {
        let scan = self.aws.dynamodb.scan().table_name(&self.instance.events_table);
        let scan = scan.consistent_read(true).select(Select::Count);
        let scan = scan.filter_expression("attribute_not_exists(copies)");
        let mut pages = scan.into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            let page = page.expect("the table is readable");
            count += usize::try_from(page.count()).expect("a count");
        }
        count
    }

    /// All items of a message, by status key.
    pub async fn items_of(&self, message_id: &str) -> BTreeMap<String, Item> {
        let query = self.aws.dynamodb.query().table_name(&self.instance.events_table);
        let items = query
            .key_condition_expression("message_id = :id")
            .expression_attribute_values(":id", AttributeValue::S(message_id.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>()
            .await
            .expect("the table is readable");
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
        self.put_into(&self.instance.events_table, item).await;
    }

    /// Puts items into the events table, 25 per call.
    pub async fn put_all(&self, items: Vec<Item>) {
        self.put_all_into(&self.instance.events_table, items).await;
    }

    /// Puts items into a table, 25 per call.
    pub async fn put_all_into(&self, table: &str, items: Vec<Item>) {
        for batch in items.chunks(25) {
            let writes = batch.iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                let put = put.expect("a put request");
                WriteRequest::builder().put_request(put).build()
            });
            let write = self.aws.dynamodb.batch_write_item();
            let write = write.request_items(table, writes.collect());
            let written = write.send().await.expect("the table is writable");
            assert!(written.unprocessed_items().is_none_or(HashMap::is_empty));
        }
    }

    /// Every item of another table, by key.
    pub async fn items_in(&self, table: &str) -> BTreeMap<Key, Item> {
        let items = self.scan(table).await;
        items.into_iter().map(|item| (key(&item), item)).collect()
    }

    /// Puts an item into the counters' table.
    pub async fn put_rollup(&self, item: Item) {
        self.put_into(&self.instance.rollups_table, item).await;
    }

    async fn put_into(&self, table: &str, item: Item) {
        let put = self.aws.dynamodb.put_item().table_name(table);
        let put = put.set_item(Some(item));
        put.send().await.expect("the item is stored");
    }

    /// The keys of every item of the events table.
    pub async fn stored_keys(&self) -> BTreeSet<Key> {
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
        let delete = delete.table_name(&self.instance.events_table).set_key(Some(item));
        delete.send().await.expect("the item is deleted");
    }

    /// Receives messages from the retry queue, waiting up to a second for the first. They become visible
    /// again unless they are [deleted](Self::delete).
    pub async fn receive(&self) -> Vec<Message> {
        self.receive_from(&self.instance.retry_queue_url, AT_ONCE, 1)
            .await
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
            .expect("the queue is readable");
        received.messages.unwrap_or_default()
    }

    /// Deletes messages from the retry queue, as the event source mapping does after `redrive` stored them.
    pub async fn delete(&self, messages: &[Message]) {
        self.delete_from(&self.instance.retry_queue_url, messages).await;
    }

    async fn delete_from(&self, queue: &str, messages: &[Message]) {
        for messages in messages.chunks(MAX_ENTRIES) {
            let entries = messages.iter().enumerate().map(|(i, message)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(i.to_string())
                    .receipt_handle(message.receipt_handle().expect("a receipt"))
                    .build()
                    .expect("an entry")
            });
            let delete = self.aws.sqs.delete_message_batch().queue_url(queue);
            let deleted = delete.set_entries(Some(entries.collect())).send().await;
            assert!(deleted.expect("the queue is writable").failed().is_empty());
        }
    }

    /// Sends a message to the retry queue.
    pub async fn send(&self, body: &str) {
        self.send_to(&self.instance.retry_queue_url, body).await;
    }

    /// Sends a message to the dead-letter queue. Returns its id.
    pub async fn send_dead(&self, body: &str) -> String {
        self.send_to(&self.instance.dead_letter_queue_url, body).await
    }

    /// Sends a dead letter to the dead-letter queue. Returns the ids of its messages.
    pub async fn send_dead_letter(&self, dead_letter: &QueueMessage) -> Vec<String> {
        join_all(dead_letter.write().iter().map(|message| self.send_dead(message))).await
    }

    async fn send_to(&self, queue: &str, body: &str) -> String {
        let send = self.aws.sqs.send_message().queue_url(queue);
        let output = send.message_body(body).send().await;
        output.expect("the message is sent").message_id.expect("an id")
    }

    /// Deletes every message of the dead-letter queue, visible or not.
    pub async fn purge_dead_letters(&self) {
        let purge = self.aws.sqs.purge_queue();
        let purge = purge.queue_url(&self.instance.dead_letter_queue_url);
        purge.send().await.expect("the queue is purged");
    }

    /// Takes all visible messages out of the retry queue.
    pub async fn take_retry_messages(&self) -> Vec<Message> {
        self.take(&self.instance.retry_queue_url).await
    }

    /// Takes all visible messages out of the dead-letter queue.
    pub async fn take_dead_messages(&self) -> Vec<Message> {
        self.take(&self.instance.dead_letter_queue_url).await
    }

    /// Takes all visible dead letters out of the dead-letter queue, and compares the message attributes of
    /// those in one part with their content.
    pub async fn take_dead_letters(&self) -> Vec<QueueMessage> {
        let messages = self.take_dead_messages().await;
        for message in &messages {
            if let Ok(dead_letter) = QueueMessage::read(message.body().expect("a body")) {
                let attributes = message.message_attributes().expect("attributes");
                let attribute = |name: &str| attributes[name].string_value().expect("a text");
                assert_eq!(attribute("reason"), dead_letter.reason.as_str());
                assert_eq!(attribute("function"), dead_letter.function);
            }
        }
        queue_messages(&messages)
    }

    /// The numbers of messages in the retry queue and in the dead-letter queue, visible or not.
    pub async fn depths(&self) -> [u64; 2] {
        let queues = [
            &self.instance.retry_queue_url,
            &self.instance.dead_letter_queue_url,
        ];
        let [retry, dead] = queues.map(|queue| self.depth(queue));
        [retry.await, dead.await].map(|[visible, invisible]| visible + invisible)
    }

    /// The number of dead letters that are invisible now.
    pub async fn invisible_dead_letters(&self) -> u64 {
        self.depth(&self.instance.dead_letter_queue_url).await[1]
    }

    async fn depth(&self, queue: &str) -> [u64; 2] {
        let get = self.aws.sqs.get_queue_attributes().queue_url(queue);
        let get = get.attribute_names(QueueAttributeName::All);
        let answer = get.send().await.expect("the queue is readable");
        let attributes = answer.attributes().expect("attributes");
        [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ]
        .map(|name| attributes[&name].parse().expect("a number"))
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

/// The content of messages of the retry queue or the dead-letter queue, with parts joined.
pub fn queue_messages(messages: &[Message]) -> Vec<QueueMessage> {
    let mut whole = Vec::new();
    let mut parts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for message in messages {
        let text = message.body().expect("a body");
        match QueueMessage::read(text) {
            Ok(message) => whole.push(message),
            Err(QueueMessageError::Partial(part)) => parts.entry(part.id).or_default().push(text),
            Err(error) => panic!("{error}: {text}"),
        }
    }
    whole.extend(
        parts
            .into_values()
            .map(|parts| QueueMessage::join(parts).expect("all parts")),
    );
    whole
}

/// The keys of all events in queue messages, repeated for repeated events.
pub fn keys_in(messages: &[QueueMessage]) -> Vec<Key> {
    messages
        .iter()
        .flat_map(|message| keys(message.body.bytes()))
        .collect()
}

/// The keys of a body of [`events`](crate::fixtures::events), as docs/reference.md describes them.
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
        _ => panic!("{text} is not a generated event"),
    };
    (id.to_owned(), status_key.to_owned())
}

/// The key of an item.
pub fn key(item: &Item) -> Key {
    let part = |name: &str| item[name].as_s().expect("a string").clone();
    (part(item::MESSAGE_ID), part(item::STATUS_KEY))
}

/// The provider's record, rebuilt from its item.
pub fn rebuilt(item: &Item) -> Map<String, Value> {
    provider::rebuild(&item::event(item).expect("an event"))
}

/// The event in which Lambda delivers messages to `redrive`.
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

/// The ids of the messages that `redrive` reports as failed.
pub fn failures(response: &Value) -> Vec<String> {
    let failed = response["batchItemFailures"].as_array().expect("a list");
    failed
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned())
        .collect()
}

/// A string attribute.
pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
