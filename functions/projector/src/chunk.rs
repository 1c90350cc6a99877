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

use crate::fact::Fact;

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

/// Whether what is counted is remembered, so that it is not counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    Kept,
    /// For events that no stream will ever bring again.
    None,
}

/// What one item is to hold more of.
#[derive(Default)]
struct Additions<'a> {
    counters: BTreeMap<String, u64>,
    bots: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
}

/// How many of the first facts fit one transaction.
pub(crate) fn fitting(facts: &[Fact], kept: Marks) -> usize {
    let mut items: BTreeSet<Key> = BTreeSet::new();
    let mut seconds: BTreeSet<EpochMillis> = BTreeSet::new();
    let mut counters: BTreeSet<&Counter> = BTreeSet::new();
    for (place, fact) in facts.iter().enumerate() {
        for scope in fact.scopes() {
            let series = scope.series("");
            items.insert((series.clone(), day(&fact.day)));
            items.insert((series, hour(&fact.hour)));
        }
        if kept == Marks::Kept {
            seconds.insert(fact.received_at.div_euclid(1000));
        }
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

/// The updates that count facts.
pub(crate) fn counts(
    table: &str,
    generation: &str,
    facts: &[Fact],
    now: EpochMillis,
) -> Vec<TransactWriteItem> {
    let mut items: BTreeMap<Key, Additions<'_>> = BTreeMap::new();
    for fact in facts {
        for scope in fact.scopes() {
            let series = scope.series(generation);
            let of_day = items.entry((series.clone(), day(&fact.day))).or_default();
            for counter in fact.of_the_day.iter().chain([&fact.status]) {
                *of_day.counters.entry(counter.name()).or_default() += 1;
            }
            if scope == Scope::default() {
                of_day.bots.extend(fact.bot.as_deref());
                of_day.tags.extend(fact.tags.iter().map(String::as_str));
            }
            let of_hour = items.entry((series, hour(&fact.hour))).or_default();
            *of_hour.counters.entry(fact.status.name()).or_default() += 1;
        }
    }
    items
        .into_iter()
        .filter_map(|(key, additions)| transact(added(update(table, key), &additions, now)))
        .collect()
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

fn added(mut update: UpdateBuilder, additions: &Additions<'_>, now: EpochMillis) -> UpdateBuilder {
    let mut parts = Vec::new();
    for (place, (name, count)) in additions.counters.iter().enumerate() {
        parts.push(format!("#{place} :{place}"));
        update = update
            .expression_attribute_names(format!("#{place}"), name)
            .expression_attribute_values(format!(":{place}"), AttributeValue::N(count.to_string()));
    }
    for (name, values) in [(BOTS, &additions.bots), (TAGS, &additions.tags)] {
        if !values.is_empty() {
            parts.push(format!("{name} :{name}"));
            let values = values.iter().map(|value| (*value).to_owned()).collect();
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
