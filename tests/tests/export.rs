//! The command `export` on tables without an index, with faults, and with many, large and strange events.
//! `tests/export` reads its files with `DuckDB`.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::Workdir,
    function,
    proxy::Treatment,
    simulated,
    stack::Stack,
    storage::{Key, key, text},
};
use netcore_webhooks::local::{Indexes, LocalOptions};
use serde_json::Value;
use webhook_ingest::events_table::item::{
    CHANNEL, DAY_SHARD, EVENT_TIME, EXTRA, Item, MESSAGE_ID, STATUS_KEY, number_at,
};

/// 2026-11-20T00:00:00Z.
const DAY: i64 = 1_795_132_800_000;
const DAY_MS: i64 = 86_400_000;

async fn stack(indexes: Indexes) -> Stack {
    let options = LocalOptions {
        indexes,
        ..LocalOptions::default()
    };
    Stack::with(None, options).await
}

/// Runs the command on a stack's table.
async fn export(workdir: &Workdir, stack: &Stack, arguments: &[&str]) -> integration_tests::command::Output {
    let environment = stack.instance.environment();
    workdir
        .run_with(
            &[&["export", "--format", "jsonl", "--numbers", "full"], arguments].concat(),
            &environment,
        )
        .await
}

fn rows(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.retain(|file| file.extension().is_some_and(|end| end == "jsonl"));
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| {
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn keys(rows: &[Value]) -> Vec<Key> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut keys: Vec<Key> = rows
        .iter()
        .map(|row| (text(row, MESSAGE_ID), text(row, STATUS_KEY)))
        .collect();
    keys.sort();
    keys
}

/// The keys of the events of these days, sorted.
fn expected(items: &[Item], from: i64, to: i64) -> Vec<Key> {
    let in_range = |item: &&Item| (from..to).contains(&number_at(item, EVENT_TIME).unwrap());
    let keys: BTreeSet<Key> = items.iter().filter(in_range).map(key).collect();
    keys.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_table_gives_the_same_events() {
    let items = simulated::items(&["--messages", "300", "--days", "4"], 3);
    let wanted = expected(&items, DAY - 2 * DAY_MS, DAY + DAY_MS);
    assert!(wanted.len() > 300);
    for indexes in [Indexes::Lean, Indexes::Whole, Indexes::Missing] {
        let stack = stack(indexes).await;
        stack.storage.put_all(items.clone()).await;
        let workdir = Workdir::new();
        let range = ["--from", "2026-11-18", "--to", "2026-11-20"];
        let printed = export(&workdir, &stack, &range).await.ok();
        assert_eq!(
            printed.contains("read with a scan"),
            indexes == Indexes::Missing,
            "{printed}"
        );
        let rows = rows(&workdir.path().join("export"));
        assert_eq!(keys(&rows), wanted);
        // A masked export does not mix with it, and another table neither.
        let mut environment = stack.instance.environment();
        let masked = [&["export", "--format", "jsonl"], &range[..]].concat();
        assert!(
            workdir
                .run_with(&masked, &environment)
                .await
                .error()
                .contains("other settings")
        );
        environment.push(("EVENTS_TABLE", "another".to_owned()));
        let other = [&["export", "--format", "jsonl", "--numbers", "full"], &range[..]].concat();
        assert!(
            workdir
                .run_with(&other, &environment)
                .await
                .error()
                .contains("other settings")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_fails_meanwhile_leaves_only_whole_files() {
    let stack = stack(Indexes::Lean).await;
    let items = simulated::items(&["--messages", "200", "--days", "3"], 3);
    stack.storage.put_all(items.clone()).await;
    let workdir = Workdir::new();
    let range = ["--from", "2026-11-18", "--to", "2026-11-20"];
    let folder = workdir.path().join("export");

    // From the third read of items on, the table denies access, which is not retried.
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" if call.number > 2 => Treatment::Refuse("AccessDeniedException", "denied"),
        _ => Treatment::Pass,
    });
    let error = export(&workdir, &stack, &range).await.error();
    assert!(error.contains("the events table does not answer"), "{error}");
    for row in rows(&folder) {
        assert!(row[MESSAGE_ID].is_string());
    }
    let whole = fs::read_dir(&folder).unwrap().filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "jsonl")
    });
    assert!(whole.count() < 3);

    // A throttled table returns parts of each call.
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" if call.number.is_multiple_of(2) => Treatment::Unprocessed,
        _ => Treatment::Pass,
    });
    export(&workdir, &stack, &range).await.ok();
    assert_eq!(
        keys(&rows(&folder)),
        expected(&items, DAY - 2 * DAY_MS, DAY + DAY_MS)
    );
}

