//! `simulate` against a real local instance: it reconciles, it finds what is wrong, and it plays
//! the providers as their documents show them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser as _;
use integration_tests::{
    binary,
    command::eventually,
    instance::Instance,
    samples::{Sample, every_sample},
};
use netcore_webhooks::simulate::{Envelope, Options, PostFormat, Simulation, Workload};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::events_table::item::{self, Item};

/// A moment in the middle of a working day, India's and Brazil's.
const UNTIL: &str = "2026-11-20T13:30:00Z";
const UNTIL_MILLIS: i64 = 1_795_181_400_000;

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    options: Options,
}

fn options(words: &[&str]) -> Options {
    Words::parse_from(["simulate"].iter().chain(words)).options
}

/// A running instance in a folder of its own.
struct Stage {
    folder: TempDir,
    instance: Instance,
}

impl Stage {
    async fn set() -> Self {
        let folder = TempDir::new().unwrap();
        let instance = Instance::in_folder(folder.path()).await;
        Self { folder, instance }
    }

    fn url(&self) -> String {
        self.instance.url("")
    }

    async fn prepare(&self, words: &[&str]) -> Simulation {
        let url = self.url();
        let words: Vec<&str> = ["--url", &url].iter().chain(words).copied().collect();
        Simulation::prepare(options(&words), self.folder.path())
            .await
            .unwrap()
    }

    fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(binary::command());
        command
            .env_clear()
            .arg("simulate")
            .args(["--url", &self.url()])
            .arg("--data")
            .arg(self.folder.path())
            .args(words);
        command.output().unwrap()
    }

    async fn items(&self) -> Vec<Item> {
        self.instance.ledger.items().await
    }

    async fn put(&self, item: Item) {
        self.instance.ledger.put(item).await;
    }

    async fn delete(&self, item: &Item) {
        self.instance.ledger.delete_item(item.clone()).await;
    }
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item[name].as_s().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_sent_is_stored_once_and_twice_the_same_is_still_once() {
    let stage = Stage::set().await;
    let words = [
        "--messages",
        "120",
        "--seed",
        "11",
        "--until",
        UNTIL,
        "--malformed",
        "5%",
    ];
    for round in 0..2 {
        let simulation = stage.prepare(&words).await;
        let sent = simulation.send().await.unwrap();
        let report = simulation.reconcile(sent).await.unwrap();
        assert_eq!(report.differences(), [""; 0]);
        assert_eq!(report.found.events, report.events);
        assert_eq!(report.found.before, report.events * round);
        let counts = report.sent.counts;
        assert_eq!(
            counts.received,
            counts.stored + counts.duplicates + counts.queued + counts.dead_lettered
        );
        assert!(counts.duplicates > 0, "{counts:?}");
        assert!(report.sent.answers.keys().any(|(_, status)| *status == 400));
        assert!(report.to_string().contains("each event is stored exactly once"));
        assert_eq!(stage.items().await.len(), report.events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_changed_or_added_behind_its_back_is_named() {
    let stage = Stage::set().await;
    let simulation = stage
        .prepare(&[
            "--messages",
            "60",
            "--seed",
            "3",
            "--malformed",
            "0",
            "--wait",
            "3",
        ])
        .await;
    let sent = simulation.send().await.unwrap();
    // A busy machine queues events, and the retry queue would store the lost one again.
    let ledger = &stage.instance.ledger;
    eventually(async || ledger.depths().await, |[retry, _]| *retry == 0).await;
    let items = stage.items().await;
    let status = |status: &str| {
        let mut found = items.iter().filter(|item| text(item, item::STATUS) == status);
        found.next().unwrap().clone()
    };
    let lost = status("delivered");
    stage.delete(&lost).await;
    let mut changed = status("read");
    changed.insert(
        "tags".into(),
        AttributeValue::L(vec![AttributeValue::S("other".into())]),
    );
    stage.put(changed.clone()).await;
    let mut added = status("sent");
    added.insert(item::STATUS_KEY.into(), AttributeValue::S("RCS#blocked".into()));
    added.insert(item::STATUS.into(), AttributeValue::S("blocked".into()));
    stage.put(added.clone()).await;

    let report = simulation.reconcile(sent).await.unwrap();
    let told = report.to_string();
    assert_eq!(report.differences().len(), 3, "{told}");
    for (item, why) in [
        (&lost, "delivered"),
        (&changed, "stored, but not as it was sent"),
        (&added, "stored, but never sent"),
    ] {
        let id = text(item, item::MESSAGE_ID);
        let line = told
            .lines()
            .find(|line| line.trim().starts_with(id) && line.contains(why));
        assert!(line.is_some(), "{id} {why}\n{told}");
    }
    assert!(told.contains("not stored"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_well_or_with_1() {
    let stage = Stage::set().await;
    let words = ["--messages", "30", "--seed", "5", "--until", UNTIL];
    let good = stage.command(&words);
    let told = String::from_utf8(good.stdout).unwrap();
    assert!(
        good.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(told.contains("--seed 5 --until 2026-11-20T13:30:00Z"), "{told}");

    let mut item = stage
        .items()
        .await
        .into_iter()
        .find(|item| text(item, item::STATUS) == "delivered")
        .unwrap();
    item.insert(item::RECIPIENT.into(), AttributeValue::S("910000000000".into()));
    stage.put(item.clone()).await;
    let bad = stage.command(&words);
    let told = String::from_utf8(bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(1), "{told}");
    assert!(told.contains(text(&item, item::MESSAGE_ID)), "{told}");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("differ in"));

    let nobody = Command::new(binary::command())
        .env_clear()
        .args(["simulate", "--url", "http://127.0.0.1:9", "--data"])
        .arg(stage.folder.path())
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nobody answers"));

    let stranger = stage.command(&[
        "--auth",
        r#"{"accept":[{"type":"header","name":"x-netcore-token","values":["a-token-that-is-wrong"]}]}"#,
    ]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("401"));
}

fn play(words: &[&str], seed: u64) -> Workload {
    Workload::generate(&options(words), seed, UNTIL_MILLIS).unwrap()
}

#[test]
fn one_seed_is_one_play() {
    let words = ["--messages", "300"];
    assert_eq!(play(&words, 7), play(&words, 7));
    assert_ne!(play(&words, 7), play(&words, 8));
    let later = Workload::generate(&options(&words), 7, UNTIL_MILLIS + 1).unwrap();
    let ids = |play: &Workload| {
        play.events
            .iter()
            .map(|h| h.message_id.clone())
            .collect::<BTreeSet<_>>()
    };
    assert!(ids(&play(&words, 7)).is_disjoint(&ids(&later)), "old ids again");
}

/// Field names and the kinds of their values.
fn shape(record: &Value) -> BTreeMap<&str, &'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let record = record.as_object().unwrap();
    record
        .iter()
        .map(|(name, value)| (name.as_str(), kind(value)))
        .collect()
}

fn documented(form: PostFormat) -> Vec<Value> {
    let folder = match form {
        PostFormat {
            envelope: Envelope::Field("incoming_message"),
            ..
        } => "incoming-webhook-whatsapp",
        other => other.function,
    };
    let records = |sample: Sample| match serde_json::from_slice(&sample.body).unwrap() {
        Value::Array(records) => records,
        Value::Object(mut fields) => match fields
            .remove("delivery_status")
            .or(fields.remove("incoming_message"))
        {
            Some(Value::Array(records)) => records,
            _ => vec![Value::Object(fields)],
        },
        other => panic!("{other}"),
    };
    let of_form = |sample: &Sample| sample.name.split('/').next() == Some(folder);
    every_sample()
        .into_iter()
        .filter(of_form)
        .flat_map(records)
        .collect()
}

#[test]
fn every_record_has_the_fields_of_a_documented_one() {
    let play = play(&["--messages", "4000"], 1);
    for form in netcore_webhooks::simulate::formats() {
        let samples = documented(form);
        let known: BTreeSet<_> = samples.iter().map(shape).collect();
        let told: Vec<_> = play.events.iter().filter(|h| h.format == form).collect();
        assert!(told.len() > 20, "{form:?}: {}", told.len());
        for happening in told {
            assert!(
                known.contains(&shape(&happening.record)),
                "{form:?} has no such record: {}",
                happening.record
            );
        }
    }
}

#[test]
fn lives_are_such_as_a_dashboard_must_show() {
    let play = play(&["--messages", "4000", "--days", "30"], 1);
    let count = |channel: &str, status: &str| {
        let of = |h: &&netcore_webhooks::simulate::SimulatedEvent| h.channel == channel && h.status == status;
        play.events.iter().filter(of).count()
    };
    // A funnel: each step is smaller than the one before.
    for channel in ["RCS", "WHATSAPP"] {
        let steps = ["sent", "delivered", "read"].map(|status| count(channel, status));
        assert!(
            steps[0] > steps[1] && steps[1] > steps[2] && steps[2] > 300,
            "{channel} {steps:?}"
        );
    }
    for (channel, status) in [
        ("RCS", "clicked"),
        ("RCS", "failed"),
        ("RCS", "not_sent"),
        ("RCS", "blocked"),
        ("RCS", "received"),
        ("RCS", "queued_at_operator"),
        ("SMS", "sent"),
        ("SMS", "delivered"),
        ("SMS", "failed"),
        ("SMS", "clicked"),
        ("WHATSAPP", "failed"),
        ("WHATSAPP", "received"),
        ("WHATSAPP", "clicked"),
    ] {
        assert!(count(channel, status) > 0, "{channel} {status}");
    }
    let days: BTreeSet<i64> = play.events.iter().map(|h| h.at / 86_400_000).collect();
    assert!(days.len() >= 30, "{}", days.len());
    assert!(
        play.events
            .iter()
            .all(|h| h.at <= UNTIL_MILLIS && h.at > UNTIL_MILLIS - 36 * 86_400_000)
    );
    // Numbers that nobody has.
    assert!(
        play.events
            .iter()
            .all(|h| h.recipient.starts_with("9100") || h.recipient.starts_with("55009"))
    );
    assert!(play.events.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn the_share_that_falls_back_is_what_was_asked_for() {
    for (asked, least, most) in [("0", 0.0, 0.0), ("25%", 0.21, 0.29), ("1", 1.0, 1.0)] {
        let play = play(&["--messages", "3000", "--fallback", asked], 2);
        let netcore = |h: &&netcore_webhooks::simulate::SimulatedEvent| {
            h.format.function == "event-webhook" && h.channel == "RCS"
        };
        let ids: BTreeSet<&str> = play
            .events
            .iter()
            .filter(netcore)
            .map(|h| h.message_id.as_str())
            .collect();
        let over_sms = play
            .events
            .iter()
            .filter(|h| h.format.function == "fallback-sms" && h.status == "sent");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let share = over_sms.count() as f64 / ids.len() as f64;
        assert!((least..=most).contains(&share), "{asked}: {share}");
    }
}

#[test]
fn one_address_is_told_only_its_own() {
    let url = "http://127.0.0.1:9000/lambda-url/delivery-status/";
    let play = play(&["--url", url, "--messages", "50"], 1);
    assert!(play.events.iter().all(|h| h.format.function == "delivery-status"));
    let ids: BTreeSet<_> = play.events.iter().map(|h| &h.message_id).collect();
    assert_eq!(ids.len(), 50);
    let alone = self::play(
        &[
            "--url",
            "event-webhook=http://127.0.0.1:9000/",
            "--messages",
            "300",
        ],
        1,
    );
    assert!(alone.events.iter().any(|h| h.channel == "SMS"));
    assert!(alone.posts.iter().all(|post| post.function == "event-webhook"));
}
