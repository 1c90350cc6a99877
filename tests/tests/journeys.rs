//! Journeys in the API. The page displays them and computes nothing.

use integration_tests::{fixtures::with, server::Server};
use serde_json::{Value, json};

/// A second in 2025.
const T: i64 = 1_750_000_000;
const NUMBER: &str = "919209209291";

/// An event of [`NUMBER`] with further fields.
fn event(id: &str, channel: &str, status: &str, at: i64, more: Value) -> Value {
    let event =
        json!({"message_id": id, "mobile": NUMBER, "status": status, "channel": channel, "event_time": at});
    with(event, more)
}

async fn post(server: &Server, events: Vec<Value>) {
    let records = events.len();
    let answer = server
        .post("event-webhook", Value::Array(events).to_string())
        .await;
    assert_eq!(answer.counts(), [records, records, 0, 0, 0]);
}

/// For each journey, its legs as in `rcs-1 RCS failed`, and the number of its events.
fn drawn(answer: &Value) -> Value {
    let leg = |leg: &Value| {
        let word = |name: &str| leg[name].as_str().unwrap().to_owned();
        format!("{} {} {}", word("message_id"), word("channel"), word("state"))
    };
    let journey = |of: &Value| {
        let legs: Vec<String> = of["journey"].as_array().unwrap().iter().map(leg).collect();
        json!([legs, of["events"].as_array().unwrap().len()])
    };
    answer["journeys"]
        .as_array()
        .unwrap()
        .iter()
        .map(journey)
        .collect()
}

/// Regression: the page linked fallbacks only by request id. It showed two messages where the API returns one
/// journey.
#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_linked_by_callback_data_is_one_journey_in_both_responses() {
    let server = Server::start().await;
    let callback = || json!({"callbackdata": "order-7"});
    let failed = json!({"callbackdata": "order-7", "remarks": "no RCS here"});
    post(
        &server,
        vec![
            event("sms-1", "SMS", "Delivered", T + 9, callback()),
            event("rcs-1", "RCS", "Sent", T, callback()),
            event("sms-1", "SMS", "Sent", T + 4, callback()),
            event("rcs-1", "RCS", "Failed", T + 3, failed),
            event("other", "SMS", "Sent", T + 5, json!({"callbackdata": "order-8"})),
        ],
    )
    .await;
    let person = server.json(&format!("/api/recipients/{NUMBER}")).await;
    assert_eq!(
        drawn(&person),
        json!([
            [["rcs-1 RCS failed", "sms-1 SMS delivered"], 4],
            [["other SMS sent"], 1]
        ])
    );
    let journey = &person["journeys"][0];
    assert_eq!(journey["events"], json!([0, 2, 3, 4]));
    assert_eq!(journey["journey"][0]["reason"], "no RCS here");
    let outcome = json!({
        "message_id": "sms-1", "channel": "SMS", "state": "delivered", "state_time": (T + 9) * 1000,
        "sent_time": (T + 4) * 1000,
    });
    assert_eq!(journey["outcome"], outcome);
    for id in ["rcs-1", "sms-1"] {
        let message = server.json(&format!("/api/messages/{id}")).await;
        assert_eq!(
            (&message["journey"], &message["outcome"]),
            (&journey["journey"], &outcome),
            "{id}"
        );
    }
    server.stop().await;
}

/// Regression: the page showed the latest event of the highest rank, `clicked`. In the API, the first click
/// proves a read.
#[tokio::test(flavor = "multi_thread")]
async fn a_click_without_a_read_counts_as_read_in_both_responses() {
    let server = Server::start().await;
    let none = || json!({});
    post(
        &server,
        vec![
            event("m-1", "RCS", "Clicked", T + 30, none()),
            event("m-1", "RCS", "Clicked", T + 20, none()),
            event("m-1", "RCS", "Sent", T, none()),
        ],
    )
    .await;
    let person = server.json(&format!("/api/recipients/{NUMBER}")).await;
    assert_eq!(drawn(&person), json!([[["m-1 RCS read"], 3]]));
    let outcome = json!({
        "message_id": "m-1", "channel": "RCS", "state": "read", "state_time": (T + 20) * 1000,
        "sent_time": T * 1000, "clicked": true,
    });
    assert_eq!(person["journeys"][0]["outcome"], outcome);
    let message = server.json("/api/messages/m-1").await;
    assert_eq!(message["outcome"], outcome);
    assert_eq!(message["state"], outcome["state"]);
    assert_eq!(message["state_time"], outcome["state_time"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_is_the_same_on_every_page_with_one_of_its_events() {
    let server = Server::start().await;
    let request = || json!({"requestid": "r-1"});
    post(
        &server,
        vec![
            event("rcs-1", "RCS", "Sent", T, request()),
            event("rcs-1", "RCS", "Failed", T + 2, request()),
            event("sms-1", "SMS", "Sent", T + 3, request()),
            event("sms-1", "SMS", "Delivered", T + 8, request()),
            event("old", "RCS", "Sent", T - 90 * 3600, request()),
        ],
    )
    .await;
    let expected = json!(["rcs-1 RCS failed", "sms-1 SMS delivered"]);
    let mut cursor = String::new();
    for page in 0..5 {
        let answer = server
            .json(&format!("/api/recipients/{NUMBER}?limit=1{cursor}"))
            .await;
        let legs = if page < 4 {
            expected.clone()
        } else {
            json!(["old RCS sent"])
        };
        assert_eq!(drawn(&answer), json!([[legs, 1]]), "{page}");
        assert_eq!(answer["journeys"][0]["events"], json!([0]), "{page}");
        cursor = answer["cursor"]
            .as_str()
            .map(|cursor| format!("&cursor={cursor}"))
            .unwrap_or_default();
    }
    server.stop().await;
}
