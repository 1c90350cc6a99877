//! The dashboard: its counts, its complete lists, and its responses against the published schema.

use std::time::Duration;

use dynoxide::storage::Storage;
use http::Method;
use integration_tests::{answer::sum, fixtures::AUTH, server::Server};
use netcore_webhooks::local::{EVENTS_TABLE, ROLLUPS_TABLE};
use serde_json::{Value, json};

/// Noon of that day, in seconds.
const NOON: i64 = 1_749_988_800;
const DAY: &str = "2025-06-15";

fn event(number: u32, status: &str, channel: &str, at: i64) -> Value {
    json!({
        "message_id": format!("m-{number}"), "mobile": format!("9100000{number:05}"), "status": status,
        "channel": channel, "event_time": at, "nc_bot_id": if number.is_multiple_of(2) { "682" } else { "683" },
        "tags": [if number.is_multiple_of(3) { "a&b=c" } else { "x" }], "type": "Template",
        "remarks": if status == "Failed" { "Operator rejected 919876543210" } else { "" },
    })
}

async fn fill(server: &Server) -> Vec<Value> {
    let mut events = Vec::new();
    for number in 0..120 {
        events.push(event(number, "Sent", "RCS", NOON + i64::from(number)));
        match number % 4 {
            0 | 1 => events.push(event(number, "Delivered", "RCS", NOON + 3600)),
            2 => events.push(event(number, "Failed", "RCS", NOON + 3600)),
            _ => events.push(event(number, "Sent", "SMS", NOON + 86_400)),
        }
    }
    let answer = server.post("event-webhook", json!(events).to_string()).await;
    // On a busy machine, some events take the path through the retry queue.
    assert_eq!(answer.counts()[0], 240);
    let counted = server.summary("from=2025-06-01&to=2025-06-30", 240).await;
    assert_eq!(sum(&counted["counts"]), 240);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_counts_posted_events_for_every_filter() {
    let server = Server::start().await;
    fill(&server).await;
    let range = "from=2025-06-01&to=2025-06-30";
    let all = server.summary(range, 240).await;
    assert_eq!(
        all["counts"],
        json!([
            {"day": DAY, "channel": "RCS", "status": "delivered", "count": 60},
            {"day": DAY, "channel": "RCS", "status": "failed", "count": 30},
            {"day": DAY, "channel": "RCS", "status": "sent", "count": 120},
            {"day": "2025-06-16", "channel": "SMS", "status": "sent", "count": 30},
        ])
    );
    assert_eq!(sum(&all["hours"]), 240);
    assert_eq!(
        all["hours"][0],
        json!({"hour": format!("{DAY}T12"), "channel": "RCS", "status": "sent", "count": 120})
    );
    assert_eq!(
        all["failures"],
        json!([{"channel": "RCS", "reason": "Operator rejected *********210", "count": 30}])
    );
    assert_eq!(
        all["fallback"],
        json!({"attempts": 120, "fell_back": 30, "delivered": 0, "failed": 0, "clicked": 0})
    );
    assert_eq!(all["bots"], json!(["682", "683"]));
    assert_eq!(
        all["tags"],
        json!([
            {"name": "x", "sent": 80, "reached": 40, "read": 0, "clicked": 0, "failed": 20},
            {"name": "a&b=c", "sent": 40, "reached": 20, "read": 0, "clicked": 0, "failed": 10},
        ])
    );
    assert_eq!(all["channels"], json!(["RCS", "SMS"]));
    for (filter, events) in [
        ("bot=682", 120),
        ("tag=a%26b%3Dc", 80),
        ("bot=682&tag=a%26b%3Dc", 40),
        ("bot=none", 0),
        ("channel=sms", 30),
        ("channel=RCS&bot=683", 90),
    ] {
        let part = server.summary(&format!("{range}&{filter}"), events).await;
        assert_eq!(sum(&part["counts"]), events, "{filter}");
        assert_eq!(sum(&part["hours"]), events, "{filter}");
        // A filter does not shorten the list of choices.
        assert_eq!(part["bots"], all["bots"], "{filter}");
    }
    assert_eq!(
        server.json("/api/summary?from=2025-06-16&to=2025-06-16").await["counts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        server.json("/api/summary?from=2025-01-01&to=2025-12-31").await["hours"],
        json!([])
    );
    for wrong in [
        "from=2025-6-1",
        "from=x",
        "from=2025-06-30&to=2025-06-01",
        "from=2020-01-01&to=2025-06-30",
        "to=2025-06-31",
        "from=-9999-01-01",
    ] {
        let answer = server.get(&format!("/api/summary?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    let too_long = server
        .get("/api/summary?from=2025-01-01&to=2025-12-31&tz=Asia/Kolkata")
        .await;
    assert_eq!(too_long.status, 400);
    assert_eq!(
        too_long.json()["error"],
        "from must not be after to, and the range must have at most 366 days in UTC, or 92 in other time zones"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_listed_completely_newest_first_without_duplicates() {
    let server = Server::start().await;
    let posted = fill(&server).await;
    for (filter, limit) in [
        ("", 7),
        ("", 200),
        ("&status=delivered", 10),
        ("&channel=RCS&status=Failed", 3),
        ("&status=read", 5),
    ] {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        let mut pages = 0;
        loop {
            let at = cursor.map(|c| format!("&cursor={c}")).unwrap_or_default();
            let page = server
                .json(&format!("/api/events?day={DAY}&limit={limit}{filter}{at}"))
                .await;
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit);
            seen.extend(events.iter().map(|e| {
                (
                    e["event_time"].as_i64().unwrap(),
                    e["message_id"].to_string(),
                    e["status_key"].to_string(),
                )
            }));
            pages += 1;
            assert!(pages < 300, "{filter}");
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert!(seen.is_sorted_by(|a, b| a.0 >= b.0), "{filter}: {seen:?}");
        let is_wanted = |e: &&Value| {
            e["event_time"].as_i64().unwrap() < NOON + 40_000
                && match filter {
                    "" => true,
                    "&status=read" => false,
                    "&status=delivered" => e["status"] == "Delivered",
                    _ => e["status"] == "Failed",
                }
        };
        let wanted = posted.iter().filter(is_wanted).count();
        assert_eq!(seen.len(), wanted, "{filter}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), wanted, "{filter}");
    }
    let table = server.get(&format!("/api/events?day={DAY}&format=csv")).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(table.body.lines().count(), 211);
    for wrong in [
        "day=2025-06-1",
        "day=today",
        "cursor=x",
        "cursor=W10",
        "limit=0",
        "format=xml",
    ] {
        let answer = server.get(&format!("/api/events?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_folder_without_counters_counts_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::in_folder(folder.path(), Some(AUTH)).await;
    let records = json!([event(1, "Sent", "RCS", NOON), event(2, "Sent", "RCS", NOON)]);
    let answer = first.post("event-webhook", records.to_string()).await;
    assert_eq!(answer.counts()[1], 2);
    first.stop().await;
    // A folder of an earlier version: no counters, no stream.
    let tables = Storage::new(folder.path().join("tables.sqlite").to_str().unwrap()).unwrap();
    tables.drop_data_table(ROLLUPS_TABLE).unwrap();
    assert!(tables.delete_table_metadata(ROLLUPS_TABLE).unwrap());
    tables.disable_stream(EVENTS_TABLE).unwrap();
    drop(tables);

    let second = Server::in_folder(folder.path(), Some(AUTH)).await;
    let records = json!([event(3, "Sent", "RCS", NOON)]);
    let answer = second.post("event-webhook", records.to_string()).await;
    assert_eq!(answer.counts()[1], 1);
    let summary = second.summary(&format!("from={DAY}&to={DAY}"), 3).await;
    assert_eq!(sum(&summary["counts"]), 3);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_contains_its_fallback_and_its_replies() {
    let server = Server::start().await;
    let of = |id: &str, status: &str, channel: &str, at: i64| {
        json!({
            "message_id": id, "mobile": "919876543210", "status": status, "channel": channel, "event_time": at,
            "requestid": "r-1", "callbackdata": "order-1",
        })
    };
    let events = json!([
        of("rcs-1", "Sent", "RCS", NOON),
        of("rcs-1", "Failed", "RCS", NOON + 60),
        of("sms-1", "Sent", "SMS", NOON + 61),
        of("sms-1", "Delivered", "SMS", NOON + 65),
    ]);
    assert_eq!(server.post("event-webhook", events.to_string()).await.status, 200);
    let answer = |id: &str, to: &str| {
        json!([{
            "message_id": id, "from": "bot", "to": "+919876543210", "received_at": (NOON + 100) * 1000, "message_type": "click",
            "message_details": {"suggestionResponse": {
                "metadata": json!({"msgId": to}).to_string(), "postbackData": "yes", "text": "Yes", "type": "REPLY",
            }},
        }])
    };
    for (id, to) in [("in-1", "rcs-1"), ("in-2", "another")] {
        assert_eq!(
            server
                .post("incoming-webhook", answer(id, to).to_string())
                .await
                .status,
            200
        );
    }
    for id in ["rcs-1", "sms-1"] {
        let message = server.json(&format!("/api/messages/{id}")).await;
        let legs: Vec<&Value> = message["journey"]
            .as_array()
            .unwrap()
            .iter()
            .map(|leg| &leg["message_id"])
            .collect();
        assert_eq!(legs, ["rcs-1", "sms-1"]);
        assert_eq!(message["linked"].as_array().unwrap().len(), 2, "{id}");
        let answers: Vec<&Value> = message["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| &a["message_id"])
            .collect();
        assert_eq!(answers, ["in-1"], "{id}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_or_discarded_one_by_one() {
    let server = Server::alone().await;
    let json = [("content-type", "application/json")];
    let act = async |id: &str, action: &str, headers: &[(&str, &str)]| {
        server
            .send(
                Method::POST,
                &format!("/api/dead-letters/{id}/{action}"),
                headers,
                "{}",
            )
            .await
    };
    // One body without a readable record, and one that is not JSON.
    for broken in ["[{\"nothing\": 919876543210}]", "not JSON at all"] {
        assert_eq!(server.post("event-webhook", broken).await.status, 400);
    }
    let listed = server.json("/api/dead-letters?content=full").await;
    let dead_letters = listed["newest"].as_array().unwrap().clone();
    assert_eq!(dead_letters.len(), 2);
    assert!(
        dead_letters.iter().any(|l| l["body"] == "not JSON at all"),
        "{listed}"
    );
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let id = |reason: &str| {
        dead_letters.iter().find(|l| l["reason"] == reason).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (unreadable, malformed) = (id("unreadable"), id("malformed"));

    for (headers, status) in [
        (&[][..], 400),
        (&[("content-type", "text/plain")][..], 400),
        (&[json[0], ("origin", "http://elsewhere.example")][..], 403),
        (&[json[0], ("sec-fetch-site", "cross-site")][..], 403),
        (&[json[0], ("sec-fetch-site", "same-site")][..], 403),
    ] {
        assert_eq!(act(&malformed, "discard", headers).await.status, status);
    }
    assert_eq!(act("unknown", "discard", &json).await.status, 404);
    assert_eq!(
        server
            .get(&format!("/api/dead-letters/{malformed}/discard"))
            .await
            .status,
        405
    );
    let discarded = act(&malformed, "discard", &json).await;
    assert_eq!(discarded.status, 200, "{}", discarded.body);
    assert_eq!(discarded.json()["letter"]["body"], "not JSON at all");
    assert_eq!(act(&malformed, "discard", &json).await.status, 404);
    // Behind a proxy that changes `Host`, the header of the browser decides.
    let ours = [
        json[0],
        ("origin", "https://dashboard.example"),
        ("sec-fetch-site", "same-origin"),
    ];
    let back = act(&unreadable, "redrive", &ours).await;
    assert_eq!((back.status, back.json()), (200, json!({"redriven": 1})));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_match_the_published_schema() {
    let server = Server::start().await;
    fill(&server).await;
    server.summary("from=2025-06-01&to=2025-06-30", 240).await;
    server.post("event-webhook", "no JSON").await;
    let document = server.json("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    for (path, real) in [
        ("/api/messages/{message_id}", "/api/messages/m-2"),
        ("/api/recipients/{number}", "/api/recipients/910000000002"),
        ("/api/events", "/api/events?day=2025-06-15"),
        (
            "/api/summary",
            "/api/summary?from=2025-06-01&to=2025-06-30&compare=true",
        ),
        ("/api/search", "/api/search?q=m-2"),
        ("/api/dead-letters", "/api/dead-letters"),
        ("/api/session", "/api/session"),
        ("/healthz", "/healthz"),
    ] {
        let responses = &document["paths"][path]["get"]["responses"];
        for (response, real, status) in [
            ("200", real.to_owned(), 200),
            (
                "default",
                format!("{}/not/there", real.split('?').next().unwrap()),
                404,
            ),
        ] {
            let mut schema = responses[response]["content"]["application/json"]["schema"].clone();
            assert!(schema.is_object(), "{path} {response}");
            schema["components"] = document["components"].clone();
            let answer = server.get(&real).await;
            assert_eq!(answer.status, status, "{real}");
            let validator = jsonschema::validator_for(&schema).unwrap();
            let faults: Vec<String> = validator
                .iter_errors(&answer.json())
                .map(|e| e.to_string())
                .collect();
            assert_eq!(faults, Vec::<String>::new(), "{real}");
            checked += 1;
            // A schema that accepts everything would prove nothing.
            assert!(!validator.is_valid(&json!([1])), "{path}");
        }
    }
    let sign_in = &document["paths"]["/api/session"]["post"];
    let body = &sign_in["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/Password");
    let sign_out = &document["paths"]["/api/session"]["delete"]["responses"];
    assert!(sign_out["204"].is_object(), "{sign_out}");
    let documented = document["paths"].as_object().unwrap();
    let reads = documented
        .values()
        .filter(|path| path.get("get").is_some())
        .count();
    assert_eq!(checked, reads * 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_a_content_security_policy_and_requires_a_local_host_name() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for asset in page.body.split('"').filter(|part| part.contains("assets/")) {
        let path = format!("/{}", asset.trim_start_matches(['.', '/']));
        assert_eq!(server.get(&path).await.status, 200, "{path}");
    }
    let named = |host: &'static str| [("host", host)];
    for (host, status) in [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:9000", 200),
        ("[::1]:9000", 200),
        ("127.0.0.1", 200),
        ("192.168.1.1", 421),
        ("", 421),
    ] {
        let answer = server.send(Method::GET, "/api/session", &named(host), "").await;
        assert_eq!(answer.status, status, "{host}");
    }
    server.stop().await;
}
