//! The events that `simulate` tells of, as items of the events table.

use clap::Parser as _;
use netcore_webhooks::simulate::{Options, Workload};
use webhook_ingest::{
    events_table::item::{self, Arrival, Item},
    provider,
};

/// The moment up to which the events happen: 2026-11-20T13:30:00Z.
pub const UNTIL: i64 = 1_795_181_400_000;

#[derive(clap::Parser)]
struct Simulated {
    #[command(flatten)]
    options: Options,
}

/// The items of `simulate` with these arguments, in order of time. Each arrives when it happens.
pub fn items(arguments: &[&str], seed: u64) -> Vec<Item> {
    let words: Vec<&str> = ["simulate"].iter().chain(arguments).copied().collect();
    let options = Simulated::parse_from(words).options;
    let play = Workload::generate(&options, seed, UNTIL).expect("options that fit");
    play.events
        .iter()
        .map(|happening| {
            let receiver = receivers::receiver(happening.function).expect("a receiver");
            let event = provider::read(receiver.formats, &happening.record.to_string()).expect("an event");
            let arrival = Arrival {
                at: happening.at,
                retention_days: 180,
                late_after_hours: 72,
            };
            item::build(event, arrival).expect("an item")
        })
        .collect()
}
