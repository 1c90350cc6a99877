//! Netcore's e-mail events, `WhatsApp` statuses and messages, and the flat forms of Paytm Pi, which resells
//! Netcore's RCS.

use std::path::Path;

use integration_tests::{
    fixtures::{TOKEN, body},
    server::Server,
    storage::rebuilt,
};
use serde_json::{Value, json};
use webhook_ingest::{
    events_table::item::{self, Item},
    queue::message::Reason,
};

use super::wild::{check, plain};

#[tokio::test(flavor = "multi_thread")]
async fn netcores_emails() {
    let table = "
email-event sent.json                    15536250111702803 sent         mailto:test@gmail.com          EMAIL 1553681625000
email-event opened.json                  15543162084122748 opened       -                              EMAIL 1554375863000
email-event clicked.PART-COMPOSED.json   15543162084122748 clicked      mailto:person@example.com      EMAIL 1554376443000
email-event bounced.COMPOSED.json        15536250111702804 bounced      mailto:nobody@example.com      EMAIL 1553681700000
email-event dropped.COMPOSED.json        15536250111702805 dropped      mailto:person@example.com      EMAIL 1553681800000
email-event invalid.COMPOSED.json        15536250111702805 invalid      mailto:person@example.com      EMAIL 1553681800000
email-event unsubscribed.COMPOSED.json   15536250111702805 unsubscribed mailto:person@example.com      EMAIL 1553681800000
email-event spam.COMPOSED.json           15536250111702805 spam         mailto:person@example.com      EMAIL 1553681800000
email-event abuse.COMPOSED.json          15536250111702805 abuse        mailto:person@example.com      EMAIL 1553681800000
email-event pepipost-old-sent.json       14551290015805717 sent         mailto:toabc@abc.com           EMAIL 1455193720000
email-event sendgrid-delivered.json      15536250111702803 delivered    -                              EMAIL 1553681625000
email-event sendgrid-dropped.json        15536250111702803 dropped      -                              EMAIL 1553681625000
email-event integrator-guess.json        102               bounced      mailto:badmailbox@invalid.com  EMAIL 1789500010000
email-event integrator-guess.json        103               unsubscribed mailto:optout@example.com      EMAIL 1789500020000
email-event integrator-guess.json        104               spam         mailto:complainant@example.com EMAIL 1789500030000
";
    check(
        "netcore-email",
        table,
        &["pepipost-old-urlencoded.COMPOSED.txt"],
        plain,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn netcores_whatsapp_statuses_and_messages() {
    let table = "
delivery-status  status-v1-read.json                    fa9d647a-c8d7-423e-bd27-7d2ca2875d12 read     919999999999 WHATSAPP 1558021018000
delivery-status  status-upper-and-clicked.json          a                                    read     919999999901 WHATSAPP 1764585432000
delivery-status  status-upper-and-clicked.json          b                                    clicked  919999999901 WHATSAPP 1764585433000
incoming-webhook docs-text.json                         ABEGkZlgQyWAAgo-sDVSUOa9jH0z         received 919960432580 WHATSAPP 1567090835000
incoming-webhook incoming-text.json                     wamid.abc123                         received 919999999901 WHATSAPP 1782241255000
incoming-webhook incoming-text-2025.json                wamid.HBgMOTE5OTk5OTk5OTAxFQIAEhggMTMzN0Q5RkZEOUFEQTg5NjJBNTYzMUU3ODJGMUVEMDcA received 919999999901 WHATSAPP 1750238660000
incoming-webhook incoming-image.json                    wamid.img1                           received 919999999901 WHATSAPP 1782274577000
incoming-webhook incoming-video.json                    wamid.vid1                           received 919999999901 WHATSAPP 1782282621000
incoming-webhook incoming-audio-voice.json              wamid.aud1                           received 919999999901 WHATSAPP 1782282927000
incoming-webhook incoming-document.json                 wamid.doc1                           received 919999999901 WHATSAPP 1782282698000
incoming-webhook incoming-location.json                 wamid.loc1                           received 919999999901 WHATSAPP 1782282727000
incoming-webhook incoming-reaction.json                 wamid.react1                         received 919999999901 WHATSAPP 1782281169000
incoming-webhook incoming-without-type.json             wamid.unknown1                       received 919999999901 WHATSAPP 1782282738000
incoming-webhook incoming-two.json                      wamid.1                              received 919999999901 WHATSAPP 1782282740000
incoming-webhook incoming-two.json                      wamid.2                              received 919999999902 WHATSAPP 1782282741000
incoming-webhook text-as-list.COMPOSED.json             wamid.t9                             received 919999999901 WHATSAPP 1750238703000
incoming-webhook voice.COMPOSED.json                    wamid.v1                             received 919999999901 WHATSAPP 1750238704000
incoming-webhook button-quick-reply.COMPOSED.json       wamid.btn1                           clicked  919999999901 WHATSAPP 1750238702000
incoming-webhook interactive-button-reply.COMPOSED.json wamid.int1                           clicked  919999999901 WHATSAPP 1750238700000
incoming-webhook interactive-list-reply.COMPOSED.json   wamid.int2                           clicked  919999999901 WHATSAPP 1750238701000
";
    check("netcore-whatsapp", table, &[], in_envelope).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paytms_flat_forms() {
    let table = "
event-webhook rcs-flat-delivered.json 1784909104-tgN1sxsKn-v delivered 919876543210 RCS 1768557945000
event-webhook sms-delivered.json      rec_7a1c93de20         delivered 919876543210 SMS 1768557945000
event-webhook sms-failed.json         rec_44b8f1ce07         failed    919876543210 SMS 1768557972000
";
    check("paytm-pi-flat", table, &[], plain).await;
}

/// The records of a documented envelope.
fn in_envelope(body: &Value) -> Vec<Value> {
    let mut lists = body.as_object().unwrap().values();
    lists.next().unwrap().as_array().unwrap().clone()
}

fn wild(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wild");
    std::fs::read(folder.join(path)).unwrap()
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).map_or("-", |value| value.as_s().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_percent_encoded_form_is_the_same_event() {
    let server = Server::start().await;
    let encoded = wild("netcore-email/pepipost-old-urlencoded.COMPOSED.txt");
    assert_eq!(
        server.post("email-event", encoded.clone()).await.counts(),
        [1, 1, 0, 0, 0]
    );
    let stored = server.storage().item_of("14551290015805717").await;
    let record = json!({
        "TRANSID": "14551290015805717", "RCPTID": "12", "EMAIL": "toabc@abc.com",
        "TIMESTAMP": "1455193720", "EVENT": "sent",
    });
    assert_eq!(text(&stored, "recipient"), "mailto:toabc@abc.com");
    assert_eq!(item::number_at(&stored, "event_time"), Some(1_455_193_720_000));
    assert_eq!(Value::Object(rebuilt(&stored)), record);
    assert_eq!(
        server.post("email-event", body(&[record])).await.counts(),
        [1, 0, 1, 0, 0]
    );

    // Some clients name the type of a form.
    let form = [TOKEN, ("content-type", "application/x-www-form-urlencoded")];
    let answer = server.post_with("email-event", &form, encoded).await;
    assert_eq!(answer.counts(), [1, 0, 1, 0, 0]);

    // A body that is no JSON after decoding either is kept as it arrived.
    let broken = "%5B%7B%22TRANSID%22%3A";
    server.post("email-event", broken).await;
    let kept = server.storage().take_dead_letters().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].body.bytes(), broken.as_bytes());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_one_email_have_events_of_their_own() {
    let server = Server::start().await;
    let event = |word: &str, email: &str| json!({"TRANSID": 15_536_250_111_702_803_u64, "EMAIL": email, "EVENT": word, "TIMESTAMP": 1_553_681_625, "URL": ""});
    let people = ["a@example.com", "b@example.com", "c@example.com"];
    let words = ["sent", "opened", "clicked", "bounced", "dropped", "unsubscribed"];
    let all: Vec<Value> = words
        .iter()
        .flat_map(|word| people.iter().map(|person| event(word, person)))
        .collect();
    let count = all.len();
    assert_eq!(
        server.post("email-event", body(&all)).await.counts(),
        [count, count, 0, 0, 0]
    );
    assert_eq!(
        server.post("email-event", body(&all)).await.counts(),
        [count, 0, count, 0, 0]
    );
    let items = server.storage().items_of("15536250111702803").await;
    assert_eq!(items.len(), count);
    let sent: Vec<&str> = items
        .keys()
        .map(String::as_str)
        .filter(|key| key.starts_with("EMAIL#sent#"))
        .collect();
    assert_eq!(
        sent,
        [
            // The first 128 bits of SHA-256 of `mailto:c@…`, `mailto:b@…` and `mailto:a@…`.
            "EMAIL#sent#0adFUhtBVX0j6AKnWCIPSg",
            "EMAIL#sent#aq1tGbzLObt575cDVcLIYQ",
            "EMAIL#sent#hS7iYsYRsd7ZHitKhHwvyQ",
        ]
    );
    // Two opens of one person at different times.
    let later = json!({"TRANSID": 15_536_250_111_702_803_u64, "EMAIL": "a@example.com", "EVENT": "opened", "TIMESTAMP": 1_553_681_626});
    assert_eq!(
        server.post("email-event", body(&[later])).await.counts(),
        [1, 1, 0, 0, 0]
    );
    // The same id as a text is the same message.
    let mut as_text = event("sent", "a@example.com");
    as_text["TRANSID"] = json!("15536250111702803");
    assert_eq!(
        server.post("email-event", body(&[as_text])).await.counts(),
        [1, 0, 1, 0, 0]
    );
    // Without an address, the recipient's number distinguishes them.
    let numbered =
        |number: &str| json!({"TRANSID": 7, "RCPTID": number, "EVENT": "sent", "TIMESTAMP": 1_553_681_625});
    let nameless = [numbered("1"), numbered("2")];
    assert_eq!(
        server.post("email-event", body(&nameless)).await.counts(),
        [2, 2, 0, 0, 0]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_an_email_event_have_their_attributes() {
    let server = Server::start().await;
    for (file, attribute, expected) in [
        ("sent", "remarks", json!(" - 2.0.0 (success)")),
        ("sent", "tags", json!(["mytag1"])),
        ("sent", "callback_data", json!("UNIQUEID")),
        ("sent", "bot_id", json!("info@mydomain.com")),
        ("sent", "extra", json!({"MSIZE": 2155})),
        ("bounced.COMPOSED", "remarks", json!("Invalid recipient")),
        (
            "dropped.COMPOSED",
            "remarks",
            json!("User suppressed due to unsubscription"),
        ),
        (
            "clicked.PART-COMPOSED",
            "click",
            json!({"url": "https://example.com/cta"}),
        ),
        (
            "opened",
            "extra",
            json!({
                "EMAIL": "[email protected]", "IPADDRESS": "64.233.173.70", "MSIZE": 6368,
                "USERAGENT": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            }),
        ),
        ("opened", "opened_by", json!("GoogleImageProxy")),
        ("clicked.PART-COMPOSED", "opened_by", Value::Null),
        (
            "abuse.COMPOSED",
            "as_sent",
            json!({"EVENT": "abuse", "RESPONSE": "", "TAGS": "mytag1", "TRANSID": 15_536_250_111_702_805_u64}),
        ),
        (
            "sendgrid-dropped",
            "remarks",
            json!("Email dropped: User suppressed due to unsubscription"),
        ),
    ] {
        server
            .post("email-event", wild(&format!("netcore-email/{file}.json")))
            .await;
        let stored = server.storage().items().await.remove(0);
        let stored = item::to_json(&stored).remove(attribute).unwrap_or_default();
        assert_eq!(stored, expected, "{file} {attribute}");
        server.storage().clear().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_id_keeps_every_digit() {
    let server = Server::start().await;
    let body = |id: &str| {
        format!(r#"[{{"TRANSID":{id},"EMAIL":"a@example.com","EVENT":"sent","TIMESTAMP":1553681625}}]"#)
    };
    let ids = [
        "9007199254740993",
        "18446744073709551615",
        "155362501117028031234567",
        "155362501117028031234568",
    ];
    for id in ids {
        assert_eq!(
            server.post("email-event", body(id)).await.counts(),
            [1, 1, 0, 0, 0],
            "{id}"
        );
        assert_eq!(
            server.post("email-event", body(id)).await.counts(),
            [1, 0, 1, 0, 0],
            "{id}"
        );
        assert_eq!(text(&server.storage().item_of(id).await, "message_id"), id);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_without_numbers_are_found_by_their_user_id() {
    let server = Server::start().await;
    let incoming = |id: &str, fields: Value| {
        let mut record = json!({"message_id": id, "received_at": "1782282740", "message_type": "GIF", "gif_type": {"id": "1"}});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"incoming_message": [record]})
    };
    let status = |id: &str, field: &str| json!({"delivery_status": [{"ncmessage_id": id, "status": "READ", "received_at": "1782282741", field: "IN.13491208655302741918"}]});
    for (function, id, body) in [
        (
            "incoming-webhook",
            "m-1",
            incoming("m-1", json!({"from_user_id": "IN.13491208655302741918"})),
        ),
        (
            "incoming-webhook",
            "m-2",
            incoming(
                "m-2",
                json!({"user_id": "IN.13491208655302741918", "context": "", "from": ""}),
            ),
        ),
        (
            "incoming-webhook",
            "m-3",
            incoming(
                "m-3",
                json!({"user_id": "IN.13491208655302741918", "from": null, "context": null}),
            ),
        ),
        ("delivery-status", "m-4", status("m-4", "recipient_user_id")),
        ("delivery-status", "m-5", status("m-5", "user_id")),
    ] {
        let answer = server.post(function, body.to_string()).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{id}: {}", answer.body);
        let stored = server.storage().item_of(id).await;
        assert_eq!(
            text(&stored, "recipient"),
            "whatsapp:IN.13491208655302741918",
            "{id}"
        );
        assert_eq!(Value::Object(rebuilt(&stored)), in_envelope(&body)[0], "{id}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_whose_samples_are_no_json_are_kept_with_a_reason() {
    let server = Server::start().await;
    for (function, file, reason) in [
        (
            "incoming-webhook",
            "docs-image.txt",
            "the body cannot be read: a string contains a line break or control character (line 13, column 60)",
        ),
        (
            "incoming-webhook",
            "docs-location.txt",
            "the body cannot be read: a string contains a line break or control character (line 12, column 78)",
        ),
        (
            "delivery-status",
            "status-v1-read.txt",
            "the body cannot be read: a field's name in quotes is missing (line 10, column 9)",
        ),
    ] {
        let sent = wild(&format!("not-json/{file}"));
        let answer = server.post(function, sent.clone()).await;
        assert_eq!(answer.status, 400, "{file}");
        let kept = server.storage().take_dead_letters().await;
        assert_eq!(kept.len(), 1, "{file}");
        assert_eq!(kept[0].reason, Reason::Malformed, "{file}");
        assert_eq!(kept[0].detail, reason, "{file}");
        assert_eq!(kept[0].body.bytes(), sent, "{file}");
    }
    server.stop().await;
}
