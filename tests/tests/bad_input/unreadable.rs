//! Unreadable bodies and records, and records that conflict with stored ones. Each becomes a dead letter, and
//! the good records in the same body are stored.

use std::collections::BTreeSet;

use integration_tests::server::Server;
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    queue::message::Reason::{self, Malformed, Unreadable},
};

use super::{event, nested, open_event, rebuilt};

/// Bodies without a readable record, and the reasons of their dead letters.
#[rustfmt::skip]
fn unreadable_bodies() -> Vec<(&'static str, Vec<u8>, Reason)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let one = |record: &str| format!("[{record}]").into_bytes();
    vec![
        ("nothing", Vec::new(), Malformed),
        ("white space", text(" \r\n\t"), Malformed),
        ("null", text("null"), Malformed),
        ("a number", text("17"), Malformed),
        ("a text", text("\"hello\""), Malformed),
        ("words", text("hello"), Malformed),
        ("a form", text("message_id=m-1&status=Sent"), Malformed),
        ("XML", text("<event id='m-1'/>"), Malformed),
        ("half an object", text("{\"message_id\""), Malformed),
        ("half a list", text("[{\"message_id\":\"m-1\"},"), Malformed),
        ("two lists", text("[] []"), Malformed),
        ("a comma too many", text("[{},]"), Malformed),
        ("a comment", text("[/* none */]"), Malformed),
        ("no JSON number", text("[{\"message_id\":NaN}]"), Malformed),
        ("a raw line end in a text", text("[{\"message_id\":\"m\n1\"}]"), Malformed),
        ("half a surrogate", text(r#"[{"message_id":"\ud83d"}]"#), Unreadable),
        ("no UTF-8", b"[{\"message_id\":\"\xff\xfe\"}]".to_vec(), Malformed),
        ("UTF-16", "[]".encode_utf16().flat_map(u16::to_le_bytes).collect(), Malformed),
        ("compressed bytes", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(), Malformed),
        ("zero bytes", vec![0; 100], Malformed),
        ("an unknown envelope", text(r#"{"events":[{"message_id":"m-1"}]}"#), Malformed),
        ("an empty object", text("{}"), Malformed),
        ("100,000 levels that never close", text(&"[".repeat(100_000)), Malformed),
        ("a list of nothing", text("[null, null]"), Unreadable),
        ("a list of lists", text("[[],[[]]]"), Unreadable),
        ("1,000 levels", text(&nested(1_000)), Unreadable),
        ("100,000 levels", text(&nested(100_000)), Unreadable),
        ("100,000 levels in a field", one(&format!("{},\"x\":{}}}", open_event("m-1"), nested(100_000))), Unreadable),
        ("1,000 levels in a field", one(&format!("{},\"x\":{}}}", open_event("m-1"), nested(1_000))), Unreadable),
        ("no id", one(r#"{"status":"Sent","channel":"RCS"}"#), Unreadable),
        ("null for the id", one(&event(&json!({"message_id": null}))), Unreadable),
        ("an empty id", one(&event(&json!({"message_id": ""}))), Unreadable),
        ("an object for the id", one(&event(&json!({"message_id": {"$oid": "7"}}))), Unreadable),
        ("an id of 2,049 bytes", one(&event(&json!({"message_id": "x".repeat(2049)}))), Unreadable),
        ("an id of 3 KB", one(&event(&json!({"message_id": "9".repeat(3072)}))), Unreadable),
        ("an id of 3 KB in few characters", one(&event(&json!({"message_id": "😀".repeat(768)}))), Unreadable),
        ("no status", one(r#"{"message_id":"m-1","channel":"RCS"}"#), Unreadable),
        ("null for the status", one(&event(&json!({"status": null}))), Unreadable),
        ("a list for the status", one(&event(&json!({"status": ["Sent"]}))), Unreadable),
        ("an empty status", one(&event(&json!({"status": ""}))), Unreadable),
        ("a status of separators", one(&event(&json!({"status": "# / ?"}))), Unreadable),
        ("a number no float holds", one(&format!("{},\"x\":1e999}}", open_event("m-1"))), Unreadable),
        ("500 KB in a field", one(&event(&json!({"remarks": "x".repeat(500_000)}))), Unreadable),
        ("500 KB of small fields", one(&event(&json!({"x": vec![1; 250_000]}))), Unreadable),
        ("a name of 500 KB", one(&event(&json!({"x".repeat(500_000): 1}))), Unreadable),
        ("10,000 records of junk", format!("[{}]", vec!["{\"a\":1},17,\"x\",null,[]"; 2_000].join(",")).into_bytes(), Unreadable),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_readable_record_is_rejected_and_dead_lettered_whole() {
    let server = Server::start().await;
    for (what, body, reason) in unreadable_bodies() {
        let answer = server.post("event-webhook", body.clone()).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.ends_with("; the body is kept in the dead-letter queue"),
            "{what}: {error}"
        );
        let dead_letters = server.storage().take_dead_letters().await;
        assert_eq!(dead_letters.len(), 1, "{what}");
        let dead_letter = &dead_letters[0];
        assert_eq!(dead_letter.reason, reason, "{what}: {}", dead_letter.detail);
        assert_eq!(dead_letter.function, "event-webhook", "{what}");
        assert!(dead_letter.body.bytes() == body, "{what}: the body changed");
        assert!(
            error.starts_with(&dead_letter.detail),
            "{what}: {error} / {}",
            dead_letter.detail
        );
        assert!(time::now() - dead_letter.received_at < 60_000, "{what}");
    }
    assert_eq!(server.storage().count().await, 0);
    assert_eq!(server.storage().depths().await, [0, 0]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_rejects_and_dead_letters_unreadable_bodies() {
    let server = Server::start().await;
    for (function, body) in [
        ("event-webhook", r#"{"delivery_status":[]}"#),
        ("fallback-sms", "[{\"message_id\":\"only an id\"}]"),
        ("incoming-webhook", r#"{"incoming_message":7}"#),
        (
            "incoming-webhook",
            r#"{"incoming_message":[{"from":"919960432580","text_type":{"text":"no id"}}]}"#,
        ),
        ("delivery-status", r#"{"delivery_status":null}"#),
        (
            "rcs-callback",
            r#"{"reference":"r-1","direction":"outbound","message":{"text":"no type"}}"#,
        ),
        ("rcs-callback", r#"{"reference":"r-1","type":"…"}"#),
    ] {
        let answer = server.post(function, body).await;
        let status = if function == "rcs-callback" { 200 } else { 400 };
        assert_eq!(answer.status, status, "{function} {body}: {}", answer.body);
        let dead_letters = server.storage().take_dead_letters().await;
        assert_eq!(dead_letters.len(), 1, "{function} {body}");
        assert_eq!(dead_letters[0].body.bytes(), body.as_bytes());
        assert_eq!(dead_letters[0].function, function);
    }
    assert_eq!(server.storage().count().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_records_are_stored_and_bad_ones_dead_lettered() {
    let server = Server::start().await;
    let bad = [
        "null".to_owned(),
        "17".to_owned(),
        "\"m-1\"".to_owned(),
        "{}".to_owned(),
        "[ ]".to_owned(),
        r#"{ "status" : "Sent" }"#.to_owned(),
        event(&json!({"message_id": ""})),
        event(&json!({"message_id": "9".repeat(3072)})),
        event(&json!({"status": "\u{1f600}"})),
        event(&json!({"remarks": "x".repeat(500_000)})),
        format!("{},\"x\":{}}}", open_event("deep"), nested(1_000)),
        format!("{},\"x\":1e999}}", open_event("huge")),
    ];
    let good = [
        event(&json!({"message_id": "good-1"})),
        event(&json!({"message_id": "good-2"})),
        event(&json!({"message_id": "good-3"})),
    ];
    let all = [&good[..1], &bad[..6], &good[1..2], &bad[6..], &good[2..]].concat();
    let body = format!("[{}]", all.join(" ,\n"));
    let answer = server.post("event-webhook", body.clone()).await;
    assert_eq!(answer.counts(), [15, 3, 0, 0, 12]);
    for id in ["good-1", "good-2", "good-3"] {
        assert_eq!(rebuilt(&server.storage().item_of(id).await)["message_id"], id);
    }
    assert_eq!(server.storage().count().await, 3);
    let dead_letters = server.storage().take_dead_letters().await;
    let kept: BTreeSet<String> = dead_letters
        .iter()
        .map(|dead_letter| {
            assert_eq!(dead_letter.reason, Unreadable);
            String::from_utf8(dead_letter.body.bytes().to_vec()).unwrap()
        })
        .collect();
    let expected: BTreeSet<String> = bad.iter().map(|record| format!("[{record}]")).collect();
    assert!(kept == expected, "{:?}", kept.symmetric_difference(&expected));
    // A retry: the good records are duplicates, the bad ones are dead-lettered again.
    let again = server.post("event-webhook", body).await;
    assert_eq!(again.counts(), [15, 0, 3, 0, 12]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_keeps_its_envelope() {
    let server = Server::start().await;
    let body = r#"{"account":"a\u00e9","delivery_status":[{"ncmessage_id":"s-1","status":"sent"},{"status":"sent"}],"v":2}"#;
    assert_eq!(
        server.post("delivery-status", body).await.counts(),
        [2, 1, 0, 0, 1]
    );
    let dead_letters = server.storage().take_dead_letters().await;
    assert_eq!(dead_letters.len(), 1);
    assert_eq!(
        serde_json::from_slice::<Value>(dead_letters[0].body.bytes()).unwrap(),
        json!({"account": "aé", "v": 2, "delivery_status": [{"status": "sent"}]})
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_other_content_is_dead_lettered_as_a_conflict() {
    let server = Server::start().await;
    let one = event(&json!({"message_id": "c-1", "remarks": "one"}));
    let other = event(&json!({"message_id": "c-1", "remarks": "other"}));
    let body = format!("[{one},{other},{one}]");
    let [received, stored, duplicates, queued, dead] = server.post("event-webhook", body).await.counts();
    // Both are written at the same time, so either may be stored first.
    assert_eq!([received, stored, queued, duplicates + dead], [3, 1, 0, 2]);
    let kept = rebuilt(&server.storage().item_of("c-1").await);
    let dead_letters = server.storage().take_dead_letters().await;
    assert_eq!(dead_letters.len(), dead);
    assert!(dead >= 1);
    for dead_letter in dead_letters {
        assert_eq!(dead_letter.reason, Reason::Conflict);
        assert!(
            dead_letter.detail.ends_with("differs in remarks"),
            "{}",
            dead_letter.detail
        );
        assert_ne!(
            serde_json::from_slice::<Value>(dead_letter.body.bytes()).unwrap()[0],
            kept
        );
    }
    server.stop().await;
}
