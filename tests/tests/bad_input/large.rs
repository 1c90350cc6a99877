//! Large bodies, records and items, and bodies of thousands of records, up to every limit and beyond it.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    fixtures::noise,
    instance::{Instance, TOKEN},
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::Reason::{Malformed, Unreadable};

use crate::{event, rebuilt};

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
        kept = instance.ledger.count().await;
        if kept == 10_000 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(kept, 10_000);
    assert_eq!(instance.ledger.take_letters().await, []);
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
        .ledger
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
    assert_eq!(instance.ledger.take_letters().await.len(), 1);
    let answer = instance.post("event-webhook", vec![b' '; 6_291_457]).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(
        (instance.ledger.count().await, instance.ledger.depths().await),
        (0, [0, 0])
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_several_queue_messages_comes_back_byte_for_byte() {
    let instance = Instance::alone().await;
    let body = noise(2 * 1024 * 1024);
    let answer = instance.post_until_kept("event-webhook", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(
        instance.ledger.depths().await[1] > 2,
        "one letter in several messages"
    );
    let letters = instance.ledger.take_letters().await;
    assert_eq!((letters.len(), letters[0].reason), (1, Malformed));
    assert!(letters[0].body.bytes() == body);

    // A record too large for an item, and its letter too large for a message.
    let record = event(&json!({"remarks": STANDARD.encode(noise(1_200_000))}));
    let body = format!("[{record},{}]", event(&json!({"message_id": "beside"})));
    let answer = instance.post_until_kept("event-webhook", body.as_bytes()).await;
    let [received, stored, duplicates, _, dead] = answer.counts();
    assert_eq!([received, stored + duplicates, dead], [2, 1, 1]);
    let letters = instance.ledger.take_letters().await;
    assert_eq!((letters.len(), letters[0].reason), (1, Unreadable));
    assert!(letters[0].body.bytes() == format!("[{record}]").into_bytes());
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
    let item = instance.ledger.item_of("long-status").await;
    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_any_size_is_stored_or_dead_lettered() {
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
                    let item = instance.ledger.item_of(&id).await;
                    assert_eq!(rebuilt(&item), serde_json::from_str::<Value>(&record).unwrap());
                }
                [2, 1, 0, 0, 1] => {
                    aside += 1;
                    let letters = instance.ledger.take_letters().await;
                    assert_eq!((letters.len(), letters[0].reason), (1, Unreadable));
                    assert!(letters[0].body.bytes() == format!("[{record}]").into_bytes());
                }
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    assert!(
        stored >= 8 && aside >= 8,
        "{stored} stored, {aside} dead-lettered"
    );
    assert_eq!(instance.ledger.depths().await, [0, 0]);
    instance.stop().await;
}
