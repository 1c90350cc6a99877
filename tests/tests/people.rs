//! People without numbers: links between their ids, lists over all of them, and their erasure.

use std::{collections::BTreeSet, fs, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{
    command::options, fixtures::queue_message, function::Function, proxy::Treatment, server::Server,
    stack::Stack, storage::queue_messages,
};
use netcore_webhooks::{
    erase::{self, RECORD, Report},
    get,
    serve::INSTANCE_FILE,
    target::{Needs, Target},
};
use projector::rebuild::rebuild;
use serde_json::{Value, json};
use tempfile::TempDir;
use webhook_ingest::{events_table::item::Item, queue::message::Reason};

const NUMBER: &str = "919812345678";
const USER: &str = "whatsapp:IN.13491208655302741918";
const FORMER: &str = "whatsapp:IN.20000000000000000002";
const MAIL: &str = "mailto:anna@b.example";
const NOON: i64 = 1_795_262_400_000;

/// An event as a receiver stores it. `at` is in seconds after noon.
fn event(id: &str, channel: &str, status: &str, recipient: &str, at: i64, identities: &[&str]) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let time = NOON + at * 1000;
    let mut item: Item = [
        ("message_id", text(id)),
        ("status_key", text(&format!("{channel}#{status}#{at}"))),
        ("day_shard", text("2026-11-21#00")),
        ("channel", text(channel)),
        ("status", text(status)),
        ("event_time", number(time)),
        ("received_at", number(time + 500)),
        ("expires_at", number(4_000_000_000)),
        ("provider", text("netcore")),
        ("format", text("netcore-events")),
        ("recipient", text(recipient)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if !identities.is_empty() {
        let ids = identities.iter().map(|id| text(id)).collect();
        item.insert("identities".to_owned(), AttributeValue::L(ids));
    }
    item
}

/// A person with a number, a user id, a former user id and an address, and another person.
async fn people(server: &Server) {
    let storage = server.storage();
    for at in 0..6 {
        storage
            .put(event(&format!("sms-{at}"), "SMS", "sent", NUMBER, at * 10, &[]))
            .await;
        storage
            .put(event(
                &format!("wa-{at}"),
                "WHATSAPP",
                "delivered",
                USER,
                at * 10 + 1,
                &[],
            ))
            .await;
        storage
            .put(event(
                &format!("old-{at}"),
                "WHATSAPP",
                "read",
                FORMER,
                at * 10 + 2,
                &[],
            ))
            .await;
        storage
            .put(event(
                &format!("other-{at}"),
                "SMS",
                "sent",
                "919812345679",
                at,
                &[],
            ))
            .await;
    }
    storage
        .put(event("both", "WHATSAPP", "sent", NUMBER, 100, &[USER]))
        .await;
    storage
        .put(event("changed", "WHATSAPP", "received", USER, 101, &[FORMER]))
        .await;
    // One e-mail with two recipients.
    storage
        .put(event("15536250111702805", "EMAIL", "sent", MAIL, 102, &[NUMBER]))
        .await;
    storage
        .put(event(
            "15536250111702805",
            "EMAIL",
            "bounced",
            "mailto:joanna@b.example",
            103,
            &[],
        ))
        .await;
}

/// The ids of the person, when the links exist.
async fn linked(server: &Server, id: &str, ids: usize) -> Value {
    let path = format!("/api/recipients/{id}");
    for _ in 0..300 {
        let answer = server.json(&path).await;
        if answer["ids"].as_array().unwrap().len() >= ids {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.json(&path).await
}

fn set(answer: &Value) -> BTreeSet<&str> {
    let ids = answer["ids"].as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap()).collect()
}

fn names(answer: &Value) -> Vec<(i64, String)> {
    let events = answer["events"].as_array().unwrap().iter();
    events
        .map(|event| {
            let id = event["message_id"].as_str().unwrap().to_owned();
            (event["event_time"].as_i64().unwrap(), id)
        })
        .collect()
}

fn folder(server: &Server) -> TempDir {
    let folder = TempDir::new().unwrap();
    let instance = serde_json::to_string(&server.stack.instance).unwrap();
    fs::write(folder.path().join(INSTANCE_FILE), instance).unwrap();
    folder
}

async fn erase(folder: &TempDir, arguments: &[&str]) -> Report {
    erase::run(&options(arguments), folder.path(), |_| Ok(()))
        .await
        .unwrap()
}

async fn links(server: &Server) -> BTreeSet<String> {
    let items = server.storage().rollup_items().await;
    let series = items.iter().map(|item| item["series"].as_s().unwrap().clone());
    series
        .filter_map(|series| Some(series.strip_prefix("person#")?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_found_under_every_id() {
    let server = Server::start().await;
    people(&server).await;
    linked(&server, NUMBER, 4).await;
    let all: BTreeSet<&str> = [NUMBER, USER, FORMER, MAIL].into();
    let mut lists = BTreeSet::new();
    for id in [
        NUMBER,
        "%2B91%2098123%2045678",
        USER,
        "IN.13491208655302741918",
        FORMER,
        MAIL,
        "Anna%40B.example",
    ] {
        let answer = linked(&server, id, 4).await;
        assert_eq!(set(&answer), all, "{id}");
        let names = names(&answer);
        assert_eq!(names.len(), 21, "{id}: {names:?}");
        assert!(names.windows(2).all(|pair| pair[0].0 >= pair[1].0), "{names:?}");
        lists.insert(names);
    }
    assert_eq!(lists.len(), 1, "the same list for every id");
    let whole = lists.into_iter().next().unwrap();

    // Pages of a list with several ids contain each event once.
    let mut read = Vec::new();
    let mut cursor = String::new();
    for _ in 0..30 {
        let page = server
            .json(&format!("/api/recipients/{NUMBER}?limit=4&cursor={cursor}"))
            .await;
        assert_eq!(set(&page), all);
        read.extend(names(&page));
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(read, whole);
    let csv = server
        .get(&format!("/api/recipients/{MAIL}?format=csv"))
        .await
        .body;
    assert_eq!(csv.lines().count(), 22);
    assert!(csv.contains(USER) && csv.contains(MAIL), "{csv}");
    // A cursor of another person.
    let answer = server
        .get(&format!("/api/recipients/919812345679?cursor={cursor}"))
        .await;
    assert_eq!(answer.status, 400, "{}", answer.body);

    let folder = folder(&server);
    let target = Target::find(folder.path(), Needs::Table).await.unwrap();
    for id in ["+91 98123 45678", "IN.13491208655302741918", "anna@b.example"] {
        let shown = get::find(&target, id).await.unwrap().to_string();
        assert!(
            shown.contains(NUMBER) && shown.contains(USER) && shown.contains(FORMER),
            "{shown}"
        );
        assert!(shown.contains("sms-5") && shown.contains("old-0"), "{shown}");
    }
    let shown = get::find(&target, "both").await.unwrap().to_string();
    assert!(shown.contains(&format!("recipient {NUMBER}, {USER}")), "{shown}");

    for bad in ["mailto:nobody", "x:919812345678 y", "nobody@"] {
        let answer = server
            .get(&format!("/api/recipients/{}", bad.replace(' ', "%20")))
            .await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_makes_the_links_again() {
    let server = Server::start().await;
    people(&server).await;
    linked(&server, NUMBER, 4).await;
    let before = links(&server).await;
    assert_eq!(before.len(), 4);
    let folder = folder(&server);
    let target = Target::find(folder.path(), Needs::Counters).await.unwrap();
    for id in &before {
        target
            .aws
            .dynamodb
            .delete_item()
            .table_name(&target.rollups_table)
            .key("series", AttributeValue::S(format!("person#{id}")))
            .key("period", AttributeValue::S("-".to_owned()))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(
        set(&server.json(&format!("/api/recipients/{NUMBER}")).await),
        [NUMBER].into()
    );
    let rollups = server.stack.rollups().await;
    rebuild(&rollups, &target.storage.events_table, |_| ())
        .await
        .unwrap();
    assert_eq!(links(&server).await, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_one_id_erases_the_person_and_nobody_else() {
    for (given, quick) in [
        ("+91 98123-45678", false),
        (FORMER, true),
        ("IN.13491208655302741918", false),
        ("ANNA@b.example", true),
        (MAIL, false),
    ] {
        let server = Server::start().await;
        people(&server).await;
        linked(&server, NUMBER, 4).await;
        let body = json!([
            {"message_id": "x-1", "status": 1, "remarks": "bounced: anna%40b.example"},
            {"message_id": "x-2", "status": 1, "remarks": "for IN.13491208655302741918"},
            {"message_id": "15536250111702805", "status": 1, "remarks": "joanna@b.example"},
        ])
        .to_string();
        let letter = queue_message(Reason::Unreadable, "event-webhook", NOON, body.as_bytes());
        server.storage().send_dead_letter(&letter).await;
        let folder = folder(&server);
        let mut arguments = vec!["--recipient", given, "--queues"];
        arguments.extend(quick.then_some("--quick"));
        let dry = erase(&folder, &arguments).await;
        assert_eq!(dry.traces.len(), 21, "{given} {quick}: {dry}");
        let shown = dry.to_string();
        for personal in ["98123", "anna", "IN."] {
            assert!(!shown.contains(personal), "{shown}");
        }
        assert_eq!(links(&server).await.len(), 4);
        arguments.push("--yes");
        let done = erase(&folder, &arguments).await;
        assert_eq!(done.done.as_ref().unwrap().events, 21, "{given} {quick}");
        let left: BTreeSet<String> = server
            .storage()
            .items()
            .await
            .iter()
            .map(|item| item["recipient"].as_s().unwrap().clone())
            .collect();
        assert_eq!(
            left,
            ["919812345679".to_owned(), "mailto:joanna@b.example".to_owned()].into(),
            "{given} {quick}"
        );
        assert_eq!(links(&server).await, BTreeSet::new(), "{given} {quick}");
        let messages = queue_messages(&server.storage().take_dead_messages().await);
        let bodies: Vec<String> = messages
            .iter()
            .map(|message| String::from_utf8(message.body.bytes().to_vec()).unwrap())
            .collect();
        assert_eq!(bodies.len(), 1, "{given} {quick}: {bodies:?}");
        assert!(
            bodies[0].contains("joanna@b.example")
                && !bodies[0].contains("anna%40")
                && !bodies[0].contains("IN.1349"),
            "{bodies:?}"
        );
        let record = fs::read_to_string(folder.path().join(RECORD)).unwrap();
        assert!(!record.contains("anna") && !record.contains("9812"), "{record}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_were_not_written_come_again_and_then_cost_no_write() {
    let stack = Stack::start().await;
    let both = event("both", "WHATSAPP", "sent", NUMBER, 100, &[USER]);
    stack.storage.put(both).await;
    let records = stack.stream();
    let projector = stack.function("projector", &[]).await;
    let deliver = async |projector: &Function| {
        let reply = projector.invoke(&json!({ "Records": records })).await;
        reply.payload["batchItemFailures"].as_array().unwrap().len()
    };
    let items = async || {
        let items = stack.storage.rollup_items().await;
        let is_link = |item: &&Item| item["series"].as_s().unwrap().starts_with("person#");
        items.iter().filter(is_link).count()
    };
    stack.table.decide(|call| {
        if call.mentions("person#") {
            Treatment::ServerError
        } else {
            Treatment::Pass
        }
    });
    assert_eq!(deliver(&projector).await, 1);
    assert_eq!(items().await, 0);
    stack.table.always(Treatment::Pass);
    assert_eq!(deliver(&projector).await, 0);
    assert_eq!(items().await, 2);

    // The same process remembers the links, and another one reads them.
    stack.table.reset_counts();
    assert_eq!(deliver(&projector).await, 0);
    let remembered = stack.table.calls("BatchGetItem");
    let writes = || stack.table.calls("UpdateItem") + stack.table.calls("BatchExecuteStatement");
    assert_eq!(writes(), 0);
    let other = stack.function("projector", &[]).await;
    stack.table.reset_counts();
    assert_eq!(deliver(&other).await, 0);
    assert_eq!(writes(), 0);
    assert_eq!(stack.table.calls("BatchGetItem"), remembered + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_given_id_is_erased_on_request() {
    let server = Server::start().await;
    people(&server).await;
    linked(&server, NUMBER, 4).await;
    let folder = folder(&server);
    let done = erase(&folder, &["--recipient", FORMER, "--exact", "--yes"]).await;
    // Its own events, and the one that names it.
    assert_eq!(done.done.unwrap().events, 7);
    let rest = server.json(&format!("/api/recipients/{NUMBER}")).await;
    assert_eq!(set(&rest), [NUMBER, USER, MAIL].into());
    assert_eq!(names(&rest).len(), 14);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_many_linked_ids_stays_bounded() {
    let server = Server::start().await;
    for at in 0..40 {
        let user = format!("whatsapp:IN.{:08}", 10_000_000 + at);
        server
            .storage()
            .put(event(
                &format!("m-{at}"),
                "WHATSAPP",
                "sent",
                NUMBER,
                at,
                &[&user],
            ))
            .await;
    }
    server.summary("from=2026-11-21&to=2026-11-21", 40).await;
    let answer = linked(&server, NUMBER, 16).await;
    assert_eq!(answer["ids"].as_array().unwrap().len(), 16);
    assert_eq!(names(&answer).len(), 40);
    let items = server.storage().rollup_items().await;
    let widest = items
        .iter()
        .filter_map(|item| item.get("ids")?.as_ss().ok())
        .map(Vec::len)
        .max();
    assert_eq!(widest, Some(15));
    let report = erase(&folder(&server), &["--recipient", NUMBER]).await;
    assert_eq!(report.traces.len(), 40);
    assert!(
        report.has_more && report.to_string().contains("more ids are linked"),
        "{report}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_by_machines_are_no_reads() {
    let server = Server::start().await;
    let machine = AttributeValue::S("GoogleImageProxy".to_owned());
    let mut opened = event("e-1", "EMAIL", "opened", MAIL, 2, &[]);
    opened.insert("opened_by".to_owned(), machine);
    for item in [
        event("e-1", "EMAIL", "sent", MAIL, 1, &[]),
        opened,
        event("e-2", "EMAIL", "opened", MAIL, 3, &[]),
        event("e-3", "EMAIL", "bounced", MAIL, 4, &[]),
        event("e-4", "EMAIL", "expired", MAIL, 5, &[]),
        event("e-4", "EMAIL", "spam", MAIL, 6, &[]),
    ] {
        server.storage().put(item).await;
    }
    for (id, state) in [
        ("e-1", "delivered"),
        ("e-2", "read"),
        ("e-3", "bounced"),
        ("e-4", "delivered"),
    ] {
        assert_eq!(
            server.json(&format!("/api/messages/{id}")).await["state"],
            state,
            "{id}"
        );
    }
    let message = server.json("/api/messages/e-1").await;
    assert_eq!(message["events"][1]["opened_by"], "GoogleImageProxy");
    let summary = server.summary("from=2026-11-21&to=2026-11-21", 6).await;
    assert_eq!(
        summary["funnel"],
        json!([{"channel": "EMAIL", "sent": 1, "delivered": 0, "read": 1, "clicked": 0, "failed": 2, "not_sent": 0,
            "blocked": 0}])
    );
    let words: BTreeSet<&str> = summary["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        words,
        [
            "bounced",
            "expired",
            "opened",
            "opened_by_machine",
            "sent",
            "spam"
        ]
        .into()
    );
    assert_eq!(
        summary["failures"],
        json!([{"channel": "EMAIL", "reason": "no reason given", "count": 2}])
    );
    server.stop().await;
}
