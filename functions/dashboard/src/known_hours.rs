//! Finds the hours for which the counters show no matching event. A list skips them and reports their number. Counters
//! can lack events, so a caller can ask for all hours.
//!
//! The counters of a tag, a campaign, a template, a bot or a country are a series. Without such a condition, the counters
//! of all events show in which hours a reason, a message type or a price occurred.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice::from_ref,
};

use aws_sdk_dynamodb::Client;
use webhook_ingest::{
    counters::{
        self, Counter, Generations, NO_CATEGORY, NO_COUNTRY, Names, OTHER, OTHER_CHANNEL, PERIOD, Quantity,
        Scope, UPDATED_AT,
        pending::{PendingCounts, Wanted},
    },
    event::time,
    events_table::item::{Item, number_at},
    facets::{Price, UNCATEGORISED},
};

use crate::{
    filter::{self, EventFilter, UNKNOWN},
    merge::{Order, ReadBudget, Span},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Counters are at most some minutes behind. Events in this time before the last count are read in any case.
const LAG_MS: i64 = HOUR_MS;
/// The most parts of a day, because each takes a query for each shard.
const MAX_PARTS: usize = 6;
/// The most pages of a query, of 1 MB each. Beyond, all hours are read.
const MAX_PAGES: usize = 4;
/// The first and the most days whose counters one query reads. A list that is full after a day does not need those of a
/// year.
const FIRST_DAYS: i64 = 4;
const MAX_DAYS: i64 = 64;

/// The counters for a filter.
pub(crate) struct KnownHours<'a> {
    client: &'a Client,
    table: &'a str,
    filter: &'a EventFilter,
    order: Order,
    /// The days of the list, in days since 1970.
    first: i64,
    last: i64,
    /// The series of the filter, and the one of the names that are counted together.
    series: Vec<String>,
    /// Counts that the items may lack.
    pending: PendingCounts,
    /// Events before this time are counted, epoch milliseconds.
    counted_to: i64,
    block: Option<Block>,
    next_days: i64,
}

/// Neighboring days, in days since 1970.
struct Block {
    first: i64,
    last: i64,
    /// The days with matching counters; `None` if the counters did not answer.
    days: Option<BTreeSet<String>>,
}

