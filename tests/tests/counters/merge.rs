//! Pending counts and merges: a reader's sums are right before, during and after a merge, wherever it is interrupted.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use http::Method;
use integration_tests::{
    command::Workdir,
    fixtures::request_to,
    function::Function,
    proxy::Treatment::{CutAfter, Hold, Pass, Refuse, ServerError, Unprocessed},
    stack::Stack,
    storage::{number, text},
};
use projector::{counter_delta::CounterDelta, rebuild::rebuild, rollups::Rollups};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};
use webhook_ingest::{
    event::time,
    events_table::item::{self, Item},
};

const DAY: &str = "2025-06-15";
const NOON: i64 = 1_749_988_800_000;

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Events of [`DAY`], one for each message.
fn deltas(ids: std::ops::Range<usize>) -> Vec<CounterDelta> {
    let event = |id: usize| {
        let at = NOON + i64::try_from(id).unwrap();
        Item::from([
            ("message_id".into(), text(format!("m-{id}"))),
            ("status_key".into(), text("RCS#sent")),
            ("channel".into(), text("RCS")),
            ("status".into(), text("sent")),
            ("event_time".into(), number(at)),
            ("received_at".into(), number(at)),
            ("bot_id".into(), text(format!("{}", 680 + id % 40))),
        ])
    };
    ids.map(|id| CounterDelta::of(&event(id)).unwrap()).collect()
}

async fn count(rollups: &Rollups, ids: std::ops::Range<usize>) {
    let events = ids.len();
    let counted = rollups.count("0", &deltas(ids), soon()).await.unwrap();
    assert_eq!(counted.fresh, events);
}

/// A stack with pending counts of forty events.
async fn with_forty() -> (Stack, Rollups) {
    let stack = Stack::start().await;
    let rollups = stack.rollups().await;
    count(&rollups, 0..40).await;
    (stack, rollups)
}

/// The number of events that the dashboard shows: all, by hour, and those of a bot.
async fn shown(dashboard: &Function) -> [i64; 3] {
    let mut sums = [0; 3];
    for (list, query, at) in [("counts", "", 0), ("hours", "", 1), ("counts", "&bot=687", 2)] {
        let query = format!("from={DAY}&to={DAY}{query}");
        let asked = request_to(&Method::GET, "/api/summary", &query, &[], b"");
        let counts = dashboard.ok(&asked).await.json()[list]
            .as_array()
            .unwrap()
            .clone();
        sums[at] = counts.iter().map(|count| count["count"].as_i64().unwrap()).sum();
    }
    sums
}

/// The sums of the items of days in the counters' table, without the pending counts.
async fn stored(stack: &Stack, day: &str) -> i64 {
    let items = stack.storage.rollup_items().await;
    let prefix = format!("day#{day}");
    let days = items.iter().filter(|item| {
        item["series"] == text("0#all") && item["period"].as_s().unwrap().starts_with(&prefix)
    });
    days.map(|day| day["s|RCS|sent"].as_n().unwrap().parse::<i64>().unwrap())
        .sum()
}

async fn pending(stack: &Stack) -> usize {
    let items = stack.storage.rollup_items().await;
    items
        .iter()
        .filter(|item| item["series"] == text("0#pending"))
        .count()
}

/// The state of the merges.
async fn state(stack: &Stack) -> Option<Item> {
    let items = stack.storage.rollup_items().await;
    items.into_iter().find(|item| item["series"] == text("0#merge"))
}

