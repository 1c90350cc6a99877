//! `erase` on a real table with simulated people: one of them disappears in both directions, the
//! others do not notice.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

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
use clap::Parser as _;
use integration_tests::verified;
use integration_tests::{
    ledger::{Key, key},
    scene::Scene,
    simulated::{self, UNTIL},
};
use netcore_webhooks::{
    erase::{self, RECORD, Report},
    serve::INSTANCE_FILE,
};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::{
    events_table::item::{self, Item},
    operations::clients::{Aws, Timeouts},
    queue::message::{QueueMessage, Reason},
};

#[derive(clap::Parser)]
struct Asked {
    #[command(flatten)]
    options: erase::Options,
}

/// A table with simulated people before a proxy, and a data folder that leads to it.
struct Stage {
    scene: Scene,
    folder: TempDir,
    aws: Aws,
}

impl Stage {
    async fn set() -> Self {
        let scene = Scene::set().await;
        let folder = TempDir::new().unwrap();
        let place = serde_json::to_string(&scene.place).unwrap();
        fs::write(folder.path().join(INSTANCE_FILE), place).unwrap();
        let aws = scene.place.aws(Timeouts::unhurried()).await;
        let stage = Self { scene, folder, aws };
        let items = simulated::items(&["--messages", "90"], 4);
        stage.scene.ledger.put_all(items).await;
        stage
    }

    async fn put(&self, item: Item) {
        self.scene.ledger.put(item).await;
    }

    async fn items(&self) -> BTreeMap<Key, Item> {
        let items = self.scene.ledger.items().await;
        items.into_iter().map(|item| (key(&item), item)).collect()
    }

    async fn erase(&self, words: &[&str]) -> anyhow::Result<Report> {
        let words: Vec<&str> = ["erase"].iter().chain(words).copied().collect();
        erase::run(&Asked::parse_from(words).options, self.data(), |_| Ok(())).await
    }

    /// What it shows before it deletes anything, and what it reports at the end.
    async fn told(&self, words: &[&str]) -> (String, Report) {
        let words: Vec<&str> = ["erase"].iter().chain(words).copied().collect();
        let mut told = String::new();
        let show = |report: &Report| {
            assert!(report.done.is_none(), "nothing is deleted yet");
            told = report.to_string();
            Ok(())
        };
        let options = Asked::parse_from(words).options;
        let report = erase::run(&options, self.data(), show).await.unwrap();
        (told, report)
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

    /// Puts a letter into the dead-letter queue. Returns in how many messages.
    async fn put_dead(&self, body: &str) -> usize {
        self.put_letter(&self.scene.place.dead_letter_queue_url, body)
            .await
    }

    async fn put_letter(&self, queue: &str, body: &str) -> usize {
        let letter = QueueMessage {
            reason: Reason::Unreadable,
            detail: "no status".into(),
            function: "event-webhook".into(),
            received_at: UNTIL,
            body: verified(body.as_bytes()).into(),
        };
        let messages = letter.write();
        for message in &messages {
            let send = self.aws.sqs.send_message().queue_url(queue);
            send.message_body(message).send().await.unwrap();
        }
        messages.len()
    }

    async fn put_counters(&self, series: &str, names: &[&str]) {
        let mut item = Item::from([
            ("series".to_owned(), AttributeValue::S(series.into())),
            ("period".to_owned(), AttributeValue::S("day#2026-11-21".into())),
        ]);
        for name in names {
            item.insert((*name).to_owned(), AttributeValue::N("1".into()));
        }
        self.scene.ledger.put_rollup(item).await;
    }

    /// The bodies of all letters of a queue.
    async fn bodies(&self, queue: &str) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let receive = self.aws.sqs.receive_message().queue_url(queue);
            let answer = receive.max_number_of_messages(10).send().await.unwrap();
            let received = answer.messages.unwrap_or_default();
            if received.is_empty() {
                break;
            }
            messages.extend(received.into_iter().filter_map(|message| message.body));
        }
        let bodies = messages
            .iter()
            .map(|message| QueueMessage::read(message).unwrap().body);
        bodies
            .map(|body| String::from_utf8(body.bytes().to_vec()).unwrap())
            .collect()
    }
}

fn text(item: &Item, name: &str) -> String {
    item.get(name)
        .and_then(|v| v.as_s().ok())
        .cloned()
        .unwrap_or_default()
}

/// A person that was written to and wrote back.
fn somebody(items: &BTreeMap<Key, Item>) -> String {
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
    both.into_iter().next().expect("somebody wrote back")
}

/// Another person's item, with something in it.
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

/// As the person may write it.
fn spelt(number: &str) -> String {
    format!("+{} {}-{}", &number[..2], &number[2..7], &number[7..])
}

/// A record of a provider, with something in a field that nobody listed.
fn record(id: &str, note: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","status":"Delivered","channel":"RCS","event_time":1795000000,"note":"{note}"}}"#
    )
}
