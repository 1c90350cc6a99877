//! The contract of stored data: what earlier versions wrote is read by this one. tests/fixtures/stored has the items
//! of each version, as it wrote them, and the bodies that it got.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use integration_tests::{
    answer::sum,
    command::{Output, Workdir},
    fixtures::{LONG_BUDGET, request_to},
    function::Function,
    root,
    stack::Stack,
    storage::{Key, key, rebuilt},
};
use serde_json::{Value, json};
use webhook_ingest::events_table::{item::Item, rejected};

/// What a version stored.
struct Stored {
    version: String,
    /// Events, without the markers of rejected bodies.
    events: Vec<Item>,
    counters: Vec<Item>,
    /// Function and body.
    posted: Vec<(String, String)>,
}

/// An attribute in DynamoDB's JSON.
fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let texts = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let bytes = |value: &Value| Blob::new(STANDARD.decode(value.as_str().unwrap()).unwrap());
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "NULL" => AttributeValue::Null(true),
        "B" => AttributeValue::B(bytes(value)),
        "SS" => AttributeValue::Ss(texts(value)),
        "NS" => AttributeValue::Ns(texts(value)),
        "BS" => AttributeValue::Bs(value.as_array().unwrap().iter().map(bytes).collect()),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(item(value)),
        other => panic!("{other}"),
    }
}

fn item(fields: &Value) -> Item {
    let fields = fields.as_object().unwrap().iter();
    fields
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// All versions in the folder.
fn versions() -> Vec<Stored> {
    let mut files: Vec<_> = fs::read_dir(root().join("tests/fixtures/stored"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let read = |path: &std::path::PathBuf| {
        let stored: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let items = |name: &str| stored[name].as_array().unwrap().iter().map(item);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let posted = stored["posted"].as_array().unwrap().iter();
        Stored {
            version: text(&stored["version"]),
            events: items("events")
                .filter(|item| !rejected::is_marker(item))
                .collect(),
            counters: items("counters")
                .map(|mut item| {
                    // They would expire, depending on the day of the test.
                    item.remove("expires_at");
                    item
                })
                .collect(),
            posted: posted
                .map(|post| (text(&post["function"]), text(&post["body"])))
                .collect(),
        }
    };
    files.iter().map(read).collect()
}

/// A stack with what a version stored.
async fn stack(stored: &Stored) -> Stack {
    let stack = Stack::start().await;
    stack.storage.put_all(stored.events.clone()).await;
    for counter in &stored.counters {
        stack.storage.put_rollup(counter.clone()).await;
    }
    stack
}

async fn run(workdir: &Workdir, stack: &Stack, arguments: &[&str]) -> Output {
    let environment = stack.instance.environment();
    workdir.run_with(arguments, &environment).await
}

async fn ask(dashboard: &Function, path: &str, query: &str) -> Value {
    let event = request_to(&Method::GET, path, query, &[], b"");
    let answer = dashboard.request(&event).await;
    assert_eq!(answer.status, 200, "{path}?{query}: {}", answer.body);
    answer.json()
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).map_or("", |value| value.as_s().unwrap())
}

fn number(item: &Item, name: &str) -> i64 {
    item[name].as_n().unwrap().parse().unwrap()
}

/// The UTC day of an event, from its partition in the index.
fn day(item: &Item) -> &str {
    text(item, "day_shard").split('#').next().unwrap()
}

/// Whether lists show an event. The first version stored an event that claims to lie in the future under that time;
/// lists end two days ahead, and it is read by its id.
fn is_listed(item: &Item) -> bool {
    number(item, "event_time") - number(item, "received_at") <= 48 * 3_600_000
}

/// Id, channel, status and time of an event.
type Row = (String, String, String, i64);

fn row(item: &Item) -> Row {
    let text = |name: &str| text(item, name).to_owned();
    (
        text("message_id"),
        text("channel"),
        text("status"),
        number(item, "event_time"),
    )
}

fn rows(list: &Value) -> Vec<Row> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let row = |event: &Value| {
        (
            text(event, "message_id"),
            text(event, "channel"),
            text(event, "status"),
            event["event_time"].as_i64().unwrap(),
        )
    };
    list.as_array().unwrap().iter().map(row).collect()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// All pages of a list.
async fn list(dashboard: &Function, path: &str, query: &str) -> Vec<Row> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ask(dashboard, path, &format!("{query}&limit=50{cursor}")).await;
        all.extend(rows(&page["events"]));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sorted(all),
        }
    }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_an_earlier_version_stored_is_a_duplicate() {
    for stored in versions() {
        let stack = stack(&stored).await;
        let mut functions: BTreeMap<&str, Function> = BTreeMap::new();
        for (name, _) in &stored.posted {
            if !functions.contains_key(name.as_str()) {
                functions.insert(name, stack.function(name, &[LONG_BUDGET]).await);
            }
        }
        let mut exceptions = BTreeSet::new();
        for (name, body) in stored.posted.iter().filter(|(_, body)| body != "no JSON") {
            let answer = functions[name.as_str()].post(body.as_bytes()).await;
            let [received, stored_now, duplicates, queued, dead_lettered] = answer.counts();
            assert_eq!([queued, dead_lettered], [0, 0], "{}: {body}", stored.version);
            assert_eq!(received, stored_now + duplicates);
            if stored_now > 0 {
                exceptions.insert(id_in(body));
            }
        }
        let expected: BTreeSet<String> = exceptions_of(&stored.version);
        assert_eq!(exceptions, expected, "{}", stored.version);
    }
}

