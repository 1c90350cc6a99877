//! The events of a day, newest first, merged from the shards of the day index.
//!
//! A round reads a few entries from every shard. The page contains the events that are newer than all unread
//! entries. So a page costs the same on every day, but it can have fewer events than requested. A [`PageRequest`]
//! limits the number of rounds.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use webhook_ingest::events_table::{
    index::DAY_INDEX,
    item::{CHANNEL, DAY_SHARD, DAY_SHARDS, EVENT_TIME, Item, MESSAGE_ID, STATUS, STATUS_KEY, number_at},
};

use crate::{
    cursor, entries,
    pages::{Page, PageRequest},
    refusal::{self, Refusal},
    table::with_keys,
};

/// No round starts after this time, because the function and its callers have timeouts.
const MAX_DURATION: Duration = Duration::from_secs(10);

/// Filter for events of a day.
pub(crate) struct DayFilter {
    /// UTC, `2026-11-21`.
    pub(crate) day: String,
    pub(crate) channel: Option<String>,
    pub(crate) status: Option<String>,
}

/// Position in a shard or another partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ShardPosition {
    /// Before all events.
    Beginning,
    /// Time, message id and status key of the last event that was returned or skipped.
    After(i64, String, String),
    /// After all events.
    End,
}

struct Fetched {
    entries: Vec<Item>,
    /// Key of the last entry that was read; `None` at the end of the shard.
    read_to: Option<Item>,
}

/// One page.
pub(crate) async fn page(
    client: &Client,
    table: &str,
    wanted: &DayFilter,
    page: PageRequest,
) -> Result<Page, Refusal> {
    let places: Vec<ShardPosition> = match &page.cursor {
        None => vec![ShardPosition::Beginning; usize::from(DAY_SHARDS)],
        Some(cursor) => cursor::read(cursor)?,
    };
    if places.len() != usize::from(DAY_SHARDS) {
        return Err(refusal::foreign_cursor());
    }
    let query_of = |shard: usize| {
        let partition = format!("{}#{shard:02}", wanted.day);
        let query = query(client, table, wanted, partition.clone(), &page);
        (query, DAY_SHARD, partition)
    };
    let merged = merged(client, table, places, &page, query_of).await?;
    Ok(Page {
        items: merged.items,
        cursor: (!merged.ended).then(|| cursor::write(&merged.places)),
    })
}

/// A page of several partitions of an index, merged.
pub(crate) struct Merged {
    pub(crate) items: Vec<Item>,
    /// Position of each partition after the page.
    pub(crate) places: Vec<ShardPosition>,
    /// Whether every partition ended.
    pub(crate) ended: bool,
}

