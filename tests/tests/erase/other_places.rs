//! Traces of a person outside the events table: in the queues, in files, in the counters, and in the bytes
//! of a data folder.

use std::{fs, path::Path};

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser as _;
use integration_tests::verified;
use integration_tests::{command::Desk, fixtures::noise_text, simulated::UNTIL};
use netcore_webhooks::erase;
use webhook_ingest::{
    events_table::item::{self, Arrival},
    provider,
    queue::message::{QueueMessage, Reason},
};

use crate::{Asked, Stage, record, somebody, spelt};

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
    let noise = noise_text(3_000_000);
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
    let page = page.map(|(name, value)| (name.to_owned(), value));
    stage.scene.ledger.put_rollup(page.into()).await;

    let (told, report) = stage.told(&["--recipient", &number, "--yes", "--queues"]).await;
    let counters = report.counters.as_ref().unwrap();
    assert_eq!((counters.read, counters.found), (5, 4), "{told}");
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
    let desk = Desk::new();
    let serving = desk.serve().await;
    let folder = desk.path().join(".local");
    let ledger = desk.ledger().await;
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
        ledger.put(item::build(event, arrival).unwrap()).await;
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
            body: verified(body.as_bytes()).into(),
        };
        ledger.send_dead(&letter.write()[0]).await;
    }
    let before = files_with(&folder, &texts);
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
    let report = erase::run(&options, &folder, |_| Ok(())).await.unwrap();
    let done = report.done.unwrap();
    assert_eq!(
        (done.events, done.dead.deleted, done.purged),
        (100, 1, Some(true))
    );
    assert_eq!(files_with(&folder, &texts), [""; 0]);
    assert!(!files_with(&folder, &["910000000001".to_owned()]).is_empty());
    serving.kill().await;
    let serving = desk.serve().await;
    assert_eq!(
        files_with(&folder, &texts),
        [""; 0],
        "nor after a crash and a restart"
    );
    serving.terminate().await;
}