/// The id of the last record in a body.
fn id_in(body: &str) -> String {
    let from = body
        .rfind("\"message_id\": \"wamid.")
        .or(body.rfind("\"message_id\":\"special-"));
    let rest = body[from.unwrap_or_else(|| panic!("{body}"))..].split('"').nth(3);
    rest.unwrap().to_owned()
}

/// The messages whose key differs from the one that a version wrote. MIGRATING.md names each kind; a new one needs
/// an entry there.
fn exceptions_of(version: &str) -> BTreeSet<String> {
    let ids: &[&str] = match version {
        "0.1.0, 22 November 2026" => &[
            // A status that no version lists, with fields that no version lists: they were a part of the key.
            "special-unknown",
            // WhatsApp: answers to interactive messages were `received` and are `clicked`.
            "wamid.int1",
            "wamid.int2",
            // Without a type, or with the voice of a message: the key had a digest of other fields.
            "wamid.unknown1",
            "wamid.v1",
            // Of a person without a number.
            "wamid.nonumber1",
        ],
        _ => &[],
    };
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_of_a_stored_event_is_rebuilt() {
    for stored in versions() {
        let items: BTreeMap<Key, &Item> = stored.events.iter().map(|item| (key(item), item)).collect();
        let mut compared = 0;
        for (_, body) in &stored.posted {
            // Lists of records with their id, and single ones; envelopes are compared by the receivers.
            let records = match serde_json::from_str(body) {
                Ok(Value::Array(records)) => records,
                Ok(record @ Value::Object(_)) => vec![record],
                _ => continue,
            };
            for record in records {
                let Some(id) = record["message_id"].as_str() else {
                    continue;
                };
                let of_message = items.values().filter(|item| text(item, "message_id") == id);
                let is_rebuilt = of_message
                    .clone()
                    .any(|item| Value::Object(rebuilt(item)) == record);
                assert!(is_rebuilt, "{}: {record}", stored.version);
                compared += 1;
            }
        }
        assert!(compared > 30, "{}: {compared}", stored.version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_people_lists_and_figures_contain_the_events_of_an_earlier_version() {
    for stored in versions() {
        let version = &stored.version;
        let stack = stack(&stored).await;
        let dashboard = stack.function("dashboard", &[]).await;
        let rows_of = |is_wanted: &dyn Fn(&Item) -> bool| {
            let items = stored.events.iter().filter(|item| is_wanted(item));
            sorted(items.map(row).collect::<Vec<_>>())
        };
        let ids: BTreeSet<&str> = stored
            .events
            .iter()
            .map(|item| text(item, "message_id"))
            .collect();
        for id in &ids {
            let message = ask(&dashboard, &format!("/api/messages/{}", encoded(id)), "").await;
            assert!(message["state"].is_string(), "{version}: {message}");
            let mut events = message["events"].clone();
            for event in events.as_array_mut().unwrap() {
                event["message_id"] = message["message_id"].clone();
            }
            assert_eq!(
                sorted(rows(&events)),
                rows_of(&|item| text(item, "message_id") == *id),
                "{version}"
            );
        }
        let people: BTreeSet<&str> = stored.events.iter().map(|item| text(item, "recipient")).collect();
        for person in people.iter().filter(|person| !person.is_empty()) {
            let listed = list(&dashboard, &format!("/api/recipients/{}", encoded(person)), "").await;
            let own = rows_of(&|item| text(item, "recipient") == *person);
            // Also those of linked ids.
            assert!(own.iter().all(|row| listed.contains(row)), "{version}: {person}");
        }
        let days: BTreeSet<&str> = stored
            .events
            .iter()
            .filter(|item| is_listed(item))
            .map(day)
            .collect();
        for day_of in &days {
            let listed = list(&dashboard, "/api/events", &format!("day={day_of}")).await;
            let of_day = rows_of(&|item| day(item) == *day_of);
            assert_eq!(listed, of_day, "{version}: {day_of}");
            let query = format!("from={day_of}&to={day_of}&status=sent");
            let sent = list(&dashboard, "/api/events", &query).await;
            assert_eq!(
                sent,
                rows_of(&|item| day(item) == *day_of && text(item, "status") == "sent")
            );
            let summary = ask(&dashboard, "/api/summary", &format!("from={day_of}&to={day_of}")).await;
            assert_eq!(
                sum(&summary["counts"]),
                of_day.len() as u64,
                "{version}: {day_of}"
            );
            let counted = |channel: &str, status: &str| -> u64 {
                let counts = summary["counts"].as_array().unwrap().iter();
                let of = counts.filter(|count| count["channel"] == channel && count["status"] == status);
                of.map(|count| count["count"].as_u64().unwrap()).sum()
            };
            for (_, channel, status, _) in &of_day {
                let events = of_day.iter().filter(|(_, c, s, _)| c == channel && s == status);
                // A machine's open has a status of its own in the counters.
                if status != "opened" {
                    assert_eq!(
                        counted(channel, status),
                        events.count() as u64,
                        "{version}: {day_of}"
                    );
                }
            }
        }
        // A journey over two channels.
        let journey = ask(&dashboard, "/api/messages/special-sms", "").await["journey"].clone();
        let legs: Vec<&Value> = journey
            .as_array()
            .unwrap()
            .iter()
            .map(|leg| &leg["message_id"])
            .collect();
        assert_eq!(legs, ["special-rcs", "special-sms"], "{version}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_reads_exports_counts_restores_and_erases_what_an_earlier_version_stored() {
    for stored in versions() {
        let version = &stored.version;
        let stack = stack(&stored).await;
        let workdir = Workdir::new();
        let shown = run(&workdir, &stack, &["get", "special-texts"]).await.ok();
        assert!(
            shown.contains("state     failed on RCS since 2024-01-10 08:53:48Z"),
            "{shown}"
        );
        let person = run(&workdir, &stack, &["get", "+91 90000 00004"]).await.ok();
        for id in ["special-rcs", "special-sms"] {
            assert!(person.contains(id), "{version}: {person}");
        }

        let mut of_days: BTreeMap<&str, u64> = BTreeMap::new();
        for item in &stored.events {
            *of_days.entry(day(item)).or_default() += 1;
        }
        let (busiest, events_of_day) = of_days.iter().max_by_key(|(_, count)| **count).unwrap();
        for more in [&["--scan", "--output", "scan"][..], &["--output", "index"]] {
            let export = [
                "export",
                "--from",
                busiest,
                "--to",
                busiest,
                "--format",
                "jsonl",
                "--numbers",
                "full",
                "--json",
            ];
            let report = run(&workdir, &stack, &[&export[..], more].concat()).await.ok();
            let report: Value = serde_json::from_str(&report).unwrap();
            let events = report["days"].as_object().unwrap().values();
            let exported: u64 = events.map(|day| day["events"].as_u64().unwrap()).sum();
            assert_eq!(exported, *events_of_day, "{version} {more:?}");
        }

        let rebuilt = run(&workdir, &stack, &["rollups", "rebuild", "--json"])
            .await
            .ok();
        let rebuilt: Value = serde_json::from_str(&rebuilt).unwrap();
        assert_eq!(
            [&rebuilt["events"], &rebuilt["skipped"]],
            [&json!(stored.events.len()), &json!(0)],
            "{version}"
        );

        stack.restored_table("restored", stored.events.clone()).await;
        stack.storage.clear().await;
        run(
            &workdir,
            &stack,
            &["restore", "--from", "restored", "--nobody-erased"],
        )
        .await
        .ok();
        let expected: BTreeMap<Key, Item> = stored
            .events
            .iter()
            .map(|item| (key(item), item.clone()))
            .collect();
        let restored: BTreeMap<Key, Item> = stack
            .storage
            .items()
            .await
            .into_iter()
            .map(|item| (key(&item), item))
            .collect();
        assert_eq!(restored, expected, "{version}");

        run(
            &workdir,
            &stack,
            &["erase", "--recipient", "+91 90000 00004", "--yes"],
        )
        .await
        .ok();
        let mut left = expected;
        left.retain(|(id, _), _| id != "special-rcs" && id != "special-sms");
        assert_eq!(
            stack.storage.stored_keys().await,
            left.keys().cloned().collect::<BTreeSet<_>>(),
            "{version}"
        );
    }
}
