//! Bodies of the RCS networks and of the RCS gateway, and what makes two of them the same event.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{fixtures::with, server::Server, storage::rebuilt};
use serde_json::{Value, json};
use webhook_ingest::events_table::item;

use super::wild::{check, plain};

/// The record in a Pub/Sub push, or the body itself.
fn pushed(body: &Value) -> Vec<Value> {
    match body.pointer("/message/data") {
        Some(data) => {
            let record = STANDARD.decode(data.as_str().unwrap()).unwrap();
            vec![serde_json::from_slice(&record).unwrap()]
        }
        None => plain(body),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jio() {
    // The source hides the numbers with asterisks, so these records name nobody.
    let table = "
rbm-event message-read.json           ec ca1e-3293-49f9-896e-bbfaa3b13782  read        - RCS 1696846820849
rbm-event send-failure.json           m-1                                  failed      - RCS -
rbm-event suggestion-reply.json       MxTcYxYyXrTKS=o46jMjDJPQ             clicked     - RCS 1699627250263
rbm-event ttl-expiration-revoked.json 77573603-2d32-481b-9442-c1ae5eace4a9 expired     - RCS 1721973793654
rbm-event unsubscribe.json            account:asst                         unsubscribe - RCS -
rbm-event user-text.json              MxhVHQKZTxRkewsJQbKLsw9Q             received    - RCS 1699627118105
";
    check("jio-rcs", table, &[], plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn airtel() {
    let table = "
rbm-event delivered.json         01kns4smzq7zewfbqy6t7zjd0k delivered         919820000002 RCS 1775740010763
rbm-event expired.json           01kvzgp5rm06043ha50ydec3y3 expired           -            RCS 1782395397077
rbm-event reply.json             Mxa0-dYUObROCiPaBJisZr6A   clicked           919820000002 RCS -
rbm-event template-approved.json 01kpz85rangx4j0sfwdrkjahtc template_approved -            RCS 1777024720558
rbm-event time-with-spaces.json  m                          delivered         -            RCS -
rbm-event validation-error.json  01kt997fm9ms2gx54t2chrgqq7 failed            -            RCS -
";
    check("airtel-rcs", table, &[], plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vi_and_google() {
    let table = "
rbm-event delivered-bare.json   57bed79e-55ba-46fe-b88a-2755aaee77fc delivered 914253136789 RCS 1787583683045
rbm-event delivered-pubsub.json 57bed79e-55ba-46fe-b88a-2755aaee77fc delivered 914253136789 RCS 1787583683045
rbm-event failed.json           e4d4529f-0336-4292-8a39-34964cad2bd3 failed    919686960276 RCS -
rbm-event is-typing.json        e1                                   is_typing -            RCS -
rbm-event suggestion.json       MxNsfgtg86T                          clicked   919986473361 RCS 1787240370475
";
    check("vi-google-rcs", table, &[], pushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paytms_nested_form() {
    // At the URL of its flat form, and at the function of the networks.
    let table = "
event-webhook rcs-nested-failed.json                 rec_a90b7c3e11 failed 919876543210 RCS 1768558022000
event-webhook rcs-nested-failed-object.COMPOSED.json rec_a90b7c3e12 failed 919876543210 RCS 1768558022000
rbm-event     rcs-nested-failed.json                 rec_a90b7c3e11 failed 919876543210 RCS 1768558022000
rbm-event     rcs-nested-failed-object.COMPOSED.json rec_a90b7c3e12 failed 919876543210 RCS 1768558022000
";
    check("paytm-rcs", table, &[], plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway() {
    let id = "0f27a7e4-0e8a-43c0-b6b4-8805e39825ae";
    let table = [
        ("sent-single.COMPOSED.json", "sent", "5548999990104", "RCS"),
        (
            "sent-conversacional.COMPOSED.json",
            "sent",
            "5548999990104",
            "RCS",
        ),
        ("sent-richcard.COMPOSED.json", "sent", "5548999990104", "RCS"),
        ("sent-carousel.COMPOSED.json", "sent", "5548999990104", "RCS"),
        ("delivered.COMPOSED.json", "delivered", "5548999990104", "RCS"),
        ("read.COMPOSED.json", "read", "5548999990104", "RCS"),
        ("exception.COMPOSED.json", "failed", "5548999990104", "RCS"),
        ("error.COMPOSED.json", "failed", "5548999990104", "RCS"),
        ("prepaid-blocked.COMPOSED.json", "blocked", "5548999990104", "RCS"),
        (
            "duplicate-status.COMPOSED.json",
            "blocked",
            "5548999990104",
            "RCS",
        ),
        ("duplicate-type.COMPOSED.json", "blocked", "5548999990104", "RCS"),
        ("fallback-sms.COMPOSED.json", "sent", "5548999990104", "SMS"),
        // Without country code: stored as sent.
        ("in-text.COMPOSED.json", "received", "48999990104", "RCS"),
        ("in-text-file.COMPOSED.json", "received", "5548999990104", "RCS"),
        ("in-image.COMPOSED.json", "received", "5548999990104", "RCS"),
        ("in-location.COMPOSED.json", "received", "5548999990104", "RCS"),
        (
            "in-suggestion-response.COMPOSED.json",
            "clicked",
            "5548999990104",
            "RCS",
        ),
    ]
    .map(|(file, status, person, channel)| {
        format!("rcs-callback {file} {id} {status} {person} {channel} 1734444311123")
    });
    check("pontaltech-rcs", &table.join("\n"), &[], plain).await;
}

/// A read of a message over Jio.
fn read(entity: Value) -> Value {
    let listed = json!({
        "eventType": "MESSAGE_READ", "messageId": "m", "eventId": "e-1",
        "sendTime": "2026-01-16T10:07:02.849997Z", "senderPhoneNumber": "+919999999901",
    });
    json!({"userPhoneNumber": "+919999999901", "botId": "b", "entityType": "USER_EVENT", "entity": with(listed, entity)})
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_inside_an_object_are_compared_by_their_meaning() {
    let server = Server::start().await;
    let post = |body: Value| server.post("rbm-event", body.to_string());
    assert_eq!(post(read(json!({}))).await.counts(), [1, 1, 0, 0, 0]);
    for (name, same) in [
        ("the same", read(json!({}))),
        (
            "another spelling of a time",
            read(json!({"sendTime": "2026-01-16T15:37:02.849997+05:30"})),
        ),
        (
            "another spelling of a status",
            read(json!({"eventType": "MESSAGE_READ", "error": null})),
        ),
        (
            "an empty field",
            read(json!({"error": {"message": ""}, "text": "", "userFile": {}})),
        ),
    ] {
        assert_eq!(post(same).await.counts(), [1, 0, 1, 0, 0], "{name}");
    }
    for (name, other) in [
        ("an unknown field", read(json!({"attempt": 1}))),
        ("an unknown empty field", read(json!({"attempt": null}))),
        (
            "another time",
            read(json!({"sendTime": "2026-01-16T10:07:02.849998Z"})),
        ),
        ("another event id", read(json!({"eventId": "e-2"}))),
        (
            "a field with the name of a path",
            with(read(json!({})), json!({"entity.messageId": "m"})),
        ),
    ] {
        assert_eq!(post(other).await.counts(), [1, 0, 0, 0, 1], "{name}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_push_is_a_duplicate_and_a_broken_one_is_kept() {
    let server = Server::start().await;
    let record = json!({"senderPhoneNumber": "+919999999901", "eventType": "READ", "eventId": "e-1", "messageId": "m-1", "sendTime": "2026-01-16T10:07:02Z", "agentId": "a"});
    let push = |id: &str, record: &Value| {
        json!({
            "message": {"attributes": {"product": "RBM"}, "data": STANDARD.encode(record.to_string()), "messageId": id, "message_id": id, "publishTime": id},
            "subscription": "projects/p/subscriptions/s", "deliveryAttempt": id.len(),
        })
        .to_string()
    };
    assert_eq!(
        server.post("rbm-event", push("1", &record)).await.counts(),
        [1, 1, 0, 0, 0]
    );
    assert_eq!(
        server.post("rbm-event", push("22", &record)).await.counts(),
        [1, 0, 1, 0, 0]
    );
    assert_eq!(
        server.post("rbm-event", record.to_string()).await.counts(),
        [1, 0, 1, 0, 0]
    );
    let changed = with(record.clone(), json!({"agentId": "b"}));
    assert_eq!(
        server.post("rbm-event", push("1", &changed)).await.counts(),
        [1, 0, 0, 0, 1]
    );
    let stored = server.storage().item_of("m-1").await;
    assert_eq!(Value::Object(rebuilt(&stored)), record);
    assert!(!stored.contains_key(item::ENVELOPE));
    // What cannot be decoded, or is no record, is in the dead-letter queue as it came.
    for body in [
        r#"{"message":{"data":"%7B"},"subscription":"s"}"#.to_owned(),
        push("1", &json!("text")),
    ] {
        let answer = server.post("rbm-event", body).await;
        assert_eq!(answer.status, 200, "Google would send it again");
    }
    assert_eq!(server.storage().depths().await, [0, 3]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_subscriptions_belong_to_no_message_and_fail_no_batch() {
    let server = Server::start().await;
    let typing = |fields: Value| {
        with(
            json!({"senderPhoneNumber": "+919999999901", "eventType": "IS_TYPING"}),
            fields,
        )
    };
    let nested =
        |kind: &str, fields: Value| json!({"botId": "b", "entity": with(json!({"eventType": kind}), fields)});
    let records = [
        typing(json!({"eventId": "e-1"})),
        typing(json!({"eventId": "e-2", "messageId": ""})),
        typing(json!({"eventId": "e-3", "messageId": null})),
        typing(json!({"agentId": "a"})),
        typing(json!({})),
        nested("IS_TYPING", json!({"eventId": "e-4"})),
        nested("IS_TYPING", json!({"messageId": "", "eventId": "e-5"})),
        nested("SUBSCRIBE", json!({})),
        nested("UNSUBSCRIBE", json!({})),
        json!({"senderPhoneNumber": "+919999999901", "eventType": "DELIVERED", "eventId": "e-6", "messageId": "m-1"}),
    ];
    let count = records.len();
    let body = Value::from(records.to_vec()).to_string();
    let answer = server.post("rbm-event", body.clone()).await;
    assert_eq!(answer.counts(), [count, count, 0, 0, 0]);
    assert_eq!(
        server.post("rbm-event", body).await.counts(),
        [count, 0, count, 0, 0]
    );
    let mut stored: Vec<String> = Vec::new();
    for item in server.storage().items().await {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        stored.push(format!("{} {}", text(item::MESSAGE_ID), text(item::STATUS)));
    }
    stored.sort();
    assert_eq!(
        stored,
        [
            "account:a:919999999901 is_typing",
            "account:b subscribe",
            "account:b unsubscribe",
            "account:unknown:919999999901 is_typing",
            "e-1 is_typing",
            "e-2 is_typing",
            "e-3 is_typing",
            "e-4 is_typing",
            "e-5 is_typing",
            "m-1 delivered",
        ]
    );
    // The status of a message without the message's id says nothing. It is kept for a person.
    let lost = typing(json!({"eventType": "DELIVERED", "eventId": "e-7"}));
    let body = Value::from(vec![lost, typing(json!({"eventId": "e-8"}))]).to_string();
    assert_eq!(server.post("rbm-event", body).await.counts(), [2, 1, 0, 0, 1]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_answers_and_reasons_are_stored_under_their_attributes() {
    let server = Server::start().await;
    let tap = json!({"postbackData": "yes", "text": "Yes", "type": "REPLY"});
    let bodies = [
        json!({"senderPhoneNumber": "+919999999901", "messageId": "t-1", "text": "Hi", "userFile": null}),
        json!({"senderPhoneNumber": "+919999999901", "messageId": "t-2", "suggestionResponse": tap}),
        json!({"msisdn": "+919999999901", "messageId": "t-3", "msgStream": "INBOUND", "eventType": "RECEIVED", "messageContent": with(tap.clone(), json!({"contextMessageId": "out-1"}))}),
        json!({"userPhoneNumber": "+919999999901", "botId": "b", "entity": {"messageId": "t-4", "text": "Hi", "location": {"latitude": 1.5}}}),
        json!({"userPhoneNumber": "+919999999901", "agentId": "a", "entity": {"messageId": "t-5", "eventType": "FAILED", "error": {"code": "c", "message": "Why"}}}),
        json!({"userPhoneNumber": "+919999999901", "agentId": "a", "entity": {"messageId": "t-6", "eventType": "FAILED", "error": "Why"}}),
        json!({"botId": "b", "entity": {"messageId": "t-7", "eventType": "MESSAGE_READ", "phoneNumber": "+919999999901"}}),
    ];
    for body in &bodies {
        assert_eq!(
            server.post("rbm-event", body.to_string()).await.counts(),
            [1, 1, 0, 0, 0],
            "{body}"
        );
    }
    let mut stored = json!({});
    for (number, body) in bodies.iter().enumerate() {
        let id = format!("t-{}", number + 1);
        let item = server.storage().item_of(&id).await;
        assert_eq!(&Value::Object(rebuilt(&item)), body);
        let mut shown = item::to_json(&item);
        shown.retain(|name, _| {
            [
                "bot_id",
                "click",
                "content",
                "in_reply_to",
                "recipient",
                "remarks",
            ]
            .contains(&name.as_str())
        });
        stored[id] = Value::Object(shown);
    }
    let person = "919999999901";
    assert_eq!(
        stored,
        json!({
            "t-1": {"recipient": person, "content": {"text": "Hi"}},
            "t-2": {"recipient": person, "click": tap},
            "t-3": {"recipient": person, "click": with(tap.clone(), json!({"contextMessageId": "out-1"})), "in_reply_to": "out-1"},
            "t-4": {"recipient": person, "bot_id": "b", "content": {"text": "Hi", "location": {"latitude": 1.5}}},
            "t-5": {"recipient": person, "bot_id": "a", "remarks": "Why"},
            "t-6": {"recipient": person, "bot_id": "a", "remarks": "Why"},
            "t-7": {"recipient": person, "bot_id": "b"},
        })
    );
    server.stop().await;
}
