//! The counters against a plain recount of the events: whatever is delivered again, split, shuffled,
//! at once or through faults, every event is counted once.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this is all tests, helpers included"
)]

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use integration_tests::{
    binary::Function,
    fixtures::{body, events, post, samples},
    ledger::letters,
    proxy::Treatment::{CutAfter, Hang, Pass, ServerError, Throttle, Unprocessed},
    scene::Scene,
};
use netcore_webhooks::local::RunningInstance;
use projector::{rebuild::rebuild, rollups::Rollups};
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item::{self, Arrival},
    operations::clients::Timeouts,
    provider::{self, netcore_events},
};

/// `series` without its generation, day or hour, counter → count.
type Counts = BTreeMap<(String, String, String), u64>;

/// A counter's name as docs/query.md describes it.
fn named(kind: &str, parts: &[&str]) -> String {
    let escaped = parts.iter().map(|part| {
        let bytes = part.bytes().map(|byte| match byte {
            b'%' | b'#' | b'|' | b'&' | b'=' | 0..=31 | 127.. => format!("%{byte:02X}"),
            byte => char::from(byte).to_string(),
        });
        bytes.collect::<String>()
    });
    std::iter::once(kind.to_owned())
        .chain(escaped)
        .collect::<Vec<_>>()
        .join("|")
}

/// Fails with what differs, and nothing else.
fn assert_same(counted: &Counts, expected: &Counts) {
    let without = |one: &Counts, other: &Counts| -> Counts {
        let differs = one.iter().filter(|(key, count)| other.get(*key) != Some(count));
        differs.map(|(key, count)| (key.clone(), *count)).collect()
    };
    assert_eq!(without(counted, expected), without(expected, counted));
}

/// Counts again from the events' items, one at a time and without the projector's code.
async fn recount(scene: &Scene) -> Counts {
    let mut counts = Counts::new();
    for event in scene.ledger.items().await {
        let event = Value::Object(item::to_json(&event));
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (channel, status) = (text("channel"), text("status"));
        let second = event["event_time"].as_i64().unwrap() / 1000;
        let day = webhook_ingest::event::time::utc_day(second * 1000);
        let hour = format!("{day}T{:02}", second / 3600 % 24);
        let mut series = vec!["all".to_owned()];
        let tags: BTreeSet<&str> = event["tags"].as_array().map_or(BTreeSet::new(), |tags| {
            tags.iter()
                .filter_map(Value::as_str)
                .filter(|tag| !tag.is_empty())
                .collect()
        });
        series.extend(tags.iter().map(|tag| format!("tag={tag}")));
        let bot = match text("bot_id") {
            number if number.len() > 6 && number.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{}{}", "*".repeat(number.len() - 3), &number[number.len() - 3..])
            }
            id => id,
        };
        if !bot.is_empty() {
            series.push(format!("bot={bot}"));
            series.extend(tags.iter().map(|tag| format!("bot={bot}&tag={tag}")));
        }
        let of_status = named("s", &[&channel, &status]);
        let mut of_day = vec![of_status.clone()];
        if !text("message_type").is_empty() {
            of_day.push(named("t", &[&channel, &text("message_type")]));
        }
        if ["failed", "not_sent", "blocked"].contains(&status.as_str()) {
            let reason = match text("remarks") {
                none if none.is_empty() => "no reason given".to_owned(),
                remarks => remarks,
            };
            of_day.push(named("f", &[&channel, &reason]));
        }
        if let Some(billable) = event["pricing"]["billable"].as_bool() {
            let category = event["pricing"]["category"].as_str().unwrap();
            let billable = if billable { "1" } else { "0" };
            of_day.push(named("b", &[&channel, category, billable, &status]));
        }
        for series in series {
            for counter in &of_day {
                *counts
                    .entry((series.clone(), format!("day#{day}"), counter.clone()))
                    .or_default() += 1;
            }
            *counts
                .entry((series, format!("hour#{hour}"), of_status.clone()))
                .or_default() += 1;
        }
    }
    counts
}

