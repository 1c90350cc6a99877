//! The dashboard and the commands on tables with lean indexes, with the whole indexes of an earlier version, and
//! without indexes.

use std::{collections::BTreeSet, fs};

use http::Method;
use integration_tests::{
    answer::Answer,
    command::options,
    fixtures::request_to,
    function::Function,
    proxy::Treatment,
    root, simulated,
    stack::Stack,
    storage::{key, text},
};
use netcore_webhooks::{
    erase, get,
    local::{Indexes, LocalOptions},
    serve::INSTANCE_FILE,
    target::{Needs, Target},
};
use serde_json::Value;
use tempfile::TempDir;
use webhook_ingest::{
    events_table::{
        index::{DAY_INDEX_ATTRIBUTES, RECIPIENT_INDEX},
        item::{DAY_SHARD, Item, MESSAGE_ID, RECIPIENT},
        read::{self, ReadError, event_key},
    },
    operations::clients::Timeouts,
};

async fn stack(indexes: Indexes) -> Stack {
    let options = LocalOptions {
        indexes,
        ..LocalOptions::default()
    };
    Stack::with(None, options).await
}

/// Messages of a day: fallbacks, replies, taps and incoming messages.
fn items() -> Vec<Item> {
    simulated::items(&["--messages", "50", "--days", "1", "--fallback", "30%"], 11)
}

fn values(items: &[Item], name: &str) -> BTreeSet<String> {
    let texts = items.iter().filter_map(|item| item.get(name)?.as_s().ok());
    texts.cloned().collect()
}

async fn ask(dashboard: &Function, path: &str) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let reply = dashboard
        .invoke(&request_to(&Method::GET, path, query, &[], b""))
        .await;
    reply.into()
}

