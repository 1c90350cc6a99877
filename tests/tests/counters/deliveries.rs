//! Deliveries of the stream to `projector`: repeated, shuffled, at once, and while the table fails.

use futures::future::join_all;
use integration_tests::{
    binary::Function,
    proxy::Treatment::{CutAfter, Pass, ServerError, Throttle},
    scene::Scene,
};
use serde_json::{Value, json};

use crate::{assert_same, counted, deliver, recount, shuffled, store};

/// Delivers batches, to each of the projectors one at once.
async fn deliver_at_once(projectors: &[Function], batches: &[Vec<Value>]) {
    for some in batches.chunks(projectors.len()) {
        let deliveries = some
            .iter()
            .zip(projectors)
            .map(|(batch, projector)| deliver(projector, batch));
        for failures in join_all(deliveries).await {
            assert_eq!(failures, Vec::<Value>::new());
        }
    }
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
    assert_same(&counted(&scene, "0").await, &expected);
    let batches: Vec<Vec<Value>> = shuffled(records).chunks(37).map(<[Value]>::to_vec).collect();
    let again = shuffled([batches.clone(), batches].concat());
    deliver_at_once(&projectors, &again).await;
    assert_same(&counted(&scene, "0").await, &expected);
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
    deliver_at_once(&projectors, &batches).await;
    assert_same(&counted(&scene, "0").await, &expected);
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
    assert_same(&counted(&scene, "0").await, &expected);
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
    assert_same(&counted(&scene, "0").await, &expected);
    assert_eq!(deliver(&projector, &[]).await, Vec::<Value>::new());
    assert_eq!(deliver(&projector, &records[..7]).await, Vec::<Value>::new());
    let metrics = projector.line(|line| line.get("Replayed").is_some()).await;
    assert_eq!(metrics["Replayed"], 7, "{metrics}");
}
