//! The dashboard on a full table and on one with a hundredth of the events: CPU of the function and capacity
//! of the table for each view. Figures that do not depend on the traffic are the same for both.
//!
//! ```sh
//! cargo build --release -p dashboard -p integration-tests --bins
//! cargo run --release -p integration-tests --example million -- 1000000
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run must fail"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use http::Method;
use integration_tests::{fixtures::request_to, function::Function, proxy::Proxy, stack::Stack};
use netcore_webhooks::local::{LocalOptions, RunningInstance};
use projector::{
    counter_delta::CounterDelta,
    messages::KnownMessages,
    rebuild::{Extras, rebuild_for},
    rollups::Rollups,
};
use serde_json::json;
use webhook_ingest::{
    counters::{self, Scope},
    event::time,
    events_table::item::{self, Arrival, Item},
    operations::clients::Aws,
    provider::{self, netcore_events},
};

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 30;
/// Age of the last event, longer than the retention period of the stream: filling needs no marks.
const AGE_DAYS: i64 = 20;
/// One message of so many fails.
const RARE: usize = 5_000;
/// Requests per view.
const ROUNDS: usize = 50;
/// Batches of pending counts: those of a quarter of an hour, and those of the merge before, which are kept.
const PENDING: usize = 128;
/// Events of such a batch.
const BATCH: usize = 500;
/// The first views are overviews.
const OVERVIEWS: usize = 3;
/// Requests for a part of a CSV table, which takes a hundred times as long.
const TABLES: usize = 5;

#[tokio::main]
async fn main() {
    let events = std::env::args()
        .nth(1)
        .map_or(1_000_000, |n| n.parse().expect("a number of events"));
    // target/<profile>/examples/<this>: use the function of the same build.
    let example = std::env::current_exe().unwrap();
    let binary = example.ancestors().nth(2).unwrap().join("dashboard");
    println!(
        "{:>9}  {:<38} {:>9} {:>9} {:>9} {:>10} {:>7} {:>7}",
        "events", "view", "wall ms", "CPU ms", "table ms", "bytes", "queries", "others"
    );
    for events in [events / 100, events] {
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack::with(Some(folder.path()), LocalOptions::default()).await;
        let direct = &stack.storage.instance;
        let aws = stack.storage.aws();
        let began = Instant::now();
        let now = time::now() - AGE_DAYS * DAY_MS;
        fill(folder.path(), direct, events, now);
        let filled = began.elapsed();
        let rollups = Rollups::new(aws.dynamodb.clone(), direct.rollups_table.clone());
        println!("{events:>9}  filled in {:.0} s", filled.as_secs_f64());
        for search_index in [false, true] {
            let began = Instant::now();
            let extras = Extras {
                search_index,
                copied: None,
            };
            let rebuilt = rebuild_for(&rollups, &direct.events_table, extras, |_| ())
                .await
                .unwrap();
            assert_eq!(rebuilt.events, events as u64);
            println!(
                "{events:>9}  counted by a rebuild in {:.1} s{}, {} items are in the counters' table",
                began.elapsed().as_secs_f64(),
                if search_index {
                    " with the lookups of the search"
                } else {
                    ""
                },
                count(aws, &direct.rollups_table).await
            );
        }
        let dashboard = Function::measured(&binary, stack.instance.environment()).await;
        measure(&dashboard, &stack.table, events, &views(now)).await;
        units(aws, direct, events, now).await;
        count_pending(&rollups, events, now).await;
        println!("{events:>9}  with {PENDING} batches of pending counts:");
        measure(&dashboard, &stack.table, events, &views(now)[..OVERVIEWS]).await;
        stack.stop().await;
    }
}

/// Writes messages of a month, with four events each, into the table's file, as a restored backup would be.
fn fill(folder: &Path, instance: &RunningInstance, events: usize, now: i64) {
    const AT_ONCE: usize = 20_000;
    let file = folder.join("tables.sqlite");
    let database = dynoxide::Database::new(file.to_str().unwrap()).unwrap();
    database.enable_bulk_loading().unwrap();
    for first in (0..events).step_by(AT_ONCE) {
        let items = (first..events.min(first + AT_ONCE)).map(|number| {
            let item = serde_dynamo::Item::from(item(number, now));
            serde_json::from_value(serde_json::to_value(item).unwrap()).unwrap()
        });
        let items = items.collect();
        database
            .import_items(&instance.events_table, items, dynoxide::ImportOptions::default())
            .unwrap();
    }
    database.disable_bulk_loading().unwrap();
}

