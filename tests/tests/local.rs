//! The embedded servers and their folder: who is let in, what the files hold, and for how long.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::{Desk, TIMEOUT},
    instance::Instance,
    ledger::Ledger,
};
use netcore_webhooks::local::RunningInstance;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use webhook_ingest::{
    events_table::item::{self, Item},
    operations::clients::Timeouts,
};

const EVENTS: &str = "netcore-webhooks-events";
const NUMBER: &str = "919812345678";

/// An item of the shape and about the size that the receivers store.
fn event(index: usize) -> Vec<(&'static str, AttributeValue)> {
    let (text, number) = (AttributeValue::S, |n: usize| AttributeValue::N(n.to_string()));
    let time = 1_795_000_000_000 + index * 1000;
    vec![
        (
            item::MESSAGE_ID,
            text(format!("api-337-{NUMBER}-4f3406fc8aede5feef78-{index:010}")),
        ),
        (item::STATUS_KEY, text("RCS#delivered".to_owned())),
        (item::RECIPIENT, text(format!("9198{index:08}"))),
        (item::DAY_SHARD, text(format!("2026-11-18#{:02}", index % 16))),
        (item::EVENT_TIME, number(time)),
        ("received_at", number(time)),
        ("channel", text("RCS".to_owned())),
        ("status", text("delivered".to_owned())),
        ("expires_at", number(1_895_000_000)),
        ("remarks", text("The handset confirmed the delivery. ".repeat(11))),
    ]
}

