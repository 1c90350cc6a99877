//! Names of the events table's indexes, and the attributes in a lean index.
//!
//! A lean index contains the keys of the table and of the index, and the attributes that a query filters by.
//! Readers get the items themselves from the table, so the indexes of an earlier version, which contain whole
//! items, work as well.

use std::ops::Range;

use super::item::{CHANNEL, STATUS};
use crate::event::{EpochMillis, Status, state, time};

/// A person's events by time: partition key `recipient`, sort key `event_time`. A lean one contains only keys.
pub const RECIPIENT_INDEX: &str = "recipient-index";

/// The events of a day by time: partition key `day_shard`, sort key `event_time`.
pub const DAY_INDEX: &str = "day-index";

/// Shards of a day that the versions up to 0.1 wrote, with events of every status. Readers read them as well.
pub const EARLIER_SHARDS: Range<u8> = 0..16;

/// All shards of a day.
pub const DAY_SHARDS: Range<u8> = 0..60;

/// Shards of each class of statuses, so that a list of a class reads only its entries.
///
/// A partition key takes 1,000 writes a second, so a class of 8 shards takes 8,000, and the day 44,000:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
/// The number of all shards is a part of the price of a list without a status.
const SENT: Range<u8> = 16..24;
const DELIVERED: Range<u8> = 24..32;
const READ: Range<u8> = 32..40;
const CLICKED: Range<u8> = 40..44;
const FAILED: Range<u8> = 44..52;
const RECEIVED: Range<u8> = 52..56;
const OTHER: Range<u8> = 56..60;

/// The shards that new events of a status are written to. They also hold events of the other statuses of its class.
pub fn shards_of(status: &Status) -> Range<u8> {
    match status {
        Status::Sent => SENT,
        Status::Delivered => DELIVERED,
        Status::Read | Status::Opened => READ,
        Status::Clicked => CLICKED,
        Status::Received => RECEIVED,
        other if state::is_failure(other.as_str()) => FAILED,
        _ => OTHER,
    }
}

/// The shards that can hold events of these statuses, without the [`EARLIER_SHARDS`]; all others if there are none.
/// Ascending.
pub fn shards(statuses: &[Status]) -> Vec<u8> {
    let of_status = |shard: &u8| statuses.iter().any(|status| shards_of(status).contains(shard));
    (EARLIER_SHARDS.end..DAY_SHARDS.end)
        .filter(|shard| statuses.is_empty() || of_status(shard))
        .collect()
}

/// The partition key of a shard of a UTC day, `2026-11-21#07`.
pub fn day_partition(day: &str, shard: u8) -> String {
    format!("{day}#{shard:02}")
}

/// The partitions of [`DAY_INDEX`] that contain the events of a UTC day, `2026-11-21`. Together they contain each
/// event once.
pub fn day_partitions(day: &str) -> Vec<String> {
    DAY_SHARDS.map(|shard| day_partition(day, shard)).collect()
}

/// The partition of a new event. It depends only on the event, so it is the same for every delivery.
pub(super) fn partition_of(at: EpochMillis, status: &Status, message_id: &str) -> String {
    // FNV-1a is stable across versions; std's hasher does not promise that.
    let hash = message_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let shards = shards_of(status);
    let position = (hash >> 32) % u64::try_from(shards.len()).unwrap_or(1);
    let shard = shards
        .start
        .saturating_add(u8::try_from(position).unwrap_or_default());
    day_partition(&time::utc_day(at), shard)
}

/// What a lean [`DAY_INDEX`] contains besides keys: the filters of a day's list.
pub const DAY_INDEX_ATTRIBUTES: [&str; 2] = [CHANNEL, STATUS];

#[cfg(test)]
mod tests {
    use super::*;

    fn status(word: &str) -> Status {
        Status::from_word(word).unwrap()
    }

    #[test]
    fn an_event_is_in_a_shard_of_its_class() {
        for (word, first, last) in [
            ("sent", 16, 23),
            ("delivered", 24, 31),
            ("read", 32, 39),
            ("opened", 32, 39),
            ("clicked", 40, 43),
            ("failed", 44, 51),
            ("not_sent", 44, 51),
            ("revoked", 44, 51),
            ("received", 52, 55),
            ("unsubscribed", 56, 59),
            ("template_paused", 56, 59),
        ] {
            let mut used = [0_u32; 100];
            for number in 0..20_000 {
                let id = format!("api-337-91981234{number:04}-{number:032x}-1704876828");
                let key = partition_of(1_704_876_828_000, &status(word), &id);
                let (day, shard) = key.split_once('#').unwrap();
                assert_eq!((day, shard.len()), ("2024-01-10", 2), "{key}");
                used[shard.parse::<usize>().unwrap()] += 1;
            }
            let mean = 20_000 / (last - first + 1);
            for (shard, count) in used.into_iter().enumerate() {
                let shard = u32::try_from(shard).unwrap();
                if (first..=last).contains(&shard) {
                    assert!(
                        count > mean * 9 / 10 && count < mean * 11 / 10,
                        "{word} {shard}: {count}"
                    );
                } else {
                    assert_eq!(count, 0, "{word} {shard}");
                }
            }
        }
    }

    #[test]
    fn a_filter_names_the_shards_of_its_classes() {
        assert_eq!(shards(&[]), (16..60).collect::<Vec<u8>>());
        assert_eq!(shards(&[status("clicked")]), [40, 41, 42, 43]);
        assert_eq!(
            shards(&[status("spam"), status("clicked"), status("deferred")]),
            [40, 41, 42, 43, 56, 57, 58, 59]
        );
        assert_eq!(day_partition("2024-01-10", 7), "2024-01-10#07");
        let all = day_partitions("2024-01-10");
        assert_eq!(
            (all.len(), all[0].as_str(), all[59].as_str()),
            (60, "2024-01-10#00", "2024-01-10#59")
        );
    }
}
