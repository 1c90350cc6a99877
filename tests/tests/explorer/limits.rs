//! What a list reads, where it ends, and what it leaves out.

use super::*;

/// Stores sent messages from a time on, one in every `step` milliseconds. The tag of some is `rare`, that of the others
/// `common`.
async fn store_tagged(stack: &Stack, from: i64, events: i64, step: i64, rare: &[i64]) {
    let items = (0..events).map(|index| {
        let tag = if rare.contains(&index) { "rare" } else { "common" };
        let at = from + index * step;
        built(&format!("m-{index}"), "RCS", "sent", at, &json!({"tags": [tag]}))
    });
    stack.storage.put_all(items.collect()).await;
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
    store_tagged(&stack, day, 5_000, 10_000, &rare).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_answer_is_an_error_and_loses_no_event() {
    let (stack, rows) = stack_with_events().await;
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
    store_tagged(&stack, day, 1_440, 60_000, &rare).await;
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
    for period in ["day#2026-03-29#0", "hour#2026-03-29T03#0"] {
        stack.storage.put_rollup(counted("0#tag=rare", period)).await;
    }
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

    // Counters that do not answer hide nothing, and neither do tags that are counted together.
    stack.table.decide(|call| {
        if call.mentions("tag=rare") {
            Treatment::Throttle
        } else {
            Treatment::Pass
        }
    });
    assert_eq!(found(&page(&dashboard, query).await), (both(), None));
    stack.table.decide(|_| Treatment::Pass);
    for period in ["day#2026-03-29#0", "hour#2026-03-29T20:15#0"] {
        stack.storage.put_rollup(counted("0#tag=other", period)).await;
    }
    assert_eq!(found(&page(&dashboard, query).await), (both(), Some(20)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rare_campaign_of_thirty_days_takes_queries_for_its_hours() {
    let stack = Stack::start().await;
    let first = 1_772_323_200_000_i64;
    let items: Vec<Item> = (0..1_200_i64)
        .map(|index| {
            // 40 a day, from 2026-03-01 to 2026-03-30.
            let at = first + index * 2_160_000;
            let mut item = built(&format!("m-{index}"), "RCS", "sent", at, &json!({}));
            let campaign = if [170, 820].contains(&index) {
                "rare"
            } else {
                "common"
            };
            item.insert("campaign".into(), text(campaign));
            item
        })
        .collect();
    stack.storage.put_all(items).await;
    count(&stack).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let query = "from=2026-03-01&to=2026-03-30&campaign=rare";
    for (more, most_queries, most_items) in [
        // 60 shards for each of 30 days, in two pages, and every event is a candidate.
        ("&exhaustive=true", 2_000, 30),
        // Three queries find the last count and the days, each day takes one for its hours and 60 for the shards, and
        // each kind of counters has two series.
        ("", 150, 2),
    ] {
        stack.table.reset_counts();
        let pages = pages(&dashboard, &format!("{query}{more}")).await;
        let ids: Vec<String> = keys(&pages).into_iter().map(|(_, key)| key.0).collect();
        assert_eq!(ids, ["m-820", "m-170"]);
        let calls = (stack.table.calls("Query"), stack.table.calls("BatchGetItem"));
        println!(
            "{query}{more}: {calls:?} queries and reads of items, {} pages",
            pages.len()
        );
        assert!(
            calls.0 <= most_queries && calls.1 <= most_items,
            "{more}: {calls:?}"
        );
        assert_eq!(calls.0 > 1_800, !more.is_empty(), "{more}: {calls:?}");
    }
    let skipped = async |query: &str| -> Vec<i64> {
        let pages = pages(&dashboard, query).await;
        let hours = pages
            .iter()
            .map(|page| page["skipped_hours"].as_i64().unwrap_or(0));
        hours.collect()
    };
    assert_eq!(skipped(query).await, [30 * 24 - 2]);
    // Pages that end within a day count only their part of it.
    for order in ["newest", "oldest"] {
        let hours = skipped(&format!("{query}&limit=1&order={order}")).await;
        assert_eq!(
            (hours.len() > 1, hours.iter().sum()),
            (true, 30 * 24 - 2),
            "{order}: {hours:?}"
        );
    }
    // An hour of India is two halves of hours in UTC.
    assert_eq!(skipped(&format!("{query}&tz=Asia/Kolkata&hour=4")).await, [30]);
}

async fn check_first(dashboard: &Function, query: &str, id: &str) {
    let first = page(dashboard, query).await;
    assert_eq!(first["events"][0]["message_id"], id, "{query}");
}
