//! `redrive`, the real binary on SQS events: stores what was queued, names only what must come
//! again, puts aside what needs a person, and lets SQS move the hopeless.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this is all tests, helpers included"
)]

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_sqs::types::Message;
use integration_tests::{
    fixtures::{body, events, post, samples},
    ledger::{self, failures, key, keys, sqs_event},
    proxy::Treatment::{Hang, Pass, ServerError},
    scene::Scene,
};
use netcore_webhooks::local::QueueOptions;
use serde_json::{Value, json};
use webhook_ingest::{
    item,
    letter::{Letter, Reason},
};

const ARRIVED: i64 = 1_767_225_600_123;

fn letter(function: &str, body: Vec<u8>) -> String {
    let letter = Letter {
        reason: Reason::Exhausted,
        detail: "could not be stored in time".into(),
        function: function.into(),
        received_at: ARRIVED,
        body,
    };
    let mut messages = letter.write();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn events_letter(first: usize, count: usize) -> String {
    letter("event-webhook", body(&events(first, count)))
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
    let redrive = scene.function("redrive", &[]).await;
    let mut bodies = Vec::new();
    let mut expected = BTreeSet::new();
    for function in [
        "event-webhook",
        "fallback-sms",
        "incoming-webhook",
        "delivery-status",
    ] {
        let (_, body) = samples(function).remove(0);
        expected.extend(keys(function, &body));
        bodies.push(letter(function, body));
    }
    let callback = json!({"reference": "r-1", "event_id": "e-1", "direction": "OUTBOUND", "user_id": "5511912345678",
        "timestamp": "2026-01-01T00:00:00Z", "channel": "RCS", "type": "DELIVERED", "message": null});
    let callback = callback.to_string().into_bytes();
    expected.extend(keys("rcs-callback", &callback));
    bodies.push(letter("rcs-callback", callback));
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
    let redrive = scene.function("redrive", &[]).await;
    let messages = queued(&scene, &[events_letter(0, 20)]).await;
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
    let redrive = scene.function("redrive", &[]).await;
    let unlucky = events(5, 1)[0]["message_id"].as_str().unwrap().to_owned();
    scene.table.decide(move |call| {
        if call.mentions(&unlucky) {
            ServerError
        } else {
            Pass
        }
    });
    let bodies = [
        events_letter(0, 3),
        // One of its events cannot be stored now.
        events_letter(3, 3),
        events_letter(6, 3),
        // Not letters, or not ones that can be read.
        "hello".to_owned(),
        r#"{"version":1,"reason":"exhausted"}"#.to_owned(),
        letter("no-such-function", b"[]".to_vec()),
        letter("event-webhook", b"not JSON".to_vec()),
    ];
    let messages = queued(&scene, &bodies).await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    let ids = ids(&messages);
    let mut failed = failures(&reply.payload);
    failed.sort();
    let mut expected = vec![ids[1], ids[3], ids[4], ids[5], ids[6]];
    expected.sort_unstable();
    assert_eq!(failed, expected);
    let all = keys("event-webhook", &body(&events(0, 9)));
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
    let redrive = scene.function("redrive", &[]).await;
    let stored = events(0, 1);
    assert_eq!(receiver.request(&post(&body(&stored))).await.count("stored"), 1);

    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");
    let no_id = json!({"status": "Sent", "channel": "RCS"});
    let records = [conflicting.clone(), events(1, 1)[0].clone(), no_id.clone()];
    let messages = queued(&scene, &[letter("event-webhook", body(&records))]).await;

    // Nowhere to put them: the message comes again.
    scene.queues.always(ServerError);
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    scene.queues.recover().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);

    assert_eq!(
        scene.ledger.stored().await,
        keys("event-webhook", &body(&events(0, 2))).into_iter().collect()
    );
    let dead = scene.ledger.take_dead().await;
    let mut kept: Vec<(Reason, Value)> = ledger::letters(&dead)
        .into_iter()
        .map(|letter| {
            assert_eq!(
                (letter.function.as_str(), letter.received_at),
                ("event-webhook", ARRIVED)
            );
            (letter.reason, serde_json::from_slice(&letter.body).unwrap())
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
        let letter = Letter::read(message.body().unwrap()).unwrap();
        assert_eq!(value("reason"), letter.reason.as_str());
        assert_eq!(value("function"), "event-webhook");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_table_costs_no_more_than_the_functions_time() {
    let scene = Scene::set().await;
    let redrive = scene.function("redrive", &[]).await;
    scene.table.always(Hang);
    let messages = queued(&scene, &[events_letter(0, 3), events_letter(3, 3)]).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(8))
        .await;
    let mut failed = failures(&reply.payload);
    failed.sort();
    let mut expected = ids(&messages);
    expected.sort_unstable();
    assert_eq!(failed, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_moves_the_hopeless_and_it_reads_as_a_dead_letter() {
    const TRIES: u32 = 2;
    let scene = Scene::with(QueueOptions {
        visibility_timeout_seconds: 1,
        max_receive_count: TRIES,
    })
    .await;
    let redrive = scene.function("redrive", &[]).await;
    scene.table.refuse().await;
    let sent = events_letter(0, 2);
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
    assert_eq!(dead.len(), 1);
    let moved = Letter::read(dead[0].body().unwrap()).unwrap();
    assert_eq!(moved.reason, Reason::Exhausted);
    assert_eq!(Letter::read(&sent), Ok(moved));
}
