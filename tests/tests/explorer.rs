//! Lists of events over a range: filters, orders, cursors, limits and costs.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an unexpected result must fail the test"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::request_to,
    function::Function,
    proxy::Treatment,
    stack::Stack,
    storage::{Key, key, text},
};
use serde_json::{Value, json};
use webhook_ingest::{
    events_table::item::{self, Arrival, Item},
    provider::{self, netcore_events},
};

/// 2026-03-28T22:30:00Z. The events end on 2026-03-30, after a change of clocks in Europe.
const BEGIN: i64 = 1_774_737_000_000;
const STEP: i64 = 300_000;
const EVENTS: i64 = 420;

/// An event, as this test knows it.
#[derive(Debug, Clone)]
struct Row {
    key: Key,
    at: i64,
    channel: &'static str,
    status: &'static str,
    bot: &'static str,
    tags: Vec<&'static str>,
    campaign: Option<&'static str>,
    template: Option<&'static str>,
    message_type: &'static str,
    remarks: String,
    country: Option<&'static str>,
}

type Condition<'a> = Box<dyn Fn(&Row) -> bool + 'a>;

/// The item of an event as receivers build it.
fn built(id: &str, channel: &str, status: &str, at: i64, more: &Value) -> Item {
    let mut record = json!({"message_id": id, "channel": channel, "status": status, "event_time": at});
    record
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).unwrap();
    let arrival = Arrival {
        at,
        stored_at: None,
        retention_days: 0,
        late_after_hours: 72,
    };
    item::build(event, arrival).unwrap().into()
}

/// Events of three days with all combinations of values. A third are stored as an earlier version did: in shards 00
/// to 15.
fn rows() -> Vec<(Row, Item)> {
    let statuses = [
        "sent",
        "delivered",
        "read",
        "clicked",
        "failed",
        "not_sent",
        "deferred",
        "opened",
    ];
    let numbers = [
        ("919812345678", Some("IN")),
        ("12125550123", Some("US")),
        ("14165550123", Some("CA")),
        ("whatsapp:IN.1346", None),
    ];
    (0..EVENTS)
        .map(|index| {
            let pick = |list: usize, stride: i64| usize::try_from(index / stride).unwrap() % list;
            // Seven events share a time.
            let at = BEGIN + index / 7 * 7 * STEP;
            let (number, country) = numbers[pick(4, 1)];
            let status = statuses[pick(8, 3)];
            let failed = matches!(status, "failed" | "not_sent");
            let row = Row {
                key: (String::new(), String::new()),
                at,
                channel: ["RCS", "SMS", "VIBER"][pick(3, 2)],
                status,
                bot: ["682", "683"][pick(2, 5)],
                tags: [vec!["a&b=c"], vec!["x", "Día"], vec![]][pick(3, 7)].clone(),
                campaign: [Some("Diwali 2026"), None][pick(2, 11)],
                template: (status == "clicked").then_some(["temp_a", "temp_b"][pick(2, 13)]),
                message_type: ["Text", "TEXT", "Carousel"][pick(3, 17)],
                remarks: if failed {
                    ["", "Operator rejected 919876543210", "not RCS"][pick(3, 19)].to_owned()
                } else {
                    String::new()
                },
                country,
            };
            let mut item = built(
                &format!("m-{index}"),
                row.channel,
                status,
                at,
                &json!({
                    "nc_bot_id": row.bot, "tags": row.tags, "type": row.message_type, "remarks": row.remarks,
                }),
            );
            item.insert("recipient".into(), text(number));
            if let Some(campaign) = row.campaign {
                item.insert("campaign".into(), text(campaign));
            }
            if let Some(template) = row.template {
                let metadata = json!({"templateCode": template, "msgId": "m"}).to_string();
                let click = HashMap::from([("metadata".to_owned(), text(metadata))]);
                item.insert("click".into(), AttributeValue::M(click));
            }
            if status == "opened" && index % 2 == 0 {
                item.insert("opened_by".into(), text("Apple Mail Privacy Protection"));
            }
            if index % 3 == 0 {
                let shard = item["day_shard"].as_s().unwrap()[..10].to_owned();
                item.insert("day_shard".into(), text(format!("{shard}#{:02}", index % 16)));
            }
            let row = Row {
                key: key(&item),
                ..row
            };
            (row, item)
        })
        .collect()
}

