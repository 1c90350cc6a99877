//! Large bodies, records and items, and bodies of thousands of records, up to every limit and beyond.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    fixtures::{TOKEN, noise},
    server::Server,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::Reason::{Malformed, Unreadable};

use super::{event, rebuilt};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_are_stored_or_queued_and_then_stored() {
    let server = Server::alone().await;
    let records: Vec<String> = (0..10_000)
        .map(|i| event(&json!({"message_id": format!("many-{i}")})))
        .collect();
    let [received, stored, duplicates, queued, dead] = server
        .post("event-webhook", format!("[{}]", records.join(",")))
        .await
        .counts();
    assert_eq!([received, duplicates, dead], [10_000, 0, 0]);
    assert_eq!(stored + queued, 10_000);
    let mut kept = 0;
    for _ in 0..100 {
        kept = server.storage().count().await;
        if kept == 10_000 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(kept, 10_000);
    assert_eq!(server.storage().take_dead_letters().await, []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_bad_records_with_a_good_one_are_all_dead_lettered() {
    let server = Server::alone().await;
    let mut records = vec![event(&json!({"message_id": "good"}))];
    records.extend((1..10_000).map(|i| format!(r#"{{"junk":{i}}}"#)));
    let answer = server
        .post("event-webhook", format!("[{}]", records.join(",")))
        .await;
    assert_eq!(answer.counts(), [10_000, 1, 0, 0, 9_999]);
    let kept: BTreeSet<u64> = server
        .storage()
        .take_dead_letters()
        .await
        .iter()
        .flat_map(|dead_letter| serde_json::from_slice::<Vec<Value>>(dead_letter.body.bytes()).unwrap())
        .map(|record| record["junk"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, (1..10_000).collect());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_rejected_first() {
    let server = Server::alone().await;
    let seven = vec![b' '; 7_000_000];
    for headers in [&[TOKEN][..], &[]] {
        let answer = server.post_with("event-webhook", headers, seven.clone()).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        assert!(answer.body.contains("6291456"), "{}", answer.body);
    }
    // At the limit, the body is parsed. It is empty.
    let answer = server.post("event-webhook", vec![b' '; 6_291_456]).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(server.storage().take_dead_letters().await.len(), 1);
    let answer = server.post("event-webhook", vec![b' '; 6_291_457]).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert_eq!(
        (server.storage().count().await, server.storage().depths().await),
        (0, [0, 0])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_in_several_messages_is_restored_byte_for_byte() {
    let server = Server::alone().await;
    let body = noise(2 * 1024 * 1024);
    let answer = server.post_until_kept("event-webhook", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        server.storage().depths().await[1] > 2,
        "one dead letter in several messages"
    );
    let dead_letters = server.storage().take_dead_letters().await;
    assert_eq!((dead_letters.len(), dead_letters[0].reason), (1, Malformed));
    assert!(dead_letters[0].body.bytes() == body);

    // A record too large for an item, in a dead letter too large for one message.
    let record = event(&json!({"remarks": STANDARD.encode(noise(1_200_000))}));
    let body = format!("[{record},{}]", event(&json!({"message_id": "beside"})));
    let answer = server.post_until_kept("event-webhook", body.as_bytes()).await;
    let [received, stored, duplicates, _, dead] = answer.counts();
    assert_eq!([received, stored + duplicates, dead], [2, 1, 1]);
    let dead_letters = server.storage().take_dead_letters().await;
    assert_eq!((dead_letters.len(), dead_letters[0].reason), (1, Unreadable));
    assert!(dead_letters[0].body.bytes() == format!("[{record}]").into_bytes());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_2_kb_is_stored_completely() {
    let server = Server::start().await;
    let status = "Ünknown#".repeat(256);
    let record = event(&json!({"message_id": "long-status", "status": status, "channel": "c".repeat(3000)}));
    for counts in [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] {
        assert_eq!(
            server.post("event-webhook", format!("[{record}]")).await.counts(),
            counts
        );
    }
    let item = server.storage().item_of("long-status").await;
    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_any_size_is_stored_or_dead_lettered() {
    let server = Server::start().await;
    let (mut stored, mut dead) = (0, 0);
    let sizes = [
        100_000, 400_000, 409_000, 409_300, 409_400, 409_500, 409_600, 409_700, 410_000,
    ];
    for (number, bytes) in sizes.into_iter().enumerate() {
        // In a listed field, in an unlisted field, in a value kept as sent, and in a record kept as text.
        for (kind, fields) in [
            ("listed", json!({"remarks": "r".repeat(bytes)})),
            ("unlisted", json!({"x": "r".repeat(bytes)})),
            ("as sent", json!({"mobile": "r".repeat(bytes)})),
            ("verbatim", json!({"x": 1.0, "y": "r".repeat(bytes / 2)})),
        ] {
            let id = format!("size-{number}-{kind}");
            let mut fields = fields;
            fields["message_id"] = json!(id);
            let record = event(&fields);
            let body = format!(
                "[{record},{}]",
                event(&json!({"message_id": format!("{id}-beside")}))
            );
            match server.post("event-webhook", body).await.counts() {
                [2, 2, 0, 0, 0] => {
                    stored += 1;
                    let item = server.storage().item_of(&id).await;
                    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
                }
                [2, 1, 0, 0, 1] => {
                    dead += 1;
                    let dead_letters = server.storage().take_dead_letters().await;
                    assert_eq!((dead_letters.len(), dead_letters[0].reason), (1, Unreadable));
                    assert!(dead_letters[0].body.bytes() == format!("[{record}]").into_bytes());
                }
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    assert!(stored >= 8 && dead >= 8, "{stored} stored, {dead} dead-lettered");
    assert_eq!(server.storage().depths().await, [0, 0]);
    server.stop().await;
}
