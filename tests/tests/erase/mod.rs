//! `erase` on a real table with simulated people. Both directions of one person are deleted, and nothing of
//! the others.

mod other_places;
mod people;
mod proof;
mod spellings;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::Message;
use integration_tests::{
    command::options,
    fixtures::queue_message,
    simulated::{self, UNTIL},
    stack::Stack,
    storage::{Key, key, queue_messages},
};
use netcore_webhooks::{
    erase::{self, RECORD, Report},
    serve::INSTANCE_FILE,
};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::{
    events_table::item::{self, Item},
    queue::message::Reason,
};

/// A stack with simulated people, and a data folder that refers to it.
struct Setup {
    stack: Stack,
    folder: TempDir,
}

impl Setup {
    async fn start() -> Self {
        let stack = Stack::start().await;
        let folder = TempDir::new().unwrap();
        let instance = serde_json::to_string(&stack.instance).unwrap();
        fs::write(folder.path().join(INSTANCE_FILE), instance).unwrap();
        let setup = Self { stack, folder };
        let items = simulated::items(&["--messages", "90"], 4);
        setup.stack.storage.put_all(items).await;
        setup
    }

    async fn put(&self, item: Item) {
        self.stack.storage.put(item).await;
    }

    async fn items(&self) -> BTreeMap<Key, Item> {
        let items = self.stack.storage.items().await;
        items.into_iter().map(|item| (key(&item), item)).collect()
    }

    async fn erase(&self, arguments: &[&str]) -> anyhow::Result<Report> {
        erase::run(&options(arguments), self.data(), |_| Ok(())).await
    }

    /// The preview that it shows before it deletes anything, and the report at the end.
    async fn erase_with_preview(&self, arguments: &[&str]) -> (String, Report) {
        let mut preview = String::new();
        let show = |report: &Report| {
            assert!(report.done.is_none(), "nothing is deleted yet");
            preview = report.to_string();
            Ok(())
        };
        let report = erase::run(&options(arguments), self.data(), show).await.unwrap();
        (preview, report)
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.data().join(RECORD)).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Sends a dead letter with this body. Returns the number of its messages.
    async fn put_dead(&self, body: &str) -> usize {
        let dead_letter = queue_message(Reason::Unreadable, "event-webhook", UNTIL, body.as_bytes());
        self.stack.storage.send_dead_letter(&dead_letter).await.len()
    }

    async fn put_counters(&self, series: &str, names: &[&str]) {
        let mut item = Item::from([
            ("series".to_owned(), AttributeValue::S(series.into())),
            ("period".to_owned(), AttributeValue::S("day#2026-11-21".into())),
        ]);
        for name in names {
            item.insert((*name).to_owned(), AttributeValue::N("1".into()));
        }
        self.stack.storage.put_rollup(item).await;
    }
}

/// The bodies of messages of a queue.
fn bodies(messages: &[Message]) -> Vec<String> {
    let messages = queue_messages(messages);
    let bodies = messages.iter().map(|message| message.body.bytes().to_vec());
    bodies.map(|body| String::from_utf8(body).unwrap()).collect()
}

fn text(item: &Item, name: &str) -> String {
    item.get(name)
        .and_then(|v| v.as_s().ok())
        .cloned()
        .unwrap_or_default()
}

/// A person with events in both directions.
fn a_person(items: &BTreeMap<Key, Item>) -> String {
    let mut directions: HashMap<String, BTreeSet<bool>> = HashMap::new();
    for item in items.values() {
        let wrote = ["received", "clicked"].contains(&text(item, item::STATUS).as_str())
            && text(item, item::FORMAT).contains("incoming");
        directions
            .entry(text(item, item::RECIPIENT))
            .or_default()
            .insert(wrote);
    }
    let mut both: Vec<String> = directions
        .into_iter()
        .filter(|(_, directions)| directions.len() == 2)
        .map(|(number, _)| number)
        .collect();
    both.sort();
    both.into_iter()
        .next()
        .expect("a person with events in both directions")
}

/// An item of another person with one attribute replaced.
fn other(items: &BTreeMap<Key, Item>, number: &str, id: &str, name: &str, value: &str) -> Item {
    let mut item = items
        .values()
        .find(|item| text(item, item::RECIPIENT) != number && text(item, item::STATUS) == "delivered")
        .unwrap()
        .clone();
    item.insert(item::MESSAGE_ID.into(), AttributeValue::S(id.into()));
    item.insert(name.into(), AttributeValue::S(value.into()));
    item
}

/// The number with separators.
fn formatted(number: &str) -> String {
    format!("+{} {}-{}", &number[..2], &number[2..7], &number[7..])
}

/// A provider's record with an unlisted field.
fn record(id: &str, note: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","status":"Delivered","channel":"RCS","event_time":1795000000,"note":"{note}"}}"#
    )
}