/// The length of an item as the JSON of the API: `"name":{"S":"value"},`.
fn size(item: &[(&'static str, AttributeValue)]) -> usize {
    let of = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        _ => unreachable!(),
    };
    item.iter().map(|(name, value)| name.len() + of(value) + 12).sum()
}

/// Stores this many items. Returns the sum of their sizes.
async fn fill(place: &RunningInstance, events: usize) -> usize {
    let events: Vec<_> = (0..events).map(event).collect();
    let stored = events.iter().map(|event| size(event)).sum();
    let named = |event: Vec<(&str, AttributeValue)>| -> Item {
        let fields = event.into_iter();
        fields.map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let items = events.into_iter().map(named).collect();
    Ledger::open(place).await.put_all(items).await;
    stored
}

/// Records of the stream, and how many of them still hold an item.
fn stream(folder: &Path) -> (i64, i64) {
    Connection::open(folder.join("tables.sqlite"))
        .unwrap()
        .query_row(
            "SELECT COUNT(*), COUNT(new_image) FROM _stream_records",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
}

async fn until_read(folder: &Path) {
    let read = async {
        while stream(folder).1 > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(TIMEOUT, read)
        .await
        .expect("the stream is read to its end");
}

/// Starts the command on a folder and returns how many bytes it had read when it was ready.
async fn read_at_start(folder: &Path) -> u64 {
    let data = ["--data", folder.to_str().unwrap()];
    let desk = Desk::new();
    let serving = desk.serve_with(&data, &[]).await;
    let counters = fs::read_to_string(format!("/proc/{}/io", serving.process())).unwrap();
    let read = counters
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "))
        .unwrap();
    serving.terminate().await;
    read.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_holds_each_item_once_keeps_no_record_that_was_read_and_starts_without_reading_it() {
    let folder = TempDir::new().unwrap();
    let instance = Instance::in_folder(folder.path()).await;
    let stored = fill(&instance.server.local.instance, 4000).await;
    until_read(folder.path()).await;
    let (records, with_content) = stream(folder.path());
    assert!(records <= 1 && with_content == 0, "{records} records");

    // Each index still gives whole items, in order, a page at a time.
    let table = instance
        .server
        .local
        .instance
        .aws(Timeouts::unhurried())
        .await
        .dynamodb;
    let mut times = Vec::new();
    let mut pages = table
        .query()
        .table_name(EVENTS)
        .index_name("day-index")
        .key_condition_expression("day_shard = :day AND event_time >= :from")
        .expression_attribute_values(":day", AttributeValue::S("2026-11-18#03".into()))
        .expression_attribute_values(":from", AttributeValue::N("1795000100000".into()))
        .scan_index_forward(false)
        .limit(40)
        .into_paginator()
        .items()
        .send();
    while let Some(found) = pages.next().await {
        let found = found.unwrap();
        assert!(found["remarks"].as_s().unwrap().starts_with("The handset"));
        times.push(found[item::EVENT_TIME].as_n().unwrap().parse::<i64>().unwrap());
    }
    let expected: Vec<i64> = (100..4000_i64)
        .filter(|index| index % 16 == 3)
        .rev()
        .map(|index| 1_795_000_000_000 + index * 1000)
        .collect();
    assert_eq!(times, expected);
    // Pages that are free just now do not count.
    instance.server.local.instance.purge().await.unwrap();
    instance.stop().await;

    let file = fs::metadata(folder.path().join("tables.sqlite")).unwrap().len();
    let ratio = f64::from(u32::try_from(file).unwrap()) / f64::from(u32::try_from(stored).unwrap());
    assert!(ratio < 2.0, "the file is {ratio:.2} times as large as the items");

    let empty = TempDir::new().unwrap();
    Instance::in_folder(empty.path()).await.stop().await;
    let (small, large) = (
        read_at_start(empty.path()).await,
        read_at_start(folder.path()).await,
    );
    assert!(
        large < small + file / 10,
        "{large} bytes were read of {file}, {small} without items"
    );
}

/// Sends a request as it stands and returns the whole answer.
async fn raw(url: &str, request: &str) -> String {
    let mut peer = TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(TIMEOUT, peer.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_caller_with_the_key_reaches_the_tables_and_queues_and_no_web_page_does() {
    let folder = TempDir::new().unwrap();
    let instance = Instance::in_folder(folder.path()).await;
    let place = instance.server.local.instance.clone();
    let key = format!(
        "authorization: AWS4-HMAC-SHA256 Credential={}/20261124/local/x/aws4_request, SignedHeaders=host, Signature=0\r\n",
        place.access_key_id
    );
    for (url, target, kind) in [
        (
            &place.dynamodb,
            "DynamoDB_20120810.ListTables",
            "application/x-amz-json-1.0",
        ),
        (&place.sqs, "AmazonSQS.ListQueues", "application/x-amz-json-1.0"),
    ] {
        let own = url.strip_prefix("http://").unwrap();
        let port = own.rsplit(':').next().unwrap();
        let ask = |method: &str, host: &str, kind: &str, more: &str| {
            format!(
                "{method} / HTTP/1.1\r\nhost: {host}\r\nx-amz-target: {target}\r\nx-amz-date: 20261124T000000Z\r\n\
                 content-type: {kind}\r\n{more}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
            )
        };
        let named = raw(url, &ask("POST", own, kind, &key)).await;
        assert!(named.starts_with("HTTP/1.1 200"), "{named}");
        let named = raw(url, &ask("POST", &format!("localhost:{port}"), kind, &key)).await;
        assert!(named.starts_with("HTTP/1.1 200"), "{named}");

        let wrong = key.replace(&place.access_key_id, "local");
        let foreign = format!("{key}origin: https://shop.example\r\n");
        let own_origin = format!("{key}origin: http://{own}\r\n");
        let preflight = "origin: https://shop.example\r\naccess-control-request-method: POST\r\n\
                         access-control-request-headers: authorization,x-amz-target\r\n";
        for refused in [
            ask("POST", own, kind, ""),
            ask("POST", own, kind, &wrong),
            ask(
                "POST",
                own,
                kind,
                "authorization: AWS4-HMAC-SHA256 Credential=\r\n",
            ),
            // A simple request of a page, which needs no preflight.
            ask("POST", own, "text/plain", "origin: null\r\n"),
            ask(
                "GET",
                own,
                "text/plain",
                "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n",
            ),
            ask("OPTIONS", own, kind, preflight),
            // Even with the key.
            ask("POST", own, kind, &foreign),
            ask("POST", own, kind, &own_origin),
            // A name of a page that points at this machine.
            ask("POST", &format!("rebind.example:{port}"), kind, &key),
            ask("POST", &format!("127.0.0.1.example:{port}"), kind, &key),
            ask("POST", "", kind, &key),
        ] {
            let answer = raw(url, &refused).await.to_lowercase();
            assert!(answer.starts_with("http/1.1 403"), "{refused}\n{answer}");
            assert!(!answer.contains("access-control-"), "{answer}");
            assert!(!answer.contains("netcore-webhooks-"), "{answer}");
            assert!(!answer.contains(&place.access_key_id.to_lowercase()), "{answer}");
        }
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_and_its_files_are_the_owners_alone() {
    let outside = TempDir::new().unwrap();
    let folder = outside.path().join("data");
    Instance::in_folder(&folder).await.stop().await;
    // As an earlier version left it.
    for entry in fs::read_dir(&folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let instance = Instance::in_folder(&folder).await;
    fill(&instance.server.local.instance, 25).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(mode(&entry.path()), 0o600, "{}", names.last().unwrap());
    }
    for expected in [
        "running.json",
        "tables.sqlite",
        "tables.sqlite-wal",
        "tables.sqlite-shm",
        "queues.jsonl",
    ] {
        assert!(names.iter().any(|name| name == expected), "{names:?}");
    }
    assert_eq!(mode(&folder), 0o700);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_purge_nothing_of_what_was_deleted_is_in_the_folder() {
    let folder = TempDir::new().unwrap();
    let instance = Instance::in_folder(folder.path()).await;
    let place = &instance.server.local.instance;
    let aws = place.aws(Timeouts::unhurried()).await;
    fill(place, 200).await;
    let sent = aws.sqs.send_message().queue_url(&place.dead_letter_queue_url);
    sent.message_body(json!({"body": NUMBER}).to_string())
        .send()
        .await
        .unwrap();
    until_read(folder.path()).await;

    for index in 0..200 {
        let keys = event(index).into_iter().take(2);
        keys.fold(
            aws.dynamodb.delete_item().table_name(EVENTS),
            |delete, (name, value)| delete.key(name, value),
        )
        .send()
        .await
        .unwrap();
    }
    let received = aws.sqs.receive_message().queue_url(&place.dead_letter_queue_url);
    let received = received.send().await.unwrap();
    let handle = received.messages()[0].receipt_handle().unwrap();
    let deleted = aws.sqs.delete_message().queue_url(&place.dead_letter_queue_url);
    deleted.receipt_handle(handle).send().await.unwrap();

    assert!(place.purge().await.unwrap(), "the stream was read to its end");
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes
            .windows(NUMBER.len())
            .filter(|bytes| *bytes == NUMBER.as_bytes())
            .count();
        assert_eq!(found, 0, "{}", path.display());
    }
    instance.stop().await;
}
