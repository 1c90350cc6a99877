//! `erase` on a real table with simulated people: one of them disappears in both directions, the
//! others do not notice.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

#[path = "../../shared/src/phone/spelling.rs"]
mod spelling;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser as _;
use integration_tests::verified;
use integration_tests::{
    binary,
    ledger::{Key, key},
    proxy::Treatment,
    scene::Scene,
};
use netcore_webhooks::{
    erase::{self, KEY, RECORD, Report, Why},
    local::RunningInstance,
    serve::PLACE,
    simulate::{self, Happening, Play},
};
use proptest::{
    prelude::RngExt as _,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::{
    events_table::item::{self, Arrival, Item},
    operations::clients::{Aws, Timeouts},
    provider,
    queue::message::{QueueMessage, Reason},
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
    let formats = receivers::receiver(happening.function).unwrap().formats;
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
        let aws = scene.place.aws(Timeouts::unhurried()).await;
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
            body: verified(&body.as_bytes().to_vec()).into(),
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
        let put = self.aws.dynamodb.put_item();
        let put = put.table_name(&self.scene.place.rollups_table);
        put.set_item(Some(item)).send().await.unwrap();
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
    assert!(dry.done.is_none());
    let told = dry.to_string();
    assert!(told.contains("nothing was changed; add --yes"), "{told}");
    assert!(!told.contains(&number), "{told}");

    let done = stage
        .erase(&["--recipient", &spelt(&number), "--yes"])
        .await
        .unwrap();
    assert_eq!(done.traces, dry.traces);
    let told = format!("{done}{}", done.done.as_ref().unwrap());
    assert!(!told.contains(&number) && !told.contains("add --yes"), "{told}");
    assert_eq!(done.done.as_ref().unwrap().events, done.traces.len());
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
    assert_eq!(record.len(), 6, "two lines for each run");
    for lines in record.chunks(2) {
        assert_eq!(
            (&lines[0]["step"], &lines[1]["step"]),
            (&"begun".into(), &"ended".into())
        );
        assert_eq!(lines[0]["run"], lines[1]["run"]);
        assert_eq!(lines[0]["complete"], false);
    }
    assert_eq!(record[0]["events"], report.traces.len());
    assert_eq!(record[1]["events"], report.traces.len());
    assert_eq!(record[1]["messages"], report.messages().len());
    assert_eq!(record[1]["complete"], true, "{}", record[1]);
    assert_eq!(record[3]["events"], 0);
    assert_ne!(record[0]["run"], record[2]["run"]);
    assert_eq!(
        record[1]["recipients"], record[3]["recipients"],
        "the same person"
    );
    assert_ne!(record[0]["recipients"], record[4]["recipients"]);
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
    assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 2);
    assert_eq!(stage.record().len(), 6);
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

/// A record of a provider, with something in a field that nobody listed.
fn record(id: &str, note: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","status":"Delivered","channel":"RCS","event_time":1795000000,"note":"{note}"}}"#
    )
}

