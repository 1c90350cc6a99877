//! The assumptions of `cost` match measurements: write units, sizes, counters, log lines and alarms. The
//! reference shows its output.
#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an unexpected result must fail the test"
)]

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use integration_tests::{
    command::options,
    fixtures,
    function::{self, Function},
    proxy::Treatment,
    root, simulated,
    stack::Stack,
};
use netcore_webhooks::cost::{self, Bill, usage};
use projector::counter_delta::CounterDelta;
use receivers::RECEIVERS;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use webhook_ingest::events_table::item::{self, Item};

fn bill(words: &[&str]) -> Bill {
    cost::bill(&options(words))
}

/// Items of simulated events, in order of time. Each arrives at its event time.
fn items(messages: &str) -> Vec<Item> {
    simulated::items(&["--days", "1", "--messages", messages], 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_consumes_one_write_unit_of_the_table_and_of_each_index() {
    let stack = Stack::start().await;
    let aws = stack.storage.aws();
    for item in items("60") {
        let written = aws
            .dynamodb
            .put_item()
            .table_name(&stack.instance.events_table)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .unwrap();
        let consumed = written.consumed_capacity().unwrap();
        let table = consumed.table().unwrap().capacity_units().unwrap();
        assert_eq!(table, usage::WRITE_UNITS_PER_EVENT);
        let indexes: BTreeMap<&str, f64> = consumed
            .global_secondary_indexes()
            .unwrap()
            .iter()
            .map(|(name, units)| (name.as_str(), units.capacity_units().unwrap()))
            .collect();
        let expected = ["day-index", "recipient-index"].map(|name| (name, usage::WRITE_UNITS_PER_EVENT));
        assert_eq!(indexes, BTreeMap::from(expected));
    }
}

#[test]
fn items_have_the_estimated_size() {
    let items = items("4000");
    let mean = items.iter().map(item::size).sum::<usize>() as f64 / items.len() as f64;
    assert!((mean / usage::ITEM_BYTES - 1.0).abs() < 0.1, "{mean} bytes");
    assert!(items.iter().all(|item| item::size(item) <= 1024), "one unit each");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_updates_the_estimated_number_of_items() {
    let items = items("4000");
    for batch in [1, 6, 50, 500] {
        let stack = Stack::start().await;
        let touched = Arc::new(AtomicUsize::new(0));
        let count = touched.clone();
        stack.table.decide(move |call| {
            if call.operation == "TransactWriteItems" {
                let updates = String::from_utf8_lossy(call.body).matches("\"Update\":").count();
                count.fetch_add(updates, Ordering::Relaxed);
            }
            Treatment::Pass
        });
        let rollups = stack.rollups().await;
        // From the busy half of the day; each batch within the window of five seconds.
        let taken = items.iter().skip(items.len() / 2).take(batch * 12);
        let deltas: Vec<CounterDelta> = taken
            .filter_map(CounterDelta::of)
            .zip(0..)
            .map(|(mut delta, index)| {
                delta.identity.received_at = simulated::UNTIL + index * 5_000 / i64::try_from(batch).unwrap();
                delta
            })
            .collect();
        let batches = deltas.chunks(batch);
        let (number, until) = (batches.len(), Instant::now() + Duration::from_mins(1));
        for deltas in batches {
            rollups.count("1", deltas, until).await.unwrap();
        }
        let measured = touched.load(Ordering::Relaxed) as f64 / number as f64;
        let estimated = usage::touched(batch as f64, (batch as f64).min(5.0));
        assert!(
            (0.7..=1.3).contains(&(measured / estimated)),
            "batches of {batch}: {measured} items, estimated {estimated}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_logs_the_estimated_number_of_bytes() {
    const REQUESTS: usize = 20;
    let stack = Stack::start().await;
    let function = stack.function("event-webhook", &[]).await;
    let written = |function: &Function| {
        let lines = function.lines();
        (lines.len(), lines.iter().map(String::len).sum::<usize>())
    };
    // The first request includes what the start logs.
    let first = function.post(&fixtures::body(&fixtures::events(0, 1))).await;
    function.log_of(&first).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = written(&function);
    for number in 1..=REQUESTS {
        let answer = function.post(&fixtures::body(&fixtures::events(number, 1))).await;
        assert_eq!(answer.status, 200);
        function.log_of(&answer).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = written(&function);
    let line = (after.1 - before.1) as f64 / REQUESTS as f64;
    let each = line + usage::LOG_BYTES_PER_LINE;
    assert_eq!(after.0 - before.0, REQUESTS, "one line each");
    assert!(
        (0.95..=1.05).contains(&(each / usage::LOG_BYTES_PER_REQUEST)),
        "{each} bytes for a request"
    );
    assert!(line <= 600.0, "{line} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_of_the_projector_logs_the_estimated_number_of_bytes() {
    let stack = Stack::start().await;
    for item in items("20") {
        stack.storage.put(item).await;
    }
    let projector = stack.function("projector", &[]).await;
    let records = stack.stream();
    projector.invoke(&json!({"Records": &records[..6]})).await;
    projector.line(|line| line["message"] == "batch").await;
    let lines = projector.lines();
    assert_eq!(lines.len(), 1, "one line each");
    let bytes = lines[0].len() as f64 + usage::LOG_BYTES_PER_LINE;
    assert!(
        (0.9..=1.1).contains(&(bytes / usage::LOG_BYTES_PER_PROJECTION)),
        "{bytes} bytes for a batch"
    );
}

#[test]
fn the_template_has_the_estimated_number_of_alarms() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let (mut alarms, mut copies) = (0, 1);
    for line in template.lines() {
        // A loop (`Fn::ForEach`) creates one resource per name in its list.
        if line == "    - !Ref Receivers" {
            copies = RECEIVERS.len();
        } else if line.starts_with("    - [") {
            copies = line.split(',').count();
        } else if line.starts_with("  ") && !line.starts_with("   ") {
            copies = 1;
        } else if line.trim() == "Type: AWS::CloudWatch::Alarm" {
            alarms += copies;
        }
    }
    assert_eq!(alarms as f64, usage::ALARMS);
}

fn part(bill: &Bill, name: &str) -> f64 {
    let found = bill.lines.iter().find(|line| line.part == name);
    found.map_or(0.0, |line| line.usd)
}

#[test]
fn a_bill_is_the_sum_of_its_parts_and_follows_the_options() {
    let all = bill(&["--events-per-month", "10000000"]);
    let sum: f64 = all.lines.iter().map(|line| line.usd).sum();
    assert!((all.usd - sum).abs() < 1e-9);
    assert!((part(&all, "events: writes of the table") - 6.25).abs() < 1e-9);
    assert!((part(&all, "receivers: requests") - 2.0).abs() < 1e-9);
    // Two more write units per event, and longer invocations.
    assert!(all.two_write_usd > all.usd + 2.0 * 6.25);

    let without = bill(&[
        "--events-per-month",
        "10000000",
        "--no-recipient-index",
        "--no-day-index",
    ]);
    let saved = 2.0 * (6.25 + part(&all, "storage: day-index"));
    assert!((all.usd - without.usd - saved).abs() < 1e-9);

    let batched = bill(&["--events-per-month", "10000000", "--batch", "100"]);
    assert!((part(&batched, "receivers: requests") - 0.02).abs() < 1e-9);
    let intel = bill(&["--events-per-month", "10000000", "--architecture", "x86_64"]);
    assert!(part(&intel, "receivers: duration") > part(&all, "receivers: duration"));
    let short = bill(&["--events-per-month", "10000000", "--retention-days", "30"]);
    assert!((part(&all, "storage: the table") / part(&short, "storage: the table") - 6.0).abs() < 1e-9);
    let set = bill(&["--events-per-month", "10000000", "--rollup-units", "0.3"]);
    assert!((part(&set, "counters: writes, transactional") - 1.875).abs() < 1e-9);
}

#[test]
fn the_reference_shows_what_the_command_prints() {
    let reference = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    for events in ["1000000", "10000000", "100000000"] {
        let bill = bill(&["--events-per-month", events]);
        for usd in [bill.usd, bill.two_write_usd] {
            let shown = format!("| ${usd:.0} ");
            assert!(
                reference.contains(&shown),
                "{events} events: docs/reference.md lacks {shown}"
            );
        }
    }
}

#[test]
fn the_command_prints_a_table_or_json() {
    let run = |more: &[&str]| {
        let mut command = Command::new(function::command());
        let output = command
            .args(["cost", "--events-per-month", "1000000"])
            .args(more)
            .output();
        let output = output.unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let table = run(&[]);
    assert!(
        table.starts_with("1,000,000 events a month in us-east-1"),
        "{table}"
    );
    assert!(table.contains("two-write design"));
    assert!(table.contains("https://aws.amazon.com/dynamodb/pricing/on-demand/"));
    let json: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(json["events"], 1_000_000);
    assert_eq!(json["lines"].as_array().unwrap().len(), 18);
    let refused = Command::new(function::command())
        .args(["cost", "--events-per-month", "0"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