impl<'a> KnownHours<'a> {
    /// The counters for a list; `None` if the index checks all conditions, if nothing was counted recently, or if there are
    /// too many pending counts.
    pub(crate) async fn of(
        client: &'a Client,
        table: &'a str,
        filter: &'a EventFilter,
        order: Order,
        span: Span,
    ) -> Option<Self> {
        if table.is_empty() || !filter.needs_items() {
            return None;
        }
        let generation = Generations::read(client, table, false).await;
        let generation = generation.inspect_err(|_| not_readable()).ok()?.current;
        let of_kinds = [
            (Names::Tags, &filter.tag),
            (Names::Campaigns, &filter.campaign),
            (Names::Templates, &filter.template),
            (Names::Bots, &filter.bot),
            (Names::Countries, &filter.country),
        ];
        let mut of_kinds = of_kinds
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_ref().filter(|name| *name != NO_COUNTRY)?)));
        let scopes = match of_kinds.next() {
            Some((kind, name)) => BTreeSet::from([Scope::of(kind, name), Scope::of(kind, OTHER)]),
            None => BTreeSet::from([Scope::default()]),
        };
        let now = time::now();
        let everything = Scope::default().series(&generation);
        let series: Vec<String> = scopes.iter().map(|scope| scope.series(&generation)).collect();
        let wanted = Wanted {
            generation: &generation,
            series: &[series.as_slice(), from_ref(&everything)].concat(),
            days: (&time::utc_day(span.from), &time::utc_day(span.to.max(now))),
        };
        let pending = PendingCounts::read(client, table, wanted).await;
        let pending = pending.inspect_err(|_| not_readable()).ok();
        let pending = pending.filter(PendingCounts::is_complete)?;
        let mut known = Self {
            client,
            table,
            filter,
            order,
            first: span.from.div_euclid(DAY_MS),
            last: span.to.div_euclid(DAY_MS),
            series,
            pending,
            counted_to: 0,
            block: None,
            next_days: FIRST_DAYS,
        };
        let days = counters::days(&time::utc_day(now - DAY_MS), &time::utc_day(now));
        let counted = known.read(&everything, days).await?;
        let last = counted
            .iter()
            .filter_map(|day| number_at(day, UPDATED_AT))
            .max()?;
        known.counted_to = last.min(now) - LAG_MS;
        Some(known)
    }

    /// Those of some parts of a UTC day that must be read, ascending, and the times that are left out.
    pub(crate) async fn restrict(
        &mut self,
        parts: Vec<Span>,
        budget: &mut ReadBudget,
    ) -> (Vec<Span>, Vec<Span>) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return (parts, Vec::new());
        };
        let whole = Span {
            from: first.from,
            to: last.to,
        };
        let number = whole.from.div_euclid(DAY_MS);
        if self
            .block
            .as_ref()
            .is_none_or(|block| !(block.first..=block.last).contains(&number))
        {
            self.block = Some(self.days_from(number, budget).await);
        }
        let days = self.block.as_ref().and_then(|block| block.days.as_ref());
        let Some(days) = days else {
            return (parts, Vec::new());
        };
        let counted = if days.contains(&time::utc_day(whole.from)) {
            let range = counters::quarters(whole.from, whole.to + 1);
            match self.matching(range, budget).await {
                Some(hours) => hours,
                None => return (parts, Vec::new()),
            }
        } else {
            BTreeSet::new()
        };
        // `2026-11-21T10:15` to the hour since 1970.
        let counted: BTreeSet<i64> = counted
            .iter()
            .filter_map(|moment| Some(counters::began(moment)?.div_euclid(HOUR_MS)))
            .collect();
        let mut read = Vec::new();
        let mut skipped = Vec::new();
        for part in parts {
            let hours: Vec<(bool, Span)> = (part.from.div_euclid(HOUR_MS)..=part.to.div_euclid(HOUR_MS))
                .map(|hour| {
                    let (from, to) = (hour * HOUR_MS, hour * HOUR_MS + HOUR_MS - 1);
                    let is_needed = counted.contains(&hour) || to >= self.counted_to;
                    let span = Span {
                        from: from.max(part.from),
                        to: to.min(part.to),
                    };
                    (is_needed, span)
                })
                .collect();
            let (parts, others) = parts_of(&hours);
            read.extend(parts);
            skipped.extend(others);
        }
        (read, skipped)
    }

    /// The counters of a day and of some that follow in the order of the list.
    async fn days_from(&mut self, day: i64, budget: &mut ReadBudget) -> Block {
        let more = self.next_days - 1;
        self.next_days = (self.next_days * 2).min(MAX_DAYS);
        let (first, last) = match self.order {
            Order::Newest => ((day - more).max(self.first), day),
            Order::Oldest => (day, (day + more).min(self.last)),
        };
        let name = |day: i64| time::utc_day(day.saturating_mul(DAY_MS));
        let days = self
            .matching(counters::days(&name(first), &name(last)), budget)
            .await;
        Block { first, last, days }
    }

    /// The days or quarters with counters that fulfill the conditions; `None` if the counters do not answer.
    async fn matching(&self, range: (String, String), budget: &mut ReadBudget) -> Option<BTreeSet<String>> {
        budget.count_queries(self.series.len());
        let read = self.series.iter().map(|series| self.read(series, range.clone()));
        let items = futures::future::join_all(read).await;
        let items = items.into_iter().collect::<Option<Vec<Vec<Item>>>>()?;
        // The slots of a period together.
        let mut moments: BTreeMap<String, Fulfilled> = BTreeMap::new();
        for item in items.iter().flatten() {
            let period = item.get(PERIOD).and_then(|period| period.as_s().ok());
            let Some(moment) = period.and_then(|period| counters::moment(period)) else {
                continue;
            };
            let fulfilled = moments.entry(moment.to_owned()).or_default();
            // Earlier versions counted only statuses in whole hours.
            let only_statuses = moment.contains('T') && !moment.contains(':');
            fulfilled.add(self.filter, item, only_statuses);
        }
        let moments = moments
            .into_iter()
            .filter(|(_, fulfilled)| fulfilled.all(self.filter));
        Some(moments.map(|(moment, _)| moment).collect())
    }

    /// The items of a series; `None` if they are too many, or if the table does not answer.
    async fn read(&self, series: &str, range: (String, String)) -> Option<Vec<Item>> {
        let mut read = counters::query(self.client, self.table, series, range.clone())
            .into_paginator()
            .send();
        let mut items = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = read.next().await?.inspect_err(|_| not_readable()).ok()?;
            let is_last = page.last_evaluated_key.is_none();
            items.extend(page.items.unwrap_or_default());
            if is_last {
                self.pending.add_to(&mut items, series, &range);
                return Some(items);
            }
        }
        None
    }
}

/// A condition that counters of a kind fulfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Status,
    Reason,
    MessageType,
    Price,
}

/// The conditions of a filter that some counters fulfill.
#[derive(Debug, Default)]
struct Fulfilled(BTreeSet<Condition>);

impl Fulfilled {
    fn add(&mut self, filter: &EventFilter, item: &Item, only_statuses: bool) {
        for Counter { channel, quantity } in item.keys().filter_map(|name| Counter::parse(name)) {
            let is_of_channel = filter.channels.is_empty()
                || channel == OTHER_CHANNEL
                || filter
                    .channels
                    .iter()
                    .any(|wanted| counters::word(wanted) == channel);
            if !is_of_channel {
                continue;
            }
            let (condition, is_fulfilled) = match &quantity {
                Quantity::Status(status) => (Condition::Status, filter.has_status(status) || status == OTHER),
                Quantity::Failure(reason) => (
                    Condition::Reason,
                    filter::matches(filter.reason.as_ref(), Some(reason)) || reason == OTHER,
                ),
                Quantity::Kind(message_type) => (
                    Condition::MessageType,
                    filter.matches_type(Some(message_type)) || message_type == OTHER,
                ),
                Quantity::Billing {
                    category, billable, ..
                } => {
                    // `OTHER` can contain each category.
                    let named = if category == OTHER {
                        filter.category.as_ref()
                    } else {
                        Some(category)
                    };
                    let price = Price {
                        category: named.filter(|name| *name != UNCATEGORISED).cloned(),
                        billable: *billable,
                    };
                    (Condition::Price, filter.matches_price(Some(&price)))
                }
                Quantity::Leg(_)
                | Quantity::Journey(_)
                | Quantity::Latency { .. }
                | Quantity::Charge { .. } => continue,
            };
            if is_fulfilled {
                self.0.insert(condition);
            }
        }
        if only_statuses {
            self.0
                .extend([Condition::Reason, Condition::MessageType, Condition::Price]);
        }
    }

