//! Throughput of one environment of `redrive`, in messages per second: one message per invocation, and five
//! as in the template, in turns on the same machine.
//!
//! ```sh
//! cargo run -p integration-tests --example redrive_throughput
//! ```

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its figures"
)]

use std::time::{Duration, Instant};

use integration_tests::{
    fixtures::{body, events, queue_message},
    function::Function,
    proxy::Treatment::Slow,
    stack::Stack,
    storage::failures,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::Reason;

/// Messages per invocation, as in the template.
const BATCH: usize = 5;
/// Messages of each measurement.
const MESSAGES: usize = 100;

#[tokio::main]
async fn main() {
    println!(
        "{:>9} {:>14} {:>20} {:>20} {:>6}",
        "table, ms", "events each", "one by one, /s", "five at once, /s", "ratio"
    );
    for (table_ms, events_each) in [(5, 1), (50, 1), (50, 10)] {
        let stack = Stack::start().await;
        let redrive = stack.function("redrive", &[("RETENTION_DAYS", "0")]).await;
        stack.table.always(Slow(Duration::from_millis(table_ms)));
        // The first invocation includes one-time work.
        messages_per_second(&redrive, 0, 1, events_each).await;
        let one = messages_per_second(&redrive, MESSAGES, 1, events_each).await;
        let five = messages_per_second(&redrive, 2 * MESSAGES, BATCH, events_each).await;
        assert_eq!(
            stack.storage.stored_keys().await.len(),
            3 * MESSAGES * events_each
        );
        println!(
            "{table_ms:>9} {events_each:>14} {one:>20.0} {five:>20.0} {:>6.1}",
            five / one
        );
    }
}

/// Delivers [`MESSAGES`] messages, starting with number `first`.
async fn messages_per_second(redrive: &Function, first: usize, at_once: usize, events_each: usize) -> f64 {
    let messages: Vec<Value> = (first..first + MESSAGES)
        .map(|number| message(number, events_each))
        .collect();
    let started = Instant::now();
    for batch in messages.chunks(at_once) {
        let reply = redrive.invoke(&json!({"Records": batch})).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    MESSAGES as f64 / started.elapsed().as_secs_f64()
}

/// A message of the retry queue, as Lambda delivers it.
fn message(number: usize, events_each: usize) -> Value {
    let body = body(&events(number * events_each, events_each));
    let queued = queue_message(Reason::Exhausted, "event-webhook", 1_767_225_600_123, &body);
    json!({
        "messageId": number.to_string(),
        "receiptHandle": "none",
        "body": queued.write().remove(0),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    })
}
