//! Names of the events table's indexes, and the attributes in a lean index.
//!
//! A lean index contains the keys of the table and of the index, and the attributes that a query filters by.
//! Readers get the items themselves from the table, so the indexes of an earlier version, which contain whole
//! items, work as well.

use super::item::{CHANNEL, DAY_SHARDS, STATUS};

/// A person's events by time: partition key `recipient`, sort key `event_time`. A lean one contains only keys.
pub const RECIPIENT_INDEX: &str = "recipient-index";

/// The events of a day by time: partition key `day_shard`, sort key `event_time`.
pub const DAY_INDEX: &str = "day-index";

/// What a lean [`DAY_INDEX`] contains besides keys: the filters of a day's list.
pub const DAY_INDEX_ATTRIBUTES: [&str; 2] = [CHANNEL, STATUS];

/// The partitions of [`DAY_INDEX`] that contain the events of a UTC day, `2026-11-21`. Together they contain each
/// event once.
pub fn day_partitions(day: &str) -> Vec<String> {
    (0..DAY_SHARDS).map(|shard| format!("{day}#{shard:02}")).collect()
}
