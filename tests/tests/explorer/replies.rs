//! Replies are listed under the values of the message that they answer, as they are counted.

use super::*;

const AT: i64 = 1_774_742_400_000;

/// A message with values, its tap, and replies: two without values, one with its own bot, and one to a message that is
/// not stored.
fn conversation() -> Vec<Item> {
    let message = json!({"nc_bot_id": "682", "tags": ["spring", "vip"]});
    let mut sent = built("m-1", "RCS", "sent", AT, &message);
    sent.insert("campaign".into(), text("Diwali"));
    let mut clicked = built("m-1", "RCS", "clicked", AT + 60_000, &json!({}));
    let metadata = json!({"templateCode": "temp_a"}).to_string();
    let click = HashMap::from([("metadata".to_owned(), text(metadata))]);
    clicked.insert("click".into(), AttributeValue::M(click));
    let reply = |id: &str, to: &str, more: &Value| {
        let mut reply = built(id, "RCS", "received", AT + 120_000, more);
        reply.insert("in_reply_to".into(), text(to));
        reply
    };
    let other = built(
        "m-2",
        "RCS",
        "sent",
        AT,
        &json!({"nc_bot_id": "682", "tags": ["autumn"]}),
    );
    vec![
        sent,
        clicked,
        other,
        reply("r-1", "m-1", &json!({})),
        reply("r-2", "m-1", &json!({})),
        reply("r-3", "m-1", &json!({"nc_bot_id": "999"})),
        reply("r-4", "unknown", &json!({})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_listed_where_it_is_counted() {
    let stack = Stack::start().await;
    stack.storage.put_all(conversation()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    count(&stack).await;
    for (filter, expected) in [
        ("tag=spring", vec!["m-1", "r-1", "r-2", "r-3"]),
        ("tag=autumn", vec!["m-2"]),
        ("bot=682", vec!["m-1", "m-2", "r-1", "r-2"]),
        ("bot=999", vec!["r-3"]),
        ("bot=682&tag=vip", vec!["m-1", "r-1", "r-2"]),
        ("campaign=Diwali", vec!["m-1", "r-1", "r-2", "r-3"]),
        ("template=temp_a", vec!["m-1", "r-1", "r-2", "r-3"]),
    ] {
        let list = format!("day=2026-03-29&{filter}");
        for more in ["", "&exhaustive=true"] {
            let listed: BTreeSet<String> = keys(&pages(&dashboard, &format!("{list}{more}")).await)
                .into_iter()
                .map(|(_, key)| key.0)
                .collect();
            assert_eq!(
                listed.into_iter().collect::<Vec<String>>(),
                expected,
                "{list}{more}"
            );
        }
        let events = keys(&pages(&dashboard, &list).await).len() as u64;
        let query = format!("from=2026-03-29&to=2026-03-29&{filter}");
        let reply = dashboard
            .invoke(&request_to(&Method::GET, "/api/summary", &query, &[], b""))
            .await;
        let summary = Answer::from(reply).json();
        assert_eq!(
            integration_tests::answer::sum(&summary["counts"]),
            events,
            "{filter}"
        );
    }
    // The answered message is read once for a page, whatever the number of its replies.
    stack.table.reset_counts();
    let list = "day=2026-03-29&status=received&tag=spring&exhaustive=true";
    assert_eq!(keys(&pages(&dashboard, list).await).len(), 3);
    // Four shards of replies, 16 of earlier versions, and two messages.
    assert!(
        stack.table.calls("Query") <= 4 + 16 + 2,
        "{}",
        stack.table.calls("Query")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_many_messages_are_listed_in_pages() {
    let stack = Stack::start().await;
    let mut items = Vec::new();
    for index in 0..1_500_i64 {
        let tag = if index % 500 == 0 { "rare" } else { "common" };
        items.push(built(
            &format!("m-{index}"),
            "RCS",
            "sent",
            AT,
            &json!({"tags": [tag]}),
        ));
        let mut reply = built(
            &format!("r-{index:04}"),
            "RCS",
            "received",
            AT + index * 1_000,
            &json!({}),
        );
        reply.insert("in_reply_to".into(), text(format!("m-{index}")));
        items.push(reply);
    }
    stack.storage.put_all(items).await;
    let dashboard = stack.function("dashboard", &[]).await;
    let pages = pages(&dashboard, "day=2026-03-29&status=received&tag=rare").await;
    let ids: Vec<String> = keys(&pages).into_iter().map(|(_, key)| key.0).collect();
    assert_eq!(ids, ["r-1000", "r-0500", "r-0000"]);
    // A page ends after about 1,000 queries.
    assert!((2..=3).contains(&pages.len()), "{}", pages.len());
}
