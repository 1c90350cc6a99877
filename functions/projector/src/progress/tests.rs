use aws_sdk_dynamodb::types::AttributeValue;
use proptest::prelude::*;

use super::*;

const SENT: i64 = 1_795_120_000_000;

/// A stored event: message, channel and status, seconds after [`SENT`], and more attributes.
fn event(id: &str, channel: &str, status: &str, seconds: i64, more: &[(&str, &str)]) -> Item {
    let text = |t: &str| AttributeValue::S(t.into());
    let number = |n: i64| AttributeValue::N(n.to_string());
    let mut item = Item::from([
        ("message_id".into(), text(id)),
        (
            "status_key".into(),
            text(&format!("{channel}#{status}#{seconds}")),
        ),
        ("channel".into(), text(channel)),
        ("status".into(), text(status)),
        ("event_time".into(), number(SENT + seconds * 1_000)),
        ("received_at".into(), number(SENT + seconds * 1_000 + 300)),
        ("recipient".into(), text("919812345678")),
        ("request_id".into(), text("r1")),
    ]);
    item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
    item
}

/// Adds the events one after the other, each with the difference that it makes.
fn sum(items: &[Item]) -> BTreeMap<String, i64> {
    let events: Vec<MessageEvent<'_>> = items.iter().filter_map(MessageEvent::of).collect();
    let all: Vec<&MessageEvent<'_>> = events.iter().collect();
    let mut sums = BTreeMap::new();
    for event in &events {
        for (subject, change) in added(event, &all) {
            let names = subject.counters.iter().map(Counter::name);
            let league = subject
                .league
                .iter()
                .map(|progress| format!("league {}", progress.as_str()));
            for name in names.chain(league) {
                let tags = subject.dimensions.tags.join(",");
                *sums
                    .entry(format!("{} {tags} {name}", subject.quarter()))
                    .or_default() += change;
            }
        }
    }
    sums.retain(|_, count| *count != 0);
    sums
}

fn names(items: &[Item]) -> Vec<String> {
    let sums = sum(items);
    assert!(sums.values().all(|count| *count == 1), "{sums:?}");
    let without_league = sums.into_keys().filter(|name| !name.contains("league"));
    let short = without_league.map(|name| name.rsplit(' ').next().unwrap().to_owned());
    let mut names: Vec<String> = short.collect();
    names.sort();
    names
}

#[test]
fn a_message_is_counted_once_with_its_steps_times_and_charges() {
    let item = |status, seconds| event("m", "RCS", status, seconds, &[("tags", "a")]);
    let items = [item("sent", 0), item("delivered", 4), item("read", 64)];
    assert_eq!(
        names(&items),
        [
            "c|RCS|-|-|delivered",
            "c|RCS|-|-|sent",
            "d|RCS|dr|32",
            "d|RCS|sd|17",
            "j|RCS|messages",
            "j|RCS|reached",
            "j|RCS|read",
            "l|RCS|messages",
            "l|RCS|reached",
            "l|RCS|read",
        ]
        .map(|name| name.replace("|-|-|", "|IN|-|"))
    );
    let sums = sum(&items);
    assert_eq!(sums["2026-11-19T20:15 a league reached"], 1);
    assert!(
        sums.keys().all(|key| key.starts_with("2026-11-19T20:15 a ")),
        "{sums:?}"
    );
}

#[test]
fn a_fallback_that_arrives_is_one_reached_message() {
    let rcs = |status, seconds| event("api-1", "RCS", status, seconds, &[]);
    let sms = |status, seconds| event("sms-1", "SMS", status, seconds, &[("last_channel", "RCS")]);
    let mut items = vec![rcs("sent", 0), rcs("failed", 30)];
    assert!(names(&items).contains(&"j|RCS|failed".to_owned()));
    items.push(sms("sent", 34));
    let open = names(&items);
    assert!(
        !open
            .iter()
            .any(|name| name.starts_with("j|") && name.ends_with("failed")),
        "{open:?}"
    );
    items.push(sms("delivered", 36));
    items.push(event("api-1", "SMS", "clicked", 90, &[]));
    assert_eq!(
        names(&items),
        [
            "c|RCS|IN|-|sent",
            "c|SMS|IN|-|delivered",
            "c|SMS|IN|-|sent",
            "d|SMS|ff|17",
            "d|SMS|sd|13",
            "j|RCS|messages",
            "j|SMS|clicked",
            "j|SMS|reached",
            "j|SMS|read",
            "l|RCS|failed",
            "l|RCS|messages",
            "l|SMS|clicked",
            "l|SMS|messages",
            "l|SMS|reached",
            "l|SMS|read",
        ]
    );
}

