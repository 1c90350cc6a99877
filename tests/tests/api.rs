//! The JSON API over HTTP: messages, the events of a phone number, and dead letters.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{self, with},
    samples::sample,
    server::Server,
};
use serde_json::{Value, json};

/// A second in 2025.
const T: i64 = 1_750_000_000;

async fn post(server: &Server, function: &str, body: &Value) {
    let records = body.as_array().map_or(1, Vec::len);
    let answer = server.post(function, body.to_string()).await;
    assert_eq!(answer.counts(), [records, records, 0, 0, 0], "{body}");
}

async fn get_message(server: &Server, id: &str) -> Value {
    server.json(&format!("/api/messages/{id}")).await
}

/// `[[a, b], …]`: two fields of each entry of a list.
fn columns(list: &Value, fields: [&str; 2]) -> Value {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| json!(fields.map(|field| &entry[field])))
        .collect()
}

fn refusal(answer: &Answer) -> (u16, String) {
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    (answer.status, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_message_are_in_order_of_time_and_rank() {
    let server = Server::start().await;
    // The same id and second for all three, in the wrong order.
    for name in ["failed", "delivered", "sent"] {
        let body = sample(&format!("fallback-sms/{name}"));
        assert_eq!(server.post("fallback-sms", body).await.status, 200);
    }
    let id = "sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360";
    let message = get_message(&server, id).await;
    assert_eq!(
        columns(&message["events"], ["status", "event_time"]),
        json!([
            ["sent", 1_762_494_360_000_i64],
            ["failed", 1_762_494_360_000_i64],
            ["delivered", 1_762_494_360_000_i64]
        ])
    );
    let mut head = message.clone();
    head.as_object_mut().unwrap().remove("events");
    assert_eq!(
        head,
        json!({
            "message_id": id, "recipient": "919999999999", "provider": "netcore", "channel": "SMS",
            "state": "delivered", "state_time": 1_762_494_360_000_i64,
            "journey": [{"message_id": id, "channel": "SMS", "state": "delivered", "state_time": 1_762_494_360_000_i64}],
            "outcome": {
                "message_id": id, "channel": "SMS", "state": "delivered", "state_time": 1_762_494_360_000_i64,
                "sent_time": 1_762_494_360_000_i64,
            },
            "linked": [], "answers": [],
        })
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_every_stored_attribute() {
    let server = Server::start().await;
    let body = json!([{
        "message_id": "full-1", "mobile": "919209209291", "status": "Clicked", "channel": "RCS", "event_time": T,
        "click_data": {"type": "ACTION", "text": "Visit"}, "tags": ["a", "b"], "requestid": "r", "callbackdata": "c",
        "nc_bot_id": 682, "remarks": "", "type": "Template", "price": {"amount": 0.25, "free": false}, "note": null,
    }]);
    post(&server, "event-webhook", &body).await;
    let message = get_message(&server, "full-1").await;
    let mut event = message["events"][0].clone();
    let event = event.as_object_mut().unwrap();
    for varying in ["received_at", "expires_at", "status_key", "day_shard"] {
        assert!(event.remove(varying).is_some(), "{varying}");
    }
    assert_eq!(
        Value::Object(event.clone()),
        json!({
            "message_id": "full-1", "recipient": "919209209291", "status": "clicked", "channel": "RCS",
            "event_time": T * 1000, "provider": "netcore", "format": "netcore-events", "late": true,
            "click": {"type": "ACTION", "text": "Visit"}, "tags": ["a", "b"], "request_id": "r",
            "callback_data": "c", "bot_id": "682", "message_type": "Template",
            "extra": {"price": {"amount": 0.25, "free": false}, "note": null},
            "as_sent": {"nc_bot_id": 682, "remarks": ""},
        })
    );
    assert_eq!(
        (&message["state"], &message["state_time"]),
        (&json!("read"), &json!(T * 1000))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_does_not_depend_on_the_order_of_events() {
    let server = Server::start().await;
    let event = |status: &str, at: i64| json!([{"message_id": "any-1", "mobile": "919209209291", "status": status, "channel": "RCS", "event_time": at}]);
    for (status, at, state) in [
        ("Delivered", T + 5, "delivered"),
        ("Sent", T, "delivered"),
        ("Failed", T + 9, "delivered"),
        ("Clicked", T + 20, "read"),
        ("Clicked", T + 30, "read"),
        ("Read", T + 10, "read"),
        ("Paused", T + 40, "read"),
    ] {
        post(&server, "event-webhook", &event(status, at)).await;
        assert_eq!(get_message(&server, "any-1").await["state"], state, "{status}");
    }
    let message = get_message(&server, "any-1").await;
    assert_eq!(message["state_time"], json!((T + 10) * 1000));
    assert_eq!(
        columns(&message["events"], ["status", "event_time"]),
        json!([
            ["sent", T * 1000],
            ["delivered", (T + 5) * 1000],
            ["failed", (T + 9) * 1000],
            ["read", (T + 10) * 1000],
            ["clicked", (T + 20) * 1000],
            ["clicked", (T + 30) * 1000],
            ["paused", (T + 40) * 1000]
        ])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rcs_and_its_fallback_are_one_journey() {
    let server = Server::start().await;
    let event = |id: &str, channel: &str, status: &str, at: i64, more: Value| {
        let event = json!({"message_id": id, "status": status, "channel": channel, "event_time": at});
        with(fixtures::event(event), more)
    };
    let (request, callback) = (json!({"requestid": "r-1"}), json!({"callbackdata": "c-2"}));
    let days = 24 * 3600;
    let events = json!([
        event("rcs-1", "RCS", "Sent", T, request.clone()),
        event("rcs-1", "RCS", "Failed", T + 2, request.clone()),
        event(
            "sms-1",
            "SMS",
            "Sent",
            T + 3,
            json!({"requestid": "r-1", "last_channel": "RCS"})
        ),
        event("sms-1", "SMS", "Delivered", T + 8, request.clone()),
        // Not a fallback: another person, another time, the same channel, or no common reference.
        event(
            "sms-other",
            "SMS",
            "Sent",
            T + 3,
            json!({"requestid": "r-1", "mobile": "918888888888"})
        ),
        event("sms-later", "SMS", "Sent", T + 4 * days, request.clone()),
        event("rcs-beside", "RCS", "Sent", T + 1, request),
        event(
            "sms-unlinked",
            "SMS",
            "Sent",
            T + 3,
            json!({"requestid": "", "callbackdata": ""})
        ),
        event(
            "rcs-empty",
            "RCS",
            "Sent",
            T + 3,
            json!({"requestid": "", "callbackdata": ""})
        ),
        event("rcs-2", "RCS", "Not Sent", T, callback.clone()),
        event("sms-2", "SMS", "Sent", T + 1, callback),
    ]);
    post(&server, "event-webhook", &events).await;
    let leg = |id: &str, channel: &str, state: &str, at: i64| json!({"message_id": id, "channel": channel, "state": state, "state_time": at * 1000});
    let by_request = json!([
        leg("rcs-1", "RCS", "failed", T + 2),
        leg("sms-1", "SMS", "delivered", T + 8)
    ]);
    let message = get_message(&server, "rcs-1").await;
    assert_eq!(
        (&message["journey"], &message["state"]),
        (&by_request, &json!("failed"))
    );
    assert_eq!(
        get_message(&server, "sms-1").await["journey"],
        json!([
            by_request[0],
            leg("rcs-beside", "RCS", "sent", T + 1),
            by_request[1]
        ])
    );
    let by_callback = json!([
        leg("rcs-2", "RCS", "not_sent", T),
        leg("sms-2", "SMS", "sent", T + 1)
    ]);
    for id in ["rcs-2", "sms-2"] {
        assert_eq!(get_message(&server, id).await["journey"], by_callback, "{id}");
    }
    for (id, channel, at) in [
        ("sms-other", "SMS", T + 3),
        ("sms-later", "SMS", T + 4 * days),
        ("sms-unlinked", "SMS", T + 3),
        ("rcs-empty", "RCS", T + 3),
    ] {
        assert_eq!(
            get_message(&server, id).await["journey"],
            json!([leg(id, channel, "sent", at)]),
            "{id}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reference_on_two_channels_is_one_message_with_two_legs() {
    let server = Server::start().await;
    for name in ["fallback_sms_delivered", "exception_403", "fallback_sms_sent"] {
        let body = sample(&format!("rcs-callback/{name}"));
        assert_eq!(server.post("rcs-callback", body).await.status, 200);
    }
    let id = "7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17";
    let message = get_message(&server, id).await;
    assert_eq!(
        (&message["channel"], &message["state"], &message["provider"]),
        (&json!("SMS"), &json!("delivered"), &json!("rcs-gateway"))
    );
    assert_eq!(
        columns(&message["journey"], ["channel", "state"]),
        json!([["RCS", "failed"], ["SMS", "delivered"]])
    );
    assert_eq!(
        columns(&message["journey"], ["message_id", "state_time"]),
        json!([[id, 1_748_960_526_900_i64], [id, 1_748_960_532_000_i64]])
    );
    assert_eq!(
        columns(&message["events"], ["channel", "status"]),
        json!([["RCS", "failed"], ["SMS", "sent"], ["SMS", "delivered"]])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_and_paths_are_not_found() {
    let server = Server::start().await;
    for id in [
        "unknown",
        "%23",
        "%F0%9F%98%80",
        &"x".repeat(2048),
        &"x".repeat(3000),
    ] {
        let answer = server.get(&format!("/api/messages/{id}")).await;
        assert_eq!(
            refusal(&answer),
            (404, "no event of this message is stored".into()),
            "{id}"
        );
    }
    for id in ["%FF", "%C3%28"] {
        let answer = server.get(&format!("/api/messages/{id}")).await;
        assert_eq!(answer.status, 400, "{id}: {}", answer.body);
    }
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/messages",
        "/api/messages/",
        "/api/messages/a/b",
        "/api/unknown",
        "/.env",
        "/healthz/x",
    ] {
        // The root may serve the web page.
        let answer = server.get(path).await;
        assert!(answer.status == 404 || path == "/", "{path}: {}", answer.body);
    }
    let answer = server.get("/lambda-url/unknown/").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.body.contains("/lambda-url/event-webhook/"),
        "{}",
        answer.body
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_has_a_function_url_like_the_others() {
    let server = Server::start().await;
    assert_eq!(
        server
            .post("event-webhook", sample("event-webhook/sent"))
            .await
            .status,
        200
    );
    let id = "api-337-91920920929-3c9094b5cd72fdcaafbb633502afa672-1704876827";
    let path = format!("/api/messages/{id}");
    let there = server.get(&format!("/lambda-url/dashboard{path}")).await;
    assert_eq!(
        (there.status, there.json()),
        (200, get_message(&server, id).await)
    );
    server.stop().await;
}

/// All events of a phone number, page by page.
async fn pages(server: &Server, number: &str, limit: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/recipients/{number}?limit={limit}{cursor}");
        let page = server.json(&path).await;
        pages.push(page["events"].as_array().unwrap().clone());
        match &page["cursor"] {
            Value::Null => return pages,
            Value::String(next) => cursor = format!("&cursor={next}"),
            other => panic!("{other} is no cursor"),
        }
        assert!(pages.len() < 200, "the pages do not end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_numbers_events_have_no_gaps_or_duplicates() {
    let server = Server::start().await;
    // Seven events per second, so that pages end within a second.
    let events: Vec<Value> = (0..57)
        .map(|i| json!({"message_id": format!("p#{i}%/é"), "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": T + i / 7}))
        .collect();
    post(&server, "event-webhook", &Value::Array(events)).await;
    // Incoming messages of the same person are included.
    let answer = json!([{"message_id": "in-1", "from": "bot", "to": "+919209209291", "received_at": (T + 100) * 1000, "message_details": {"text": "hi"}}]);
    post(&server, "incoming-webhook", &answer).await;
    let other = json!([{"message_id": "x", "mobile": "919209209292", "status": "Sent", "event_time": T}]);
    post(&server, "event-webhook", &other).await;

    let whole = pages(&server, "919209209291", 200).await.concat();
    assert_eq!(whole.len(), 58);
    assert_eq!(whole[0]["message_id"], "in-1");
    let times: Vec<i64> = whole
        .iter()
        .map(|event| event["event_time"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    for limit in [1, 7, 10, 57, 58, 59] {
        let pages = pages(&server, "919209209291", limit).await;
        let (last, full) = pages.split_last().unwrap();
        assert!(
            full.iter().all(|page| page.len() == limit) && last.len() <= limit,
            "{limit}"
        );
        assert_eq!(pages.concat(), whole, "{limit}");
    }
    for spelling in [
        "+919209209291",
        "%2B919209209291",
        "+91%2092092-09291",
        "91-9209209291",
    ] {
        assert_eq!(pages(&server, spelling, 200).await.concat(), whole, "{spelling}");
    }
    let default = server.get("/api/recipients/919209209291").await.json();
    assert_eq!(default["events"].as_array().unwrap()[..], whole[..50]);
    assert!(default["cursor"].is_string());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_has_no_events() {
    let server = Server::start().await;
    let answer = server.get("/api/recipients/919209209291").await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({"ids": ["919209209291"], "events": [], "cursor": null, "journeys": []})
        )
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_number_limit_or_cursor_gets_400() {
    let server = Server::start().await;
    let event = |i: i64, mobile: &str| json!({"message_id": format!("c-{i}"), "mobile": mobile, "status": "Sent", "channel": "RCS", "event_time": T + i});
    let events = json!([
        event(1, "919209209291"),
        event(2, "919209209291"),
        event(3, "919209209291"),
        event(4, "918888888888"),
        event(5, "918888888888"),
    ]);
    post(&server, "event-webhook", &events).await;
    for number in ["abc", "%2B", "%FF", "-"] {
        let answer = server.get(&format!("/api/recipients/{number}")).await;
        assert_eq!(answer.status, 400, "{number}: {}", answer.body);
    }
    for limit in ["0", "-1", "201", "99999999999999999999", "1.5", "ten", "", "%20"] {
        let answer = server
            .get(&format!("/api/recipients/919209209291?limit={limit}"))
            .await;
        assert_eq!(
            refusal(&answer),
            (400, "limit must be a number from 1 to 200".into()),
            "{limit}"
        );
    }
    let others = server.get("/api/recipients/918888888888?limit=1").await.json()["cursor"].clone();
    let key = |key: Value| URL_SAFE_NO_PAD.encode(key.to_string());
    for cursor in [
        "!".to_owned(),
        "abc".to_owned(),
        key(json!([])),
        key(json!({})),
        key(json!({"recipient": ["919209209291"]})),
        key(json!({"recipient": "919209209291"})),
        key(
            json!({"recipient": "919209209291", "event_time": "soon", "message_id": "c-1", "status_key": "RCS#sent"}),
        ),
        key(
            json!({"recipient": "919209209291", "event_time": T, "message_id": "c-1", "status_key": "RCS#sent", "x": 1}),
        ),
        others.as_str().unwrap().to_owned(),
    ] {
        let answer = server
            .get(&format!("/api/recipients/919209209291?cursor={cursor}"))
            .await;
        assert_eq!(answer.status, 400, "{cursor}: {}", answer.body);
        assert!(
            answer.json()["error"].as_str().unwrap().contains("cursor"),
            "{}",
            answer.body
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_dead_letters_does_not_remove_them() {
    let server = Server::start().await;
    let empty = json!({"depths": {"retry": {"visible": 0, "in_flight": 0}, "dead_letter": {"visible": 0, "in_flight": 0}}, "newest": []});
    let answer = server.get("/api/dead-letters").await;
    assert_eq!((answer.status, answer.json()), (200, empty));

    assert_eq!(
        server
            .post("event-webhook", "{\"first\":919209209291}")
            .await
            .status,
        400
    );
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(server.post("rcs-callback", "[{}]").await.status, 200);
    // Listing makes dead letters invisible for a second.
    for _ in 0..2 {
        let answer = server.get("/api/dead-letters").await;
        let listed = answer.json();
        let depth = &listed["depths"]["dead_letter"];
        assert_eq!(
            depth["visible"].as_u64().unwrap() + depth["in_flight"].as_u64().unwrap(),
            2
        );
        assert_eq!(
            columns(&listed["newest"], ["reason", "function"]),
            json!([["unreadable", "rcs-callback"], ["malformed", "event-webhook"]])
        );
        assert_eq!(
            columns(&listed["newest"], ["body_bytes", "part"]),
            json!([[4, null], [22, null]])
        );
        for dead_letter in listed["newest"].as_array().unwrap() {
            assert!(dead_letter["id"].is_string() && dead_letter["detail"].is_string());
            assert!(dead_letter["sent_at"].as_i64() >= dead_letter["received_at"].as_i64());
        }
        assert!(!answer.body.contains("919209209291"), "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert_eq!(server.storage().take_dead_letters().await.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_is_json_with_security_headers() {
    let server = Server::start().await;
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::HEAD, "/healthz", 200),
        (Method::GET, "/api/dead-letters", 200),
        (Method::GET, "/api/recipients/919209209291", 200),
        (Method::GET, "/api/recipients/x", 400),
        (Method::GET, "/api/messages/unknown", 404),
        (Method::HEAD, "/api/messages/unknown", 404),
        (Method::GET, "/api/unknown", 404),
        (Method::POST, "/healthz", 405),
        (Method::POST, "/api/messages/unknown", 405),
        (Method::PUT, "/api/recipients/919209209291", 405),
        (Method::PATCH, "/api/dead-letters", 405),
        (Method::DELETE, "/api/dead-letters", 405),
        (Method::OPTIONS, "/api/summary", 405),
        // There is no path, so no method is allowed.
        (Method::OPTIONS, "/api/unknown", 404),
        (Method::POST, "/api/redrive", 404),
    ] {
        let what = format!("{method} {path}");
        let answer = server.send(method.clone(), path, &[], "").await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
        assert_eq!(
            answer.header("allow"),
            (status == 405).then_some("GET, HEAD"),
            "{what}"
        );
        if method == Method::HEAD {
            assert_eq!(answer.body, "", "{what}");
        } else {
            assert!(answer.json().is_object(), "{what}");
        }
    }
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
    server.stop().await;
}
