//! Compares one projector, eight that share no items, and eight that count into the same items: speed,
//! exactness, and the transactions that failed because two projectors wrote the same item. Each call is
//! delayed by ten milliseconds, as by a network, and transactions conflict as in DynamoDB.
//!
//! Each projector gets the messages of one shard, and all of their events are waiting, as after an outage.
//!
//! ```sh
//! cargo run --release -p integration-tests --example projectors -- 200000
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run must fail"
)]

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use integration_tests::{
    proxy::Treatment,
    stack::Stack,
    storage::{number, text},
};
use projector::{counter_delta::CounterDelta, messages::KnownMessages, rollups::Counted};
use tokio::time::Instant;
use webhook_ingest::events_table::item::Item;

/// Most events per invocation, as in the template.
const BATCH: usize = 500;
/// Events per second that arrived.
const RATE: i64 = 8_000;
const EVENTS_OF_A_MESSAGE: usize = 4;
const NETWORK: Duration = Duration::from_millis(10);
const NOON: i64 = 1_749_988_800_000;

#[tokio::main]
async fn main() {
    let events: usize = std::env::args().nth(1).map_or(200_000, |n| n.parse().unwrap());
    let all: Vec<Item> = (0..events).map(event).collect();
    for (projectors, share) in [(1, true), (8, false), (8, true)] {
        let stack = Stack::start().await;
        stack.table.always(Treatment::Transact(NETWORK));
        let began = Instant::now();
        let shards = (0..projectors).map(|shard| {
            let of_shard = all.chunks(EVENTS_OF_A_MESSAGE).skip(shard).step_by(projectors);
            let mine: Vec<Item> = of_shard.flatten().cloned().collect();
            // Generations share no items.
            let generation = if share { 0 } else { shard };
            count(&stack, mine, generation.to_string())
        });
        let counted: Vec<Counted> = join_all(shards).await;
        let took = began.elapsed().as_secs_f64();
        let sum = |of: fn(&Counted) -> usize| counted.iter().map(of).sum::<usize>();
        let units: f64 = counted.iter().map(|counted| counted.write_units).sum();
        let (transactions, conflicts) = (sum(|c| c.transactions), sum(|c| c.conflicts));
        println!(
            "{projectors} {}: {} of {events} events in {took:.1} s, {:.0} a second, {:.3} write units each; \
             {transactions} transactions, {conflicts} conflicts",
            if share {
                "with the same items"
            } else {
                "with separate items"
            },
            sum(|c| c.fresh),
            events as f64 / took,
            units / events as f64,
        );
        stack.stop().await;
    }
}

/// Counts a shard's events and messages.
async fn count(stack: &Stack, events: Vec<Item>, generation: String) -> Counted {
    let rollups = stack.rollups().await;
    let mut sum = Counted::default();
    for some in events.chunks(BATCH) {
        // A batch has all events of its messages.
        let known = KnownMessages::among(some);
        let messages = known.parsed();
        let deltas: Vec<CounterDelta> = some
            .iter()
            .filter_map(|item| CounterDelta::all(item, &messages))
            .collect();
        let until = Instant::now() + Duration::from_mins(10);
        let counted = rollups.count(&generation, &deltas, until).await.unwrap();
        sum.fresh += counted.fresh;
        sum.write_units += counted.write_units;
        sum.transactions += counted.transactions;
        sum.conflicts += counted.conflicts;
    }
    sum
}

fn event(id: usize) -> Item {
    let at = NOON + i64::try_from(id).unwrap() * 1000 / RATE;
    let status = ["sent", "delivered", "read", "clicked"]
        .into_iter()
        .cycle()
        .nth(id % EVENTS_OF_A_MESSAGE)
        .unwrap();
    Item::from([
        (
            "message_id".into(),
            text(format!("m-{}", id / EVENTS_OF_A_MESSAGE)),
        ),
        ("status_key".into(), text(format!("RCS#{status}"))),
        ("channel".into(), text("RCS")),
        ("status".into(), text(status)),
        ("event_time".into(), number(at)),
        ("received_at".into(), number(at)),
        ("bot_id".into(), text(format!("{}", 680 + id % 3))),
        (
            "tags".into(),
            AttributeValue::L(vec![text(format!("campaign-{}", id % 12))]),
        ),
    ])
}