async fn ask(dashboard: &Function, query: &str) -> Answer {
    let reply = dashboard
        .invoke(&request_to(&Method::GET, "/api/events", query, &[], b""))
        .await;
    reply.into()
}

async fn page(dashboard: &Function, query: &str) -> Value {
    let answer = ask(dashboard, query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()
}

/// The pages of a list.
async fn pages(dashboard: &Function, query: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut at = String::new();
    loop {
        let page = page(dashboard, &format!("{query}{at}")).await;
        let cursor = page["cursor"].as_str().map(str::to_owned);
        assert_eq!(cursor.is_some(), page["searched_to"].is_i64(), "{page}");
        pages.push(page);
        assert!(pages.len() < 500, "{query} never ends");
        match cursor {
            Some(cursor) => {
                // A URL of 8,192 bytes passes CloudFront.
                assert!(cursor.len() < 5_000, "{}", cursor.len());
                at = format!("&cursor={cursor}");
            }
            None => return pages,
        }
    }
}

fn keys(pages: &[Value]) -> Vec<(i64, Key)> {
    let events = pages.iter().flat_map(|page| page["events"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events
        .map(|event| {
            let key = (text(&event["message_id"]), text(&event["status_key"]));
            (event["event_time"].as_i64().unwrap(), key)
        })
        .collect()
}

/// Checks that a list contains the rows for which a condition is true, each once, in order.
async fn check(
    dashboard: &Function,
    rows: &[(Row, Item)],
    query: &str,
    limits: &[usize],
    is_wanted: impl Fn(&Row) -> bool,
) {
    let wanted: BTreeSet<&Key> = rows
        .iter()
        .filter(|(row, _)| is_wanted(row))
        .map(|(row, _)| &row.key)
        .collect();
    for order in ["newest", "oldest"] {
        for limit in limits {
            let query = format!("{query}&order={order}&limit={limit}");
            let pages = pages(dashboard, &query).await;
            let listed = keys(&pages);
            assert!(
                pages
                    .iter()
                    .all(|page| page["events"].as_array().unwrap().len() <= *limit)
            );
            let unique: BTreeSet<&Key> = listed.iter().map(|(_, key)| key).collect();
            assert_eq!(unique, wanted, "{query}");
            assert_eq!(listed.len(), wanted.len(), "{query}");
            match order {
                "newest" => assert!(listed.is_sorted_by(|a, b| a.0 >= b.0), "{query}"),
                _ => assert!(listed.is_sorted_by(|a, b| a.0 <= b.0), "{query}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_lists_the_events_of_a_recount() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    let reason = |row: &Row, text: &str| matches!(row.status, "failed" | "not_sent") && row.remarks == text;
    let all = "from=2026-03-28&to=2026-03-30";
    let machines: BTreeSet<&Key> = rows
        .iter()
        .filter(|(_, item)| item.contains_key("opened_by"))
        .map(|(row, _)| &row.key)
        .collect();
    let cases: Vec<(&str, Condition<'_>)> = vec![
        ("", Box::new(|_| true)),
        ("&status=failed", Box::new(|row| row.status == "failed")),
        (
            "&status=Not%20sent,FAILED",
            Box::new(|row| matches!(row.status, "failed" | "not_sent")),
        ),
        (
            "&status=deferred,clicked",
            Box::new(|row| matches!(row.status, "deferred" | "clicked")),
        ),
        ("&status=opened", Box::new(|row| row.status == "opened")),
        (
            "&status=opened_by_machine",
            Box::new(|row| machines.contains(&row.key)),
        ),
        (
            "&status=opened_by_machine,read",
            Box::new(|row| row.status == "read" || machines.contains(&row.key)),
        ),
        ("&status=bounced", Box::new(|_| false)),
        ("&channel=sms", Box::new(|row| row.channel == "SMS")),
        ("&channel=sms,viber", Box::new(|row| row.channel != "RCS")),
        (
            "&channel=RCS&status=read",
            Box::new(|row| row.channel == "RCS" && row.status == "read"),
        ),
        ("&bot=682", Box::new(|row| row.bot == "682")),
        ("&tag=a%26b%3Dc", Box::new(|row| row.tags.contains(&"a&b=c"))),
        ("&tag=D%C3%ADa", Box::new(|row| row.tags.contains(&"Día"))),
        ("&campaign=Diwali%202026", Box::new(|row| row.campaign.is_some())),
        ("&template=temp_a", Box::new(|row| row.template == Some("temp_a"))),
        ("&type=text", Box::new(|row| row.message_type != "Carousel")),
        ("&country=us", Box::new(|row| row.country == Some("US"))),
        ("&country=IN", Box::new(|row| row.country == Some("IN"))),
        ("&reason=not%20RCS", Box::new(move |row| reason(row, "not RCS"))),
        (
            "&reason=no%20reason%20given",
            Box::new(move |row| reason(row, "")),
        ),
        (
            // As counted: with a redacted number.
            "&reason=Operator%20rejected%20*********210&status=failed",
            Box::new(move |row| row.status == "failed" && reason(row, "Operator rejected 919876543210")),
        ),
        (
            "&channel=RCS&bot=683&tag=x&country=CA",
            Box::new(|row| {
                row.channel == "RCS"
                    && row.bot == "683"
                    && row.tags.contains(&"x")
                    && row.country == Some("CA")
            }),
        ),
        (
            "&status=sent,delivered&campaign=Diwali%202026&type=CAROUSEL",
            Box::new(|row| {
                matches!(row.status, "sent" | "delivered")
                    && row.campaign.is_some()
                    && row.message_type == "Carousel"
            }),
        ),
    ];
    for (filter, is_wanted) in &cases {
        let found = rows.iter().filter(|(row, _)| is_wanted(row)).count();
        assert!(found > 0 || filter.contains("bounced"), "{filter} is no test");
        check(
            &dashboard,
            &rows,
            &format!("{all}{filter}"),
            &[23, 200],
            is_wanted,
        )
        .await;
    }
    // 2026-03-28T22:30Z to two hours later.
    let part = "from=2026-03-28T22:30&to=2026-03-29T00:30";
    let is_in_part = |row: &Row| row.at < BEGIN + 7_200_000;
    check(&dashboard, &rows, part, &[1, 6], is_in_part).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_of_the_time_zone() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (query, from, to) in [
        // 2026-03-29T00:00Z to the day after.
        ("day=2026-03-29", 1_774_742_400_000, 1_774_828_800_000),
        (
            "from=2026-03-29&to=2026-03-29",
            1_774_742_400_000,
            1_774_828_800_000,
        ),
        ("to=2026-03-29", 1_774_742_400_000, 1_774_828_800_000),
        (
            "from=2026-03-29T00:00:00Z&to=2026-03-30T00:00Z",
            1_774_742_400_000,
            1_774_828_800_000,
        ),
        // 5:30 ahead of UTC.
        (
            "day=2026-03-29&tz=Asia/Kolkata",
            1_774_722_600_000,
            1_774_809_000_000,
        ),
        (
            "from=2026-03-29T00:00&to=2026-03-29T12:00&tz=Asia%2FKolkata",
            1_774_722_600_000,
            1_774_765_800_000,
        ),
        (
            "from=2026-03-29T00:00%2B05:30&to=2026-03-29T12:00+05:30",
            1_774_722_600_000,
            1_774_765_800_000,
        ),
        // A day of 23 hours.
        (
            "day=2026-03-29&tz=Europe/Berlin",
            1_774_738_800_000,
            1_774_821_600_000,
        ),
        // The end is the first time after the range: these two meet at an event's time.
        (
            "from=2026-03-28&to=2026-03-28T23:40:00Z",
            1_774_656_000_000,
            1_774_741_200_000,
        ),
        (
            "from=2026-03-28T23:40:00Z&to=2026-03-28",
            1_774_741_200_000,
            1_774_742_400_000,
        ),
        (
            "from=2026-03-01&to=2026-03-31",
            1_772_323_200_000,
            1_775_001_600_000,
        ),
    ] {
        let found = rows
            .iter()
            .filter(|(row, _)| (from..to).contains(&row.at))
            .count();
        assert!(found > 0, "{query} is no test");
        check(&dashboard, &rows, query, &[200], |row| {
            (from..to).contains(&row.at)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_filter_is_named_in_the_error() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (query, expected) in [
        (
            "day=2026-03-29&from=2026-03-29",
            "use day, or from and to, not both",
        ),
        (
            "from=2026-03-30&to=2026-03-29",
            "from must be before to, and the range at most 366 days",
        ),
        (
            "from=2026-03-29T10:00&to=2026-03-29T10:00",
            "from must be before to, and the range at most 366 days",
        ),
        (
            "from=2024-03-29&to=2026-03-29",
            "from must be before to, and the range at most 366 days",
        ),
        (
            "from=9999-12-31&to=9999-12-31",
            "the range is beyond the calendar",
        ),
        (
            "from=yesterday",
            "from must be a date, YYYY-MM-DD, or a time, such as 2026-11-21T10:15 or 2026-11-21T10:15:00+05:30",
        ),
        (
            "tz=Mars/Phobos",
            "tz must be the IANA name of a time zone, such as Asia/Kolkata",
        ),
        (
            "country=India",
            "country must be two letters of ISO 3166-1, such as IN",
        ),
        ("order=random", "order must be newest or oldest"),
        ("status=,sent", "status has no letters"),
        (
            "status=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u",
            "status must have at most 20 words",
        ),
    ] {
        let answer = ask(&dashboard, query).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (400, Some(expected)),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_a_range_has_a_line_for_each_event() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (filter, is_wanted) in [
        ("", (|_| true) as fn(&Row) -> bool),
        ("&template=temp_b&order=oldest", |row| {
            row.template == Some("temp_b")
        }),
        ("&country=CA&status=read", |row| {
            row.country == Some("CA") && row.status == "read"
        }),
    ] {
        let answer = ask(
            &dashboard,
            &format!("from=2026-03-28&to=2026-03-30&format=csv{filter}"),
        )
        .await;
        assert_eq!((answer.status, answer.header("link")), (200, None));
        assert_eq!(
            answer.header("content-disposition"),
            Some("attachment; filename=\"events-2026-03-28-2026-03-30.csv\"")
        );
        let mut ids: Vec<&str> = answer
            .body
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap())
            .collect();
        ids.sort_unstable();
        let mut wanted: Vec<&str> = rows
            .iter()
            .filter(|(row, _)| is_wanted(row))
            .map(|(row, _)| row.key.0.as_str())
            .collect();
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_belongs_to_one_list() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    let of = "day=2026-03-29&status=sent&limit=5";
    let cursor = page(&dashboard, of).await["cursor"].as_str().unwrap().to_owned();
    for (query, status) in [
        (of, 200),
        // Another limit and another name of the same range.
        (
            "from=2026-03-29&to=2026-03-29&status=SENT&limit=7&order=newest",
            200,
        ),
        // The range of the cursor.
        ("status=sent", 200),
        ("day=2026-03-29&status=sent&order=oldest", 400),
        ("day=2026-03-29&status=sent&tag=x", 400),
        ("day=2026-03-29&status=delivered", 400),
        ("day=2026-03-29", 400),
        ("day=2026-03-30&status=sent", 400),
        ("day=2026-03-29&tz=Asia/Kolkata&status=sent", 400),
    ] {
        let answer = ask(&dashboard, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        if status == 400 {
            assert_eq!(
                answer.json()["error"],
                "the cursor does not belong to this list",
                "{query}"
            );
        }
    }
}

/// A partition key of the index is the day and the shard, so the body of a query contains it.
fn shard_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["ExpressionAttributeValues"][":day_shard"]["S"]
        .as_str()
        .map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rare_status_on_a_busy_day_takes_few_queries() {
    let stack = Stack::start().await;
    let day = 1_774_742_400_000_i64;
    let mut items: Vec<Item> = (0..12_000)
        .map(|index| {
            built(
                &format!("busy-{index}"),
                "RCS",
                "sent",
                day + index * 7_000,
                &json!({}),
            )
        })
        .collect();
    for index in 0..3 {
        items.push(built(
            &format!("rare-{index}"),
            "RCS",
            "failed",
            day + index * 20_000_000,
            &json!({}),
        ));
    }
    stack.storage.put_all(items).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(BTreeMap::<String, usize>::new()));
    let of_rule = seen.clone();
    stack.table.decide(move |call| {
        if let Some(shard) = shard_of(call.body) {
            *of_rule.lock().unwrap().entry(shard).or_default() += 1;
        }
        Treatment::Pass
    });
    let query = "day=2026-03-29&status=failed";
    stack.table.reset_counts();
    assert_eq!(keys(&pages(&dashboard, query).await).len(), 3);
    assert_eq!(
        (stack.table.calls("Query"), stack.table.calls("BatchGetItem")),
        (8 + 16, 1)
    );
    let shards: Vec<String> = seen.lock().unwrap().keys().cloned().collect();
    let expected: Vec<String> = (0..16)
        .chain(44..52)
        .map(|shard| format!("2026-03-29#{shard:02}"))
        .collect();
    assert_eq!(shards, expected);
    // The shards of earlier versions are known as empty now.
    stack.table.reset_counts();
    assert_eq!(keys(&pages(&dashboard, query).await).len(), 3);
    assert_eq!(
        (stack.table.calls("Query"), stack.table.calls("BatchGetItem")),
        (8, 1)
    );
    // Without a status, a page of the newest of 12,003 events takes a query for each shard.
    stack.table.reset_counts();
    let newest = page(&dashboard, "day=2026-03-29&limit=50").await;
    assert_eq!(newest["events"].as_array().unwrap().len(), 50);
    let calls = stack.table.calls("Query");
    assert!((44..=52).contains(&calls), "{calls}");
    assert_eq!(stack.table.calls("BatchGetItem"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_for_a_rare_tag_ends_and_says_how_far_it_looked() {
    let stack = Stack::start().await;
    let day = 1_774_742_400_000_i64;
    let rare = [100_i64, 4_900];
    let items = (0..5_000).map(|index| {
        let tags = if rare.contains(&index) {
            json!(["rare"])
        } else {
            json!(["common"])
        };
        built(
            &format!("m-{index}"),
            "RCS",
            "sent",
            day + index * 10_000,
            &json!({"tags": tags}),
        )
    });
    stack.storage.put_all(items.collect()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    stack.table.reset_counts();
    let pages = pages(&dashboard, "day=2026-03-29&tag=rare&status=sent").await;
    let ids: Vec<String> = keys(&pages).into_iter().map(|(_, key)| key.0).collect();
    assert_eq!(ids, ["m-4900", "m-100"]);
    // 2,000 items a page.
    let found: Vec<usize> = pages
        .iter()
        .map(|page| page["events"].as_array().unwrap().len())
        .collect();
    assert_eq!(found, [1, 0, 1]);
    let searched: Vec<Option<i64>> = pages.iter().map(|page| page["searched_to"].as_i64()).collect();
    assert_eq!(
        searched,
        [Some(day + 2_999 * 10_000), Some(day + 999 * 10_000), None]
    );
    // 5,000 items in calls of 50, and a call for each beginning.
    assert!(
        stack.table.calls("BatchGetItem") < 130,
        "{}",
        stack.table.calls("BatchGetItem")
    );
    // A page that ends with the first event is the same list.
    check_first(&dashboard, "day=2026-03-29&tag=rare&limit=1", "m-4900").await;
    check_first(
        &dashboard,
        "day=2026-03-29&tag=rare&limit=1&order=oldest",
        "m-100",
    )
    .await;
}

async fn check_first(dashboard: &Function, query: &str, id: &str) {
    let first = page(dashboard, query).await;
    assert_eq!(first["events"][0]["message_id"], id, "{query}");
}

/// A sender chooses ids and times: the longest ids, and one time for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_time_with_the_longest_ids_are_listed_once() {
    let stack = Stack::start().await;
    let day = 1_774_742_400_000_i64;
    let items = (0..400_i64).map(|index| {
        let id = format!("{}{index}", "\u{10ffff}\"".repeat(400));
        built(
            &id,
            "RCS",
            ["clicked", "received", "sent"][usize::try_from(index % 3).unwrap()],
            day,
            &json!({}),
        )
    });
    let items: Vec<Item> = items.collect();
    stack.storage.put_all(items.clone()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    for order in ["newest", "oldest"] {
        let listed = keys(&pages(&dashboard, &format!("day=2026-03-29&limit=9&order={order}")).await);
        let unique: BTreeSet<Key> = listed.iter().map(|(_, key)| key.clone()).collect();
        assert_eq!((listed.len(), unique), (400, items.iter().map(key).collect()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_values_are_words_and_forged_cursors_are_refused() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    for value in [
        "%00",
        "'%20OR%201=1--",
        "%22%7D%7D",
        "%F4%8F%BF%BF",
        "=cmd%7C'/C%20calc'!A0",
        &"x".repeat(5_000),
    ] {
        for name in ["tag", "bot", "campaign", "template", "type", "reason", "channel"] {
            let page = page(&dashboard, &format!("day=2026-03-29&{name}={value}")).await;
            assert_eq!(page["events"], json!([]), "{name}={value}");
        }
    }
    let encoded = |cursor: &Value| URL_SAFE_NO_PAD.encode(cursor.to_string());
    let real = page(&dashboard, "day=2026-03-29&limit=3").await["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let decoded = decode(&real);
    let same = ask(
        &dashboard,
        &format!("day=2026-03-29&cursor={}", encoded(&decoded)),
    )
    .await;
    assert_eq!(same.status, 200, "{}", same.body);
    let forged = |change: fn(&mut Value)| {
        let mut cursor = decoded.clone();
        change(&mut cursor);
        encoded(&cursor)
    };
    for cursor in [
        forged(|c| c["span"] = json!({"from": 0, "to": i64::MAX})),
        forged(|c| c["span"] = json!({"from": i64::MIN, "to": i64::MAX})),
        forged(|c| c["span"] = json!({"from": 5, "to": 4})),
        forged(|c| c["position"]["at"] = json!(0)),
        forged(|c| c["position"]["at"] = json!(i64::MAX)),
        forged(|c| c["position"]["partition"] = json!(-1)),
        forged(|c| c["position"]["after"] = json!(["", ""])),
        forged(|c| c["list"] = json!("x")),
        "e30".to_owned(),
        "null".to_owned(),
    ] {
        let answer = ask(&dashboard, &format!("day=2026-03-29&cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{:?}: {}", decode(&cursor), answer.body);
    }
}

fn decode(cursor: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_filters_without_numbers() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let viewer = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    let list = page(
        &viewer,
        "from=2026-03-28T23:00&to=2026-03-30&tag=x&reason=not%20RCS&limit=4",
    )
    .await;
    assert_eq!(list["events"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&list["truncated"], &list["cursor"]),
        (&json!(true), &json!(null))
    );
    assert!(!list.to_string().contains("9812345678"));
    for query in [
        "country=IN",
        "tag=919812345678",
        "campaign=a@b.example",
        "reason=Operator%20rejected%20919876543210",
        "bot=+91%2098123%2045678",
        "type=919812345678",
        "template=919812345678",
        "status=sent,x919812345678",
        "cursor=x",
    ] {
        assert_eq!(ask(&viewer, query).await.status, 403, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_answer_is_an_error_and_loses_no_event() {
    let stack = Stack::start().await;
    let rows = rows();
    stack
        .storage
        .put_all(rows.iter().map(|(_, item)| item.clone()).collect())
        .await;
    let dashboard = stack.function("dashboard", &[]).await;
    // One shard of many is throttled.
    stack.table.decide(|call| match shard_of(call.body).as_deref() {
        Some("2026-03-29#27") => Treatment::Throttle,
        _ => Treatment::Pass,
    });
    assert_eq!(ask(&dashboard, "day=2026-03-29").await.status, 503);
    assert_eq!(ask(&dashboard, "day=2026-03-29&format=csv").await.status, 503);
    assert_eq!(ask(&dashboard, "day=2026-03-29&status=failed").await.status, 200);
    // Some calls are throttled: the SDK tries again.
    stack.table.decide(|call| match call.number {
        2 | 5 | 40 | 41 | 90 => Treatment::Throttle,
        _ => Treatment::Pass,
    });
    check(&dashboard, &rows, "from=2026-03-28&to=2026-03-30", &[200], |_| {
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_without_a_tag_are_skipped_and_the_response_says_so() {
    let stack = Stack::start().await;
    let day = 1_774_742_400_000_i64;
    // An event each minute; two with the tag, in the hours 3 and 13.
    let rare = [3 * 60 + 20, 13 * 60 + 50];
    let items = (0..1_440).map(|minute| {
        let tags = if rare.contains(&minute) {
            json!(["rare"])
        } else {
            json!(["common"])
        };
        built(
            &format!("m-{minute}"),
            "RCS",
            "sent",
            day + minute * 60_000,
            &json!({"tags": tags}),
        )
    });
    stack.storage.put_all(items.collect()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let query = "from=2026-03-29T01:00&to=2026-03-30T00:00&tag=rare";
    let counted = |series: &str, period: &str| {
        Item::from([
            ("series".to_owned(), text(series)),
            ("period".to_owned(), text(period)),
            ("s|RCS|sent".to_owned(), AttributeValue::N("1".into())),
        ])
    };
    let found = |page: &Value| {
        let events = page["events"].as_array().unwrap().iter();
        let ids: Vec<String> = events
            .map(|event| event["message_id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["skipped_hours"].as_i64())
    };
    let both = || vec!["m-830".to_owned(), "m-200".to_owned()];

    // Nothing is counted recently, so the counters say nothing.
    stack
        .storage
        .put_rollup(counted("0#tag=rare", "hour#2026-03-29T03#0"))
        .await;
    assert_eq!(found(&page(&dashboard, query).await), (both(), None));

    let now = webhook_ingest::event::time::now();
    let today = webhook_ingest::event::time::utc_day(now);
    let mut all = counted("0#all", &format!("day#{today}#0"));
    all.insert("updated_at".into(), AttributeValue::N(now.to_string()));
    stack.storage.put_rollup(all).await;
    // The counters lack the event of hour 13. The response says that 22 of 23 hours were not read.
    assert_eq!(
        found(&page(&dashboard, query).await),
        (vec!["m-200".to_owned()], Some(22))
    );
    assert_eq!(
        found(&page(&dashboard, &format!("{query}&exhaustive=true")).await),
        (both(), None)
    );
    let table = ask(&dashboard, &format!("{query}&format=csv")).await;
    assert_eq!(
        (table.body.lines().count(), table.header("x-skipped-hours")),
        (2, Some("22"))
    );

    // Items of a whole hour, and of a quarter of an hour.
    stack
        .storage
        .put_rollup(counted("0#tag=rare", "hour#2026-03-29T13:45#1"))
        .await;
    stack.table.reset_counts();
    assert_eq!(found(&page(&dashboard, query).await), (both(), Some(21)));
    // 120 candidates instead of 1,440.
    assert!(
        stack.table.calls("BatchGetItem") <= 4,
        "{}",
        stack.table.calls("BatchGetItem")
    );
    for order in ["newest", "oldest"] {
        let query = format!("{query}&limit=1&order={order}");
        let mut ids: Vec<String> = keys(&pages(&dashboard, &query).await)
            .into_iter()
            .map(|(_, key)| key.0)
            .collect();
        if order == "oldest" {
            ids.reverse();
        }
        assert_eq!(ids, both());
    }

    // Counters that do not answer hide nothing, and neither does a day with more tags than are counted.
    stack.table.decide(|call| {
        if call.mentions("tag=rare") {
            Treatment::Throttle
        } else {
            Treatment::Pass
        }
    });
    assert_eq!(found(&page(&dashboard, query).await), (both(), None));
    stack.table.decide(|_| Treatment::Pass);
    let mut names = counted("0#names", "day#2026-03-29#0000");
    names.insert("folded".into(), AttributeValue::Ss(vec!["tags".into()]));
    stack.storage.put_rollup(names).await;
    assert_eq!(found(&page(&dashboard, query).await), (both(), None));
}
