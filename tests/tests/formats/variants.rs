//! Bodies that differ from the documentation: other spellings, types, orders and fields.

use integration_tests::{
    fixtures::{self, with},
    server::Server,
    storage::rebuilt,
};
use serde_json::{Value, json};
use webhook_ingest::events_table::item;

use super::record_in;

/// Undocumented bodies that providers send: `(name, function, body, "channel status recipient event-time")`.
/// Each has one record with the message id `m`.
#[rustfmt::skip]
fn undocumented_bodies() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let event = |fields: Value| fixtures::event(with(json!({"message_id": "m"}), fields));
    let status = |fields: Value| with(json!({"ncmessage_id": "m", "recipient": "918657856504", "status": "sent", "received_at": "1764585991"}), fields);
    let incoming = |fields: Value| with(json!({"message_id": "m", "from": "fG2uBk2yZaj3TkwN", "to": "+918983190458", "received_at": 1_708_675_048_204_i64, "message_type": "text", "message_details": {"text": "hi"}}), fields);
    let whatsapp = |fields: Value| with(json!({"message_id": "m", "from": "919960432580", "received_at": "1567090835", "message_type": "TEXT", "text_type": {"text": "hello"}}), fields);
    let callback = |fields: Value| with(json!({"reference": "m", "event_id": "e", "direction": "outbound", "user_id": "5511987654321", "timestamp": "2025-06-03T14:22:05.123Z", "channel": "RCS", "type": "text", "message": {"text": "oi"}}), fields);
    vec![
        ("as documented", "event-webhook", json!([event(json!({}))]), "RCS sent 919209209291 1704876828000"),
        ("one object without a list", "event-webhook", event(json!({})), "RCS sent 919209209291 1704876828000"),
        ("seconds in a string", "event-webhook", json!([event(json!({"event_time": "1704876828"}))]), "RCS sent 919209209291 1704876828000"),
        ("milliseconds", "event-webhook", json!([event(json!({"event_time": 1_704_876_828_123_i64}))]), "RCS sent 919209209291 1704876828123"),
        ("milliseconds in a string", "event-webhook", json!([event(json!({"event_time": "1704876828123"}))]), "RCS sent 919209209291 1704876828123"),
        ("seconds with a fraction", "event-webhook", json!([event(json!({"event_time": 1_704_876_828.25}))]), "RCS sent 919209209291 1704876828250"),
        ("an ISO time", "event-webhook", json!([event(json!({"event_time": "2024-01-10T08:53:48Z"}))]), "RCS sent 919209209291 1704876828000"),
        ("an ISO time with an offset", "event-webhook", json!([event(json!({"event_time": "2024-01-10T14:23:48+05:30"}))]), "RCS sent 919209209291 1704876828000"),
        ("a number as the id", "event-webhook", json!([event(json!({"message_id": 7}))]), "RCS sent 919209209291 1704876828000"),
        ("a number as the number", "event-webhook", json!([event(json!({"mobile": 919_209_209_291_i64}))]), "RCS sent 919209209291 1704876828000"),
        ("a number with a plus and spaces", "event-webhook", json!([event(json!({"mobile": "+91 92092-09291"}))]), "RCS sent 919209209291 1704876828000"),
        ("no number", "event-webhook", json!([event(json!({"mobile": ""}))]), "RCS sent - 1704876828000"),
        ("no field for the number", "event-webhook", json!([without(event(json!({})), "mobile")]), "RCS sent - 1704876828000"),
        ("a status in upper case", "event-webhook", json!([event(json!({"status": "DELIVERED"}))]), "RCS delivered 919209209291 1704876828000"),
        ("a status in one word", "event-webhook", json!([event(json!({"status": "NotSent"}))]), "RCS not_sent 919209209291 1704876828000"),
        ("the documented “Not Sent”", "event-webhook", json!([event(json!({"status": "Not Sent"}))]), "RCS not_sent 919209209291 1704876828000"),
        ("a status with spaces around it", "event-webhook", json!([event(json!({"status": " read\n"}))]), "RCS read 919209209291 1704876828000"),
        ("a status that is not listed", "event-webhook", json!([event(json!({"status": "Template Paused"}))]), "RCS template_paused 919209209291 1704876828000"),
        ("a status in another script", "event-webhook", json!([event(json!({"status": "वितरित"}))]), "RCS वितरित 919209209291 1704876828000"),
        ("a channel in lower case", "event-webhook", json!([event(json!({"channel": "sms"}))]), "SMS sent 919209209291 1704876828000"),
        ("a channel that is not listed", "event-webhook", json!([event(json!({"channel": "Viber"}))]), "VIBER sent 919209209291 1704876828000"),
        ("no channel", "event-webhook", json!([without(event(json!({})), "channel")]), "RCS sent 919209209291 1704876828000"),
        ("SMS events at the RCS function", "event-webhook", json!([event(json!({"channel": "SMS", "last_channel": "RCS"}))]), "SMS sent 919209209291 1704876828000"),
        ("RCS events at the SMS function", "fallback-sms", json!([event(json!({}))]), "RCS sent 919209209291 1704876828000"),
        ("null for empty fields", "event-webhook", json!([event(json!({"tags": null, "remarks": null, "click_data": null, "nc_bot_id": null}))]), "RCS sent 919209209291 1704876828000"),
        ("values of other types", "event-webhook", json!([event(json!({"tags": "12", "nc_bot_id": 682, "requestid": true, "callbackdata": {"a": [1]}, "click_data": "tap"}))]), "RCS sent 919209209291 1704876828000"),
        ("numbers among the tags", "event-webhook", json!([event(json!({"tags": [12, "13", null, {"x": 1}]}))]), "RCS sent 919209209291 1704876828000"),
        ("fields that are not listed", "event-webhook", json!([event(json!({"carrier": {"mcc": 404, "names": ["Jio", ""]}, "recipient": "x", "extra": {}, "late": false, "": null}))]), "RCS sent 919209209291 1704876828000"),
        ("as documented", "delivery-status", json!({"delivery_status": [status(json!({}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("the time as an integer", "delivery-status", json!({"delivery_status": [status(json!({"received_at": 1_764_585_991}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("one object in the envelope", "delivery-status", json!({"delivery_status": status(json!({}))}), "WHATSAPP sent 918657856504 1764585991000"),
        ("a list without the envelope", "delivery-status", json!([status(json!({}))]), "WHATSAPP sent 918657856504 1764585991000"),
        ("one object without the envelope", "delivery-status", status(json!({})), "WHATSAPP sent 918657856504 1764585991000"),
        ("fields outside the envelope", "delivery-status", json!({"account": {"id": 7}, "delivery_status": [status(json!({}))], "v": 2}), "WHATSAPP sent 918657856504 1764585991000"),
        ("a click", "delivery-status", json!({"delivery_status": [status(json!({"status": "Clicked", "button": {"text": "Shop"}}))]}), "WHATSAPP clicked 918657856504 1764585991000"),
        ("a price as text", "delivery-status", json!({"delivery_status": [status(json!({"pricing": "free", "phoneNumber": 912_249_757_556_i64}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("another channel", "delivery-status", json!({"delivery_status": [status(json!({"channel": "rcs"}))]}), "RCS sent 918657856504 1764585991000"),
        ("as documented", "incoming-webhook", json!([incoming(json!({}))]), "RCS received 918983190458 1708675048204"),
        ("one object without a list", "incoming-webhook", incoming(json!({})), "RCS received 918983190458 1708675048204"),
        ("no plus before the number", "incoming-webhook", json!([incoming(json!({"to": "918983190458"}))]), "RCS received 918983190458 1708675048204"),
        ("the person in “from”", "incoming-webhook", json!([incoming(json!({"from": "+918983190458", "to": "fG2uBk2yZaj3TkwN"}))]), "RCS received 918983190458 1708675048204"),
        ("the person in “from” and no “to”", "incoming-webhook", json!([without(incoming(json!({"from": "918983190458"})), "to")]), "RCS received 918983190458 1708675048204"),
        ("seconds in a string", "incoming-webhook", json!([incoming(json!({"received_at": "1708675048"}))]), "RCS received 918983190458 1708675048000"),
        ("an ISO time without an offset", "incoming-webhook", json!([incoming(json!({"received_at": "2024-02-23T07:57:28.204"}))]), "RCS received 918983190458 1708675048204"),
        ("details as text", "incoming-webhook", json!([incoming(json!({"message_details": "hi"}))]), "RCS received 918983190458 1708675048204"),
        ("no details", "incoming-webhook", json!([incoming(json!({"message_details": {}}))]), "RCS received 918983190458 1708675048204"),
        ("a click with a text", "incoming-webhook", json!([incoming(json!({"message_details": {"text": "hi", "suggestionResponse": {"metadata": {"msgId": "out-1"}, "type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a click whose metadata is no JSON", "incoming-webhook", json!([incoming(json!({"message_details": {"suggestionResponse": {"metadata": "{", "type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a click with empty fields", "incoming-webhook", json!([incoming(json!({"message_details": {"text": null, "userFile": {}, "suggestionResponse": {"type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a click that is null", "incoming-webhook", json!([incoming(json!({"message_details": {"suggestionResponse": null}}))]), "RCS received 918983190458 1708675048204"),
        ("as documented", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("one object in the envelope", "incoming-webhook", json!({"incoming_message": whatsapp(json!({}))}), "WHATSAPP received 919960432580 1567090835000"),
        ("a list without the envelope", "incoming-webhook", json!([whatsapp(json!({}))]), "WHATSAPP received 919960432580 1567090835000"),
        ("milliseconds", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"received_at": 1_567_090_835_999_i64}))]}), "WHATSAPP received 919960432580 1567090835999"),
        ("a kind that is not listed", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"message_type": "ORDER", "order_type": {"items": [1]}}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("lower case", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"message_type": "button"}))]}), "WHATSAPP clicked 919960432580 1567090835000"),
        ("a context as text", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"context": "none"}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("as documented", "rcs-callback", callback(json!({})), "RCS sent 5511987654321 1748960525123"),
        ("a list of one", "rcs-callback", json!([callback(json!({}))]), "RCS sent 5511987654321 1748960525123"),
        ("milliseconds", "rcs-callback", callback(json!({"timestamp": 1_748_960_525_123_i64})), "RCS sent 5511987654321 1748960525123"),
        ("lower case", "rcs-callback", callback(json!({"type": "delivered", "message": null})), "RCS delivered 5511987654321 1748960525123"),
        ("other spellings", "rcs-callback", callback(json!({"type": "RICH_CARD", "direction": "Outbound"})), "RCS sent 5511987654321 1748960525123"),
        ("a reply in upper case", "rcs-callback", callback(json!({"type": "TEXT", "direction": "INBOUND"})), "RCS received 5511987654321 1748960525123"),
        ("a type that is not listed", "rcs-callback", callback(json!({"type": "IS_TYPING", "message": null})), "RCS is_typing 5511987654321 1748960525123"),
        ("a failure that is an object", "rcs-callback", callback(json!({"type": "EXCEPTION", "message": {"code": 403}})), "RCS failed 5511987654321 1748960525123"),
        ("a failure without text", "rcs-callback", callback(json!({"type": "ERROR", "message": null})), "RCS failed 5511987654321 1748960525123"),
        ("a content as text", "rcs-callback", callback(json!({"message": "oi"})), "RCS sent 5511987654321 1748960525123"),
        ("an empty block", "rcs-callback", callback(json!({"status": ""})), "RCS sent 5511987654321 1748960525123"),
        ("a block with text as the message", "rcs-callback", callback(json!({"status": "bloqueado por duplicidade", "message": "oi"})), "RCS blocked 5511987654321 1748960525123"),
        ("no event id", "rcs-callback", without(callback(json!({"type": "suggestionResponse"})), "event_id"), "RCS clicked 5511987654321 1748960525123"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn parsing_is_lenient() {
    let server = Server::start().await;
    for (number, (name, function, mut body, expected)) in undocumented_bodies().into_iter().enumerate() {
        let name = format!("{function}: {name}");
        let id = unique_id(&mut body, number);
        let answer = server.post(function, body.to_string()).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{name}");
        let item = server.storage().item_of(&id).await;
        let text = |name: &str| item.get(name).map_or("-", |value| value.as_s().unwrap());
        assert_eq!(
            format!(
                "{} {} {} {}",
                text("channel"),
                text("status"),
                text("recipient"),
                item::number_at(&item, "event_time").unwrap()
            ),
            expected,
            "{name}"
        );
        assert_eq!(Value::Object(rebuilt(&item)), record_in(&body), "{name}");
        let again = server.post(function, body.to_string()).await;
        assert_eq!(again.counts(), [1, 0, 1, 0, 0], "{name}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unlisted_fields_are_kept_under_their_names() {
    let server = Server::start().await;
    let body = json!({"delivery_status": [{
        "ncmessage_id": "x-1", "status": "Template Paused", "received_at": "1764585991", "recipient": "918657856504",
        "quality": {"score": 0.25, "tags": ["a", null]},
    }], "account": "acme"});
    assert_eq!(
        server.post("delivery-status", body.to_string()).await.counts(),
        [1, 1, 0, 0, 0]
    );
    let stored = item::to_json(&server.storage().item_of("x-1").await);
    assert_eq!(stored["status"], "template_paused");
    assert_eq!(
        stored["extra"],
        json!({"quality": {"score": 0.25, "tags": ["a", null]}})
    );
    assert_eq!(stored["as_sent"], json!({"status": "Template Paused"}));
    assert_eq!(stored["envelope"], json!({"account": "acme"}));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_fields_does_not_matter() {
    let server = Server::start().await;
    for (function, one, other) in [
        (
            "incoming-webhook",
            r#"{"incoming_message":[{"message_id":"o-1","from":"919960432580","received_at":"1567090835","message_type":"IMAGE","image_type":{"id":"7","caption":""}}]}"#,
            r#"{"incoming_message":[{"image_type":{"caption":"","id":"7"},"message_type":"IMAGE","received_at":"1567090835","from":"919960432580","message_id":"o-1"}]}"#,
        ),
        (
            "event-webhook",
            r#"[{"message_id":"o-2","status":"Clicked","channel":"RCS","event_time":1704877756,"click_data":{"type":"ACTION","text":"Visit"},"tags":["12"],"remarks":""}]"#,
            r#"[{"tags":["12"],"click_data":{"text":"Visit","type":"ACTION"},"event_time":1704877756,"channel":"RCS","status":"Clicked","message_id":"o-2"}]"#,
        ),
    ] {
        assert_eq!(server.post(function, one).await.counts(), [1, 1, 0, 0, 0]);
        assert_eq!(server.post(function, other).await.counts(), [1, 0, 1, 0, 0]);
    }
    server.stop().await;
}

/// Gives the body's record a unique id of the same type.
fn unique_id(body: &mut Value, number: usize) -> String {
    let inside = ["/delivery_status", "/incoming_message"]
        .into_iter()
        .find(|envelope| body.pointer(envelope).is_some())
        .unwrap_or("");
    let record = body.pointer_mut(inside).unwrap();
    let record = if record.is_array() { &mut record[0] } else { record };
    for field in ["message_id", "ncmessage_id", "reference"] {
        match record.get_mut(field) {
            Some(Value::String(id)) => *id = format!("undocumented-{number}"),
            Some(id @ Value::Number(_)) => *id = json!(1000 + number),
            _ => continue,
        }
        return record[field]
            .as_str()
            .map_or_else(|| record[field].to_string(), str::to_owned);
    }
    panic!("{body} has no id")
}

fn without(mut record: Value, field: &str) -> Value {
    record.as_object_mut().unwrap().remove(field);
    record
}
