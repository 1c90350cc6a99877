//! The dashboard's answers are bounded: none is larger than Lambda delivers, none reads a whole busy day,
//! and work on one dead letter leaves the others alone.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::join_all;
use http::Method;
use integration_tests::verified;
use integration_tests::{
    binary::Function,
    fixtures::{LARGE_BODY_BUDGET, post, request_to},
    proxy::Treatment,
    scene::Scene,
};
use serde_json::{Value, json};
use webhook_ingest::{
    events_table::item::Item,
    operations::clients::{Aws, Timeouts},
    queue::message::{QueueMessage, Reason},
};

/// What a function may return: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LARGEST: usize = 6 * 1024 * 1024;
const DAY: &str = "2025-06-15";
/// Noon of that day, in milliseconds.
const NOON: i64 = 1_749_988_800_000;
const NUMBER: &str = "919812345678";

/// A dashboard's answer, which Lambda would have delivered.
async fn ask(dashboard: &Function, method: Method, path: &str) -> (u16, Value, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = [("content-type", "application/json")];
    let event = request_to(&method, path, query, &headers, b"{}");
    let payload = dashboard.invoke(&event).await.payload;
    let bytes = payload.to_string().len();
    assert!(bytes < LARGEST, "{path}?{query}: {bytes} bytes");
    let status = u16::try_from(payload["statusCode"].as_u64().unwrap()).unwrap();
    let body = payload["body"].as_str().unwrap().to_owned();
    (status, payload["headers"].clone(), body)
}

