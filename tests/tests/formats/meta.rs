//! Bodies of Meta's `WhatsApp` Cloud API, whole and as Paytm Pi forwards them.

use std::fmt::Write as _;

use integration_tests::{server::Server, storage::rebuilt};
use serde_json::{Value, json};
use webhook_ingest::events_table::item;

use super::wild::check;

/// The records of a body: the elements of the lists in each change, and changes without such lists.
fn records(body: &Value) -> Vec<Value> {
    let of_value = |value: &Value| -> Vec<Value> {
        ["statuses", "messages", "calls"]
            .iter()
            .filter_map(|list| value[*list].as_array())
            .flatten()
            .cloned()
            .collect()
    };
    let Some(entries) = body["entry"].as_array() else {
        return of_value(body);
    };
    let changes = entries
        .iter()
        .flat_map(|entry| entry["changes"].as_array().unwrap());
    changes
        .flat_map(|change| match of_value(&change["value"]) {
            none if none.is_empty() => vec![change.clone()],
            records => records,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metas_bodies() {
    let table = "
whatsapp-cloud account-update.json                account:100000000000001 account_update - WHATSAPP 1790420400000
whatsapp-cloud template-status-approved.json      account:100000000000001 message_template_status_update - WHATSAPP 1790420500000
whatsapp-cloud user-actions-click.json            account:102290129340398 user_actions - WHATSAPP 1785024000000
whatsapp-cloud user-id-update.COMPOSED.json       account:102290129340398 user_id_update 16505551234 WHATSAPP 1750030073000
whatsapp-cloud incoming-button-reply.json         wamid.TEST_IN_BUTTON_0001 clicked 15550002222 WHATSAPP 1790417200000
whatsapp-cloud incoming-reaction-removed.json     wamid.TEST_IN_REACTION_0002 received 15550002222 WHATSAPP 1790417360000
whatsapp-cloud incoming-text-bsuid-only.json      wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA= received whatsapp:US.13491208655302741918 WHATSAPP 1749416383000
whatsapp-cloud incoming-unsupported.json          wamid.TEST_IN_UNSUPPORTED_0001 received 15550002222 WHATSAPP 1790417500000
whatsapp-cloud status-delivered-bsuid-only.json   wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA= delivered whatsapp:US.13491208655302741918 WHATSAPP 1750030073000
whatsapp-cloud status-delivered-free-service.json wamid.TEST_OUT_0001 delivered 15550002222 WHATSAPP 1790416832000
whatsapp-cloud status-delivered-with-phone.json   wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA= delivered 16505551234 WHATSAPP 1750030073000
whatsapp-cloud status-failed.json                 wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA= failed 16505551234 WHATSAPP 1750030073000
whatsapp-cloud status-group-read.COMPOSED.json    wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA= read 16505551234 WHATSAPP 1750030073000
whatsapp-cloud system-user-changed-user-id.json   wamid.TEST_IN_SYSTEM_0001 received whatsapp:ES.20000000000000000003 WHATSAPP 1790418000000
";
    check("meta-whatsapp", table, &[], records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paytms_bodies_at_each_address() {
    let mut table = String::new();
    for function in ["whatsapp-cloud", "event-webhook", "delivery-status"] {
        writeln!(
            table,
            "{function} whatsapp-delivered.json wamid.HBgMTE4ODAyNTEyNDQyFQIAERgSQTVBNTEzOEVCQjMxQkI2NEM1AA== delivered 918802512442 WHATSAPP 1789382668000
{function} whatsapp-incoming.json wamid.HBgMTE4ODAyNTEyNDQyFQIAERgSQTVBNTEzOEVCQjMxQkI2NEM1MA received 918802512442 WHATSAPP 1789407278000"
        )
        .unwrap();
    }
    check("paytm-pi-whatsapp", &table, &[], records).await;
}

/// Posts a body and gives the stored items as JSON, by message id and key.
async fn stored(server: &Server, body: &Value, counts: [usize; 5]) -> Vec<Value> {
    let answer = server.post("whatsapp-cloud", body.to_string().into_bytes()).await;
    assert_eq!(answer.counts(), counts, "{}", answer.body);
    let mut items: Vec<Value> = (server.storage().items().await.iter())
        .map(|item| Value::Object(item::to_json(item)))
        .collect();
    items.sort_by_key(|item| format!("{} {}", item["message_id"], item["status_key"]));
    items
}

fn body(entry: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": entry, "changes": [{"field": "messages", "value": value}]}]})
}

fn value(lists: Value) -> Value {
    let mut value = json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"}});
    if let Value::Object(lists) = lists {
        value.as_object_mut().unwrap().extend(lists);
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_has_the_fields_around_it_and_its_own_contact() {
    let server = Server::start().await;
    let contacts = json!([
        {"profile": {"name": "Ana"}, "wa_id": "16505550001", "user_id": "US.1"},
        {"profile": {"name": "Ben"}, "wa_id": "16505550002", "user_id": "US.2"},
    ]);
    let ben = json!({"id": "wamid.b", "status": "delivered", "timestamp": "1750030073", "recipient_user_id": "US.2"});
    let ana = json!({"id": "wamid.a", "from": "16505550001", "timestamp": "1750030074", "type": "text", "text": {"body": "Hi"}});
    let two = value(json!({"contacts": contacts, "statuses": [ben], "messages": [ana]}));
    let items = stored(&server, &body("1", &two), [2, 2, 0, 0, 0]).await;
    let around = |contact: &Value| body("1", &value(json!({"contacts": [contact]})));
    assert_eq!(items[0]["envelope"], around(&contacts[0]));
    assert_eq!(items[1]["envelope"], around(&contacts[1]));
    assert_eq!(items[0]["status_key"], "WHATSAPP#received#wamid.a");
    assert_eq!(items[0]["bot_id"], "15550783881");
    assert_eq!(
        [&items[0]["recipient"], &items[0]["identities"]],
        [&json!("16505550001"), &json!(["whatsapp:US.1"])]
    );
    // The contact names the number that the status lacks.
    assert_eq!(
        [&items[1]["recipient"], &items[1]["identities"]],
        [&json!("16505550002"), &json!(["whatsapp:US.2"])]
    );
    // A retry in other company, under another entry's time, with a changed profile and without contacts.
    let mut again = body(
        "1",
        &value(
            json!({"messages": [ana, {"id": "wamid.c", "from": "16505550003", "timestamp": "1750030075", "type": "text", "text": {"body": "New"}}]}),
        ),
    );
    again["entry"][0]["time"] = json!(1_750_030_099);
    let renamed = json!([{"profile": {"name": "Benjamin"}, "wa_id": "16505550002", "user_id": "US.2"}]);
    let other = body("1", &value(json!({"contacts": renamed, "statuses": [ben]})));
    again["entry"]
        .as_array_mut()
        .unwrap()
        .push(other["entry"][0].clone());
    let items = stored(&server, &again, [3, 1, 2, 0, 0]).await;
    assert_eq!(items.len(), 3);
    // The same status with another price is no retry.
    let mut changed = ben.clone();
    changed["pricing"] = json!({"billable": true});
    let changed = body("1", &value(json!({"statuses": [changed]})));
    stored(&server, &changed, [1, 0, 0, 0, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_participant_of_a_group_has_an_event() {
    let server = Server::start().await;
    let by = |status: &str, number: &str| {
        json!({
            "id": "wamid.g", "status": status, "timestamp": "1750030073", "recipient_type": "group",
            "recipient_id": "120363000000000000", "recipient_participant_id": number,
        })
    };
    let sent = json!({"id": "wamid.g", "status": "sent", "timestamp": "1750030070", "recipient_type": "group", "recipient_id": "120363000000000000"});
    let group = body(
        "1",
        &value(json!({"statuses": [
            by("read", "16505550001"), by("read", "16505550002"),
            by("played", "16505550001"), by("played", "16505550002"), sent,
        ]})),
    );
    let items = stored(&server, &group, [5, 5, 0, 0, 0]).await;
    let keys: Vec<&Value> = items.iter().map(|item| &item["status_key"]).collect();
    assert_eq!(
        keys,
        [
            "WHATSAPP#played#WZpIToF9N-ZUHgH38TAQ-g",
            "WHATSAPP#played#u_sde-gupPwQnwfGROoRZg",
            "WHATSAPP#read#0XrkxJvimvLeMMfJHGxDfA",
            "WHATSAPP#read#iPchQHLA6h8DTWyxQyq_4A",
            "WHATSAPP#sent",
        ]
    );
    // A group is no person.
    assert_eq!(items[4].get("recipient"), None);
    stored(&server, &group, [5, 0, 5, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_messages_and_statuses() {
    let server = Server::start().await;
    let message = |id: &str, kind: &str, content: &Value| {
        let mut message = json!({"id": id, "from": "16505550001", "timestamp": "1750030073", "type": kind});
        message[kind] = content.clone();
        message
    };
    let mut answer = message("wamid.01", "button", &json!({"payload": "YES", "text": "Yes"}));
    answer["context"] = json!({"from": "15550783881", "id": "wamid.out"});
    let reaction = message(
        "wamid.02",
        "reaction",
        &json!({"message_id": "wamid.out", "emoji": "👍"}),
    );
    let flow = message(
        "wamid.03",
        "interactive",
        &json!({"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}}),
    );
    let poll = message("wamid.04", "poll", &json!({"question": "?"}));
    let number = message(
        "wamid.05",
        "system",
        &json!({"type": "user_changed_number", "wa_id": "16505550009"}),
    );
    let untyped = json!({"id": "wamid.06", "from": "16505550001", "timestamp": "1750030073"});
    let played = json!({"id": "wamid.07", "status": "played", "timestamp": "1750030073", "recipient_id": "16505550001"});
    let failed = json!({
        "id": "wamid.08", "status": "failed", "timestamp": "1750030073", "recipient_id": "16505550001",
        "biz_opaque_callback_data": "order-7", "errors": [{"code": 131_026, "title": "Message undeliverable"}],
    });
    let call = json!({"id": "wacid.09", "from": "15550783881", "to": "16505550001", "event": "connect", "timestamp": "1750030073", "direction": "BUSINESS_INITIATED"});
    let lists = json!({
        "messages": [answer, reaction, flow, poll, number, untyped], "statuses": [played, failed], "calls": [call],
    });
    let items = stored(&server, &body("1", &value(lists)), [9, 9, 0, 0, 0]).await;
    let of = |id: &str| {
        items
            .iter()
            .find(|item| item["message_id"] == id)
            .unwrap()
            .clone()
    };
    let key = |id: &str| of(id)["status_key"].as_str().unwrap().to_owned();
    assert_eq!(key("wamid.01"), "WHATSAPP#clicked#wamid.01");
    assert_eq!(of("wamid.01")["in_reply_to"], "wamid.out");
    assert_eq!(
        of("wamid.01")["click"],
        json!({"button": {"payload": "YES", "text": "Yes"}})
    );
    assert_eq!(key("wamid.02"), "WHATSAPP#received#wamid.02");
    assert_eq!(of("wamid.02")["in_reply_to"], "wamid.out");
    assert_eq!(key("wamid.03"), "WHATSAPP#clicked#wamid.03");
    assert_eq!(of("wamid.04")["content"], json!({"poll": {"question": "?"}}));
    assert_eq!(of("wamid.05")["recipient"], "16505550001");
    assert_eq!(of("wamid.05")["identities"], json!(["16505550009"]));
    assert_eq!(key("wamid.06"), "WHATSAPP#received#wamid.06");
    assert_eq!(key("wamid.07"), "WHATSAPP#played#1750030073");
    assert_eq!(of("wamid.08")["remarks"], "131026 Message undeliverable");
    assert_eq!(of("wamid.08")["callback_data"], "order-7");
    assert_eq!(key("wacid.09"), "WHATSAPP#connect#1750030073");
    assert_eq!(of("wacid.09")["recipient"], "16505550001");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_body_is_dropped() {
    let server = Server::start().await;
    // Two equal approvals at different times are two events; the same again is a duplicate.
    let approval = json!({"field": "message_template_status_update", "value": {"event": "APPROVED", "message_template_id": 7}});
    let entry = |time: u32| json!({"id": "1", "time": time, "changes": [approval]});
    let approved =
        json!({"object": "whatsapp_business_account", "entry": [entry(1_790_420_500), entry(1_790_420_600)]});
    let items = stored(&server, &approved, [2, 2, 0, 0, 0]).await;
    assert_eq!(
        items[0]["envelope"],
        json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1_790_420_500}]})
    );
    stored(&server, &approved, [2, 0, 2, 0, 0]).await;
    server.storage().clear().await;
    // Empty lists, an unknown list, a change without a value, and a record that is no event.
    let odd = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "time": 1_790_420_500, "changes": [
            {"field": "messages", "value": value(json!({"messages": [], "statuses": []}))},
            {"field": "messages", "value": value(json!({"message_echoes": [{"id": "wamid.e", "timestamp": "1790420401"}]}))},
            {"field": "brand_new"},
            {"field": "messages", "value": value(json!({"errors": [{"code": 1}], "messages": [17]}))},
        ]},
        {"id": "2", "changes": []},
    ]});
    let items = stored(&server, &odd, [5, 3, 0, 0, 2]).await;
    let mut statuses: Vec<&str> = items
        .iter()
        .map(|item| item["status"].as_str().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["brand_new", "message_echoes", "messages"]);
    let changes = odd["entry"][0]["changes"].as_array().unwrap();
    let mut given: Vec<Value> = server
        .storage()
        .items()
        .await
        .iter()
        .map(|item| Value::Object(rebuilt(item)))
        .collect();
    given.sort_by_key(Value::to_string);
    let mut expected = changes[..3].to_vec();
    expected.sort_by_key(Value::to_string);
    assert_eq!(given, expected);
}
