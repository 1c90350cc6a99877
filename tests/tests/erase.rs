//! `erase` on a real table with simulated people: one of them disappears in both directions, the
//! others do not notice.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser as _;
use integration_tests::{
    binary,
    ledger::{Key, key},
    proxy::Treatment,
    scene::Scene,
};
use netcore_webhooks::{
    erase::{self, KEY, RECORD, Report, Why},
    serve::PLACE,
    simulate::{self, Happening, Play},
};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::{
    aws::{Aws, Patience},
    item::{self, Arrival, Item},
    letter::{Letter, Reason},
    provider,
};

const UNTIL: i64 = 1_795_181_400_000;

#[derive(clap::Parser)]
struct Simulated {
    #[command(flatten)]
    options: simulate::Options,
}

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

fn built(happening: &Happening) -> Item {
    let formats = redrive::receiver(happening.function).unwrap().formats;
    let event = provider::read(formats, &happening.record.to_string()).unwrap();
    let arrival = Arrival {
        at: happening.at,
        retention_days: 180,
        late_after_hours: 72,
    };
    item::build(event, arrival).unwrap()
}

impl Stage {
    async fn set() -> Self {
        let scene = Scene::set().await;
        let folder = TempDir::new().unwrap();
        let place = serde_json::to_string(&scene.place).unwrap();
        fs::write(folder.path().join(PLACE), place).unwrap();
        let aws = scene.place.aws(Patience::unhurried()).await;
        let stage = Self { scene, folder, aws };
        let words = ["simulate", "--messages", "90"];
        let play = Play::write(&Simulated::parse_from(words).options, 4, UNTIL).unwrap();
        for happening in &play.told {
            stage.put(built(happening)).await;
        }
        stage
    }

    async fn put(&self, item: Item) {
        let put = self.aws.dynamodb.put_item();
        let put = put.table_name(&self.scene.place.events_table);
        put.set_item(Some(item)).send().await.unwrap();
    }

    async fn items(&self) -> BTreeMap<Key, Item> {
        let items = self.scene.ledger.items().await;
        items.into_iter().map(|item| (key(&item), item)).collect()
    }

