//! Records that cannot be counted. They go to the dead-letter queue, or stay in the stream while the queue
//! fails.

use integration_tests::{proxy::Treatment::ServerError, stack::Stack, storage::text};
use projector::rebuild::rebuild;
use serde_json::{Value, json};

use super::{Counts, arrived_at, assert_same, counted, deliver, recount, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncountable_record_is_dead_lettered_and_blocks_nothing() {
    let stack = Stack::start().await;
    store(&stack).await;
    let expected = recount(&stack).await;
    // Some events arrived in a minute whose item of markers is broken: every update of it is rejected.
    let at = 1_749_988_800_000;
    let events: Vec<Value> = stack
        .stream()
        .iter()
        .enumerate()
        .map(|(index, record)| {
            if index.is_multiple_of(9) {
                arrived_at(record, at)
            } else {
                record.clone()
            }
        })
        .collect();
    let broken = format!("0#seen#minute#{}", at / 60_000);
    let broken = [("series", broken.as_str()), ("period", "-"), ("seen", "many")];
    let broken = broken.map(|(name, value)| (name.to_owned(), text(value)));
    stack.storage.put_rollup(broken.into()).await;
    let projector = stack.function("projector", &[]).await;
    // Records that are not events come before all others.
    let odd = [
        json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {"series": {"S": "x"}}}}),
        json!({"eventName": 7, "dynamodb": "nonsense"}),
        json!("text"),
    ];
    let records = [odd.to_vec(), events.clone()].concat();
    for batch in records.chunks(100) {
        assert_eq!(deliver(&projector, batch).await, Vec::<Value>::new());
    }
    let dead_letters = stack.storage.take_dead_letters().await;
    assert_eq!(dead_letters.len(), 3 + events.len().div_ceil(9));
    for dead_letter in &dead_letters {
        assert_eq!(
            (dead_letter.reason.as_str(), dead_letter.function.as_str()),
            ("uncountable", "projector")
        );
        let record: Value = serde_json::from_slice(dead_letter.body.bytes()).unwrap();
        assert!(records.contains(&record), "{record}");
    }
    let metrics = projector.line(|line| line.get("Unprojectable").is_some()).await;
    assert!(metrics["Unprojectable"].as_u64().unwrap() >= 3, "{metrics}");
    // Only the dead-lettered records are missing.
    let total = |counts: &Counts| -> u64 {
        let of_all = counts.iter().filter(|((series, period, counter), _)| {
            series == "all" && period.starts_with("day#") && counter.starts_with("s|")
        });
        of_all.map(|(_, count)| count).sum()
    };
    let now = counted(&stack, "0").await;
    assert_eq!(total(&now) + dead_letters.len() as u64 - 3, total(&expected));
    // A rebuild counts them.
    let rollups = stack.rollups().await;
    rebuild(&rollups, &stack.instance.events_table, |_| ())
        .await
        .unwrap();
    let current = rollups.generations().await.unwrap().current;
    assert_same(&counted(&stack, &current).await, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_retried_while_the_table_or_the_queue_fails() {
    let stack = Stack::start().await;
    store(&stack).await;
    let records = stack.stream();
    // A missing table is not the fault of a record.
    let away = stack.function("projector", &[("ROLLUPS_TABLE", "nowhere")]).await;
    let first = records[..20]
        .iter()
        .chain([&json!({"eventName": "INSERT"})])
        .cloned()
        .collect::<Vec<_>>();
    let within = std::time::Duration::from_secs(20);
    let reply = away.invoke_within(&json!({ "Records": first }), within).await;
    let failures = reply.payload["batchItemFailures"].clone();
    assert_eq!(
        failures[0]["itemIdentifier"], records[0]["dynamodb"]["SequenceNumber"],
        "{failures}"
    );
    assert_eq!(stack.storage.take_dead_letters().await, []);
    // The queue fails: the record is retried.
    let projector = stack.function("projector", &[]).await;
    stack.queues.always(ServerError);
    let odd = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "77"}});
    let reply = projector
        .invoke_within(&json!({ "Records": [odd] }), within)
        .await;
    assert_eq!(
        reply.payload["batchItemFailures"],
        json!([{"itemIdentifier": "77"}])
    );
    stack.queues.recover().await;
    assert_eq!(deliver(&projector, &[odd]).await, Vec::<Value>::new());
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);
}