/// Reads a page of several partitions of an index and merges it, newest first. `query_of` returns a partition's
/// query, newest first, and the name and value of its key.
pub(crate) async fn merged(
    client: &Client,
    table: &str,
    mut places: Vec<ShardPosition>,
    page: &PageRequest,
    query_of: impl Fn(usize) -> (QueryFluentBuilder, &'static str, String),
) -> Result<Merged, Refusal> {
    let started = Instant::now();
    let mut budget = page.budget;
    let mut items = Vec::new();
    let mut ended = false;
    for _ in 0..page.rounds {
        let shards = places.iter().enumerate();
        let fetched = try_join_all(shards.map(|(shard, place)| fetch(query_of(shard), place))).await?;
        let round = Round::of(fetched, budget.entries);
        let taken = entries::items(
            client,
            table,
            &round.entries,
            page.attributes,
            &mut budget,
            page.size,
        )
        .await?;
        items.extend(taken.items);
        let is_full = taken.entries < round.newer;
        places = round.places_after(taken.entries, places);
        ended = places.iter().all(|place| *place == ShardPosition::End);
        if ended || is_full || budget.entries == 0 || started.elapsed() > MAX_DURATION {
            break;
        }
    }
    Ok(Merged { items, places, ended })
}

async fn fetch(
    (query, key, partition): (QueryFluentBuilder, &'static str, String),
    place: &ShardPosition,
) -> Result<Fetched, Refusal> {
    let start = match place {
        ShardPosition::End => {
            return Ok(Fetched {
                entries: Vec::new(),
                read_to: None,
            });
        }
        ShardPosition::Beginning => None,
        ShardPosition::After(time, id, status_key) => Some(Item::from([
            (key.to_owned(), AttributeValue::S(partition)),
            (EVENT_TIME.to_owned(), AttributeValue::N(time.to_string())),
            (MESSAGE_ID.to_owned(), AttributeValue::S(id.clone())),
            (STATUS_KEY.to_owned(), AttributeValue::S(status_key.clone())),
        ])),
    };
    let answer = query
        .set_exclusive_start_key(start)
        .send()
        .await
        .map_err(|e| refusal::of_query(&e))?;
    Ok(Fetched {
        entries: answer.items.unwrap_or_default(),
        read_to: answer.last_evaluated_key,
    })
}

/// The query for a shard's entries, newest first.
fn query(
    client: &Client,
    table: &str,
    wanted: &DayFilter,
    partition: String,
    page: &PageRequest,
) -> QueryFluentBuilder {
    let mut query = with_keys(client.query().table_name(table).index_name(DAY_INDEX))
        .key_condition_expression("#shard = :shard")
        .expression_attribute_names("#shard", DAY_SHARD)
        .expression_attribute_values(":shard", AttributeValue::S(partition))
        .scan_index_forward(false)
        .limit(i32::try_from(page.per_shard).unwrap_or(i32::MAX));
    let mut conditions = Vec::new();
    for (name, value) in [(CHANNEL, &wanted.channel), (STATUS, &wanted.status)] {
        if let Some(value) = value {
            conditions.push(format!("#{name} = :{name}"));
            query = query
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), AttributeValue::S(value.clone()));
        }
    }
    if !conditions.is_empty() {
        query = query.filter_expression(conditions.join(" AND "));
    }
    query
}

/// The entries of a round, merged.
struct Round {
    /// The entries that are newer than all unread entries, newest first; at most as many as the page has room for.
    entries: Vec<Item>,
    /// The shard of each of `entries`.
    shards: Vec<usize>,
    /// Number of entries that are newer than all unread entries.
    newer: usize,
    /// Shards of the other entries.
    left_over: Vec<usize>,
    /// Position of each shard after all entries.
    places: Vec<ShardPosition>,
}

impl Round {
    fn of(fetched: Vec<Fetched>, room: usize) -> Self {
        let time = |entry: &Item| number_at(entry, EVENT_TIME).unwrap_or_default();
        let unread = fetched.iter().filter_map(|f| f.read_to.as_ref()).map(time).max();
        let place = |f: &Fetched| f.read_to.as_ref().and_then(position_of);
        let places = fetched
            .iter()
            .map(|f| place(f).unwrap_or(ShardPosition::End))
            .collect();
        let of_shards = fetched.into_iter().enumerate();
        let mut merged: Vec<(usize, Item)> = of_shards
            .flat_map(|(shard, fetched)| fetched.entries.into_iter().map(move |entry| (shard, entry)))
            .collect();
        // Stable: entries of a shard stay in index order, which positions rely on.
        merged.sort_by_key(|(_, entry)| std::cmp::Reverse(time(entry)));
        let newer = merged
            .iter()
            .take_while(|(_, entry)| unread.is_none_or(|unread| time(entry) >= unread))
            .count();
        let left_over = merged.split_off(newer.min(room));
        let (shards, entries) = merged.into_iter().unzip();
        Self {
            entries,
            shards,
            newer,
            left_over: left_over.into_iter().map(|(shard, _)| shard).collect(),
            places,
        }
    }

