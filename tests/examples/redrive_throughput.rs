//! How many letters a second one environment of `redrive` stores, with a table that answers after
//! 5 ms: five letters to an invocation, as the template configures. `cargo run -p integration-tests
//! --example redrive_throughput`; the figures in docs/operate.md are of an unoptimised build.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement, printed"
)]

use std::time::{Duration, Instant};

use integration_tests::{
    binary::Function,
    fixtures::{body, events},
    ledger::failures,
    proxy::Treatment::Slow,
    scene::Scene,
};
use serde_json::{Value, json};
use webhook_ingest::letter::{Letter, Reason};

/// Of a table in the same region.
const TABLE: Duration = Duration::from_millis(5);
/// Messages to an invocation, as the template configures.
const BATCH: usize = 5;

#[tokio::main]
async fn main() {
    println!("{:>16} {:>14} {:>14}", "events a letter", "letters/s", "events/s");
    for (events_each, letters) in [(1, 1000), (20, 100)] {
        let scene = Scene::set().await;
        let redrive = scene.function("redrive", &[]).await;
        scene.table.always(Slow(TABLE));
        let batches: Vec<Value> = (0..letters / BATCH).map(|i| batch(i, events_each)).collect();
        let took = store(&redrive, &batches).await;
        let stored = scene.ledger.stored().await.len();
        assert_eq!(stored, letters * events_each);
        println!(
            "{events_each:>16} {:>14.0} {:>14.0}",
            letters as f64 / took.as_secs_f64(),
            stored as f64 / took.as_secs_f64()
        );
    }
}

async fn store(redrive: &Function, batches: &[Value]) -> Duration {
    let started = Instant::now();
    for batch in batches {
        let reply = redrive.invoke(batch).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    started.elapsed()
}

/// The event with which Lambda hands five letters to the function.
fn batch(number: usize, events_each: usize) -> Value {
    let records: Vec<Value> = (0..BATCH)
        .map(|place| {
            let first = (number * BATCH + place) * events_each;
            let letter = Letter {
                reason: Reason::Exhausted,
                detail: "could not be stored in time".into(),
                function: "event-webhook".into(),
                received_at: 1_767_225_600_123,
                body: body(&events(first, events_each)),
            };
            json!({
                "messageId": format!("{number}-{place}"),
                "receiptHandle": "none",
                "body": letter.write().remove(0),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    json!({"Records": records})
}