/// Text that does not compress, without digits.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        char::from(letters[(state >> 33) as usize % letters.len()])
    });
    letters.take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_looked_through_and_lose_the_person_s_records_alone() {
    let stage = Stage::set().await;
    let number = somebody(&stage.items().await);
    let dead = stage.scene.place.dead_letter_queue_url.clone();
    let retry = stage.scene.place.retry_queue_url.clone();
    let spelt = spelt(&number);
    // As it is, compressed, in parts, as no record at all, and as no letter.
    stage
        .put_dead(&format!(
            "[{},{}]",
            record("his-1", &spelt),
            record("other-1", "x")
        ))
        .await;
    let zeros = "0 ".repeat(60_000);
    let compressed = format!("[{},{}]", record("his-2", &spelt), record("other-2", &zeros));
    assert_eq!(stage.put_dead(&compressed).await, 1);
    let noise = noise(3_000_000);
    let in_parts = format!(
        "[{},{}]",
        record("his-3", &format!("{noise} {spelt}")),
        record("other-3", "y")
    );
    assert!(stage.put_dead(&in_parts).await > 1);
    stage.put_dead(&format!("no JSON, but {spelt}")).await;
    stage
        .put_dead(&format!("[{}]", record("other-4", "919999999990")))
        .await;
    let foreign = stage.aws.sqs.send_message().queue_url(&dead);
    foreign
        .message_body(format!("call {spelt}"))
        .send()
        .await
        .unwrap();
    let waiting = format!("[{},{}]", record("his-5", &spelt), record("other-5", "z"));
    stage.put_letter(&retry, &waiting).await;

    let (told, report) = stage.told(&["--recipient", &number, "--yes"]).await;
    assert_eq!(report.dead.as_ref().unwrap().ids.len(), 5, "{told}");
    assert!(told.contains("5 messages name the person"), "{told}");
    assert!(told.contains("messages stay; --queues removes"), "{told}");
    assert!(
        told.contains("about 1 messages wait in the retry queue"),
        "{told}"
    );
    assert!(
        !told.contains("discard"),
        "a copy in a file would be another trace: {told}"
    );
    let ended = stage.record().pop().unwrap();
    assert_eq!(
        (&ended["letters"], &ended["complete"]),
        (&0.into(), &false.into())
    );

    let words = ["--recipient", number.as_str(), "--yes", "--queues"];
    let (told, report) = stage.told(&words).await;
    assert!(told.contains("retry queue: 1 messages name the person"), "{told}");
    let done = report.done.unwrap();
    assert_eq!((done.dead.deleted, done.dead.kept), (5, 3));
    assert_eq!((done.retry.deleted, done.retry.kept), (1, 1));
    let ended = stage.record().pop().unwrap();
    assert_eq!((&ended["letters"], &ended["complete"]), (&6.into(), &true.into()));

    let mut left = stage.bodies(&dead).await;
    left.sort();
    let expected = [
        record("other-1", "x"),
        record("other-2", &zeros),
        record("other-3", "y"),
        record("other-4", "919999999990"),
    ];
    assert_eq!(left, expected.map(|record| format!("[{record}]")));
    assert_eq!(
        stage.bodies(&retry).await,
        [format!("[{}]", record("other-5", "z"))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_people_are_told_and_those_of_the_queues_never() {
    let stage = Stage::set().await;
    let number = somebody(&stage.items().await);
    for name in ["discarded-1.jsonl", "queues.jsonl", "queues.before.jsonl"] {
        let line = format!("{{\"body\":\"{}\"}}\n", spelt(&number));
        fs::write(stage.data().join(name), line).unwrap();
    }
    let (told, _) = stage.told(&["--recipient", &number]).await;
    assert!(told.contains("discarded-1.jsonl names the person"), "{told}");
    assert!(!told.contains("queues."), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_name_the_person_are_told_until_they_are_gone() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let (clean, _) = stage.told(&["--recipient", &number]).await;
    assert!(
        clean.contains("counters: none of 0 items names the person"),
        "{clean}"
    );
    // As an earlier version counted events with the number as a bot, a tag, a type, a status, a
    // channel and a reason.
    for series in [format!("0#bot={number}"), format!("0#tag=%2B{number}")] {
        stage.put_counters(&series, &["s|RCS|sent"]).await;
    }
    let spelt = spelt(&number);
    let names = [
        format!("t|RCS|{number}"),
        format!("s|RCS|{number}"),
        format!("s|{spelt}|sent"),
        format!("f|RCS|call {spelt}"),
        "s|RCS|sent".to_owned(),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.put_counters("0#all", &names).await;
    stage.put_counters("0#tag=spring", &["s|RCS|sent"]).await;
    // And in the list of a day's names.
    let page = [
        ("series", AttributeValue::S("0#names".into())),
        ("period", AttributeValue::S("day#2026-11-21#0".into())),
        ("tags", AttributeValue::Ss(vec!["spring".into(), spelt.clone()])),
    ];
    let put = stage
        .aws
        .dynamodb
        .put_item()
        .table_name(&stage.scene.place.rollups_table);
    let page = page.map(|(name, value)| (name.to_owned(), value));
    put.set_item(Some(page.into())).send().await.unwrap();

    let (told, report) = stage.told(&["--recipient", &number, "--yes", "--queues"]).await;
    let counters = report.counters.as_ref().unwrap();
    assert_eq!((counters.looked, counters.found), (5, 4), "{told}");
    assert!(told.contains("4 of 5 items name the person"), "{told}");
    assert!(told.contains("rollups rebuild"), "{told}");
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    assert!(!digits.contains(&number[2..]), "{told}");
    let ended = stage.record().pop().unwrap();
    assert_eq!(
        (&ended["counters"], &ended["complete"]),
        (&4.into(), &false.into()),
        "counters that name the person are left"
    );
}

/// Every way in which the number was left behind, once.
fn spellings(number: &str) -> Vec<String> {
    let (code, rest) = number.split_at(2);
    let (middle, end) = rest.split_at(5);
    let script = |zero: char| -> String {
        let digits = number
            .bytes()
            .map(|digit| u32::from(zero) + u32::from(digit - b'0'));
        digits.map(|c| char::from_u32(c).unwrap()).collect()
    };
    vec![
        format!("+{code} {middle} {end}"),
        format!("(+{code}) {middle}-{end}"),
        format!("00{code}{middle}{end}"),
        format!("00{code} {middle} {end}"),
        format!("+{code}.{middle}.{end}"),
        format!("+{code}/{middle}/{end}"),
        format!("+{code}_{middle}_{end}"),
        format!("+{code}\u{a0}{middle}\u{202f}{end}"),
        format!("+{code}\u{2013}{middle}\u{2011}{end}"),
        script('\u{966}'),
        script('\u{660}'),
        format!("\u{ff0b}{}", script('\u{ff10}')),
        format!("{code}\u{200d}{middle}\u{200b}{end}"),
        format!("%2B{code}%20{middle}%20{end}"),
        format!("{{\"to\":\"{{\\\"m\\\":\\\"+{code} {middle}\\\\u0020{end}\\\"}}\"}}"),
        format!("1234 +{code} {middle} {end} 99"),
        format!("&#43;{code}&nbsp;{middle}&#x20;{end}"),
        format!("+{code} (0) {middle} {end}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ordinary_spelling_is_found_wherever_it_stands() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    let spellings = spellings(&number);
    let mut put = Vec::new();
    for (i, spelling) in spellings.iter().enumerate() {
        let places: [(&str, AttributeValue); 5] = [
            ("remarks", AttributeValue::S(spelling.clone())),
            (
                "tags",
                AttributeValue::L(vec![AttributeValue::S(spelling.clone())]),
            ),
            ("verbatim", AttributeValue::S(record("m", spelling))),
            ("as_sent", AttributeValue::M(nested(spelling, 3))),
            (
                "envelope",
                AttributeValue::M(Item::from([(spelling.clone(), AttributeValue::Null(true))])),
            ),
        ];
        for (name, value) in places {
            let mut item = other(&items, &number, &format!("Mx-{i}-{name}"), "remarks", "x");
            item.insert(name.to_owned(), value);
            stage.put(item.clone()).await;
            put.push(key(&item));
        }
    }
    let kept = other(&items, &number, "Mx-kept", "remarks", &format!("{number}5"));
    stage.put(kept.clone()).await;
    stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let after = stage.items().await;
    let left: Vec<&Key> = put.iter().filter(|key| after.contains_key(*key)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(after.contains_key(&key(&kept)));
}

/// A text at the bottom of lists and maps.
fn nested(text: &str, depth: usize) -> Item {
    let value = match depth {
        0 => AttributeValue::S(text.to_owned()),
        _ if depth.is_multiple_of(2) => AttributeValue::L(vec![
            AttributeValue::Bool(true),
            AttributeValue::M(nested(text, depth - 1)),
        ]),
        _ => AttributeValue::M(nested(text, depth - 1)),
    };
    Item::from([("x".to_owned(), value)])
}

/// Any number in any spelling at any depth of any attribute: no trace of it is left, and nothing
/// else is deleted. All cases are in one table, because an erasure reads it all.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_in_any_spelling_at_any_depth_leaves_no_trace() {
    const NUMBERS: usize = 4;
    const SPELLINGS: usize = 25;
    let stage = Stage::set().await;
    let items = stage.items().await;
    let mut chance = TestRunner::deterministic();
    let mut draw = || chance.rng().random_range(0..1_000_usize);
    let numbers: Vec<String> = (0..NUMBERS)
        .map(|i| format!("{}{:03}{:03}{:03}", 31 + i, draw(), draw(), draw()))
        .collect();
    let mut whose: BTreeMap<Key, usize> = BTreeMap::new();
    for (i, number) in numbers.iter().enumerate() {
        let spelling = spelling::spelling_of(number);
        for n in 0..SPELLINGS {
            let text = spelling.new_tree(&mut chance).unwrap().current();
            let text = if n % 3 == 0 {
                format!("id-7-{text}-1795000000")
            } else {
                text
            };
            let id = format!("Mx-{}-{}", ["a", "b", "c", "d"][i], noise(6 + n));
            let mut item = other(&items, "", &id, "remarks", "x");
            match n % 5 {
                0 => item.insert("extra".into(), AttributeValue::M(nested(&text, n))),
                1 => item.insert("callback_data".into(), AttributeValue::S(text)),
                2 => item.insert(text.clone(), AttributeValue::Bool(true)),
                3 => item.insert(item::MESSAGE_ID.into(), AttributeValue::S(format!("{id}-{text}"))),
                _ => item.insert("tags".into(), AttributeValue::Ss(vec![text, "spring".into()])),
            };
            stage.put(item.clone()).await;
            whose.insert(key(&item), i);
        }
    }
    for (i, number) in numbers.iter().enumerate() {
        let before = stage.items().await;
        let report = stage.erase(&["--recipient", number, "--yes"]).await.unwrap();
        let after = stage.items().await;
        let gone: BTreeSet<&Key> = before.keys().filter(|key| !after.contains_key(*key)).collect();
        let theirs: BTreeSet<&Key> = whose
            .iter()
            .filter(|(_, whose)| **whose == i)
            .map(|(key, _)| key)
            .collect();
        assert_eq!(gone, theirs, "{number}");
        assert_eq!(report.traces.len(), SPELLINGS);
    }
}

/// A running `serve` with a data folder. Killed when it is dropped.
struct Serving(Child);

impl Serving {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(binary::command())
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files of a folder that hold one of these texts anywhere.
fn files_with(folder: &Path, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for text in texts {
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(format!("{}: {text}", path.display()));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_the_person_is_left_in_the_files_of_a_running_instance() {
    let folder = TempDir::new().unwrap();
    let serving = Serving::start(folder.path());
    let place: RunningInstance =
        serde_json::from_str(&fs::read_to_string(folder.path().join(PLACE)).unwrap()).unwrap();
    let aws = place.aws(Timeouts::unhurried()).await;
    let number = "919812345678";
    let texts = [
        number.to_owned(),
        "98123 45678".to_owned(),
        "98123-45678".to_owned(),
    ];
    // Enough of others' events that the file has more than a few pages.
    for i in 0..300 {
        let theirs = i % 3 == 0;
        let recipient = if theirs {
            number.to_owned()
        } else {
            format!("9100000{i:05}")
        };
        let body = format!(
            r#"{{"message_id":"api-337-{recipient}-{i}","status":"Delivered","channel":"RCS","event_time":1795000000,"mobile":"{recipient}","remarks":"{}","padding":"{}"}}"#,
            if theirs { "to +91 98123 45678" } else { "x" },
            "y".repeat(900),
        );
        let event = provider::read(receivers::receiver("event-webhook").unwrap().formats, &body).unwrap();
        let arrival = Arrival {
            at: UNTIL,
            retention_days: 180,
            late_after_hours: 72,
        };
        let put = aws.dynamodb.put_item().table_name(&place.events_table);
        put.set_item(Some(item::build(event, arrival).unwrap()))
            .send()
            .await
            .unwrap();
    }
    for (i, body) in [
        r#"[{"mobile":"+91 98123-45678"}]"#,
        "[{\"mobile\":\"910000000001\"}]",
    ]
    .iter()
    .enumerate()
    {
        let letter = QueueMessage {
            reason: Reason::Unreadable,
            detail: "no status".into(),
            function: "event-webhook".into(),
            received_at: UNTIL + i64::try_from(i).unwrap(),
            body: verified(&body.as_bytes().to_vec()).into(),
        };
        let send = aws.sqs.send_message().queue_url(&place.dead_letter_queue_url);
        send.message_body(&letter.write()[0]).send().await.unwrap();
    }
    let before = files_with(folder.path(), &texts);
    assert!(
        before.iter().any(|found| found.contains("tables.sqlite")),
        "{before:?}"
    );
    assert!(
        before.iter().any(|found| found.contains("queues.jsonl")),
        "{before:?}"
    );

    let words = ["erase", "--recipient", "+91 98123 45678", "--yes", "--queues"];
    let options = Asked::parse_from(words).options;
    let report = erase::run(&options, folder.path(), |_| Ok(())).await.unwrap();
    let done = report.done.unwrap();
    assert_eq!(
        (done.events, done.dead.deleted, done.purged),
        (100, 1, Some(true))
    );
    assert_eq!(files_with(folder.path(), &texts), [""; 0]);
    assert!(!files_with(folder.path(), &["910000000001".to_owned()]).is_empty());
    drop(serving);
    let serving = Serving::start(folder.path());
    assert_eq!(
        files_with(folder.path(), &texts),
        [""; 0],
        "nor after a crash and a restart"
    );
    drop(serving);
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
    let record = stage.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["step"], &record[1]["step"]),
        (&"begun".into(), &"ended".into())
    );
    assert_eq!(record[1]["complete"], false);
    assert_eq!(record[1]["failed"], "the events");
    assert_eq!(record[1]["events"], before - stage.items().await.len());

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
async fn the_record_says_what_was_done_when_a_queue_fails() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    stage.put_dead(&format!("[{}]", record("his", &number))).await;
    let words = ["--recipient", number.as_str(), "--yes", "--queues"];

    // What is to be cleaned cannot be seen: nothing is deleted.
    stage.scene.queues.decide(|call| match call.operation {
        "ReceiveMessage" => Treatment::ServerError,
        _ => Treatment::Pass,
    });
    let error = stage.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("the dead-letter queue"),
        "{error:#}"
    );
    assert_eq!(stage.items().await, items);
    assert_eq!(stage.record(), [Value::Null; 0]);

    // The record is on disk before the first deletion.
    let file = stage.data().join(RECORD);
    stage.scene.queues.decide(move |call| match call.operation {
        "DeleteMessage" => {
            let begun = fs::read_to_string(&file).unwrap();
            assert!(begun.contains("\"begun\"") && begun.ends_with('\n'), "{begun}");
            Treatment::ServerError
        }
        _ => Treatment::Pass,
    });
    let error = stage.erase(&words).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("run the same command again"),
        "{error:#}"
    );
    let record = stage.record();
    assert_eq!(record.len(), 2);
    assert_eq!(
        (&record[0]["letters"], &record[1]["letters"]),
        (&1.into(), &0.into())
    );
    assert_eq!(record[1]["failed"], "the dead-letter queue");
    assert_eq!(record[1]["complete"], false);

    // Without --queues a queue that fails stops nothing, and the report says so.
    stage.scene.queues.always(Treatment::ServerError);
    let (told, report) = stage.told(&["--recipient", &number, "--yes"]).await;
    assert!(told.contains("the queues were not looked at"), "{told}");
    assert!(report.done.unwrap().events > 0);

    stage.scene.queues.recover().await;
    // A letter that somebody else holds cannot be looked at.
    let dead = &stage.scene.place.dead_letter_queue_url;
    let held = stage
        .aws
        .sqs
        .receive_message()
        .queue_url(dead)
        .send()
        .await
        .unwrap();
    let (told, report) = stage.told(&["--recipient", &number, "--yes"]).await;
    assert!(!report.dead.unwrap().all);
    assert!(told.contains("not every message could be looked at"), "{told}");
    assert_eq!(stage.record().pop().unwrap()["complete"], false);
    let handle = held.messages()[0].receipt_handle().unwrap();
    let release = stage.aws.sqs.change_message_visibility().queue_url(dead);
    release
        .receipt_handle(handle)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();

    stage.erase(&words).await.unwrap();
    let ended = stage.record().pop().unwrap();
    assert_eq!((&ended["letters"], &ended["complete"]), (&1.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_comes_again_is_stored_and_erased_again() {
    let stage = Stage::set().await;
    let items = stage.items().await;
    let number = somebody(&items);
    stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    let old = items
        .values()
        .find(|item| text(item, item::RECIPIENT) == number)
        .unwrap();
    stage.put(old.clone()).await;
    let report = stage.erase(&["--recipient", &number, "--yes"]).await.unwrap();
    assert_eq!(report.done.unwrap().events, 1);
    assert!(!stage.items().await.contains_key(&key(old)));
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
