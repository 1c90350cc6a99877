//! `rollups rebuild` recounts the whole table while events arrive. Only one run at a time is possible.

use std::collections::BTreeSet;

use integration_tests::{
    fixtures::events,
    proxy::Treatment::{CutAfter, Hang, Pass, Unprocessed},
    stack::Stack,
    storage::{number, text},
};
use projector::rebuild::rebuild;
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item::{self, Arrival},
    provider::{self, netcore_events},
};

use super::{Counts, assert_same, counted, deliver, recount, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_recounts_the_table_while_events_arrive() {
    let stack = Stack::start().await;
    store(&stack).await;
    let rollups = stack.rollups().await;
    let projector = stack.function("projector", &[]).await;
    let mut old = stack.stream();
    let rest = old.split_off(100);
    assert_eq!(deliver(&projector, &old).await, Vec::<Value>::new());

    // The rest of the stream is delivered during the rebuild, and the whole stream again after it.
    let during = async {
        for batch in rest.chunks(20) {
            assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&rollups, &stack.instance.events_table, |_| ()), during);
    let rebuilt = rebuilt.unwrap();
    assert_eq!(rebuilt.events, (old.len() + rest.len()) as u64);
    assert_eq!(rebuilt.skipped, 0);
    for batch in stack.stream().chunks(90) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let current = rollups.generations().await.unwrap();
    assert_eq!(current.next, None);
    assert_ne!(current.current, "0");
    assert_same(&counted(&stack, &current.current).await, &recount(&stack).await);

    // A delivery that began before the switch of generations may count into the old generation after its
    // deletion. No reader uses it, and the next rebuild deletes it.
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    let last = rollups.generations().await.unwrap().current;
    assert_same(&counted(&stack, &last).await, &recount(&stack).await);
    for left in ["0", &current.current] {
        assert_eq!(counted(&stack, left).await, Counts::new(), "{left}");
    }
}

/// Stores events that arrived before the retention period of the stream.
async fn store_old(stack: &Stack, records: &[Value]) {
    let arrival = Arrival {
        stored_at: None,
        at: time::now() - 40 * 86_400_000,
        retention_days: 0,
        late_after_hours: 72,
    };
    for record in records {
        let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).unwrap();
        stack
            .storage
            .put(item::build(event, arrival).unwrap().into())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_counts_old_events_once_despite_lost_responses() {
    let stack = Stack::start().await;
    let mut records = events(0, 300);
    for (index, record) in records.iter_mut().enumerate() {
        record["nc_bot_id"] = json!((index % 3).to_string());
        record["event_time"] = json!(1_704_876_833 + index * 7200);
        record["status"] = json!(["Sent", "Failed"][index % 2]);
        record["remarks"] = json!(format!("reason {index}"));
    }
    // More counters on one day than one update can hold.
    for (index, record) in records[..170].iter_mut().enumerate() {
        record["event_time"] = json!(1_704_876_833);
        if index < 90 {
            record["status"] = json!("Failed");
            record["type"] = json!(format!("type {}", index % 45));
        } else {
            record["status"] = json!("Sent");
            record["channel"] = json!(format!("C{}", index % 25));
            record["type"] = json!("");
        }
    }
    store_old(&stack, &records).await;
    let expected = recount(&stack).await;
    // Four of five transactions are committed, but the response is lost.
    stack.table.decide(|call| match call.operation {
        "TransactWriteItems" if call.number % 5 != 0 => CutAfter,
        _ => Pass,
    });
    let rollups = stack.rollups().await;
    let rebuilt = rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    assert_eq!(rebuilt.events, 300);
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&stack, &current).await, &expected);
    // Each item is written once or twice, not once per event.
    let commits = stack.table.operations()["TransactWriteItems"];
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
async fn only_one_rebuild_runs_and_a_killed_one_does_no_harm() {
    let stack = Stack::start().await;
    store(&stack).await;
    let expected = recount(&stack).await;
    let rollups = stack.rollups().await;
    let anew = || rebuild(&rollups, &stack.instance.events_table, |_| ());
    let projector = stack.function("projector", &[]).await;
    for batch in stack.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    // The first rebuild hangs while it reads the table; the second one refuses to start.
    stack.table.decide(|call| match call.operation {
        "Scan" => Hang,
        _ => Pass,
    });
    let first = tokio::spawn({
        let (rollups, table) = (rollups.clone(), stack.instance.events_table.clone());
        async move { rebuild(&rollups, &table, |_| ()).await }
    });
    stack.table.until_in_progress(1).await;
    while rollups.generations().await.unwrap().next.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = anew().await.unwrap_err().to_string();
    assert!(refused.contains("another rebuild is running"), "{refused}");
    // The first rebuild is killed. Readers see the same counts as before.
    first.abort();
    let _ = first.await;
    stack.table.recover().await;
    let left = rollups.generations().await.unwrap();
    assert_eq!(left.current, "0");
    let dead = left.next.unwrap();
    assert_same(&counted(&stack, "0").await, &expected);
    let refused = anew().await.unwrap_err().to_string();
    assert!(refused.contains("if it was killed, try again"), "{refused}");
    // After the lease expires, another rebuild can start and deletes the partial counts.
    let aws = stack.storage.aws();
    let end = aws
        .dynamodb
        .update_item()
        .table_name(&stack.instance.rollups_table);
    end.key("series", text("generation"))
        .key("period", text("-"))
        .update_expression("SET lease_until = :past")
        .expression_attribute_values(":past", number(time::now() - 1))
        .send()
        .await
        .unwrap();
    for batch in stack.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    assert!(!counted(&stack, &dead).await.is_empty());
    let (one, other) = tokio::join!(anew(), anew());
    let done = one.or(other).unwrap();
    assert!(done.removed > 0);
    let current = rollups.generations().await.unwrap();
    assert!(current.next.is_none() && current.current > dead, "{current:?}");
    assert_same(&counted(&stack, &current.current).await, &expected);
    for old in ["0", &dead] {
        assert_same(&counted(&stack, old).await, &Counts::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unprocessed_keys_and_items_are_retried_until_a_deadline() {
    let stack = Stack::start().await;
    store(&stack).await;
    let records = stack.stream();
    let projector = stack.function("projector", &[]).await;
    let within = std::time::Duration::from_secs(9);
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" => Unprocessed,
        _ => Pass,
    });
    let reply = projector
        .invoke_within(&json!({ "Records": records[..50] }), within)
        .await;
    assert_eq!(reply.payload["batchItemFailures"].as_array().unwrap().len(), 1);
    // A few retries in six seconds, not thousands.
    let tries = stack.table.calls("BatchGetItem");
    assert!((2..60).contains(&tries), "{tries}");
    stack.table.decide(|call| match call.operation {
        "BatchGetItem" | "BatchWriteItem" if call.number % 2 == 1 => Unprocessed,
        _ => Pass,
    });
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let rollups = stack.rollups().await;
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    assert_same(&counted(&stack, "0").await, &Counts::new());
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&stack, &current).await, &recount(&stack).await);
}
