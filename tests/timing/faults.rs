//! Faults of tables and queues. Every response is in time, and every acknowledged event is in the table, in
//! the retry queue or in the dead-letter queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use integration_tests::{
    answer::Answer,
    fixtures::{LARGE_BODY_BUDGET, body, events},
    function::Function,
    proxy::{
        Proxy,
        Treatment::{self, Cut, CutAfter, FailEntries, Hang, Pass, ServerError, Slow, Throttle},
    },
    stack::Stack,
    storage::{self, Key, NO_EVENT, keys, keys_in},
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::{MAX_MESSAGE_BYTES, QueueMessage, Reason};

const RECEIVER: &str = "event-webhook";

/// The default of `ACK_BUDGET_MS`.
const BUDGET: Duration = Duration::from_secs(2);
/// The documented margin above the budget.
const ABOVE_BUDGET: Duration = Duration::from_millis(500);
/// Margin for unoptimized code and concurrent tests on few cores, shorter than any extra wait.
const BUSY_MACHINE: Duration = Duration::from_millis(1500);

fn in_time(answer: &Answer) {
    within(BUDGET, answer);
}

fn within(budget: Duration, answer: &Answer) {
    assert!(
        answer.took <= budget + ABOVE_BUDGET + BUSY_MACHINE,
        "answered after {:?}",
        answer.took
    );
}

/// Takes all messages out of both queues.
async fn take_all(stack: &Stack) -> (Vec<QueueMessage>, Vec<QueueMessage>) {
    (
        storage::queue_messages(&stack.storage.take_retry_messages().await),
        stack.storage.take_dead_letters().await,
    )
}

fn counted(keys: impl IntoIterator<Item = Key>) -> BTreeMap<Key, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn set(keys: &[Key]) -> BTreeSet<Key> {
    keys.iter().cloned().collect()
}

fn within_sqs_limits(queues: &Proxy) {
    for batch in queues.batches() {
        assert!((1..=10).contains(&batch.entries), "{batch:?}");
        assert!(batch.bytes <= MAX_MESSAGE_BYTES, "{batch:?}");
    }
}

/// Posts events while the table fails and the queues work. All of them must be in the table or in the retry
/// queue. Then the table recovers, and `redrive` stores the rest.
async fn failing_table(stack: &Stack, receiver: &Function) -> Answer {
    const EVENTS: usize = 60;
    let batch = body(&events(0, EVENTS));
    let answer = receiver.post(&batch).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    let of = |name| answer.count(name);
    assert_eq!(of("received"), EVENTS);
    assert_eq!(
        of("stored") + of("duplicates") + of("queued"),
        EVENTS,
        "{}",
        answer.body
    );
    assert_eq!(of("dead_lettered"), 0, "{}", answer.body);
    within_sqs_limits(&stack.queues);

    let messages = stack.storage.take_retry_messages().await;
    let contents = storage::queue_messages(&messages);
    assert!(
        contents
            .iter()
            .all(|l| l.reason == Reason::Exhausted && l.function == RECEIVER)
    );
    let queued = keys_in(&contents);
    assert_eq!(queued.len(), of("queued"));
    assert_eq!(set(&queued).len(), queued.len(), "an event was queued twice");
    let expected = set(&keys(&batch));
    let stored = stack.storage.stored_keys().await;
    assert!(stored.len() >= of("stored") + of("duplicates"));
    assert_eq!(
        stored.union(&set(&queued)).cloned().collect::<BTreeSet<_>>(),
        expected
    );

    stack.table.recover().await;
    for message in &messages {
        stack.storage.send(message.body().unwrap()).await;
    }
    let redrive = stack.function("redrive", &[]).await;
    assert_eq!(stack.drain(&redrive).await, 0);
    assert_eq!(stack.storage.stored_keys().await, expected);
    assert!(stack.storage.take_dead_messages().await.is_empty());
    answer
}

