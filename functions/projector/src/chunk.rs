//! The counts that events add to the counters, and the updates for them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update, builders::UpdateBuilder};
use webhook_ingest::{
    counters::{
        self, Counter, EXPIRES_AT, PERIOD, SERIES, UPDATED_AT, began, day, league, pending::BySeries, quarter,
    },
    event::EpochMillis,
};

use crate::names::Entry;

/// A transaction can have 100 items:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub(crate) const MAX_ITEMS: usize = 100;
/// An update expression can have 4 KB, and each counter needs some 20 bytes of it.
const MAX_COUNTERS: usize = 150;

type Key = (String, String);

/// Counts to add to several items.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    slot: u8,
    items: BTreeMap<Key, Additions>,
}

/// Counts by counter.
type Additions = BTreeMap<String, i64>;

impl Counts {
    pub(crate) fn new(slot: u8) -> Self {
        Self {
            slot,
            items: BTreeMap::new(),
        }
    }

    /// Adds the counters of an entry `count` times.
    pub(crate) fn add(&mut self, generation: &str, entry: &Entry, count: i64) {
        let counters: Vec<String> = entry.counters.iter().map(Counter::name).collect();
        for scope in entry.scopes.iter().filter(|_| !counters.is_empty()) {
            let series = scope.series(generation);
            for period in [day(&entry.day, self.slot), quarter(&entry.quarter, self.slot)] {
                self.add_to((series.clone(), period), &counters, count);
            }
        }
        let of_day = quarter_of_day(&entry.quarter);
        let league: Vec<String> = entry
            .league
            .iter()
            .flat_map(|progress| [league::of_day(*progress), league::counter(*progress, of_day)])
            .collect();
        for (kind, name) in &entry.rows {
            let key = (
                league::series(generation, *kind),
                league::period(&entry.day, name, self.slot),
            );
            self.add_to(key, &league, count);
        }
    }

    fn add_to(&mut self, key: Key, counters: &[String], count: i64) {
        let item = self.items.entry(key).or_default();
        for counter in counters {
            *item.entry(counter.clone()).or_default() += count;
        }
    }

    /// Removes counters that do not change: a message can move from one period to another and back.
    fn settle(&mut self) {
        for additions in self.items.values_mut() {
            additions.retain(|_, count| *count != 0);
        }
        self.items.retain(|_, additions| !additions.is_empty());
    }

    /// The number of items.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Splits the counts into parts that each fit a transaction.
    pub(crate) fn parts(mut self) -> Vec<Self> {
        self.settle();
        let mut parts = Vec::new();
        while !self.items.is_empty() {
            // An item with more counters than an expression can have is split over several parts.
            let mut rest = BTreeMap::new();
            for (key, additions) in &mut self.items {
                if let Some(beyond) = additions.keys().nth(MAX_COUNTERS).cloned() {
                    rest.insert(key.clone(), additions.split_off(&beyond));
                }
            }
            let mut items = std::mem::replace(&mut self.items, rest).into_iter().peekable();
            while items.peek().is_some() {
                let items = items.by_ref().take(MAX_ITEMS).collect();
                parts.push(Self { items, ..self });
            }
        }
        parts
    }

    /// The counts by series.
    pub(crate) fn into_series(mut self) -> BySeries {
        self.settle();
        let mut all = BySeries::new();
        for ((series, period), additions) in self.items {
            all.entry(series).or_default().insert(period, additions);
        }
        all
    }

    /// The updates that add the counts of a part.
    pub(crate) fn updates(&self, table: &str, now: EpochMillis) -> Vec<TransactWriteItem> {
        self.items
            .iter()
            .filter_map(|(key, additions)| transact(added(table, key, additions, now)))
            .collect()
    }
}

/// The quarter of the UTC day.
fn quarter_of_day(quarter: &str) -> u8 {
    began(quarter).map_or(0, counters::quarter_of_day)
}

fn added(table: &str, key: &Key, additions: &Additions, now: EpochMillis) -> UpdateBuilder {
    let mut update = update(table, key.clone());
    let mut set = format!("SET {UPDATED_AT} = :now");
    if counters::expires(&key.0) {
        set.push_str(", #expires = :expires");
        update = update
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":expires", counters::expires_at(now));
    }
    let mut parts = Vec::new();
    for (index, (counter, count)) in additions.iter().enumerate() {
        parts.push(format!("#{index} :{index}"));
        update = update
            .expression_attribute_names(format!("#{index}"), counter.as_str())
            .expression_attribute_values(format!(":{index}"), AttributeValue::N(count.to_string()));
    }
    update
        .update_expression(format!("{set} ADD {}", parts.join(", ")))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
}

pub(crate) fn update(table: &str, (series, period): Key) -> UpdateBuilder {
    Update::builder()
        .table_name(table)
        .key(SERIES, AttributeValue::S(series))
        .key(PERIOD, AttributeValue::S(period))
}

pub(crate) fn transact(update: UpdateBuilder) -> Option<TransactWriteItem> {
    // All required fields are set.
    Some(TransactWriteItem::builder().update(update.build().ok()?).build())
}