#[test]
fn incoming_messages_and_events_of_no_message_are_not_counted() {
    for item in [
        event("m", "RCS", "received", 0, &[]),
        event("m", "RCS", "clicked", 0, &[("in_reply_to", "api-1")]),
        event("m", "RCS", "template_approved", 0, &[]),
    ] {
        assert_eq!(sum(&[item]), BTreeMap::new());
    }
}

#[test]
fn a_free_message_has_no_charge() {
    let mut item = event("m", "WHATSAPP", "delivered", 0, &[]);
    let free = Item::from([("billable".to_owned(), AttributeValue::Bool(false))]);
    item.insert("pricing".into(), AttributeValue::M(free));
    assert!(!names(&[item]).iter().any(|name| name.starts_with("c|")));
}

/// Moves the arrival of each event some seconds after its time.
fn delayed(items: &[Item], delays: &[i64]) -> Vec<Item> {
    let mut items = items.to_vec();
    for (item, delay) in items.iter_mut().zip(delays) {
        let at = item["event_time"].as_n().unwrap().parse::<i64>().unwrap();
        item.insert(
            "received_at".into(),
            AttributeValue::N((at + delay * 1_000).to_string()),
        );
    }
    items
}

/// An RCS message that arrived after its fallback was sent, without a report of a failure.
fn late_delivery() -> Vec<Item> {
    let rcs = |status, seconds| event("api-1", "RCS", status, seconds, &[]);
    let sms = |status, seconds| event("sms-1", "SMS", status, seconds, &[("last_channel", "RCS")]);
    vec![
        rcs("sent", 0),
        sms("sent", 60),
        sms("delivered", 64),
        rcs("delivered", 90),
        rcs("read", 95),
    ]
}

#[test]
fn an_rcs_message_that_arrives_after_its_fallback_is_one_reached_message() {
    let counted = [
        "c|RCS|IN|-|delivered",
        "c|RCS|IN|-|sent",
        "c|SMS|IN|-|delivered",
        "c|SMS|IN|-|sent",
        "d|RCS|dr|18",
        "d|RCS|sd|34",
        "d|SMS|sd|17",
        "j|RCS|messages",
        "j|RCS|reached",
        "j|RCS|read",
        "l|RCS|messages",
        "l|RCS|reached",
        "l|RCS|read",
        "l|SMS|messages",
        "l|SMS|reached",
    ];
    assert_eq!(names(&late_delivery()), counted);
    // The message is reported after its fallback, and counted alone at first.
    assert_eq!(names(&delayed(&late_delivery(), &[70, 1, 1, 1, 1])), counted);
    // The failure is reported last.
    let mut failed = late_delivery();
    failed.push(event("api-1", "RCS", "failed", 59, &[]));
    let reached = names(&delayed(&failed, &[1, 1, 1, 1, 1, 500]));
    assert_eq!(
        reached.iter().filter(|name| name.starts_with("j|")).count(),
        3,
        "{reached:?}"
    );
}

#[test]
fn a_message_alone_is_counted_without_reading_others() {
    let sms = [event("sms-1", "SMS", "sent", 60, &[("last_channel", "RCS")])];
    let rcs = [
        event("api-1", "RCS", "sent", 0, &[]),
        event("api-1", "RCS", "delivered", 2, &[]),
    ];
    let all: Vec<Item> = rcs.iter().chain(&sms).cloned().collect();
    let events: Vec<MessageEvent<'_>> = all.iter().filter_map(MessageEvent::of).collect();
    let everything: Vec<&MessageEvent<'_>> = events.iter().collect();
    for own in &events[..2] {
        assert_eq!(added(own, &everything[..2]), added(own, &everything));
    }
}

proptest! {
    /// Whatever the order of arrival, and whichever events wait in a queue, the sums are those of the set.
    #[test]
    fn the_sum_does_not_depend_on_the_order_of_arrival(delays in proptest::collection::vec(0..200_000_i64, 7)) {
        let rcs = |status, seconds| event("api-1", "RCS", status, seconds, &[("tags", "b")]);
        let sms = |status, seconds| event("sms-1", "SMS", status, seconds, &[("last_channel", "RCS")]);
        let items = [
            rcs("sent", 0), rcs("failed", 2_000), sms("sent", 2_003), sms("delivered", 2_009), sms("read", 9_000),
            event("api-1", "SMS", "clicked", 9_100, &[("campaign", "Spring")]), rcs("delivered", 90_000),
        ];
        prop_assert_eq!(sum(&delayed(&items, &delays)), sum(&items));
    }

    /// The same without a report of the failure.
    #[test]
    fn a_late_delivery_is_counted_once_in_any_order(delays in proptest::collection::vec(0..300_i64, 5)) {
        let items = late_delivery();
        prop_assert_eq!(sum(&delayed(&items, &delays)), sum(&items));
    }
}