async fn table_with_fault(treatment: Treatment) -> Answer {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.always(treatment);
    failing_table(&stack, &receiver).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_throttles() {
    assert_eq!(table_with_fault(Throttle).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_responds_500() {
    assert_eq!(table_with_fault(ServerError).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_hangs() {
    assert_eq!(table_with_fault(Hang).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_connections() {
    assert_eq!(table_with_fault(Cut).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_refuses_connections() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.refuse().await;
    assert_eq!(failing_table(&stack, &receiver).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_connections_after_the_write() {
    // The function does not know that the writes succeeded: each event is a duplicate of itself, or queued.
    let answer = table_with_fault(CutAfter).await;
    assert_eq!(answer.count("stored"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_the_first_connection_after_each_write() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    let seen = std::sync::Mutex::new(BTreeSet::new());
    stack.table.decide(move |call| {
        if seen.lock().unwrap().insert(call.body.to_vec()) {
            CutAfter
        } else {
            Pass
        }
    });
    let answer = failing_table(&stack, &receiver).await;
    // The retry of the SDK finds the event of its first write.
    assert!(answer.count("duplicates") > 0, "{}", answer.body);
    assert_eq!(answer.count("stored"), 0, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_responds_too_late() {
    let answer = table_with_fault(Slow(Duration::from_secs(5))).await;
    assert_eq!(answer.count("stored"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_event_cannot_be_written() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    let unlucky: Vec<String> = events(0, 60)
        .iter()
        .step_by(3)
        .map(|event| event["message_id"].as_str().unwrap().to_owned())
        .collect();
    stack.table.decide(move |call| {
        if unlucky.iter().any(|id| call.mentions(id)) {
            ServerError
        } else {
            Pass
        }
    });
    let answer = failing_table(&stack, &receiver).await;
    assert_eq!((answer.count("stored"), answer.count("queued")), (40, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_write_fails_once() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack
        .table
        .decide(|call| if call.number % 3 == 0 { Throttle } else { Pass });
    let answer = failing_table(&stack, &receiver).await;
    assert!(answer.count("stored") >= 40, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_table_stores_what_it_can_in_time_and_the_rest_is_queued() {
    const EVENTS: usize = 6000;
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    // 100 events at a time, 200 ms each: fewer than 1,000 in the time for storing.
    stack.table.always(Slow(Duration::from_millis(200)));
    let batch = body(&events(0, EVENTS));
    let answer = receiver.post(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert!(answer.count("stored") > 0, "{}", answer.body);
    assert!(answer.count("queued") > EVENTS / 2, "{}", answer.body);
    let (retries, dead) = take_all(&stack).await;
    assert!(dead.is_empty());
    let queued = keys_in(&retries);
    assert_eq!(queued.len(), answer.count("queued"));
    let mut kept = stack.storage.stored_keys().await;
    kept.extend(queued);
    assert_eq!(kept, set(&keys(&batch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_unstored_events_are_queued_within_the_budget() {
    const EVENTS: usize = 12_000;
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[LARGE_BODY_BUDGET]).await;
    stack.table.always(Hang);
    let batch = body(&events(0, EVENTS));
    assert!(
        batch.len() > 5_900_000 && batch.len() <= 6_291_456,
        "{}",
        batch.len()
    );
    let answer = receiver.post(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.count("queued"), EVENTS);
    within(
        Duration::from_millis(LARGE_BODY_BUDGET.1.parse().unwrap()),
        &answer,
    );
    within_sqs_limits(&stack.queues);
    let batches = stack.queues.batches();
    assert!(batches.len() <= 8, "not in full batches: {batches:?}");
    let (retries, dead) = take_all(&stack).await;
    assert!(dead.is_empty());
    let queued = counted(keys_in(&retries));
    assert_eq!(queued, counted(keys(&batch)));
    println!(
        "{EVENTS} events in {} batches after {:?}",
        batches.len(),
        answer.took
    );
}

fn unreadable(count: usize) -> Vec<Value> {
    (0..count)
        .map(|i| json!({"mobile": "919209209291", "status": "Sent", "channel": "RCS", "number": i}))
        .collect()
}

/// The number of unreadable records in messages.
fn no_events(messages: &[QueueMessage]) -> usize {
    keys_in(messages).iter().filter(|(id, _)| id == NO_EVENT).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_entries_of_a_batch_are_sent_again() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    // The first two batches lose each third entry.
    stack
        .queues
        .decide(|call| if call.number <= 2 { FailEntries(3) } else { Pass });
    let records = [events(0, 5), unreadable(25)].concat();
    let answer = receiver.post(&body(&records)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((answer.count("stored"), answer.count("dead_lettered")), (5, 25));
    within_sqs_limits(&stack.queues);
    let batches = stack.queues.batches();
    assert!(batches.len() > 3, "nothing was sent again: {batches:?}");
    assert!(
        batches.iter().filter(|batch| batch.entries == 10).count() >= 2,
        "{batches:?}"
    );
    let (retries, dead) = take_all(&stack).await;
    assert!(retries.is_empty());
    assert_eq!(no_events(&dead), 25);
    assert_eq!(set(&keys_in(&dead)).len(), 25, "each of them once");
    assert!(dead.iter().all(|message| message.reason == Reason::Unreadable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_a_queue_rejects_is_not_acknowledged() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.queues.always(FailEntries(1));
    let records = [events(0, 5), unreadable(3)].concat();
    let answer = receiver.post(&body(&records)).await;
    unavailable(&answer);
}

fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let seconds = answer.header("retry-after").unwrap();
    assert!(seconds.parse::<u32>().unwrap() > 0);
    in_time(answer);
}

/// Tables and queues fail: nothing may be acknowledged. Then they recover, and the sender's retry stores
/// everything.
async fn everything_fails(stack: &Stack, receiver: &Function) {
    let batch = body(&events(0, 40));
    unavailable(&receiver.post(&batch).await);
    let malformed = receiver.post(b"not JSON").await;
    unavailable(&malformed);

    stack.table.recover().await;
    stack.queues.recover().await;
    assert_eq!(stack.storage.stored_keys().await, BTreeSet::new());
    assert!(stack.storage.take_retry_messages().await.is_empty());
    assert!(stack.storage.take_dead_messages().await.is_empty());
    let answer = receiver.post(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(stack.drain(&stack.function("redrive", &[]).await).await, 0);
    assert_eq!(stack.storage.stored_keys().await, set(&keys(&batch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_respond_500() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.always(ServerError);
    stack.queues.always(ServerError);
    everything_fails(&stack, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_hang() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.always(Hang);
    stack.queues.always(Hang);
    everything_fails(&stack, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_refuse_connections() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.refuse().await;
    stack.queues.refuse().await;
    everything_fails(&stack, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_retry_queue_keeps_everything_while_table_and_dead_letter_queue_fail() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    stack.table.always(ServerError);
    let dead_letter_queue = stack.instance.dead_letter_queue_url.clone();
    stack.queues.decide(move |call| {
        if call.mentions(&dead_letter_queue) {
            ServerError
        } else {
            Pass
        }
    });

    // Good and unreadable records in one body.
    let records = [events(0, 10), unreadable(4)].concat();
    let answer = receiver.post(&body(&records)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert_eq!((answer.count("queued"), answer.count("dead_lettered")), (14, 0));

    // Only unreadable records, and a body that is not JSON: rejected, and kept.
    let unreadable_body = body(&unreadable(3));
    for body in [unreadable_body.as_slice(), b"not JSON"] {
        let answer = receiver.post(body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        in_time(&answer);
    }

    let messages = stack.storage.take_retry_messages().await;
    assert!(stack.storage.take_dead_messages().await.is_empty());
    let contents = storage::queue_messages(&messages);
    let (malformed, rest): (Vec<QueueMessage>, Vec<QueueMessage>) = contents
        .into_iter()
        .partition(|message| message.reason == Reason::Malformed);
    assert_eq!(malformed.len(), 1);
    assert_eq!(malformed[0].body.bytes(), b"not JSON");
    let expected = [body(&records), unreadable_body].map(|body| keys(&body));
    assert_eq!(counted(keys_in(&rest)), counted(expected.concat()));

    // After the recovery, redrive stores the good records. The others, and the body that is not JSON, go to
    // the dead-letter queue.
    stack.table.recover().await;
    stack.queues.recover().await;
    for message in &messages {
        stack.storage.send(message.body().unwrap()).await;
    }
    let redrive = stack.function("redrive", &[]).await;
    assert_eq!(stack.drain(&redrive).await, 0);
    assert_eq!(
        stack.storage.stored_keys().await,
        set(&keys(&body(&events(0, 10))))
    );
    let (malformed, rest): (Vec<QueueMessage>, Vec<QueueMessage>) = stack
        .storage
        .take_dead_letters()
        .await
        .into_iter()
        .partition(|message| message.reason == Reason::Malformed);
    assert_eq!(malformed.len(), 1);
    assert_eq!(malformed[0].body.bytes(), b"not JSON");
    assert_eq!(no_events(&rest), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_dead_letter_queue_leaves_time_for_the_retry_queue() {
    let stack = Stack::start().await;
    let receiver = stack.function(RECEIVER, &[]).await;
    let dead_letter_queue = stack.instance.dead_letter_queue_url.clone();
    stack.queues.decide(move |call| {
        if call.mentions(&dead_letter_queue) {
            Hang
        } else {
            Pass
        }
    });
    let batch = body(&[events(0, 10), unreadable(4)].concat());
    let answer = receiver.post(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert_eq!((answer.count("stored"), answer.count("queued")), (10, 4));
    let refused = receiver.post(b"not JSON").await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    in_time(&refused);
    let contents = storage::queue_messages(&stack.storage.take_retry_messages().await);
    assert_eq!(
        contents
            .iter()
            .filter(|message| message.body.bytes() == b"not JSON")
            .count(),
        1
    );
}
