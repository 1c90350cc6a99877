//! The search, end to end: events through the receivers and `projector`, and their removal by `erase`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use http::Method;
use integration_tests::{
    command::options,
    fixtures::{body, event, percent_encoded, request_to},
    function::Function,
    proxy::Treatment,
    server::Server,
    stack::Stack,
};
use netcore_webhooks::{
    erase::{self, Report},
    get,
    local::RunningInstance,
    serve::INSTANCE_FILE,
    target::{Needs, Target},
};
use projector::rebuild::rebuild;
use serde_json::{Value, json};
use tempfile::TempDir;
use webhook_ingest::events_table::item::Item;

const NUMBER: &str = "919812345678";

fn path(text: &str, more: &str) -> String {
    format!("/api/search?q={}{more}", percent_encoded(text))
}

/// The names of what a search finds: message id, or recipient, or name.
fn found(answer: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
    let entries = answer["found"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let name = ["message_id", "name", "recipient"]
                .iter()
                .find_map(|name| text(entry, name));
            (text(entry, "kind").unwrap(), name.unwrap())
        })
        .collect()
}

async fn search(server: &Server, text: &str) -> Vec<(String, String)> {
    found(&server.json(&path(text, "")).await)
}

/// The result of a search when it has this many entries, or as it is after 30 seconds.
async fn eventually(server: &Server, text: &str, entries: usize) -> Value {
    for _ in 0..300 {
        let answer = server.json(&path(text, "")).await;
        if answer["found"].as_array().unwrap().len() >= entries {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.json(&path(text, "")).await
}

async fn post(server: &Server, events: &[Value]) {
    let answer = server.post("event-webhook", body(events)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The lookups, as series, period and ids.
fn lookups(items: &[Item]) -> BTreeSet<(String, String, Vec<String>)> {
    let found = items.iter().filter_map(|item| {
        let series = item["series"].as_s().unwrap();
        let ids = item.get("ids").map(|ids| ids.as_ss().unwrap().clone());
        let mut ids = ids.unwrap_or_default();
        ids.sort();
        series
            .starts_with("find#")
            .then(|| (series.clone(), item["period"].as_s().unwrap().clone(), ids))
    });
    found.collect()
}

fn folder(instance: &RunningInstance) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join(INSTANCE_FILE),
        serde_json::to_string(instance).unwrap(),
    )
    .unwrap();
    folder
}

async fn erase(folder: &TempDir, arguments: &[&str]) -> Report {
    erase::run(&options(arguments), folder.path(), |_| Ok(()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_field_finds_everything_that_a_customer_system_knows() {
    let server = Server::start().await;
    let id = "api-337-919812345678-3c90/b6 1";
    post(
        &server,
        &[
            event(json!({"message_id": id, "mobile": NUMBER, "requestid": "req-77", "callbackdata": "order 4711",
                "tags": ["Summer-Sale 2026", "vip"]})),
            event(json!({"message_id": id, "mobile": NUMBER, "requestid": "req-77", "callbackdata": "order 4711",
                "status": "Delivered", "event_time": 1_704_876_900})),
            event(json!({"message_id": "m-2", "mobile": "919800005678", "requestid": "req-77",
                "callbackdata": "order 4712"})),
            event(json!({"message_id": "m-3", "mobile": "9812345678", "requestid": "m-3"})),
        ],
    )
    .await;
    let mail = json!([{"EVENT": "delivered", "EMAIL": "Anna@B.example", "TRANSID": "15536250111702805",
        "X-APIHEADER": "mail-1", "TIMESTAMP": 1_704_876_830}]);
    let answer = server.post("email-event", mail.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    eventually(&server, "5678", 3).await;
    eventually(&server, "mail-1", 1).await;
    let one = |kind: &str, name: &str| vec![(kind.to_owned(), name.to_owned())];
    for text in [id.to_owned(), percent_encoded(id), format!(" {id} ")] {
        assert_eq!(search(&server, &text).await, one("message", id), "{text}");
    }
    // Stored with and without country code; 0 is a prefix for dialing.
    let both = [NUMBER, "9812345678"].map(|number| ("recipient".to_owned(), number.to_owned()));
    for text in [
        "919812345678",
        "+91 98123-45678",
        "0091 98123 45678",
        "9812345678",
        "0 98123 45678",
        "12345678",
        "９８１２３４５６７８",
    ] {
        let found: BTreeSet<_> = search(&server, text).await.into_iter().collect();
        assert_eq!(found, both.clone().into(), "{text}");
    }
    assert_eq!(
        search(&server, "800005678").await,
        one("recipient", "919800005678")
    );
    assert_eq!(search(&server, "5678").await.len(), 3);
    assert_eq!(search(&server, "8123").await, []);
    let requested: BTreeSet<_> = search(&server, "req-77").await.into_iter().collect();
    let expected = [id, "m-2"].map(|id| ("request".to_owned(), id.to_owned()));
    assert_eq!(requested, expected.into());
    assert_eq!(search(&server, "order 4711").await, one("callback", id));
    assert_eq!(search(&server, "order%204712").await, one("callback", "m-2"));
    assert_eq!(search(&server, "order 471").await, []);
    // A message whose request has its id is found once.
    assert_eq!(search(&server, "m-3").await, one("message", "m-3"));
    assert_eq!(
        search(&server, "mail-1").await,
        one("callback", "15536250111702805")
    );
    for text in ["anna@b.example", "mailto:ANNA@b.example"] {
        assert_eq!(
            search(&server, text).await,
            one("recipient", "mailto:anna@b.example")
        );
    }
    // Names are registered when their events are counted, some seconds after the lookups.
    eventually(&server, "summer", 1).await;
    for text in ["summer", "sale summ", "SUMMER-SALE"] {
        assert_eq!(
            search(&server, text).await,
            one("tag", "Summer-Sale 2026"),
            "{text}"
        );
    }
    let answer = server.json(&path(id, "")).await;
    assert_eq!(
        answer["found"][0],
        json!({"kind": "message", "message_id": id, "recipient": NUMBER, "state": "delivered",
            "event_time": 1_704_876_900_000_i64})
    );
    assert_eq!(
        (&answer["left_out"], &answer["truncated"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(
        answer["searched"],
        json!(["message", "request", "callback", "recipient", "campaign", "tag"])
    );
    let answer = server.json(&path("9800005678", "")).await;
    assert_eq!(
        answer["found"],
        json!([{"kind": "recipient", "message_id": null, "recipient": "919800005678", "state": null,
            "event_time": 1_704_876_828_000_i64}])
    );

    get_finds_the_same(&server, id).await;
    server.stop().await;
}

/// The command `get` finds by the same rules.
async fn get_finds_the_same(server: &Server, id: &str) {
    let folder = folder(&server.stack.instance);
    let target = Target::find(folder.path(), Needs::Table).await.unwrap();
    for text in ["order 4711", "api-337-919812345678-3c90%2Fb6%201"] {
        let shown = get::find(&target, text).await.unwrap().to_string();
        assert!(
            shown.contains(&format!("message   {id}")) && shown.contains("delivered"),
            "{shown}"
        );
    }
    let shown = get::find(&target, "800005678").await.unwrap().to_string();
    assert!(shown.contains("latest events of 919800005678"), "{shown}");
    let shown = get::find(&target, "req-77").await.unwrap().to_string();
    assert!(
        shown.contains(id) && shown.contains("m-2") && shown.contains("request"),
        "{shown}"
    );
    let error = get::find(&target, "req-78").await.unwrap_err().to_string();
    assert!(error.contains("nothing is stored for req-78"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_many_messages_and_digits_of_many_people_are_bounded() {
    const MESSAGES: usize = 5_000;
    let server = Server::start().await;
    let events: Vec<Value> = (0..MESSAGES)
        .map(|index| {
            event(json!({"message_id": format!("bulk-{index:05}"), "mobile": format!("91{index:06}5678"),
                "requestid": "bulk", "callbackdata": "everybody", "event_time": 1_704_876_828 + index / 1_000}))
        })
        .collect();
    for part in events.chunks(1_000) {
        post(&server, part).await;
    }
    server
        .summary("from=2024-01-10&to=2024-01-10", MESSAGES as u64)
        .await;
    // The lookups are written after the counts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let items = server.storage().rollup_items().await;
    let lookups = lookups(&items);
    let of = |prefix: &str| {
        lookups
            .iter()
            .filter(|(series, ..)| series.starts_with(prefix))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("find#digits#5678").len(), MESSAGES);
    for value in ["find#request#bulk", "find#callback#everybody"] {
        assert_eq!(of(value).len(), 8, "{value}");
        let ids = of(value).iter().map(|(_, _, ids)| ids.len()).sum::<usize>();
        assert!((200..=300).contains(&ids), "{value}: {ids}");
    }
    let answer = server.json(&path("bulk", "&limit=50")).await;
    assert_eq!(answer["found"].as_array().unwrap().len(), 50);
    assert!(
        answer["left_out"].as_u64().unwrap() >= 150,
        "{}",
        answer["left_out"]
    );
    assert_eq!(answer["truncated"], true);
    let answer = server.json(&path("5678", "&limit=5")).await;
    assert_eq!(answer["found"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&answer["left_out"], &answer["truncated"]),
        (&json!(195), &json!(true))
    );
    let answer = server.json(&path("00042 5678", "&limit=5")).await;
    assert_eq!(
        found(&answer),
        [("recipient".to_owned(), "910000425678".to_owned())]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_find_nothing_and_invalid_parameters_are_refused() {
    let server = Server::start().await;
    let hostile = [
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        "#",
        "%",
        "%00",
        "a\u{0}b",
        "find#digits#5678",
        "\u{202e}5678x",
        "*",
    ];
    let events: Vec<Value> = (0..)
        .zip(hostile)
        .map(|(index, text)| event(json!({"message_id": format!("m-{index}"), "requestid": text, "callbackdata": text.repeat(300)})))
        .collect();
    post(&server, &events).await;
    for (index, text) in (0..).zip(hostile) {
        let answer = eventually(&server, text, 1).await;
        assert_eq!(
            found(&answer),
            [("request".to_owned(), format!("m-{index}"))],
            "{text:?}"
        );
        let long: String = text.repeat(300).chars().take(2_000).collect();
        server.json(&path(&long, "")).await;
    }
    let nothing = "x".repeat(3_000);
    for text in ["", "  ", nothing.as_str(), "~AAAA", "zzz"] {
        assert_eq!(search(&server, text).await, [], "{text:?}");
    }
    for (query, error) in [
        ("", "missing field `q`"),
        ("?q=a&limit=0", "limit must be a number from 1 to 50"),
        ("?q=a&limit=51", "limit must be a number from 1 to 50"),
        (
            "?q=a&kind=message",
            "unknown parameter \"kind\"; this path takes q, limit",
        ),
        (
            "?q=a&q=b",
            "the parameter q is repeated; this path takes q, limit",
        ),
    ] {
        let answer = server.get(&format!("/api/search{query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!(error)),
            "{query}"
        );
    }
    server.stop().await;
}

/// A stack with events of two people, counted by a `projector` that has this environment.
async fn counted(more: &[(&str, &str)]) -> (Stack, Function) {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let answer = receiver
        .post(&body(&[
            event(json!({"message_id": "3c90b6e5-1", "mobile": NUMBER, "requestid": "both", "callbackdata": "mine",
                "tags": ["vip"]})),
            event(json!({"message_id": "3c90b6e5-2", "mobile": "919800005678", "requestid": "both",
                "callbackdata": "theirs"})),
            event(json!({"message_id": "3c90b6e5-3", "mobile": "919800005678", "requestid": "for +91 98123 45678"})),
        ]))
        .await;
    assert_eq!(answer.status, 200);
    let projector = stack.function("projector", more).await;
    (stack, projector)
}

async fn deliver(stack: &Stack, projector: &Function) -> usize {
    let reply = projector.invoke(&json!({ "Records": stack.stream() })).await;
    reply.payload["batchItemFailures"].as_array().unwrap().len()
}

async fn lookups_of(stack: &Stack) -> BTreeSet<(String, String, Vec<String>)> {
    lookups(&stack.storage.rollup_items().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_that_were_not_written_come_again_and_then_cost_no_write() {
    let (stack, projector) = counted(&[]).await;
    stack.table.decide(|call| match call.operation {
        "BatchExecuteStatement" | "UpdateItem" if call.mentions("find#") => Treatment::ServerError,
        _ => Treatment::Pass,
    });
    assert_eq!(deliver(&stack, &projector).await, 1);
    assert_eq!(lookups_of(&stack).await.len(), 0);
    stack.table.always(Treatment::Pass);
    assert_eq!(deliver(&stack, &projector).await, 0);
    let written = lookups_of(&stack).await;
    // Two numbers; one or two slots of a request; another request; two callback data.
    assert!((6..=7).contains(&written.len()), "{written:?}");
    // The same process remembers them, and another one reads all of them with one call.
    stack.table.reset_counts();
    assert_eq!(deliver(&stack, &projector).await, 0);
    let remembered = stack.table.calls("BatchGetItem");
    let other = stack.function("projector", &[]).await;
    stack.table.reset_counts();
    assert_eq!(deliver(&stack, &other).await, 0);
    assert_eq!(
        stack.table.calls("UpdateItem") + stack.table.calls("BatchExecuteStatement"),
        0
    );
    assert_eq!(stack.table.calls("BatchGetItem"), remembered + 1);
    assert_eq!(lookups_of(&stack).await, written);

    for item in stack.storage.rollup_items().await {
        if item["series"].as_s().unwrap().starts_with("find#") {
            delete_rollup(&stack, &item).await;
        }
    }
    assert_eq!(lookups_of(&stack).await.len(), 0);
    let rollups = stack.rollups().await;
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    assert_eq!(lookups_of(&stack).await, written, "a rebuild writes the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_lookups_are_inserted_together_and_alone_if_that_is_refused() {
    let none: fn(usize) -> usize = |_| 0;
    let all: fn(usize) -> usize = |lookups| lookups;
    for (inserts, alone) in [
        (Treatment::Pass, none),
        (Treatment::RefuseStatements(2, "DuplicateItem"), |lookups| {
            lookups.div_ceil(2)
        }),
        (Treatment::RefuseStatements(1, "ThrottlingError"), all),
        (
            Treatment::Refuse(
                "com.amazon.coral.service#AccessDeniedException",
                "User is not authorized to perform: dynamodb:PartiQLInsert",
            ),
            all,
        ),
    ] {
        let (stack, projector) = counted(&[]).await;
        let updates = Arc::new(AtomicUsize::new(0));
        let counted_updates = updates.clone();
        stack.table.decide(move |call| match call.operation {
            "BatchExecuteStatement" if call.mentions("find#") => inserts,
            "UpdateItem" if call.mentions("find#") => {
                counted_updates.fetch_add(1, Ordering::SeqCst);
                Treatment::Pass
            }
            _ => Treatment::Pass,
        });
        assert_eq!(deliver(&stack, &projector).await, 0);
        let written = lookups_of(&stack).await;
        assert!((6..=7).contains(&written.len()), "{inserts:?}: {written:?}");
        assert_eq!(
            updates.load(Ordering::SeqCst),
            alone(written.len()),
            "{inserts:?}"
        );
    }
}

async fn delete_rollup(stack: &Stack, item: &Item) {
    let delete = stack.storage.aws().dynamodb.delete_item();
    let delete = delete
        .table_name(&stack.instance.rollups_table)
        .key("series", item["series"].clone())
        .key("period", item["period"].clone());
    delete.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_search_index_there_are_no_lookups() {
    let off = [("SEARCH_INDEX", "false")];
    let (stack, projector) = counted(&off).await;
    assert_eq!(deliver(&stack, &projector).await, 0);
    assert_eq!(lookups_of(&stack).await.len(), 0);
    let campaigns = AttributeValue::Ss(vec!["Diwali offers".to_owned(), "welcome".to_owned()]);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let names = [
        ("series", text("0#names")),
        ("period", text("day#2024-02-01#0000")),
        ("campaigns", campaigns),
    ];
    let names = names.map(|(name, value)| (name.to_owned(), value));
    stack.storage.put_rollup(names.into()).await;
    let dashboard = stack.function("dashboard", &off).await;
    for (text, expected) in [
        ("offers", &[("campaign", "Diwali offers")][..]),
        ("both", &[]),
        ("5678", &[]),
        (NUMBER, &[("recipient", NUMBER)]),
        ("3c90b6e5-1", &[("message", "3c90b6e5-1")]),
        ("VIP", &[("tag", "vip")]),
    ] {
        let answer = ask(&dashboard, text).await;
        assert_eq!(answer.0, 200);
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()))
            .collect();
        assert_eq!(found(&answer.1), expected, "{text}");
        assert_eq!(
            answer.1["searched"],
            json!(["message", "recipient", "campaign", "tag"])
        );
    }
}

async fn ask(dashboard: &Function, text: &str) -> (u16, Value) {
    let query = format!("q={}", percent_encoded(text));
    let request = request_to(&Method::GET, "/api/search", &query, &[], b"");
    let answer = dashboard.request(&request).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_numbers_finds_nobody_by_number() {
    let (stack, projector) = counted(&[]).await;
    assert_eq!(deliver(&stack, &projector).await, 0);
    let dashboard = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    for text in [
        "5678",
        "98123",
        NUMBER,
        "+91 98123 45678",
        "for +91 98123 45678",
        "%39%31%39%38%31%32%33%34%35%36%37%38",
        "९१९८१२३४५६७८",
        "anna@b.example",
        "whatsapp:IN.1346",
        "api-337-919812345678-x",
        "gBEGkZlgQyWAAgnHeaNwJ1fGz4k",
    ] {
        let (status, answer) = ask(&dashboard, text).await;
        assert_eq!(
            (status, &answer["error"]),
            (403, &json!("your role cannot search for people")),
            "{text}"
        );
    }
    let (status, answer) = ask(&dashboard, "both").await;
    assert_eq!(status, 200);
    assert_eq!(answer["found"].as_array().unwrap().len(), 2);
    let text = answer.to_string();
    assert!(!text.contains("98123") && !text.contains("98000"), "{text}");
    assert!(text.contains("*********678"), "{text}");
    assert_eq!(
        answer["searched"],
        json!(["message", "request", "callback", "campaign", "tag"])
    );
    for line in dashboard.lines() {
        assert!(!line.contains("5678") && !line.contains("both"), "{line}");
    }
}

/// Items that name the person, also with its digits reversed.
fn names_person(items: &[Item]) -> Vec<String> {
    let texts = items.iter().map(|item| {
        let item: BTreeMap<&String, &AttributeValue> = item.iter().collect();
        format!("{item:?}")
    });
    let own = ["98123", "32189", "3c90b6e5-1", "mine"];
    let named: BTreeSet<String> = texts
        .filter(|text| own.iter().any(|own| text.contains(own)))
        .collect();
    named.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_removes_the_lookups_also_those_that_the_stream_writes_later() {
    let (stack, projector) = counted(&[]).await;
    assert_eq!(deliver(&stack, &projector).await, 0);
    let folder = folder(&stack.instance);
    let named = names_person(&stack.storage.rollup_items().await);
    assert!(named.len() >= 4, "{named:?}");
    let dry = erase(&folder, &["--recipient", NUMBER]).await;
    assert!(
        dry.to_string()
            .contains("search: 4 lookups lead to the person or its messages"),
        "{dry}"
    );
    assert_eq!(names_person(&stack.storage.rollup_items().await), named);

    let done = erase(&folder, &["--recipient", NUMBER, "--yes"]).await;
    assert_eq!(done.done.unwrap().events, 2);
    assert_eq!(names_person(&stack.storage.rollup_items().await), [""; 0]);
    let left = lookups_of(&stack).await;
    let theirs = |series: &str, ids: &str| left.iter().any(|(s, _, i)| s == series && i == &[ids.to_owned()]);
    assert!(theirs("find#digits#5678", "919800005678"), "{left:?}");
    assert!(theirs("find#request#both", "919800005678 3c90b6e5-2"), "{left:?}");
    assert!(
        theirs("find#callback#theirs", "919800005678 3c90b6e5-2"),
        "{left:?}"
    );
    assert_eq!(left.len(), 3, "{left:?}");

    // The stream delivers the events again, and the table no longer has them.
    let again = stack.function("projector", &[]).await;
    assert_eq!(deliver(&stack, &again).await, 0);
    assert!(!names_person(&stack.storage.rollup_items().await).is_empty());
    let done = erase(&folder, &["--recipient", NUMBER, "--yes"]).await;
    assert_eq!(done.done.unwrap().events, 0);
    assert_eq!(names_person(&stack.storage.rollup_items().await), [""; 0]);
    assert_eq!(lookups_of(&stack).await, left);
}

/// Another person's item that lost its last link must accept a new one, or its batch would never be counted.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_without_ids_accepts_new_ones() {
    let stack = Stack::start().await;
    let id = |id: &str| AttributeValue::S(id.to_owned());
    stack
        .storage
        .put_rollup(Item::from([
            ("series".to_owned(), id("person#whatsapp:IN.13491208655302741918")),
            ("period".to_owned(), id("-")),
            (
                "expires_at".to_owned(),
                AttributeValue::N("4000000000".to_owned()),
            ),
        ]))
        .await;
    let mut item: Item = [
        ("message_id", id("both")),
        ("status_key", id("WHATSAPP#sent")),
        ("channel", id("WHATSAPP")),
        ("status", id("sent")),
        ("recipient", id(NUMBER)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for name in ["event_time", "received_at"] {
        item.insert(name.to_owned(), AttributeValue::N("1795262400000".to_owned()));
    }
    let further = AttributeValue::L(vec![id("whatsapp:IN.13491208655302741918")]);
    item.insert("identities".to_owned(), further);
    item.insert("day_shard".to_owned(), id("2026-11-21#00"));
    stack.storage.put(item).await;
    let projector = stack.function("projector", &[]).await;
    assert_eq!(deliver(&stack, &projector).await, 0);
    let items = stack.storage.rollup_items().await;
    let linked = items
        .iter()
        .filter(|item| item["series"].as_s().unwrap().starts_with("person#"));
    for item in linked {
        assert_eq!(item["ids"].as_ss().unwrap().len(), 1, "{item:?}");
    }
}