fn item(number: usize, now: i64) -> Item {
    let (message, step) = (number / 4, number % 4);
    let sent = now - (message as i64 * 7_919_000) % (DAYS * DAY_MS);
    let at = sent + step as i64 * 1000;
    let mobile = 910_000_000_000 + message % 250_000;
    // A message in 5,000 fails, three a day.
    let status = match (step, message % RARE) {
        (1, 0) => "Failed",
        _ => ["Sent", "Delivered", "Read", "Clicked"][step],
    };
    let record = json!({
        "message_id": format!("api-337-{mobile}-{message:032x}-{}", sent / 1000), "mobile": mobile.to_string(),
        "status": status, "channel": "RCS", "event_time": at / 1000,
        "tags": [format!("campaign-{}", message % 12)], "nc_bot_id": format!("{}", 680 + message % 3), "type": "Template",
        "requestid": format!("{message:032x}"), "callbackdata": format!("order-{message}"), "click_data": {}, "remarks": "",
    });
    let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).expect("an event");
    let arrival = Arrival {
        stored_at: None,
        // The time of an event has no milliseconds.
        at: at + 500,
        retention_days: 0,
        late_after_hours: 72,
    };
    item::build(event, arrival).expect("an item").into()
}

/// Stores pending counts of the last quarter of an hour before `now`.
async fn count_pending(rollups: &Rollups, events: usize, now: i64) {
    let generation = rollups.generations().await.unwrap().current;
    for batch in 0..PENDING {
        let first = events + batch * BATCH;
        let items: Vec<Item> = (first..first + BATCH)
            .map(|number| {
                let mut item = item(number, now);
                let ago = ((PENDING - batch) * 7_000 + BATCH - number % BATCH) as i64;
                for name in ["event_time", "received_at"] {
                    item.insert(name.to_owned(), AttributeValue::N((now - ago).to_string()));
                }
                item
            })
            .collect();
        let known = KnownMessages::among(&items);
        let messages = known.parsed();
        let deltas: Vec<CounterDelta> = items
            .iter()
            .filter_map(|item| CounterDelta::all(item, &messages))
            .collect();
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        rollups.count(&generation, &deltas, until).await.unwrap();
    }
}

/// The number of items of a table.
async fn count(aws: &Aws, table: &str) -> i32 {
    let scan = aws.dynamodb.scan().table_name(table).select(Select::Count);
    let mut pages = scan.into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page.unwrap().count();
    }
    count
}

fn views(now: i64) -> Vec<View> {
    let day = time::utc_day(now - DAY_MS);
    let range = format!(
        "from={}&to={}",
        time::utc_day(now - (DAYS - 1) * DAY_MS),
        time::utc_day(now)
    );
    let id = item(0, now);
    let text = |name: &str| id[name].as_s().unwrap().clone();
    let summary = |filter: &str| ("/api/summary".to_owned(), format!("{range}{filter}"));
    let of_day = |filter: &str| ("/api/events".to_owned(), format!("day={day}{filter}"));
    let of_range = |filter: &str| ("/api/events".to_owned(), format!("{range}{filter}"));
    let person = (format!("/api/recipients/{}", text("recipient")), String::new());
    let message = (format!("/api/messages/{}", text("message_id")), String::new());
    [
        ("overview, 30 days", summary(""), ROUNDS),
        ("overview in Asia/Kolkata", summary("&tz=Asia/Kolkata"), ROUNDS),
        (
            "overview of a bot and a tag",
            summary("&bot=680&tag=campaign-0"),
            ROUNDS,
        ),
        ("a number's page", person, ROUNDS),
        ("a message", message, ROUNDS),
        ("a day's page", of_day(""), ROUNDS),
        ("a day's clicks, a page", of_day("&status=clicked"), ROUNDS),
        ("a day's failures, a page", of_day("&status=failed"), ROUNDS),
        ("failures of 30 days, a page", of_range("&status=failed"), TABLES),
        ("a tag of a day, a page", of_day("&tag=campaign-0"), TABLES),
        ("a tag that no event has, 30 days", of_range("&tag=none"), TABLES),
        ("a part of a day's CSV table", of_day("&format=csv"), TABLES),
        (
            "the same, of clicks",
            of_day("&format=csv&status=clicked"),
            TABLES,
        ),
    ]
    .map(|(view, (path, query), rounds)| (view, path, query, rounds))
    .into()
}

