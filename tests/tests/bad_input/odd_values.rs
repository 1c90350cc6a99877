//! Odd ids, words, times and numbers. Each is stored unchanged, and no two events become one.

use std::collections::BTreeSet;

use integration_tests::{fixtures::percent_encoded, server::Server};
use serde_json::{Value, json};
use webhook_ingest::{event::time, events_table::item};

use super::{event, nested, open_event, rebuilt};

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_stored_unchanged() {
    let server = Server::start().await;
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
            server.post("event-webhook", format!("[{record}]")).await.counts(),
            [1, 1, 0, 0, 0],
            "{what}"
        );
        assert_eq!(rebuilt(&server.storage().item_of(id).await), sent, "{what}");
        // Proxies may resolve dot segments, encoded or not (RFC 3986, 6.2.2.3).
        if id != ".." {
            let shown = server
                .get(&format!("/api/messages/{}", percent_encoded(id)))
                .await;
            assert_eq!(
                (shown.status, &shown.json()["message_id"]),
                (200, &json!(id)),
                "{what}"
            );
        }
        // The status key of a click also contains an id if the provider sends one.
        let tap = json!({"reference": id, "event_id": id, "direction": "inbound", "type": "suggestionResponse", "message": {}});
        assert_eq!(
            server.post("rcs-callback", tap.to_string()).await.counts(),
            [1, 1, 0, 0, 0],
            "{what}"
        );
        assert_eq!(
            server.post("rcs-callback", tap.to_string()).await.counts(),
            [1, 0, 1, 0, 0],
            "{what}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_words_never_merge_two_events() {
    let server = Server::start().await;
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
        // An empty channel is RCS, like a missing one: a duplicate, or a conflict if the content differs.
        let answer = server.post("event-webhook", format!("[{record}]")).await;
        let [_, stored, duplicates, _, dead] = answer.counts();
        let is_unnamed = record.contains(r#""channel":"""#);
        assert_eq!(stored, usize::from(!is_unnamed), "{record}");
        assert_eq!(duplicates + dead, usize::from(is_unnamed), "{record}");
    }
    for (key, item) in server.storage().items_of("odd").await {
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
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_an_invalid_time_is_stored_as_undated() {
    let server = Server::start().await;
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
                let answer = server.post("event-webhook", format!("[{record}]")).await;
                assert_eq!(answer.counts(), counts, "{record}");
            }
            let item = server.storage().item_of(&id).await;
            assert!(item.contains_key(item::UNDATED), "{record}");
            let at = item::number_at(&item, item::EVENT_TIME).unwrap();
            assert!((before..=time::now()).contains(&at), "{record}: {at}");
            assert!(!item.contains_key(item::LATE), "{record}");
            assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_time_is_accepted_up_to_two_days_ahead() {
    const HOUR: i64 = 3600;
    let server = Server::start().await;
    let before = time::now();
    let now = before / 1000;
    for (number, (sent, believed)) in [
        (json!(now + HOUR), Some(now + HOUR)),
        (
            json!(((now + 47 * HOUR) * 1000).to_string()),
            Some(now + 47 * HOUR),
        ),
        // Stored with the time of arrival.
        (json!(now + 49 * HOUR), None),
        (json!("2100-01-01T00:00:00Z"), None),
        (json!("9998-12-31T23:59:59.999Z"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("future-{number}");
        let record = event(&json!({"message_id": id, "event_time": sent}));
        for counts in [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] {
            let answer = server.post("event-webhook", format!("[{record}]")).await;
            assert_eq!(answer.counts(), counts, "{record}");
        }
        let item = server.storage().item_of(&id).await;
        let at = item::number_at(&item, item::EVENT_TIME).unwrap();
        match believed {
            Some(second) => assert_eq!(at, second * 1000, "{record}"),
            None => assert!((before..=time::now()).contains(&at), "{record}: {at}"),
        }
        assert_eq!(item.contains_key(item::UNDATED), believed.is_none(), "{record}");
        assert!(!item.contains_key(item::LATE), "{record}");
        assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_a_table_cannot_store_exactly_are_kept_as_text() {
    let server = Server::start().await;
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
            let answer = server.post("event-webhook", format!("[{record}]")).await;
            assert_eq!(answer.counts(), counts, "{record}");
        }
        let item = server.storage().item_of(&id).await;
        assert_eq!(item["status"].as_s().unwrap(), "sent", "{record}");
        match item.get(item::VERBATIM) {
            Some(text) => assert_eq!(text.as_s().unwrap(), &record),
            None => assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap()),
        }
    }
    server.stop().await;
}
