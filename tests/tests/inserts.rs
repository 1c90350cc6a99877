//! Events of one body are inserted 25 at a time, with every promise of a single put: each event is stored
//! once, a duplicate is distinguished from a conflict, and one event's fault does not affect the others.

use std::collections::BTreeMap;

use integration_tests::{
    fixtures::{LONG_BUDGET, body, events},
    function::Function,
    proxy::Treatment::{self, Hang, Pass, Refuse, RefuseStatements, ServerError},
    stack::Stack,
    storage::{self, failures, keys, sqs_event},
};
use serde_json::{Value, json};
use webhook_ingest::{
    events_table::item::{self, Item},
    queue::message::Reason,
};

async fn start() -> (Stack, Function) {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    (stack, receiver)
}

fn operations(stack: &Stack) -> BTreeMap<String, usize> {
    let operations = stack.table.operations();
    stack.table.reset_counts();
    operations
}

fn calls<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .into_iter()
        .map(|(operation, calls)| (operation.to_owned(), calls))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_events_are_four_calls_and_the_items_are_those_of_single_puts() {
    let (stack, receiver) = start().await;
    let mut records = events(0, 100);
    // Values that a parameter of a statement must carry as exactly as an attribute of a put.
    records[7]["callbackdata"] = json!("it's \"quoted\" \\ ? {'x':?} \u{1F600}");
    records[8]["order"] =
        json!({"id": 12_345_678_901_234_567_890_u64, "empty": {}, "list": [null, true, 1.5]});
    records[9]["?"] = json!("a field named like a placeholder");
    assert_eq!(receiver.post(&body(&records)).await.counts(), [100, 100, 0, 0, 0]);
    assert_eq!(operations(&stack), calls([("BatchExecuteStatement", 4)]));

    let (single, receiver) = start().await;
    for record in &records {
        let answer = receiver.post(&body(std::slice::from_ref(record))).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0]);
    }
    assert_eq!(operations(&single), calls([("PutItem", 100)]));

    let items = async |stack: &Stack| -> BTreeMap<(String, String), Item> {
        let items = stack.storage.items().await.into_iter().map(|mut item| {
            // Time of arrival.
            assert!(item.remove(item::RECEIVED_AT).is_some());
            assert!(item.remove(item::EXPIRES_AT).is_some());
            let key = [item::MESSAGE_ID, item::STATUS_KEY].map(|name| item[name].as_s().unwrap().clone());
            (key.into(), item)
        });
        items.collect()
    };
    let inserted = items(&stack).await;
    assert_eq!(inserted.len(), 100);
    assert_eq!(inserted, items(&single).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_conflicts_are_distinguished_among_new_events() {
    let (stack, receiver) = start().await;
    let first = events(0, 40);
    assert_eq!(receiver.post(&body(&first)).await.counts(), [40, 40, 0, 0, 0]);
    operations(&stack);

    // Ten of them again, one of these with another content, and fifteen new ones.
    let mut second = events(30, 25);
    second[3]["callbackdata"] = json!("another order");
    let answer = receiver.post(&body(&second)).await;
    assert_eq!(answer.counts(), [25, 15, 9, 0, 1]);
    assert_eq!(
        operations(&stack),
        calls([("BatchExecuteStatement", 1), ("PutItem", 10)])
    );
    let dead = stack.storage.take_dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, Reason::Conflict);
    let body_of: Value = serde_json::from_slice(dead[0].body.bytes()).unwrap();
    assert_eq!(body_of, json!([second[3]]));
    assert_eq!(
        stack.storage.stored_keys().await,
        keys(&body(&events(0, 55))).into_iter().collect()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_repeats_within_a_body_does_not_stop_its_neighbors() {
    let (stack, receiver) = start().await;
    let mut records = events(0, 20);
    let again = records[4].clone();
    let mut conflicting = records[5].clone();
    conflicting["callbackdata"] = json!("another order");
    records.extend([again.clone(), again, conflicting]);
    assert_eq!(receiver.post(&body(&records)).await.counts(), [23, 20, 2, 0, 1]);
    assert_eq!(
        operations(&stack),
        calls([("BatchExecuteStatement", 1), ("PutItem", 3)])
    );
    assert_eq!(stack.storage.count().await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_events_are_inserted_again_and_the_rest_is_queued() {
    for code in [
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "InternalServerError",
    ] {
        let (stack, receiver) = start().await;
        // Of the first call, every third event is throttled.
        stack.table.decide(move |call| match call.number {
            1 => RefuseStatements(3, code),
            _ => Pass,
        });
        let answer = receiver.post(&body(&events(0, 20))).await;
        assert_eq!(answer.counts(), [20, 20, 0, 0, 0], "{code}");
        assert_eq!(
            operations(&stack),
            calls([("BatchExecuteStatement", 2)]),
            "{code}"
        );

        // Of every call, every third event is throttled: 20, then 7, then 3 are sent, and then the last by a put.
        stack.table.always(RefuseStatements(3, code));
        let answer = receiver.post(&body(&events(100, 20))).await;
        assert_eq!(answer.counts(), [20, 20, 0, 0, 0], "{code}");
        let expected = calls([("BatchExecuteStatement", 3), ("PutItem", 1)]);
        assert_eq!(operations(&stack), expected, "{code}");

        // Everything is throttled, in all four attempts.
        stack.table.always(RefuseStatements(1, code));
        let answer = receiver.post(&body(&events(200, 20))).await;
        assert_eq!(answer.counts(), [20, 0, 0, 20, 0], "{code}");
        assert_eq!(
            operations(&stack),
            calls([("BatchExecuteStatement", 4)]),
            "{code}"
        );
        let queued = storage::keys_in(&storage::queue_messages(
            &stack.storage.take_retry_messages().await,
        ));
        assert_eq!(queued, keys(&body(&events(200, 20))));

        let is_throttling = code != "InternalServerError";
        if is_throttling {
            receiver.line(|line| line["TableThrottles"] == json!(80)).await;
        }
        let throttles = receiver.lines().into_iter().filter_map(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            line["TableThrottles"].as_u64()
        });
        // 7; then 7, 3 and 1; then four times 20.
        let expected = if is_throttling { 98 } else { 0 };
        assert_eq!(throttles.sum::<u64>(), expected, "{code}");
    }
}

/// The error of a role without `dynamodb:PartiQLInsert`.
const ACCESS_DENIED: Treatment = Refuse(
    "com.amazon.coral.service#AccessDeniedException",
    "User is not authorized to perform: dynamodb:PartiQLInsert",
);

/// The same for each statement.
const STATEMENTS_DENIED: Treatment = RefuseStatements(1, "AccessDenied");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_batches_are_refused_events_are_put_one_by_one_and_a_metric_counts_it() {
    for refusal in [
        ACCESS_DENIED,
        Refuse("com.amazon.coral.service#UnknownOperationException", ""),
        Refuse("com.amazon.coral.validate#ValidationException", "unforeseen"),
        STATEMENTS_DENIED,
        ServerError,
    ] {
        let (stack, receiver) = start().await;
        stack.table.decide(move |call| match call.operation {
            "BatchExecuteStatement" => refusal,
            _ => Pass,
        });
        let answer = receiver.post(&body(&events(0, 60))).await;
        assert_eq!(answer.counts(), [60, 60, 0, 0, 0], "{refusal:?}");
        assert_eq!(stack.table.calls("PutItem"), 60, "{refusal:?}");
        if [ACCESS_DENIED, STATEMENTS_DENIED].contains(&refusal) {
            let metric = receiver.line(|line| line.get("RefusedBatches").is_some()).await;
            assert_eq!(metric["RefusedBatches"], json!(3));
            assert_eq!(metric["Stack"], "netcore-webhooks");
            let warning = receiver
                .line(|line| {
                    line["reason"]
                        .as_str()
                        .is_some_and(|reason| reason.starts_with("AccessDenied"))
                })
                .await;
            assert_eq!(warning["level"], "WARN");
            assert!(
                warning["message"]
                    .as_str()
                    .unwrap()
                    .contains("dynamodb:PartiQLInsert")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_table_refuses_is_dead_lettered_and_its_neighbors_are_stored() {
    let (stack, receiver) = start().await;
    let mut records = events(0, 30);
    // A partition key holds 2,048 bytes.
    records[11]["message_id"] = json!("m".repeat(2049));
    let answer = receiver.post(&body(&records)).await;
    assert_eq!(answer.counts(), [30, 29, 0, 0, 1]);
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_hangs_does_not_stop_its_neighbors() {
    let stack = Stack::start().await;
    let receiver = stack
        .function("event-webhook", &[("ACK_BUDGET_MS", "8000")])
        .await;
    let hanging = events(3, 1)[0]["message_id"].as_str().unwrap().to_owned();
    stack
        .table
        .decide(move |call| if call.mentions(&hanging) { Hang } else { Pass });
    let answer = receiver.post(&body(&events(0, 50))).await;
    assert_eq!(answer.counts(), [50, 49, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_inserts_the_events_of_a_message_together() {
    let (stack, receiver) = start().await;
    stack.table.always(Treatment::Throttle);
    let answer = receiver.post(&body(&events(0, 120))).await;
    assert_eq!(answer.counts(), [120, 0, 0, 120, 0]);
    stack.table.recover().await;
    operations(&stack);
    let redrive = stack.function("redrive", &[]).await;
    let messages = stack.storage.receive().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    assert_eq!(operations(&stack), calls([("BatchExecuteStatement", 5)]));
    assert_eq!(
        stack.storage.stored_keys().await,
        keys(&body(&events(0, 120))).into_iter().collect()
    );
}
