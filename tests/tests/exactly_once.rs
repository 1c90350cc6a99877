//! Every event is stored once, for any number of posts, in any order and through any number of processes.
//! Each costs one write and no read.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use integration_tests::{
    fixtures::{LONG_BUDGET, body, events, post},
    function::Function,
    stack::Stack,
    storage::{self, keys},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use webhook_ingest::{
    event::{
        Channel, Status,
        state::{self, StatusUpdate},
    },
    events_table::item::{self, Item},
    queue::message::Reason,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_posts_through_several_processes_store_each_event_once() {
    const POSTS: usize = 100;
    let stack = Stack::start().await;
    let receivers = ["event-webhook", "fallback-sms", "event-webhook", "fallback-sms"];
    let concurrent = [LONG_BUDGET, ("AWS_LAMBDA_MAX_CONCURRENCY", "8")];
    let receivers: Vec<Function> =
        join_all(receivers.iter().map(|name| stack.function(name, &concurrent))).await;
    let batch = body(&events(0, 12));

    let event = post(&batch);
    let posts = (0..POSTS).map(|i| receivers[i % receivers.len()].request(&event));
    let answers = join_all(posts).await;

    let expected: BTreeSet<_> = keys(&batch).into_iter().collect();
    assert_eq!(expected.len(), 12);
    assert_eq!(stack.storage.stored_keys().await, expected);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(
            answer.count("stored") + answer.count("duplicates"),
            12,
            "{}",
            answer.body
        );
    }
    let stored: usize = answers.iter().map(|answer| answer.count("stored")).sum();
    assert_eq!(stored, 12, "exactly one response counts each event as stored");
    let writes = [("BatchExecuteStatement", POSTS), ("PutItem", (POSTS - 1) * 12)];
    assert_eq!(
        stack.table.operations(),
        writes.map(|(name, calls)| (name.to_owned(), calls)).into(),
        "one batch of inserts per post, one put per duplicate, and nothing else"
    );
    assert_eq!(stack.queues.operations(), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_twice_in_one_body_is_stored_once() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let one = events(0, 1);
    let answer = receiver.post(&body(&vec![one[0].clone(); 50])).await;
    assert_eq!(
        answer.json(),
        json!({"received": 50, "stored": 1, "duplicates": 49, "queued": 0, "dead_lettered": 0})
    );
    assert_eq!(stack.storage.items().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_with_the_same_key_is_a_conflict_and_the_stored_event_stays() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let first = events(0, 2);
    assert_eq!(receiver.post(&body(&first)).await.count("stored"), 2);
    let before = sorted(stack.storage.items().await);

    // The first is unchanged. The second has other content for the same message and status.
    let mut second = first.clone();
    second[1]["remarks"] = json!("handset unreachable");
    let answer = receiver.post(&body(&second)).await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"received": 2, "stored": 0, "duplicates": 1, "queued": 0, "dead_lettered": 1})
    );
    assert_eq!(sorted(stack.storage.items().await), before);
    let dead = stack.storage.take_dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, Reason::Conflict);
    assert_eq!(dead[0].function, "event-webhook");
    assert!(dead[0].detail.contains("remarks"), "{}", dead[0].detail);
    let kept: Value = serde_json::from_slice(dead[0].body.bytes()).unwrap();
    assert_eq!(
        kept,
        json!([second[1]]),
        "the dead letter contains the whole record"
    );
    assert_eq!(stack.table.calls("GetItem") + stack.table.calls("Query"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clicks_a_second_apart_are_two_events_and_one_click_twice_is_one() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let click = json!({
        "message_id": "api-337-919209209291-417c-1704877390", "mobile": "919209209291", "channel": "RCS",
        "status": "Clicked", "event_time": 1_704_877_756, "type": "Template",
        "click_data": {"type": "ACTION", "suggestionType": "url_action", "text": "Visit", "postbackData": "x"},
    });
    let mut later = click.clone();
    later["event_time"] = json!(1_704_877_757);
    let mut elsewhere = click.clone();
    elsewhere["click_data"]["text"] = json!("Call");

    let clicks = body(&[click.clone(), later, elsewhere, click]);
    let answer = receiver.post(&clicks).await;
    assert_eq!(answer.count("stored"), 3, "{}", answer.body);
    assert_eq!(answer.count("duplicates"), 1, "{}", answer.body);
    let again = receiver.post(&clicks).await;
    assert_eq!(again.count("duplicates"), 4, "{}", again.body);
    assert_eq!(stack.storage.items().await.len(), 3);
}

/// A body of one `Delivered` event with further fields.
fn delivered(id: &str, rest: &str) -> String {
    format!(r#"[{{"message_id":"{id}","mobile":"919209209291","channel":"RCS","status":"Delivered"{rest}}}]"#)
}

/// Pairs of events with one key: id, further fields of each, and the attribute in which they differ.
const DIFFERENT: [(&str, &str, &str, &str); 11] = [
    (
        "n-1",
        r#","order_id":123456789012345678"#,
        r#","order_id":123456789012345679"#,
        "extra",
    ),
    (
        "n-2",
        r#","x":[0.1]"#,
        r#","x":[0.10000000000000000001]"#,
        "extra",
    ),
    ("n-3", r#","x":{"y":1e300}"#, r#","x":{"y":1.1e300}"#, "extra"),
    (
        "d-1",
        r#","remarks":"a","remarks":"b""#,
        r#","remarks":"a","remarks":"CARD DECLINED""#,
        "remarks",
    ),
    ("d-2", r#","x":1"#, r#","x":1,"x":1"#, "extra"),
    ("k-1", r#","":1"#, r#","":2"#, "extra"),
    ("k-2", r#","x":{"":1}"#, r#","x":{"":2}"#, "extra"),
    ("t-1", "", r#","event_time":1704876828"#, "event_time"),
    ("t-2", r#","event_time":1704876828"#, "", "event_time"),
    (
        "t-3",
        r#","event_time":1704876828000001"#,
        r#","event_time":1704876828000002"#,
        "event_time",
    ),
    ("x-1", r#","x":null"#, r#","x":"""#, "extra"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_difference_is_a_conflict_and_dead_lettered() {
    let stack = Stack::start().await;
    let events = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let status = stack.function("delivery-status", &[LONG_BUDGET]).await;
    let in_account = |id: &str, account: &str| {
        format!(
            r#"{{"account":{account},"delivery_status":[{{"ncmessage_id":"{id}","recipient":"919209209291","status":"delivered","received_at":"1704876828"}}]}}"#
        )
    };
    let of_events = DIFFERENT.iter().map(|(id, first, second, attribute)| {
        (&events, delivered(id, first), delivered(id, second), *attribute)
    });
    let of_accounts = [("e-1", "7", "8"), ("e-2", "7.0", "7.5")]
        .map(|(id, first, second)| (&status, in_account(id, first), in_account(id, second), "envelope"));
    let pairs: Vec<_> = of_events.chain(of_accounts).collect();
    for (receiver, first, second, _) in &pairs {
        assert_ne!(first, second);
        // The provider retries the same bytes before and after the other event.
        let mut counted = Vec::new();
        for body in [first, first, second, first] {
            let answer = receiver.post(body.as_bytes()).await;
            counted.push((
                answer.count("stored"),
                answer.count("duplicates"),
                answer.count("dead_lettered"),
            ));
        }
        assert_eq!(counted, [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 0)], "{second}");
    }
    let mut dead_letters = stack.storage.take_dead_letters().await;
    assert_eq!(dead_letters.len(), pairs.len());
    for (_, _, second, attribute) in &pairs {
        let index = dead_letters
            .iter()
            .position(|dead_letter| dead_letter.body.bytes() == second.as_bytes())
            .unwrap_or_else(|| panic!("{second} is nowhere"));
        let dead_letter = dead_letters.swap_remove(index);
        assert_eq!(dead_letter.reason, Reason::Conflict);
        assert!(
            dead_letter.detail.ends_with(&format!("differs in {attribute}")),
            "{second}: {}",
            dead_letter.detail
        );
    }
}

/// Without faults, a request takes far less than its budget of 60 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_does_not_wait_for_the_end_of_the_budget() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let begun = std::time::Instant::now();
    let answer = receiver.post(delivered("b-1", "").as_bytes()).await;
    assert_eq!(answer.count("stored"), 1);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_spelling_of_the_same_event_is_a_duplicate() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let pairs = [
        (
            delivered("s-1", r#","x":1,"y":[2.50]"#),
            delivered("s-1", r#","y":[25e-1],"x":1.0"#),
        ),
        (
            delivered("s-2", r#","event_time":1704876828"#),
            delivered("s-2", r#","event_time":"2024-01-10T08:53:48Z""#),
        ),
        (
            delivered("s-3", r#","event_time":1704876828.0"#),
            delivered("s-3", r#","event_time":"1704876828000""#),
        ),
        (
            delivered("s-4", r#","remarks":"","click_data":{}"#),
            delivered("s-4", r#","tags":[""],"callbackdata":null"#),
        ),
        (
            delivered("s-5", r#","callbackdata":7890986"#),
            delivered("s-5", r#","callbackdata":"7890986""#),
        ),
        (
            delivered("s-6", r#","x":1,"x":2.0"#),
            delivered("s-6", r#","\u0078":1.00,"x":2"#),
        ),
        (
            delivered("s-7", ""),
            delivered("s-7", "")
                .replace("919209209291", "+91 92092-09291")
                .replace("Delivered", "DELIVERED"),
        ),
    ];
    for (first, second) in pairs {
        for (body, stored) in [(&first, 1), (&second, 0), (&first, 0)] {
            let answer = receiver.post(body.as_bytes()).await;
            assert_eq!(
                (answer.count("stored"), answer.count("duplicates")),
                (stored, 1 - stored),
                "{body}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_attempt_counter_does_not_store_a_second_click() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
    let tap = |rest: &str| {
        format!(
            r#"[{{"message_id":"tap","mobile":"919209209291","channel":"RCS","status":"Clicked","event_time":1704877756,"click_data":{{"text":"Visit"}}{rest}}}]"#
        )
    };
    let mut counted = Vec::new();
    for body in [
        tap(r#","attempt":1"#),
        tap(r#","attempt":2"#),
        tap(r#","attempt":1"#),
        tap(""),
    ] {
        let answer = receiver.post(body.as_bytes()).await;
        counted.push((
            answer.count("stored"),
            answer.count("duplicates"),
            answer.count("dead_lettered"),
        ));
    }
    assert_eq!(counted, [(1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 0, 1)]);
    assert_eq!(stack.storage.items().await.len(), 1);
    let dead = stack.storage.take_dead_letters().await;
    let bodies: BTreeSet<Vec<u8>> = dead
        .into_iter()
        .map(|dead_letter| dead_letter.body.bytes().to_vec())
        .collect();
    assert_eq!(
        bodies,
        [tap(r#","attempt":2"#), tap("")].map(String::into_bytes).into()
    );
}

/// All events of one message over RCS and its SMS fallback.
fn all_events() -> Vec<Value> {
    let record = |channel: &str, status: &str, at: u64| {
        json!({
            "message_id": "api-337-919209209291-3c90-1704876827", "mobile": "919209209291", "channel": channel,
            "status": status, "event_time": 1_704_876_827 + at, "callbackdata": "7890986", "tags": ["12"],
        })
    };
    let click = |text: &str, at: u64| {
        let mut click = record("RCS", "Clicked", at);
        click["click_data"] = json!({"type": "ACTION", "suggestionType": "url_action", "text": text});
        click
    };
    vec![
        record("RCS", "Sent", 0),
        record("RCS", "Not sent", 1),
        record("RCS", "Failed", 1),
        record("RCS", "Delivered", 5),
        record("RCS", "Read", 9),
        click("Visit", 20),
        click("Visit", 21),
        click("Call", 21),
        record("RCS", "Paused by carrier", 2),
        record("SMS", "Sent", 3),
        record("SMS", "Delivered", 3),
        record("SMS", "Failed", 3),
    ]
}

#[test]
fn items_and_state_do_not_depend_on_order_or_duplicates() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (stack, receiver) = runtime.block_on(async {
        let stack = Stack::start().await;
        let receiver = stack.function("event-webhook", &[LONG_BUDGET]).await;
        (stack, receiver)
    });
    let events = all_events();
    let outcome_of = |bodies: Vec<Vec<Value>>| {
        runtime.block_on(async {
            stack.storage.clear().await;
            for records in bodies {
                let answer = receiver.post(&body(&records)).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert_eq!(answer.count("dead_lettered") + answer.count("queued"), 0);
            }
            let items = sorted(stack.storage.items().await);
            (state_of(&items), items)
        })
    };
    let (state, items) = outcome_of(vec![events.clone()]);
    assert_eq!(items.len(), events.len());
    assert_eq!(state, "RCS read");

    // Every event at least once, some repeated, in any order and split into any bodies.
    let everything = (0..events.len()).collect::<Vec<_>>();
    let deliveries = prop::collection::vec(0..events.len(), 0..12)
        .prop_map(move |again| [everything.clone(), again].concat())
        .prop_shuffle();
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(deliveries, 1_usize..8), |(order, at_once)| {
            let bodies = order
                .chunks(at_once)
                .map(|chunk| chunk.iter().map(|i| events[*i].clone()).collect());
            let (delivered_state, delivered_items) = outcome_of(bodies.collect());
            prop_assert_eq!(&delivered_items, &items);
            prop_assert_eq!(&delivered_state, &state);
            Ok(())
        })
        .unwrap();
    runtime.block_on(async { drop((receiver, stack)) });
}

/// Items in order of their keys, without the attributes of the arrival.
fn sorted(items: Vec<Item>) -> Vec<BTreeMap<String, AttributeValue>> {
    let mut items = items;
    items.sort_by_key(storage::key);
    items
        .into_iter()
        .map(|item| {
            item.into_iter()
                .filter(|(name, _)| name != item::RECEIVED_AT && name != item::EXPIRES_AT)
                .collect()
        })
        .collect()
}

fn state_of(items: &[BTreeMap<String, AttributeValue>]) -> String {
    let updates: Vec<StatusUpdate> = items
        .iter()
        .map(|item| StatusUpdate {
            channel: Channel::from_word(item[item::CHANNEL].as_s().unwrap()),
            status: Status::from_word(item[item::STATUS].as_s().unwrap()).unwrap(),
            at: item[item::EVENT_TIME].as_n().unwrap().parse().unwrap(),
        })
        .collect();
    let legs = state::legs(&updates);
    let present = state::present(&legs).unwrap();
    format!("{} {}", present.channel.as_str(), present.state)
}
