//! Throughput of one environment of `redrive`: messages of one event, delivered one per invocation, five, and
//! a hundred as in the template; and large messages. In turns on the same machine. The table accepts every
//! event after a delay, since the embedded one would be slower than `redrive`.
//!
//! ```sh
//! cargo run --release -p integration-tests --example redrive_throughput
//! ```

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark prints its figures"
)]

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use integration_tests::{
    fixtures::{body, events, queue_message},
    function::Function,
    proxy::Treatment::AcceptAfter,
    stack::Stack,
    storage::failures,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::Reason;

/// Messages per invocation: the last as in the template.
const BATCHES: [usize; 3] = [1, 5, 100];
/// Messages of one event in each measurement.
const MESSAGES: usize = 1_000;
/// Large messages, as a receiver queues them: each has this many events.
const LARGE: usize = 1_000;
/// Large messages of the measurement, in one invocation each.
const LARGE_MESSAGES: usize = 10;

#[tokio::main]
async fn main() {
    println!(
        "{:>9} {:>46} {:>24}",
        "table, ms", "messages of one event, per second", "events of large"
    );
    println!(
        "{:>9} {:>14} {:>14} {:>16} {:>24}",
        "", "one at a time", "five", "a hundred", "messages, per second"
    );
    for table_ms in [5, 50] {
        let stack = Stack::start().await;
        let redrive = stack.function("redrive", &[("RETENTION_DAYS", "0")]).await;
        stack.table.always(AcceptAfter(Duration::from_millis(table_ms)));
        // The first invocation includes one-time work.
        events_per_second(&redrive, 0..1, 1, 1).await;
        let mut numbers = 1;
        let mut small = Vec::new();
        for at_once in BATCHES {
            let messages = numbers..numbers + MESSAGES;
            numbers = messages.end;
            small.push(events_per_second(&redrive, messages, 1, at_once).await);
        }
        let first = numbers.div_ceil(LARGE);
        let large = events_per_second(&redrive, first..first + LARGE_MESSAGES, LARGE, 1).await;
        println!(
            "{table_ms:>9} {:>14.0} {:>14.0} {:>16.0} {large:>24.0}",
            small[0], small[1], small[2]
        );
    }
}

/// Delivers messages with these numbers, each with `events` events.
async fn events_per_second(redrive: &Function, numbers: Range<usize>, events: usize, at_once: usize) -> f64 {
    let messages: Vec<Value> = numbers.map(|number| message(number, events)).collect();
    let started = Instant::now();
    for batch in messages.chunks(at_once) {
        let reply = redrive.invoke(&json!({"Records": batch})).await;
        assert_eq!(failures(&reply.payload), [""; 0]);
    }
    (messages.len() * events) as f64 / started.elapsed().as_secs_f64()
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
