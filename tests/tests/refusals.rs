//! Rejected requests are cheap and visible by class: all are counted, and samples are logged. Source
//! addresses may be IPv6. A table with another schema loses no event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use http::Method;
use integration_tests::{
    fixtures::{AUTH, body, events, post, request},
    function::Function,
    proxy::Treatment::Refuse,
    stack::Stack,
    storage::{Key, failures, keys, sqs_event},
};
use serde_json::{Value, json};
use webhook_ingest::{event::time, queue::message::Reason};

/// A request costs as much as 400 bytes of log: 0.20 USD per million and 0.50 USD per GB.
const BYTES_A_REQUEST: usize = 400;

/// CloudWatch Logs bills 26 bytes beside each line, and Lambda can add a time and a level to a line of JSON
/// that has none: `"timestamp":"2026-11-26T08:56:52.123Z","level":"INFO",`.
const ADDED_BYTES: usize = 26 + 54;

/// The sum of a metric over all lines in CloudWatch's embedded format.
fn counted(function: &Function, name: &str) -> f64 {
    let lines = function.json_lines();
    let lines = lines.iter().filter(|line| line.get("_aws").is_some());
    lines.filter_map(|line| line[name].as_f64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_401_is_counted_in_full_and_logged_in_samples() {
    const REQUESTS: usize = 400;
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let body = body(&events(0, 1));
    let none = request(&Method::POST, &[], &body);
    let wrong = request(
        &Method::POST,
        &[("x-webhook-signature", &format!("sha256={}", "0".repeat(64)))],
        &body,
    );
    let unknown = request(&Method::POST, &[("x-webhook-signature", "hunter2")], &body);
    let started = Instant::now();
    let mut answers = BTreeSet::new();
    for event in [&none, &wrong, &wrong, &unknown]
        .into_iter()
        .cycle()
        .take(REQUESTS)
    {
        let answer = receiver.request(event).await;
        answers.insert((answer.status, answer.body));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 401);
    let minutes = started.elapsed().as_secs() / 60 + 1;

    // A good request after them is logged as usual.
    let answer = receiver.post(&body).await;
    receiver.log_of(&answer).await;
    receiver.line(|line| line.get("Stored").is_some()).await;
    assert_eq!(counted(&receiver, "Unauthorised"), REQUESTS as f64);

    let mut logged: BTreeMap<String, u64> = BTreeMap::new();
    for line in receiver.json_lines() {
        if let Some(reason) = line["reason"].as_str() {
            assert_eq!(
                (&line["message"], &line["status"]),
                (&"request".into(), &401.into())
            );
            assert!(line["unlogged"].is_u64(), "{line}");
            *logged.entry(reason.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(
        logged.keys().map(String::as_str).collect::<Vec<_>>(),
        ["mismatch", "none", "unknown"]
    );
    for (reason, lines) in &logged {
        // The minutes of the sampler need not start with the test.
        assert!((10..=10 * (minutes + 1)).contains(lines), "{reason}: {lines}");
    }
    let lines = receiver.lines();
    assert!(!lines.concat().contains("hunter2"));
    let bytes: usize = lines.iter().map(|line| line.len() + ADDED_BYTES).sum();
    assert!(
        bytes / REQUESTS < BYTES_A_REQUEST,
        "{} bytes a request",
        bytes / REQUESTS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_request_without_authentication_is_counted_in_full_and_logged_in_samples() {
    const REQUESTS: usize = 40;
    let mut policy: Value = serde_json::from_str(AUTH).unwrap();
    policy["sources"] = json!({"mode": "enforce", "allow": ["192.0.2.0/24"]});
    let policy = policy.to_string();
    let stack = Stack::start().await;
    let environment = [("WEBHOOK_AUTH", policy.as_str()), ("MAX_BODY_BYTES", "1000")];
    let receiver = stack.function("event-webhook", &environment).await;
    for (event, outcome, status, metric) in [
        (
            request(&Method::PUT, &[], b""),
            "method_not_allowed",
            405,
            Some("Rejected"),
        ),
        (post(&[b' '; 1001]), "too_large", 413, Some("Rejected")),
        (post(&body(&events(0, 1))), "forbidden", 403, Some("Rejected")),
        (request(&Method::GET, &[], b""), "checked", 200, None),
        (request(&Method::HEAD, &[], b""), "checked", 200, None),
    ] {
        let before = receiver.lines().len();
        let started = Instant::now();
        for _ in 0..REQUESTS {
            assert_eq!(receiver.request(&event).await.status, status, "{outcome}");
        }
        let minutes = usize::try_from(started.elapsed().as_secs() / 60).unwrap() + 1;
        match metric {
            Some(_) => receiver.until_lines(before + REQUESTS).await,
            // A check that is not logged has no metric either.
            None => drop(receiver.line(|line| line["outcome"] == outcome).await),
        }
        let lines = receiver.json_lines().split_off(before);
        assert!(metric.is_none() || lines.len() == REQUESTS, "{outcome}");
        let logged = lines.iter().filter(|line| line["outcome"] == outcome);
        // GET and HEAD share the limit of their class.
        assert!(logged.count() <= 10 * (minutes + 1), "{outcome}");
        for line in &lines {
            assert_eq!(
                metric.map_or(1, |metric| line[metric].as_u64().unwrap()),
                1,
                "{line}"
            );
            assert!(line.get("TimeToAnswer").is_none(), "{line}");
        }
    }
    let shortest = receiver.lines().into_iter().map(|line| line.len()).min().unwrap();
    assert!(shortest + ADDED_BYTES < BYTES_A_REQUEST, "{shortest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ipv6_source_address_is_compared_with_the_list() {
    let mut policy: Value = serde_json::from_str(AUTH).unwrap();
    policy["sources"] = json!({"mode": "enforce", "allow": ["2001:db8:7::/48", "192.0.2.0/24"]});
    let stack = Stack::start().await;
    let policy = policy.to_string();
    let receiver = stack
        .function("event-webhook", &[("WEBHOOK_AUTH", &policy)])
        .await;
    for (number, (address, status)) in [
        ("2001:db8:7::1", 200),
        ("2001:0DB8:0007:ffff:ffff:ffff:ffff:ffff", 200),
        ("2001:db8:8::1", 403),
        ("::1", 403),
        // An IPv4-mapped IPv6 address is the IPv4 address.
        ("::ffff:192.0.2.9", 200),
        ("::ffff:203.0.113.7", 403),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = post(&body(&events(number, 1)));
        event["requestContext"]["http"]["sourceIp"] = json!(address);
        let answer = receiver.request(&event).await;
        assert_eq!(answer.status, status, "{address}: {}", answer.body);
    }
    let stored = [0, 1, 4].map(|number| events(number, 1)[0].clone());
    let expected: BTreeSet<Key> = keys(&body(&stored)).into_iter().collect();
    assert_eq!(stack.storage.stored_keys().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_on_the_list_is_reported_once() {
    let mut policy: Value = serde_json::from_str(AUTH).unwrap();
    policy["sources"] = json!({"mode": "report", "preset": "netcore"});
    let stack = Stack::start().await;
    let policy = policy.to_string();
    let receiver = stack
        .function("event-webhook", &[("WEBHOOK_AUTH", &policy)])
        .await;
    let addresses = [
        "203.0.113.7",
        "35.244.61.191",
        "2001:db8::7",
        "203.0.113.7",
        "3.109.231.61",
        "203.0.113.8",
    ];
    // The test may run at midnight.
    let day = |now: i64| now / 86_400_000;
    let before = day(time::now());
    for _ in 0..3 {
        for address in addresses {
            let mut event = post(&body(&events(0, 1)));
            event["requestContext"]["http"]["sourceIp"] = json!(address);
            assert_eq!(receiver.request(&event).await.status, 200, "{address}");
        }
    }
    let days = day(time::now()) - before + 1;
    receiver.until_lines(3 * addresses.len() + 3).await;
    let lines = receiver.json_lines();
    let reported: Vec<&str> = lines
        .iter()
        .filter(|line| line["message"] == "the source address is not on the list")
        .map(|line| line["address"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<&str> = reported.iter().copied().collect();
    assert_eq!(
        distinct.into_iter().collect::<Vec<_>>(),
        ["2001:db8::7", "203.0.113.7", "203.0.113.8"]
    );
    assert!(i64::try_from(reported.len()).unwrap() <= 3 * days, "{reported:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_with_another_schema_causes_queued_events_and_error_logs() {
    const EVENTS: usize = 30;
    let stack = Stack::start().await;
    // The counters' table has another key, like a wrongly restored table.
    let wrong = [("EVENTS_TABLE", stack.instance.rollups_table.as_str())];
    let receiver = stack.function("event-webhook", &wrong).await;
    let batch = body(&events(0, EVENTS));
    let answer = receiver.post(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        (answer.count("queued"), answer.count("dead_lettered")),
        (EVENTS, 0)
    );
    receiver.line(|line| line.get("TableRejections").is_some()).await;
    assert_eq!(counted(&receiver, "TableRejections"), EVENTS as f64);
    let errors: Vec<Value> = receiver
        .json_lines()
        .into_iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert!((1..=20).contains(&errors.len()), "{errors:?}");
    assert!(
        errors[0]["message"]
            .as_str()
            .unwrap()
            .starts_with("the events table rejects items"),
        "{errors:?}"
    );

    // `redrive` detects the same fault and loses nothing.
    let redrive = stack.function("redrive", &wrong).await;
    let messages = stack.storage.receive().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload).len(), messages.len());
    redrive.line(|line| line.get("TableRejections").is_some()).await;
    redrive.line(|line| line.get("RetryAge").is_some()).await;
    assert!(stack.storage.take_dead_messages().await.is_empty());

    let redrive = stack.function("redrive", &[]).await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    assert_eq!(
        stack.storage.stored_keys().await,
        keys(&batch).into_iter().collect()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_item_is_dead_lettered_and_a_wrong_table_is_retried() {
    const VALIDATION: &str = "com.amazon.coral.validate#ValidationException";
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    for (number, (text, final_)) in [
        ("Item size has exceeded the maximum allowed size", true),
        (
            "One or more parameter values were invalid: Type mismatch for key message_id expected: N actual: S",
            false,
        ),
        ("The provided key element does not match the schema", false),
    ]
    .into_iter()
    .enumerate()
    {
        stack.table.always(Refuse(VALIDATION, text));
        let answer = receiver.post(&body(&events(number, 1))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let counts = (answer.count("queued"), answer.count("dead_lettered"));
        assert_eq!(counts, if final_ { (0, 1) } else { (1, 0) }, "{text}");
    }
    let dead = stack.storage.take_dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, Reason::Unreadable);
    assert_eq!(
        dead[0].detail,
        "DynamoDB refused the item: it is larger than 400 KB"
    );
}
