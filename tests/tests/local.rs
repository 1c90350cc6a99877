//! The embedded servers and their folder: access, contents of the files, and deletion.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::{TIMEOUT, Workdir},
    server::Server,
    storage::Storage,
};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use webhook_ingest::events_table::item::{self, Item};

const EVENTS: &str = "netcore-webhooks-events";
const NUMBER: &str = "919812345678";

/// An item with the attributes and about the size of a stored event.
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

/// The length of an item in the JSON of the API: `"name":{"S":"value"},`.
fn size(item: &[(&'static str, AttributeValue)]) -> usize {
    let of = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        _ => unreachable!(),
    };
    item.iter().map(|(name, value)| name.len() + of(value) + 12).sum()
}

/// Stores this many items. Returns the sum of their sizes.
async fn fill(storage: &Storage, events: usize) -> usize {
    let events: Vec<_> = (0..events).map(event).collect();
    let stored = events.iter().map(|event| size(event)).sum();
    let named = |event: Vec<(&str, AttributeValue)>| -> Item {
        let fields = event.into_iter();
        fields.map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let items = events.into_iter().map(named).collect();
    storage.put_all(items).await;
    stored
}

/// The number of records in the stream, and how many of them still contain an item.
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

/// Purges the folder when the whole stream is counted.
async fn purged(storage: &Storage) {
    let purge = async { while !storage.instance.purge().await.unwrap() {} };
    timeout(TIMEOUT, purge)
        .await
        .expect("the whole stream is counted");
}

/// Waits until the stream has this many records with an item, because the others are counted.
async fn until_kept(folder: &Path, records: i64) {
    let trimmed = async {
        while stream(folder).1 != records {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(TIMEOUT, trimmed)
        .await
        .expect("the stream is read and trimmed");
}

/// Starts the command on a folder and returns how many bytes it read until it was ready.
async fn read_at_start(folder: &Path) -> u64 {
    let data = ["--data", folder.to_str().unwrap()];
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&data, &[]).await;
    let counters = fs::read_to_string(format!("/proc/{}/io", serve.process())).unwrap();
    let read = counters
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "))
        .unwrap();
    serve.terminate().await;
    read.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_stores_each_item_once_and_is_not_read_at_startup() {
    let folder = TempDir::new().unwrap();
    let server = Server::in_folder(folder.path(), None).await;
    let stored = fill(server.storage(), 4000).await;
    purged(server.storage()).await;
    let (records, with_content) = stream(folder.path());
    assert!(records <= 1 && with_content == 0, "{records} records");

    // Each index returns its entries in order and page by page.
    let table = &server.storage().aws().dynamodb;
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
        assert_eq!(found[item::CHANNEL].as_s().unwrap(), "RCS");
        assert!(!found.contains_key("remarks"), "{found:?}");
        times.push(found[item::EVENT_TIME].as_n().unwrap().parse::<i64>().unwrap());
    }
    let expected: Vec<i64> = (100..4000_i64)
        .filter(|index| index % 16 == 3)
        .rev()
        .map(|index| 1_795_000_000_000 + index * 1000)
        .collect();
    assert_eq!(times, expected);
    // The counters and the lookups of the search are in the same file.
    let rollups = server.storage().rollup_items().await;
    let stored = stored + rollups.iter().map(item::size).sum::<usize>();
    // Free pages of the file do not count.
    server.storage().instance.purge().await.unwrap();
    server.stop().await;

    let file = fs::metadata(folder.path().join("tables.sqlite")).unwrap().len();
    let ratio = f64::from(u32::try_from(file).unwrap()) / f64::from(u32::try_from(stored).unwrap());
    assert!(ratio < 2.0, "the file is {ratio:.2} times as large as the items");

    let empty = TempDir::new().unwrap();
    Server::in_folder(empty.path(), None).await.stop().await;
    let (small, large) = (
        read_at_start(empty.path()).await,
        read_at_start(folder.path()).await,
    );
    assert!(
        large < small + file / 10,
        "{large} bytes were read of {file}, {small} without items"
    );
}

/// Sends a request unchanged and returns the complete response.
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
async fn tables_and_queues_require_the_key_and_reject_web_pages() {
    let folder = TempDir::new().unwrap();
    let server = Server::in_folder(folder.path(), None).await;
    let instance = &server.storage().instance;
    let key = format!(
        "authorization: AWS4-HMAC-SHA256 Credential={}/20261124/local/x/aws4_request, SignedHeaders=host, Signature=0\r\n",
        instance.access_key_id
    );
    for (url, target, kind) in [
        (
            &instance.dynamodb,
            "DynamoDB_20120810.ListTables",
            "application/x-amz-json-1.0",
        ),
        (
            &instance.sqs,
            "AmazonSQS.ListQueues",
            "application/x-amz-json-1.0",
        ),
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

        let wrong = key.replace(&instance.access_key_id, "local");
        let cross_origin = format!("{key}origin: https://shop.example\r\n");
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
            // A simple request of a web page, without a preflight.
            ask("POST", own, "text/plain", "origin: null\r\n"),
            ask(
                "GET",
                own,
                "text/plain",
                "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n",
            ),
            ask("OPTIONS", own, kind, preflight),
            // With the key, but from a web page.
            ask("POST", own, kind, &cross_origin),
            ask("POST", own, kind, &own_origin),
            // A host name of a web page that resolves to this machine.
            ask("POST", &format!("rebind.example:{port}"), kind, &key),
            ask("POST", &format!("127.0.0.1.example:{port}"), kind, &key),
            ask("POST", "", kind, &key),
        ] {
            let answer = raw(url, &refused).await.to_lowercase();
            assert!(answer.starts_with("http/1.1 403"), "{refused}\n{answer}");
            assert!(!answer.contains("access-control-"), "{answer}");
            assert!(!answer.contains("netcore-webhooks-"), "{answer}");
            assert!(
                !answer.contains(&instance.access_key_id.to_lowercase()),
                "{answer}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_access_the_folder_and_its_files() {
    let outside = TempDir::new().unwrap();
    let folder = outside.path().join("data");
    Server::in_folder(&folder, None).await.stop().await;
    // Permissions of an earlier version.
    for entry in fs::read_dir(&folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let server = Server::in_folder(&folder, None).await;
    fill(server.storage(), 25).await;
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
    server.stop().await;
}

/// Other readers than the counters, such as `listen`, can read the newest records; the file does not grow with the rest.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_keeps_the_newest_ten_thousand_records_until_a_stop() {
    let folder = TempDir::new().unwrap();
    let server = Server::in_folder(folder.path(), None).await;
    fill(server.storage(), 10_200).await;
    until_kept(folder.path(), 10_000).await;
    assert_eq!(
        stream(folder.path()).0,
        10_001,
        "the last removed record keeps its number"
    );
    server.stop().await;
    // Those that are not counted yet.
    assert!(stream(folder.path()).1 < 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_removes_deleted_data_from_the_folder() {
    let folder = TempDir::new().unwrap();
    let server = Server::in_folder(folder.path(), None).await;
    let storage = server.storage();
    fill(storage, 200).await;
    storage.send_dead(&json!({"body": NUMBER}).to_string()).await;

    storage.clear().await;
    assert_eq!(storage.take_dead_messages().await.len(), 1);

    purged(storage).await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes
            .windows(NUMBER.len())
            .filter(|bytes| *bytes == NUMBER.as_bytes())
            .count();
        assert_eq!(found, 0, "{}", path.display());
    }
    server.stop().await;
}
