//! Traces of a person outside the events table: in queues, files and counters, and in the bytes of a data
//! folder.

use std::{fs, path::Path};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    command::{Workdir, options},
    fixtures::{noise_text, queue_message},
    simulated::UNTIL,
};
use netcore_webhooks::erase;
use webhook_ingest::{
    events_table::{
        EventsTable,
        item::{self, Arrival},
        rejected::{Known, RejectedBody},
    },
    provider,
    queue::message::Reason,
};

use super::{Setup, a_person, bodies, formatted, record};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_persons_records_are_removed_from_the_queues() {
    let setup = Setup::start().await;
    let number = a_person(&setup.items().await);
    let formatted = formatted(&number);
    // Plain, compressed, in parts, without a record, and not a message of ours.
    setup
        .put_dead(&format!(
            "[{},{}]",
            record("his-1", &formatted),
            record("other-1", "x")
        ))
        .await;
    let zeros = "0 ".repeat(60_000);
    let compressed = format!("[{},{}]", record("his-2", &formatted), record("other-2", &zeros));
    assert_eq!(setup.put_dead(&compressed).await, 1);
    let noise = noise_text(3_000_000);
    let in_parts = format!(
        "[{},{}]",
        record("his-3", &format!("{noise} {formatted}")),
        record("other-3", "y")
    );
    assert!(setup.put_dead(&in_parts).await > 1);
    let rejected = [
        format!("no JSON, but {formatted}"),
        format!("[{}]", record("other-4", "919999999990")),
    ];
    let aws = setup.stack.storage.aws();
    let table = EventsTable::new(aws.dynamodb.clone(), setup.stack.instance.events_table.clone());
    for body in &rejected {
        setup.put_dead(body).await;
        let marker = RejectedBody::new("event-webhook", body.as_bytes());
        table.mark_rejected(&marker, UNTIL).await;
    }
    setup.stack.storage.send_dead(&format!("call {formatted}")).await;
    let waiting = format!("[{},{}]", record("his-5", &formatted), record("other-5", "z"));
    let waiting = queue_message(Reason::Unreadable, "event-webhook", UNTIL, waiting.as_bytes());
    setup.stack.storage.send(&waiting.write()[0]).await;

    let (preview, report) = setup.erase_with_preview(&["--recipient", &number, "--yes"]).await;
    assert_eq!(report.dead.as_ref().unwrap().ids.len(), 5, "{preview}");
    assert!(preview.contains("5 messages name the person"), "{preview}");
    assert!(preview.contains("messages stay; --queues removes"), "{preview}");
    assert!(
        preview.contains("about 1 messages wait in the retry queue"),
        "{preview}"
    );
    assert!(
        !preview.contains("discard"),
        "a copy in a file would be a new trace: {preview}"
    );
    let ended = setup.record().pop().unwrap();
    assert_eq!(
        (&ended["letters"], &ended["complete"]),
        (&0.into(), &false.into())
    );

    let words = ["--recipient", number.as_str(), "--yes", "--queues"];
    let (preview, report) = setup.erase_with_preview(&words).await;
    assert!(
        preview.contains("retry queue: 1 messages name the person"),
        "{preview}"
    );
    let done = report.done.unwrap();
    assert_eq!((done.dead.deleted, done.dead.kept), (5, 3));
    assert_eq!((done.retry.deleted, done.retry.kept), (1, 1));
    let ended = setup.record().pop().unwrap();
    assert_eq!((&ended["letters"], &ended["complete"]), (&6.into(), &true.into()));

    let storage = &setup.stack.storage;
    // The marker of a body contains a digest of it.
    let forgotten = RejectedBody::new("event-webhook", rejected[0].as_bytes());
    assert_eq!(table.count_rejected(&forgotten, UNTIL).await, Known::New);
    let kept = RejectedBody::new("event-webhook", rejected[1].as_bytes());
    assert_eq!(table.count_rejected(&kept, UNTIL).await, Known::Kept(2));
    let mut left = bodies(&storage.take_dead_messages().await);
    left.sort();
    let expected = [
        record("other-1", "x"),
        record("other-2", &zeros),
        record("other-3", "y"),
        record("other-4", "919999999990"),
    ];
    assert_eq!(left, expected.map(|record| format!("[{record}]")));
    assert_eq!(
        bodies(&storage.take_retry_messages().await),
        [format!("[{}]", record("other-5", "z"))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pubsub_push_in_a_queue_is_decoded_before_it_is_searched() {
    let setup = Setup::start().await;
    let number = a_person(&setup.items().await);
    let push = |record: String| {
        let body = format!(r#"{{"message":{{"data":"{}"}}}}"#, STANDARD.encode(record));
        queue_message(Reason::Unreadable, "rbm-event", UNTIL, body.as_bytes())
    };
    let his = push(format!(
        r#"{{"senderPhoneNumber":"+{number}","eventType":"READ"}}"#
    ));
    let other = push(r#"{"senderPhoneNumber":"+919999999990","eventType":"READ"}"#.to_owned());
    for message in [&his, &other] {
        setup.stack.storage.send_dead(&message.write()[0]).await;
    }
    let words = ["--recipient", number.as_str(), "--yes", "--queues"];
    let (_, report) = setup.erase_with_preview(&words).await;
    assert_eq!(report.done.unwrap().dead.deleted, 1);
    let left = setup.stack.storage.take_dead_messages().await;
    let expected = [String::from_utf8(other.body.bytes().to_vec()).unwrap()];
    assert_eq!(bodies(&left), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_the_number_are_reported_except_queue_files() {
    let setup = Setup::start().await;
    let number = a_person(&setup.items().await);
    for name in ["discarded-1.jsonl", "queues.jsonl", "queues.before.jsonl"] {
        let line = format!("{{\"body\":\"{}\"}}\n", formatted(&number));
        fs::write(setup.data().join(name), line).unwrap();
    }
    let (preview, _) = setup.erase_with_preview(&["--recipient", &number]).await;
    assert!(
        preview.contains("discarded-1.jsonl names the person"),
        "{preview}"
    );
    assert!(!preview.contains("queues."), "{preview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_with_the_number_are_reported_until_a_rebuild() {
    let setup = Setup::start().await;
    let items = setup.items().await;
    let number = a_person(&items);
    let (clean, _) = setup.erase_with_preview(&["--recipient", &number]).await;
    assert!(
        clean.contains("counters: none of 0 items names the person"),
        "{clean}"
    );
    // Counters of an earlier version with the number as a bot, a tag, a type, a status, a channel and a
    // reason.
    for series in [format!("0#bot={number}"), format!("0#tag=%2B{number}")] {
        setup.put_counters(&series, &["s|RCS|sent"]).await;
    }
    let formatted = formatted(&number);
    let names = [
        format!("t|RCS|{number}"),
        format!("s|RCS|{number}"),
        format!("s|{formatted}|sent"),
        format!("f|RCS|call {formatted}"),
        "s|RCS|sent".to_owned(),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    setup.put_counters("0#all", &names).await;
    setup.put_counters("0#tag=spring", &["s|RCS|sent"]).await;
    // And in the list of a day's names.
    let page = [
        ("series", AttributeValue::S("0#names".into())),
        ("period", AttributeValue::S("day#2026-11-21#0".into())),
        (
            "tags",
            AttributeValue::Ss(vec!["spring".into(), formatted.clone()]),
        ),
    ];
    let page = page.map(|(name, value)| (name.to_owned(), value));
    setup.stack.storage.put_rollup(page.into()).await;

    let (preview, report) = setup
        .erase_with_preview(&["--recipient", &number, "--yes", "--queues"])
        .await;
    let counters = report.counters.as_ref().unwrap();
    assert_eq!((counters.read, counters.found), (5, 4), "{preview}");
    assert!(preview.contains("4 of 5 items name the person"), "{preview}");
    assert!(preview.contains("rollups rebuild"), "{preview}");
    let digits: String = preview.chars().filter(char::is_ascii_digit).collect();
    assert!(!digits.contains(&number[2..]), "{preview}");
    let ended = setup.record().pop().unwrap();
    assert_eq!(
        (&ended["counters"], &ended["complete"]),
        (&4.into(), &false.into()),
        "counters that name the person are left"
    );
}

/// The files of a folder that contain one of these texts.
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
async fn erased_data_is_removed_from_the_files_of_a_running_instance() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let folder = workdir.path().join(".local");
    let storage = workdir.storage().await;
    let number = "919812345678";
    let texts = [
        number.to_owned(),
        "98123 45678".to_owned(),
        "98123-45678".to_owned(),
    ];
    // With these events, the file has more than a few pages.
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
            stored_at: None,
            at: UNTIL,
            retention_days: 180,
            late_after_hours: 72,
        };
        storage.put(item::build(event, arrival).unwrap().into()).await;
    }
    for (i, body) in [
        r#"[{"mobile":"+91 98123-45678"}]"#,
        "[{\"mobile\":\"910000000001\"}]",
    ]
    .iter()
    .enumerate()
    {
        let received_at = UNTIL + i64::try_from(i).unwrap();
        let dead_letter = queue_message(Reason::Unreadable, "event-webhook", received_at, body.as_bytes());
        storage.send_dead_letter(&dead_letter).await;
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

    let options = options(&["--recipient", "+91 98123 45678", "--yes", "--queues"]);
    let report = erase::run(&options, &folder, |_| Ok(())).await.unwrap();
    let done = report.done.unwrap();
    assert_eq!(
        (done.events, done.dead.deleted, done.purged),
        (100, 1, Some(true))
    );
    assert_eq!(files_with(&folder, &texts), [""; 0]);
    assert!(!files_with(&folder, &["910000000001".to_owned()]).is_empty());
    serve.kill().await;
    let serve = workdir.serve().await;
    assert_eq!(
        files_with(&folder, &texts),
        [""; 0],
        "after a crash and a restart"
    );
    serve.terminate().await;
}

/// The bucket of `Analytics` keeps copies until an operator replaces them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_names_the_bucket_of_analytics() {
    let setup = Setup::start().await;
    let workdir = Workdir::new();
    let environment = setup.stack.instance.environment();
    let mut environment: Vec<(&str, &str)> = environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let arguments = ["erase", "--recipient", "919000000000", "--quick"];
    let without = workdir.run_with(&arguments, &environment).await.ok();
    assert!(!without.contains("s3://"), "{without}");
    environment.push(("ANALYTICS_BUCKET", "stack-analyticsbucket-1"));
    let with = workdir.run_with(&arguments, &environment).await.ok();
    assert!(
        with.contains("s3://stack-analyticsbucket-1/events/ keeps copies"),
        "{with}"
    );
}
