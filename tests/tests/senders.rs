//! Reports by GET and as a form, checks, and the answers that each sender understands. A rejected body is kept
//! once, however often it arrives.

use std::time::Duration;

use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{self, AUTH, LARGE_BODY_BUDGET, TOKEN, request, request_to},
    function::Function,
    proxy::Treatment::{Cut, Hang, Pass, Throttle},
    root,
    server::Server,
    stack::Stack,
    storage::{rebuilt, sqs_event},
};
use serde_json::{Value, json};
use webhook_ingest::{
    auth::Policy,
    dead_letters::{DeadLetters, Filter},
    event::time,
    events_table::EventsTable,
    http::sender,
    operations::clients::Timeouts,
    queue::message::Reason,
};

const FORM: &str = "application/x-www-form-urlencoded";
const REPORT: &str = "reqid=70131&mobile=%2B91+9999999901&status=DELIVRD&timestamp=1764585432&note=caf%C3%A9";

fn get(query: &str) -> Value {
    request_to(&Method::GET, "/", query, &[TOKEN], b"")
}

fn form(content_type: &str, body: &str) -> Value {
    request(
        &Method::POST,
        &[TOKEN, ("content-type", content_type)],
        body.as_bytes(),
    )
}

/// The headers of a signature over a text.
fn signature(of: &[u8]) -> (String, String) {
    Policy::parse(AUTH).unwrap().sign(of, time::now()).remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_by_get_form_or_json_is_one_event() {
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[]).await;
    let answer = receiver.ok(&get(REPORT)).await;
    assert_eq!(answer.counts(), [1, 1, 0, 0, 0]);
    let line = receiver.log_of(&answer).await;
    assert_eq!(
        (&line["outcome"], &line["bytes"]),
        (&json!("accepted"), &json!(REPORT.len()))
    );
    let line = receiver.line(|line| line.get("Stored").is_some()).await;
    for metric in ["Received", "Stored"] {
        assert_eq!(line[metric], 1, "{line}");
    }
    assert!(line["TimeToAnswer"].is_number(), "{line}");

    let item = stack.storage.item_of("70131").await;
    for (attribute, expected) in [
        ("status_key", "SMS#delivered"),
        ("recipient", "919999999901"),
        ("channel", "SMS"),
        ("format", "netcore-sms"),
    ] {
        assert_eq!(item[attribute].as_s().unwrap(), expected);
    }
    assert_eq!(item["event_time"].as_n().unwrap(), "1764585432000");
    assert_eq!(
        Value::Object(rebuilt(&item)),
        json!({"reqid": "70131", "mobile": "+91 9999999901", "status": "DELIVRD", "timestamp": "1764585432", "note": "café"})
    );

    for again in [
        get(REPORT),
        form(FORM, REPORT),
        form("Application/X-Www-Form-Urlencoded; charset=UTF-8", REPORT),
        // Other names and another order.
        get("status=DELIVRD&note=caf%c3%a9&TO=919999999901&request_ID=70131&dlr_time=1764585432"),
        form(
            "application/json",
            r#"{"reqid":70131,"mobile":"919999999901","status":"DELIVRD","timestamp":1764585432,"note":"café"}"#,
        ),
        // Some clients call every body a form.
        form(
            FORM,
            r#" [{"reqid":70131,"mobile":"919999999901","status":"DELIVRD","timestamp":1764585432,"note":"café"}]"#,
        ),
    ] {
        let answer = receiver.ok(&again).await;
        assert_eq!(answer.counts(), [1, 0, 1, 0, 0], "{again}");
    }
    let other = receiver
        .ok(&get(&REPORT.replace("1764585432", "1764585433")))
        .await;
    assert_eq!(other.counts(), [1, 0, 0, 0, 1], "a conflict");
    assert_eq!(stack.storage.count().await, 1);
    let lines = receiver.lines().concat();
    for hidden in ["70131", "9999999901", "DELIVRD", "caf", "reqid"] {
        assert!(!lines.contains(hidden), "{hidden}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_parameters_stay_repeated() {
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[]).await;
    let query = "reqid=8&status=Sent&part=1&part=2&=x&empty=";
    assert_eq!(receiver.ok(&get(query)).await.counts(), [1, 1, 0, 0, 0]);
    let item = stack.storage.item_of("8").await;
    assert_eq!(
        item["verbatim"].as_s().unwrap(),
        r#"{"reqid":"8","status":"Sent","part":"1","part":"2","":"x","empty":""}"#
    );
    assert_eq!(receiver.ok(&get(query)).await.counts(), [1, 0, 1, 0, 0]);
    let swapped = query.replace("part=1&part=2", "part=2&part=1");
    assert_eq!(receiver.ok(&get(&swapped)).await.counts(), [1, 0, 0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_signature_over_the_query_authenticates_it() {
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[]).await;
    let signed = |text: &[u8]| {
        let (name, value) = signature(text);
        request_to(&Method::GET, "/", REPORT, &[(&name, &value)], b"")
    };
    assert_eq!(receiver.request(&signed(b"")).await.status, 401);
    assert_eq!(
        receiver
            .request(&request_to(&Method::GET, "/", REPORT, &[], b""))
            .await
            .status,
        401
    );
    // A body of a GET request is not the content: its signature says nothing about the query.
    let (name, value) = signature(b"[]");
    let with_body = request_to(&Method::GET, "/", REPORT, &[(&name, &value)], b"[]");
    assert_eq!(receiver.request(&with_body).await.status, 401);
    assert_eq!(stack.storage.count().await, 0);
    assert_eq!(
        receiver.ok(&signed(REPORT.as_bytes())).await.counts(),
        [1, 1, 0, 0, 0]
    );
    assert_eq!(stack.storage.depths().await, [0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_stores_nothing_and_other_functions_refuse_parameters() {
    let stack = Stack::start().await;
    let sms = stack.function("sms-delivery", &[("MAX_BODY_BYTES", "100")]).await;
    let events = stack.function("event-webhook", &[]).await;
    for function in [&sms, &events] {
        for check in [
            get(""),
            request(&Method::HEAD, &[], b""),
            request_to(&Method::HEAD, "/", REPORT, &[], b""),
        ] {
            let answer = function.ok(&check).await;
            assert!(answer.body.is_empty() || answer.json() == json!({"ready": true}));
        }
    }
    let long = format!("{REPORT}&x={}", "y".repeat(100));
    assert_eq!(sms.request(&get(&long)).await.status, 413);
    assert_eq!(sms.request(&form(FORM, &long)).await.status, 413);

    for refused in [
        get(REPORT),
        form(FORM, "message_id=m-1&status=Sent"),
        form(&format!("{FORM};charset=utf-8"), "x=[1]"),
    ] {
        let answer = events.request(&refused).await;
        assert_eq!(answer.status, 405, "{}", answer.body);
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    events.line(|line| line["Rejected"] == 1).await;
    // `curl -d` calls JSON a form.
    let body = fixtures::body(&fixtures::events(0, 1));
    let posted = events.ok(&form(FORM, std::str::from_utf8(&body).unwrap())).await;
    assert_eq!(posted.counts(), [1, 1, 0, 0, 0]);
    assert_eq!(
        (stack.storage.count().await, stack.storage.depths().await),
        (1, [0, 0])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_records_is_a_check() {
    let stack = Stack::start().await;
    for (function, bodies) in [
        ("event-webhook", &["[]", " [ ] \n", "\u{feff}[]"][..]),
        (
            "delivery-status",
            &[
                "[]",
                r#"{"delivery_status":[]}"#,
                r#"{"delivery_status": [ ],"x":1}"#,
            ],
        ),
        ("incoming-webhook", &["[]", r#"{"incoming_message":[]}"#]),
        ("rcs-callback", &["[]"]),
        ("sms-delivery", &["[]"]),
    ] {
        let receiver = stack.function(function, &[]).await;
        for body in bodies {
            let answer = receiver.post(body.as_bytes()).await;
            assert_eq!(answer.counts(), [0; 5], "{function} {body}");
        }
        // Only an authenticated one.
        let unsigned = request(&Method::POST, &[], b"[]");
        assert_eq!(receiver.request(&unsigned).await.status, 401);
    }
    assert_eq!(stack.storage.count().await, 0);
    assert_eq!(stack.storage.markers().await, []);
    assert_eq!(stack.storage.depths().await, [0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_waits_in_the_retry_queue_is_json() {
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[]).await;
    stack.table.always(Throttle);
    assert_eq!(receiver.ok(&get(REPORT)).await.counts(), [1, 0, 0, 1, 0]);
    stack.table.always(Pass);
    let messages = stack.storage.receive().await;
    assert_eq!(messages.len(), 1);
    let text = messages[0].body().unwrap();
    assert!(
        text.contains(r#"{\"reqid\":\"70131\",\"mobile\":\"+91 9999999901\""#),
        "{text}"
    );
    let redrive = stack.function("redrive", &[]).await;
    redrive.invoke(&sqs_event(&messages)).await;
    assert_eq!(
        stack.storage.item_of("70131").await["status"].as_s().unwrap(),
        "delivered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_parameters_are_kept_as_they_came_and_can_be_sent_back() {
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[]).await;
    // No status, then no id.
    for query in [
        "reqid=9&mobile=919999999901&x=%E9",
        "mobile=919999999901&status=Sent",
        "?",
    ] {
        assert_eq!(receiver.request(&get(query)).await.status, 400, "{query}");
    }
    let mut dead = stack.storage.take_dead_letters().await;
    dead.sort_by_key(|letter| letter.body.bytes().to_vec());
    let bodies: Vec<&[u8]> = dead.iter().map(|letter| letter.body.bytes()).collect();
    assert_eq!(
        bodies,
        [
            &b"?"[..],
            b"mobile=919999999901&status=Sent",
            b"reqid=9&mobile=919999999901&x=%E9"
        ]
    );
    // `redrive` reads them as the receiver does.
    let redrive = stack.function("redrive", &[]).await;
    let sent_back =
        fixtures::queue_message(Reason::Exhausted, "sms-delivery", time::now(), REPORT.as_bytes());
    stack.storage.send(&sent_back.write()[0]).await;
    assert_eq!(stack.drain(&redrive).await, 0);
    assert_eq!(
        stack.storage.item_of("70131").await["channel"].as_s().unwrap(),
        "SMS"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_body_is_answered_as_the_sender_needs_it() {
    const JUNK: &[u8] = b"junk";
    let stack = Stack::start().await;
    let kept = json!({"received": 1, "stored": 0, "duplicates": 0, "queued": 0, "dead_lettered": 1});
    let wrong = request(&Method::POST, &[], JUNK);
    for (function, variables, rejected, unauthenticated) in [
        ("event-webhook", &[][..], 400, 401),
        ("rcs-callback", &[], 200, 401),
        (
            "event-webhook",
            &[("REJECT_STATUS", "200"), ("AUTH_ERROR_STATUS", "429")],
            200,
            429,
        ),
        ("rcs-callback", &[("REJECT_STATUS", "422")], 422, 401),
        ("event-webhook", &[("REJECT_STATUS", "204")], 204, 401),
    ] {
        let receiver = stack.function(function, variables).await;
        let answer = receiver.post(JUNK).await;
        assert_eq!(answer.status, rejected, "{function} {variables:?}");
        match rejected {
            200 => assert_eq!(answer.json(), kept),
            204 => assert_eq!(answer.body, ""),
            _ => assert!(
                answer.json()["error"]
                    .as_str()
                    .unwrap()
                    .ends_with("dead-letter queue")
            ),
        }
        let line = receiver.log_of(&answer).await;
        assert_eq!(
            (&line["outcome"], &line["status"]),
            (&json!("rejected"), &json!(rejected))
        );
        receiver.line(|line| line["Malformed"] == 1).await;
        let answer = receiver.request(&wrong).await;
        assert_eq!(answer.status, unauthenticated);
        assert_eq!(
            answer.json(),
            json!({"error": "missing, wrong or stale authentication"})
        );
    }
    let (status, lines) = {
        let environment = [("REJECT_STATUS", "500"), ("AUTH_ERROR_STATUS", "503")];
        stack.function("event-webhook", &environment).await.ended().await
    };
    assert!(!status.success());
    let lines = lines.concat();
    assert!(
        lines.contains("REJECT_STATUS must be 200, 202, 204 or from 400 to 499"),
        "{lines}"
    );
    assert!(
        lines.contains("AUTH_ERROR_STATUS must be 401, 403, 408 or 429"),
        "{lines}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_grow_when_decoded_fit_into_memory() {
    const BYTES: usize = 6 * 1024 * 1024;
    let stack = Stack::start().await;
    let receiver = stack.function("sms-delivery", &[LARGE_BODY_BUDGET]).await;
    // Six bytes of JSON for each byte, in one parameter, and seven for two, in many.
    for body in [format!("x={}", "\u{1}".repeat(BYTES - 2)), "a&".repeat(BYTES / 2)] {
        let answer = receiver.request(&form(FORM, &body)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(
            answer
                .body
                .contains("the decoded body is longer than 6291456 bytes"),
            "{}",
            answer.body
        );
        let dead = stack.storage.take_dead_letters().await;
        assert!(dead.len() == 1 && dead[0].body.bytes() == body.as_bytes());
    }
    let peak = receiver.peak_memory_kib();
    assert!(peak < 100 * 1024, "{peak} KiB");
}

/// Posts a rejected body, and returns the answer with the log line.
async fn reject(receiver: &Function, body: &[u8]) -> (Answer, Value) {
    let answer = receiver.post(body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let line = receiver.log_of(&answer).await;
    (answer, line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_rejected_body_is_one_dead_letter_with_a_count() {
    const BODIES: [&[u8]; 2] = [b"half a body {", b"[{\"status\":\"no id\"},{}]"];
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let other = stack.function("fallback-sms", &[]).await;
    for (body, records) in BODIES.into_iter().zip([1, 2]) {
        let (first, line) = reject(&receiver, body).await;
        let told = |line: &Value| json!([line["DeadLettered"], line["Repeated"], line["copies"]]);
        assert_eq!(told(&line), json!([records, null, null]));
        for copies in 2..=5 {
            let (again, line) = reject(&receiver, body).await;
            assert_eq!(again.body, first.body);
            assert_eq!(told(&line), json!([null, records, copies]));
        }
        // Another function has other senders.
        reject(&other, body).await;
    }
    receiver.line(|line| line["Repeated"] == 2).await;
    let dead = stack.storage.take_dead_letters().await;
    let mut kept: Vec<(&str, Reason, &[u8])> = dead
        .iter()
        .map(|letter| (letter.function.as_str(), letter.reason, letter.body.bytes()))
        .collect();
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            ("event-webhook", Reason::Malformed, BODIES[0]),
            ("event-webhook", Reason::Unreadable, BODIES[1]),
            ("fallback-sms", Reason::Malformed, BODIES[0]),
            ("fallback-sms", Reason::Unreadable, BODIES[1]),
        ]
    );
    let mut markers: Vec<(String, String)> = Vec::new();
    for marker in stack.storage.markers().await {
        let text = |name: &str| marker[name].as_s().unwrap().clone();
        markers.push((text("message_id"), marker["copies"].as_n().unwrap().clone()));
        let left = marker["expires_at"].as_n().unwrap().parse::<i64>().unwrap() - time::now() / 1000;
        assert!(
            (1_123_140..=1_123_200).contains(&left),
            "13 days, less a minute: {left}"
        );
        assert_eq!(marker.len(), 4, "{marker:?}");
    }
    markers.sort();
    let expected = [
        ("rejected#event-webhook", "5"),
        ("rejected#event-webhook", "5"),
        ("rejected#fallback-sms", "1"),
        ("rejected#fallback-sms", "1"),
    ];
    assert_eq!(
        markers,
        expected.map(|(key, copies)| (key.to_owned(), copies.to_owned()))
    );
    assert_eq!(stack.storage.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_kept_again_after_its_marker_expired_or_its_dead_letter_was_removed() {
    const BODY: &[u8] = b"junk";
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    reject(&receiver, BODY).await;
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);

    // TTL deletes an expired item hours or days later.
    let mut marker = stack.storage.markers().await.remove(0);
    let past = (time::now() / 1000 - 1).to_string();
    marker.insert(
        "expires_at".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::N(past),
    );
    stack.storage.put(marker).await;
    reject(&receiver, BODY).await;
    reject(&receiver, BODY).await;

    let aws = stack.instance.aws(Timeouts::background()).await;
    let table = EventsTable::new(aws.dynamodb, stack.instance.events_table.clone());
    let queue = DeadLetters::new(aws.sqs, &stack.instance.storage()).with_table(Some(table));
    let filter = Filter {
        limit: 100,
        ..Filter::default()
    };
    let held = queue.hold(&filter).await.unwrap();
    assert_eq!(held.len(), 1);
    queue.delete(&held[0]).await.unwrap();
    assert_eq!(stack.storage.markers().await, []);
    let (_, line) = reject(&receiver, BODY).await;
    assert_eq!(line["Repeated"], Value::Null);
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_answer_costs_a_second_dead_letter_and_no_body() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    for treatment in [Hang, Throttle] {
        stack.table.always(treatment);
        let (answer, _) = reject(&receiver, b"junk").await;
        assert!(answer.took < Duration::from_millis(2_500), "{:?}", answer.took);
    }
    assert_eq!(stack.storage.take_dead_letters().await.len(), 2);
    stack.table.always(Pass);
    // Neither queue nor marker: the sender must send again, and then the body is kept.
    stack.queues.always(Throttle);
    assert_eq!(receiver.post(b"other junk").await.status, 503);
    assert_eq!(stack.storage.markers().await, []);
    stack.queues.always(Pass);
    let (_, line) = reject(&receiver, b"other junk").await;
    assert_eq!(line["Repeated"], Value::Null);
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_that_was_not_written_costs_one_more_dead_letter() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    // As if the process ended between queue and marker.
    stack
        .table
        .decide(|call| if call.mentions("SET #copies") { Cut } else { Pass });
    reject(&receiver, b"junk").await;
    assert_eq!(stack.storage.markers().await, []);
    stack.table.always(Pass);
    for _ in 0..3 {
        reject(&receiver, b"junk").await;
    }
    assert_eq!(stack.storage.take_dead_letters().await.len(), 2);
    assert_eq!(stack.storage.markers().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_is_no_event() {
    let server = Server::start().await;
    let event = fixtures::body(&[fixtures::event(json!({}))]);
    assert_eq!(server.post("event-webhook", event).await.status, 200);
    for _ in 0..3 {
        assert_eq!(server.post("event-webhook", "junk").await.status, 400);
    }
    assert_eq!(server.storage().markers().await.len(), 1);
    // Counted by `projector`: one event, and no dead letter of a record that is not one.
    let summary = server.summary("from=2024-01-10&to=2024-01-10", 1).await;
    assert_eq!(integration_tests::answer::sum(&summary["counts"]), 1);
    let dead = server.storage().take_dead_letters().await;
    let reasons: Vec<Reason> = dead.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [Reason::Malformed]);
    assert_eq!(
        server.get("/api/messages/rejected%23event-webhook").await.status,
        404
    );
    let rebuilt = {
        let rollups = server.stack.rollups().await;
        let table = &server.storage().instance.events_table;
        projector::rebuild::rebuild(&rollups, table, |_| {})
            .await
            .unwrap()
    };
    assert_eq!((rebuilt.events, rebuilt.skipped), (1, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_a_report_by_get() {
    let server = Server::start().await;
    let path = format!("/lambda-url/sms-delivery/?{REPORT}");
    let answer = server.send(Method::GET, &path, &[TOKEN], "").await;
    assert_eq!(answer.counts(), [1, 1, 0, 0, 0]);
    assert_eq!(server.send(Method::GET, &path, &[], "").await.status, 401);
    let message = server.json("/api/messages/70131").await;
    assert_eq!(
        (&message["state"], &message["channel"]),
        (&json!("delivered"), &json!("SMS"))
    );
    assert_eq!(
        server.get("/lambda-url/sms-delivery/").await.json(),
        json!({"ready": true})
    );
    server.stop().await;
}

/// One line of the table in docs/senders.md.
fn row(sender: &sender::Sender) -> String {
    let waits = sender
        .waits_seconds
        .map_or_else(|| "not documented".to_owned(), |s| format!("{s} s"));
    let (rejected, unauthenticated) = (sender.rejected.as_u16(), sender.unauthenticated.as_u16());
    format!(
        "| {} | {waits} | {} | {} | {rejected} | {unauthenticated} |",
        sender.name, sender.retries, sender.client_error
    )
}

#[test]
fn the_documented_senders_are_those_of_the_code() {
    let document = std::fs::read_to_string(root().join("docs/senders.md")).unwrap();
    let documented: Vec<&str> = document
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(documented, sender::ALL.map(row));
    for receiver in receivers::RECEIVERS {
        assert!(!receiver.senders.is_empty(), "{}", receiver.function);
        for sender in receiver.senders {
            assert!(sender::ALL.contains(sender), "{}", sender.name);
        }
    }
}
