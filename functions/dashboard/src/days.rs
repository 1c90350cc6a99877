//! The events of a day, newest first, merged from the shards of the day index.
//!
//! A round reads a few events from every shard. The page contains the events that are newer than all unread
//! events. So a page costs the same on every day, but it can have fewer events than requested. A [`PageRequest`]
//! limits the number of rounds.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use webhook_ingest::events_table::item::{
    CHANNEL, DAY_SHARD, DAY_SHARDS, EVENT_TIME, Item, MESSAGE_ID, STATUS, STATUS_KEY, number_at,
};

use crate::{
    cursor,
    pages::{Page, PageRequest},
    refusal::{self, Refusal},
    sizes::SizeBudget,
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

/// Position in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum ShardPosition {
    /// Before all events.
    Beginning,
    /// Time, message id and status key of the last event that was returned or skipped.
    After(i64, String, String),
    /// After all events.
    End,
}

struct Fetched {
    items: Vec<Item>,
    /// Key of the last event that was read; `None` at the end of the shard.
    read_to: Option<Item>,
}

/// One page.
pub(crate) async fn page(
    client: &Client,
    table: &str,
    wanted: &DayFilter,
    page: PageRequest,
) -> Result<Page, Refusal> {
    let mut places: Vec<ShardPosition> = match &page.cursor {
        None => vec![ShardPosition::Beginning; usize::from(DAY_SHARDS)],
        Some(cursor) => cursor::read(cursor)?,
    };
    if places.len() != usize::from(DAY_SHARDS) {
        return Err(refusal::foreign_cursor());
    }
    let started = Instant::now();
    let mut budget = page.budget;
    let mut items = Vec::new();
    let mut ended = false;
    for _ in 0..page.rounds {
        let shards = (0..DAY_SHARDS).zip(&places);
        let fetched =
            try_join_all(shards.map(|(shard, place)| fetch(client, table, wanted, shard, place, &page)))
                .await?;
        let merged = merged(fetched, places, &mut budget, page.size);
        items.extend(merged.items);
        places = merged.places;
        ended = places.iter().all(|place| *place == ShardPosition::End);
        if ended || merged.is_full || budget.entries == 0 || started.elapsed() > MAX_DURATION {
            break;
        }
    }
    Ok(Page {
        items,
        cursor: (!ended).then(|| cursor::write(&places)),
    })
}

async fn fetch(
    client: &Client,
    table: &str,
    wanted: &DayFilter,
    shard: u8,
    place: &ShardPosition,
    page: &PageRequest,
) -> Result<Fetched, Refusal> {
    let partition = format!("{}#{shard:02}", wanted.day);
    let start = match place {
        ShardPosition::End => {
            return Ok(Fetched {
                items: Vec::new(),
                read_to: None,
            });
        }
        ShardPosition::Beginning => None,
        ShardPosition::After(time, id, key) => Some(Item::from([
            (DAY_SHARD.to_owned(), AttributeValue::S(partition.clone())),
            (EVENT_TIME.to_owned(), AttributeValue::N(time.to_string())),
            (MESSAGE_ID.to_owned(), AttributeValue::S(id.clone())),
            (STATUS_KEY.to_owned(), AttributeValue::S(key.clone())),
        ])),
    };
    let query = query(client, table, wanted, partition, page).set_exclusive_start_key(start);
    let answer = query.send().await.map_err(|e| refusal::of_query(&e))?;
    Ok(Fetched {
        items: answer.items.unwrap_or_default(),
        read_to: answer.last_evaluated_key,
    })
}