/// The responses for a path and all next pages.
async fn pages(dashboard: &Function, path: &str) -> Vec<(u16, String)> {
    let base = path.split('?').next().unwrap();
    let (mut pages, mut next) = (Vec::new(), path.to_owned());
    loop {
        let answer = ask(dashboard, &next).await;
        pages.push((answer.status, answer.body.clone()));
        assert!(pages.len() < 200, "{path} never ends");
        let link = answer
            .header("link")
            .map(|link| link.trim_matches(['<', '>']).to_owned());
        let cursor = serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["cursor"].clone();
        next = match (link, cursor.as_str()) {
            (Some(link), _) => format!("{base}{}", link.split('>').next().unwrap()),
            (None, Some(cursor)) => {
                let mark = if path.contains('?') { '&' } else { '?' };
                format!("{path}{mark}cursor={cursor}")
            }
            (None, None) => return pages,
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lean_and_whole_indexes_give_the_same_answers() {
    let items = items();
    let (lean, whole) = (stack(Indexes::Lean).await, stack(Indexes::Whole).await);
    for stack in [&lean, &whole] {
        stack.storage.put_all(items.clone()).await;
    }
    let numbers = values(&items, RECIPIENT);
    let shards = values(&items, DAY_SHARD);
    let days: BTreeSet<&str> = shards.iter().map(|shard| &shard[..10]).collect();
    let mut paths = Vec::new();
    for day in &days {
        for filter in [
            "",
            "&limit=7",
            "&status=failed",
            "&channel=SMS&status=delivered",
            "&format=csv",
        ] {
            paths.push(format!("/api/events?day={day}{filter}"));
        }
    }
    for number in &numbers {
        for filter in ["", "?limit=2", "?format=csv"] {
            paths.push(format!("/api/recipients/{number}{filter}"));
        }
    }
    let ids = values(&items, MESSAGE_ID);
    paths.extend(ids.iter().map(|id| format!("/api/messages/{id}")));

    let functions = [
        lean.function("dashboard", &[]).await,
        whole.function("dashboard", &[]).await,
    ];
    let mut listed = BTreeSet::new();
    let mut linked = 0;
    for path in &paths {
        let [with_lean, with_whole] = [pages(&functions[0], path).await, pages(&functions[1], path).await];
        assert_eq!(with_lean, with_whole, "{path}");
        for (status, body) in &with_lean {
            assert_eq!(*status, 200, "{path}: {body}");
            let Ok(body) = serde_json::from_str::<Value>(body) else {
                continue;
            };
            linked += body["linked"].as_array().map_or(0, Vec::len);
            if path.starts_with("/api/events") && path.ends_with("limit=7") {
                let events = body["events"].as_array().unwrap().iter();
                listed.extend(events.map(ToString::to_string));
            }
        }
    }
    // The lists contain whole items, each once.
    assert_eq!(listed.len(), items.len());
    assert!(listed.iter().any(|event| event.contains("\"content\"")));
    assert!(linked > 0, "no message has a fallback");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_sees_the_same_with_both() {
    let items = items();
    let mut answers = Vec::new();
    for indexes in [Indexes::Lean, Indexes::Whole] {
        let stack = stack(indexes).await;
        stack.storage.put_all(items.clone()).await;
        let dashboard = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
        let day = items[0][DAY_SHARD].as_s().unwrap()[..10].to_owned();
        let mut answer = ask(&dashboard, &format!("/api/events?day={day}")).await.json();
        assert!(!answer["events"].as_array().unwrap().is_empty());
        for event in answer["events"].as_array_mut().unwrap() {
            // Encrypted with a key and a nonce of the process.
            for token in ["token", "in_reply_to_token"] {
                event.as_object_mut().unwrap().remove(token);
            }
        }
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lean_index_contains_keys_and_filters_only() {
    let stack = stack(Indexes::Lean).await;
    stack.storage.put_all(items()).await;
    let table = &stack.storage.instance.events_table;
    let keys = ["message_id", "status_key", "event_time"];
    for (index, own) in [
        ("recipient-index", vec!["recipient"]),
        ("day-index", vec!["day_shard", "channel", "status"]),
    ] {
        let scan = stack
            .storage
            .aws()
            .dynamodb
            .scan()
            .table_name(table)
            .index_name(index);
        let entries = scan
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>();
        let entries = entries.await.unwrap();
        assert!(!entries.is_empty());
        let expected: BTreeSet<&str> = keys.into_iter().chain(own).collect();
        for entry in entries {
            let names: BTreeSet<&str> = entry.keys().map(String::as_str).collect();
            assert_eq!(names, expected, "{index}");
        }
    }
}

/// The template and the script for cargo-lambda create the indexes that the code expects.
#[test]
fn the_deployments_create_the_same_indexes() {
    let file = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let template = file("template.yaml");
    let lean = format!(
        "{{ ProjectionType: INCLUDE, NonKeyAttributes: [{}] }}",
        DAY_INDEX_ATTRIBUTES.join(", ")
    );
    assert!(template.contains(&lean), "{lean}");
    assert!(
        template.contains("!If [LeanRecipientIndex, { ProjectionType: KEYS_ONLY }, { ProjectionType: ALL }]")
    );
    let script = file("infra/cargo-lambda.sh");
    let lean = format!(
        "Projection={{ProjectionType=INCLUDE,NonKeyAttributes=[{}]}}",
        DAY_INDEX_ATTRIBUTES.join(",")
    );
    assert!(script.contains(&lean), "{lean}");
    assert!(script.contains("Projection={ProjectionType=KEYS_ONLY}"));
    assert!(!script.contains("ProjectionType=ALL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_table_leaves_unprocessed_are_read_again() {
    let stack = stack(Indexes::Lean).await;
    let items = items();
    let number = items[0][RECIPIENT].as_s().unwrap().clone();
    stack.storage.put_all(items).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let path = format!("/api/recipients/{number}?limit=200");
    let before = ask(&dashboard, &path).await;
    assert_eq!(before.status, 200, "{}", before.body);

    stack.table.decide(|call| {
        if call.operation == "BatchGetItem" && call.number.is_multiple_of(2) {
            Treatment::Unprocessed
        } else {
            Treatment::Pass
        }
    });
    for _ in 0..3 {
        assert_eq!(ask(&dashboard, &path).await.body, before.body);
    }
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" => Treatment::Unprocessed,
        _ => Treatment::Pass,
    });
    let failed = ask(&dashboard, &path).await;
    assert_eq!(failed.status, 503, "{}", failed.body);
    assert!(
        failed.json()["error"]
            .as_str()
            .unwrap()
            .contains("does not answer just now")
    );
}

/// `BatchGetItem` returns at most 16 MB, and names the other keys as unprocessed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_largest_items_is_read_whole() {
    const COUNT: usize = 45;
    let stack = stack(Indexes::Lean).await;
    let mut item = items().swap_remove(0);
    let number = item[RECIPIENT].as_s().unwrap().clone();
    item.insert("remarks".into(), text("x".repeat(390_000)));
    for index in 0..COUNT {
        item.insert(MESSAGE_ID.into(), text(format!("large-{index}")));
        stack.storage.put(item.clone()).await;
    }
    let dashboard = stack.function("dashboard", &[]).await;
    let path = format!("/api/recipients/{number}?limit=200");
    let mut ids = BTreeSet::new();
    for (status, body) in pages(&dashboard, &path).await {
        assert_eq!(status, 200);
        for event in serde_json::from_str::<Value>(&body).unwrap()["events"]
            .as_array()
            .unwrap()
        {
            assert_eq!(event["remarks"].as_str().unwrap().len(), 390_000);
            assert!(ids.insert(event["message_id"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(ids.len(), COUNT);
}

/// Each call that returns events makes room for further ones that return none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_throttled_now_and_then_is_read_to_the_end() {
    const COUNT: usize = 90;
    let stack = stack(Indexes::Lean).await;
    let mut item = items().swap_remove(0);
    item.insert("remarks".into(), text("x".repeat(390_000)));
    let mut keys = Vec::new();
    for index in 0..COUNT {
        item.insert(MESSAGE_ID.into(), text(format!("large-{index}")));
        keys.extend(event_key(&item));
        stack.storage.put(item.clone()).await;
    }
    let client = stack.instance.aws(Timeouts::background()).await.dynamodb;
    let table = &stack.instance.events_table;
    // A call returns at most 16 MB, so the events take three.
    stack.table.decide(|call| match call.number % 3 {
        0 => Treatment::Pass,
        _ => Treatment::Unprocessed,
    });
    let found = read::events(&client, table, &keys, None, 3).await.unwrap();
    assert_eq!(found.len(), COUNT);
    assert_eq!(stack.table.calls("BatchGetItem"), 9);
    stack.table.decide(|_| Treatment::Unprocessed);
    let throttled = read::events(&client, table, &keys, None, 3).await;
    assert!(matches!(throttled, Err(ReadError::Throttled)));
    assert_eq!(stack.table.calls("BatchGetItem"), 12);
}

/// A list continues after an event that is deleted between the query and the read of its item.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_event_that_is_still_in_the_index_is_skipped() {
    let stack = stack(Indexes::Lean).await;
    let items = items();
    let number = items[0][RECIPIENT].as_s().unwrap().clone();
    let of_number: BTreeSet<_> = items
        .iter()
        .filter(|item| {
            item.get(RECIPIENT)
                .is_some_and(|of| of.as_s().unwrap() == &number)
        })
        .map(key)
        .collect();
    let deleted = items[0].clone();
    stack.storage.put_all(items).await;
    // The proxy holds the first read of items until the event is deleted.
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" => Treatment::Hold,
        _ => Treatment::Pass,
    });
    let dashboard = stack.function("dashboard", &[]).await;
    let path = format!("/api/recipients/{number}?limit=200");
    let (answer, ()) = tokio::join!(ask(&dashboard, &path), async {
        while stack.table.calls("BatchGetItem") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        stack.storage.delete_item(deleted.clone()).await;
        stack.table.decide(|_| Treatment::Pass);
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    let events = answer.json()["events"].as_array().unwrap().len();
    assert_eq!(events, of_number.len() - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_index_only_its_list_is_missing() {
    let stack = stack(Indexes::Missing).await;
    let items = items();
    let (number, id) = (
        items[0][RECIPIENT].as_s().unwrap(),
        items[0][MESSAGE_ID].as_s().unwrap(),
    );
    stack.storage.put_all(items.clone()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    for path in [
        format!("/api/recipients/{number}"),
        "/api/events?day=2026-11-20".to_owned(),
        "/api/events?day=2026-11-20&format=csv".to_owned(),
    ] {
        let answer = ask(&dashboard, &path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(
            error,
            "the table has no index for this list: it is disabled in the stack, or still being created"
        );
    }
    let message = ask(&dashboard, &format!("/api/messages/{id}")).await;
    assert_eq!(message.status, 200, "{}", message.body);
    assert_eq!(message.json()["linked"].as_array().unwrap().len(), 0);

    let folder = TempDir::new().unwrap();
    let instance = serde_json::to_string(&stack.instance).unwrap();
    fs::write(folder.path().join(INSTANCE_FILE), instance).unwrap();
    let target = Target::find(folder.path(), Needs::Table).await.unwrap();
    assert!(
        get::find(&target, id)
            .await
            .unwrap()
            .to_string()
            .contains(id.as_str())
    );
    let error = get::find(&target, number).await.unwrap_err().to_string();
    assert!(error.contains("the table has no index for this list"), "{error}");

    let erase = async |arguments: &[&str]| erase::run(&options(arguments), folder.path(), |_| Ok(())).await;
    let error = erase(&["--recipient", number, "--quick"]).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains(RECIPIENT_INDEX) && error.contains("without --quick"),
        "{error}"
    );
    let thorough = erase(&["--recipient", number]).await.unwrap();
    let of_number = items
        .iter()
        .filter(|item| item.get(RECIPIENT).is_some_and(|of| of.as_s().unwrap() == number));
    assert!(of_number.map(key).all(|key| thorough.traces.contains_key(&key)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_erasure_finds_the_same_with_both() {
    let items = items();
    let number = items[0][RECIPIENT].as_s().unwrap();
    let mut found = Vec::new();
    for indexes in [Indexes::Lean, Indexes::Whole] {
        let stack = stack(indexes).await;
        stack.storage.put_all(items.clone()).await;
        let folder = TempDir::new().unwrap();
        let instance = serde_json::to_string(&stack.instance).unwrap();
        fs::write(folder.path().join(INSTANCE_FILE), instance).unwrap();
        let arguments = ["--recipient", number.as_str(), "--quick"];
        let report = erase::run(&options(&arguments), folder.path(), |_| Ok(()))
            .await
            .unwrap();
        assert!(
            report
                .traces
                .values()
                .all(|trace| !trace.channel.is_empty() && !trace.status.is_empty())
        );
        found.push(report.traces);
    }
    assert!(!found[0].is_empty());
    assert_eq!(found[0], found[1]);
}
