//! Events that are counted in one transaction, and the updates they make.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, TransactWriteItem, Update, builders::UpdateBuilder},
};
use webhook_ingest::{
    event::EpochMillis,
    rollup::{
        BOTS, Counter, EXPIRES_AT, NO_PERIOD, PERIOD, SERIES, Scope, TAGS, UPDATED_AT, day, hour, marks,
    },
};

use crate::fact::{self, Fact};

/// A transaction takes 100 items:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MOST_ITEMS: usize = 100;
/// An update expression takes 4 KB, and each counter some 20 bytes of it.
const MOST_COUNTERS: usize = 150;
/// A stream keeps its records for 24 hours, so no record comes again later than that.
const MARKS_LIVE_SECONDS: i64 = 3 * 86_400;

/// Of a mark's item: what was counted (BS).
pub(crate) const SEEN: &str = "seen";
/// Of a mark's item: changes with every count (N), so that two writers never miss each other.
pub(crate) const VERSION: &str = "version";

type Key = (String, String);

/// What items are to hold more of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    items: BTreeMap<Key, Additions>,
}

#[derive(Debug, Clone, Default)]
struct Additions {
    counters: BTreeMap<Counter, u64>,
    bots: BTreeSet<String>,
    tags: BTreeSet<String>,
}

impl Counts {
    /// Those that one fact makes more.
    pub(crate) fn add(&mut self, generation: &str, fact: &Fact) {
        for scope in fact.scopes() {
            let series = scope.series(generation);
            let of_day = self.items.entry((series.clone(), day(&fact.day))).or_default();
            for counter in fact.of_the_day.iter().chain([&fact.status]) {
                *of_day.counters.entry(counter.clone()).or_default() += 1;
            }
            if scope == Scope::default() {
                of_day.bots.extend(fact.bot.clone());
                of_day.tags.extend(fact.tags.iter().cloned());
            }
            let of_hour = self.items.entry((series, hour(&fact.hour))).or_default();
            *of_hour.counters.entry(fact.status.clone()).or_default() += 1;
        }
    }

    /// Those of some facts.
    pub(crate) fn of<'f>(generation: &str, facts: impl IntoIterator<Item = &'f Fact>) -> Self {
        let mut counts = Self::default();
        for fact in facts {
            counts.add(generation, fact);
        }
        counts
    }

    /// How many items they are in.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The same with every word of the provider's own choice folded into one, for an item that is full.
    #[must_use]
    pub(crate) fn folded(mut self) -> Self {
        for additions in self.items.values_mut() {
            let mut folded = BTreeMap::new();
            for (counter, count) in std::mem::take(&mut additions.counters) {
                *folded.entry(fact::folded(counter)).or_default() += count;
            }
            additions.counters = folded;
        }
        self
    }

    /// The same in parts that fit a transaction each.
    pub(crate) fn parts(mut self) -> Vec<Self> {
        let mut parts = Vec::new();
        while !self.items.is_empty() {
            // An item with more counters than an expression takes is in several parts.
            let mut rest = BTreeMap::new();
            for (key, additions) in &mut self.items {
                if let Some(beyond) = additions.counters.keys().nth(MOST_COUNTERS).cloned() {
                    let counters = additions.counters.split_off(&beyond);
                    rest.insert(
                        key.clone(),
                        Additions {
                            counters,
                            ..Additions::default()
                        },
                    );
                }
            }
            let mut items = std::mem::replace(&mut self.items, rest).into_iter().peekable();
            while items.peek().is_some() {
                let items = items.by_ref().take(MOST_ITEMS).collect();
                parts.push(Self { items });
            }
        }
        parts
    }

    /// The updates that count them.
    pub(crate) fn updates(&self, table: &str, now: EpochMillis) -> Vec<TransactWriteItem> {
        self.items
            .iter()
            .filter_map(|(key, additions)| transact(added(update(table, key.clone()), additions, now)))
            .collect()
    }
}

