//! The bot in a receiver's URL, `…/?bot=732`, and names of bots.

use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{LONG_BUDGET, TOKEN, body, event, request_to},
    function::Function,
    proxy::Treatment,
    server::Server,
    stack::Stack,
    storage::rebuilt,
};
use serde_json::{Value, json};
use webhook_ingest::events_table::item::Item;

const HEADERS: [(&str, &str); 2] = [TOKEN, ("content-type", "application/json")];

async fn post(receiver: &Function, query: &str, records: &[Value]) -> Answer {
    let request = request_to(&Method::POST, "/", query, &HEADERS, &body(records));
    receiver.request(&request).await
}

async fn get(receiver: &Function, query: &str) -> Answer {
    receiver
        .request(&request_to(&Method::GET, "/", query, &[TOKEN], b""))
        .await
}

/// The bot of an item, and whether it is from the URL.
fn bot(item: &Item) -> (Option<&str>, bool) {
    let bot = item.get("bot_id").map(|bot| bot.as_s().unwrap().as_str());
    (bot, item.contains_key("bot_from_url"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_of_the_url_is_stored_where_the_record_has_none() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let without = event(json!({"message_id": "m-1"}));
    let with = event(json!({"message_id": "m-2", "nc_bot_id": "55"}));
    let answer = post(&receiver, "bot=732", &[without.clone(), with.clone()]).await;
    assert_eq!(answer.counts(), [2, 2, 0, 0, 0], "{}", answer.body);
    let one = stack.storage.item_of("m-1").await;
    let two = stack.storage.item_of("m-2").await;
    assert_eq!(bot(&one), (Some("732"), true));
    assert_eq!(bot(&two), (Some("55"), false));
    // The provider's records stay exact.
    assert_eq!(Value::Object(rebuilt(&one)), without);
    assert_eq!(Value::Object(rebuilt(&two)), with);

    // The same events to other URLs are duplicates, and change nothing.
    for query in ["", "bot=732", "bot=9", "x=1"] {
        let answer = post(&receiver, query, &[without.clone(), with.clone()]).await;
        assert_eq!(answer.counts(), [2, 0, 2, 0, 0], "{query}: {}", answer.body);
    }
    assert_eq!(stack.storage.item_of("m-1").await, one);
    // First without a bot, then with one.
    let third = event(json!({"message_id": "m-3"}));
    post(&receiver, "", std::slice::from_ref(&third)).await;
    let answer = post(&receiver, "bot=732", std::slice::from_ref(&third)).await;
    assert_eq!(answer.counts(), [1, 0, 1, 0, 0]);
    assert_eq!(bot(&stack.storage.item_of("m-3").await), (None, false));
    // Another content is a conflict with and without a bot.
    let other = event(json!({"message_id": "m-1", "remarks": "x"}));
    let answer = post(&receiver, "bot=732", &[other]).await;
    assert_eq!(answer.counts(), [1, 0, 0, 0, 1], "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_bounded_value_is_a_bot_and_a_secret_is_none() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let longest = "b".repeat(64);
    let (fits, exceeds) = (format!("bot={longest}"), format!("bot={longest}b"));
    for (index, (query, expected)) in [
        ("bot=Saffron%20Market", Some("Saffron Market")),
        ("a=b&bot=1&bot=2", Some("1")),
        ("b%6Ft=%E0%A4%95", Some("क")),
        ("bot=<script>&x", Some("<script>")),
        (fits.as_str(), Some(longest.as_str())),
        (exceeds.as_str(), None),
        ("bot=", None),
        ("bot", None),
        ("bot=%20x", None),
        ("bot=a%00b", None),
        ("BOT=1", None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("m-{index}");
        let answer = post(&receiver, query, &[event(json!({"message_id": id}))]).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{query}: {}", answer.body);
        assert_eq!(bot(&stack.storage.item_of(&id).await).0, expected, "{query}");
    }
    let lines = receiver.lines().join("\n");
    assert!(!lines.contains("Saffron") && !lines.contains("bot="), "{lines}");

    // A policy whose secret has this name.
    let policy = r#"{"accept":[{"type":"query","name":"bot","values":["the-token-of-the-url"]}]}"#;
    let receiver = stack
        .function("event-webhook", &[("WEBHOOK_AUTH", policy), LONG_BUDGET])
        .await;
    let answer = post(
        &receiver,
        "bot=the-token-of-the-url",
        &[event(json!({"message_id": "secret"}))],
    )
    .await;
    assert_eq!(answer.counts(), [1, 1, 0, 0, 0]);
    assert_eq!(bot(&stack.storage.item_of("secret").await), (None, false));
    // A token in the query and a bot.
    let policy = r#"{"accept":[{"type":"query","name":"token","values":["the-token-of-the-url"]}]}"#;
    let receiver = stack
        .function("event-webhook", &[("WEBHOOK_AUTH", policy), LONG_BUDGET])
        .await;
    for (query, status) in [("bot=7&token=the-token-of-the-url", 200), ("bot=7", 401)] {
        let answer = post(&receiver, query, &[event(json!({"message_id": "both"}))]).await;
        assert_eq!(answer.status, status, "{query}");
    }
    assert_eq!(bot(&stack.storage.item_of("both").await), (Some("7"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_handshakes_and_reports_by_get_are_as_without_a_bot() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    // A sender checks the address that it was given.
    assert_eq!(get(&receiver, "bot=732").await.status, 200);
    assert_eq!(get(&receiver, "bot=732&x=1").await.status, 405);
    let policy = r#"{"accept":[{"preset":"meta","secrets":["the-secret-of-the-app"],"verify_token":"the-token-of-the-hub"}]}"#;
    let meta = stack
        .function("whatsapp-cloud", &[("WEBHOOK_AUTH", policy)])
        .await;
    let query = "bot=732&hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=the-token-of-the-hub";
    let answer = get(&meta, query).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1158201444"));
    // In a report by GET the query is the record.
    let sms = stack.function("sms-delivery", &[LONG_BUDGET]).await;
    assert_eq!(get(&sms, "bot=732").await.status, 200);
    let answer = get(&sms, "reqid=r-1&status=DELIVRD&number=919812345678&bot=732").await;
    assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{}", answer.body);
    let item = stack.storage.item_of("r-1").await;
    assert_eq!(bot(&item), (None, false));
    assert_eq!(rebuilt(&item)["bot"], "732");
    // A form by POST, too.
    let headers = [TOKEN, ("content-type", "application/x-www-form-urlencoded")];
    let form = b"reqid=r-2&status=DELIVRD&number=919812345678";
    let answer = sms
        .request(&request_to(&Method::POST, "/", "bot=732", &headers, form))
        .await;
    assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{}", answer.body);
    assert_eq!(bot(&stack.storage.item_of("r-2").await), (Some("732"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_event_keeps_the_bot_of_its_url() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    stack.table.always(Treatment::ServerError);
    let records: Vec<Value> = (0..3)
        .map(|index| event(json!({"message_id": format!("m-{index}")})))
        .collect();
    let answer = post(&receiver, "bot=732", &records).await;
    assert_eq!(answer.counts(), [3, 0, 0, 3, 0], "{}", answer.body);
    stack.table.recover().await;
    let redrive = stack.function("redrive", &[]).await;
    assert_eq!(stack.drain(&redrive).await, 0);
    for index in 0..3 {
        let item = stack.storage.item_of(&format!("m-{index}")).await;
        assert_eq!(bot(&item), (Some("732"), true));
    }
    // A dead letter, too: with the bot, it can be sent back.
    let answer = post(&receiver, "bot=732", &[json!({"mobile": 1})]).await;
    assert_eq!(answer.status, 400);
    let letters = stack.storage.take_dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].body.bot(), Some("732"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_the_url_is_counted_and_has_a_name() {
    let server = Server::start().await;
    let path = "/lambda-url/event-webhook/?bot=732";
    let answer = server
        .send(
            Method::POST,
            path,
            &HEADERS,
            body(&[event(json!({"message_id": "m-1"}))]),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let summary = server.summary("from=2024-01-10&to=2024-01-10&bot=732", 1).await;
    assert_eq!(summary["bots"], json!(["732"]));
    assert_eq!(integration_tests::answer::sum(&summary["counts"]), 1);
    let event = server.json("/api/messages/m-1").await["events"][0].clone();
    assert_eq!(
        (&event["bot_id"], &event["bot_from_url"]),
        (&json!("732"), &json!(true))
    );
    server.stop().await;

    let stack = Stack::start().await;
    let names = r#"{"732":"Saffron Market","919812345678":"Help"}"#;
    for (role, expected) in [
        ("viewer", json!({"732": "Saffron Market", "*********678": "Help"})),
        (
            "agent",
            json!({"732": "Saffron Market", "*********678": "Help", "919812345678": "Help"}),
        ),
    ] {
        let dashboard = stack
            .function("dashboard", &[("BOT_NAMES", names), ("DASHBOARD_ROLE", role)])
            .await;
        let request = request_to(&Method::GET, "/api/session", "", &[], b"");
        let answer = dashboard.request(&request).await;
        assert_eq!(answer.json()["bot_names"], expected, "{role}");
    }
}
