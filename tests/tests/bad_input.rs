//! What strangers, faults and surprises send: each body gets the answer that is documented for it,
//! and whatever was authenticated is kept, byte for byte, in the table or as a dead letter.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod server;

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};
use server::{Answer, Instance, POLICY, TOKEN};
use webhook_ingest::{
    auth::Policy,
    event::time,
    events_table::item::{self, Item},
    provider,
    queue::message::Reason::{self, Malformed, Unreadable},
};

/// An event's text with some fields in place of its own.
fn event(fields: &Value) -> String {
    let mut event = json!({"message_id": "m-1", "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828});
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event.to_string()
}

/// An event's text without its closing brace, to write into what no JSON value can hold.
fn open_event(id: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","mobile":"919209209291","status":"Sent","channel":"RCS","event_time":1704876828"#
    )
}

/// The provider's record, put together from its item.
fn rebuilt(item: &Item) -> Value {
    Value::Object(provider::rebuild(&item::event(item).unwrap()))
}

/// Bytes of which no compressor makes less, and which are no text.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(bytes)
    .collect()
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Bodies without one readable record, and why they are put aside.
#[rustfmt::skip]
fn hopeless_bodies() -> Vec<(&'static str, Vec<u8>, Reason)> {
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
        ("an empty list", text("[]"), Unreadable),
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
async fn a_body_without_a_readable_record_is_refused_and_kept_whole() {
    let instance = Instance::start().await;
    for (what, body, reason) in hopeless_bodies() {
        let answer = instance.post("event-webhook", body.clone()).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.ends_with("; the body is kept in the dead-letter queue"),
            "{what}: {error}"
        );
        let letters = instance.take_letters().await;
        assert_eq!(letters.len(), 1, "{what}");
        let letter = &letters[0];
        assert_eq!(letter.reason, reason, "{what}: {}", letter.detail);
        assert_eq!(letter.function, "event-webhook", "{what}");
        assert!(
            letter.body.bytes() == body,
            "{what}: the body came back otherwise"
        );
        assert!(
            error.starts_with(&letter.detail),
            "{what}: {error} / {}",
            letter.detail
        );
        assert!(time::now() - letter.received_at < 60_000, "{what}");
    }
    assert_eq!(instance.count().await, 0);
    assert_eq!(instance.depths().await, [0, 0]);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_refuses_and_keeps_what_it_cannot_read() {
    let instance = Instance::start().await;
    for (function, body) in [
        ("event-webhook", r#"{"delivery_status":[]}"#),
        ("fallback-sms", "[{\"message_id\":\"only an id\"}]"),
        ("incoming-webhook", r#"{"incoming_message":7}"#),
        (
            "incoming-webhook",
            r#"{"incoming_message":[{"from":"919960432580","text_type":{"text":"no id"}}]}"#,
        ),
        ("delivery-status", r#"{"delivery_status":null}"#),
        ("delivery-status", r#"{"delivery_status":[]}"#),
        (
            "rcs-callback",
            r#"{"reference":"r-1","direction":"outbound","message":{"text":"no type"}}"#,
        ),
        ("rcs-callback", r#"{"reference":"r-1","type":"…"}"#),
    ] {
        let answer = instance.post(function, body).await;
        assert_eq!(answer.status, 400, "{function} {body}: {}", answer.text);
        let letters = instance.take_letters().await;
        assert_eq!(letters.len(), 1, "{function} {body}");
        assert_eq!(letters[0].body.bytes(), body.as_bytes());
        assert_eq!(letters[0].function, function);
    }
    assert_eq!(instance.count().await, 0);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_records_are_stored_beside_bad_ones_that_are_kept() {
    let instance = Instance::start().await;
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
    let answer = instance.post("event-webhook", body.clone()).await;
    assert_eq!(answer.counts(), [15, 3, 0, 0, 12]);
    for id in ["good-1", "good-2", "good-3"] {
        assert_eq!(rebuilt(&instance.item(id).await)["message_id"], id);
    }
    assert_eq!(instance.count().await, 3);
    let letters = instance.take_letters().await;
    let kept: BTreeSet<String> = letters
        .iter()
        .map(|letter| {
            assert_eq!(letter.reason, Unreadable);
            String::from_utf8(letter.body.bytes().to_vec()).unwrap()
        })
        .collect();
    let expected: BTreeSet<String> = bad.iter().map(|record| format!("[{record}]")).collect();
    assert!(kept == expected, "{:?}", kept.symmetric_difference(&expected));
    // The sender tries again: the good are duplicates, the bad are bad.
    let again = instance.post("event-webhook", body).await;
    assert_eq!(again.counts(), [15, 0, 3, 0, 12]);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_keeps_the_envelope_it_came_in() {
    let instance = Instance::start().await;
    let body = r#"{"account":"a\u00e9","delivery_status":[{"ncmessage_id":"s-1","status":"sent"},{"status":"sent"}],"v":2}"#;
    assert_eq!(
        instance.post("delivery-status", body).await.counts(),
        [2, 1, 0, 0, 1]
    );
    let letters = instance.take_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        serde_json::from_slice::<Value>(letters[0].body.bytes()).unwrap(),
        json!({"account": "aé", "v": 2, "delivery_status": [{"status": "sent"}]})
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_are_stored_or_queued_and_then_stored() {
    let instance = Instance::alone().await;
    let records: Vec<String> = (0..10_000)
        .map(|i| event(&json!({"message_id": format!("many-{i}")})))
        .collect();
    let [received, stored, duplicates, queued, dead] = instance
        .post("event-webhook", format!("[{}]", records.join(",")))
        .await
        .counts();
    assert_eq!([received, duplicates, dead], [10_000, 0, 0]);
    assert_eq!(stored + queued, 10_000);
    let mut kept = 0;
    for _ in 0..100 {
        kept = instance.count().await;
        if kept == 10_000 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(kept, 10_000);
    assert_eq!(instance.take_letters().await, []);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_bad_records_beside_a_good_one_are_all_kept() {
    let instance = Instance::alone().await;
    let mut records = vec![event(&json!({"message_id": "good"}))];
    records.extend((1..10_000).map(|i| format!(r#"{{"junk":{i}}}"#)));
    let answer = instance
        .post("event-webhook", format!("[{}]", records.join(",")))
        .await;
    assert_eq!(answer.counts(), [10_000, 1, 0, 0, 9_999]);
    let kept: BTreeSet<u64> = instance
        .take_letters()
        .await
        .iter()
        .flat_map(|letter| serde_json::from_slice::<Vec<Value>>(letter.body.bytes()).unwrap())
        .map(|record| record["junk"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, (1..10_000).collect());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_before_anything_else() {
    let instance = Instance::alone().await;
    let seven = vec![b' '; 7_000_000];
    for headers in [&[TOKEN][..], &[]] {
        let answer = instance.post_with("event-webhook", headers, seven.clone()).await;
        assert_eq!(answer.status, 413, "{}", answer.text);
        assert!(answer.text.contains("6291456"), "{}", answer.text);
    }
    // One byte under: read, and found to be nothing.
    let answer = instance.post("event-webhook", vec![b' '; 6_291_456]).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(instance.take_letters().await.len(), 1);
    let answer = instance.post("event-webhook", vec![b' '; 6_291_457]).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!((instance.count().await, instance.depths().await), (0, [0, 0]));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_several_queue_messages_comes_back_byte_for_byte() {
    let instance = Instance::alone().await;
    let body = noise(2 * 1024 * 1024);
    let answer = instance.post_until_kept("event-webhook", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(instance.depths().await[1] > 2, "one letter in several messages");
    let letters = instance.take_letters().await;
    assert_eq!((letters.len(), letters[0].reason), (1, Malformed));
    assert!(letters[0].body.bytes() == body);

    // A record too large for an item, and its letter too large for a message.
    let record = event(&json!({"remarks": STANDARD.encode(noise(1_200_000))}));
    let body = format!("[{record},{}]", event(&json!({"message_id": "beside"})));
    let answer = instance.post_until_kept("event-webhook", body.as_bytes()).await;
    let [received, stored, duplicates, _, dead] = answer.counts();
    assert_eq!([received, stored + duplicates, dead], [2, 1, 1]);
    let letters = instance.take_letters().await;
    assert_eq!((letters.len(), letters[0].reason), (1, Unreadable));
    assert!(letters[0].body.bytes() == format!("[{record}]").into_bytes());
    instance.stop().await;
}

/// Every byte percent-encoded.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut path, byte| {
        let _ = write!(path, "%{byte:02X}");
        path
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_kept_as_they_are() {
    let instance = Instance::start().await;
    let longest = "x".repeat(2048);
    let longest_emoji = "😀".repeat(512);
    for id in [
        "a#b",
        "#",
        "a%b",
        "a%2Fb",
        "a/b",
        "/",
        "..",
        "../../etc",
        "a?b=c&d",
        "a\nb",
        "\t",
        " ",
        "a b",
        "a+b",
        "\0",
        "\u{7f}",
        "\u{fffe}\u{ffff}",
        "\u{202e}id",
        "é",
        "e\u{301}",
        "😀",
        "👩‍👩‍👧‍👦",
        "'; drop table events; --",
        "null",
        "0",
        "message_id",
        "{}",
        "\"",
        "\\",
        "ABEGkZlgQyWAAgo-sDVSUOa9jH0z=",
        &longest,
        &longest_emoji,
    ] {
        let what = format!("{id:.40?}");
        let record = event(&json!({"message_id": id}));
        let sent = serde_json::from_str::<Value>(&record).unwrap();
        assert_eq!(
            instance
                .post("event-webhook", format!("[{record}]"))
                .await
                .counts(),
            [1, 1, 0, 0, 0],
            "{what}"
        );
        assert_eq!(rebuilt(&instance.item(id).await), sent, "{what}");
        // Whoever passes a path on may resolve dot segments, encoded or not (RFC 3986, 6.2.2.3).
        if id != ".." {
            let shown = instance.get(&format!("/api/messages/{}", encoded(id))).await;
            assert_eq!(
                (shown.status, &shown.json()["message_id"]),
                (200, &json!(id)),
                "{what}"
            );
        }
        // A tap has the id in its key's other half too where the provider gives one.
        let tap = json!({"reference": id, "event_id": id, "direction": "inbound", "type": "suggestionResponse", "message": {}});
        assert_eq!(
            instance.post("rcs-callback", tap.to_string()).await.counts(),
            [1, 1, 0, 0, 0],
            "{what}"
        );
        assert_eq!(
            instance.post("rcs-callback", tap.to_string()).await.counts(),
            [1, 0, 1, 0, 0],
            "{what}"
        );
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_words_never_make_two_events_one() {
    let instance = Instance::start().await;
    let long = "long ".repeat(400);
    let mut events = Vec::new();
    for channel in [
        "RCS",
        "RCS#",
        "RCS#sent",
        "RCS%23",
        "",
        "#",
        &long,
        &format!("{long}#"),
        "\u{1f600}",
        "İ",
    ] {
        for status in [
            "Sent",
            "Sent#2",
            "#Sent 3",
            "sent%234",
            &long,
            &format!("{long} more"),
            "İ",
            "ß",
        ] {
            events.push(event(
                &json!({"message_id": "odd", "channel": channel, "status": status}),
            ));
        }
    }
    let mut keys = BTreeSet::new();
    for record in &events {
        // An empty channel is RCS like an absent one: a repetition, told as a conflict only if it differs.
        let answer = instance.post("event-webhook", format!("[{record}]")).await;
        let [_, stored, duplicates, _, dead] = answer.counts();
        let is_unnamed = record.contains(r#""channel":"""#);
        assert_eq!(stored, u64::from(!is_unnamed), "{record}");
        assert_eq!(duplicates + dead, u64::from(is_unnamed), "{record}");
    }
    for (key, item) in instance.items("odd").await {
        assert!(key.len() <= 1024, "{key}");
        let record = rebuilt(&item);
        assert!(
            events
                .iter()
                .any(|event| serde_json::from_str::<Value>(event).unwrap() == record),
            "{record}"
        );
        keys.insert(key);
    }
    assert_eq!(keys.len(), 9 * 8);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_2_kb_is_stored_whole() {
    let instance = Instance::start().await;
    let status = "Ünknown#".repeat(256);
    let record = event(&json!({"message_id": "long-status", "status": status, "channel": "c".repeat(3000)}));
    for counts in [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] {
        assert_eq!(
            instance
                .post("event-webhook", format!("[{record}]"))
                .await
                .counts(),
            counts
        );
    }
    let item = instance.item("long-status").await;
    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_any_size_is_stored_or_put_aside() {
    let instance = Instance::start().await;
    let (mut stored, mut aside) = (0, 0);
    let sizes = [
        100_000, 400_000, 409_000, 409_300, 409_400, 409_500, 409_600, 409_700, 410_000,
    ];
    for (number, bytes) in sizes.into_iter().enumerate() {
        // In a listed field, in an unlisted one, in one kept as sent, and in a record kept as text.
        for (place, fields) in [
            ("listed", json!({"remarks": "r".repeat(bytes)})),
            ("unlisted", json!({"x": "r".repeat(bytes)})),
            ("as sent", json!({"mobile": "r".repeat(bytes)})),
            ("verbatim", json!({"x": 1.0, "y": "r".repeat(bytes / 2)})),
        ] {
            let id = format!("size-{number}-{place}");
            let mut fields = fields;
            fields["message_id"] = json!(id);
            let record = event(&fields);
            let body = format!(
                "[{record},{}]",
                event(&json!({"message_id": format!("{id}-beside")}))
            );
            match instance.post("event-webhook", body).await.counts() {
                [2, 2, 0, 0, 0] => {
                    stored += 1;
                    let item = instance.item(&id).await;
                    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
                }
                [2, 1, 0, 0, 1] => {
                    aside += 1;
                    let letters = instance.take_letters().await;
                    assert_eq!((letters.len(), letters[0].reason), (1, Unreadable));
                    assert!(letters[0].body.bytes() == format!("[{record}]").into_bytes());
                }
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    assert!(stored >= 8 && aside >= 8, "{stored} stored, {aside} put aside");
    assert_eq!(instance.depths().await, [0, 0]);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absurd_time_is_no_time_and_loses_no_event() {
    let instance = Instance::start().await;
    let before = time::now();
    for (number, at) in [
        json!(-1_704_876_828),
        json!(0),
        json!(-1),
        json!(1),
        json!("-5"),
        json!(""),
        json!(null),
        json!("yesterday"),
        json!("2024-13-45T99:99:99Z"),
        json!("0000-00-00T00:00:00Z"),
        json!("1900-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("+275760-09-13T00:00:00Z"),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!("1e300"),
        json!("NaN"),
        json!("99999999999999999999999999999999999999"),
        json!(0.5),
        json!(true),
        json!([1_704_876_828]),
        json!({"$date": 1_704_876_828}),
    ]
    .into_iter()
    .enumerate()
    {
        for status in ["Sent", "Clicked"] {
            let id = format!("time-{number}-{status}");
            let record = event(&json!({"message_id": id, "status": status, "event_time": at}));
            for counts in [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] {
                let answer = instance.post("event-webhook", format!("[{record}]")).await;
                assert_eq!(answer.counts(), counts, "{record}");
            }
            let item = instance.item(&id).await;
            assert!(item.contains_key(item::UNDATED), "{record}");
            let at = item::number_at(&item, item::EVENT_TIME).unwrap();
            assert!((before..=time::now()).contains(&at), "{record}: {at}");
            assert!(!item.contains_key(item::LATE), "{record}");
            assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
        }
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_cannot_hold_exactly_is_kept_as_text() {
    let instance = Instance::start().await;
    for (number, rest) in [
        r#""x":123456789012345678901234567890123456789012345"#.to_owned(),
        r#""x":-123456789012345678901234567890"#.to_owned(),
        r#""x":1e300"#.to_owned(),
        r#""x":1e-300"#.to_owned(),
        r#""x":-0.0"#.to_owned(),
        r#""x":5.0"#.to_owned(),
        r#""x":0.1000000000000000055511151231257827"#.to_owned(),
        r#""x":{"y":[18446744073709551616]}"#.to_owned(),
        r#""x":1,"x":2"#.to_owned(),
        r#""x":{"y":1,"y":2}"#.to_owned(),
        r#""status":"Failed""#.to_owned(),
        r#""message_id":"another""#.to_owned(),
        r#""":1"#.to_owned(),
        r#""x":{"":{"":null}}"#.to_owned(),
        format!(r#""x":{}"#, nested(27)),
        format!(r#""x":{}"#, nested(29)),
        format!(r#""x":{}"#, nested(31)),
        format!(r#""x":{}"#, nested(33)),
        format!(r#""x":{}"#, nested(100)),
        format!(r#""tags":{}"#, nested(33)),
        format!(r#""click_data":{{"a":{}}}"#, nested(40)),
        format!(r#""mobile2":{}"#, nested(120)),
        r#""x":18446744073709551615,"y":-9223372036854775808,"z":0.30000000000000004"#.to_owned(),
        r#""x":"\u0000\ufffe\ud83d\ude00""#.to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("exact-{number}");
        let record = format!("{},{rest}}}", open_event(&id));
        for counts in [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] {
            let answer = instance.post("event-webhook", format!("[{record}]")).await;
            assert_eq!(answer.counts(), counts, "{record}");
        }
        let item = instance.item(&id).await;
        assert_eq!(item["status"].as_s().unwrap(), "sent", "{record}");
        match item.get(item::VERBATIM) {
            Some(text) => assert_eq!(text.as_s().unwrap(), &record),
            None => assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap()),
        }
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_says_something_else_is_put_aside_as_a_conflict() {
    let instance = Instance::start().await;
    let one = event(&json!({"message_id": "c-1", "remarks": "one"}));
    let other = event(&json!({"message_id": "c-1", "remarks": "other"}));
    let body = format!("[{one},{other},{one}]");
    let [received, stored, duplicates, queued, dead] = instance.post("event-webhook", body).await.counts();
    // Which of the two is stored first is nobody's to say: they are written at the same time.
    assert_eq!([received, stored, queued, duplicates + dead], [3, 1, 0, 2]);
    let kept = rebuilt(&instance.item("c-1").await);
    let letters = instance.take_letters().await;
    assert_eq!(letters.len() as u64, dead);
    assert!(dead >= 1);
    for letter in letters {
        assert_eq!(letter.reason, Reason::Conflict);
        assert!(letter.detail.ends_with("differs in remarks"), "{}", letter.detail);
        assert_ne!(
            serde_json::from_slice::<Value>(letter.body.bytes()).unwrap()[0],
            kept
        );
    }
    instance.stop().await;
}

const FOUR_SCHEMES: &str = r#"{"accept":[
    {"type":"hmac","header":"x-webhook-signature","algorithm":"sha256","encoding":"hex","prefix":"sha256=","secrets":["the-new-secret-of-the-tests","the-old-secret-of-the-tests"]},
    {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["the-secret-of-timed-signatures"]},
    {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
    {"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]},
    {"type":"basic","username":"netcore","passwords":["passw0rd-of-the-tests"]}]}"#;

type Headers = Vec<(String, String)>;

/// The headers of a sender with only this scheme, at a time that differs from ours.
fn signed(scheme: &str, body: &[u8], seconds_off: i64) -> Headers {
    let policy = Policy::parse(&format!("{{\"accept\":[{scheme}]}}")).unwrap();
    policy.sign(body, time::now() + seconds_off * 1000)
}

fn hex_with(secret: &str, body: &[u8]) -> String {
    let scheme =
        json!({"type": "hmac", "header": "x-webhook-signature", "prefix": "sha256=", "secrets": [secret]});
    signed(&scheme.to_string(), body, 0).remove(0).1
}

fn timed(body: &[u8], seconds_off: i64) -> Headers {
    let scheme = r#"{"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["the-secret-of-timed-signatures"]}"#;
    signed(scheme, body, seconds_off)
}

fn standard(body: &[u8], seconds_off: i64) -> Headers {
    let scheme = r#"{"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#;
    signed(scheme, body, seconds_off)
}

fn basic(pair: &str) -> Headers {
    one("authorization", format!("Basic {}", STANDARD.encode(pair)))
}

fn one(name: &str, value: impl Into<String>) -> Headers {
    vec![(name.to_owned(), value.into())]
}

/// The headers with another value for one of them.
fn but(mut headers: Headers, name: &str, value: impl Into<String>) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers.push((name.to_owned(), value.into()));
    headers
}

/// The headers without one of them.
fn less(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers
}

/// The headers with one of them twice.
fn twice(mut headers: Headers, name: &str) -> Headers {
    let same = headers.iter().find(|(n, _)| n == name).unwrap().clone();
    headers.push(same);
    headers
}

#[rustfmt::skip]
fn strangers(body: &[u8]) -> Vec<(&'static str, Headers)> {
    let hex = "x-webhook-signature";
    let good = hex_with("the-new-secret-of-the-tests", body);
    let webhook = standard(body, 0);
    let signature = webhook[2].1.clone();
    let many = |wrong: usize| {
        let mut signatures = vec![hex_with("another-secret-of-the-tests", body); wrong];
        signatures.push(good.clone());
        signatures.join(",")
    };
    vec![
        ("nothing", vec![]),
        ("a wrong token", one("x-netcore-token", "token")),
        ("an empty token", one("x-netcore-token", "")),
        ("a token in capitals", one("x-netcore-token", "T0KEN-OF-THE-TESTS")),
        ("a longer token", one("x-netcore-token", "t0ken-of-the-tests-and-more")),
        ("the beginning of the token", one("x-netcore-token", "t0ken-of-the")),
        ("the token twice", twice(one("x-netcore-token", "t0ken-of-the-tests"), "x-netcore-token")),
        ("the token in another header", one("x-token", "t0ken-of-the-tests")),
        ("an empty signature", one(hex, "")),
        ("only the prefix", one(hex, "sha256=")),
        ("no prefix", one(hex, &good["sha256=".len()..])),
        ("a signature of the wrong length", one(hex, &good[..good.len() - 2])),
        ("half a byte", one(hex, &good[..good.len() - 1])),
        ("a byte too many", one(hex, format!("{good}00"))),
        ("no hex", one(hex, format!("sha256={}", "g".repeat(64)))),
        ("7 KB of signature", one(hex, format!("sha256={}", "a".repeat(7_000)))),
        ("another secret", one(hex, hex_with("the-newest-secret-of-the-tests", body))),
        ("a signature of another body", one(hex, hex_with("the-new-secret-of-the-tests", b"[]"))),
        ("a good signature behind eight wrong ones", one(hex, many(8))),
        ("a stale time", timed(body, -310)),
        ("a future time", timed(body, 310)),
        ("no time", less(timed(body, 0), "x-timestamp")),
        ("the time twice", twice(timed(body, 0), "x-timestamp")),
        ("another time than was signed", but(timed(body, 0), "x-timestamp", (time::now() / 1000 - 1).to_string())),
        ("a time in words", but(timed(body, 0), "x-timestamp", "now")),
        ("a negative time", but(timed(body, 0), "x-timestamp", "-1704876828")),
        ("a time with a plus", but(timed(body, 0), "x-timestamp", format!("+{}", time::now() / 1000))),
        ("an endless time", but(timed(body, 0), "x-timestamp", "9".repeat(40))),
        ("the time of 1970", but(timed(body, 0), "x-timestamp", "0")),
        ("a stale message", standard(body, -310)),
        ("a future message", standard(body, 310)),
        ("no message id", less(webhook.clone(), "webhook-id")),
        ("another message id", but(webhook.clone(), "webhook-id", "msg_other")),
        ("no message time", less(webhook.clone(), "webhook-timestamp")),
        ("the message time twice", twice(webhook.clone(), "webhook-timestamp")),
        ("no version", but(webhook.clone(), "webhook-signature", &signature[3..])),
        ("another version", but(webhook.clone(), "webhook-signature", format!("v1a{}", &signature[2..]))),
        ("a shortened signature", but(webhook.clone(), "webhook-signature", &signature[..20])),
        ("another user", basic("admin:passw0rd-of-the-tests")),
        ("another password", basic("netcore:password")),
        ("no password", basic("netcore")),
        ("an empty password", basic("netcore:")),
        ("a password with more behind it", basic("netcore:passw0rd-of-the-tests:")),
        ("no base64", one("authorization", "Basic netcore:passw0rd-of-the-tests")),
        ("a bearer", one("authorization", format!("Bearer {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("the password twice", twice(basic("netcore:passw0rd-of-the-tests"), "authorization")),
    ]
}

#[rustfmt::skip]
fn friends(body: &[u8]) -> Vec<(&'static str, Headers)> {
    let hex = "x-webhook-signature";
    let (new, old, wrong) = (hex_with("the-new-secret-of-the-tests", body), hex_with("the-old-secret-of-the-tests", body), hex_with("another-secret-of-the-tests", body));
    let webhook = standard(body, 0);
    let signature = webhook[2].1.clone();
    let upper = format!("sha256={}", new["sha256=".len()..].to_uppercase());
    vec![
        ("the token", one("x-netcore-token", "t0ken-of-the-tests")),
        ("the token with spaces around it", one("x-netcore-token", "  t0ken-of-the-tests ")),
        ("the token's header in capitals", one("X-Netcore-Token", "t0ken-of-the-tests")),
        ("the new secret", one(hex, &new)),
        ("the old secret", one(hex, &old)),
        ("a signature in capitals", one(hex, upper)),
        ("several signatures", one(hex, format!("{wrong}, {old}"))),
        ("seven wrong signatures before", one(hex, format!("{},{new}", vec![wrong.clone(); 7].join(",")))),
        ("the signature's header twice", vec![(hex.into(), wrong), (hex.into(), new)]),
        ("a time just now", timed(body, 0)),
        ("a time some minutes ago", timed(body, -200)),
        ("a time some minutes ahead", timed(body, 200)),
        ("a standard webhook", webhook.clone()),
        ("an older one", standard(body, -200)),
        ("several standard signatures", but(webhook.clone(), "webhook-signature", format!("v1,AAAA v1a,BBBB {signature}"))),
        ("the standard signature twice", twice(webhook.clone(), "webhook-signature")),
        ("user and password", basic("netcore:passw0rd-of-the-tests")),
        ("the scheme in small letters", one("authorization", format!("basic {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("a wrong token beside a good password", [one("x-netcore-token", "x"), basic("netcore:passw0rd-of-the-tests")].concat()),
    ]
}

/// As text and in base64: function URLs deliver what is not known to be text in the latter.
const CONTENT_TYPES: [&str; 3] = ["application/json; charset=utf-8", "application/octet-stream", ""];

async fn knock(instance: &Instance, headers: &Headers, content_type: &str, body: &[u8]) -> Answer {
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    if !content_type.is_empty() {
        headers.push(("content-type", content_type));
    }
    let mut answer = instance.post_with("event-webhook", &headers, body.to_vec()).await;
    answer.headers.remove("date");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_one_thing_and_leave_no_trace() {
    let instance = Instance::with_policy(FOUR_SCHEMES).await;
    let event = format!("[{}]", event(&json!({})));
    let mut told: Option<Answer> = None;
    for body in [event.as_bytes(), b"", b"\xff not JSON", "[\"ü\"]".as_bytes()] {
        for (what, headers) in strangers(body) {
            for content_type in CONTENT_TYPES {
                let answer = knock(&instance, &headers, content_type, body).await;
                assert_eq!(answer.status, 401, "{what} as {content_type}: {}", answer.text);
                assert_eq!(
                    &answer,
                    told.get_or_insert_with(|| answer.clone()),
                    "{what} as {content_type}"
                );
            }
        }
    }
    assert_eq!((instance.count().await, instance.depths().await), (0, [0, 0]));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_lets_its_sender_in() {
    let instance = Instance::with_policy(FOUR_SCHEMES).await;
    for id in ["plain", "\u{fc}ml\u{e4}ut \u{1f600}"] {
        let mut first = true;
        let body = format!("[{}]", event(&json!({"message_id": id})));
        for (what, headers) in friends(body.as_bytes()) {
            for content_type in CONTENT_TYPES {
                let answer = knock(&instance, &headers, content_type, body.as_bytes()).await;
                assert_eq!(answer.status, 200, "{what} as {content_type}: {}", answer.text);
                let expected = if first { [1, 1, 0, 0, 0] } else { [1, 0, 1, 0, 0] };
                assert_eq!(answer.counts(), expected, "{what} as {content_type}");
                first = false;
            }
        }
    }
    // What is no text is signed as the bytes it is.
    let bytes = b"\xff\xfe\x00";
    for (number, (what, headers)) in friends(bytes).into_iter().enumerate() {
        for content_type in CONTENT_TYPES {
            let answer = knock(&instance, &headers, content_type, bytes).await;
            assert_eq!(
                answer.status, 400,
                "{what} as {content_type} ({number}): {}",
                answer.text
            );
        }
    }
    for letter in instance.take_letters().await {
        assert_eq!(letter.body.bytes(), bytes);
    }
    assert_eq!((instance.count().await, instance.depths().await), (2, [0, 0]));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_address_needs_no_secret_and_other_methods_are_refused() {
    let instance = Instance::start().await;
    for function in [
        "event-webhook",
        "fallback-sms",
        "incoming-webhook",
        "delivery-status",
        "rcs-callback",
    ] {
        let path = format!("/lambda-url/{function}/");
        for method in [Method::GET, Method::HEAD] {
            let answer = instance.send(method.clone(), &path, &[], "").await;
            assert_eq!(answer.status, 200, "{method} {function}");
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let answer = instance.send(method.clone(), &path, &[TOKEN], "[]").await;
            assert_eq!(answer.status, 405, "{method} {function}");
            assert_eq!(
                answer.header("allow"),
                Some("GET, HEAD, POST"),
                "{method} {function}"
            );
        }
    }
    assert_eq!((instance.count().await, instance.depths().await), (0, [0, 0]));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_was_seen_decides_and_never_a_header_of_the_sender() {
    let body = format!("[{}]", event(&json!({})));
    let forwarded = |address: &'static str| ("x-forwarded-for", address);
    for (sources, headers, status) in [
        (r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 403),
        (r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#, vec![], 403),
        (
            r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#,
            vec![TOKEN, forwarded("10.0.0.1")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore"}"#,
            vec![
                TOKEN,
                forwarded("3.6.178.98"),
                ("forwarded", "for=3.6.178.98"),
                ("x-real-ip", "3.6.178.98"),
            ],
            403,
        ),
        (r#"{"mode":"enforce","allow":["127.0.0.1"]}"#, vec![TOKEN], 200),
        (r#"{"mode":"enforce","allow":["127.0.0.0/8"]}"#, vec![], 401),
        (r#"{"mode":"report","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 200),
        (r#"{"mode":"report","allow":["10.0.0.0/8"]}"#, vec![], 401),
        (r#"{"mode":"off","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 200),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("3.6.178.98")],
            200,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("3.6.178.98"), forwarded("1.2.3.4")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("junk")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN],
            403,
        ),
    ] {
        let mut policy: Value = serde_json::from_str(POLICY).unwrap();
        policy["sources"] = serde_json::from_str(sources).unwrap();
        let instance = Instance::with_policy(&policy.to_string()).await;
        let answer = instance.post_with("event-webhook", &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{sources} {headers:?}: {}", answer.text);
        assert_eq!(
            instance.count().await,
            usize::from(status == 200),
            "{sources} {headers:?}"
        );
        assert_eq!(instance.depths().await, [0, 0], "{sources} {headers:?}");
    }
}
