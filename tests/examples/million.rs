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

use std::{path::Path, time::Instant};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use http::Method;
use integration_tests::{fixtures::request_to, function::Function, proxy::Proxy, stack::Stack};
use netcore_webhooks::local::{LocalOptions, RunningInstance};
use projector::{rebuild::rebuild, rollups::Rollups};
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
/// Requests per view.
const ROUNDS: usize = 50;
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
        "{:>9}  {:<38} {:>9} {:>9} {:>9} {:>10} {:>7}",
        "events", "view", "wall ms", "CPU ms", "table ms", "bytes", "calls"
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
        let began = Instant::now();
        let rebuilt = rebuild(&rollups, &direct.events_table, |_| ()).await.unwrap();
        assert_eq!(rebuilt.events, events as u64);
        println!(
            "{events:>9}  counted by a rebuild in {:.1} s",
            began.elapsed().as_secs_f64()
        );
        let dashboard = Function::measured(&binary, stack.instance.environment()).await;
        measure(&dashboard, &stack.table, events, now).await;
        units(aws, direct, events, now).await;
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
    let at = now - (message as i64 * 7_919_000) % (DAYS * DAY_MS) + step as i64 * 1000;
    let mobile = 910_000_000_000 + message % 250_000;
    let status = ["Sent", "Delivered", "Read", "Clicked"].get(step).unwrap();
    let record = json!({
        "message_id": format!("api-337-{mobile}-{message:032x}-{}", at / 1000), "mobile": mobile.to_string(),
        "status": status, "channel": "RCS", "event_time": at / 1000,
        "tags": [format!("campaign-{}", message % 12)], "nc_bot_id": format!("{}", 680 + message % 3), "type": "Template",
        "requestid": format!("{message:032x}"), "callbackdata": format!("order-{message}"), "click_data": {}, "remarks": "",
    });
    let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).expect("an event");
    let arrival = Arrival {
        stored_at: None,
        at,
        retention_days: 0,
        late_after_hours: 72,
    };
    item::build(event, arrival).expect("an item").into()
}

async fn measure(dashboard: &Function, proxy: &Proxy, events: usize, now: i64) {
    let day = time::utc_day(now - DAY_MS);
    let (from, to) = (time::utc_day(now - (DAYS - 1) * DAY_MS), time::utc_day(now));
    let id = item(0, now);
    let number = id["recipient"].as_s().unwrap().clone();
    let id = id["message_id"].as_s().unwrap().clone();
    for (view, path, query, rounds) in [
        (
            "overview, 30 days",
            "/api/summary".to_owned(),
            format!("from={from}&to={to}"),
            ROUNDS,
        ),
        (
            "overview of a bot and a tag",
            "/api/summary".to_owned(),
            format!("from={from}&to={to}&bot=680&tag=campaign-0"),
            ROUNDS,
        ),
        (
            "a number's page",
            format!("/api/recipients/{number}"),
            String::new(),
            ROUNDS,
        ),
        ("a message", format!("/api/messages/{id}"), String::new(), ROUNDS),
        (
            "a day's page",
            "/api/events".to_owned(),
            format!("day={day}"),
            ROUNDS,
        ),
        (
            "a day's clicks, a page",
            "/api/events".to_owned(),
            format!("day={day}&status=clicked"),
            ROUNDS,
        ),
        (
            "a part of a day's CSV table",
            "/api/events".to_owned(),
            format!("day={day}&format=csv"),
            TABLES,
        ),
        (
            "the same, of clicks",
            "/api/events".to_owned(),
            format!("day={day}&format=csv&status=clicked"),
            TABLES,
        ),
    ] {
        let request = request_to(&Method::GET, &path, &query, &[], b"");
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
        println!(
            "{events:>9}  {view:<38} {:>9.1} {:>9.2} {:>9.1} {bytes:>10} {:>7.1}",
            walls[rounds / 2],
            dashboard.cpu().saturating_sub(cpu).as_secs_f64() * 1e3 / rounds as f64,
            proxy.busy().saturating_sub(table).as_secs_f64() * 1e3 / rounds as f64,
            proxy.operations().values().sum::<usize>() as f64 / rounds as f64,
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
    let shard = AttributeValue::S(format!("{today}#00"));
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
            "entries of a day's page, one shard of 16",
            listed("day-index", "day_shard", shard, 13),
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