    /// The position of each shard after the first `taken` entries. A shard with further entries continues after
    /// its last taken entry, or where it began.
    fn places_after(self, taken: usize, before: Vec<ShardPosition>) -> Vec<ShardPosition> {
        let Self {
            entries,
            shards,
            left_over,
            ..
        } = self;
        let after = |shard: usize| {
            let further = shards.iter().skip(taken).chain(&left_over);
            further.into_iter().any(|of| *of == shard).then(|| {
                let mut taken = shards.iter().zip(&entries).take(taken).rev();
                taken
                    .find(|(of, _)| **of == shard)
                    .and_then(|(_, entry)| position_of(entry))
            })
        };
        let places = self.places.into_iter().zip(before).enumerate();
        places
            .map(|(shard, (place, before))| match after(shard) {
                None => place,
                Some(last) => last.unwrap_or(before),
            })
            .collect()
    }
}

fn position_of(item: &Item) -> Option<ShardPosition> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(ShardPosition::After(
        number_at(item, EVENT_TIME)?,
        text(MESSAGE_ID)?,
        text(STATUS_KEY)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(time: i64, id: &str) -> Item {
        Item::from([
            (EVENT_TIME.to_owned(), AttributeValue::N(time.to_string())),
            (MESSAGE_ID.to_owned(), AttributeValue::S(id.to_owned())),
            (STATUS_KEY.to_owned(), AttributeValue::S("RCS#sent".to_owned())),
        ])
    }

    fn after(time: i64, id: &str) -> ShardPosition {
        ShardPosition::After(time, id.to_owned(), "RCS#sent".to_owned())
    }

    /// The shown ids, and the positions after a round in which `taken` entries are taken.
    fn round(
        fetched: Vec<Fetched>,
        before: Vec<ShardPosition>,
        room: usize,
        taken: usize,
    ) -> (Vec<String>, Vec<ShardPosition>) {
        let round = Round::of(fetched, room);
        assert!(taken <= round.entries.len());
        let shown = round.entries.iter().take(taken);
        let shown = shown
            .map(|entry| entry[MESSAGE_ID].as_s().unwrap().clone())
            .collect();
        (shown, round.places_after(taken, before))
    }

    fn shard(entries: &[(i64, &str)], read_to: Option<(i64, &str)>) -> Fetched {
        Fetched {
            entries: entries.iter().map(|(time, id)| item(*time, id)).collect(),
            read_to: read_to.map(|(time, id)| item(time, id)),
        }
    }

    #[test]
    fn an_event_is_shown_only_if_no_unread_event_can_be_newer() {
        let fetched = vec![
            shard(&[(9, "a"), (7, "b")], Some((7, "b"))),
            shard(&[(8, "c"), (3, "d")], Some((3, "d"))),
            shard(&[(1, "e")], None),
        ];
        let (shown, places) = round(fetched, vec![ShardPosition::Beginning; 3], 50, 3);
        assert_eq!(shown, ["a", "c", "b"]);
        assert_eq!(places, [after(7, "b"), after(8, "c"), ShardPosition::Beginning]);
    }

    #[test]
    fn a_shard_whose_events_are_all_filtered_out_advances() {
        let fetched = vec![shard(&[], Some((5, "x"))), shard(&[(4, "y")], None)];
        let (shown, places) = round(fetched, vec![ShardPosition::Beginning, after(6, "z")], 50, 0);
        assert_eq!(shown, Vec::<String>::new());
        assert_eq!(places, [after(5, "x"), after(6, "z")]);
    }

    #[test]
    fn a_page_ends_at_its_limit_and_the_next_one_continues() {
        let fetched = vec![shard(&[(3, "a"), (3, "b"), (3, "c")], None)];
        let (shown, places) = round(fetched, vec![ShardPosition::Beginning], 2, 2);
        assert_eq!(shown, ["a", "b"]);
        assert_eq!(places, [after(3, "b")]);
    }

    #[test]
    fn a_page_ends_before_the_event_that_exceeds_its_size() {
        let fetched = vec![
            shard(&[(9, "a"), (7, "long"), (6, "b")], None),
            shard(&[(8, "c"), (5, "d")], None),
        ];
        let (shown, places) = round(fetched, vec![ShardPosition::Beginning; 2], 50, 2);
        assert_eq!(shown, ["a", "c"]);
        assert_eq!(places, [after(9, "a"), after(8, "c")]);
    }
}
