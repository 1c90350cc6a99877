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
    clock::Clock,
    cursor,
    filter::EventFilter,
    known_hours::{self, KnownHours},
    merge::{Merge, Order, Position, Source, Span, with_keys},
    pages::{Page, PageRequest},
    reader::PageReader,
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
    /// Only these hours of the week.
    pub(crate) clock: Clock,
    /// Whether to read all hours, also those for which the counters show no matching event.
    pub(crate) is_exhaustive: bool,
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
        format!("{order}-{}{}", self.filter.digest(), self.clock.name())
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

/// The tables of a list.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) client: &'a Client,
    pub(crate) events: &'a str,
    /// Empty if there are no counters.
    pub(crate) counters: &'a str,
    pub(crate) known_days: &'a KnownDays,
}

/// One page.
pub(crate) async fn page(tables: Tables<'_>, list: &EventList, page: PageRequest) -> Result<Page, Refusal> {
    let (span, position) = list.start(page.cursor.as_deref())?;
    let mut reader = PageReader::new(tables.client, tables.events, &page).with_filter(&list.filter);
    let mut known_hours = if list.is_exhaustive {
        None
    } else {
        KnownHours::of(tables.client, tables.counters, &list.filter, list.order, span).await
    };
    let mut skipped = Vec::new();
    let mut next = None;
    for day in Days::of(list.order, span, position.as_ref()) {
        if reader.budget.is_spent() || reader.room() == 0 {
            next = Some(day.first(list.order));
            break;
        }
        let parts = list.clock.parts(day.span);
        let (mut parts, others) = match &mut known_hours {
            Some(hours) => hours.restrict(parts, &mut reader.budget).await,
            None => (parts, Vec::new()),
        };
        skipped.extend(others);
        if list.order == Order::Newest {
            parts.reverse();
        }
        for part in parts {
            next = read(tables, list, &day, part, position.as_ref(), &mut reader).await?;
            if next.is_some() {
                break;
            }
        }
        if next.is_some() {
            break;
        }
    }
    // A day that this page begins or ends within is counted up to there, so that no page counts an hour of another.
    let [began, ended] = [&position, &next].map(|at| at.as_ref().map(|position| position.at));
    let listed = match list.order {
        Order::Newest => Span {
            from: ended.unwrap_or(span.from),
            to: began.unwrap_or(span.to),
        },
        Order::Oldest => Span {
            from: began.unwrap_or(span.from),
            to: ended.unwrap_or(span.to),
        },
    };
    let cursor = next.map(|position| ListPosition {
        list: list.digest(),
        span,
        position,
    });
    Ok(Page {
        items: reader.items,
        searched_to: cursor.as_ref().map(|cursor| cursor.position.at),
        cursor: cursor.as_ref().map(cursor::write),
        skipped_hours: known_hours::skipped_hours(&skipped, listed),
    })
}

/// Reads a part of a day from a position. Returns the next position if the page ends before the part does.
async fn read(
    tables: Tables<'_>,
    list: &EventList,
    day: &Day,
    part: Span,
    from: Option<&Position>,
    reader: &mut PageReader<'_>,
) -> Result<Option<Position>, Refusal> {
    let is_before = |from: &Position| match list.order {
        Order::Newest => part.from > from.at,
        Order::Oldest => part.to < from.at,
    };
    if from.is_some_and(is_before) {
        return Ok(None);
    }
    // A position in another part does not concern this one.
    let from = from.filter(|from| (part.from..=part.to).contains(&from.at));
    let is_known = tables.known_days.has(&day.date);
    let earlier = if is_known { 0..0 } else { EARLIER_SHARDS };
    let shards = index::shards(&list.filter.stored_statuses());
    let partitions = earlier.chain(shards);
    let partitions = partitions
        .map(|shard| (usize::from(shard), index::day_partition(&day.date, shard)))
        .collect();
    let source = Source {
        query: || {
            let query = tables
                .client
                .query()
                .table_name(tables.events)
                .index_name(DAY_INDEX);
            list.filter.in_index(with_keys(query))
        },
        key: DAY_SHARD,
        order: list.order,
        span: part,
    };
    let mut merge = Merge::new(source, partitions, from, reader.room());
    reader.read(&mut merge).await?;
    let is_whole = day.is_whole && part == day.span && from.is_none();
    if is_whole && !is_known && merge.are_empty(0..usize::from(EARLIER_SHARDS.end)) {
        tables.known_days.add(day.date.clone());
    }
    Ok(merge.position())
}

/// A UTC day, or a part of it.
struct Day {
    /// `2026-11-21`.
    date: String,
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
            date: time::utc_day(whole.from),
            is_whole: span == whole,
            span,
        })
    }
}