/// What the counters' table holds for a generation, all slots added up.
async fn counted(place: &RunningInstance, generation: &str) -> Counts {
    let client = place.aws(Timeouts::unhurried()).await.dynamodb;
    let mut counts = Counts::new();
    let mut pages = client
        .scan()
        .table_name(&place.rollups_table)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for row in page.unwrap().items.unwrap_or_default() {
            let row = item::to_json(&row);
            let Some((of, series)) = row["series"].as_str().unwrap().split_once('#') else {
                continue;
            };
            let period = row["period"].as_str().unwrap();
            let moment: Vec<&str> = period.split('#').take(2).collect();
            for (name, count) in &row {
                let is_counter = ["s|", "f|", "b|", "t|"].iter().any(|kind| name.starts_with(kind));
                // A test breaks one by writing a text into it.
                if let Some(count) = count.as_u64().filter(|_| of == generation && is_counter) {
                    let key = (series.to_owned(), moment.join("#"), name.clone());
                    *counts.entry(key).or_default() += count;
                }
            }
        }
    }
    counts
}

/// Every sample of every receiver and some hundred more events, stored by the real binaries.
async fn store(scene: &Scene) {
    for function in [
        "event-webhook",
        "fallback-sms",
        "incoming-webhook",
        "delivery-status",
        "rcs-callback",
    ] {
        // Nothing goes to the queue because a busy machine was slow.
        let receiver = scene.function(function, &[("ACK_BUDGET_MS", "60000")]).await;
        for (name, sample) in samples(function) {
            let answer = receiver.request(&post(&sample)).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        }
        if function == "event-webhook" {
            let mut more = events(0, 300);
            for (place, event) in more.iter_mut().enumerate() {
                event["nc_bot_id"] = json!((place % 3).to_string());
                event["event_time"] = json!(1_704_876_833 + place * 600);
            }
            assert_eq!(receiver.request(&post(&body(&more))).await.status, 200);
        }
    }
}

async fn deliver(projector: &Function, records: &[Value]) -> Vec<Value> {
    let reply = projector.invoke(&json!({ "Records": records })).await;
    reply.payload["batchItemFailures"].as_array().unwrap().clone()
}