/// Peak memory of an export of one day, MiB.
async fn peak(workdir: &Workdir, stack: &Stack, day: &str, format: &str) -> u64 {
    let output = format!("{format}-{day}");
    let mut command = workdir.command(&function::command());
    command
        .args([
            "export", "--from", day, "--to", day, "--format", format, "--output", &output,
        ])
        .envs(stack.instance.environment());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    // The kernel's own maximum; its last value before the end is read.
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or_default() / 1024);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(child.wait().await.unwrap().success());
    assert!(
        workdir
            .path()
            .join(&output)
            .join(format!("{day}.{format}"))
            .exists()
    );
    peak
}

/// `many` copies of an event of the day that is this many days after [`DAY`].
async fn fill(stack: &Stack, day: i64, many: i64, change: impl Fn(&mut Item, i64)) {
    let name = format!("2026-11-{}", 20 + day);
    let event = simulated::items(&["--messages", "10", "--days", "1"], 3).swap_remove(0);
    for start in (0..many).step_by(1000) {
        let items = (start..many.min(start + 1000)).map(|n| {
            let mut item = event.clone();
            item.insert(MESSAGE_ID.into(), text(format!("m-{day}-{n}")));
            item.insert(DAY_SHARD.into(), text(format!("{name}#{:02}", n % 16)));
            let at = DAY + day * DAY_MS + n % DAY_MS;
            item.insert(EVENT_TIME.into(), AttributeValue::N(at.to_string()));
            change(&mut item, n);
            item
        });
        stack.storage.put_all(items.collect()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_depends_neither_on_the_number_nor_on_the_size_of_events() {
    let stack = stack(Indexes::Lean).await;
    fill(&stack, 0, 1_000, |_, _| {}).await;
    fill(&stack, 1, 10_000, |_, _| {}).await;
    // Items of nearly 400 KB, a call's response of 16 MB at most: 51 MB.
    fill(&stack, 2, 130, |item, _| {
        item.insert("remarks".into(), text("x".repeat(390_000)));
    })
    .await;
    let workdir = Workdir::new();
    for format in ["parquet", "csv", "jsonl"] {
        let small = peak(&workdir, &stack, "2026-11-20", format).await;
        let large = peak(&workdir, &stack, "2026-11-21", format).await;
        let long = peak(&workdir, &stack, "2026-11-22", format).await;
        println!("{format}: {small} MiB, ten times as many events {large} MiB, large events {long} MiB");
        assert!(small > 5);
        // Parquet collects rows of 16 MB; the small day has fewer.
        assert!(large < small + 40, "{format}: {small} {large}");
        assert!(long < 350, "{format}: {long}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_attributes_make_no_column() {
    let stack = stack(Indexes::Lean).await;
    fill(&stack, 0, 500, |item, n| {
        let fields = (0..2_000).map(|i| (format!("f{n}x{i}"), AttributeValue::Bool(true)));
        item.insert(EXTRA.into(), AttributeValue::M(fields.collect()));
    })
    .await;
    // A marker of a rejected body is no event.
    let marker = Item::from([
        (MESSAGE_ID.to_owned(), text("rejected#0a0b")),
        (STATUS_KEY.to_owned(), text("event-webhook")),
        (CHANNEL.to_owned(), text("RCS")),
        (EVENT_TIME.to_owned(), AttributeValue::N(DAY.to_string())),
        (DAY_SHARD.to_owned(), text("2026-11-20#00")),
    ]);
    stack.storage.put(marker).await;
    let workdir = Workdir::new();
    export(&workdir, &stack, &["--from", "2026-11-20", "--to", "2026-11-20"])
        .await
        .ok();
    let rows = rows(&workdir.path().join("export"));
    assert_eq!(rows.len(), 500);
    let mut names = BTreeSet::new();
    for row in &rows {
        assert_eq!(row.as_object().unwrap().len(), 35);
        let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
        names.extend(extra.as_object().unwrap().keys().cloned());
    }
    assert_eq!(names.len(), 1_000_000);
}