    async fn erase(&self, words: &[&str]) -> anyhow::Result<Report> {
        let words: Vec<&str> = ["erase"].iter().chain(words).copied().collect();
        erase::run(&Asked::parse_from(words).options, self.data()).await
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

    async fn put_dead(&self, body: &str) {
        let letter = Letter {
            reason: Reason::Unreadable,
            detail: "no status".into(),
            function: "event-webhook".into(),
            received_at: UNTIL,
            body: body.as_bytes().to_vec(),
        };
        for message in letter.write() {
            let send = self.aws.sqs.send_message();
            let send = send.queue_url(&self.scene.place.dead_letter_queue_url);
            send.message_body(message).send().await.unwrap();
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_person_disappears_in_both_directions_and_nobody_else() {
    let stage = Stage::set().await;
    let simulated = stage.items().await;
    let number = somebody(&simulated);
    let (id, _) = simulated
        .iter()
        .find(|(_, item)| text(item, item::RECIPIENT) == number)
        .map(|(key, _)| key.clone())
        .unwrap();
    // No recipient, but the number in its id; others that name the number and a message of the person.
    let mut unaddressed = other(
        &simulated,
        &number,
        &format!("api-337-{number}-0a1b-1795000000"),
        "remarks",
        "x",
    );
    unaddressed.remove(item::RECIPIENT);
    let named = other(
        &simulated,
        &number,
        "Mx-vcard",
        "content",
        &format!("[Mobile] {}", spelt(&number)),
    );
    let answers = other(&simulated, &number, "Mx-answer", "in_reply_to", &id);
    let like = other(
        &simulated,
        &number,
        "Mx-like-it",
        "content",
        &format!("{number}0"),
    );
    for item in [&unaddressed, &named, &answers, &like] {
        stage.put(item.clone()).await;
    }

    let before = stage.items().await;
    let dry = stage.erase(&["--recipient", &spelt(&number)]).await.unwrap();
    assert_eq!(stage.items().await, before, "a dry run changes nothing");
    assert_eq!(stage.record(), [Value::Null; 0]);
    let told = dry.to_string();
    assert!(
        told.contains("would be deleted") && told.contains("add --yes"),
        "{told}"
    );
    assert!(!told.contains(&number), "{told}");

    let done = stage
        .erase(&["--recipient", &spelt(&number), "--yes"])
        .await
        .unwrap();
    assert_eq!(done.traces, dry.traces);
    assert!(!done.to_string().contains(&number));
    let after = stage.items().await;
    let gone: BTreeSet<&Key> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    assert_eq!(gone, done.traces.keys().collect());
    for (key, item) in &after {
        assert_eq!(before.get(key), Some(item), "others stay as they are");
        let told = Value::Object(item::to_json(item)).to_string();
        assert!(
            !told.contains(&format!("{number}\"")) && !told.contains(&format!("-{number}-")),
            "{told}"
        );
        assert!(!told.contains(&id), "{told}");
    }
    for item in [&unaddressed, &named, &answers] {
        assert!(gone.contains(&key(item)), "{:?}", key(item));
    }
    assert!(after.contains_key(&key(&like)), "a longer number is another one");
    assert_eq!(done.traces[&key(&named)].why, Why::Mention);
    assert!(
        before.len() - after.len() < before.len() / 4,
        "most belong to others"
    );

    let again = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(again.traces.len(), 0);
    assert_eq!(stage.items().await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_proves_it_and_holds_no_number() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let report = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    stage
        .erase(&["--recipient", &spelt(&number), "--yes"])
        .await
        .unwrap();
    stage
        .erase(&["--recipient", "919999999990", "--yes"])
        .await
        .unwrap();
    let record = stage.record();
    assert_eq!(record.len(), 3);
    assert_eq!(record[0]["events"], report.traces.len());
    assert_eq!(record[0]["messages"], report.messages().len());
    assert_eq!(record[0]["complete"], true);
    assert_eq!(record[1]["events"], 0);
    assert_eq!(
        record[0]["recipients"], record[1]["recipients"],
        "the same person"
    );
    assert_ne!(record[0]["recipients"], record[2]["recipients"]);
    for name in [RECORD, KEY] {
        let file = stage.data().join(name);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(
            !fs::read_to_string(&file).unwrap().contains(&number[2..]),
            "{name}"
        );
    }
    let elsewhere = stage.data().join("kept/elsewhere.jsonl");
    let path = elsewhere.to_str().unwrap();
    stage
        .erase(&["--recipient", &number, "--yes", "--record", path])
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 1);
    assert_eq!(stage.record().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_is_blind_to_what_only_names_the_person() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let named = other(&items, &number, "Mx-named", "content", &number);
    stage.put(named.clone()).await;
    let quick = stage.erase(&["--recipient", &number, "--quick"]).await.unwrap();
    let thorough = stage.erase(&["--recipient", &number]).await.unwrap();
    assert!(!quick.traces.contains_key(&key(&named)));
    assert!(thorough.traces.contains_key(&key(&named)));
    assert_eq!(thorough.traces.len(), quick.traces.len() + 1);
    assert!(quick.to_string().contains("only recipient-index was searched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_name_the_person_are_told_and_go_when_asked() {
    let stage = Stage::set().await;
    let number = somebody(&stage.items().await);
    stage.put_dead(&format!("[{{\"mobile\":\"{number}\"}}]")).await;
    stage.put_dead("[{\"mobile\":\"919999999990\"}]").await;
    stage.scene.ledger.send("something on its way").await;
    fs::write(
        stage.data().join("discarded-1.jsonl"),
        format!("{{\"body\":\"{number}\"}}\n"),
    )
    .unwrap();

    let told = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let letters = told.letters.as_ref().unwrap();
    assert_eq!((letters.ids.len(), letters.deleted, letters.waiting), (1, 0, 1));
    let text = told.to_string();
    assert!(
        text.contains(&format!("dead-letters discard {}", letters.ids[0])),
        "{text}"
    );
    assert!(text.contains("discarded-1.jsonl names the person"), "{text}");
    assert!(text.contains("wait in the retry queue"), "{text}");

    let told = stage
        .erase(&["--recipient", &number, "--yes", "--queues"])
        .await
        .unwrap();
    assert_eq!(told.letters.unwrap().deleted, 1);
    assert_eq!(stage.record().last().unwrap()["letters"], 1);
    let left = stage.scene.ledger.take_dead().await;
    assert_eq!(left.len(), 1);
    assert!(left[0].body().unwrap().contains("919999999990"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_recorded_and_goes_on_when_run_again() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    // More than one batch of 25.
    for place in 0..80 {
        let mut item = other(&items, &number, &format!("many-{place}"), "remarks", "x");
        item.insert(item::RECIPIENT.into(), AttributeValue::S(number.clone()));
        stage.put(item).await;
    }
    let before = stage.items().await.len();
    stage.scene.table.decide(|call| {
        if call.operation == "BatchWriteItem" && call.number > 1 {
            Treatment::Throttle
        } else {
            Treatment::Pass
        }
    });
    let error = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let begun = stage.record().pop().unwrap();
    assert_eq!(begun["complete"], false);
    assert_eq!(begun["events"], before - stage.items().await.len());

    stage.scene.table.recover().await;
    stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert!(
        stage
            .items()
            .await
            .values()
            .all(|item| text(item, item::RECIPIENT) != number)
    );
    assert_eq!(stage.record().pop().unwrap()["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_what_is_no_number() {
    let stage = Stage::set().await;
    let number = somebody(&stage.items().await);
    let run = |words: &[&str]| {
        let mut command = Command::new(binary::command());
        command
            .env_clear()
            .args(["erase", "--data"])
            .arg(stage.data())
            .args(words);
        command.output().unwrap()
    };
    for bad in ["12345", "somebody", "+1 2 3"] {
        let refused = run(&["--recipient", bad, "--yes"]);
        assert_eq!(refused.status.code(), Some(1), "{bad}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("--recipient"),
            "{bad}"
        );
    }
    let dry = run(&["--recipient", &spelt(&number)]);
    let told = String::from_utf8(dry.stdout).unwrap();
    assert!(dry.status.success(), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert!(!told.contains(&number), "{told}");
}