    fn all(&self, filter: &EventFilter) -> bool {
        // A type that is a status is not counted, and neither is an event without a price.
        let has_type = filter
            .message_type
            .as_deref()
            .is_some_and(|word| !counters::is_listed_status(word));
        let may_lack_a_price = filter.billable.iter().any(|word| word == UNKNOWN)
            || (filter.billable.is_empty()
                && filter.category.as_deref().is_none_or(|word| word == NO_CATEGORY));
        [
            (Condition::Status, true),
            (Condition::Reason, filter.reason.is_some()),
            (Condition::MessageType, has_type),
            (Condition::Price, !may_lack_a_price),
        ]
        .iter()
        .all(|(condition, is_wanted)| !is_wanted || self.0.contains(condition))
    }
}

fn not_readable() {
    tracing::warn!("the counters could not be read; the list reads every hour");
}

/// The number of hours of skipped times in a range. Parts of hours are added: a zone's hour can be parts of two.
pub(crate) fn skipped_hours(skipped: &[Span], range: Span) -> u32 {
    let skipped: i64 = skipped
        .iter()
        .map(|span| (span.to.min(range.to) + 1 - span.from.max(range.from)).max(0))
        .sum();
    u32::try_from(skipped.div_euclid(HOUR_MS) + i64::from(skipped % HOUR_MS > 0)).unwrap_or(u32::MAX)
}

/// Neighboring hours as parts, and the hours in no part. Beyond [`MAX_PARTS`], one part from the first to the last.
fn parts_of(hours: &[(bool, Span)]) -> (Vec<Span>, Vec<Span>) {
    let mut parts: Vec<Span> = Vec::new();
    for (_, hour) in hours.iter().filter(|(is_needed, _)| *is_needed) {
        match parts.last_mut() {
            Some(part) if part.to + 1 == hour.from => part.to = hour.to,
            _ => parts.push(*hour),
        }
    }
    if parts.len() > MAX_PARTS
        && let (Some(first), Some(last)) = (parts.first(), parts.last())
    {
        parts = vec![Span {
            from: first.from,
            to: last.to,
        }];
    }
    let is_read = |hour: &Span| {
        parts
            .iter()
            .any(|part| part.from <= hour.from && hour.to <= part.to)
    };
    let hours = hours.iter().map(|(_, hour)| *hour);
    let skipped = hours.filter(|hour| !is_read(hour)).collect();
    (parts, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(needed: &[i64]) -> (Vec<(i64, i64)>, usize) {
        let hours: Vec<(bool, Span)> = (0..24)
            .map(|hour| {
                let span = Span {
                    from: hour * 100,
                    to: hour * 100 + 99,
                };
                (needed.contains(&hour), span)
            })
            .collect();
        let (parts, skipped) = parts_of(&hours);
        let parts = parts.iter().map(|part| (part.from, part.to));
        (parts.collect(), skipped.len())
    }

    #[test]
    fn neighboring_hours_are_one_part() {
        assert_eq!(parts(&[]), (vec![], 24));
        assert_eq!(parts(&[3, 4, 5, 23]), (vec![(300, 599), (2300, 2399)], 20));
        assert_eq!(parts(&(0..24).collect::<Vec<i64>>()), (vec![(0, 2399)], 0));
        assert_eq!(parts(&[1, 3, 5, 7, 9, 11]).0.len(), 6);
        assert_eq!(parts(&[1, 3, 5, 7, 9, 11, 13]), (vec![(100, 1399)], 11));
    }

    #[test]
    fn only_skipped_hours_of_the_range_count() {
        const MINUTE_MS: i64 = 60_000;
        let span = |from: i64, to: i64| Span {
            from: from * MINUTE_MS,
            to: to * MINUTE_MS - 1,
        };
        // Two hours, and an hour of a zone that begins at half past.
        let skipped = [span(0, 60), span(60, 120), span(210, 240), span(240, 270)];
        for (range, hours) in [
            (span(0, 24 * 60), 3),
            (span(0, 120), 2),
            (span(60, 220), 2),
            (span(120, 210), 0),
            (span(210, 240), 1),
        ] {
            assert_eq!(skipped_hours(&skipped, range), hours, "{range:?}");
        }
    }
}
