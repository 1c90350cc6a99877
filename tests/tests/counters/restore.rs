//! After `restore`, the counters equal a recount, although the stream brings the copied events as new ones.

use integration_tests::{command::Workdir, fixtures::events, stack::Stack};
use serde_json::{Value, json};
use webhook_ingest::{
    event::time,
    events_table::item::{self, Arrival, Item},
    provider::{self, netcore_events},
};

use super::{Counts, assert_same, counted, deliver, recount};

/// Events that arrived so many days ago.
fn arrived(days: i64, records: &[Value]) -> Vec<Item> {
    let arrival = Arrival {
        stored_at: None,
        at: time::now() - days * 86_400_000,
        retention_days: 0,
        late_after_hours: 72,
    };
    let item = |record: &Value| {
        let event = provider::read(&[&netcore_events::FORMAT], &record.to_string()).unwrap();
        item::build(event, arrival).unwrap().into()
    };
    records.iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_event_is_counted_once_whenever_the_stream_brings_it() {
    let stack = Stack::start().await;
    let mut records = events(0, 240);
    for (index, record) in records.iter_mut().enumerate() {
        record["event_time"] = json!(1_704_876_833 + index * 600);
    }
    // Those of the first part arrived before any time that the stream usually brings, the others recently.
    let snapshot = [arrived(40, &records[..120]), arrived(5, &records[120..])].concat();
    stack.restored_table("restored", snapshot.clone()).await;
    // Some of them are left, and are counted.
    let left: Vec<Item> = snapshot.iter().step_by(4).cloned().collect();
    stack.storage.put_all(left.clone()).await;
    let projector = stack.function("projector", &[]).await;
    for batch in stack.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }

    let workdir = Workdir::new();
    let environment = stack.instance.environment();
    let restore = ["restore", "--from", "restored", "--nobody-erased"];
    let printed = workdir.run_with(&restore, &environment).await.ok();
    assert!(printed.contains("written     180 ("), "{printed}");
    assert!(
        printed.contains("counters    counted again: 240 events"),
        "{printed}"
    );
    let expected = recount(&stack).await;
    assert_ne!(expected, Counts::new());
    let rollups = stack.rollups().await;
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&stack, &current).await, &expected);

    // The stream brings all of them after the rebuild.
    for batch in stack.stream().chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    assert_eq!(rollups.generations().await.unwrap().current, current);
    assert_same(&counted(&stack, &current).await, &expected);
}
