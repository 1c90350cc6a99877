//! What `cost` reckons with is what is measured: write units, sizes, counters, log lines, alarms.
//! And the reference shows what it prints.
#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use clap::Parser as _;
use integration_tests::{
    binary::{self, Function},
    fixtures,
    proxy::{Proxy, Treatment},
    scene::Scene,
    simulated,
};
use netcore_webhooks::{
    cost::{self, Bill, usage},
    local::{Local, QueueOptions, RunningInstance},
};
use projector::{counter_delta::CounterDelta, rollups::Rollups};
use receivers::RECEIVERS;
use serde_json::Value;
use tokio::time::{Duration, Instant};
use webhook_ingest::{
    events_table::item::{self, Item},
    operations::clients::Timeouts,
};

#[derive(clap::Parser)]
struct Asked {
    #[command(flatten)]
    options: cost::Options,
}

fn bill(words: &[&str]) -> Bill {
    cost::bill(&Asked::parse_from(["cost"].iter().chain(words)).options)
}

/// Items of simulated events, in order of time, each as if it had arrived when it happened.
fn items(messages: &str) -> Vec<Item> {
    simulated::items(&["--days", "1", "--messages", messages], 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_takes_one_unit_of_the_table_and_of_each_index() {
    let local = Local::start(None, QueueOptions::default()).await.unwrap();
    let aws = local.instance.aws(Timeouts::unhurried()).await;
    for item in items("60") {
        let written = aws
            .dynamodb
            .put_item()
            .table_name(&local.instance.events_table)
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
fn items_are_as_large_as_reckoned() {
    let items = items("4000");
    let mean = items.iter().map(item::size).sum::<usize>() as f64 / items.len() as f64;
    assert!((mean / usage::ITEM_BYTES - 1.0).abs() < 0.1, "{mean} bytes");
    assert!(items.iter().all(|item| item::size(item) <= 1024), "one unit each");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_touches_as_many_items_as_reckoned() {
    let items = items("4000");
    for batch in [1, 6, 50, 500] {
        let local = Local::start(None, QueueOptions::default()).await.unwrap();
        let proxy = Proxy::start(&local.instance.dynamodb).await.unwrap();
        let touched = Arc::new(AtomicUsize::new(0));
        let count = touched.clone();
        proxy.decide(move |call| {
            if call.operation == "TransactWriteItems" {
                let updates = String::from_utf8_lossy(call.body).matches("\"Update\":").count();
                count.fetch_add(updates, Ordering::Relaxed);
            }
            Treatment::Pass
        });
        let place = RunningInstance {
            dynamodb: proxy.url.clone(),
            ..local.instance.clone()
        };
        let client = place.aws(Timeouts::unhurried()).await.dynamodb;
        let rollups = Rollups::new(client, place.rollups_table.clone());
        // From the busy half of the day on, each batch within the five seconds of the window.
        let taken = items.iter().skip(items.len() / 2).take(batch * 12);
        let deltas: Vec<CounterDelta> = taken
            .filter_map(CounterDelta::of)
            .zip(0..)
            .map(|(mut delta, place)| {
                delta.identity.received_at = simulated::UNTIL + place * 5_000 / i64::try_from(batch).unwrap();
                delta
            })
            .collect();
        let batches = deltas.chunks(batch);
        let (number, until) = (batches.len(), Instant::now() + Duration::from_mins(1));
        for deltas in batches {
            rollups.count("1", deltas, until).await.unwrap();
        }
        let measured = touched.load(Ordering::Relaxed) as f64 / number as f64;
        let reckoned = usage::touched(batch as f64, (batch as f64).min(5.0));
        assert!(
            (0.7..=1.3).contains(&(measured / reckoned)),
            "batches of {batch}: {measured} items, reckoned {reckoned}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_writes_as_much_to_the_log_as_reckoned() {
    const REQUESTS: usize = 20;
    let scene = Scene::set().await;
    let function = scene.function("event-webhook", &[]).await;
    let written = |function: &Function| {
        let lines = function.lines();
        (
            lines.len(),
            lines.iter().map(|line| line.len() + 1).sum::<usize>(),
        )
    };
    // What a start writes is not of a request.
    let first = function
        .request(&fixtures::post(&fixtures::body(&fixtures::events(0, 1))))
        .await;
    function.log_of(&first).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = written(&function);
    for number in 1..=REQUESTS {
        let answer = function
            .request(&fixtures::post(&fixtures::body(&fixtures::events(number, 1))))
            .await;
        assert_eq!(answer.status, 200);
        function.log_of(&answer).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = written(&function);
    let each = (after.1 - before.1) as f64 / REQUESTS as f64;
    assert!(after.0 > before.0);
    assert!(
        (0.8..=1.2).contains(&(each / usage::LOG_BYTES_PER_REQUEST)),
        "{each} bytes for a request"
    );
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_template_has_as_many_alarms_as_reckoned() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let (mut alarms, mut copies) = (0, 1);
    for line in template.lines() {
        // A loop (Fn::ForEach) makes one of what it holds for each name in its list.
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
    // Two more units for each event, and longer calls.
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
        let mut command = Command::new(binary::command());
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
    let refused = Command::new(binary::command())
        .args(["cost", "--events-per-month", "0"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
