//! Limits of the dashboard: no response exceeds Lambda's limit, no request reads a whole busy day, and an
//! action on one dead letter does not affect the others.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{LARGE_BODY_BUDGET, queue_message, request_to},
    function::Function,
    proxy::Treatment,
    stack::Stack,
    storage::{number, text},
};
use serde_json::{Value, json};
use webhook_ingest::{
    events_table::item::Item,
    queue::message::{QueueMessage, Reason},
};

/// Largest response of a function: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LARGEST: usize = 6 * 1024 * 1024;
const DAY: &str = "2025-06-15";
/// Noon of that day, in milliseconds.
const NOON: i64 = 1_749_988_800_000;
const NUMBER: &str = "919812345678";

/// A response of the dashboard, within Lambda's limit.
async fn ask(dashboard: &Function, method: Method, path: &str) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = [("content-type", "application/json")];
    let reply = dashboard
        .invoke(&request_to(&method, path, query, &headers, b"{}"))
        .await;
    let bytes = reply.payload.to_string().len();
    assert!(bytes < LARGEST, "{path}?{query}: {bytes} bytes");
    reply.into()
}

async fn json(dashboard: &Function, path: &str) -> Value {
    let answer = ask(dashboard, Method::GET, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn item(id: &str, key: &str, at: i64, shard: u8, remarks: &str) -> Item {
    let (channel, status) = key.split_once('#').unwrap();
    Item::from([
        ("message_id".to_owned(), text(id)),
        ("status_key".to_owned(), text(key)),
        ("channel".to_owned(), text(channel)),
        ("status".to_owned(), text(status.split('#').next().unwrap())),
        ("day_shard".to_owned(), text(format!("{DAY}#{shard:02}"))),
        ("event_time".to_owned(), number(at)),
        ("received_at".to_owned(), number(at)),
        ("provider".to_owned(), text("netcore")),
        ("format".to_owned(), text("netcore-events")),
        ("recipient".to_owned(), text(NUMBER)),
        ("remarks".to_owned(), text(remarks)),
    ])
}

/// The status keys of the events of a list, page by page.
async fn pages(dashboard: &Function, path: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = json(dashboard, &format!("{path}{cursor}")).await;
        let keys = page["events"].as_array().unwrap().iter();
        pages.push(
            keys.map(|event| event["status_key"].as_str().unwrap().to_owned())
                .collect(),
        );
        let mark = if path.contains('?') { '&' } else { '?' };
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("{mark}cursor={next}"),
            None => return pages,
        }
        assert!(pages.len() < 100, "{path} never ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_exceeds_the_response_limit_of_lambda() {
    let stack = Stack::start().await;
    // Quotes are short in the table and long in the response: four bytes each.
    let wide = "\"".repeat(380_000);
    let count = 6;
    for index in 0..count {
        let shard = u8::try_from(index % 16).unwrap();
        let at = NOON + i64::from(index) * 1000;
        let click = item("m-1", &format!("RCS#clicked#{index}"), at, shard, &wide);
        stack.storage.put(click).await;
    }
    // The last event by key and the first by time. The state must include it.
    let delivered = item("m-1", "SMS#delivered", NOON - 1000, 3, "");
    stack.storage.put(delivered).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let all: BTreeSet<String> = (0..count)
        .map(|index| format!("RCS#clicked#{index}"))
        .chain(["SMS#delivered".to_owned()])
        .collect();
    for path in [
        "/api/messages/m-1",
        "/api/recipients/919812345678",
        "/api/recipients/919812345678?limit=200",
        "/api/events?day=2025-06-15&limit=200",
    ] {
        let pages = pages(&dashboard, path).await;
        assert!(
            pages.len() > 1 && pages.iter().all(|page| !page.is_empty()),
            "{path}: {pages:?}"
        );
        let listed: Vec<String> = pages.concat();
        assert_eq!(listed.len(), all.len(), "{path}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<String>>(), all, "{path}");
    }
    let first = json(&dashboard, "/api/messages/m-1").await;
    assert_eq!(first["truncated"], true);
    let states: Vec<Value> = first["journey"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leg| json!([leg["channel"], leg["state"]]))
        .collect();
    assert_eq!(states, [json!(["SMS", "delivered"]), json!(["RCS", "read"])]);

    // CSV is limited in the same way, and the parts join to one table.
    for path in [
        "/api/recipients/919812345678?format=csv",
        "/api/events?day=2025-06-15&format=csv",
    ] {
        let parts = parts(&dashboard, path).await;
        assert!(parts.len() > 1, "{path}");
        let table = parts.concat();
        assert_eq!(table.matches("event_time,").count(), 1);
        assert_eq!(
            table.matches("\r\n").count() + table.matches('\n').count(),
            usize::try_from(count).unwrap() + 2
        );
    }
}

/// The parts of a CSV table. Each links to the next.
async fn parts(dashboard: &Function, path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let base = path.split('?').next().unwrap();
    let mut next = path.to_owned();
    loop {
        let answer = ask(dashboard, Method::GET, &next).await;
        assert_eq!(answer.status, 200, "{next}: {}", answer.body);
        parts.push(answer.body.clone());
        let Some(link) = answer.header("link") else {
            assert_eq!(answer.header("x-truncated"), None);
            return parts;
        };
        assert_eq!(answer.header("x-truncated"), Some("true"));
        let query = link
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"")
            .unwrap();
        next = format!("{base}{query}");
        assert!(parts.len() < 100, "{path} never ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csv_request_for_a_rare_status_reads_a_part_of_a_busy_day() {
    let stack = Stack::start().await;
    // All in one shard, as an earlier version could store them. A part of a table reads 20,000 entries.
    let events = 22_500_i64;
    let rare = [3, 14_000, 22_499];
    let items = (0..events)
        .map(|index| {
            let key = if rare.contains(&index) {
                "RCS#blocked"
            } else {
                "RCS#sent"
            };
            item(&format!("m-{index}"), key, NOON + index, 7, "")
        })
        .collect();
    stack.storage.put_all(items).await;
    let dashboard = stack.function("dashboard", &[]).await;
    stack.table.reset_counts();
    let path = "/api/events?day=2025-06-15&status=blocked&format=csv";
    let parts = parts(&dashboard, path).await;
    let lines: Vec<usize> = parts.iter().map(|part| part.lines().count()).collect();
    assert_eq!(lines, [3, 1], "a header and two lines, and one line");
    let lines: Vec<String> = parts.concat().lines().skip(1).map(str::to_owned).collect();
    let ids: Vec<&str> = lines.iter().map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(ids, ["m-22499", "m-14000", "m-3"]);
    // The shards of failures and of earlier versions, twice, and some of 1,000 entries.
    let calls = stack.table.calls("Query");
    assert!((40..=90).contains(&calls), "{calls}");

    // A viewer gets no cursor, and its page is limited as well.
    let viewer = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    let page = json(&viewer, "/api/events?day=2025-06-15&status=blocked&limit=200").await;
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["truncated"]),
        (2, &json!(true))
    );

    // The whole day.
    let whole = self::parts(&dashboard, "/api/events?day=2025-06-15&format=csv")
        .await
        .concat();
    assert_eq!(whole.lines().count(), 22_501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_csv_table_has_at_most_ten_thousand_lines() {
    let stack = Stack::start().await;
    // Evenly distributed over the shards, as the receivers do it.
    let items: Vec<Item> = (0..10_200_u32)
        .map(|index| {
            let shard = u8::try_from(index % 16).unwrap();
            item(
                &format!("m-{index}"),
                "RCS#sent",
                NOON + i64::from(index),
                shard,
                "",
            )
        })
        .collect();
    stack.storage.put_all(items).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let parts = parts(&dashboard, "/api/events?day=2025-06-15&format=csv").await;
    let lines: Vec<usize> = parts.iter().map(|part| part.lines().count()).collect();
    // Only the first part has a header line.
    assert_eq!(lines, [10_001, 200]);
    let ids: BTreeSet<String> = parts
        .concat()
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 10_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_too_large_for_a_response_is_not_deleted() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LARGE_BODY_BUDGET]).await;
    let body = "\"".repeat(5_800_000);
    assert_eq!(receiver.post(body.as_bytes()).await.status, 400);
    let dashboard = stack
        .function(
            "dashboard",
            &[("DASHBOARD_ROLE", "operator"), ("DASHBOARD_REDRIVE", "true")],
        )
        .await;
    let listed = json(&dashboard, "/api/dead-letters?content=full").await;
    let dead_letter = &listed["newest"][0];
    let id = dead_letter["letter"]
        .as_str()
        .or(dead_letter["id"].as_str())
        .unwrap()
        .to_owned();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let path = format!("/api/dead-letters/{id}/discard");
    for _ in 0..2 {
        let answer = ask(&dashboard, Method::POST, &path).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(answer.body.contains("dead-letters discard"), "{}", answer.body);
    }
    let dead_letters = stack.storage.take_dead_letters().await;
    assert_eq!(dead_letters.len(), 1);
    assert!(dead_letters[0].body.bytes() == body.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_on_one_dead_letter_leaves_the_others_in_the_queue() {
    let stack = Stack::start().await;
    let dead_letters: Vec<QueueMessage> = (0..64)
        .map(|number| {
            let body = format!("dead letter {number}").into_bytes();
            queue_message(Reason::Malformed, "event-webhook", 0, &body)
        })
        .collect();
    let sends = dead_letters
        .iter()
        .map(|dead_letter| stack.storage.send_dead_letter(dead_letter));
    let ids: Vec<String> = join_all(sends).await.concat();
    let longest = Arc::new(Mutex::new(0));
    let seen = longest.clone();
    stack.queues.decide(move |call| {
        if call.operation == "ReceiveMessage" {
            let body: Value = serde_json::from_slice(call.body).unwrap();
            let hidden = body["VisibilityTimeout"].as_i64().unwrap();
            let mut longest = seen.lock().unwrap();
            *longest = hidden.max(*longest);
        }
        Treatment::Pass
    });
    let dashboard = stack
        .function(
            "dashboard",
            &[("DASHBOARD_ROLE", "operator"), ("DASHBOARD_REDRIVE", "true")],
        )
        .await;

    // An empty id matches no dead letter.
    for action in ["redrive", "discard"] {
        let answer = ask(&dashboard, Method::POST, &format!("/api/dead-letters//{action}")).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    assert_eq!(stack.queues.calls("ReceiveMessage"), 0);
    for (id, status) in [("none", 404), (ids[60].as_str(), 200)] {
        stack.queues.reset_counts();
        let path = format!("/api/dead-letters/{id}/discard");
        let answer = ask(&dashboard, Method::POST, &path).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        // Ten messages are released per call, all of them before the response.
        assert!(stack.queues.calls("ChangeMessageVisibilityBatch") <= 7);
        assert_eq!(stack.storage.invisible_dead_letters().await, 0);
    }
    // If the function dies meanwhile, the others become visible again within a minute.
    let longest = *longest.lock().unwrap();
    assert!((1..=60).contains(&longest), "{longest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_parameters_are_refused() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for path in [
        "/api/events?state=sent",
        "/api/events?day=2025-06-15&Limit=5",
        "/api/recipients/919812345678?page=2",
        "/api/messages/m?limit=5",
        "/api/summary?bots=1",
        "/api/dead-letters?full=1",
        "/api/session?x=1",
    ] {
        let answer = ask(&dashboard, Method::GET, path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
}
