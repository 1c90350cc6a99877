//! Compares one projector with eight concurrent ones: speed and exactness on the same events. Each call is
//! delayed by ten milliseconds, as by a network.
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
use projector::counter_delta::CounterDelta;
use tokio::time::Instant;
use webhook_ingest::events_table::item::Item;

const BATCH: usize = 500;
/// Events per second.
const RATE: i64 = 2_000;
const NETWORK: Duration = Duration::from_millis(10);
const NOON: i64 = 1_749_988_800_000;

#[tokio::main]
async fn main() {
    let events: usize = std::env::args().nth(1).map_or(200_000, |n| n.parse().unwrap());
    let all: Vec<CounterDelta> = (0..events)
        .map(|id| CounterDelta::of(&event(id)).unwrap())
        .collect();
    for projectors in [1, 8] {
        let stack = Stack::start().await;
        stack.table.always(Treatment::Slow(NETWORK));
        let rollups = stack.rollups().await;
        let began = Instant::now();
        // Like the shards of a stream: each projector gets every eighth event, in order of arrival.
        let counts = (0..projectors).map(|of| {
            let mine: Vec<CounterDelta> = all.iter().skip(of).step_by(projectors).cloned().collect();
            let rollups = rollups.clone();
            tokio::spawn(async move {
                let (mut fresh, mut units) = (0, 0.0);
                for some in mine.chunks(BATCH) {
                    let until = Instant::now() + Duration::from_mins(10);
                    let counted = rollups.count("0", some, until).await.unwrap();
                    fresh += counted.fresh;
                    units += counted.write_units;
                }
                (fresh, units)
            })
        });
        let counted: Vec<(usize, f64)> = join_all(counts).await.into_iter().map(Result::unwrap).collect();
        let took = began.elapsed().as_secs_f64();
        let fresh: usize = counted.iter().map(|(fresh, _)| fresh).sum();
        let units: f64 = counted.iter().map(|(_, units)| units).sum();
        println!(
            "{projectors} concurrent: {fresh} of {events} events in {took:.1} s, {:.0} a second, {:.3} write units each",
            events as f64 / took,
            units / events as f64,
        );
        stack.stop().await;
    }
}

fn event(id: usize) -> Item {
    let at = NOON + i64::try_from(id).unwrap() * 1000 / RATE;
    let status = ["sent", "delivered", "read", "failed"]
        .into_iter()
        .cycle()
        .nth(id % 4)
        .unwrap();
    Item::from([
        ("message_id".into(), text(format!("m-{}", id / 4))),
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
