//! `redrive`, the real binary on SQS events: stores what was queued, names only what must come
//! again, outlasts an outage, and dead-letters at once what can never be stored.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this is all tests, helpers included"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::types::Message;
use integration_tests::verified;
use integration_tests::{
    fixtures::{body, events, noise, post, receiver_names},
    ledger::{self, failures, key, keys, sqs_event},
    proxy::Treatment::{self, Hang, Pass, Refuse, ServerError},
    samples::samples,
    scene::Scene,
};
use netcore_webhooks::local::QueueOptions;
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item,
    queue::{
        MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT,
        message::{QueueMessage, QueueMessageError, Reason},
    },
};

const ARRIVED: i64 = 1_767_225_600_123;

/// What arrived that long ago has expired, and the embedded table removes it once a minute.
const KEPT: [(&str, &str); 1] = [("RETENTION_DAYS", "0")];

fn queue_message(function: &str, body: &[u8]) -> String {
    let message = QueueMessage {
        reason: Reason::Exhausted,
        detail: "could not be stored in time".into(),
        function: function.into(),
        received_at: ARRIVED,
        body: verified(body).into(),
    };
    let mut messages = message.write();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn events_message(first: usize, count: usize) -> String {
    queue_message("event-webhook", &body(&events(first, count)))
}

/// Messages with these bodies, as SQS hands them out: through the queue.
async fn queued(scene: &Scene, bodies: &[String]) -> Vec<Message> {
    for body in bodies {
        scene.ledger.send(body).await;
    }
    let mut messages = Vec::new();
    while messages.len() < bodies.len() {
        messages.extend(scene.ledger.receive().await);
    }
    let place = |message: &Message| {
        bodies
            .iter()
            .position(|body| Some(body.as_str()) == message.body())
    };
    messages.sort_by_key(place);
    messages
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(Message::message_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_the_events_of_every_receiver_under_their_first_arrival() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    let mut bodies = Vec::new();
    let mut expected = BTreeSet::new();
    for function in receiver_names() {
        let sample = samples(function).remove(0);
        expected.insert(sample.key());
        bodies.push(queue_message(function, &sample.body));
    }
    let callback = json!({"reference": "r-1", "event_id": "e-1", "direction": "OUTBOUND", "user_id": "5511912345678",
        "timestamp": "2026-01-01T00:00:00Z", "channel": "RCS", "type": "DELIVERED", "message": null});
    expected.insert(("r-1".to_owned(), "RCS#delivered".to_owned()));
    bodies.push(queue_message("rcs-callback", callback.to_string().as_bytes()));
    let messages = queued(&scene, &bodies).await;

    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(reply.payload, json!({"batchItemFailures": []}));
    let items = scene.ledger.items().await;
    assert_eq!(items.iter().map(key).collect::<BTreeSet<_>>(), expected);
    for item in &items {
        assert_eq!(item::number_at(item, item::RECEIVED_AT), Some(ARRIVED));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaying_a_message_changes_nothing() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    let messages = queued(&scene, &[events_message(0, 20)]).await;
    let event = sqs_event(&messages);
    redrive.invoke(&event).await;
    let by_key = |mut items: Vec<item::Item>| {
        items.sort_by_key(key);
        items
    };
    let before = by_key(scene.ledger.items().await);
    assert_eq!(before.len(), 20);
    for _ in 0..2 {
        let reply = redrive.invoke(&event).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    assert_eq!(by_key(scene.ledger.items().await), before);
    assert!(scene.ledger.take_dead().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_only_the_messages_that_must_come_again() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    let unlucky = events(5, 1)[0]["message_id"].as_str().unwrap().to_owned();
    scene.table.decide(move |call| {
        if call.mentions(&unlucky) {
            ServerError
        } else {
            Pass
        }
    });
    let bodies = [
        events_message(0, 3),
        // One of its events cannot be stored now.
        events_message(3, 3),
        events_message(6, 3),
    ];
    let messages = queued(&scene, &bodies).await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [ids(&messages)[1]]);
    let all = keys(&body(&events(0, 9)));
    let stored: BTreeSet<_> = all.iter().filter(|(id, _)| *id != all[5].0).cloned().collect();
    assert_eq!(scene.ledger.stored().await, stored);

    // Only what was named comes again, and then the missing event is stored.
    scene.table.recover().await;
    let again = redrive.invoke(&sqs_event(&messages[1..2])).await;
    assert_eq!(failures(&again.payload), [""; 0]);
    assert_eq!(scene.ledger.stored().await, all.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_and_unreadable_records_go_to_a_person() {
    let scene = Scene::set().await;
    let receiver = scene.function("event-webhook", &[]).await;
    let redrive = scene.function("redrive", &KEPT).await;
    let stored = events(0, 1);
    assert_eq!(receiver.request(&post(&body(&stored))).await.count("stored"), 1);

    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");
    let no_id = json!({"status": "Sent", "channel": "RCS"});
    let records = [conflicting.clone(), events(1, 1)[0].clone(), no_id.clone()];
    let messages = queued(&scene, &[queue_message("event-webhook", &body(&records))]).await;

    // Nowhere to put them: the message comes again.
    scene.queues.always(ServerError);
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    scene.queues.recover().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);

    assert_eq!(
        scene.ledger.stored().await,
        keys(&body(&events(0, 2))).into_iter().collect()
    );
    let dead = scene.ledger.take_dead().await;
    let mut kept: Vec<(Reason, Value)> = ledger::letters(&dead)
        .into_iter()
        .map(|letter| {
            assert_eq!(
                (letter.function.as_str(), letter.received_at),
                ("event-webhook", ARRIVED)
            );
            (
                letter.reason,
                serde_json::from_slice(letter.body.bytes()).unwrap(),
            )
        })
        .collect();
    kept.sort_by_key(|(reason, _)| *reason);
    assert_eq!(
        kept,
        [
            (Reason::Unreadable, json!([no_id])),
            (Reason::Conflict, json!([conflicting]))
        ]
    );
    for message in &dead {
        let attributes = message.message_attributes().unwrap();
        let value = |name: &str| attributes[name].string_value().unwrap().to_owned();
        let letter = QueueMessage::read(message.body().unwrap()).unwrap();
        assert_eq!(value("reason"), letter.reason.as_str());
        assert_eq!(value("function"), "event-webhook");
    }
}

/// The message id of an event of [`events`].
fn id_of(number: usize) -> String {
    events(number, 1)[0]["message_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_message_costs_the_others_of_its_batch_nothing() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    // All of the first message hangs to the end of the function's time, and one event of the third.
    let slow = [0, 1, 2, 6].map(id_of);
    scene.table.decide(move |call| {
        if slow.iter().any(|id| call.mentions(id)) {
            Hang
        } else {
            Pass
        }
    });
    let bodies = [0, 3, 6, 9, 12].map(|first| events_message(first, 3));
    let messages = queued(&scene, &bodies).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(12))
        .await;
    // The first comes again; of the third, what is left is a letter of its own.
    assert_eq!(failures(&reply.payload), [ids(&messages)[0]]);
    let all = keys(&body(&events(0, 15)));
    let left = ledger::keys_in(&ledger::letters(&scene.ledger.take_retries().await));
    assert_eq!(left, [all[6].clone()]);
    let stored: BTreeSet<_> = [3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
        .map(|place| all[place].clone())
        .into();
    assert_eq!(scene.ledger.stored().await, stored);
    assert!(scene.ledger.take_dead().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_table_costs_no_more_than_the_functions_time_and_then_each_is_stored() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    scene.table.always(Hang);
    let messages = queued(&scene, &[events_message(0, 3), events_message(3, 3)]).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(8))
        .await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    // Neither was touched: not one event was stored, queued again or dead-lettered.
    assert_eq!(scene.ledger.stored().await, BTreeSet::new());
    assert!(scene.ledger.take_dead().await.is_empty());
    scene.table.recover().await;
    let mut expected = BTreeSet::new();
    for place in [1, 0] {
        let reply = redrive.invoke(&sqs_event(&messages[place..=place])).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
        expected.extend(keys(&body(&events(place * 3, 3))));
        assert_eq!(scene.ledger.stored().await, expected);
    }
    assert_eq!(expected.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_takes_longer_than_the_function_has_goes_on_as_a_smaller_one() {
    const EVENTS: usize = 200;
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    // Every write after the fortieth hangs.
    scene
        .table
        .decide(|call| if call.number <= 40 { Pass } else { Hang });
    let messages = queued(&scene, &[events_message(0, EVENTS)]).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(12))
        .await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    scene.ledger.delete(&messages).await;
    let stored = scene.ledger.stored().await;
    let rest = scene.ledger.take_retries().await;
    let left = ledger::keys_in(&ledger::letters(&rest));
    assert!(!stored.is_empty() && left.len() < EVENTS);
    let all: BTreeSet<_> = keys(&body(&events(0, EVENTS))).into_iter().collect();
    assert_eq!(stored.iter().cloned().chain(left).collect::<BTreeSet<_>>(), all);
    for letter in ledger::letters(&rest) {
        assert_eq!((letter.received_at, letter.reason), (ARRIVED, Reason::Exhausted));
    }
    scene.table.recover().await;
    for message in &rest {
        scene.ledger.send(message.body().unwrap()).await;
    }
    assert_eq!(scene.drain(&redrive).await, 0);
    assert_eq!(scene.ledger.stored().await, all);
}

/// As DynamoDB answers while a table is deleted or being restored. The SDK does not try it again.
const AWAY: Treatment = Refuse(
    "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
    "Requested resource not found",
);

/// The delays that `redrive` asks of the queue, by receipt handle; none takes effect.
fn noted_delays(scene: &Scene) -> Arc<Mutex<Vec<u64>>> {
    let delays = Arc::new(Mutex::new(Vec::new()));
    let note = delays.clone();
    scene.queues.decide(move |call| {
        if call.operation != "ChangeMessageVisibilityBatch" {
            return Pass;
        }
        let request: Value = serde_json::from_slice(call.body).unwrap();
        let entries = request["Entries"].as_array().unwrap();
        let asked = entries
            .iter()
            .map(|entry| entry["VisibilityTimeout"].as_u64().unwrap());
        note.lock().unwrap().extend(asked);
        Treatment::Answer(r#"{"Successful":[],"Failed":[]}"#)
    });
    delays
}

/// The event of received messages, sent so many seconds before they were.
fn aged(messages: &[Message], seconds: u64) -> Value {
    let mut event = sqs_event(messages);
    for record in event["Records"].as_array_mut().unwrap() {
        let sent = time::now() - i64::try_from(seconds * 1000).unwrap();
        record["attributes"]["SentTimestamp"] = json!(sent.to_string());
    }
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_days_leaves_no_dead_letter() {
    const RECEIVES: usize = 300;
    const DAY: u64 = 86_400;
    // The queue hands messages out again at once; the time that `redrive` asks for is counted.
    let scene = Scene::with(QueueOptions {
        visibility_timeout_seconds: 0,
        ..QueueOptions::default()
    })
    .await;
    let redrive = scene.function("redrive", &KEPT).await;
    let delays = noted_delays(&scene);
    scene.table.always(AWAY);
    for first in [0, 2] {
        scene.ledger.send(&events_message(first, 2)).await;
    }
    let mut elapsed = 0;
    for receive in 1..=RECEIVES {
        let messages = scene.ledger.receive().await;
        assert_eq!(messages.len(), 2, "receive {receive}");
        let reply = redrive.invoke(&aged(&messages, elapsed)).await;
        assert_eq!(failures(&reply.payload), ids(&messages), "receive {receive}");
        let asked = std::mem::take(&mut *delays.lock().unwrap());
        let expected = match receive {
            1 => 30,
            2 => 60,
            3 => 120,
            4 => 240,
            5 => 480,
            6 => 960,
            _ => 1200,
        };
        assert_eq!(asked, [expected, expected], "receive {receive}");
        elapsed += expected;
    }
    assert!(elapsed > 4 * DAY, "{elapsed} s");
    assert!(scene.ledger.take_dead().await.is_empty());

    scene.table.recover().await;
    assert_eq!(scene.drain(&redrive).await, 0);
    let all = keys(&body(&events(0, 4)));
    assert_eq!(scene.ledger.stored().await, all.into_iter().collect());
    assert!(scene.ledger.take_dead().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_sqs_would_soon_delete_is_dead_lettered() {
    const DAY: u64 = 86_400;
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    scene.table.always(AWAY);
    let sent = events_message(0, 2);
    let messages = queued(&scene, std::slice::from_ref(&sent)).await;
    let reply = redrive.invoke(&aged(&messages, 12 * DAY - 600)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    assert!(scene.ledger.take_dead().await.is_empty());

    // Nowhere to put it: it comes again.
    scene.queues.always(ServerError);
    let reply = redrive.invoke(&aged(&messages, 12 * DAY)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    scene.queues.recover().await;
    let reply = redrive.invoke(&aged(&messages, 12 * DAY)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    let dead = scene.ledger.take_dead().await;
    let bodies: Vec<&str> = dead.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, [sent.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_queue_that_is_moved_back_whole_comes_back_at_once_but_for_what_can_be_stored() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &KEPT).await;
    let receiver = scene.function("event-webhook", &[]).await;
    let stored = events(0, 1);
    assert_eq!(receiver.request(&post(&body(&stored))).await.count("stored"), 1);
    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");
    let letter_of = |reason, function: &str, body: Vec<u8>| QueueMessage {
        reason,
        detail: "as it was".into(),
        function: function.into(),
        received_at: ARRIVED,
        body: verified(&body).into(),
    };
    let in_parts = letter_of(Reason::Malformed, "event-webhook", noise(2_000_000)).write();
    assert!(in_parts.len() > 2);
    let bodies = [
        vec![
            "hello".to_owned(),
            r#"{"version":1,"reason":"exhausted"}"#.to_owned(),
            letter_of(Reason::Exhausted, "event-webhook", body(&events(1, 2)))
                .write()
                .remove(0),
            letter_of(Reason::Exhausted, "no-such-function", b"[]".to_vec())
                .write()
                .remove(0),
            letter_of(Reason::Malformed, "event-webhook", b"not JSON".to_vec())
                .write()
                .remove(0),
            letter_of(
                Reason::Unreadable,
                "event-webhook",
                b"[{\"status\":\"Sent\"}]".to_vec(),
            )
            .write()
            .remove(0),
            letter_of(Reason::Conflict, "event-webhook", body(&[conflicting]))
                .write()
                .remove(0),
            // What `projector` could not count is no webhook's body.
            letter_of(
                Reason::Uncountable,
                "projector",
                b"{\"eventName\":\"INSERT\"}".to_vec(),
            )
            .write()
            .remove(0),
        ],
        in_parts.clone(),
    ]
    .concat();
    let messages = queued(&scene, &bodies).await;
    for batch in messages.chunks(5) {
        let reply = redrive.invoke(&sqs_event(batch)).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
        scene.ledger.delete(batch).await;
    }
    assert!(scene.ledger.take_retries().await.is_empty());
    let kept: BTreeSet<_> = keys(&body(&events(0, 3))).into_iter().collect();
    assert_eq!(scene.ledger.stored().await, kept);

    let dead = scene.ledger.take_dead().await;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts = Vec::new();
    for text in dead.iter().filter_map(Message::body) {
        let kind = match QueueMessage::read(text) {
            Ok(letter) if letter.function == "no-such-function" => "unknown function",
            Ok(letter) => letter.reason.as_str(),
            Err(QueueMessageError::Partial(_)) => {
                parts.push(text);
                "part"
            }
            Err(QueueMessageError::Foreign(_)) => "foreign",
        };
        *reasons.entry(kind).or_default() += 1;
    }
    assert_eq!(
        reasons,
        BTreeMap::from([
            ("conflict", 1),
            ("foreign", 2),
            ("malformed", 1),
            ("part", in_parts.len()),
            ("uncountable", 1),
            ("unknown function", 1),
            ("unreadable", 1),
        ])
    );
    assert_eq!(QueueMessage::join(parts).unwrap().body.bytes(), noise(2_000_000));
}

#[test]
fn the_template_and_the_local_queue_have_the_same_rule() {
    let template = include_str!("../../template.yaml");
    let section = |name: &str| {
        let start = template.find(&format!("\n  {name}:\n")).unwrap() + 1;
        let rest = &template[start..];
        let end = rest[1..]
            .find("\n  A")
            .into_iter()
            .chain(rest[1..].find("\n\n"))
            .min();
        &rest[..end.unwrap_or(rest.len() - 1)]
    };
    let receives = section("MaxReceiveCount");
    assert!(
        receives.contains(&format!("Default: {MAX_RECEIVE_COUNT}\n")),
        "{receives}"
    );
    let queue = section("RetryQueue");
    let visible = format!("VisibilityTimeout: {}\n", VISIBILITY_TIMEOUT.as_secs());
    assert!(queue.contains(&visible), "{queue}");
    assert!(queue.contains("MessageRetentionPeriod: 1209600\n"), "{queue}");
    let local = QueueOptions::default();
    assert_eq!(local.max_receive_count, MAX_RECEIVE_COUNT);
    assert_eq!(
        u64::from(local.visibility_timeout_seconds),
        VISIBILITY_TIMEOUT.as_secs()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_moves_the_hopeless_and_it_reads_as_a_dead_letter() {
    const TRIES: u32 = 2;
    let scene = Scene::with(QueueOptions {
        visibility_timeout_seconds: 1,
        max_receive_count: TRIES,
    })
    .await;
    let redrive = scene.function("redrive", &KEPT).await;
    let delays = noted_delays(&scene);
    scene.table.refuse().await;
    let sent = events_message(0, 2);
    scene.ledger.send(&sent).await;

    let mut tries = 0;
    let dead = loop {
        let messages = scene.ledger.receive().await;
        if messages.is_empty() {
            let dead = scene.ledger.take_dead().await;
            if !dead.is_empty() {
                break dead;
            }
            continue;
        }
        tries += 1;
        assert!(tries <= TRIES, "received more often than allowed");
        let reply = redrive.invoke(&sqs_event(&messages)).await;
        assert_eq!(failures(&reply.payload), ids(&messages));
    };
    assert_eq!(tries, TRIES);
    assert_eq!(*delays.lock().unwrap(), [30, 60]);
    assert_eq!(dead.len(), 1);
    let moved = QueueMessage::read(dead[0].body().unwrap()).unwrap();
    assert_eq!(moved.reason, Reason::Exhausted);
    assert_eq!(QueueMessage::read(&sent), Ok(moved));
}
