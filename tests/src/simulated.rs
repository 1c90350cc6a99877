//! The events of `simulate`, as items of the events table.

use netcore_webhooks::simulate::Workload;
use webhook_ingest::{
    events_table::item::{self, Arrival, Item},
    provider,
};

use crate::command::options;

/// The time of the last event at the latest: 2026-11-20T13:30:00Z.
pub const UNTIL: i64 = 1_795_181_400_000;

/// The items of `simulate` with these arguments, in order of time. Each arrives at its event time.
pub fn items(arguments: &[&str], seed: u64) -> Vec<Item> {
    let simulation = Workload::generate(&options(arguments), seed, UNTIL).expect("valid options");
    simulation
        .events
        .iter()
        .map(|simulated| {
            let receiver = receivers::receiver(simulated.function).expect("a receiver");
            let around = simulated.format.around(&simulated.record);
            let record = simulated.record.to_string();
            let event = provider::read_within(receiver.formats, &record, around).expect("an event");
            let arrival = Arrival {
                stored_at: None,
                at: simulated.at,
                retention_days: 180,
                late_after_hours: 72,
            };
            item::build(event, arrival).expect("an item").into()
        })
        .collect()
}
