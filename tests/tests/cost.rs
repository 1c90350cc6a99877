//! The assumptions of `cost` match measurements: write units, sizes, counters, log lines and alarms.
//! docs/costs.md shows its output.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, Capacity, ReturnConsumedCapacity,
};
use integration_tests::{
    command::options, fixtures, function, proxy::Treatment, root, simulated, stack::Stack,
};
use netcore_webhooks::{
    cost::{self, Architecture, Bill, IndexContent, TableClass, usage},
    local::{Indexes, LocalOptions},
};
use projector::{counter_delta::CounterDelta, messages::KnownMessages};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use webhook_ingest::events_table::item::{self, Item};

fn bill(words: &[&str]) -> Bill {
    cost::bill(&options(words))
}

/// Items of simulated events, in order of time. Each arrives at its event time.
fn items(messages: &str) -> Vec<Item> {
    simulate(&["--days", "1", "--messages", messages])
}

/// Items of simulated events of the receivers that the template deploys by default.
fn simulate(arguments: &[&str]) -> Vec<Item> {
    let urls: Vec<String> = default_receivers()
        .iter()
        .map(|function| format!("{function}=http://127.0.0.1:9000/"))
        .collect();
    let urls = urls.iter().flat_map(|url| ["--url", url]);
    simulated::items(&arguments.iter().copied().chain(urls).collect::<Vec<_>>(), 1)
}

/// The functions of the template's default of `Receivers`.
fn default_receivers() -> Vec<String> {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let parameter = template.split_once("\n  Receivers:\n").unwrap().1;
    let list = parameter
        .split_once("Default: ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    let functions = list.split(',').map(|id| {
        let words = id.chars().flat_map(|c| {
            let dash = c.is_uppercase().then_some('-');
            dash.into_iter().chain(c.to_lowercase())
        });
        words.collect::<String>().trim_start_matches('-').to_owned()
    });
    functions.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_consumes_one_write_unit_of_the_table_and_of_each_index() {
    for indexes in [Indexes::Lean, Indexes::Whole] {
        let options = LocalOptions {
            indexes,
            ..LocalOptions::default()
        };
        let stack = Stack::with(None, options).await;
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
            assert_eq!(indexes, BTreeMap::from(expected), "{indexes:?}");
        }
    }
}

