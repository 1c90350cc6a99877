//! `simulate` against a real local server: it reconciles, finds differences, and sends what the providers
//! document.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::{eventually, options},
    function,
    samples::{Sample, every_sample},
    server::Server,
    simulated,
    storage::Storage,
};
use netcore_webhooks::simulate::{Envelope, PostFormat, Simulation, Workload};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::events_table::item::{self, Item};

/// In the middle of a working day in India and Brazil.
const UNTIL: &str = "2026-11-20T13:30:00Z";

/// A server with its data in a temporary folder.
struct Setup {
    folder: TempDir,
    server: Server,
}

impl Setup {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let server = Server::in_folder(folder.path(), None).await;
        Self { folder, server }
    }

    async fn prepare(&self, arguments: &[&str]) -> Simulation {
        let url = self.server.url("");
        let arguments = [&["--url", &url], arguments].concat();
        let simulation = Simulation::prepare(options(&arguments), self.folder.path());
        simulation.await.unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(function::command());
        command
            .env_clear()
            .args(["simulate", "--url", &self.server.url("")])
            .arg("--data")
            .arg(self.folder.path())
            .args(arguments);
        command.output().unwrap()
    }

    fn storage(&self) -> &Storage {
        self.server.storage()
    }
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item[name].as_s().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_sent_is_stored_once_even_if_sent_twice() {
    let setup = Setup::start().await;
    let words = [
        "--messages",
        "120",
        "--seed",
        "11",
        "--until",
        UNTIL,
        "--malformed",
        "20%",
    ];
    for round in 0..2 {
        let simulation = setup.prepare(&words).await;
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
        assert_eq!(setup.storage().items().await.len(), report.events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_changed_and_added_events_are_reported() {
    let setup = Setup::start().await;
    let simulation = setup
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
    // On a busy machine, events are queued, and the retry queue would store the deleted one again.
    eventually(async || setup.storage().depths().await, |[retry, _]| *retry == 0).await;
    let items = setup.storage().items().await;
    let status = |status: &str| {
        let mut found = items.iter().filter(|item| text(item, item::STATUS) == status);
        found.next().unwrap().clone()
    };
    let lost = status("delivered");
    setup.storage().delete_item(lost.clone()).await;
    let mut changed = status("read");
    changed.insert(
        "tags".into(),
        AttributeValue::L(vec![AttributeValue::S("other".into())]),
    );
    setup.storage().put(changed.clone()).await;
    let mut added = status("sent");
    added.insert(item::STATUS_KEY.into(), AttributeValue::S("RCS#blocked".into()));
    added.insert(item::STATUS.into(), AttributeValue::S("blocked".into()));
    setup.storage().put(added.clone()).await;

    let report = simulation.reconcile(sent).await.unwrap();
    let output = report.to_string();
    assert_eq!(report.differences().len(), 3, "{output}");
    for (item, why) in [
        (&lost, "delivered"),
        (&changed, "stored, but not as it was sent"),
        (&added, "stored, but never sent"),
    ] {
        let id = text(item, item::MESSAGE_ID);
        let line = output
            .lines()
            .find(|line| line.trim().starts_with(id) && line.contains(why));
        assert!(line.is_some(), "{id} {why}\n{output}");
    }
    assert!(output.contains("not stored"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_exits_with_0_or_1() {
    let setup = Setup::start().await;
    let words = ["--messages", "30", "--seed", "5", "--until", UNTIL];
    let good = setup.command(&words);
    let output = String::from_utf8(good.stdout).unwrap();
    assert!(
        good.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(
        output.contains("--seed 5 --until 2026-11-20T13:30:00Z"),
        "{output}"
    );

    let mut item = setup
        .storage()
        .items()
        .await
        .into_iter()
        .find(|item| text(item, item::STATUS) == "delivered")
        .unwrap();
    item.insert(item::RECIPIENT.into(), AttributeValue::S("910000000000".into()));
    setup.storage().put(item.clone()).await;
    let bad = setup.command(&words);
    let output = String::from_utf8(bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(1), "{output}");
    assert!(output.contains(text(&item, item::MESSAGE_ID)), "{output}");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("differ in"));

    let unreachable = Command::new(function::command())
        .env_clear()
        .args(["simulate", "--url", "http://127.0.0.1:9", "--data"])
        .arg(setup.folder.path())
        .output()
        .unwrap();
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("nobody answers"));

    let unauthorized = setup.command(&[
        "--auth",
        r#"{"accept":[{"type":"header","name":"x-netcore-token","values":["a-token-that-is-wrong"]}]}"#,
    ]);
    assert_eq!(unauthorized.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unauthorized.stderr).contains("401"));
}

fn simulated_by(arguments: &[&str], seed: u64) -> Workload {
    Workload::generate(&options(arguments), seed, simulated::UNTIL).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_simulation() {
    let words = ["--messages", "300"];
    assert_eq!(simulated_by(&words, 7), simulated_by(&words, 7));
    assert_ne!(simulated_by(&words, 7), simulated_by(&words, 8));
    let later = Workload::generate(&options(&words), 7, simulated::UNTIL + 1).unwrap();
    let ids = |simulation: &Workload| {
        simulation
            .events
            .iter()
            .map(|h| h.message_id.clone())
            .collect::<BTreeSet<_>>()
    };
    assert!(
        ids(&simulated_by(&words, 7)).is_disjoint(&ids(&later)),
        "ids repeat"
    );
}

/// Field names and the types of their values.
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

/// The value inside of Meta's envelope; other bodies unchanged.
fn in_changes(body: Value) -> Value {
    let value = body.pointer("/entry/0/changes/0/value");
    let lists = ["statuses", "messages"];
    let list = value.and_then(|value| lists.iter().find_map(|list| value.get(*list)));
    list.cloned().unwrap_or(body)
}

fn documented(form: PostFormat) -> Vec<Value> {
    let folder = match form {
        PostFormat {
            envelope: Envelope::Field("incoming_message"),
            ..
        } => "incoming-webhook-whatsapp",
        other => other.function,
    };
    let records = |sample: Sample| match in_changes(serde_json::from_slice(&sample.body).unwrap()) {
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
    let simulation = simulated_by(&["--messages", "4000"], 1);
    for format in netcore_webhooks::simulate::formats() {
        let samples = documented(format);
        let known: BTreeSet<_> = samples.iter().map(shape).collect();
        let records: Vec<_> = simulation.events.iter().filter(|h| h.format == format).collect();
        assert!(records.len() > 20, "{format:?}: {}", records.len());
        for simulated in records {
            assert!(
                known.contains(&shape(&simulated.record)),
                "{format:?} has no such record: {}",
                simulated.record
            );
        }
    }
}

#[test]
fn the_simulation_contains_all_statuses_over_the_whole_period() {
    let simulation = simulated_by(&["--messages", "4000", "--days", "30"], 1);
    let count = |channel: &str, status: &str| {
        let of = |h: &&netcore_webhooks::simulate::SimulatedEvent| h.channel == channel && h.status == status;
        let events = simulation.events.iter();
        (events.filter(of).filter(|h| h.function != "rbm-event")).count()
    };
    let over_networks = |status: &str| {
        let mut events = simulation.events.iter().filter(|h| h.function == "rbm-event");
        events.any(|h| h.status == status)
    };
    for status in [
        "delivered",
        "read",
        "expired",
        "failed",
        "clicked",
        "received",
        "is_typing",
    ] {
        assert!(over_networks(status), "{status}");
    }
    // A funnel: each step is smaller than the previous one. The RCS networks report no `sent`.
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
        ("EMAIL", "sent"),
        ("EMAIL", "opened"),
        ("EMAIL", "clicked"),
        ("EMAIL", "bounced"),
        ("EMAIL", "unsubscribed"),
    ] {
        assert!(count(channel, status) > 0, "{channel} {status}");
    }
    let days: BTreeSet<i64> = simulation.events.iter().map(|h| h.at / 86_400_000).collect();
    assert!(days.len() >= 30, "{}", days.len());
    assert!(
        simulation
            .events
            .iter()
            .all(|h| h.at <= simulated::UNTIL && h.at > simulated::UNTIL - 36 * 86_400_000)
    );
    // Phone numbers that are not assigned, and addresses that cannot be.
    let is_nobody = |person: &str| {
        person.starts_with("9100")
            || person.starts_with("55009")
            || person.starts_with("whatsapp:IN.19100")
            || (person.starts_with("mailto:") && person.ends_with("@mail.example"))
    };
    assert!(simulation.events.iter().all(|h| is_nobody(&h.recipient)));
    assert!(simulation.events.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn recipients_of_one_email_open_it_in_the_same_second() {
    let url = "http://127.0.0.1:9000/lambda-url/email-event/";
    let simulation = simulated_by(&["--url", url, "--messages", "200"], 1);
    let mut opens: BTreeMap<(&str, i64), BTreeSet<&str>> = BTreeMap::new();
    for open in simulation.events.iter().filter(|h| h.status == "opened") {
        let people = opens.entry((&open.message_id, open.at)).or_default();
        assert!(people.insert(&open.recipient), "one person opens once a second");
    }
    assert!(opens.values().filter(|people| people.len() > 1).count() > 10);
}

#[test]
fn the_fallback_share_matches_the_option() {
    // A fallback after the end of the simulated time is left out.
    for (asked, least, most) in [("0", 0.0, 0.0), ("25%", 0.21, 0.29), ("1", 0.99, 1.0)] {
        let simulation = simulated_by(&["--messages", "3000", "--fallback", asked], 2);
        let netcore = |h: &&netcore_webhooks::simulate::SimulatedEvent| {
            h.format.function == "event-webhook" && h.channel == "RCS"
        };
        let ids: BTreeSet<&str> = simulation
            .events
            .iter()
            .filter(netcore)
            .map(|h| h.message_id.as_str())
            .collect();
        let over_sms = simulation
            .events
            .iter()
            .filter(|h| h.format.function == "fallback-sms" && h.status == "sent");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let share = over_sms.count() as f64 / ids.len() as f64;
        assert!((least..=most).contains(&share), "{asked}: {share}");
    }
}

#[test]
fn one_url_gets_only_its_functions_events() {
    let url = "http://127.0.0.1:9000/lambda-url/delivery-status/";
    let simulation = simulated_by(&["--url", url, "--messages", "50"], 1);
    assert!(
        simulation
            .events
            .iter()
            .all(|h| h.format.function == "delivery-status")
    );
    let ids: BTreeSet<_> = simulation.events.iter().map(|h| &h.message_id).collect();
    assert_eq!(ids.len(), 50);
    let alone = simulated_by(
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