/// The query for a shard's events, newest first.
fn query(
    client: &Client,
    table: &str,
    wanted: &DayFilter,
    partition: String,
    page: &PageRequest,
) -> QueryFluentBuilder {
    let mut query = client
        .query()
        .table_name(table)
        .index_name("day-index")
        .key_condition_expression("#shard = :shard")
        .expression_attribute_names("#shard", DAY_SHARD)
        .expression_attribute_values(":shard", AttributeValue::S(partition))
        .scan_index_forward(false)
        .limit(i32::try_from(page.per_shard).unwrap_or(i32::MAX));
    if let Some(attributes) = page.attributes {
        let names = attributes.iter().map(|name| format!("#{name}"));
        query = query.projection_expression(names.collect::<Vec<String>>().join(", "));
        for name in attributes {
            query = query.expression_attribute_names(format!("#{name}"), *name);
        }
    }
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

/// Result of a round.
struct Merged {
    items: Vec<Item>,
    places: Vec<ShardPosition>,
    /// Whether some events did not fit.
    is_full: bool,
}

/// Merges the fetched events that are newer than all unread events, and returns the new position of each
/// shard.
fn merged(
    fetched: Vec<Fetched>,
    before: Vec<ShardPosition>,
    budget: &mut SizeBudget,
    size: fn(&Item) -> usize,
) -> Merged {
    let time = |item: &Item| number_at(item, EVENT_TIME).unwrap_or_default();
    let unread = fetched.iter().filter_map(|f| f.read_to.as_ref()).map(time).max();
    let mut places: Vec<ShardPosition> = fetched
        .iter()
        .map(|f| {
            f.read_to
                .as_ref()
                .and_then(position_of)
                .unwrap_or(ShardPosition::End)
        })
        .collect();
    let of_shards = fetched.into_iter().enumerate();
    let mut candidates: Vec<(usize, Item)> = of_shards
        .flat_map(|(shard, fetched)| fetched.items.into_iter().map(move |item| (shard, item)))
        .collect();
    // Stable: events of a shard stay in index order, which positions rely on.
    candidates.sort_by_key(|(_, item)| std::cmp::Reverse(time(item)));
    let newer = candidates
        .iter()
        .take_while(|(_, item)| unread.is_none_or(|unread| time(item) >= unread))
        .count();
    let shown = candidates
        .iter()
        .take(newer)
        .take_while(|(_, item)| budget.take(size(item)))
        .count();
    let left_over = candidates.split_off(shown);
    // A shard with events that did not fit continues after its last returned event.
    for (shard, (place, before)) in places.iter_mut().zip(before).enumerate() {
        if left_over.iter().any(|(of, _)| *of == shard) {
            let last = candidates.iter().rev().find(|(of, _)| *of == shard);
            *place = last.and_then(|(_, item)| position_of(item)).unwrap_or(before);
        }
    }
    Merged {
        items: candidates.into_iter().map(|(_, item)| item).collect(),
        places,
        is_full: shown < newer,
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

    fn budget(entries: usize, bytes: usize) -> SizeBudget {
        SizeBudget { entries, bytes }
    }

    fn after(time: i64, id: &str) -> ShardPosition {
        ShardPosition::After(time, id.to_owned(), "RCS#sent".to_owned())
    }

    fn ids(items: &[Item]) -> Vec<&str> {
        items
            .iter()
            .map(|item| item[MESSAGE_ID].as_s().unwrap().as_str())
            .collect()
    }

    #[test]
    fn an_event_is_shown_only_if_no_unread_event_can_be_newer() {
        let fetched = vec![
            Fetched {
                items: vec![item(9, "a"), item(7, "b")],
                read_to: Some(item(7, "b")),
            },
            Fetched {
                items: vec![item(8, "c"), item(3, "d")],
                read_to: Some(item(3, "d")),
            },
            Fetched {
                items: vec![item(1, "e")],
                read_to: None,
            },
        ];
        let merged = merged(
            fetched,
            vec![ShardPosition::Beginning; 3],
            &mut budget(50, 50),
            |_| 1,
        );
        assert_eq!(ids(&merged.items), ["a", "c", "b"]);
        assert_eq!(
            merged.places,
            [after(7, "b"), after(8, "c"), ShardPosition::Beginning]
        );
        assert!(!merged.is_full);
    }

    #[test]
    fn a_shard_whose_events_are_all_filtered_out_advances() {
        let fetched = vec![
            Fetched {
                items: vec![],
                read_to: Some(item(5, "x")),
            },
            Fetched {
                items: vec![item(4, "y")],
                read_to: None,
            },
        ];
        let merged = merged(
            fetched,
            vec![ShardPosition::Beginning, after(6, "z")],
            &mut budget(50, 50),
            |_| 1,
        );
        assert_eq!(ids(&merged.items), Vec::<&str>::new());
        assert_eq!(merged.places, [after(5, "x"), after(6, "z")]);
    }

    #[test]
    fn a_page_ends_at_its_limit_and_the_next_one_continues() {
        let fetched = vec![Fetched {
            items: vec![item(3, "a"), item(3, "b"), item(3, "c")],
            read_to: None,
        }];
        let merged = merged(fetched, vec![ShardPosition::Beginning], &mut budget(2, 50), |_| 1);
        assert_eq!(ids(&merged.items), ["a", "b"]);
        assert_eq!(merged.places, [after(3, "b")]);
        assert!(merged.is_full);
    }

    #[test]
    fn a_page_ends_before_the_event_that_exceeds_its_size() {
        let fetched = vec![
            Fetched {
                items: vec![item(9, "a"), item(7, "long"), item(6, "b")],
                read_to: None,
            },
            Fetched {
                items: vec![item(8, "c"), item(5, "d")],
                read_to: None,
            },
        ];
        let size = |item: &Item| item[MESSAGE_ID].as_s().unwrap().len();
        let merged = merged(
            fetched,
            vec![ShardPosition::Beginning; 2],
            &mut budget(50, 4),
            size,
        );
        assert_eq!(ids(&merged.items), ["a", "c"]);
        assert_eq!(merged.places, [after(9, "a"), after(8, "c")]);
        assert!(merged.is_full);
    }
}