async fn json(dashboard: &Function, path: &str) -> Value {
    let (status, _, body) = ask(dashboard, Method::GET, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn item(id: &str, key: &str, at: i64, shard: u8, remarks: &str) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (channel, status) = key.split_once('#').unwrap();
    Item::from([
        ("message_id".to_owned(), text(id)),
        ("status_key".to_owned(), text(key)),
        ("channel".to_owned(), text(channel)),
        ("status".to_owned(), text(status.split('#').next().unwrap())),
        ("day_shard".to_owned(), text(&format!("{DAY}#{shard:02}"))),
        ("event_time".to_owned(), AttributeValue::N(at.to_string())),
        ("received_at".to_owned(), AttributeValue::N(at.to_string())),
        ("provider".to_owned(), text("netcore")),
        ("format".to_owned(), text("netcore-events")),
        ("recipient".to_owned(), text(NUMBER)),
        ("remarks".to_owned(), text(remarks)),
    ])
}

async fn aws_of(scene: &Scene) -> Aws {
    scene.place.aws(Timeouts::unhurried()).await
}

/// Events of a list, page by page, in the order of the pages.
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
async fn no_list_is_larger_than_lambda_delivers() {
    let scene = Scene::set().await;
    // What is shortest in the table and longest on its way: a quote takes four bytes there.
    let wide = "\"".repeat(380_000);
    let count = 6;
    for place in 0..count {
        let shard = u8::try_from(place % 16).unwrap();
        let at = NOON + i64::from(place) * 1000;
        let click = item("m-1", &format!("RCS#clicked#{place}"), at, shard, &wide);
        scene.ledger.put(click).await;
    }
    // The last event by its key and the first by its time: the state must know it.
    let delivered = item("m-1", "SMS#delivered", NOON - 1000, 3, "");
    scene.ledger.put(delivered).await;
    let dashboard = scene.function("dashboard", &[]).await;
    let all: BTreeSet<String> = (0..count)
        .map(|place| format!("RCS#clicked#{place}"))
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

    // Lines of a table are bounded in the same way, and the parts make one table.
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

/// The parts of a table, as its links lead from one to the next.
async fn parts(dashboard: &Function, path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let base = path.split('?').next().unwrap();
    let mut next = path.to_owned();
    loop {
        let (status, headers, body) = ask(dashboard, Method::GET, &next).await;
        assert_eq!(status, 200, "{next}: {body}");
        parts.push(body);
        let Some(link) = headers["link"].as_str() else {
            assert!(headers["x-truncated"].is_null());
            return parts;
        };
        assert_eq!(headers["x-truncated"], "true");
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
async fn a_table_of_a_rare_status_does_not_read_a_busy_day_at_once() {
    let scene = Scene::set().await;
    // All in one shard, of which a round reads 250: as busy as 48,000 events spread over all.
    let events = 3_000_i64;
    let rare = [3, 1_400, 2_999];
    let items = (0..events)
        .map(|place| {
            let key = if rare.contains(&place) {
                "RCS#blocked"
            } else {
                "RCS#sent"
            };
            item(&format!("m-{place}"), key, NOON + place, 7, "")
        })
        .collect();
    scene.ledger.put_all(items).await;
    let dashboard = scene.function("dashboard", &[]).await;
    scene.table.forget();
    let path = "/api/events?day=2025-06-15&status=blocked&format=csv";
    let (status, headers, first) = ask(&dashboard, Method::GET, path).await;
    assert_eq!((status, headers["x-truncated"].as_str()), (200, Some("true")));
    // Five rounds of sixteen shards at most.
    let calls = scene.table.calls("Query");
    assert!((5..=80).contains(&calls), "{calls}");
    assert_eq!(
        first.lines().count(),
        2,
        "the header and the newest of the three: {first}"
    );

    scene.table.forget();
    let parts = parts(&dashboard, path).await;
    assert_eq!(parts.len(), 3);
    let lines: Vec<String> = parts.concat().lines().skip(1).map(str::to_owned).collect();
    let ids: Vec<&str> = lines.iter().map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(ids, ["m-2999", "m-1400", "m-3"]);
    let calls = scene.table.calls("Query");
    assert!(calls <= 3 * 80, "{calls}");

    // A viewer gets no cursor, so his page is filled from as many rounds, and no more.
    let viewer = scene.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    scene.table.forget();
    let page = json(&viewer, "/api/events?day=2025-06-15&status=blocked&limit=200").await;
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["truncated"]),
        (1, &json!(true))
    );
    assert!(scene.table.calls("Query") <= 80);

    // All of the day, line by line.
    let whole = self::parts(&dashboard, "/api/events?day=2025-06-15&format=csv")
        .await
        .concat();
    assert_eq!(whole.lines().count(), 3_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_csv_table_has_ten_thousand_lines_at_most() {
    let scene = Scene::set().await;
    // Evenly spread over the shards, as the receivers store them.
    let items: Vec<Item> = (0..10_200_u32)
        .map(|place| {
            let shard = u8::try_from(place % 16).unwrap();
            item(
                &format!("m-{place}"),
                "RCS#sent",
                NOON + i64::from(place),
                shard,
                "",
            )
        })
        .collect();
    scene.ledger.put_all(items).await;
    let dashboard = scene.function("dashboard", &[]).await;
    let parts = parts(&dashboard, "/api/events?day=2025-06-15&format=csv").await;
    let lines: Vec<usize> = parts.iter().map(|part| part.lines().count()).collect();
    // The header is a line of the first part and of no other.
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
async fn a_letter_that_no_answer_holds_is_not_deleted() {
    let scene = Scene::set().await;
    let receiver = scene.function("event-webhook", &[LARGE_BODY_BUDGET]).await;
    let body = "\"".repeat(5_800_000);
    assert_eq!(receiver.request(&post(body.as_bytes())).await.status, 400);
    let dashboard = scene
        .function(
            "dashboard",
            &[("DASHBOARD_ROLE", "operator"), ("DASHBOARD_REDRIVE", "true")],
        )
        .await;
    let look = json(&dashboard, "/api/dead-letters?content=full").await;
    let letter = &look["newest"][0];
    let id = letter["letter"]
        .as_str()
        .or(letter["id"].as_str())
        .unwrap()
        .to_owned();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let path = format!("/api/dead-letters/{id}/discard");
    for _ in 0..2 {
        let (status, _, answer) = ask(&dashboard, Method::POST, &path).await;
        assert_eq!(status, 409, "{answer}");
        assert!(answer.contains("dead-letters discard"), "{answer}");
    }
    let kept = scene.ledger.take_dead().await;
    let letters: Vec<QueueMessage> = kept
        .iter()
        .map(|message| QueueMessage::read(message.body().unwrap()).unwrap())
        .collect();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].body.bytes() == body.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_on_one_letter_leaves_the_others_where_they_are() {
    let scene = Scene::set().await;
    let aws = aws_of(&scene).await;
    let letters = 64;
    let sends = (0..letters).map(|place| {
        let letter = QueueMessage {
            reason: Reason::Malformed,
            detail: "not JSON".to_owned(),
            function: "event-webhook".to_owned(),
            received_at: 0,
            body: verified(&format!("letter {place}").into_bytes()).into(),
        };
        let send = aws
            .sqs
            .send_message()
            .queue_url(&scene.place.dead_letter_queue_url);
        send.message_body(letter.write().remove(0)).send()
    });
    let ids: Vec<String> = join_all(sends)
        .await
        .into_iter()
        .map(|sent| sent.unwrap().message_id().unwrap().to_owned())
        .collect();
    let longest = Arc::new(Mutex::new(0));
    let seen = longest.clone();
    scene.queues.decide(move |call| {
        if call.operation == "ReceiveMessage" {
            let body: Value = serde_json::from_slice(call.body).unwrap();
            let hidden = body["VisibilityTimeout"].as_i64().unwrap();
            let mut longest = seen.lock().unwrap();
            *longest = hidden.max(*longest);
        }
        Treatment::Pass
    });
    let dashboard = scene
        .function(
            "dashboard",
            &[("DASHBOARD_ROLE", "operator"), ("DASHBOARD_REDRIVE", "true")],
        )
        .await;

    // An empty id is nobody's, and above all not everybody's.
    for action in ["redrive", "discard"] {
        let (status, _, answer) =
            ask(&dashboard, Method::POST, &format!("/api/dead-letters//{action}")).await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(scene.queues.calls("ReceiveMessage"), 0);
    for (id, status) in [("none", 404), (ids[60].as_str(), 200)] {
        scene.queues.forget();
        let path = format!("/api/dead-letters/{id}/discard");
        let (answered, _, answer) = ask(&dashboard, Method::POST, &path).await;
        assert_eq!(answered, status, "{answer}");
        // Put back ten with one call, and all of them before the answer.
        assert!(scene.queues.calls("ChangeMessageVisibilityBatch") <= 7);
        assert_eq!(hidden(&aws, &scene).await, 0);
    }
    // Should the function die meanwhile, the others show again within a minute.
    let longest = *longest.lock().unwrap();
    assert!((1..=60).contains(&longest), "{longest}");
}

/// How many dead letters are hidden just now.
async fn hidden(aws: &Aws, scene: &Scene) -> u64 {
    let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let answer = aws
        .sqs
        .get_queue_attributes()
        .queue_url(&scene.place.dead_letter_queue_url)
        .attribute_names(name.clone())
        .send()
        .await
        .unwrap();
    answer.attributes().unwrap()[&name].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_parameters_are_refused() {
    let scene = Scene::set().await;
    let dashboard = scene.function("dashboard", &[]).await;
    for path in [
        "/api/events?state=sent",
        "/api/events?day=2025-06-15&Limit=5",
        "/api/recipients/919812345678?page=2",
        "/api/messages/m?limit=5",
        "/api/summary?bots=1",
        "/api/dead-letters?full=1",
        "/api/session?x=1",
    ] {
        let (status, _, body) = ask(&dashboard, Method::GET, path).await;
        assert_eq!(status, 400, "{path}: {body}");
    }
}
