//! How many letters a second one environment of `redrive` stores: handed over one by one, and five
//! to an invocation as the template configures, in turns on the same machine. `cargo run -p
//! integration-tests --example redrive_throughput`.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement, printed"
)]

use std::time::{Duration, Instant};

use integration_tests::verified;
use integration_tests::{
    binary::Function,
    fixtures::{body, events},
    ledger::failures,
    proxy::Treatment::Slow,
    scene::Scene,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::{QueueMessage, Reason};

/// Messages to an invocation, as the template configures.
const BATCH: usize = 5;
/// Letters of each measurement.
const LETTERS: usize = 100;

#[tokio::main]
async fn main() {
    println!(
        "{:>9} {:>14} {:>20} {:>20} {:>6}",
        "table, ms", "events each", "one by one, /s", "five at once, /s", "ratio"
    );
    for (table_ms, events_each) in [(5, 1), (50, 1), (50, 10)] {
        let scene = Scene::set().await;
        let redrive = scene.function("redrive", &[("RETENTION_DAYS", "0")]).await;
        scene.table.always(Slow(Duration::from_millis(table_ms)));
        // What a first call does once is not of the measurement.
        letters_a_second(&redrive, 0, 1, events_each).await;
        let one = letters_a_second(&redrive, LETTERS, 1, events_each).await;
        let five = letters_a_second(&redrive, 2 * LETTERS, BATCH, events_each).await;
        assert_eq!(scene.ledger.stored().await.len(), 3 * LETTERS * events_each);
        println!(
            "{table_ms:>9} {events_each:>14} {one:>20.0} {five:>20.0} {:>6.1}",
            five / one
        );
    }
}

/// Hands over [`LETTERS`] letters, from the `first` on, so many to an invocation.
async fn letters_a_second(redrive: &Function, first: usize, at_once: usize, events_each: usize) -> f64 {
    let letters: Vec<Value> = (first..first + LETTERS)
        .map(|number| message(number, events_each))
        .collect();
    let started = Instant::now();
    for batch in letters.chunks(at_once) {
        let reply = redrive.invoke(&json!({"Records": batch})).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    LETTERS as f64 / started.elapsed().as_secs_f64()
}

/// A message of the retry queue, as Lambda hands it over.
fn message(number: usize, events_each: usize) -> Value {
    let letter = QueueMessage {
        reason: Reason::Exhausted,
        detail: "could not be stored in time".into(),
        function: "event-webhook".into(),
        received_at: 1_767_225_600_123,
        body: verified(&body(&events(number * events_each, events_each))).into(),
    };
    json!({
        "messageId": number.to_string(),
        "receiptHandle": "none",
        "body": letter.write().remove(0),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    })
}
