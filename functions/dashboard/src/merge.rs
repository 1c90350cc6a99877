//! Merges the entries of several partitions of an index by time. Each partition has a buffer of entries; a query reads
//! the next entries of a partition only if its buffer is empty or nearly so.
//!
//! Entries with the same time are sorted by partition, and within a partition in the order of the index. So one
//! position describes how far all partitions are read.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use webhook_ingest::{
    events_table::{
        item::{EVENT_TIME, Item, number_at},
        read::{EventKey, event_key, key_attributes},
    },
    operations::dynamodb,
};

use crate::{
    entries::KEYS,
    refusal::{self, Refusal},
};

/// Concurrent queries. More would open connections that a page rarely needs again.
const QUERIES: usize = 16;
/// The least and the most entries of a query. 25 entries of usual length are 4 KB, the unit that a query is billed by.
const MIN_CHUNK: usize = 25;
const MAX_CHUNK: usize = 1_000;

/// Order of a list by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Order {
    Newest,
    Oldest,
}

/// The times of a list in epoch milliseconds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A position in the merged list. All entries before it are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Epoch milliseconds.
    pub(crate) at: i64,
    /// Number of the partition. The ones before it have no more entries of this time.
    pub(crate) partition: usize,
    /// Message id and status key of the last entry of this time in this partition that was read.
    pub(crate) after: Option<EventKey>,
}

/// Limits for reading, and what is used of them.
pub(crate) struct ReadBudget {
    queries: usize,
    /// Index entries, also those that do not match the filter of the query.
    entries: usize,
    /// Items of the table.
    pub(crate) items: usize,
    until: Instant,
}

impl ReadBudget {
    pub(crate) fn new(limits: ReadLimits) -> Self {
        Self {
            queries: limits.queries,
            entries: limits.entries,
            items: limits.items,
            until: Instant::now() + limits.duration,
        }
    }

    /// Counts queries of another table.
    pub(crate) fn count_queries(&mut self, queries: usize) {
        self.queries = self.queries.saturating_sub(queries);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.queries == 0 || self.entries == 0 || self.items == 0 || Instant::now() >= self.until
    }
}

/// Limits for reading a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    pub(crate) queries: usize,
    pub(crate) entries: usize,
    pub(crate) items: usize,
    /// No query starts later, because the function and its callers have timeouts.
    pub(crate) duration: Duration,
}

/// The partitions of a list.
pub(crate) struct Source<Q> {
    /// The query for all entries of a partition: table, index, filter and projection.
    pub(crate) query: Q,
    /// The name of the partition key.
    pub(crate) key: &'static str,
    pub(crate) order: Order,
    pub(crate) span: Span,
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    index: usize,
    at: i64,
    /// Message id and status key.
    pub(crate) key: EventKey,
}

impl Entry {
    fn read(index: usize, item: &Item) -> Option<Self> {
        Some(Self {
            index,
            at: number_at(item, EVENT_TIME)?,
            key: event_key(item)?,
        })
    }
}

/// Time and key of an entry.
type Read = (i64, EventKey);

struct Partition {
    number: usize,
    value: String,
    span: Span,
    buffer: VecDeque<Entry>,
    /// The last entry that the list contains or that the query left out.
    read: Option<Read>,
    /// Where the next query starts.
    start: Option<Read>,
    ended: bool,
    chunk: usize,
    /// Entries that were read.
    seen: usize,
}

impl Partition {
    fn is_dry(&self) -> bool {
        self.buffer.is_empty() && !self.ended
    }

    /// Where this partition continues, `None` at its end.
    fn position(&self, order: Order) -> Option<Position> {
        let of = |at: i64, last: &Option<Read>| Position {
            at,
            partition: self.number,
            after: last
                .as_ref()
                .filter(|(time, _)| *time == at)
                .map(|(_, key)| key.clone()),
        };
        if let Some(front) = self.buffer.front() {
            return Some(of(front.at, &self.read));
        }
        if self.ended {
            return None;
        }
        let first = match order {
            Order::Newest => self.span.to,
            Order::Oldest => self.span.from,
        };
        Some(of(self.start.as_ref().map_or(first, |(at, _)| *at), &self.start))
    }
}

/// A merged list.
pub(crate) struct Merge<Q> {
    source: Source<Q>,
    partitions: Vec<Partition>,
}

impl<Q: Fn() -> QueryFluentBuilder> Merge<Q> {
    /// The list from a position. `partitions` are numbers, ascending, and values of the partition key; `expected` is
    /// the number of entries that the caller will probably read.
    pub(crate) fn new(
        source: Source<Q>,
        partitions: Vec<(usize, String)>,
        from: Option<&Position>,
        expected: usize,
    ) -> Self {
        let chunk = expected.div_ceil(partitions.len().max(1)).saturating_mul(2);
        let chunk = chunk.clamp(MIN_CHUNK, MAX_CHUNK / 2);
        let partitions = partitions.into_iter().map(|(number, value)| {
            let (span, start) = rest(source.order, source.span, number, from);
            Partition {
                number,
                value,
                span,
                buffer: VecDeque::new(),
                read: start.clone(),
                start,
                ended: span.from > span.to,
                chunk,
                seen: 0,
            }
        });
        Self {
            partitions: partitions.collect(),
            source,
        }
    }

