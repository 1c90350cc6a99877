//! Events of a range of time, from the shards of the day index. Only the shards that can hold the wanted statuses are
//! read, so the cost of a page depends on the events of these statuses, not on the traffic of the day.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};
use webhook_ingest::{
    event::time,
    events_table::{
        index::{self, DAY_INDEX, EARLIER_SHARDS},
        item::{AHEAD_HOURS, DAY_SHARD},
    },
};

use crate::{
    cursor,
    filter::EventFilter,
    merge::{Merge, Order, Position, Source, Span, with_keys},
    pages::{Page, PageRequest},
    reader::{Ended, PageReader},
    refusal::{self, Refusal},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The longest range. A day more than the longest year, for ranges in another time zone.
pub(crate) const MAX_RANGE_MS: i64 = 367 * DAY_MS;
/// Time for which a day's earlier shards stay known as empty. A receiver of an earlier version that still runs
/// could write to them.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// The most days whose earlier shards are known as empty.
const MAX_KNOWN: usize = 1_000;

/// Events of a range.
pub(crate) struct EventList {
    /// `None`: the range of the cursor, or [`Self::default_span`].
    pub(crate) span: Option<Span>,
    /// The range without a cursor if none is given.
    pub(crate) default_span: Span,
    pub(crate) order: Order,
    pub(crate) filter: EventFilter,
}

/// Position in a list. It names the list, because a position in another one would skip events.
#[derive(Serialize, Deserialize)]
struct ListPosition {
    list: String,
    span: Span,
    position: Position,
}

/// Days whose [`EARLIER_SHARDS`] are empty. Without it, each page would query these 16 shards forever.
#[derive(Default)]
pub(crate) struct KnownDays(Mutex<BTreeMap<String, Instant>>);

impl KnownDays {
    fn has(&self, day: &str) -> bool {
        let days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        days.get(day).is_some_and(|since| since.elapsed() < KNOWN_FOR)
    }

    fn add(&self, day: String) {
        let mut days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if days.len() >= MAX_KNOWN {
            days.clear();
        }
        days.insert(day, Instant::now());
    }
}

impl EventList {
    /// Names the list, without its range.
    fn digest(&self) -> String {
        let order = match self.order {
            Order::Newest => "newest",
            Order::Oldest => "oldest",
        };
        format!("{order}-{}", self.filter.digest())
    }

    /// The range, and the position of the cursor.
    fn start(&self, cursor: Option<&str>) -> Result<(Span, Option<Position>), Refusal> {
        let Some(cursor) = cursor else {
            return Ok((self.span.unwrap_or(self.default_span), None));
        };
        let read: ListPosition = cursor::read(cursor)?;
        let span = read.span;
        let is_of_range = self.span.is_none_or(|asked| asked == span)
            && (0..=MAX_RANGE_MS).contains(&span.to.saturating_sub(span.from))
            && (span.from..=span.to).contains(&read.position.at);
        if read.list != self.digest() || !is_of_range {
            return Err(refusal::foreign_cursor());
        }
        Ok((span, Some(read.position)))
    }
}

/// One page.
pub(crate) async fn page(
    client: &Client,
    table: &str,
    known: &KnownDays,
    list: &EventList,
    page: PageRequest,
) -> Result<Page, Refusal> {
    let (span, mut position) = list.start(page.cursor.as_deref())?;
    let shards = index::shards(&list.filter.stored_statuses());
    let mut reader = PageReader::new(client, table, &page).with_filter(&list.filter);
    let mut next = None;
    for day in Days::of(list.order, span, position.as_ref()) {
        if reader.budget.is_spent() || reader.room() == 0 {
            next = Some(day.first(list.order));
            break;
        }
        let earlier = if known.has(&day.day) { 0..0 } else { EARLIER_SHARDS };
        let partitions = earlier.clone().chain(shards.iter().copied());
        let partitions = partitions
            .map(|shard| (usize::from(shard), index::day_partition(&day.day, shard)))
            .collect();
        let source = Source {
            query: || {
                list.filter
                    .in_index(with_keys(client.query().table_name(table).index_name(DAY_INDEX)))
            },
            key: DAY_SHARD,
            order: list.order,
            span: day.span,
        };
        let from = position.take();
        let mut merge = Merge::new(source, partitions, from.as_ref(), reader.room());
        let ended = reader.read(&mut merge).await?;
        if day.is_whole
            && from.is_none()
            && !earlier.is_empty()
            && merge.are_empty(0..usize::from(EARLIER_SHARDS.end))
        {
            known.add(day.day.clone());
        }
        next = merge.position();
        if next.is_some() {
            debug_assert_ne!(ended, Ended::List);
            break;
        }
    }
    let cursor = next.map(|position| ListPosition {
        list: list.digest(),
        span,
        position,
    });
    Ok(Page {
        items: reader.items,
        searched_to: cursor.as_ref().map(|cursor| cursor.position.at),
        cursor: cursor.as_ref().map(cursor::write),
    })
}

/// A UTC day, or a part of it.
struct Day {
    /// `2026-11-21`.
    day: String,
    span: Span,
    is_whole: bool,
}

impl Day {
    fn first(&self, order: Order) -> Position {
        Position {
            at: match order {
                Order::Newest => self.span.to,
                Order::Oldest => self.span.from,
            },
            partition: 0,
            after: None,
        }
    }
}

/// The UTC days of a range, in order, from the one of a position.
struct Days {
    order: Order,
    span: Span,
    /// The next day, in days since 1970.
    next: i64,
}

impl Days {
    fn of(order: Order, span: Span, position: Option<&Position>) -> Self {
        // Events further ahead are stored under their arrival.
        let latest = time::now().saturating_add(i64::from(AHEAD_HOURS + 1) * HOUR_MS);
        let span = Span {
            to: span.to.min(latest),
            ..span
        };
        let first = match (position, order) {
            (Some(position), _) => position.at.min(span.to),
            (None, Order::Newest) => span.to,
            (None, Order::Oldest) => span.from,
        };
        Self {
            order,
            span,
            next: first.div_euclid(DAY_MS),
        }
    }
}

impl Iterator for Days {
    type Item = Day;

    fn next(&mut self) -> Option<Day> {
        let whole = Span {
            from: self.next.saturating_mul(DAY_MS),
            to: self.next.saturating_mul(DAY_MS).saturating_add(DAY_MS - 1),
        };
        let span = Span {
            from: whole.from.max(self.span.from),
            to: whole.to.min(self.span.to),
        };
        self.next += match self.order {
            Order::Newest => -1,
            Order::Oldest => 1,
        };
        (span.from <= span.to).then(|| Day {
            day: time::utc_day(whole.from),
            is_whole: span == whole,
            span,
        })
    }
}
