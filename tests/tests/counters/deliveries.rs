//! Deliveries of the stream to `projector`: repeated, shuffled, concurrent, and with a failing table.

use futures::future::join_all;
use integration_tests::{
    function::Function,
    proxy::Treatment::{CutAfter, Pass, ServerError, Throttle},
    stack::Stack,
};
use serde_json::{Value, json};

use super::{arrived_at, assert_same, counted, deliver, recount, shuffled, store};

/// Delivers batches concurrently, one to each projector at a time.
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
async fn repeated_shuffled_and_concurrent_deliveries_count_every_event_once() {
    let stack = Stack::start().await;
    store(&stack).await;
    let records = stack.stream();
    let expected = recount(&stack).await;
    let events = stack.storage.items().await.len();
    assert_eq!(records.len(), events);
    assert!(events > 350, "{events}");

    let projectors = join_all((0..3).map(|_| stack.function("projector", &[]))).await;
    // First in order; then twice, with other batches, shuffled and three at a time.
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projectors[0], batch).await, Vec::<Value>::new());
    }
    assert_same(&counted(&stack, "0").await, &expected);
    let batches: Vec<Vec<Value>> = shuffled(records).chunks(37).map(<[Value]>::to_vec).collect();
    let again = shuffled([batches.clone(), batches].concat());
    deliver_at_once(&projectors, &again).await;
    assert_same(&counted(&stack, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_delivery_that_is_shuffled_and_repeated_counts_every_event_once() {
    let stack = Stack::start().await;
    store(&stack).await;
    let expected = recount(&stack).await;
    let projectors = join_all((0..3).map(|_| stack.function("projector", &[]))).await;
    let records = stack.stream();
    let batches: Vec<Vec<Value>> = shuffled([records.clone(), records].concat())
        .chunks(61)
        .map(<[Value]>::to_vec)
        .collect();
    deliver_at_once(&projectors, &batches).await;
    assert_same(&counted(&stack, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_table_causes_a_retry_from_the_failed_record() {
    let stack = Stack::start().await;
    store(&stack).await;
    let expected = recount(&stack).await;
    // Each arrived in another minute, so a transaction can mark a hundred of them.
    let records = stack.stream();
    let records: Vec<Value> = records
        .iter()
        .zip(0..)
        .map(|(record, minute)| arrived_at(record, 1_749_988_800_000 + minute * 60_000))
        .collect();
    let projector = stack.function("projector", &[]).await;
    for treatment in [ServerError, Throttle] {
        // The first two transactions succeed. The others fail for longer than the function's timeout.
        stack.table.decide(move |call| match call.operation {
            "TransactWriteItems" if call.number > 2 => treatment,
            _ => Pass,
        });
        let reply = projector
            .invoke_within(&json!({ "Records": records }), std::time::Duration::from_secs(20))
            .await;
        let failures = reply.payload["batchItemFailures"].as_array().unwrap();
        assert_eq!(failures.len(), 1, "{}", reply.payload);
        let first = records
            .iter()
            .position(|record| record["dynamodb"]["SequenceNumber"] == failures[0]["itemIdentifier"]);
        assert!(first.is_some_and(|first| first > 0), "{}", reply.payload);
        stack.table.recover().await;
        stack.table.reset_counts();
    }
    // Transactions that were committed but not answered are detected.
    stack.table.decide(|call| match call.operation {
        "TransactWriteItems" if call.number % 2 == 1 => CutAfter,
        _ => Pass,
    });
    assert_eq!(deliver(&projector, &records).await, Vec::<Value>::new());
    assert_same(&counted(&stack, "0").await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_not_new_events_are_skipped() {
    let stack = Stack::start().await;
    store(&stack).await;
    let expected = recount(&stack).await;
    let mut records = stack.stream();
    let mut removed = records[0].clone();
    removed["eventName"] = json!("REMOVE");
    let mut changed = records[1].clone();
    changed["eventName"] = json!("MODIFY");
    let mut without_event = records[2].clone();
    without_event["dynamodb"]["NewImage"] = json!({"series": {"S": "x"}});
    let mut broken = records[3].clone();
    broken["dynamodb"]["NewImage"] = json!("nonsense");
    records.extend([
        removed,
        changed,
        without_event,
        broken,
        json!({}),
        json!({"eventName": "INSERT"}),
    ]);
    let projector = stack.function("projector", &[]).await;
    assert_eq!(deliver(&projector, &records).await, Vec::<Value>::new());
    let log = projector.line(|line| line["message"] == "batch").await;
    assert_eq!(log["uncountable"], 4, "{log}");
    let events = records.len() - 6;
    let metrics = projector.line(|line| line.get("Projected").is_some()).await;
    assert_eq!(
        (
            &metrics["Projected"],
            &metrics["Unprojectable"],
            &metrics["function"]
        ),
        (&json!(events), &json!(4), &json!("projector")),
        "{metrics}"
    );
    assert_same(&counted(&stack, "0").await, &expected);
    assert_eq!(deliver(&projector, &[]).await, Vec::<Value>::new());
    assert_eq!(deliver(&projector, &records[..7]).await, Vec::<Value>::new());
    let metrics = projector.line(|line| line.get("Replayed").is_some()).await;
    assert_eq!(metrics["Replayed"], 7, "{metrics}");
}
