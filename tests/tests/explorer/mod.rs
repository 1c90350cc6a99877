//! Lists of events over a range: filters, orders, cursors, limits and costs.

mod filters;
mod limits;
mod lists;
mod replies;

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
use projector::rebuild::rebuild;
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
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
    /// The category of the price, and whether the provider charges.
    price: Option<(Option<&'static str>, bool)>,
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
                price: [
                    None,
                    Some((Some("marketing"), true)),
                    Some((Some("marketing"), false)),
                    Some((None, true)),
                    Some((Some("utility"), true)),
                ][pick(5, 23)],
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
            if let Some((category, billable)) = row.price {
                let mut price = HashMap::from([("billable".to_owned(), AttributeValue::Bool(billable))]);
                price.extend(category.map(|category| ("category".to_owned(), text(category))));
                item.insert("pricing".into(), AttributeValue::M(price));
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

/// A stack with these events.
async fn stack_with_events() -> (Stack, Vec<(Row, Item)>) {
    let stack = Stack::start().await;
    let rows = rows();
    let items = rows.iter().map(|(_, item)| item.clone());
    stack.storage.put_all(items.collect()).await;
    (stack, rows)
}

/// Counts all events, as if the last one had been counted just now.
async fn count(stack: &Stack) {
    let rollups = stack.rollups().await;
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    let current = rollups.generations().await.unwrap().current;
    let now = time::now();
    stack
        .storage
        .put_rollup(Item::from([
            ("series".to_owned(), text(format!("{current}#all"))),
            ("period".to_owned(), text(format!("day#{}#0", time::utc_day(now)))),
            ("updated_at".to_owned(), AttributeValue::N(now.to_string())),
        ]))
        .await;
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
