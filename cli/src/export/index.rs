//! Reads the events of a day through `day-index`, ordered by time.
//!
//! The index's partitions are merged by time. Their entries contain keys; the items are read from the table with strong
//! consistency, as in the dashboard: an erased event does not appear, and no event is missing because a replica is
//! behind the index.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use anyhow::bail;
use aws_sdk_dynamodb::{
    Client, config::http::HttpResponse, error::SdkError, operation::query::QueryError, types::AttributeValue,
};
use futures::{Stream, TryStreamExt as _, future::try_join_all, stream};
use webhook_ingest::{
    events_table::{
        index::{DAY_INDEX, day_partitions},
        item::{DAY_SHARD, EVENT_TIME, Item, MESSAGE_ID, STATUS_KEY, number_at},
        read::{self, EventKey, ReadError, event_key},
    },
    operations::dynamodb,
};

/// Entries of all partitions together that are held: some 10 MB, 50 MB with the longest keys.
const ENTRIES: usize = 16_000;
/// Items of a call, and concurrent calls. They hold at most 80 MB, because an item has at most 400 KB.
const ITEMS_OF_CALL: usize = 50;
const CALLS: usize = 4;
/// Calls in a row that may return nothing, because the table is throttled. The pauses between them add up to 25 s.
const FRUITLESS_CALLS: u32 = 10;

/// Why the index was not read.
pub(super) enum IndexError {
    /// The table has no day index, or it is still being created.
    Missing,
    Failed(anyhow::Error),
}

impl From<SdkError<QueryError, HttpResponse>> for IndexError {
    fn from(error: SdkError<QueryError, HttpResponse>) -> Self {
        if dynamodb::lacks_index(&error) {
            return Self::Missing;
        }
        Self::Failed(anyhow::Error::new(error).context("day-index does not answer"))
    }
}

/// A partition of the index, and its entries that are read and not returned yet.
struct Partition {
    name: String,
    entries: VecDeque<(i64, EventKey)>,
    next: Option<Item>,
    is_read: bool,
}

/// The keys of a day's events by time.
pub(super) struct Entries<'c> {
    client: &'c Client,
    table: &'c str,
    partitions: Vec<Partition>,
    /// The time of the first entry of each partition that has one. Equal times have a random order: the order of
    /// partitions would reveal digests of ids.
    heads: BinaryHeap<Reverse<(i64, u64, usize)>>,
    limit: i32,
}

impl<'c> Entries<'c> {
    /// Reads the first entries of every partition.
    pub(super) async fn of_day(client: &'c Client, table: &'c str, day: &str) -> Result<Self, IndexError> {
        let names = day_partitions(day);
        let limit = (ENTRIES / names.len().max(1)).max(20);
        let partition = |name| Partition {
            name,
            entries: VecDeque::new(),
            next: None,
            is_read: false,
        };
        let mut entries = Self {
            client,
            table,
            partitions: names.into_iter().map(partition).collect(),
            heads: BinaryHeap::new(),
            limit: i32::try_from(limit).unwrap_or(i32::MAX),
        };
        let all: Vec<usize> = (0..entries.partitions.len()).collect();
        entries.read(&all).await?;
        Ok(entries)
    }

    /// Reads the next entries of these partitions, and adds their first ones to the heads.
    async fn read(&mut self, wanted: &[usize]) -> Result<(), IndexError> {
        let (client, table, limit) = (self.client, self.table, self.limit);
        let chosen = self.partitions.iter_mut().enumerate();
        let chosen = chosen.filter(|(index, _)| wanted.contains(index));
        try_join_all(chosen.map(|(_, partition)| partition.read(client, table, limit))).await?;
        for index in wanted {
            if let Some((at, _)) = self.partitions.get(*index).and_then(|p| p.entries.front()) {
                self.heads.push(Reverse((*at, fastrand::u64(..), *index)));
            }
        }
        Ok(())
    }

    /// The next keys; empty at the end of the day.
    async fn next_keys(&mut self) -> Result<Vec<EventKey>, IndexError> {
        let mut keys = Vec::with_capacity(ITEMS_OF_CALL);
        while keys.len() < ITEMS_OF_CALL {
            let Some(Reverse((_, _, index))) = self.heads.pop() else {
                break;
            };
            let Some(partition) = self.partitions.get_mut(index) else {
                break;
            };
            keys.extend(partition.entries.pop_front().map(|(_, key)| key));
            match partition.entries.front() {
                Some((at, _)) => self.heads.push(Reverse((*at, fastrand::u64(..), index))),
                None if partition.is_read => {}
                None => self.read(&[index]).await?,
            }
        }
        Ok(keys)
    }

    /// The items of the day by time, in groups of [`ITEMS_OF_CALL`].
    pub(super) fn items(self) -> impl Stream<Item = anyhow::Result<Vec<Item>>> + use<'c> {
        let (client, table) = (self.client, self.table);
        let keys = stream::try_unfold(self, |mut entries| async move {
            match entries.next_keys().await {
                Ok(keys) if keys.is_empty() => Ok(None),
                Ok(keys) => Ok(Some((keys, entries))),
                Err(IndexError::Missing) => bail!("day-index was deleted meanwhile"),
                Err(IndexError::Failed(error)) => Err(error),
            }
        });
        keys.map_ok(move |keys| get(client, table, keys))
            .try_buffered(CALLS)
    }
}

impl Partition {
    /// Reads pages until there is an entry, or the end.
    async fn read(&mut self, client: &Client, table: &str, limit: i32) -> Result<(), IndexError> {
        while self.entries.is_empty() && !self.is_read {
            let answer = client
                .query()
                .table_name(table)
                .index_name(DAY_INDEX)
                .key_condition_expression("#shard = :shard")
                .projection_expression("#id, #key, #at")
                .expression_attribute_names("#shard", DAY_SHARD)
                .expression_attribute_names("#id", MESSAGE_ID)
                .expression_attribute_names("#key", STATUS_KEY)
                .expression_attribute_names("#at", EVENT_TIME)
                .expression_attribute_values(":shard", AttributeValue::S(self.name.clone()))
                .limit(limit)
                .set_exclusive_start_key(self.next.take())
                .send()
                .await?;
            let entries = answer.items.unwrap_or_default();
            self.entries.extend(
                entries
                    .iter()
                    .filter_map(|entry| Some((number_at(entry, EVENT_TIME)?, event_key(entry)?))),
            );
            self.next = answer.last_evaluated_key;
            self.is_read = self.next.is_none();
        }
        Ok(())
    }
}

/// The items of these keys, in this order. An event that is deleted meanwhile has no item.
async fn get(client: &Client, table: &str, keys: Vec<EventKey>) -> anyhow::Result<Vec<Item>> {
    let read = read::events(client, table, &keys, None, FRUITLESS_CALLS).await;
    let mut found = read.map_err(|error| match error {
        ReadError::Throttled => {
            anyhow::anyhow!("the events table is throttled; run the same command again to continue")
        }
        failed @ ReadError::Failed(_) => failed.into(),
    })?;
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}
