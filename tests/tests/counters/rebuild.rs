//! `rollups rebuild`: it counts the whole table anew while events arrive, one run at a time.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    fixtures::events,
    proxy::Treatment::{CutAfter, Hang, Pass, Unprocessed},
    scene::Scene,
};
use projector::{rebuild::rebuild, rollups::Rollups};
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item::{self, Arrival},
    operations::clients::Timeouts,
    provider::{self, netcore_events},
};

use crate::{Counts, assert_same, counted, deliver, recount, store};

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
    assert_same(&counted(&scene, &current.current).await, &recount(&scene).await);

    // A delivery that began before the change of generations may have counted into the old one after
    // it was cleared; nobody reads that, and the next rebuild clears it.
    rebuild(&rollups, &scene.place.events_table, |_| ())
        .await
        .unwrap();
    let last = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene, &last).await, &recount(&scene).await);
    for left in ["0", &current.current] {
        assert_eq!(counted(&scene, left).await, Counts::new(), "{left}");
    }
}

/// Stores events that arrived longer ago than any stream remembers.
async fn store_old(scene: &Scene, records: &[Value]) {
    let arrival = Arrival {
        at: time::now() - 40 * 86_400_000,
        retention_days: 0,
        late_after_hours: 72,
    };
    for record in records {
        let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).unwrap();
        scene
            .ledger
            .put(item::build(event, arrival).unwrap().into())
            .await;
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
    assert_same(&counted(&scene, &current).await, &expected);
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
    assert_same(&counted(&scene, "0").await, &expected);
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
    assert!(!counted(&scene, &dead).await.is_empty());
    let (one, other) = tokio::join!(anew(), anew());
    let done = one.or(other).unwrap();
    assert!(done.removed > 0);
    let current = rollups.generations().await.unwrap();
    assert!(current.next.is_none() && current.current > dead, "{current:?}");
    assert_same(&counted(&scene, &current.current).await, &expected);
    for old in ["0", &dead] {
        assert_same(&counted(&scene, old).await, &Counts::new());
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
    assert_same(&counted(&scene, "0").await, &Counts::new());
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&scene, &current).await, &recount(&scene).await);
}