/// The indexes are not charged. A refused put returns no capacity, and neither does a batch without a success.
#[tokio::test(flavor = "multi_thread")]
async fn an_insert_of_a_stored_event_consumes_write_units_of_the_table() {
    let stack = Stack::start().await;
    let items: Vec<Item> = items("60").into_iter().take(25).collect();
    let (new, stored) = items.split_first().unwrap();
    stack.storage.put_all(stored.to_vec()).await;
    let statements = [new].into_iter().chain(stored).map(|item| {
        let names: Vec<String> = item.keys().map(|name| format!("'{name}':?")).collect();
        let table = &stack.instance.events_table;
        BatchStatementRequest::builder()
            .statement(format!("INSERT INTO \"{table}\" VALUE {{{}}}", names.join(",")))
            .set_parameters(Some(item.values().cloned().collect()))
            .build()
            .unwrap()
    });
    let call = stack.storage.aws().dynamodb.batch_execute_statement();
    let answer = call
        .set_statements(Some(statements.collect()))
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .send()
        .await
        .unwrap();
    let codes = answer.responses().iter().map(|response| response.error()?.code());
    let refused = codes.filter(|code| *code == Some(&BatchStatementErrorCodeEnum::DuplicateItem));
    assert_eq!(refused.count(), stored.len());
    let [consumed] = answer.consumed_capacity() else {
        panic!("one table: {answer:?}")
    };
    let units = |part: Option<&Capacity>| part.unwrap().capacity_units().unwrap();
    let indexes = consumed.global_secondary_indexes().unwrap();
    let written = units(consumed.table()) + indexes.values().map(|index| units(Some(index))).sum::<f64>();
    assert_eq!(written, 3.0 * usage::WRITE_UNITS_PER_EVENT);
    let refused = consumed.capacity_units().unwrap() - written;
    assert_eq!(refused, usage::WRITE_UNITS_PER_REFUSAL * stored.len() as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_and_entries_have_the_estimated_size() {
    let items = items("4000");
    assert!(items.iter().all(|item| item::size(item) <= 1024), "one unit each");
    let stack = Stack::start().await;
    stack.storage.put_all(items.clone()).await;
    let entries = async |index: &str| -> Vec<Item> {
        let scan = stack.storage.aws().dynamodb.scan();
        let scan = scan.table_name(&stack.instance.events_table).index_name(index);
        scan.into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .unwrap()
    };
    for (what, items, estimated) in [
        ("item", items, usage::ITEM_BYTES),
        (
            "recipient-index",
            entries("recipient-index").await,
            usage::RECIPIENT_ENTRY_BYTES,
        ),
        ("day-index", entries("day-index").await, usage::DAY_ENTRY_BYTES),
    ] {
        let mean = items.iter().map(item::size).sum::<usize>() as f64 / items.len() as f64;
        assert!((mean / estimated - 1.0).abs() < 0.02, "{what}: {mean:.1} bytes");
    }
}

/// An item as DynamoDB's exports write it.
fn dynamodb_json(value: &AttributeValue) -> serde_json::Value {
    match value {
        AttributeValue::S(text) => serde_json::json!({"S": text}),
        AttributeValue::N(number) => serde_json::json!({"N": number}),
        AttributeValue::Bool(flag) => serde_json::json!({"BOOL": flag}),
        AttributeValue::Null(flag) => serde_json::json!({"NULL": flag}),
        AttributeValue::L(list) => {
            serde_json::json!({"L": list.iter().map(dynamodb_json).collect::<Vec<_>>()})
        }
        AttributeValue::M(map) => {
            let fields = map
                .iter()
                .map(|(name, value)| (name.clone(), dynamodb_json(value)));
            serde_json::json!({"M": fields.collect::<serde_json::Map<_, _>>()})
        }
        other => panic!("no item has {other:?}"),
    }
}

#[test]
fn an_exported_event_has_the_estimated_size() {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let items = items("4000");
    for item in &items {
        let image = dynamodb_json(&AttributeValue::M(item.clone()));
        let keys = serde_json::json!({"message_id": image["M"]["message_id"], "status_key": image["M"]["status_key"]});
        let metadata = serde_json::json!({"WriteTimestampMicros": {"N": format!("{}000", item["received_at"].as_n().unwrap())}});
        let line = serde_json::json!({"Metadata": metadata, "Keys": keys, "NewImage": image["M"]});
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
    }
    let mean = file.finish().unwrap().len() as f64 / items.len() as f64;
    assert!(
        (mean / usage::EXPORTED_BYTES - 1.0).abs() < 0.05,
        "{mean:.1} bytes"
    );
}

/// With one item for each quarter of an hour. Under heavy traffic, a quarter has up to ten.
#[tokio::test(flavor = "multi_thread")]
async fn an_overview_consumes_the_estimated_read_units() {
    let stack = Stack::start().await;
    let items = simulate(&["--days", "30", "--messages", "4000"]);
    let deltas = deltas(&items);
    let (rollups, until) = (stack.rollups().await, Instant::now() + Duration::from_mins(1));
    for deltas in deltas.chunks(100) {
        rollups.count("0", deltas, until).await.unwrap();
    }
    rollups.merge("0", until).await.unwrap();
    let mut units = 0.0;
    for series in [
        "0#all",
        "0#names",
        "0#league#tags",
        "0#league#bots",
        "0#league#campaigns",
        "0#league#templates",
        "0#league#countries",
    ] {
        let query = stack.storage.aws().dynamodb.query();
        let query = query
            .table_name(&stack.instance.rollups_table)
            .key_condition_expression("series = :series")
            .expression_attribute_values(":series", AttributeValue::S(series.into()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            units += page
                .unwrap()
                .consumed_capacity()
                .unwrap()
                .capacity_units()
                .unwrap();
        }
    }
    let estimated = usage::READ_UNITS_PER_OVERVIEW;
    assert!(
        (units / estimated - 1.0).abs() < 0.2,
        "{units} units, estimated {estimated}"
    );
}

/// The counts of events and of their messages.
fn deltas(items: &[Item]) -> Vec<CounterDelta> {
    let known = KnownMessages::among(items);
    let messages = known.parsed();
    items
        .iter()
        .filter_map(|item| CounterDelta::all(item, &messages))
        .collect()
}

/// The items, and so many of them that arrive at their event time, one each `interval` milliseconds. The other events of
/// their messages move with the first of them, so the time between the events of a message stays real.
fn arriving(items: &[Item], number: usize, interval: i64) -> (Vec<Item>, Vec<Item>) {
    let time = |item: &Item| item::number_at(item, "event_time").unwrap();
    let set = |item: &mut Item, at: i64| {
        for name in ["event_time", "received_at"] {
            item.insert(name.to_owned(), AttributeValue::N(at.to_string()));
        }
    };
    let mut items = items.to_vec();
    // From the busy half of the day.
    let taken = items.len() / 2..items.len() / 2 + number;
    let mut moved: HashMap<String, i64> = HashMap::new();
    for (item, index) in items[taken.clone()].iter_mut().zip(0..) {
        let at = simulated::UNTIL + index * interval;
        let id = item["message_id"].as_s().unwrap().clone();
        moved.entry(id).or_insert(at - time(item));
        set(item, at);
    }
    for (index, item) in items.iter_mut().enumerate() {
        if let Some(moved) = moved
            .get(item["message_id"].as_s().unwrap())
            .filter(|_| !taken.contains(&index))
        {
            let at = time(item) + moved;
            set(item, at);
        }
    }
    let arriving = items[taken].to_vec();
    (items, arriving)
}

/// In the middle of a day, so that the items of the day have their usual size.
#[tokio::test(flavor = "multi_thread")]
async fn counting_and_merging_consume_the_estimated_write_units() {
    const SHARDS: usize = 4;
    let items = items("9000");
    // Sizes of batches, the seconds in which the events of one arrive, and the batches of a merge.
    for (batch, seconds, batches) in [(1, 60, 64), (7, 55, 64), (58, 55, 64), (500, 52, 24)] {
        let stack = Stack::start().await;
        let rollups = stack.rollups().await;
        let interval = seconds * 1_000 / i64::try_from(SHARDS * batch).unwrap();
        let (items, taken) = arriving(&items, batch * batches, interval);
        let known = KnownMessages::among(&items);
        let messages = known.parsed();
        let deltas = |items: &[Item]| -> Vec<CounterDelta> {
            let of = |item| CounterDelta::all(item, &messages);
            items.iter().filter_map(of).collect()
        };
        let soon = || Instant::now() + Duration::from_mins(1);
        let earlier = deltas(&items[..items.len() / 2]);
        for deltas in earlier.chunks(500) {
            rollups.count("1", deltas, soon()).await.unwrap();
        }
        rollups.merge("1", soon()).await.unwrap();
        // Deletes what was merged.
        rollups.merge("1", soon()).await.unwrap();
        let mut counting = 0.0;
        for of_all_shards in taken.chunks(SHARDS * batch) {
            for shard in 0..SHARDS {
                let items: Vec<Item> = of_all_shards
                    .iter()
                    .skip(shard)
                    .step_by(SHARDS)
                    .cloned()
                    .collect();
                let counted = rollups.count("1", &deltas(&items), soon()).await.unwrap();
                counting += counted.write_units;
            }
        }
        let merged = rollups.merge("1", soon()).await.unwrap();
        assert_eq!(merged.batches, batches);
        let deleting = rollups.merge("1", soon()).await.unwrap().write_units;
        let (size, span) = (batch as f64, seconds as f64);
        let rate = SHARDS as f64 * size / span;
        for (what, measured, estimated) in [
            (
                "counting",
                counting / batches as f64,
                usage::counted_units(size, span, rate),
            ),
            ("deleting", deleting / batches as f64, usage::pending_kb(size)),
            (
                "merging",
                merged.write_units,
                usage::merged_units(size * batches as f64),
            ),
        ] {
            assert!(
                (0.75..=1.25).contains(&(measured / estimated)),
                "{what} batches of {batch} in {seconds} s: {measured} units, estimated {estimated}"
            );
        }
    }
}

/// Batches have the events of 55 seconds: often several of a message, which is read once.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_consumes_the_estimated_read_units_for_messages() {
    const WINDOW_MS: i64 = 55_000;
    const BATCHES: usize = 150;
    let items = items("4000");
    let stack = Stack::start().await;
    stack.storage.put_all(items.clone()).await;
    let records = stack.stream();
    let arrived = |record: &Value| -> i64 {
        let at = &record["dynamodb"]["NewImage"]["received_at"]["N"];
        at.as_str().unwrap().parse().unwrap()
    };
    let projector = stack.function("projector", &[("SEARCH_INDEX", "false")]).await;
    let mut events = 0;
    // From the busy half of the day.
    let batches = records[records.len() / 2..]
        .chunk_by(|one, other| arrived(one).div_euclid(WINDOW_MS) == arrived(other).div_euclid(WINDOW_MS));
    for batch in batches.take(BATCHES) {
        events += batch.len();
        let reply = projector.invoke(&json!({ "Records": batch })).await;
        assert_eq!(reply.payload["batchItemFailures"], json!([]));
    }
    projector.until_lines(BATCHES).await;
    let lines = projector.json_lines();
    let units = lines.iter().filter_map(|line| line["read_units"].as_f64());
    let measured = units.sum::<f64>() / events as f64;
    let estimated = usage::READ_UNITS_FOR_MESSAGE;
    assert!(
        (measured / estimated - 1.0).abs() < 0.05,
        "{measured} units an event, estimated {estimated}"
    );
}

/// Each item of a lookup has at most 1 KB, so each write is one unit, and a read half a unit.
#[tokio::test(flavor = "multi_thread")]
async fn the_search_consumes_the_estimated_units() {
    const BATCH: usize = 58;
    let items = items("2000");
    let stack = Stack::start().await;
    stack.storage.put_all(items.clone()).await;
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    stack.table.decide(move |call| {
        // Each update and each insert names its lookup once.
        if ["UpdateItem", "BatchExecuteStatement"].contains(&call.operation) {
            let lookups = call.body.windows(5).filter(|part| part == b"find#").count();
            count.fetch_add(lookups, Ordering::Relaxed);
        }
        Treatment::Pass
    });
    let projector = stack.function("projector", &[]).await;
    for records in stack.stream().chunks(BATCH) {
        let reply = projector.invoke(&json!({ "Records": records })).await;
        assert_eq!(reply.payload["batchItemFailures"], json!([]));
    }
    let events = items.len() as f64;
    let writes = written.load(Ordering::Relaxed) as f64 / events;
    let reads: usize = items.chunks(BATCH).map(lookups).sum();
    let reads = 0.5 * reads as f64 / events;
    let mut bytes = 0;
    for item in stack.storage.rollup_items().await {
        if item["series"].as_s().unwrap().starts_with("find#") {
            assert!(item::size(&item) <= 1024, "one unit: {item:?}");
            bytes += item::size(&item) + 100;
        }
    }
    let measured = [writes, reads, bytes as f64 / events];
    let estimated = [
        usage::LOOKUP_WRITE_UNITS_PER_EVENT,
        usage::LOOKUP_READ_UNITS_PER_EVENT,
        // Kept forever, the bill includes a year.
        1e9 * usage::lookups_gb(1.0, 0) * 730.0 / 24.0 / 365.0,
    ];
    let is_close = measured
        .iter()
        .zip(estimated)
        .all(|(measured, estimated)| (measured / estimated - 1.0).abs() < 0.05);
    assert!(
        is_close,
        "write units, read units, bytes: {measured:?}, estimated {estimated:?}"
    );
}

/// The number of lookups of some events.
fn lookups(items: &[Item]) -> usize {
    let mut keys = BTreeSet::new();
    for item in items {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        let id = text("message_id").unwrap();
        let further = item
            .get("identities")
            .and_then(|list| list.as_l().ok())
            .into_iter()
            .flatten();
        let people = text("recipient")
            .into_iter()
            .chain(further.filter_map(|id| id.as_s().ok()));
        let numbers = people.filter(|id| id.len() >= 4 && id.bytes().all(|byte| byte.is_ascii_digit()));
        keys.extend(numbers.map(|number| ("digits", number.as_str(), String::new(), String::new())));
        for name in ["request_id", "callback_data"] {
            if let Some(value) = text(name).filter(|value| !value.trim().is_empty() && *value != id) {
                let day = webhook_ingest::event::time::utc_day(item::number_at(item, "event_time").unwrap());
                // One of eight slots of a day.
                keys.insert((name, value.as_str(), day, id.clone()));
            }
        }
    }
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_logs_the_estimated_number_of_bytes() {
    const REQUESTS: usize = 20;
    let body = |number: usize| {
        let mut events = fixtures::events(number, 1);
        // An event that is not late.
        events[0]["event_time"] = json!(webhook_ingest::event::time::now() / 1000);
        fixtures::body(&events)
    };
    for (filter, estimated) in [
        ("info", usage::LOG_BYTES_PER_REQUEST),
        ("warn", usage::METRICS_BYTES_PER_REQUEST),
    ] {
        let stack = Stack::start().await;
        let function = stack.function("event-webhook", &[("RUST_LOG", filter)]).await;
        // The first request includes what the start logs.
        function.post(&body(0)).await;
        function.line(|line| line["Stored"] == 1).await;
        let before = function.lines().len();
        for number in 1..=REQUESTS {
            assert_eq!(function.post(&body(number)).await.status, 200);
        }
        function.until_lines(before + REQUESTS).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let lines = function.lines().split_off(before);
        assert_eq!(lines.len(), REQUESTS, "one line each");
        let line = lines.iter().map(String::len).sum::<usize>() as f64 / REQUESTS as f64;
        let each = line + usage::LOG_BYTES_PER_LINE;
        assert!(
            (0.95..=1.05).contains(&(each / estimated)),
            "{filter}: {each} bytes for a request"
        );
    }
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
    let lines: Vec<&str> = template.lines().map(str::trim_end).collect();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let line = *line;
        // A loop (`Fn::ForEach`) creates one resource per name in its list.
        if line == "    - !Ref Receivers" {
            copies = default_receivers().len();
        } else if line.starts_with("    - [") {
            copies = line.split(',').count();
        } else if line.starts_with("  ") && !line.starts_with("   ") {
            copies = 1;
        // The fan-out is not in the defaults.
        } else if line.trim() == "Type: AWS::CloudWatch::Alarm" && next.trim() != "Condition: FansOut" {
            alarms += copies;
        }
    }
    assert_eq!(alarms as f64, usage::ALARMS);
    assert_eq!(default_receivers().len() as f64, usage::RECEIVERS);
}

/// The defaults of the command are those of the template.
#[test]
fn the_command_and_the_template_have_the_same_defaults() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let default = |parameter: &str| {
        let (_, parameter) = template.split_once(&format!("\n  {parameter}:\n")).unwrap();
        let (_, value) = parameter.split_once("    Default: ").unwrap();
        value.lines().next().unwrap().to_owned()
    };
    let options: cost::Options = options(&["--events-per-month", "1"]);
    assert_eq!(default("Architecture"), "arm64");
    assert_eq!(options.architecture, Architecture::Arm64);
    assert_eq!(default("MemorySize"), options.memory.to_string());
    assert_eq!(default("RetentionDays"), options.retention_days.to_string());
    assert_eq!(
        default("LogRetentionDays"),
        options.log_retention_days.to_string()
    );
    assert_eq!(
        default("ProjectorWindowSeconds"),
        options.projector_window.to_string()
    );
    for index in ["RecipientIndex", "DayIndex"] {
        assert_eq!(default(index), "lean");
    }
    assert_eq!(options.indexes, IndexContent::Lean);
    assert_eq!(default("SearchIndex"), "\"true\"");
    assert!(!options.no_search_index);
    assert_eq!(default("EventsTableClass"), "STANDARD");
    assert_eq!(options.table_class, TableClass::Standard);
}

fn part(bill: &Bill, name: &str) -> f64 {
    let found = bill.lines.iter().find(|line| line.part == name);
    found.map_or(0.0, |line| line.usd)
}

#[test]
fn a_bill_is_the_sum_of_its_parts_and_follows_the_options() {
    let with = |words: &[&str]| bill(&[&["--events-per-month", "10M"], words].concat());
    let all = with(&[]);
    let sum: f64 = all.lines.iter().map(|line| line.usd).sum();
    assert!((all.usd - sum).abs() < 1e-9);
    let close =
        |measured: f64, expected: f64| assert!((measured - expected).abs() < 1e-9, "{measured} {expected}");
    close(part(&all, "events: writes of the table"), 6.25);
    close(part(&all, "events: writes of day-index"), 6.25);
    // 1 % of the events again: 10.1 million requests, and 100,000 refused puts.
    close(part(&all, "receivers: requests"), 2.02);
    close(part(&all, "events: repeated deliveries"), 0.0625);
    close(part(&with(&["--duplicates", "0"]), "receivers: requests"), 2.0);
    // In a body of several events, a statement and a put are refused.
    let batched = with(&["--batch", "100"]);
    close(part(&batched, "receivers: requests"), 0.0202);
    close(part(&batched, "events: repeated deliveries"), 0.125);
    // 10 million events are 4.24 GB, and 730 exports are billed for 10 MB each.
    close(part(&with(&["--analytics"]), "analytics: exports"), 0.73);
    close(
        part(
            &bill(&["--events-per-month", "100M", "--analytics"]),
            "analytics: exports",
        ),
        4.24,
    );
    close(part(&all, "analytics: exports"), 0.0);
    // Two more write units per event, and longer invocations.
    assert!(all.two_write_usd > all.usd + 2.0 * 6.25);

    let without = with(&["--no-recipient-index", "--no-day-index"]);
    let indexes = part(&all, "storage: day-index") + part(&all, "storage: recipient-index");
    close(all.usd - without.usd, 2.0 * 6.25 + indexes);
    let unsearched = with(&["--no-search-index"]);
    let lookups = part(&all, "storage: the lookups") * (1.0 + 0.2 / 0.25);
    close(
        all.usd - unsearched.usd,
        part(&all, "search: writes of lookups") + part(&all, "search: reads of lookups") + lookups,
    );
    let whole = with(&["--indexes", "whole"]);
    close(
        part(&whole, "storage: day-index"),
        part(&whole, "storage: the table"),
    );
    assert!(part(&all, "storage: day-index") * 2.0 < part(&whole, "storage: day-index"));

    let intel = with(&["--architecture", "x86_64"]);
    assert!(part(&intel, "receivers: duration") > part(&all, "receivers: duration"));
    let short = with(&["--retention-days", "30"]);
    close(
        part(&all, "storage: the table") / part(&short, "storage: the table"),
        6.0,
    );
    let set = with(&["--rollup-units", "0.3"]);
    close(part(&set, "counters: writes"), 1.875);
    let prompt = with(&["--projector-window", "5"]);
    assert!(part(&prompt, "counters: writes") > part(&all, "counters: writes"));
    let logs = with(&["--log-retention-days", "60"]);
    close(
        part(&logs, "CloudWatch: stored logs"),
        2.0 * part(&all, "CloudWatch: stored logs"),
    );
}

#[test]
fn the_infrequent_access_class_is_recommended_when_it_is_cheaper() {
    let of = |class: &str, days: &str| {
        bill(&[
            "--events-per-month",
            "10M",
            "--table-class",
            class,
            "--retention-days",
            days,
        ])
    };
    let (standard, infrequent) = (of("standard", "180"), of("infrequent-access", "180"));
    // Writes 25 % more, storage 60 % less.
    let writes = |bill: &Bill| {
        let events = bill.lines.iter().filter(|line| line.part.starts_with("events:"));
        events.map(|line| line.usd).sum::<f64>()
    };
    let stored = |bill: &Bill| {
        [
            "storage: the table",
            "storage: recipient-index",
            "storage: day-index",
        ]
        .map(|name| part(bill, name))
        .iter()
        .sum::<f64>()
    };
    assert!((writes(&infrequent) / writes(&standard) - 1.25).abs() < 1e-9);
    assert!((stored(&infrequent) / stored(&standard) - 0.4).abs() < 1e-9);
    let cheaper = standard.cheaper_class.unwrap();
    assert_eq!(cheaper.usd, infrequent.usd);
    assert!(
        standard
            .to_string()
            .contains("\nwith STANDARD_INFREQUENT_ACCESS ")
    );
    assert_eq!(infrequent.cheaper_class, None);
    // docs/costs.md states the number of days.
    let days = CHEAPER_FROM.parse::<u32>().unwrap();
    assert_eq!(of("standard", &(days - 1).to_string()).cheaper_class, None);
    assert!(of("standard", CHEAPER_FROM).cheaper_class.is_some());
    let costs = fs::read_to_string(root().join("docs/costs.md")).unwrap();
    assert!(costs.contains(&format!("from {CHEAPER_FROM} days on")));
}

#[test]
fn the_free_tier_is_subtracted_once() {
    let list = bill(&["--events-per-month", "1M"]);
    let free = bill(&["--events-per-month", "1M", "--free-tier"]);
    let quantity = |unit: &str| {
        let lines = free.lines.iter().filter(|line| line.of.contains(unit));
        lines.fold((0.0, 0.0), |(all, free), line| {
            (all + line.quantity, free + line.free)
        })
    };
    // Two functions share a million requests; the storage of three tables' parts is below 25 GB.
    let (requests, requests_free) = quantity("Lambda requests");
    assert!(requests > 1.0);
    assert!((requests_free - 1.0).abs() < 1e-9);
    let (stored, stored_free) = quantity("GB-month in a table or index");
    assert!(stored < 25.0);
    assert!((stored - stored_free).abs() < 1e-9);
    assert_eq!(part(&free, "storage: the table"), 0.0);
    assert_eq!(part(&free, "receivers: duration"), 0.0);
    // Nothing is free of writes on demand, and of recovery.
    for name in ["events: writes of the table", "storage: point-in-time recovery"] {
        assert_eq!(part(&free, name), part(&list, name), "{name}");
    }
    assert!(free.usd < list.usd);
    // The other class has no free storage.
    assert_eq!(free.cheaper_class, None);
}

#[test]
fn services_cost_what_their_pages_say() {
    let usd = |events: &str| -> Vec<(&str, [f64; 2])> {
        let services = bill(&["--events-per-month", events]).services;
        services
            .into_iter()
            .map(|service| (service.name, service.usd.map(f64::round)))
            .collect()
    };
    let expected = [
        ("Hookdeck Team", [42.0, 49.0]),
        ("Hookdeck Growth", [502.0, 509.0]),
        ("Svix Free", [95.0, 95.0]),
        ("Svix Professional", [585.0, 585.0]),
    ];
    assert_eq!(usd("1M"), expected);
    assert_eq!(usd("10k")[0], ("Hookdeck Team", [39.0, 39.0]));
}

/// The rows of the table in docs/costs.md: a name, and options.
const ROWS: [(&str, &[&str]); 8] = [
    ("defaults", &[]),
    ("`SearchIndex=false`", &["--no-search-index"]),
    (
        "`EventsTableClass=STANDARD_INFREQUENT_ACCESS`",
        &["--table-class", "infrequent-access"],
    ),
    (
        "both",
        &["--no-search-index", "--table-class", "infrequent-access"],
    ),
    (
        "both, and `LogFilter=warn`",
        &[
            "--no-search-index",
            "--table-class",
            "infrequent-access",
            "--log-filter",
            "warn",
        ],
    ),
    ("defaults, free tier subtracted", &["--free-tier"]),
    ("the least possible", &LEAST),
    (
        "whole indexes, a window of 5 seconds",
        &["--indexes", "whole", "--projector-window", "5"],
    ),
];
/// No index, a week, and the smallest functions.
const LEAST: [&str; 9] = [
    "--no-recipient-index",
    "--no-day-index",
    "--no-search-index",
    "--retention-days",
    "7",
    "--memory",
    "128",
    "--log-filter",
    "warn",
];
/// Days of retention from which the other table class is cheaper.
const CHEAPER_FROM: &str = "96";

#[test]
fn the_documentation_shows_what_the_command_prints() {
    let costs = fs::read_to_string(root().join("docs/costs.md")).unwrap();
    let volumes = ["1M", "10M", "100M"];
    let row = |name: &str, figure: &dyn Fn(&str) -> String| {
        format!("| {name} | {} |", volumes.map(figure).join(" | "))
    };
    let mut rows: Vec<String> = ROWS
        .iter()
        .map(|(name, options)| {
            row(name, &|events| {
                let bill = bill(&[&["--events-per-month", events], *options].concat());
                format!("${:.0}", bill.usd)
            })
        })
        .collect();
    rows.push(row("two-write design", &|events| {
        format!("${:.0}", bill(&["--events-per-month", events]).two_write_usd)
    }));
    for (index, service) in bill(&["--events-per-month", "1M"]).services.iter().enumerate() {
        rows.push(row(
            &format!("{}, {} days", service.name, service.retention_days),
            &|events| {
                let [low, high] = bill(&["--events-per-month", events]).services[index].usd;
                if high - low < 0.5 {
                    format!("${low:.0}")
                } else {
                    format!("${low:.0} to ${high:.0}")
                }
            },
        ));
    }
    for (name, parts) in [
        ("receivers", "receivers:"),
        ("events, writes of the table and both indexes", "events:"),
        ("counters", "counters:"),
        ("search", "search:"),
        ("storage, with recovery", "storage:"),
        ("dashboard", "dashboard:"),
        ("queues", "queues:"),
        ("CloudWatch", "CloudWatch:"),
    ] {
        rows.push(row(name, &|events| {
            let bill = bill(&["--events-per-month", events]);
            let lines = bill.lines.iter().filter(|line| line.part.starts_with(parts));
            format!("${:.2}", lines.map(|line| line.usd).sum::<f64>())
        }));
    }
    rows.push(row("`Analytics=true`", &|events| {
        let bill = bill(&["--events-per-month", events, "--analytics"]);
        let lines = bill
            .lines
            .iter()
            .filter(|line| line.part.starts_with("analytics:"));
        format!("${:.2}", lines.map(|line| line.usd).sum::<f64>())
    }));
    let missing: Vec<&str> = rows
        .iter()
        .map(String::as_str)
        .filter(|row| !costs.contains(row))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/costs.md lacks these rows:\n{}",
        missing.join("\n")
    );
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
    assert_eq!(json["lines"].as_array().unwrap().len(), 29);
    let refused = Command::new(function::command())
        .args(["cost", "--events-per-month", "1.5"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
