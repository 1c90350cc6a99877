//! With any input, every event is in the totals, no item of the counters' table grows large, and the cost of
//! counting stays the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use integration_tests::{
    answer::sum,
    proxy::Treatment,
    server::Server,
    stack::Stack,
    storage::{number, text},
};
use netcore_webhooks::local::{EVENTS_TABLE, ROLLUPS_TABLE};
use projector::{
    counter_delta::CounterDelta,
    rebuild::rebuild,
    rollups::{Counted, Rollups},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use webhook_ingest::events_table::item::Item;

const DAY: &str = "2025-06-15";
const NOON: i64 = 1_749_988_800_000;
const BATCH: usize = 500;

/// An event of `DAY`.
fn event(id: usize, received_at: i64, more: &[(&str, AttributeValue)]) -> Item {
    let mut item = Item::from([
        ("message_id".into(), text(format!("m-{id}"))),
        ("status_key".into(), text("RCS#sent")),
        ("channel".into(), text("RCS")),
        ("status".into(), text("sent")),
        (
            "event_time".into(),
            number(NOON + i64::try_from(id % 3600).unwrap() * 1000),
        ),
        ("received_at".into(), number(received_at)),
    ]);
    item.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    item
}

fn deltas(items: impl IntoIterator<Item = Item>) -> Vec<CounterDelta> {
    items
        .into_iter()
        .map(|item| CounterDelta::of(&item).unwrap())
        .collect()
}

fn rollups(server: &Server) -> Rollups {
    Rollups::new(server.storage().aws().dynamodb.clone(), ROLLUPS_TABLE.to_owned())
}

/// Every item of the counters' table, after the pending counts are merged.
async fn merged(server: &Server) -> Vec<Item> {
    rollups(server).merge("0", soon()).await.unwrap();
    server.storage().rollup_items().await
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(5)
}

/// The size of an item for the capacity calculation.
fn size(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::Ss(set) => set.iter().map(|text| text.len() + 1).sum(),
        AttributeValue::Bs(set) => set.iter().map(|bytes| bytes.as_ref().len() + 1).sum(),
        AttributeValue::Bool(_) => 1,
        other => panic!("{other:?}"),
    };
    item.iter().map(|(name, of)| name.len() + value(of)).sum()
}

fn key(item: &Item) -> (&str, &str) {
    (item["series"].as_s().unwrap(), item["period"].as_s().unwrap())
}

/// The daily counters by series, summed over all slots.
fn of_days(rows: &[Item]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut series: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| key(row).1.starts_with("day#")) {
        let counters = series.entry(key(row).0.to_owned()).or_default();
        for (name, value) in row.iter().filter(|(name, _)| name.contains('|')) {
            *counters.entry(name.clone()).or_default() += value.as_n().unwrap().parse::<u64>().unwrap();
        }
    }
    series
}

fn total(counters: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let of_kind = counters.iter().filter(|(name, _)| name.starts_with(kind));
    of_kind.map(|(_, count)| count).sum()
}

async fn summary(server: &Server, query: &str) -> Value {
    server
        .json(&format!("/api/summary?from={DAY}&to={DAY}{query}"))
        .await
}

/// An event that shares no name with any other event.
fn odd(id: usize) -> (Item, usize) {
    let tags = if id.is_multiple_of(10) { 15 } else { 1 };
    let list = (0..tags)
        .map(|tag| text(format!("order-{id:06}t{tag}")))
        .collect();
    let pricing = AttributeValue::M(Item::from([
        ("billable".into(), AttributeValue::Bool(true)),
        ("category".into(), text(format!("category-{id}"))),
    ]));
    let mut more = vec![
        ("tags", AttributeValue::L(list)),
        ("bot_id", text(format!("bot-{id}"))),
        ("message_type", text(format!("type-{id}"))),
        ("pricing", pricing),
    ];
    if id.is_multiple_of(2) {
        more.push(("channel", text(format!("CHANNEL-{id}"))));
    }
    match id % 4 {
        1 => {
            more.push(("status", text("failed")));
            more.push(("remarks", text(format!("{} of order {id}", "x".repeat(140)))));
        }
        3 => more.push(("status", text(format!("status_{id}")))),
        _ => {}
    }
    (event(id, NOON + i64::try_from(id).unwrap() * 2, &more), tags)
}