/// How many of the first facts fit one transaction.
pub(crate) fn fitting(facts: &[Fact]) -> usize {
    let mut items: BTreeSet<Key> = BTreeSet::new();
    let mut seconds: BTreeSet<EpochMillis> = BTreeSet::new();
    let mut counters: BTreeSet<&Counter> = BTreeSet::new();
    for (place, fact) in facts.iter().enumerate() {
        for scope in fact.scopes() {
            let series = scope.series("");
            items.insert((series.clone(), day(&fact.day)));
            items.insert((series, hour(&fact.hour)));
        }
        seconds.insert(fact.received_at.div_euclid(1000));
        counters.insert(&fact.status);
        counters.extend(&fact.of_the_day);
        let full = items.len() + seconds.len() > MOST_ITEMS || counters.len() > MOST_COUNTERS;
        if full && place > 0 {
            return place;
        }
    }
    facts.len()
}

/// The marks' items that facts need, by partition key.
pub(crate) fn seconds(facts: &[Fact], generation: &str) -> BTreeMap<String, BTreeSet<[u8; 8]>> {
    let mut seconds: BTreeMap<String, BTreeSet<[u8; 8]>> = BTreeMap::new();
    for fact in facts {
        seconds
            .entry(marks(generation, fact.received_at))
            .or_default()
            .insert(fact.mark);
    }
    seconds
}

/// The update that remembers marks, if nobody else did since `version` was read.
pub(crate) fn remember(
    table: &str,
    series: String,
    fresh: impl IntoIterator<Item = [u8; 8]>,
    version: Option<&str>,
    now: EpochMillis,
) -> Option<TransactWriteItem> {
    let next = version.and_then(|v| v.parse::<u64>().ok()).unwrap_or_default() + 1;
    let marks = fresh.into_iter().map(Blob::new).collect();
    let expires = now / 1000 + MARKS_LIVE_SECONDS;
    let update = update(table, (series, NO_PERIOD.to_owned()))
        .update_expression("SET #version = :next, #expires = :expires ADD #seen :marks")
        .expression_attribute_names("#version", VERSION)
        .expression_attribute_names("#expires", EXPIRES_AT)
        .expression_attribute_names("#seen", SEEN)
        .expression_attribute_values(":next", AttributeValue::N(next.to_string()))
        .expression_attribute_values(":expires", AttributeValue::N(expires.to_string()))
        .expression_attribute_values(":marks", AttributeValue::Bs(marks));
    transact(match version {
        None => update.condition_expression("attribute_not_exists(#version)"),
        Some(read) => update
            .condition_expression("#version = :read")
            .expression_attribute_values(":read", AttributeValue::N(read.to_owned())),
    })
}

fn added(mut update: UpdateBuilder, additions: &Additions, now: EpochMillis) -> UpdateBuilder {
    let mut parts = Vec::new();
    for (place, (counter, count)) in additions.counters.iter().enumerate() {
        parts.push(format!("#{place} :{place}"));
        update = update
            .expression_attribute_names(format!("#{place}"), counter.name())
            .expression_attribute_values(format!(":{place}"), AttributeValue::N(count.to_string()));
    }
    for (name, values) in [(BOTS, &additions.bots), (TAGS, &additions.tags)] {
        if !values.is_empty() {
            parts.push(format!("{name} :{name}"));
            let values = values.iter().cloned().collect();
            update = update.expression_attribute_values(format!(":{name}"), AttributeValue::Ss(values));
        }
    }
    update
        .update_expression(format!("SET {UPDATED_AT} = :now ADD {}", parts.join(", ")))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
}

fn update(table: &str, (series, period): Key) -> UpdateBuilder {
    Update::builder()
        .table_name(table)
        .key(SERIES, AttributeValue::S(series))
        .key(PERIOD, AttributeValue::S(period))
}

fn transact(update: UpdateBuilder) -> Option<TransactWriteItem> {
    // Nothing that the builder asks for is missing above.
    Some(TransactWriteItem::builder().update(update.build().ok()?).build())
}
