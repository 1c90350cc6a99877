//! The binary `redrive` on SQS events. It stores queued events, reports only the messages to retry, survives
//! outages, and immediately dead-letters what can never be stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::types::Message;
use integration_tests::{
    fixtures::{body, events, noise, queue_message, receiver_names},
    proxy::Treatment::{self, Hang, Pass, Refuse, ServerError},
    samples::samples,
    stack::Stack,
    storage::{self, failures, key, keys, sqs_event},
};
use netcore_webhooks::local::LocalOptions;
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

/// Events that arrived at [`ARRIVED`] would be expired, and the embedded table deletes expired items.
const KEPT: [(&str, &str); 1] = [("RETENTION_DAYS", "0")];

fn message_of(function: &str, body: &[u8]) -> String {
    let mut messages = queue_message(Reason::Exhausted, function, ARRIVED, body).write();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn events_message(first: usize, count: usize) -> String {
    message_of("event-webhook", &body(&events(first, count)))
}

/// Messages with these bodies, received from the queue.
async fn queued(stack: &Stack, bodies: &[String]) -> Vec<Message> {
    for body in bodies {
        stack.storage.send(body).await;
    }
    let mut messages = Vec::new();
    while messages.len() < bodies.len() {
        messages.extend(stack.storage.receive().await);
    }
    let index = |message: &Message| {
        bodies
            .iter()
            .position(|body| Some(body.as_str()) == message.body())
    };
    messages.sort_by_key(index);
    messages
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(Message::message_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_every_receiver_are_stored_with_their_first_arrival() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    let mut bodies = Vec::new();
    let mut expected = BTreeSet::new();
    for function in receiver_names() {
        let sample = samples(function).remove(0);
        expected.insert(sample.key());
        bodies.push(message_of(function, &sample.body));
    }
    let callback = json!({"reference": "r-1", "event_id": "e-1", "direction": "OUTBOUND", "user_id": "5511912345678",
        "timestamp": "2026-01-01T00:00:00Z", "channel": "RCS", "type": "DELIVERED", "message": null});
    expected.insert(("r-1".to_owned(), "RCS#delivered".to_owned()));
    bodies.push(message_of("rcs-callback", callback.to_string().as_bytes()));
    let messages = queued(&stack, &bodies).await;

    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(reply.payload, json!({"batchItemFailures": []}));
    let items = stack.storage.items().await;
    assert_eq!(items.iter().map(key).collect::<BTreeSet<_>>(), expected);
    for item in &items {
        assert_eq!(item::number_at(item, item::RECEIVED_AT), Some(ARRIVED));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivered_message_changes_nothing() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    let messages = queued(&stack, &[events_message(0, 20)]).await;
    let event = sqs_event(&messages);
    redrive.invoke(&event).await;
    let by_key = |mut items: Vec<item::Item>| {
        items.sort_by_key(key);
        items
    };
    let before = by_key(stack.storage.items().await);
    assert_eq!(before.len(), 20);
    for _ in 0..2 {
        let reply = redrive.invoke(&event).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    assert_eq!(by_key(stack.storage.items().await), before);
    assert!(stack.storage.take_dead_messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_messages_to_retry_are_reported_as_failed() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    let unlucky = events(5, 1)[0]["message_id"].as_str().unwrap().to_owned();
    stack.table.decide(move |call| {
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
    let messages = queued(&stack, &bodies).await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [ids(&messages)[1]]);
    let all = keys(&body(&events(0, 9)));
    let stored: BTreeSet<_> = all.iter().filter(|(id, _)| *id != all[5].0).cloned().collect();
    assert_eq!(stack.storage.stored_keys().await, stored);

    // Only the reported message is retried, and then the missing event is stored.
    stack.table.recover().await;
    let again = redrive.invoke(&sqs_event(&messages[1..2])).await;
    assert_eq!(failures(&again.payload), [""; 0]);
    assert_eq!(stack.storage.stored_keys().await, all.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_messages_of_one_event_share_a_few_calls() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let redrive = stack.function("redrive", &KEPT).await;
    let stored = events(200, 1);
    assert_eq!(receiver.post(&body(&stored)).await.count("stored"), 1);
    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");

    let mut bodies: Vec<String> = (0..95).map(|number| events_message(number, 1)).collect();
    // The same event in another message, and one that is stored already.
    bodies.push(message_of(
        "event-webhook",
        &[&body(&events(7, 1))[..], b" "].concat(),
    ));
    bodies.push(events_message(200, 1));
    let conflict = message_of("event-webhook", &body(&[conflicting]));
    let malformed = message_of("event-webhook", b"{");
    let foreign = "not a message of this program".to_owned();
    bodies.extend([conflict, malformed, foreign.clone()]);
    assert_eq!(bodies.len(), 100);
    let messages = queued(&stack, &bodies).await;
    stack.table.reset_counts();

    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    let mut expected: BTreeSet<_> = keys(&body(&events(0, 95))).into_iter().collect();
    expected.extend(keys(&body(&stored)));
    assert_eq!(stack.storage.stored_keys().await, expected);
    let dead = stack.storage.take_dead_messages().await;
    let (ours, others): (Vec<Message>, Vec<Message>) = dead
        .into_iter()
        .partition(|message| message.body() != Some(foreign.as_str()));
    assert_eq!(others.len(), 1);
    let mut reasons: Vec<Reason> = storage::queue_messages(&ours)
        .iter()
        .map(|message| message.reason)
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [Reason::Malformed, Reason::Conflict]);
    // 98 events: four calls, and a put for each of the three that have a stored key.
    assert_eq!(stack.table.calls("BatchExecuteStatement"), 4);
    assert_eq!(stack.table.calls("PutItem"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_and_unreadable_records_are_dead_lettered() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let redrive = stack.function("redrive", &KEPT).await;
    let stored = events(0, 1);
    assert_eq!(receiver.post(&body(&stored)).await.count("stored"), 1);

    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");
    let no_id = json!({"status": "Sent", "channel": "RCS"});
    let records = [conflicting.clone(), events(1, 1)[0].clone(), no_id.clone()];
    let messages = queued(&stack, &[message_of("event-webhook", &body(&records))]).await;

    // The dead-letter queue fails: the message is retried.
    stack.queues.always(ServerError);
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    stack.queues.recover().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);

    assert_eq!(
        stack.storage.stored_keys().await,
        keys(&body(&events(0, 2))).into_iter().collect()
    );
    let dead = stack.storage.take_dead_messages().await;
    let mut kept: Vec<(Reason, Value)> = storage::queue_messages(&dead)
        .into_iter()
        .map(|dead_letter| {
            assert_eq!(
                (dead_letter.function.as_str(), dead_letter.received_at),
                ("event-webhook", ARRIVED)
            );
            (
                dead_letter.reason,
                serde_json::from_slice(dead_letter.body.bytes()).unwrap(),
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
        let dead_letter = QueueMessage::read(message.body().unwrap()).unwrap();
        assert_eq!(value("reason"), dead_letter.reason.as_str());
        assert_eq!(value("function"), "event-webhook");
    }
}

/// The message id of an event of [`events`].
fn id_of(number: usize) -> String {
    events(number, 1)[0]["message_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_message_does_not_delay_the_others_of_its_batch() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    // The whole first message hangs until the function's timeout, and one event of the third.
    let slow = [0, 1, 2, 6].map(id_of);
    stack.table.decide(move |call| {
        if slow.iter().any(|id| call.mentions(id)) {
            Hang
        } else {
            Pass
        }
    });
    let bodies = [0, 3, 6, 9, 12].map(|first| events_message(first, 3));
    let messages = queued(&stack, &bodies).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(12))
        .await;
    // The first message is retried. The rest of the third is queued as a new message.
    assert_eq!(failures(&reply.payload), [ids(&messages)[0]]);
    let all = keys(&body(&events(0, 15)));
    let left = storage::keys_in(&storage::queue_messages(
        &stack.storage.take_retry_messages().await,
    ));
    assert_eq!(left, [all[6].clone()]);
    let stored: BTreeSet<_> = [3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
        .map(|index| all[index].clone())
        .into();
    assert_eq!(stack.storage.stored_keys().await, stored);
    assert!(stack.storage.take_dead_messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_retried_and_stored_after_the_table_hung() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    stack.table.always(Hang);
    let messages = queued(&stack, &[events_message(0, 3), events_message(3, 3)]).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(8))
        .await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    // Neither message was processed: no event was stored, queued again or dead-lettered.
    assert_eq!(stack.storage.stored_keys().await, BTreeSet::new());
    assert!(stack.storage.take_dead_messages().await.is_empty());
    stack.table.recover().await;
    let mut expected = BTreeSet::new();
    for index in [1, 0] {
        let reply = redrive.invoke(&sqs_event(&messages[index..=index])).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
        expected.extend(keys(&body(&events(index * 3, 3))));
        assert_eq!(stack.storage.stored_keys().await, expected);
    }
    assert_eq!(expected.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_a_message_that_exceeds_the_timeout_is_queued_again() {
    const EVENTS: usize = 200;
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    // Every write after the fortieth hangs.
    stack
        .table
        .decide(|call| if call.number <= 40 { Pass } else { Hang });
    let messages = queued(&stack, &[events_message(0, EVENTS)]).await;
    let reply = redrive
        .invoke_within(&sqs_event(&messages), Duration::from_secs(12))
        .await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    stack.storage.delete(&messages).await;
    let stored = stack.storage.stored_keys().await;
    let rest = stack.storage.take_retry_messages().await;
    let left = storage::keys_in(&storage::queue_messages(&rest));
    assert!(!stored.is_empty() && left.len() < EVENTS);
    let all: BTreeSet<_> = keys(&body(&events(0, EVENTS))).into_iter().collect();
    assert_eq!(stored.iter().cloned().chain(left).collect::<BTreeSet<_>>(), all);
    for message in storage::queue_messages(&rest) {
        assert_eq!(
            (message.received_at, message.reason),
            (ARRIVED, Reason::Exhausted)
        );
    }
    stack.table.recover().await;
    for message in &rest {
        stack.storage.send(message.body().unwrap()).await;
    }
    assert_eq!(stack.drain(&redrive).await, 0);
    assert_eq!(stack.storage.stored_keys().await, all);
}

/// The response of DynamoDB while a table is deleted or restored. The SDK does not retry it.
const MISSING_TABLE: Treatment = Refuse(
    "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
    "Requested resource not found",
);

/// The visibility timeouts that `redrive` requests; none takes effect.
fn noted_delays(stack: &Stack) -> Arc<Mutex<Vec<u64>>> {
    let delays = Arc::new(Mutex::new(Vec::new()));
    let note = delays.clone();
    stack.queues.decide(move |call| {
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

/// The event of received messages, with a sent time this many seconds ago.
fn aged(messages: &[Message], seconds: u64) -> Value {
    let mut event = sqs_event(messages);
    for record in event["Records"].as_array_mut().unwrap() {
        let sent = time::now() - i64::try_from(seconds * 1000).unwrap();
        record["attributes"]["SentTimestamp"] = json!(sent.to_string());
    }
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_days_causes_no_dead_letter() {
    const RECEIVES: usize = 300;
    const DAY: u64 = 86_400;
    // The queue redelivers immediately. The test adds up the requested visibility timeouts.
    let stack = Stack::with(
        None,
        LocalOptions {
            visibility_timeout_seconds: 0,
            ..LocalOptions::default()
        },
    )
    .await;
    let redrive = stack.function("redrive", &KEPT).await;
    let delays = noted_delays(&stack);
    stack.table.always(MISSING_TABLE);
    for first in [0, 2] {
        stack.storage.send(&events_message(first, 2)).await;
    }
    let mut elapsed = 0;
    for receive in 1..=RECEIVES {
        let messages = stack.storage.receive().await;
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
    assert!(stack.storage.take_dead_messages().await.is_empty());

    stack.table.recover().await;
    assert_eq!(stack.drain(&redrive).await, 0);
    let all = keys(&body(&events(0, 4)));
    assert_eq!(stack.storage.stored_keys().await, all.into_iter().collect());
    assert!(stack.storage.take_dead_messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_close_to_the_retention_limit_is_dead_lettered() {
    const DAY: u64 = 86_400;
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    stack.table.always(MISSING_TABLE);
    let sent = events_message(0, 2);
    let messages = queued(&stack, std::slice::from_ref(&sent)).await;
    let reply = redrive.invoke(&aged(&messages, 12 * DAY - 600)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    assert!(stack.storage.take_dead_messages().await.is_empty());

    // The dead-letter queue fails: the message is retried.
    stack.queues.always(ServerError);
    let reply = redrive.invoke(&aged(&messages, 12 * DAY)).await;
    assert_eq!(failures(&reply.payload), ids(&messages));
    stack.queues.recover().await;
    let reply = redrive.invoke(&aged(&messages, 12 * DAY)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    let dead = stack.storage.take_dead_messages().await;
    let bodies: Vec<&str> = dead.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, [sent.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redriven_dead_letter_queue_is_stored_where_possible_and_else_dead_lettered_immediately() {
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &KEPT).await;
    let receiver = stack.function("event-webhook", &[]).await;
    let stored = events(0, 1);
    assert_eq!(receiver.post(&body(&stored)).await.count("stored"), 1);
    let mut conflicting = stored[0].clone();
    conflicting["callbackdata"] = json!("another order");
    let message_of =
        |reason, function: &str, body: &[u8]| queue_message(reason, function, ARRIVED, body).write();
    let in_parts = message_of(Reason::Malformed, "event-webhook", &noise(2_000_000));
    assert!(in_parts.len() > 2);
    let bodies = [
        vec![
            "hello".to_owned(),
            r#"{"version":1,"reason":"exhausted"}"#.to_owned(),
            message_of(Reason::Exhausted, "event-webhook", &body(&events(1, 2))).remove(0),
            message_of(Reason::Exhausted, "no-such-function", b"[]").remove(0),
            message_of(Reason::Malformed, "event-webhook", b"not JSON").remove(0),
            message_of(Reason::Unreadable, "event-webhook", b"[{\"status\":\"Sent\"}]").remove(0),
            message_of(Reason::Conflict, "event-webhook", &body(&[conflicting])).remove(0),
            // A stream record that `projector` could not count is not a webhook body.
            message_of(Reason::Uncountable, "projector", b"{\"eventName\":\"INSERT\"}").remove(0),
        ],
        in_parts.clone(),
    ]
    .concat();
    let messages = queued(&stack, &bodies).await;
    for batch in messages.chunks(5) {
        let reply = redrive.invoke(&sqs_event(batch)).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
        stack.storage.delete(batch).await;
    }
    assert!(stack.storage.take_retry_messages().await.is_empty());
    let kept: BTreeSet<_> = keys(&body(&events(0, 3))).into_iter().collect();
    assert_eq!(stack.storage.stored_keys().await, kept);

    let dead = stack.storage.take_dead_messages().await;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts = Vec::new();
    for text in dead.iter().filter_map(Message::body) {
        let kind = match QueueMessage::read(text) {
            Ok(message) if message.function == "no-such-function" => "unknown function",
            Ok(message) => message.reason.as_str(),
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
fn the_template_and_the_local_queue_have_the_same_limits() {
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
    let local = LocalOptions::default();
    assert_eq!(local.max_receive_count, MAX_RECEIVE_COUNT);
    assert_eq!(
        u64::from(local.visibility_timeout_seconds),
        VISIBILITY_TIMEOUT.as_secs()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_sqs_moves_after_its_last_receive_is_a_readable_dead_letter() {
    const TRIES: u32 = 2;
    let stack = Stack::with(
        None,
        LocalOptions {
            visibility_timeout_seconds: 1,
            max_receive_count: TRIES,
            ..LocalOptions::default()
        },
    )
    .await;
    let redrive = stack.function("redrive", &KEPT).await;
    let delays = noted_delays(&stack);
    stack.table.refuse().await;
    let sent = events_message(0, 2);
    stack.storage.send(&sent).await;

    let mut tries = 0;
    let dead = loop {
        let messages = stack.storage.receive().await;
        if messages.is_empty() {
            let dead = stack.storage.take_dead_messages().await;
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
