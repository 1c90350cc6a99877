//! The real binaries on a Lambda Runtime API: responses, startup errors, logs, metrics, and what must never
//! be logged.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread,
    time::Duration,
};

use futures::future::join_all;
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{
        AUTH, LONG_BUDGET, body, events, post, post_base64, queue_message, receiver_names, request,
        request_to, signed,
    },
    function::{Function, functions},
    proxy::Treatment::{Hold, Pass, ServerError},
    samples::samples,
    stack::Stack,
    storage::{self, Key, sqs_event},
};
use serde_json::{Value, json};
use webhook_ingest::{auth::Policy, event::time, operations::metrics, queue::message::Reason};

/// Callbacks with the fewest fields that the documentation allows, and their keys.
fn callbacks() -> Vec<(Vec<u8>, Key)> {
    let callback = |kind: &str, message: Value, status_key: &str| {
        let body = json!({"reference": "7e1b", "event_id": "a93f", "direction": "outbound", "user_id": "5511912345678",
            "timestamp": "2026-01-01T00:00:00Z", "channel": "RCS", "type": kind, "message": message});
        (
            body.to_string().into_bytes(),
            ("7e1b".to_owned(), status_key.to_owned()),
        )
    };
    vec![
        callback("text", json!({"text": "hello"}), "RCS#sent"),
        callback("DELIVERED", Value::Null, "RCS#delivered"),
        callback("EXCEPTION", json!("number is not RCS enabled"), "RCS#failed"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_receiver_stores_its_sample_bodies() {
    let stack = Stack::start().await;
    let mut expected = BTreeSet::new();
    for name in receiver_names() {
        let receiver = stack.function(name, &[]).await;
        let mut bodies: Vec<(Vec<u8>, Key)> = samples(name)
            .into_iter()
            .map(|sample| (sample.body.clone(), sample.key()))
            .collect();
        if name == "rcs-callback" {
            bodies.extend(callbacks());
        }
        for (body, key) in bodies {
            let answer = receiver.post(&body).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.body);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(
                (answer.count("stored"), answer.count("duplicates")),
                (1, 0),
                "{name}: {}",
                answer.body
            );
            assert!(expected.insert(key));
        }
    }
    assert!(expected.len() > 70);
    assert_eq!(stack.storage.stored_keys().await, expected);
    assert_eq!(stack.queues.operations(), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_verifies_as_text_and_in_base64() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let body = body(&events(0, 3));
    let encoded = post_base64(&body);
    assert_eq!(encoded["isBase64Encoded"], true);
    let answer = receiver.request(&encoded).await;
    assert_eq!((answer.status, answer.count("stored")), (200, 3));
    let plain = post(&body);
    assert_eq!(plain["isBase64Encoded"], false);
    let answer = receiver.request(&plain).await;
    assert_eq!((answer.status, answer.count("duplicates")), (200, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_sizes_are_checked_before_the_body_is_parsed() {
    let stack = Stack::start().await;
    for name in receiver_names() {
        let receiver = stack.function(name, &[("MAX_BODY_BYTES", "1000")]).await;
        let get = receiver.request(&request(&Method::GET, &[], b"")).await;
        assert_eq!((get.status, get.json()), (200, json!({"ready": true})));
        let head = receiver.request(&request(&Method::HEAD, &[], b"")).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = receiver.request(&request(&method, &[], b"")).await;
            assert_eq!(answer.status, 405, "{name} {method}");
            assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
        }
        let large = receiver.post(&[b' '; 1001]).await;
        assert_eq!(large.status, 413, "{name}");
        let large = receiver.request(&post_base64(&[b' '; 1001])).await;
        assert_eq!(large.status, 413, "{name}");
        // A body at the limit is parsed. This one is empty.
        let largest = receiver.post(&[b' '; 1000]).await;
        // Some senders would repeat a body after 400, or stop the webhook.
        let rejected = match name {
            "rcs-callback" | "email-event" | "rbm-event" | "whatsapp-cloud" => 200,
            _ => 400,
        };
        assert_eq!(largest.status, rejected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_authentication_failure_gets_the_same_response() {
    const POLICY: &str = r#"{"accept":[
        {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp",
         "signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["the-new-secret-of-the-tests","the-old-secret-of-the-tests"]},
        {"type":"header","name":"x-netcore-token","values":["a-token-of-the-tests"]},
        {"type":"basic","username":"netcore","passwords":["a-password-of-the-tests"]}]}"#;
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[("WEBHOOK_AUTH", POLICY)]).await;
    let body = body(&events(0, 1));
    let good = receiver.request(&signed(POLICY, &body, "application/json")).await;
    assert_eq!(good.status, 200, "{}", good.body);
    stack.table.reset_counts();

    let at = |seconds: i64| {
        Policy::parse(POLICY)
            .unwrap()
            .sign(&body, time::now() + seconds * 1000)
    };
    let mut attempts: Vec<Vec<(String, String)>> = vec![
        vec![],
        at(-3600),
        at(3600),
        // One of two headers.
        at(0)[..1].to_vec(),
        at(0)[1..].to_vec(),
    ];
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for wrong in ["", "short", "AAAA", &"A".repeat(44), &"A".repeat(10_000)] {
        let mut headers = at(0);
        headers.retain(|(name, _)| name != "x-signature");
        headers.push(header("x-signature", wrong));
        attempts.push(headers);
        attempts.push(vec![header("x-netcore-token", wrong)]);
        attempts.push(vec![header("authorization", &format!("Basic {wrong}"))]);
    }
    let mut answers = BTreeSet::new();
    for attempt in &attempts {
        let headers: Vec<(&str, &str)> = attempt.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        // With a body that is not JSON, the response is the same.
        for body in [body.as_slice(), b"{"] {
            let answer = receiver.request(&request(&Method::POST, &headers, body)).await;
            answers.insert((answer.status, format!("{:?}", answer.headers), answer.body));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(answers.first().unwrap().0, 401);
    assert_eq!(stack.table.operations(), BTreeMap::new());
    assert_eq!(stack.queues.operations(), BTreeMap::new());
}

/// The one line that a function logs before it exits.
async fn refusal(name: &str, environment: Vec<(&str, String)>) -> String {
    let (status, lines) = Function::start(name, environment).await.ended().await;
    assert_eq!(status.code(), Some(1), "{name}: {lines:?}");
    assert_eq!(lines.len(), 1, "{name}: {lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).expect("a JSON line");
    assert_eq!(line["level"], "ERROR");
    line["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_environment_is_reported_completely_and_ends_the_function() {
    let region = ("AWS_REGION", "local".to_owned());
    for name in functions() {
        let error = refusal(name, vec![region.clone()]).await;
        for (variable, needed) in [
            ("EVENTS_TABLE", true),
            ("RETRY_QUEUE_URL", name != "projector"),
            ("DEAD_LETTER_QUEUE_URL", true),
            ("ROLLUPS_TABLE", ["projector", "dashboard"].contains(&name)),
        ] {
            assert_eq!(error.contains(variable), needed, "{name} {variable}: {error}");
        }
        assert_eq!(
            error.contains("WEBHOOK_AUTH"),
            receiver_names().any(|receiver| receiver == name),
            "{name}: {error}"
        );
    }
    let wrong = [
        ("RETRY_QUEUE_URL", "retry"),
        ("ACK_BUDGET_MS", "soon"),
        ("RETENTION_DAYS", "-1"),
        ("WEBHOOK_AUTH", AUTH),
    ];
    let wrong = wrong.map(|(name, value)| (name, value.to_owned()));
    let error = refusal(
        "event-webhook",
        [std::slice::from_ref(&region), wrong.as_slice()].concat(),
    )
    .await;
    for variable in [
        "EVENTS_TABLE",
        "RETRY_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
        "ACK_BUDGET_MS",
        "RETENTION_DAYS",
    ] {
        assert!(error.contains(variable), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_policy_ends_the_function_and_logs_no_secret() {
    let stack = Stack::start().await;
    for (policy, says) in [
        (r#"{"accept":[]}"#, "accept is empty"),
        (
            r#"{"accept":[{"type":"header","name":"x","values":["hush-1-hush-1-hush-1"],"hush-2":1}]}"#,
            "accept[0]",
        ),
        (r#"{"accept":[{"type":"hush-3"}]}"#, "type must be"),
        ("hush-4", "not JSON"),
    ] {
        let mut environment = stack.instance.environment();
        environment.push(("WEBHOOK_AUTH", policy.to_owned()));
        let error = refusal("delivery-status", environment).await;
        assert!(error.contains("WEBHOOK_AUTH") && error.contains(says), "{error}");
        // Not even as a field name.
        assert!(!error.contains("hush"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_writes_one_log_line() {
    const METRICS: [&str; 5] = ["Received", "Stored", "Duplicates", "Queued", "DeadLettered"];
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let good = post(&body(&events(0, 3)));
    let expected = [
        (good.clone(), "accepted", 200, [3, 3, 0, 0, 0]),
        (good, "accepted", 200, [3, 0, 3, 0, 0]),
        (post(b"{}"), "rejected", 400, [1, 0, 0, 0, 1]),
        (request(&Method::POST, &[], b"[]"), "unauthorised", 401, [0; 5]),
        (request(&Method::PUT, &[], b""), "method_not_allowed", 405, [0; 5]),
        (request(&Method::GET, &[], b""), "checked", 200, [0; 5]),
    ];
    let mut ids = Vec::new();
    for (event, outcome, status, counts) in expected {
        let answer = receiver.request(&event).await;
        assert_eq!(answer.status, status);
        let line = receiver.log_of(&answer).await;
        assert_eq!(line["function"], "event-webhook");
        assert_eq!(line["outcome"], outcome);
        assert_eq!(line["status"], status);
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].is_string() && line["bytes"].is_u64());
        // TimeToAnswer is the duration of an authenticated request.
        let is_authenticated = line.get("TimeToAnswer").is_some();
        assert_eq!(
            is_authenticated,
            ["accepted", "rejected"].contains(&outcome),
            "{line}"
        );
        let duration = if is_authenticated {
            "TimeToAnswer"
        } else {
            "duration_ms"
        };
        assert!(line[duration].as_f64().unwrap() > 0.0, "{line}");
        assert!(line.get("duration_ms").is_none() || !is_authenticated, "{line}");
        // Counts that are zero are left out.
        assert_eq!(
            METRICS.map(|name| line[name].as_u64().unwrap_or(0)),
            counts,
            "{line}"
        );
        assert!(METRICS.iter().all(|name| line[name] != 0), "{line}");
        ids.push(answer.request_id);
    }
    let logged: Vec<String> = receiver
        .json_lines()
        .into_iter()
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(logged, ids, "one line each, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_log_lines_the_metrics_are_still_written() {
    let stack = Stack::start().await;
    for level in ["off", "warn"] {
        let receiver = stack.function("event-webhook", &[("RUST_LOG", level)]).await;
        let redrive = stack.function("redrive", &[("RUST_LOG", level)]).await;
        receiver.post(&body(&events(0, 3))).await;
        let unknown = request(&Method::POST, &[], b"[]");
        assert_eq!(receiver.request(&unknown).await.status, 401);
        receiver.line(|line| line["Unauthorised"] == 1).await;
        let queued = queue_message(
            Reason::Exhausted,
            "event-webhook",
            time::now(),
            &body(&events(3, 2)),
        );
        stack.storage.send(&queued.write()[0]).await;
        let messages = stack.storage.take_retry_messages().await;
        redrive.invoke(&sqs_event(&messages)).await;
        redrive.line(|line| line.get("_aws").is_some()).await;
        let lines = [receiver.json_lines(), redrive.json_lines()].concat();
        assert_eq!(lines.len(), 3, "{lines:?}");
        for line in lines {
            let mut names: Vec<&String> = line.as_object().unwrap().keys().collect();
            names.retain(|name| !documented_metrics().contains_key(name.as_str()));
            names.sort();
            assert_eq!(names, ["Stack", "_aws"], "{line}");
        }
    }
}

/// The metrics of infra/metrics.txt, and when a stack emits them.
fn documented_metrics() -> BTreeMap<&'static str, &'static str> {
    let documented = include_str!("../../infra/metrics.txt").lines();
    documented
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, when)| (name, when.trim()))
        .collect()
}

/// The metrics in CloudWatch's embedded format: for each, the sum over all lines.
fn counted(function: &Function, stack: &str) -> BTreeMap<String, f64> {
    let mut metrics: BTreeMap<String, f64> = BTreeMap::new();
    for line in function.json_lines() {
        if line.get("_aws").is_none() {
            continue;
        }
        assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], metrics::NAMESPACE);
            assert_eq!(directive["Dimensions"], json!([["Stack"]]));
            assert_eq!(line["Stack"], stack);
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                assert_eq!(metric.as_object().unwrap().len(), 1, "no unit: {line}");
                let value = line[name].as_f64().unwrap();
                assert!(value > 0.0, "{line}");
                *metrics.entry(name.to_owned()).or_default() += value;
            }
        }
    }
    metrics
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_the_documented_names_dimension_and_values() {
    let stack = Stack::start().await;
    let receiver = stack.function("fallback-sms", &[("STACK_NAME", "shop-eu")]).await;
    let status = async |event: &Value| receiver.request(event).await.status;
    let mut conflict = events(0, 1);
    conflict[0]["remarks"] = json!("something else");

    assert_eq!(status(&request(&Method::GET, &[], b"")).await, 200);
    assert_eq!(status(&post(&body(&events(0, 5)))).await, 200);
    assert_eq!(status(&post(&body(&events(0, 2)))).await, 200);
    assert_eq!(status(&post(&body(&conflict))).await, 200);
    assert_eq!(status(&post(b"not JSON")).await, 400);
    assert_eq!(status(&post(b"not JSON")).await, 400);
    assert_eq!(status(&request(&Method::POST, &[], b"[]")).await, 401);
    assert_eq!(status(&request(&Method::PUT, &[], b"")).await, 405);
    stack.table.always(ServerError);
    assert_eq!(status(&post(&body(&events(5, 4)))).await, 200);
    stack.queues.always(ServerError);
    assert_eq!(status(&post(&body(&events(9, 3)))).await, 503);

    // The last line is written before the response, but may be read after it.
    receiver.line(|line| line.get("Unavailable").is_some()).await;
    let mut metrics = counted(&receiver, "shop-eu");
    assert!(metrics.remove(metrics::TIME_TO_ANSWER).unwrap() > 0.0);
    let counts: BTreeMap<&str, f64> = metrics.iter().map(|(name, sum)| (name.as_str(), *sum)).collect();
    assert_eq!(
        counts,
        BTreeMap::from([
            ("Received", 17.0),
            ("Stored", 5.0),
            ("Late", 5.0),
            ("Duplicates", 2.0),
            ("Conflicts", 1.0),
            ("DeadLettered", 2.0),
            ("Queued", 4.0),
            ("Malformed", 2.0),
            ("Repeated", 1.0),
            ("Unauthorised", 1.0),
            ("Rejected", 1.0),
            ("Unavailable", 1.0),
        ])
    );
    // Other tests cover the rest: `counters` the metrics of projector, `refusals` and `inserts` those of the
    // table and of redrive, and the test below that of the policy.
    for name in [
        "Projected",
        "Replayed",
        "Unprojectable",
        "FailedMerges",
        metrics::RETRY_AGE,
        metrics::TIME_TO_ANSWER,
    ] {
        metrics.insert(name.to_owned(), 0.0);
    }
    for name in [
        "TableRejections",
        "TableThrottles",
        "RefusedBatches",
        "PolicyRefreshFailures",
    ] {
        metrics.insert(name.to_owned(), 0.0);
    }
    let documented = documented_metrics();
    assert_eq!(
        metrics.keys().collect::<Vec<_>>(),
        documented.keys().collect::<Vec<_>>()
    );
    let normal = metrics::NORMAL.map(|name| (name, "normal"));
    let trouble = metrics::TROUBLE.map(|name| (name, "trouble"));
    assert_eq!(documented, normal.into_iter().chain(trouble).collect());
}

/// A parameter store that returns the policy once, and then refuses. Returns its URL.
fn parameter_store(policy: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let parameter = json!({"Parameter": {"Name": "/auth", "Value": policy}}).to_string();
        let refused = r#"{"__type":"AccessDeniedException"}"#.to_owned();
        let mut answers = vec![(200, parameter)].into_iter();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let (status, body) = answers.next().unwrap_or_else(|| (400, refused.clone()));
            let head = format!(
                "HTTP/1.1 {status} _\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all((head + &body).as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_be_refreshed_is_counted_and_stays_in_force() {
    let stack = Stack::start().await;
    let store = parameter_store(AUTH);
    let receiver = stack
        .function(
            "event-webhook",
            &[
                ("WEBHOOK_AUTH", "ssm:/auth"),
                ("AWS_ENDPOINT_URL_SSM", &store),
                ("AUTH_REFRESH_SECONDS", "1"),
            ],
        )
        .await;
    let batch = post(&body(&events(0, 1)));
    while counted(&receiver, "netcore-webhooks").get("PolicyRefreshFailures") < Some(&2.0) {
        receiver.ok(&batch).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = receiver.line(|line| line["level"] == "ERROR").await;
    assert_eq!(
        error["message"],
        "the policy could not be refreshed; the last one stays in force"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_stack_emits_few_metrics() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let batch = post(&body(&events(0, 3)));
    receiver.ok(&batch).await;
    let last = receiver.ok(&batch).await;
    receiver.log_of(&last).await;
    let emitted = counted(&receiver, "netcore-webhooks");
    for name in emitted.keys() {
        assert!(metrics::NORMAL.contains(&name.as_str()), "{name}");
    }
    assert!(emitted.contains_key("Duplicates"), "{emitted:?}");
}

/// Texts that must never be logged.
const SECRETS: [&str; 7] = [
    "correct-horse-battery-staple",
    "aws-secret-key",
    "a-token-that-is-wrong",
    "919876543210",
    "zephyr-callback",
    "zephyr-remark",
    "zephyr-nonsense",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_level_writes_secrets_phone_numbers_or_content() {
    let stack = Stack::start().await;
    let loud = [("RUST_LOG", "trace"), ("AWS_SECRET_ACCESS_KEY", "aws-secret-key")];
    let mut record = events(0, 1).remove(0);
    record["message_id"] = json!("api-337-919876543210-3c9094b5-1704876827");
    record["mobile"] = json!("919876543210");
    record["callbackdata"] = json!("zephyr-callback");
    let mut conflict = record.clone();
    conflict["remarks"] = json!("zephyr-remark");
    let mut unreadable = conflict.clone();
    unreadable.as_object_mut().unwrap().remove("message_id");
    let good = body(&[record.clone()]);
    let bad = body(&[conflict, unreadable, events(1, 1).remove(0)]);

    let receiver = stack.function("event-webhook", &loud).await;
    let wrong = request(
        &Method::POST,
        &[("x-webhook-signature", "sha256=a-token-that-is-wrong")],
        &good,
    );
    for (event, status) in [
        (post(&good), 200),
        (post(&good), 200),
        (post(&bad), 200),
        (post_base64(&good), 200),
        (post(b"[{\"message_id\":\"919876543210\", zephyr-nonsense"), 400),
        (wrong, 401),
    ] {
        assert_eq!(receiver.request(&event).await.status, status);
    }
    stack.table.always(ServerError);
    assert_eq!(receiver.post(&good).await.status, 200);
    stack.queues.always(ServerError);
    let last = receiver.post(&bad).await;
    assert_eq!(last.status, 503);
    receiver.log_of(&last).await;
    stack.queues.recover().await;

    let redrive = stack.function("redrive", &loud).await;
    let queued = queue_message(Reason::Exhausted, "event-webhook", time::now(), &bad);
    stack.storage.send(&queued.write()[0]).await;
    stack.storage.send("zephyr-nonsense 919876543210").await;
    let messages = stack.storage.take_retry_messages().await;
    redrive.invoke(&sqs_event(&messages)).await;
    stack.table.recover().await;
    redrive.invoke(&sqs_event(&messages)).await;
    redrive
        .line(|line| line["message"] == "batch" && line.get("Conflicts").is_some())
        .await;

    let dashboard = stack.function("dashboard", &loud).await;
    for path in [
        "/api/messages/api-337-919876543210-3c9094b5-1704876827",
        "/api/recipients/919876543210",
        "/api/dead-letters",
    ] {
        let answer = dashboard.request(&get(path)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    let signature = Policy::parse(AUTH).unwrap().sign(&good, 0).remove(0).1;
    let signature = signature.trim_start_matches("sha256=");
    for function in [&receiver, &redrive, &dashboard] {
        for line in function.lines() {
            for secret in SECRETS.into_iter().chain([signature]) {
                assert!(!line.contains(secret), "{secret} in {line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_serves_the_configured_number_of_concurrent_requests() {
    let stack = Stack::start().await;
    let environment = [("AWS_LAMBDA_MAX_CONCURRENCY", "4"), LONG_BUDGET];
    let receiver = stack.function("event-webhook", &environment).await;
    // The writes wait until four are in progress. With one request at a time, that would never happen.
    stack.table.always(Hold);
    let posts: Vec<Value> = (0..4).map(|i| post(&body(&events(i, 1)))).collect();
    let answers = join_all(posts.iter().map(|event| receiver.request(event)));
    let release = async {
        stack.table.until_in_progress(4).await;
        stack.table.always(Pass);
    };
    let (answers, ()) = tokio::join!(answers, release);
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.count("stored") == 1)
    );
    assert_eq!(stack.storage.items().await.len(), 4);
    for answer in &answers {
        let line = receiver.log_of(answer).await;
        assert_eq!(line["Stored"], 1);
    }
}

fn get(path: &str) -> Value {
    request_to(&Method::GET, path, "", &[], b"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_stored_events_and_dead_letters() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let status_of = async |path: &str| -> (u16, Value) {
        let answer: Answer = dashboard.request(&get(path)).await;
        (answer.status, answer.json())
    };
    assert_eq!(status_of("/healthz").await, (200, json!({"status": "ok"})));

    let mut records = events(0, 1);
    records.push(records[0].clone());
    records[1]["status"] = json!("Read");
    let posted = [records.clone(), vec![json!({"status": "Sent"})]].concat();
    assert_eq!(receiver.post(&body(&posted)).await.count("stored"), 2);

    let id = records[0]["message_id"].as_str().unwrap();
    let (status, message) = status_of(&format!("/api/messages/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&message["message_id"], &message["state"]),
        (&json!(id), &json!("read"))
    );
    assert_eq!(message["events"].as_array().unwrap().len(), 2);
    let number = records[0]["mobile"].as_str().unwrap();
    let (status, person) = status_of(&format!("/api/recipients/{number}")).await;
    assert_eq!((status, person["events"].as_array().unwrap().len()), (200, 2));
    let (status, queues) = status_of("/api/dead-letters").await;
    assert_eq!(status, 200);
    let depths = &queues["depths"]["dead_letter"];
    assert_eq!(
        depths["visible"].as_u64().unwrap() + depths["in_flight"].as_u64().unwrap(),
        1
    );
    assert_eq!(queues["newest"][0]["reason"], "unreadable");

    assert_eq!(status_of("/api/messages/unknown").await.0, 404);
    assert_eq!(status_of("/no/such/path").await.0, 404);
    let written = dashboard
        .request(&request_to(&Method::POST, "/api/dead-letters", "", &[], b""))
        .await;
    assert_eq!(
        (written.status, written.header("allow")),
        (405, Some("GET, HEAD"))
    );
    // Listing dead letters does not remove them.
    assert_eq!(storage::queue_messages(&until_visible(&stack).await).len(), 1);
}

/// The dead letters, when they are visible again.
async fn until_visible(stack: &Stack) -> Vec<aws_sdk_sqs::types::Message> {
    loop {
        let dead = stack.storage.take_dead_messages().await;
        if !dead.is_empty() {
            return dead;
        }
        tokio::task::yield_now().await;
    }
}
