//! One projector against eight at once: how fast they count the same events, and whether exactly. Each
//! call takes ten milliseconds longer than the embedded table does, as one over a network would.
//!
//! ```sh
//! cargo run --release -p integration-tests --example projectors -- 200000
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run says why and ends"
)]

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use integration_tests::proxy::{Proxy, Treatment};
use netcore_webhooks::local::{Local, QueueOptions, RunningInstance};
use projector::{counter_delta::CounterDelta, rollups::Rollups};
use tokio::time::Instant;
use webhook_ingest::{events_table::item::Item, operations::clients::Timeouts};

const BATCH: usize = 500;
/// Events that arrive in a second.
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
        let local = Local::start(None, QueueOptions::default()).await.unwrap();
        let proxy = Proxy::start(&local.instance.dynamodb).await.unwrap();
        proxy.always(Treatment::Slow(NETWORK));
        let place = RunningInstance {
            dynamodb: proxy.url.clone(),
            ..local.instance.clone()
        };
        let began = Instant::now();
        // As the shards of a stream: each has every eighth event, in the order of arrival.
        let counts = (0..projectors).map(|of| {
            let mine: Vec<CounterDelta> = all.iter().skip(of).step_by(projectors).cloned().collect();
            let place = place.clone();
            tokio::spawn(async move {
                let client = place.aws(Timeouts::unhurried()).await.dynamodb;
                let rollups = Rollups::new(client, place.rollups_table);
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
            "{projectors} at once: {fresh} of {events} events in {took:.1} s, {:.0} a second, {:.3} write units each",
            events as f64 / took,
            units / events as f64,
        );
        local.stop().await;
    }
}

fn event(id: usize) -> Item {
    let at = NOON + i64::try_from(id).unwrap() * 1000 / RATE;
    let text = |text: String| AttributeValue::S(text);
    let status = ["sent", "delivered", "read", "failed"]
        .into_iter()
        .cycle()
        .nth(id % 4)
        .unwrap();
    Item::from([
        ("message_id".into(), text(format!("m-{}", id / 4))),
        ("status_key".into(), text(format!("RCS#{status}"))),
        ("channel".into(), text("RCS".to_owned())),
        ("status".into(), text(status.to_owned())),
        ("event_time".into(), AttributeValue::N(at.to_string())),
        ("received_at".into(), AttributeValue::N(at.to_string())),
        ("bot_id".into(), text(format!("{}", 680 + id % 3))),
        (
            "tags".into(),
            AttributeValue::L(vec![text(format!("campaign-{}", id % 12))]),
        ),
    ])
}
