//! The overview, from the counters' table: two or three queries whose size depends on the range and
//! on nothing else.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use webhook_ingest::{
    event::Channel,
    item::{Item, number_at},
    rollup::{BOTS, Counter, Generations, PERIOD, SERIES, Scope, TAGS, UPDATED_AT, day, hour},
};

use crate::{
    Refusal,
    answers::{BillingCount, DayCount, FailureCount, Fallback, Funnel, HourCount, Summary, TypeCount},
    table,
};

/// Hours of a longer range would fill a screen with one pixel each.
const MOST_DAYS_WITH_HOURS: i64 = 31;

/// Which events are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// First UTC day, `2026-11-21`.
    pub(crate) from: String,
    /// Last UTC day.
    pub(crate) to: String,
    /// How many days that is.
    pub(crate) days: i64,
    pub(crate) scope: Scope,
    pub(crate) channel: Option<String>,
}

/// The counters' table, read.
pub(crate) struct Counters {
    client: Client,
    table: String,
}

impl Counters {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    pub(crate) async fn summary(&self, range: &Range) -> Result<Summary, Refusal> {
        let generations = Generations::read(&self.client, &self.table, false)
            .await
            .map_err(|e| table::unavailable("the counters' table", &e))?;
        let generation = generations.current;
        let series = range.scope.series(&generation);
        let everything = Scope::default().series(&generation);
        let days = self.read(&series, day(&range.from), day(&range.to));
        let hours = async {
            if range.days > MOST_DAYS_WITH_HOURS {
                return Ok(Vec::new());
            }
            let (first, last) = (format!("{}T00", range.from), format!("{}T23", range.to));
            self.read(&series, hour(&first), hour(&last)).await
        };
        // What can be chosen does not depend on what is chosen.
        let choices = async {
            if series == everything {
                return Ok(None);
            }
            self.read(&everything, day(&range.from), day(&range.to))
                .await
                .map(Some)
        };
        let (days, hours, choices) = tokio::try_join!(days, hours, choices)?;
        Ok(told(range, &days, &hours, choices.as_ref().unwrap_or(&days)))
    }

    async fn read(&self, series: &str, first: String, last: String) -> Result<Vec<Item>, Refusal> {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#series = :series AND #period BETWEEN :first AND :last")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_names("#period", PERIOD)
            .expression_attribute_values(":series", AttributeValue::S(series.to_owned()))
            .expression_attribute_values(":first", AttributeValue::S(first))
            .expression_attribute_values(":last", AttributeValue::S(last))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>()
            .await
            .map_err(|e| table::unavailable("the counters' table", &e))
    }
}

fn told(range: &Range, days: &[Item], hours: &[Item], choices: &[Item]) -> Summary {
    let mut summary = Summary {
        from: range.from.clone(),
        to: range.to.clone(),
        updated_at: choices.iter().filter_map(|day| number_at(day, UPDATED_AT)).max(),
        bots: words(choices, BOTS),
        tags: words(choices, TAGS),
        ..Summary::default()
    };
    let wanted = |counter: &Counter| range.channel.as_deref().is_none_or(|c| c == counter.channel());
    let channels: BTreeSet<String> = choices
        .iter()
        .flat_map(counters)
        .map(|(_, counter, _)| counter.channel().to_owned())
        .collect();
    summary.channels = channels.into_iter().collect();
    let mut totals: BTreeMap<Counter, u64> = BTreeMap::new();
    for (day, counter, count) in days
        .iter()
        .flat_map(counters)
        .filter(|(_, counter, _)| wanted(counter))
    {
        if let Counter::Status { channel, status } = &counter {
            summary.counts.push(DayCount {
                day,
                channel: channel.clone(),
                status: status.clone(),
                count,
            });
        }
        *totals.entry(counter).or_default() += count;
    }
    for (hour, counter, count) in hours
        .iter()
        .flat_map(counters)
        .filter(|(_, counter, _)| wanted(counter))
    {
        if let Counter::Status { channel, status } = counter {
            summary.hours.push(HourCount {
                hour,
                channel,
                status,
                count,
            });
        }
    }
    total(&mut summary, totals);
    summary
}

/// What the range holds in all.
fn total(summary: &mut Summary, totals: BTreeMap<Counter, u64>) {
    let mut funnels: BTreeMap<String, Funnel> = BTreeMap::new();
    let mut prices: BTreeMap<(String, bool), BTreeMap<String, u64>> = BTreeMap::new();
    for (counter, count) in totals {
        match counter {
            Counter::Status { channel, status } => {
                let funnel = funnels.entry(channel).or_default();
                if let Some(step) = step(funnel, &status) {
                    *step += count;
                }
            }
            Counter::Billing {
                category,
                billable,
                status,
                ..
            } => {
                *prices
                    .entry((category, billable))
                    .or_default()
                    .entry(status)
                    .or_default() += count;
            }
            Counter::Failure { channel, reason } => summary.failures.push(FailureCount {
                channel,
                reason,
                count,
            }),
            Counter::Kind {
                channel,
                message_type,
            } => summary.message_types.push(TypeCount {
                channel,
                message_type,
                count,
            }),
        }
    }
    summary
        .failures
        .sort_by_key(|failure| std::cmp::Reverse(failure.count));
    summary
        .message_types
        .sort_by_key(|kind| std::cmp::Reverse(kind.count));
    summary.billing = prices
        .into_iter()
        .map(|((category, billable), statuses)| BillingCount {
            category,
            billable,
            count: statuses.values().sum(),
            messages: statuses.into_values().max().unwrap_or_default(),
        })
        .collect();
    summary.fallback = fallback(&funnels);
    summary.funnel = funnels
        .into_iter()
        .map(|(channel, funnel)| Funnel { channel, ..funnel })
        .collect();
}

fn step<'f>(funnel: &'f mut Funnel, status: &str) -> Option<&'f mut u64> {
    Some(match status {
        "sent" => &mut funnel.sent,
        "delivered" => &mut funnel.delivered,
        "read" => &mut funnel.read,
        "clicked" => &mut funnel.clicked,
        "failed" => &mut funnel.failed,
        "not_sent" => &mut funnel.not_sent,
        "blocked" => &mut funnel.blocked,
        _ => return None,
    })
}

fn fallback(funnels: &BTreeMap<String, Funnel>) -> Fallback {
    let none = Funnel::default();
    let rcs = funnels.get(Channel::RCS).unwrap_or(&none);
    let sms = funnels.get(Channel::SMS).unwrap_or(&none);
    Fallback {
        attempts: rcs.sent + rcs.not_sent + rcs.blocked,
        fell_back: sms.sent,
        delivered: sms.delivered,
        failed: sms.failed,
        clicked: sms.clicked,
    }
}

/// The counters of an item, each with the day or hour it is of.
fn counters(item: &Item) -> impl Iterator<Item = (String, Counter, u64)> {
    let period = item.get(PERIOD).and_then(|p| p.as_s().ok());
    let of = period.and_then(|p| p.split_once('#')).map_or("", |(_, of)| of);
    let mut counters: Vec<_> = item
        .iter()
        .filter_map(|(name, value)| {
            let count = value.as_n().ok()?.parse().ok()?;
            Some((of.to_owned(), Counter::parse(name)?, count))
        })
        .collect();
    counters.sort();
    counters.into_iter()
}

fn words(days: &[Item], name: &str) -> Vec<String> {
    let all: BTreeSet<&String> = days
        .iter()
        .filter_map(|day| day.get(name)?.as_ss().ok())
        .flatten()
        .collect();
    all.into_iter().cloned().collect()
}