    /// The next entries, at most `most`. Fewer at the end of the list or if the budget is spent.
    pub(crate) async fn next(&mut self, most: usize, budget: &mut ReadBudget) -> Result<Vec<Entry>, Refusal> {
        let mut entries = Vec::new();
        while entries.len() < most {
            if self.partitions.iter().any(Partition::is_dry) {
                if budget.is_spent() {
                    break;
                }
                self.fill(budget).await?;
                continue;
            }
            let fronts = self
                .partitions
                .iter_mut()
                .filter(|partition| !partition.buffer.is_empty());
            let time = |partition: &Partition| partition.buffer.front().map_or(0, |entry| entry.at);
            let first = match self.source.order {
                // The first of several partitions with the same time.
                Order::Newest => fronts.min_by_key(|partition| std::cmp::Reverse(time(partition))),
                Order::Oldest => fronts.min_by_key(|partition| time(partition)),
            };
            match first.and_then(|partition| partition.buffer.pop_front()) {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        Ok(entries)
    }

    /// Ends the list after the first `taken` of the entries that [`Self::next`] returned last. The others are returned
    /// again.
    pub(crate) fn take(&mut self, entries: Vec<Entry>, taken: usize) {
        let mut entries = entries;
        let others = entries.split_off(taken.min(entries.len()));
        for entry in entries {
            if let Some(partition) = self.partitions.get_mut(entry.index) {
                partition.read = Some((entry.at, entry.key));
            }
        }
        for entry in others.into_iter().rev() {
            if let Some(partition) = self.partitions.get_mut(entry.index) {
                partition.buffer.push_front(entry);
            }
        }
    }

    /// The position after the entries that were taken; `None` at the end of the list.
    pub(crate) fn position(&self) -> Option<Position> {
        let order = self.source.order;
        let positions = self
            .partitions
            .iter()
            .filter_map(|partition| partition.position(order));
        match order {
            Order::Newest => {
                positions.min_by_key(|position| (std::cmp::Reverse(position.at), position.partition))
            }
            Order::Oldest => positions.min_by_key(|position| (position.at, position.partition)),
        }
    }

    /// Whether all partitions with these numbers are read to their end and have no entries.
    pub(crate) fn are_empty(&self, numbers: std::ops::Range<usize>) -> bool {
        let mut of_numbers = self.partitions.iter().filter(|p| numbers.contains(&p.number));
        of_numbers.all(|partition| partition.ended && partition.seen == 0)
    }

    /// Reads more entries of the partitions that need some.
    async fn fill(&mut self, budget: &mut ReadBudget) -> Result<(), Refusal> {
        let mut needed: Vec<usize> = Vec::new();
        for (index, partition) in self.partitions.iter().enumerate() {
            if !partition.ended && partition.buffer.len() < partition.chunk / 4 {
                needed.push(index);
            }
        }
        needed.truncate(budget.queries);
        let queries: Vec<_> = needed
            .iter()
            .filter_map(|index| Some((*index, self.query(self.partitions.get(*index)?))))
            .map(|(index, query)| async move {
                let answer = query.send().await.map_err(|e| refusal::of_query(&e))?;
                Ok::<_, Refusal>((index, answer))
            })
            .collect();
        budget.queries -= queries.len();
        let mut answers = stream::iter(queries).buffer_unordered(QUERIES);
        while let Some((index, answer)) = answers.try_next().await? {
            let Some(partition) = self.partitions.get_mut(index) else {
                continue;
            };
            let scanned = usize::try_from(answer.scanned_count).unwrap_or_default();
            budget.entries = budget.entries.saturating_sub(scanned);
            partition.seen += scanned;
            let entries = answer.items.unwrap_or_default();
            partition
                .buffer
                .extend(entries.iter().filter_map(|item| Entry::read(index, item)));
            let last = answer.last_evaluated_key.as_ref();
            let last = last.and_then(|key| Entry::read(index, key));
            partition.ended = last.is_none();
            partition.start = last.map(|last| (last.at, last.key));
            partition.chunk = (partition.chunk * 2).min(MAX_CHUNK);
        }
        Ok(())
    }

    fn query(&self, partition: &Partition) -> QueryFluentBuilder {
        let key = self.source.key;
        let start = partition.start.as_ref().map(|(at, event)| {
            let mut start = key_attributes(event);
            start.extend([
                (key.to_owned(), AttributeValue::S(partition.value.clone())),
                (EVENT_TIME.to_owned(), AttributeValue::N(at.to_string())),
            ]);
            start
        });
        // The names of KEYS are defined by the projection.
        (self.source.query)()
            .key_condition_expression(format!("#{key} = :{key} AND #{EVENT_TIME} BETWEEN :from AND :to"))
            .expression_attribute_names(format!("#{key}"), key)
            .expression_attribute_values(format!(":{key}"), AttributeValue::S(partition.value.clone()))
            .expression_attribute_values(":from", AttributeValue::N(partition.span.from.to_string()))
            .expression_attribute_values(":to", AttributeValue::N(partition.span.to.to_string()))
            .scan_index_forward(self.source.order == Order::Oldest)
            .limit(i32::try_from(partition.chunk).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
    }
}

/// The times of a partition after a position, and where its first query starts.
fn rest(order: Order, span: Span, number: usize, from: Option<&Position>) -> (Span, Option<Read>) {
    let Some(from) = from else {
        return (span, None);
    };
    // Partitions before the position continue after its time.
    let skip = i64::from(number < from.partition);
    let rest = match order {
        Order::Newest => Span {
            to: span.to.min(from.at.saturating_sub(skip)),
            ..span
        },
        Order::Oldest => Span {
            from: span.from.max(from.at.saturating_add(skip)),
            ..span
        },
    };
    let after = from.after.clone().filter(|_| number == from.partition);
    (rest, after.map(|key| (from.at, key)))
}

/// A new query that returns only the keys of entries: other attributes may not be in the index.
pub(crate) fn with_keys(query: QueryFluentBuilder) -> QueryFluentBuilder {
    let (projection, names) = dynamodb::projection(KEYS);
    query
        .projection_expression(projection)
        .set_expression_attribute_names(Some(names))
}