/// As after a minute.
async fn end_lease(stack: &Stack) {
    if let Some(mut state) = state(stack).await {
        state.remove("lease_until");
        stack.storage.put_rollup(state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_merge_counts_nothing_twice_and_loses_nothing() {
    for treatment in [ServerError, CutAfter] {
        let stack = Stack::start().await;
        let dashboard = stack.function("dashboard", &[]).await;
        let mut events = 0;
        // The merge is interrupted at each write of its state, then at each delete, then at some of its items.
        let mut points = (0..3)
            .map(|number| ("0#merge", number))
            .chain([("DeleteRequest", 0)])
            .chain((0..10).map(|number| ("#10", number * 9)));
        loop {
            let point = points.next();
            // Continues the interrupted merge.
            stack.rollups().await.merge("0", soon()).await.unwrap();
            let rollups = stack.rollups().await;
            for _ in 0..2 {
                count(&rollups, events..events + 80).await;
                events += 80;
            }
            let all = i64::try_from(events).unwrap();
            assert_eq!(shown(&dashboard).await, [all, all, all / 40], "before {point:?}");
            let (text, number) = point.unwrap_or(("none", 0));
            let (reached, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
            stack.table.decide(move |call| {
                if !["PutItem", "BatchWriteItem"].contains(&call.operation) {
                    return Pass;
                }
                if call.mentions(text) && writes.fetch_add(1, Ordering::Relaxed) == number {
                    reached.store(true, Ordering::Relaxed);
                }
                // All further writes fail, as if the process had ended.
                if reached.load(Ordering::Relaxed) {
                    treatment
                } else {
                    Pass
                }
            });
            let merged = rollups.merge("0", soon()).await;
            stack.table.recover().await;
            assert_eq!(shown(&dashboard).await, [all, all, all / 40], "in {point:?}");
            if point.is_none() {
                merged.unwrap();
                break;
            }
            // The answer of the last write can be lost without harm.
            assert!(
                merged.is_err() || treatment == CutAfter,
                "{point:?} was not reached"
            );
            end_lease(&stack).await;
        }
        // What the interrupted merges left is merged.
        let rollups = stack.rollups().await;
        rollups.merge("0", soon()).await.unwrap();
        rollups.merge("0", soon()).await.unwrap();
        assert_eq!(stored(&stack, DAY).await, i64::try_from(events).unwrap());
        assert_eq!(pending(&stack).await, 0);
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_exact_sums_while_processes_count_and_merge() {
    const BATCHES: usize = 60;
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let (begun, ended) = (AtomicI64::new(0), AtomicI64::new(0));
    let counting = |of: usize| {
        let (begun, ended) = (&begun, &ended);
        let rollups = stack.rollups();
        async move {
            let rollups = rollups.await;
            for batch in 0..BATCHES {
                let first = (of * BATCHES + batch) * 10;
                begun.fetch_add(10, Ordering::SeqCst);
                count(&rollups, first..first + 10).await;
                ended.fetch_add(10, Ordering::SeqCst);
            }
        }
    };
    let all = i64::try_from(2 * BATCHES * 10).unwrap();
    let merging = async {
        let rollups = stack.rollups().await;
        let mut merged = 0;
        while ended.load(Ordering::SeqCst) < all {
            merged += usize::from(rollups.merge("0", soon()).await.unwrap().batches > 0);
            // A reader begins again at most twice.
            sleep(Duration::from_millis(200)).await;
        }
        merged
    };
    let reading = async {
        let mut reads = 0;
        while ended.load(Ordering::SeqCst) < all {
            let least = ended.load(Ordering::SeqCst);
            let [events, ..] = shown(&dashboard).await;
            let most = begun.load(Ordering::SeqCst);
            assert!((least..=most).contains(&events), "{events} of {least} to {most}");
            reads += 1;
        }
        reads
    };
    let ((), (), merged, others, reads) = tokio::join!(
        counting(0),
        counting(1),
        merging,
        async {
            sleep(Duration::from_millis(20)).await;
            merging_too(&stack, &ended, all).await
        },
        reading
    );
    assert!(
        merged > 1 && merged + others > 4 && reads > 4,
        "{merged} {others} {reads}"
    );
    let rollups = stack.rollups().await;
    rollups.merge("0", soon()).await.unwrap();
    assert_eq!(stored(&stack, DAY).await, all);
    let [events, hours, _] = shown(&dashboard).await;
    assert_eq!([events, hours], [all, all]);
    stack.stop().await;
}

/// A second process that merges.
async fn merging_too(stack: &Stack, ended: &AtomicI64, all: i64) -> usize {
    let rollups = stack.rollups().await;
    let mut merged = 0;
    while ended.load(Ordering::SeqCst) < all {
        merged += usize::from(rollups.merge("0", soon()).await.unwrap().batches > 0);
        sleep(Duration::from_millis(200)).await;
    }
    merged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_merges_after_sixteen_batches() {
    let stack = Stack::start().await;
    super::store(&stack).await;
    let projector = stack.function("projector", &[]).await;
    let records = stack.stream();
    // The first batch of a process merges, because no merge is known.
    for batch in records.chunks(10).take(16) {
        assert_eq!(super::deliver(&projector, batch).await, Vec::<Value>::new());
    }
    assert_eq!(pending(&stack).await, 16);
    let number_of = async || state(&stack).await.unwrap()["number"].clone();
    assert_eq!(number_of().await, number(1));
    assert_eq!(
        super::deliver(&projector, &records[160..170]).await,
        Vec::<Value>::new()
    );
    // The counts of the first merge are deleted, those of the second are kept until the next one.
    assert_eq!((pending(&stack).await, number_of().await), (16, number(2)));
    let line = projector.line(|line| line["merged"] == 16).await;
    assert!(line["write_units"].as_f64().unwrap() > 0.0, "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_pending_counts_stop_nothing() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let rollups = stack.rollups().await;
    let of_a_later_version = [
        ("series", text("0#pending")),
        ("period", text("0")),
        ("counts", text("new")),
    ];
    let item = of_a_later_version.map(|(name, value)| (name.to_owned(), value));
    stack.storage.put_rollup(item.into()).await;
    count(&rollups, 0..40).await;
    assert_eq!(shown(&dashboard).await, [40, 40, 1]);
    rollups.merge("0", soon()).await.unwrap();
    rollups.merge("0", soon()).await.unwrap();
    assert_eq!((stored(&stack, DAY).await, pending(&stack).await), (40, 1));
    assert_eq!(shown(&dashboard).await, [40, 40, 1]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_takes_at_most_four_hundred_batches() {
    let stack = Stack::start().await;
    let rollups = stack.rollups().await;
    for batch in 0..450 {
        count(&rollups, batch..batch + 1).await;
    }
    for (batches, sum) in [(400, 400), (50, 450), (0, 450)] {
        assert_eq!(rollups.merge("0", soon()).await.unwrap().batches, batches);
        assert_eq!(stored(&stack, DAY).await, sum);
    }
    assert_eq!(pending(&stack).await, 0);
    stack.stop().await;
}

/// Each event has its own day and its own names, so the counts of all events do not fit one item.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_do_not_fit_an_item_are_split() {
    const EVENTS: usize = 500;
    let stack = Stack::start().await;
    let rollups = stack.rollups().await;
    let event = |id: usize| {
        // Digits that do not repeat, so that they do not compress.
        let tag = |tag: usize| {
            let word = (id * 15 + tag + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            text(format!("{word:016x}{:016x}", word.wrapping_mul(word | 1)))
        };
        let tags = AttributeValue::L((0..15).map(tag).collect());
        let day = NOON - i64::try_from(id).unwrap() * 86_400_000;
        Item::from([
            ("message_id".into(), text(format!("m-{id}"))),
            ("status_key".into(), text("RCS#sent")),
            ("channel".into(), text("RCS")),
            ("status".into(), text("sent")),
            ("event_time".into(), number(day)),
            ("received_at".into(), number(NOON)),
            ("bot_id".into(), text("682")),
            ("tags".into(), tags),
        ])
    };
    let all: Vec<CounterDelta> = (0..EVENTS)
        .map(|id| CounterDelta::of(&event(id)).unwrap())
        .collect();
    let counted = rollups.count("0", &all, soon()).await.unwrap();
    assert_eq!((counted.fresh, counted.uncountable.len()), (EVENTS, 0));
    assert!(counted.transactions > 1);
    let again = rollups.count("0", &all, soon()).await.unwrap();
    assert_eq!((again.fresh, again.replayed), (0, EVENTS));
    let largest = stack.storage.rollup_items().await;
    let largest = largest.iter().map(item::size).max().unwrap();
    assert!(largest < 310_000, "{largest}");
    while rollups.merge("0", soon()).await.unwrap().batches > 0 {}
    assert_eq!(stored(&stack, "").await, i64::try_from(EVENTS).unwrap());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_merges_all_pending_counts() {
    let stack = Stack::start().await;
    let rollups = stack.rollups().await;
    for batch in 0..3 {
        count(&rollups, batch * 40..(batch + 1) * 40).await;
    }
    let workdir = Workdir::new();
    let environment = stack.instance.environment();
    let printed = workdir.run_with(&["rollups", "merge"], &environment).await.ok();
    // A day and a quarter of everything, and of each of forty bots.
    assert_eq!(printed, "merged the pending counts of 3 batches into 82 items\n");
    assert_eq!((stored(&stack, DAY).await, pending(&stack).await), (120, 0));
    let printed = workdir
        .run_with(&["rollups", "merge", "--json"], &environment)
        .await
        .ok();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, json!({"batches": 0, "items": 0}));
}

/// The first write of an item's counts waits while others finish this merge and the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_lease_ended_changes_nothing() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let slow = stack.rollups().await;
    count(&slow, 0..40).await;
    let held = AtomicUsize::new(0);
    stack.table.decide(move |call| {
        let is_item = call.operation == "PutItem" && call.mentions("day#2025-06-15#10");
        if is_item && held.fetch_add(1, Ordering::Relaxed) == 0 {
            Hold
        } else {
            Pass
        }
    });
    let merging = tokio::spawn(async move { slow.merge("0", soon()).await });
    stack.table.until_in_progress(1).await;
    sleep(Duration::from_millis(300)).await;
    end_lease(&stack).await;
    let direct = Rollups::new(
        stack.storage.aws().dynamodb.clone(),
        stack.instance.rollups_table.clone(),
    );
    // Continues the merge of the slow process, and begins the next one.
    assert_eq!(direct.merge("0", soon()).await.unwrap().batches, 1);
    count(&direct, 40..80).await;
    assert_eq!(direct.merge("0", soon()).await.unwrap().batches, 1);
    stack.table.recover().await;
    merging.await.unwrap().unwrap();
    assert_eq!(stored(&stack, DAY).await, 80);
    assert_eq!(shown(&dashboard).await, [80, 80, 2]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_repeats_what_the_table_did_not_process() {
    let (stack, rollups) = with_forty().await;
    rollups.merge("0", soon()).await.unwrap();
    count(&rollups, 40..80).await;
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" | "BatchWriteItem" if call.number % 2 == 1 => Unprocessed,
        _ => Pass,
    });
    assert_eq!(rollups.merge("0", soon()).await.unwrap().batches, 1);
    assert_eq!(stored(&stack, DAY).await, 80);
    assert_eq!(pending(&stack).await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_accepts_no_counts_does_not_stop_the_others() {
    let (stack, rollups) = with_forty().await;
    stack.table.decide(|call| {
        if call.operation == "PutItem" && call.mentions("0#bot=687") {
            Refuse(
                "ValidationException",
                "Item size has exceeded the maximum allowed size",
            )
        } else {
            Pass
        }
    });
    rollups.merge("0", soon()).await.unwrap();
    stack.table.recover().await;
    assert_eq!(stored(&stack, DAY).await, 40);
    // An item of everything and of 39 bots, for the day and the quarter of an hour.
    let items = stack.storage.rollup_items().await;
    assert_eq!(
        items.iter().filter(|item| item.contains_key("merge")).count(),
        2 * 40
    );
    stack.stop().await;
}

/// A lease of next week is not honored: it is of a wrong clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_a_wrong_clock_stops_no_merge() {
    let (stack, rollups) = with_forty().await;
    rollups.merge("0", soon()).await.unwrap();
    count(&rollups, 40..80).await;
    for (ends_in, batches) in [(50_000, 0), (7 * 86_400_000, 1)] {
        let mut state = state(&stack).await.unwrap();
        state.insert("lease_until".into(), number(time::now() + ends_in));
        stack.storage.put_rollup(state).await;
        let merged = rollups.merge("0", soon()).await.unwrap();
        assert_eq!((merged.batches, merged.is_by_another), (batches, batches == 0));
    }
    stack.stop().await;
}

/// Batches of other processes, more than a merge takes, are merged with the next batches of this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_merges_a_backlog_with_its_next_batches() {
    let stack = Stack::start().await;
    super::store(&stack).await;
    let rollups = stack.rollups().await;
    for batch in 0..900 {
        count(&rollups, batch..batch + 1).await;
    }
    let projector = stack.function("projector", &[]).await;
    let records = stack.stream();
    for batch in records.chunks(10).take(3) {
        assert_eq!(super::deliver(&projector, batch).await, Vec::<Value>::new());
    }
    assert_eq!(stored(&stack, DAY).await, 900);
    let lines = projector.json_lines();
    let merged: Vec<u64> = lines.iter().filter_map(|line| line["merged"].as_u64()).collect();
    assert_eq!(merged, [400, 400, 103]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_merge_is_counted_and_returns_no_batch() {
    let stack = Stack::start().await;
    super::store(&stack).await;
    let projector = stack.function("projector", &[]).await;
    stack.table.decide(|call| match call.operation {
        "PutItem" => Refuse("AccessDeniedException", "not authorized"),
        _ => Pass,
    });
    let records = stack.stream();
    assert_eq!(
        super::deliver(&projector, &records[..10]).await,
        Vec::<Value>::new()
    );
    let line = projector.line(|line| line["message"] == "batch").await;
    assert_eq!(
        (&line["Projected"], &line["FailedMerges"]),
        (&json!(10), &json!(1)),
        "{line}"
    );
    let why = projector.line(|line| line["level"] == "ERROR").await;
    assert!(
        why["message"]
            .as_str()
            .unwrap()
            .contains("counts were not merged"),
        "{why}"
    );
}

/// A tap says nothing about the channel of its message, so the other messages of its person are read in any case.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_taps_only_belong_to_their_journey() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let event = |message: &str, channel: &str, status: &str, seconds: i64| {
        let at = NOON + seconds * 1_000;
        Item::from([
            ("message_id".into(), text(message)),
            ("status_key".into(), text(format!("{channel}#{status}"))),
            ("channel".into(), text(channel)),
            ("status".into(), text(status)),
            ("recipient".into(), text("919812345678")),
            ("callback_data".into(), text("order-7")),
            ("last_channel".into(), text("RCS")),
            ("event_time".into(), number(at)),
            ("received_at".into(), number(at)),
        ])
    };
    let events = [
        event("late", "RCS", "sent", 0),
        event("tapped", "RCS", "clicked", 60),
        event("late", "RCS", "delivered", 90),
        event("fallback", "SMS", "sent", 120),
    ];
    let projector = stack.function("projector", &[]).await;
    for item in events {
        stack.storage.put(item).await;
        let records = stack.stream();
        assert_eq!(
            super::deliver(&projector, &records[records.len() - 1..]).await,
            Vec::<Value>::new()
        );
    }
    let reached = async || {
        let query = format!("from={DAY}&to={DAY}");
        let asked = request_to(&Method::GET, "/api/summary", &query, &[], b"");
        dashboard.ok(&asked).await.json()["reached"].clone()
    };
    let counted = reached().await;
    assert_eq!(
        ["messages", "reached", "clicked"].map(|name| &counted[name]),
        [&json!(1), &json!(1), &json!(1)],
        "{counted}"
    );
    let rollups = stack.rollups().await;
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    assert_eq!(reached().await, counted);
}