/// A batch of the day before, with one bot and one tag.
fn usual() -> Vec<Item> {
    let events = (0..BATCH).map(|id| {
        let tags = AttributeValue::L(vec![text("campaign")]);
        let more = [("tags", tags), ("bot_id", text("682"))];
        let mut item = event(
            1_000_000 + id,
            NOON - 86_400_000 + i64::try_from(id).unwrap() * 2,
            &more,
        );
        item.insert("event_time".into(), number(NOON - 86_400_000));
        item
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_beyond_the_limits_count_as_other_at_the_same_cost() {
    // `ODD_EVENTS=1000000` runs the test at full size, in minutes with `--release`.
    let events: usize = std::env::var("ODD_EVENTS").map_or(4_000, |events| events.parse().unwrap());
    let server = Server::start().await;
    let rollups = rollups(&server);
    let usual = rollups.count("0", &deltas(usual()), soon()).await.unwrap();
    let usual = usual.write_units / BATCH as f64;

    let mut tags = 0;
    let mut beyond = 0;
    let mut each = Vec::new();
    for first in (0..events).step_by(BATCH) {
        let items: Vec<Item> = (first..first + BATCH)
            .map(|id| {
                let (item, more) = odd(id);
                tags += more;
                beyond += u64::from(tags > 1_000);
                item
            })
            .collect();
        let counted = rollups.count("0", &deltas(items), soon()).await.unwrap();
        assert_eq!((counted.fresh, counted.uncountable.len()), (BATCH, 0));
        each.push(counted.write_units / BATCH as f64);
    }
    let merge = rollups.merge("0", soon()).await.unwrap().write_units / events as f64;
    // The first names get separate series. After that, the number of items stays constant.
    println!("write units of an event: usual {usual:.2}, odd {each:.2?}, merged {merge:.2}");
    assert!(
        each.iter().all(|units| *units < 0.5) && merge < 5.0,
        "{each:?} {merge}"
    );
    assert!(
        each[each.len() - 4..].iter().all(|units| *units < usual + 0.05),
        "{usual} {each:?}"
    );

    let rows = merged(&server).await;
    let largest = rows.iter().map(|row| (size(row), key(row))).max().unwrap();
    assert!(largest.0 < 40_000, "{largest:?}");
    let days = of_days(&rows);
    let all = &days["0#all"];
    assert_eq!(total(all, "s|"), (events + BATCH) as u64);
    assert_eq!(total(all, "t|"), events as u64);
    assert_eq!(total(all, "b|"), events as u64);
    assert_eq!(total(all, "f|"), events as u64 / 4);
    let series = |with: &str, without: &str| -> Vec<&String> {
        let of_kind = days.keys().filter(|name| name.starts_with(with));
        of_kind
            .filter(|name| without.is_empty() || !name.contains(without))
            .collect()
    };
    let bots = series("0#bot=", "&tag=");
    // Plus the bot and tag of the other day, and `other`.
    assert_eq!(bots.len(), 200 + 2);
    assert_eq!(series("0#tag=", "").len(), 1_000 + 2);
    assert_eq!(
        days.keys().filter(|name| name.contains("&tag=")).count(),
        1_000 + 1
    );
    let of_bots: u64 = bots.iter().map(|bot| total(&days[*bot], "s|")).sum();
    assert_eq!(of_bots, (events + BATCH) as u64);
    assert_eq!(total(&days["0#tag=other"], "s|"), beyond);
    // Series of bots and tags expire, the totals do not. The second merge deleted the pending counts.
    for row in rows.iter().filter(|row| key(row).0 != "0#merge") {
        let expires = row.contains_key("expires_at");
        assert_eq!(expires, key(row).0 != "0#all", "{:?}", key(row));
    }

    let seen = summary(&server, "").await;
    assert_eq!(sum(&seen["counts"]), events as u64);
    assert_eq!(sum(&seen["hours"]), events as u64);
    assert_eq!(sum(&seen["failures"]), events as u64 / 4);
    assert_eq!(sum(&seen["message_types"]), events as u64);
    assert_eq!(sum(&seen["billing"]), events as u64);
    let folded: BTreeMap<&str, u64> = seen["folded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|folded| {
            assert_eq!(folded["days"], 1);
            (folded["kind"].as_str().unwrap(), folded["most"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("bots", 200),
        ("channels", 30),
        ("message_types", 50),
        ("pairs", 1_000),
        ("prices", 100),
        ("reasons", 100),
        ("statuses", 50),
        ("tags", 1_000),
    ];
    assert_eq!(folded, BTreeMap::from(expected));
    assert_eq!(sum(&summary(&server, "&tag=other").await["counts"]), beyond);
    // A league table has at most 500 rows.
    assert_eq!(seen["tags"].as_array().unwrap().len(), 500);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_projectors_agree_on_the_names_of_a_day() {
    let server = Server::start().await;
    let events = |of: usize| {
        let items = (0..400).map(move |id| {
            let tags = (0..3).map(|tag| text(format!("tag-{}", (id * 7 + tag * 131 + of * 311) % 1_500)));
            let more = [
                ("tags", AttributeValue::L(tags.collect())),
                ("bot_id", text(format!("bot-{}", (id + of) % 300))),
            ];
            event(of * 1_000 + id, NOON + i64::try_from(id).unwrap() * 50, &more)
        });
        deltas(items)
    };
    let counted = join_all((0..4).map(|of| {
        let rollups = rollups(&server);
        async move {
            for some in events(of).chunks(50) {
                rollups.count("0", some, soon()).await.unwrap();
            }
        }
    }));
    counted.await;
    let rows = merged(&server).await;
    let names = |attribute: &str| -> BTreeSet<String> {
        let pages = rows.iter().filter(|row| key(row).0 == "0#names");
        pages
            .filter_map(|page| page.get(attribute)?.as_ss().ok())
            .flatten()
            .cloned()
            .collect()
    };
    let series = |kind: &str, other: &str| -> BTreeSet<String> {
        let of_kind = rows.iter().filter_map(|row| key(row).0.strip_prefix(kind));
        of_kind
            .filter(|name| other.is_empty() || !name.contains(other))
            .map(str::to_owned)
            .collect()
    };
    let (bots, tags) = (names("bots"), names("tags"));
    assert_eq!((bots.len(), tags.len()), (200, 1_000));
    let other = BTreeSet::from(["other".to_owned()]);
    assert_eq!(series("0#bot=", "&tag="), &bots | &other);
    assert_eq!(series("0#tag=", ""), &tags | &other);
    assert_eq!(total(&of_days(&rows)["0#all"], "s|"), 1_600);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_events_of_one_second_count_once() {
    const EVENTS: usize = 12_000;
    let server = Server::start().await;
    let all = deltas((0..EVENTS).map(|id| event(id, NOON, &[])));
    // Three projectors. Each event is delivered to two of them, in different batches.
    let deliveries = (0..3).map(|of| {
        let rollups = rollups(&server);
        let mine: Vec<CounterDelta> = all
            .iter()
            .enumerate()
            .filter(|(id, _)| id % 3 != of)
            .map(|(_, delta)| delta.clone())
            .collect();
        async move {
            let mut fresh = 0;
            for some in mine.chunks(BATCH - of * 37) {
                let counted = rollups.count("0", some, soon()).await.unwrap();
                assert_eq!(counted.fresh + counted.replayed, some.len());
                fresh += counted.fresh;
            }
            fresh
        }
    });
    let fresh: usize = join_all(deliveries).await.into_iter().sum();
    assert_eq!(fresh, EVENTS);
    let rollups = rollups(&server);
    for some in all.chunks(BATCH) {
        assert_eq!(
            rollups.count("0", some, soon()).await.unwrap().replayed,
            some.len()
        );
    }
    let rows = merged(&server).await;
    assert_eq!(total(&of_days(&rows)["0#all"], "s|"), EVENTS as u64);
    let marks: Vec<&Item> = rows
        .iter()
        .filter(|row| key(row).0.starts_with("0#seen#"))
        .collect();
    // An item that was closed before it had a marker has none.
    let markers = marks.iter().filter_map(|row| row.get("seen")?.as_bs().ok());
    assert_eq!(markers.map(Vec::len).sum::<usize>(), EVENTS);
    let largest = marks.iter().map(|row| size(row)).max().unwrap();
    assert!(
        marks.len() > 17 && largest < 20_000,
        "{} items, {largest} bytes",
        marks.len()
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_quiet_minute_share_an_item_of_markers() {
    const EVENTS: usize = 60;
    let server = Server::start().await;
    // One event each second, from the first to the last second of a minute.
    let minute = NOON - NOON.rem_euclid(60_000);
    let all = deltas((0..EVENTS).map(|id| event(id, minute + i64::try_from(id).unwrap() * 1_000 + 999, &[])));
    let counted = rollups(&server).count("0", &all, soon()).await.unwrap();
    assert_eq!((counted.fresh, counted.transactions), (EVENTS, 1));
    let again = rollups(&server).count("0", &all, soon()).await.unwrap();
    assert_eq!((again.fresh, again.replayed), (0, EVENTS));
    let rows = merged(&server).await;
    let markers: Vec<&str> = rows
        .iter()
        .map(|row| key(row).0)
        .filter(|series| series.starts_with("0#seen#"))
        .collect();
    assert_eq!(markers, [format!("0#seen#minute#{}", minute / 60_000)]);
    // The counts and the markers: two units each, since they are in a transaction.
    assert_eq!(counted.write_units, 4.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_projectors_with_conflicts_as_in_dynamodb_count_exactly() {
    const EACH: usize = 2_000;
    let stack = Stack::start().await;
    stack.table.always(Treatment::Transact(Duration::from_millis(5)));
    let deliveries = (0..8).map(|of| {
        let mine =
            deltas((0..EACH).map(|id| event(of * 100_000 + id, NOON + i64::try_from(id).unwrap(), &[])));
        let rollups = stack.rollups();
        async move {
            let rollups = rollups.await;
            let mut sum = Counted::default();
            for some in mine.chunks(BATCH) {
                let counted = rollups.count("0", some, soon()).await.unwrap();
                assert_eq!(counted.fresh, some.len());
                sum.conflicts += counted.conflicts;
                sum.transactions += counted.transactions;
            }
            sum
        }
    });
    let counted = join_all(deliveries).await;
    let conflicts: usize = counted.iter().map(|counted| counted.conflicts).sum();
    assert!(conflicts > 0, "the projectors never met");
    stack.rollups().await.merge("0", soon()).await.unwrap();
    let rows = stack.storage.rollup_items().await;
    assert_eq!(total(&of_days(&rows)["0#all"], "s|"), 8 * EACH as u64);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_batches_of_eight_projectors_are_merged_into_one_item() {
    const EACH: usize = 1_500;
    let server = Server::start().await;
    let deliveries = (0..8).map(|of| {
        let rollups = rollups(&server);
        let mine = deltas((0..EACH).map(|id| {
            let tags = AttributeValue::L(vec![text(format!("campaign-{}", id % 5))]);
            let received_at = NOON + i64::try_from(id).unwrap() * 4;
            event(
                of * 100_000 + id,
                received_at,
                &[("bot_id", text("682")), ("tags", tags)],
            )
        }));
        async move {
            for some in mine.chunks(BATCH) {
                assert_eq!(rollups.count("0", some, soon()).await.unwrap().fresh, some.len());
            }
        }
    });
    join_all(deliveries).await;
    // Before the merge and after it.
    for _ in 0..2 {
        let seen = summary(&server, "").await;
        assert_eq!(sum(&seen["counts"]), 8 * EACH as u64);
        assert_eq!(sum(&seen["hours"]), 8 * EACH as u64);
        assert_eq!(
            sum(&summary(&server, "&bot=682&tag=campaign-3").await["counts"]),
            8 * EACH as u64 / 5
        );
        merged(&server).await;
    }
    let rows = merged(&server).await;
    let days: Vec<&str> = rows
        .iter()
        .map(key)
        .filter(|(series, period)| *series == "0#all" && period.starts_with("day#"))
        .map(|(_, period)| period)
        .collect();
    assert_eq!(days, [format!("day#{DAY}#10")]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_an_earlier_version_is_read_and_updated() {
    let server = Server::start().await;
    let put = |period: &str, more: Vec<(&str, AttributeValue)>| {
        let mut put = server
            .storage()
            .aws()
            .dynamodb
            .put_item()
            .table_name(ROLLUPS_TABLE);
        put = put.item("series", text("0#all")).item("period", text(period));
        for (name, value) in more {
            put = put.item(name, value);
        }
        put.send()
    };
    let bots = ["682", "919812345678"].map(str::to_owned).to_vec();
    let day = vec![
        ("s|RCS|sent", number(41)),
        ("t|RCS|Template", number(41)),
        ("bots", AttributeValue::Ss(bots)),
        ("updated_at", number(5)),
    ];
    put(&format!("day#{DAY}"), day).await.unwrap();
    put(&format!("hour#{DAY}T12"), vec![("s|RCS|sent", number(41))])
        .await
        .unwrap();
    // One event that the earlier version counted, and one that it did not.
    let counted = deltas([event(1, NOON, &[]), event(2, NOON, &[("bot_id", text("683"))])]);
    let mark = AttributeValue::Bs(vec![aws_sdk_dynamodb::primitives::Blob::new(
        counted[0].identity.marker,
    )]);
    let marks = server
        .storage()
        .aws()
        .dynamodb
        .put_item()
        .table_name(ROLLUPS_TABLE);
    marks
        .item("series", text(format!("0#seen#{}", NOON / 1000)))
        .item("period", text("-"))
        .item("seen", mark)
        .item("version", number(1))
        .send()
        .await
        .unwrap();
    let outcome = rollups(&server).count("0", &counted, soon()).await.unwrap();
    assert_eq!((outcome.fresh, outcome.replayed), (1, 1));
    let seen = summary(&server, "").await;
    assert_eq!(
        seen["counts"],
        json!([{"day": DAY, "channel": "RCS", "status": "sent", "count": 42}])
    );
    assert_eq!(
        seen["hours"],
        json!([{"hour": format!("{DAY}T12"), "channel": "RCS", "status": "sent", "count": 42}])
    );
    assert_eq!(seen["bots"].as_array().unwrap().len(), 3);
    assert_eq!(seen["folded"], json!([]));

    // A rebuild removes names with phone numbers.
    let rollups = rollups(&server);
    rebuild(&rollups, EVENTS_TABLE, |_| ()).await.unwrap();
    let left = format!("{:?}", server.storage().rollup_items().await);
    assert!(!left.contains("919812345678"), "{left}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_with_a_phone_number_as_id_is_masked_and_found() {
    let server = Server::start().await;
    let bots = ["682", "919812345678"];
    let events = deltas(
        bots.iter()
            .enumerate()
            .map(|(id, bot)| event(id, NOON, &[("bot_id", text(*bot))])),
    );
    rollups(&server).count("0", &events, soon()).await.unwrap();
    let left = format!("{:?}", server.storage().rollup_items().await);
    assert!(!left.contains("919812345678"), "{left}");
    for bot in bots {
        assert_eq!(
            sum(&summary(&server, &format!("&bot={bot}")).await["counts"]),
            1,
            "{bot}"
        );
    }
    server.stop().await;
}
