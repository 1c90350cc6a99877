//! Whatever table and queues do, a request is answered in time, and every event that was
//! acknowledged is found again: in the table, in the retry queue or in the dead-letter queue.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this is all tests, helpers included"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use integration_tests::{
    binary::{Answer, Function},
    fixtures::{LARGE_BODY_BUDGET, body, events, post},
    ledger::{self, Key, NO_EVENT, keys, keys_in},
    proxy::{
        Proxy,
        Treatment::{self, Cut, CutAfter, FailEntries, Hang, Pass, ServerError, Slow, Throttle},
    },
    scene::Scene,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::{MAX_MESSAGE_BYTES, QueueMessage, Reason};

const RECEIVER: &str = "event-webhook";

/// `ACK_BUDGET_MS` by default.
const BUDGET: Duration = Duration::from_secs(2);
/// What the contract adds to the budget.
const ABOVE_BUDGET: Duration = Duration::from_millis(500);
/// Unoptimized code beside other tests on few cores. A wait too many is longer than this.
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

/// What the queues hold, taken out of them.
async fn take_letters(scene: &Scene) -> (Vec<QueueMessage>, Vec<QueueMessage>) {
    (
        ledger::letters(&scene.ledger.take_retries().await),
        ledger::letters(&scene.ledger.take_dead().await),
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

/// Posts events while the table is in trouble and the queues are well; all of them must be in the
/// table or in the retry queue. Then the trouble ends, and `redrive` brings all into the table.
async fn table_trouble(scene: &Scene, receiver: &Function) -> Answer {
    const EVENTS: usize = 60;
    let batch = body(&events(0, EVENTS));
    let answer = receiver.request(&post(&batch)).await;

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
    within_sqs_limits(&scene.queues);

    let messages = scene.ledger.take_retries().await;
    let letters = ledger::letters(&messages);
    assert!(
        letters
            .iter()
            .all(|l| l.reason == Reason::Exhausted && l.function == RECEIVER)
    );
    let queued = keys_in(&letters);
    assert_eq!(queued.len(), of("queued"));
    assert_eq!(set(&queued).len(), queued.len(), "an event was queued twice");
    let expected = set(&keys(&batch));
    let stored = scene.ledger.stored().await;
    assert!(stored.len() >= of("stored") + of("duplicates"));
    assert_eq!(
        stored.union(&set(&queued)).cloned().collect::<BTreeSet<_>>(),
        expected
    );

    scene.table.recover().await;
    for message in &messages {
        scene.ledger.send(message.body().unwrap()).await;
    }
    let redrive = scene.function("redrive", &[]).await;
    assert_eq!(scene.drain(&redrive).await, 0);
    assert_eq!(scene.ledger.stored().await, expected);
    assert!(scene.ledger.take_dead().await.is_empty());
    answer
}

async fn table_always(treatment: Treatment) -> Answer {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.always(treatment);
    table_trouble(&scene, &receiver).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_throttles() {
    assert_eq!(table_always(Throttle).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_answers_500() {
    assert_eq!(table_always(ServerError).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_hangs() {
    assert_eq!(table_always(Hang).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_connections() {
    assert_eq!(table_always(Cut).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_refuses_connections() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.refuse().await;
    assert_eq!(table_trouble(&scene, &receiver).await.count("queued"), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_connections_after_the_write() {
    // Nobody was told that the writes worked: each event is a duplicate of itself, or queued.
    let answer = table_always(CutAfter).await;
    assert_eq!(answer.count("stored"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_cuts_the_first_connection_after_each_write() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    let seen = std::sync::Mutex::new(BTreeSet::new());
    scene.table.decide(move |call| {
        if seen.lock().unwrap().insert(call.body.to_vec()) {
            CutAfter
        } else {
            Pass
        }
    });
    let answer = table_trouble(&scene, &receiver).await;
    // The SDK's second try meets the event that the first wrote.
    assert!(answer.count("duplicates") > 0, "{}", answer.body);
    assert_eq!(answer.count("stored"), 0, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_answers_too_late() {
    let answer = table_always(Slow(Duration::from_secs(5))).await;
    assert_eq!(answer.count("stored"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_event_cannot_be_written() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    let unlucky: Vec<String> = events(0, 60)
        .iter()
        .step_by(3)
        .map(|event| event["message_id"].as_str().unwrap().to_owned())
        .collect();
    scene.table.decide(move |call| {
        if unlucky.iter().any(|id| call.mentions(id)) {
            ServerError
        } else {
            Pass
        }
    });
    let answer = table_trouble(&scene, &receiver).await;
    assert_eq!((answer.count("stored"), answer.count("queued")), (40, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_write_fails_once() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene
        .table
        .decide(|call| if call.number % 3 == 0 { Throttle } else { Pass });
    let answer = table_trouble(&scene, &receiver).await;
    assert!(answer.count("stored") >= 40, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_table_gets_what_it_can_take_in_time_and_the_queue_the_rest() {
    const EVENTS: usize = 6000;
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    // 200 at once, 200 ms each: fewer than 2,000 in the time that storing has.
    scene.table.always(Slow(Duration::from_millis(200)));
    let batch = body(&events(0, EVENTS));
    let answer = receiver.request(&post(&batch)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert!(answer.count("stored") > 0, "{}", answer.body);
    assert!(answer.count("queued") > EVENTS / 2, "{}", answer.body);
    let (retries, dead) = take_letters(&scene).await;
    assert!(dead.is_empty());
    let queued = keys_in(&retries);
    assert_eq!(queued.len(), answer.count("queued"));
    let mut kept = scene.ledger.stored().await;
    kept.extend(queued);
    assert_eq!(kept, set(&keys(&batch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_events_left_over_are_queued_within_the_budget() {
    const EVENTS: usize = 12_000;
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[LARGE_BODY_BUDGET]).await;
    scene.table.always(Hang);
    let batch = body(&events(0, EVENTS));
    assert!(
        batch.len() > 5_900_000 && batch.len() <= 6_291_456,
        "{}",
        batch.len()
    );
    let answer = receiver.request(&post(&batch)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.count("queued"), EVENTS);
    within(
        Duration::from_millis(LARGE_BODY_BUDGET.1.parse().unwrap()),
        &answer,
    );
    within_sqs_limits(&scene.queues);
    let batches = scene.queues.batches();
    assert!(batches.len() <= 8, "not in full batches: {batches:?}");
    let (retries, dead) = take_letters(&scene).await;
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

/// The unreadable records among keys.
fn no_events(letters: &[QueueMessage]) -> usize {
    keys_in(letters).iter().filter(|(id, _)| id == NO_EVENT).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_took_only_in_part_is_sent_again() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    // The first two batches lose each third entry.
    scene
        .queues
        .decide(|call| if call.number <= 2 { FailEntries(3) } else { Pass });
    let records = [events(0, 5), unreadable(25)].concat();
    let answer = receiver.request(&post(&body(&records))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((answer.count("stored"), answer.count("dead_lettered")), (5, 25));
    within_sqs_limits(&scene.queues);
    let batches = scene.queues.batches();
    assert!(batches.len() > 3, "nothing was sent again: {batches:?}");
    assert!(
        batches.iter().filter(|batch| batch.entries == 10).count() >= 2,
        "{batches:?}"
    );
    let (retries, dead) = take_letters(&scene).await;
    assert!(retries.is_empty());
    assert_eq!(no_events(&dead), 25);
    assert_eq!(set(&keys_in(&dead)).len(), 25, "each of them once");
    assert!(dead.iter().all(|letter| letter.reason == Reason::Unreadable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_never_takes_is_not_acknowledged() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.queues.always(FailEntries(1));
    let records = [events(0, 5), unreadable(3)].concat();
    let answer = receiver.request(&post(&body(&records))).await;
    unavailable(&answer);
}

fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let seconds = answer.headers["retry-after"].as_str().unwrap();
    assert!(seconds.parse::<u32>().unwrap() > 0);
    in_time(answer);
}

/// Table and queues down: nothing may be acknowledged. Then all is well, and the sender's second
/// try stores everything.
async fn nothing_works(scene: &Scene, receiver: &Function) {
    let batch = body(&events(0, 40));
    unavailable(&receiver.request(&post(&batch)).await);
    let malformed = receiver.request(&post(b"not JSON")).await;
    unavailable(&malformed);

    scene.table.recover().await;
    scene.queues.recover().await;
    assert_eq!(scene.ledger.stored().await, BTreeSet::new());
    assert!(scene.ledger.take_retries().await.is_empty());
    assert!(scene.ledger.take_dead().await.is_empty());
    let answer = receiver.request(&post(&batch)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(scene.drain(&scene.function("redrive", &[]).await).await, 0);
    assert_eq!(scene.ledger.stored().await, set(&keys(&batch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_answer_500() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.always(ServerError);
    scene.queues.always(ServerError);
    nothing_works(&scene, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_hang() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.always(Hang);
    scene.queues.always(Hang);
    nothing_works(&scene, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_refuse_connections() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.refuse().await;
    scene.queues.refuse().await;
    nothing_works(&scene, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_table_and_dead_letter_queue_the_retry_queue_keeps_everything() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    scene.table.always(ServerError);
    let dead_letter_queue = scene.place.dead_letter_queue_url.clone();
    scene.queues.decide(move |call| {
        if call.mentions(&dead_letter_queue) {
            ServerError
        } else {
            Pass
        }
    });

    // Good and unreadable records beside each other.
    let records = [events(0, 10), unreadable(4)].concat();
    let answer = receiver.request(&post(&body(&records))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert_eq!((answer.count("queued"), answer.count("dead_lettered")), (14, 0));

    // Nothing but unreadable records, and no JSON at all: refused, and kept.
    let unreadable_body = body(&unreadable(3));
    for body in [unreadable_body.as_slice(), b"not JSON"] {
        let answer = receiver.request(&post(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        in_time(&answer);
    }

    let messages = scene.ledger.take_retries().await;
    assert!(scene.ledger.take_dead().await.is_empty());
    let letters = ledger::letters(&messages);
    let (malformed, rest): (Vec<QueueMessage>, Vec<QueueMessage>) = letters
        .into_iter()
        .partition(|letter| letter.reason == Reason::Malformed);
    assert_eq!(malformed.len(), 1);
    assert_eq!(malformed[0].body.bytes(), b"not JSON");
    let expected = [body(&records), unreadable_body].map(|body| keys(&body));
    assert_eq!(counted(keys_in(&rest)), counted(expected.concat()));

    // When all is well again, redrive stores the good records and puts the others, and what is no
    // JSON, into the dead-letter queue.
    scene.table.recover().await;
    scene.queues.recover().await;
    for message in &messages {
        scene.ledger.send(message.body().unwrap()).await;
    }
    let redrive = scene.function("redrive", &[]).await;
    assert_eq!(scene.drain(&redrive).await, 0);
    assert_eq!(scene.ledger.stored().await, set(&keys(&body(&events(0, 10)))));
    let (malformed, rest): (Vec<QueueMessage>, Vec<QueueMessage>) =
        ledger::letters(&scene.ledger.take_dead().await)
            .into_iter()
            .partition(|letter| letter.reason == Reason::Malformed);
    assert_eq!(malformed.len(), 1);
    assert_eq!(malformed[0].body.bytes(), b"not JSON");
    assert_eq!(no_events(&rest), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_dead_letter_queue_leaves_the_retry_queue_its_time() {
    let scene = Scene::set().await;
    let receiver = scene.function(RECEIVER, &[]).await;
    let dead_letter_queue = scene.place.dead_letter_queue_url.clone();
    scene.queues.decide(move |call| {
        if call.mentions(&dead_letter_queue) {
            Hang
        } else {
            Pass
        }
    });
    let batch = body(&[events(0, 10), unreadable(4)].concat());
    let answer = receiver.request(&post(&batch)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    in_time(&answer);
    assert_eq!((answer.count("stored"), answer.count("queued")), (10, 4));
    let refused = receiver.request(&post(b"not JSON")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    in_time(&refused);
    let letters = ledger::letters(&scene.ledger.take_retries().await);
    assert_eq!(
        letters
            .iter()
            .filter(|letter| letter.body.bytes() == b"not JSON")
            .count(),
        1
    );
}