/// The same disorder in every run.
fn shuffled<T>(mut list: Vec<T>) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for place in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        list.swap(place, usize::try_from(state % (place as u64 + 1)).unwrap());
    }
    list
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_delivery_counts_every_event_once() {
    let scene = Scene::set().await;
    store(&scene).await;
    let records = scene.stream();
    let expected = recount(&scene).await;
    let events = scene.ledger.items().await.len();
    assert_eq!(records.len(), events);
    assert!(events > 350, "{events}");

    let projectors = join_all((0..3).map(|_| scene.function("projector", &[]))).await;
    // The stream as it is; then split otherwise, in disorder and by three at once, twice.
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projectors[0], batch).await, Vec::<Value>::new());
    }
    assert_same(&counted(&scene.place, "0").await, &expected);
    let batches: Vec<Vec<Value>> = shuffled(records).chunks(37).map(<[Value]>::to_vec).collect();
    let again = shuffled([batches.clone(), batches].concat());
    for three in again.chunks(3) {
        let deliveries = three
            .iter()
            .zip(&projectors)
            .map(|(batch, projector)| deliver(projector, batch));
        for failures in join_all(deliveries).await {
            assert_eq!(failures, Vec::<Value>::new());
        }
    }
    assert_same(&counted(&scene.place, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_delivery_may_be_shuffled_split_repeated_and_simultaneous() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let projectors = join_all((0..3).map(|_| scene.function("projector", &[]))).await;
    let records = scene.stream();
    let batches: Vec<Vec<Value>> = shuffled([records.clone(), records].concat())
        .chunks(61)
        .map(<[Value]>::to_vec)
        .collect();
    for three in batches.chunks(3) {
        let deliveries = three
            .iter()
            .zip(&projectors)
            .map(|(batch, projector)| deliver(projector, batch));
        for failures in join_all(deliveries).await {
            assert_eq!(failures, Vec::<Value>::new());
        }
    }
    assert_same(&counted(&scene.place, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_fails_makes_the_batch_come_again_from_where_it_failed() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let records = scene.stream();
    let projector = scene.function("projector", &[]).await;
    for treatment in [ServerError, Throttle] {
        // The first three commits pass; what follows fails for longer than the function has.
        scene.table.decide(move |call| match call.operation {
            "TransactWriteItems" if call.number > 3 => treatment,
            _ => Pass,
        });
        let reply = projector
            .invoke_within(&json!({ "Records": records }), std::time::Duration::from_secs(4))
            .await;
        let failures = reply.payload["batchItemFailures"].as_array().unwrap();
        assert_eq!(failures.len(), 1, "{}", reply.payload);
        let first = records
            .iter()
            .position(|record| record["dynamodb"]["SequenceNumber"] == failures[0]["itemIdentifier"]);
        assert!(first.is_some_and(|first| first > 0), "{}", reply.payload);
        scene.table.recover().await;
        scene.table.forget();
    }
    // Commits that were made but not answered are found made.
    scene.table.decide(|call| match call.operation {
        "TransactWriteItems" if call.number % 2 == 1 => CutAfter,
        _ => Pass,
    });
    assert_eq!(deliver(&projector, &records).await, Vec::<Value>::new());
    assert_same(&counted(&scene.place, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_new_event_is_passed_over() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let mut records = scene.stream();
    let mut removed = records[0].clone();
    removed["eventName"] = json!("REMOVE");
    let mut changed = records[1].clone();
    changed["eventName"] = json!("MODIFY");
    let mut foreign = records[2].clone();
    foreign["dynamodb"]["NewImage"] = json!({"series": {"S": "x"}});
    let mut broken = records[3].clone();
    broken["dynamodb"]["NewImage"] = json!("nonsense");
    records.extend([
        removed,
        changed,
        foreign,
        broken,
        json!({}),
        json!({"eventName": "INSERT"}),
    ]);
    let projector = scene.function("projector", &[]).await;
    assert_eq!(deliver(&projector, &records).await, Vec::<Value>::new());
    let log = projector.line(|line| line["message"] == "batch").await;
    assert_eq!(log["uncountable"], 4, "{log}");
    let events = records.len() - 6;
    let metrics = projector.line(|line| line.get("Projected").is_some()).await;
    assert_eq!(
        (
            &metrics["Projected"],
            &metrics["Unprojectable"],
            &metrics["Function"]
        ),
        (&json!(events), &json!(4), &json!("projector")),
        "{metrics}"
    );
    assert_same(&counted(&scene.place, "0").await, &expected);
    assert_eq!(deliver(&projector, &[]).await, Vec::<Value>::new());
    assert_eq!(deliver(&projector, &records[..7]).await, Vec::<Value>::new());
    let metrics = projector.line(|line| line.get("Replayed").is_some()).await;
    assert_eq!(metrics["Replayed"], 7, "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_counts_the_table_anew_while_events_arrive() {
    let scene = Scene::set().await;
    store(&scene).await;
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb.clone(), scene.place.rollups_table.clone());
    let projector = scene.function("projector", &[]).await;
    let mut old = scene.stream();
    let rest = old.split_off(100);
    assert_eq!(deliver(&projector, &old).await, Vec::<Value>::new());

    // Half of the stream is delivered while the table is read, and all of it again afterwards.
    let during = async {
        for batch in rest.chunks(20) {
            assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&rollups, &scene.place.events_table, |_| ()), during);
    let rebuilt = rebuilt.unwrap();
    assert_eq!(rebuilt.events, (old.len() + rest.len()) as u64);
    assert_eq!(rebuilt.skipped, 0);
    for batch in scene.stream().chunks(90) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let current = rollups.generations().await.unwrap();
    assert_eq!(current.next, None);
    assert_ne!(current.current, "0");
    assert_same(
        &counted(&scene.place, &current.current).await,
        &recount(&scene).await,
    );

    // A delivery that began before the change of generations may have counted into the old one after
    // it was cleared; nobody reads that, and the next rebuild clears it.
    rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    let last = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene.place, &last).await, &recount(&scene).await);
    for left in ["0", &current.current] {
        assert_eq!(counted(&scene.place, left).await, Counts::new(), "{left}");
    }
}

/// Stores events that arrived longer ago than any stream remembers.
async fn store_old(scene: &Scene, records: &[Value]) {
    let client = scene.place.aws(Timeouts::unhurried()).await.dynamodb;
    let arrival = Arrival {
        at: time::now() - 40 * 86_400_000,
        retention_days: 0,
        late_after_hours: 72,
    };
    for record in records {
        let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).unwrap();
        let item = item::build(event, arrival).unwrap();
        let put = client.put_item().table_name(&scene.place.events_table);
        put.set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_adds_up_old_events_once_though_answers_are_lost() {
    let scene = Scene::set().await;
    let mut records = events(0, 300);
    for (place, record) in records.iter_mut().enumerate() {
        record["nc_bot_id"] = json!((place % 3).to_string());
        record["event_time"] = json!(1_704_876_833 + place * 7200);
        record["status"] = json!(["Sent", "Failed"][place % 2]);
        record["remarks"] = json!(format!("reason {place}"));
    }
    // More counters on one day than one update takes.
    for (place, record) in records[..170].iter_mut().enumerate() {
        record["event_time"] = json!(1_704_876_833);
        if place < 90 {
            record["status"] = json!("Failed");
            record["type"] = json!(format!("type {}", place % 45));
        } else {
            record["status"] = json!("Sent");
            record["channel"] = json!(format!("C{}", place % 25));
            record["type"] = json!("");
        }
    }
    store_old(&scene, &records).await;
    let expected = recount(&scene).await;
    // Four of five commits are made and not answered.
    scene.table.decide(|call| match call.operation {
        "TransactWriteItems" if call.number % 5 != 0 => CutAfter,
        _ => Pass,
    });
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb.clone(), scene.place.rollups_table.clone());
    let rebuilt = rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    assert_eq!(rebuilt.events, 300);
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene.place, &current).await, &expected);
    // Each item is written once or twice, not once for every event in it.
    let commits = scene.table.operations()["TransactWriteItems"];
    let items: BTreeSet<_> = expected
        .keys()
        .map(|(series, period, _)| (series, period))
        .collect();
    let needed = items.len().div_ceil(100) + 2;
    assert!(
        commits <= needed * 5,
        "{commits} commits for {} items",
        items.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_counted_goes_aside_and_blocks_nothing() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let events = scene.stream();
    let projector = scene.function("projector", &[]).await;
    // Somebody wrote a text where a bot's count belongs: an update that adds to it is always refused.
    let client = scene.place.aws(Timeouts::unhurried()).await.dynamodb;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let day = events.iter().find_map(|record| {
        let image = &record["dynamodb"]["NewImage"];
        let second = image["event_time"]["N"].as_str()?.parse::<i64>().ok()?;
        (image["bot_id"]["S"] == "1" && image["status"]["S"] == "read").then(|| time::utc_day(second))
    });
    let broken = format!("day#{}#0", day.unwrap());
    let key = [("series", text("0#bot=1")), ("period", text(&broken))];
    let put = client.put_item().table_name(&scene.place.rollups_table);
    let put = put.set_item(Some(
        key.clone().map(|(name, value)| (name.to_owned(), value)).into(),
    ));
    put.item("s|RCS|read", text("many")).send().await.unwrap();
    // And records that are no events, in front of all the others.
    let odd = [
        json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {"series": {"S": "x"}}}}),
        json!({"eventName": 7, "dynamodb": "nonsense"}),
        json!("text"),
    ];
    let records = [odd.to_vec(), events.clone()].concat();
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let letters = letters(&scene.ledger.take_dead().await);
    assert!(letters.len() > 3, "{}", letters.len());
    for letter in &letters {
        assert_eq!(
            (letter.reason.as_str(), letter.function.as_str()),
            ("uncountable", "projector")
        );
        let record: Value = serde_json::from_slice(letter.body.bytes()).unwrap();
        assert!(records.contains(&record), "{record}");
    }
    let metrics = projector.line(|line| line.get("Unprojectable").is_some()).await;
    assert!(metrics["Unprojectable"].as_u64().unwrap() >= 3, "{metrics}");
    // All that is missing is what lies in the queue.
    let total = |counts: &Counts| -> u64 {
        let of_all = counts.iter().filter(|((series, period, counter), _)| {
            series == "all" && period.starts_with("day#") && counter.starts_with("s|")
        });
        of_all.map(|(_, count)| count).sum()
    };
    let now = counted(&scene.place, "0").await;
    assert_eq!(total(&now) + letters.len() as u64 - 3, total(&expected));
    // A rebuild finds it again.
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb, scene.place.rollups_table.clone());
    rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene.place, &current).await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_waits_where_neither_the_table_nor_the_queue_takes_it() {
    let scene = Scene::set().await;
    store(&scene).await;
    let records = scene.stream();
    // A table that is away is no event's fault.
    let away = scene.function("projector", &[("ROLLUPS_TABLE", "nowhere")]).await;
    let first = records[..20]
        .iter()
        .chain([&json!({"eventName": "INSERT"})])
        .cloned()
        .collect::<Vec<_>>();
    let within = std::time::Duration::from_secs(20);
    let reply = away.invoke_within(&json!({ "Records": first }), within).await;
    let failures = reply.payload["batchItemFailures"].clone();
    assert_eq!(
        failures[0]["itemIdentifier"], records[0]["dynamodb"]["SequenceNumber"],
        "{failures}"
    );
    assert_eq!(letters(&scene.ledger.take_dead().await), vec![]);
    // A queue that is away: the record comes again.
    let projector = scene.function("projector", &[]).await;
    scene.queues.always(ServerError);
    let odd = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "77"}});
    let reply = projector
        .invoke_within(&json!({ "Records": [odd] }), within)
        .await;
    assert_eq!(
        reply.payload["batchItemFailures"],
        json!([{"itemIdentifier": "77"}])
    );
    scene.queues.recover().await;
    assert_eq!(deliver(&projector, &[odd]).await, Vec::<Value>::new());
    assert_eq!(letters(&scene.ledger.take_dead().await).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rebuild_at_a_time_and_a_killed_one_leaves_no_harm() {
    let scene = Scene::set().await;
    store(&scene).await;
    let expected = recount(&scene).await;
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb.clone(), scene.place.rollups_table.clone());
    let anew = || rebuild(&rollups, &scene.place.events_table, |_| ());
    let projector = scene.function("projector", &[]).await;
    for batch in scene.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    // The first one stands still while it reads the table; the second refuses.
    scene.table.decide(|call| match call.operation {
        "Scan" => Hang,
        _ => Pass,
    });
    let first = tokio::spawn({
        let (rollups, table) = (rollups.clone(), scene.place.events_table.clone());
        async move { rebuild(&rollups, &table, |_| ()).await }
    });
    scene.table.until_under_way(1).await;
    while rollups.generations().await.unwrap().next.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = anew().await.unwrap_err().to_string();
    assert!(refused.contains("another rebuild is running"), "{refused}");
    // The first one is killed. Readers see what they saw before.
    first.abort();
    let _ = first.await;
    scene.table.recover().await;
    let left = rollups.generations().await.unwrap();
    assert_eq!(left.current, "0");
    let dead = left.next.unwrap();
    assert_same(&counted(&scene.place, "0").await, &expected);
    let refused = anew().await.unwrap_err().to_string();
    assert!(refused.contains("if it was killed, try again"), "{refused}");
    // When its lease is over, another one takes its place and clears up after it.
    let end = aws.dynamodb.update_item().table_name(&scene.place.rollups_table);
    end.key("series", AttributeValue::S("generation".to_owned()))
        .key("period", AttributeValue::S("-".to_owned()))
        .update_expression("SET lease_until = :past")
        .expression_attribute_values(":past", AttributeValue::N((time::now() - 1).to_string()))
        .send()
        .await
        .unwrap();
    for batch in scene.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    assert!(!counted(&scene.place, &dead).await.is_empty());
    let (one, other) = tokio::join!(anew(), anew());
    let done = one.or(other).unwrap();
    assert!(done.removed > 0);
    let current = rollups.generations().await.unwrap();
    assert!(current.next.is_none() && current.current > dead, "{current:?}");
    assert_same(&counted(&scene.place, &current.current).await, &expected);
    for old in ["0", &dead] {
        assert_same(&counted(&scene.place, old).await, &Counts::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_items_that_are_left_unprocessed_are_tried_again_until_a_deadline() {
    let scene = Scene::set().await;
    store(&scene).await;
    let records = scene.stream();
    let projector = scene.function("projector", &[]).await;
    let within = std::time::Duration::from_secs(9);
    scene.table.decide(|call| match call.operation {
        "BatchGetItem" => Unprocessed,
        _ => Pass,
    });
    let reply = projector
        .invoke_within(&json!({ "Records": records[..50] }), within)
        .await;
    assert_eq!(reply.payload["batchItemFailures"].as_array().unwrap().len(), 1);
    // Some tries in six seconds, not thousands.
    let tries = scene.table.calls("BatchGetItem");
    assert!((2..60).contains(&tries), "{tries}");
    scene.table.decide(|call| match call.operation {
        "BatchGetItem" | "BatchWriteItem" if call.number % 2 == 1 => Unprocessed,
        _ => Pass,
    });
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let aws = scene.place.aws(Timeouts::unhurried()).await;
    let rollups = Rollups::new(aws.dynamodb, scene.place.rollups_table.clone());
    rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    assert_same(&counted(&scene.place, "0").await, &Counts::new());
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene.place, &current).await, &recount(&scene).await);
}