/// A view: name, path, query and number of requests.
type View = (&'static str, String, String, usize);

async fn measure(dashboard: &Function, proxy: &Proxy, events: usize, views: &[View]) {
    for (view, path, query, rounds) in views {
        let rounds = *rounds;
        let request = request_to(&Method::GET, path, query, &[], b"");
        let mut walls = Vec::new();
        let mut bytes = 0;
        dashboard.ok(&request).await;
        proxy.reset_counts();
        let (cpu, table) = (dashboard.cpu(), proxy.busy());
        for _ in 0..rounds {
            let answer = dashboard.ok(&request).await;
            walls.push(answer.took.as_secs_f64() * 1e3);
            bytes = answer.body.len();
        }
        walls.sort_by(f64::total_cmp);
        let operations = proxy.operations();
        let queries = operations.get("Query").copied().unwrap_or_default();
        let calls = operations.values().sum::<usize>();
        println!(
            "{events:>9}  {view:<38} {:>9.1} {:>9.2} {:>9.1} {bytes:>10} {:>7.1} {:>7.1}",
            walls[rounds / 2],
            dashboard.cpu().saturating_sub(cpu).as_secs_f64() * 1e3 / rounds as f64,
            proxy.busy().saturating_sub(table).as_secs_f64() * 1e3 / rounds as f64,
            queries as f64 / rounds as f64,
            (calls - queries) as f64 / rounds as f64,
        );
    }
    println!(
        "{events:>9}  peak memory {:.1} MiB",
        dashboard.peak_memory_kib() as f64 / 1024.0
    );
}

/// Read units of the queries behind the views, eventually consistent, as the table reports them. Each item of a page
/// takes one more.
async fn units(aws: &Aws, instance: &RunningInstance, events: usize, now: i64) {
    let today = time::utc_day(now);
    let from = time::utc_day(now - (DAYS - 1) * DAY_MS);
    let generation = Rollups::new(aws.dynamodb.clone(), instance.rollups_table.clone());
    let series = Scope::default().series(&generation.generations().await.unwrap().current);
    let id = item(0, now);
    let counters = |(first, last): (String, String)| {
        let query = aws.dynamodb.query().table_name(&instance.rollups_table);
        query
            .key_condition_expression("series = :key AND period BETWEEN :first AND :last")
            .expression_attribute_values(":key", AttributeValue::S(series.clone()))
            .expression_attribute_values(":first", AttributeValue::S(first))
            .expression_attribute_values(":last", AttributeValue::S(last))
    };
    let listed = |index: &str, key: &str, value: AttributeValue, limit: i32| {
        let query = aws
            .dynamodb
            .query()
            .table_name(&instance.events_table)
            .index_name(index)
            .limit(limit);
        query
            .key_condition_expression(format!("{key} = :key"))
            .expression_attribute_values(":key", value)
    };
    let shard = AttributeValue::S(format!("{today}#16"));
    let message = aws
        .dynamodb
        .query()
        .table_name(&instance.events_table)
        .consistent_read(true);
    for (what, query) in [
        ("days of the overview", counters(counters::days(&from, &today))),
        ("quarters of the overview, its last day", {
            let day = webhook_ingest::event::time::now();
            counters(counters::quarters(day - 86_400_000, day))
        }),
        (
            "entries of a number's page of 50",
            listed("recipient-index", "recipient", id["recipient"].clone(), 50),
        ),
        (
            "entries of a day's page, one shard",
            listed("day-index", "day_shard", shard, 25),
        ),
        (
            "a message, consistent",
            message
                .key_condition_expression("message_id = :key")
                .expression_attribute_values(":key", id["message_id"].clone()),
        ),
    ] {
        let answer = query
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .unwrap();
        let units = answer.consumed_capacity.and_then(|c| c.capacity_units).unwrap();
        println!(
            "{events:>9}  {what:<38} {units:>9.1} read units for {} items",
            answer.count
        );
    }
}
