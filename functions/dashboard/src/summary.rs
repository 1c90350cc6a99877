//! The overview, from the counters' table: three or four queries. Their size is limited and depends only on
//! the range.
//!
//! A day of a series has at most ten items of 50 KB, usually one of 1 KB; an hour has at most ten items of
//! 15 KB, usually one of 200 bytes. The names of a range are one page of a query, at most 1 MB.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use webhook_ingest::{
    counters::{self, Counter, FOLDED, Generations, Names, PERIOD, SERIES, Scope, UPDATED_AT},
    event::Channel,
    events_table::item::{Item, number_at},
};

use crate::{
    answers::{
        BillingCount, DayCount, FailureCount, Fallback, Folded, Funnel, HourCount, Summary, TypeCount,
    },
    refusal::{self, Refusal},
};

/// For longer ranges there are no hours: a screen has not enough pixels for them.
const MAX_DAYS_WITH_HOURS: i64 = 31;
/// Maximum of bots and tags to choose from, those of the latest days.
const MAX_CHOICES: usize = 2_000;

/// Filter for the counted events.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// First UTC day, `2026-11-21`.
    pub(crate) from: String,
    /// Last UTC day.
    pub(crate) to: String,
    /// Number of days.
    pub(crate) days: i64,
    pub(crate) scope: Scope,
    pub(crate) channel: Option<String>,
}

/// Reads the counters' table.
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
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        let generation = generations.current;
        let series = range.scope.series(&generation);
        let everything = Scope::default().series(&generation);
        let of_days = || counters::days(&range.from, &range.to);
        let days = self.read(&series, of_days());
        let hours = async {
            if range.days > MAX_DAYS_WITH_HOURS {
                return Ok(Vec::new());
            }
            self.read(&series, counters::hours(&range.from, &range.to)).await
        };
        // The choices do not depend on the current choice.
        let choices = async {
            if series == everything {
                return Ok(None);
            }
            self.read(&everything, of_days()).await.map(Some)
        };
        let names = self.names(&generation, of_days());
        let (days, hours, choices, names) = tokio::try_join!(days, hours, choices, names)?;
        Ok(summary(
            range,
            &days,
            &hours,
            choices.as_ref().unwrap_or(&days),
            &names,
        ))
    }

    async fn read(&self, series: &str, range: (String, String)) -> Result<Vec<Item>, Refusal> {
        self.query(series, range)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>()
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))
    }

    /// The pages of names, latest day first; only the first page of the query.
    async fn names(&self, generation: &str, range: (String, String)) -> Result<Vec<Item>, Refusal> {
        let answer = self
            .query(&counters::names(generation), range)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        Ok(answer.items.unwrap_or_default())
    }

    fn query(&self, series: &str, (first, last): (String, String)) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#series = :series AND #period BETWEEN :first AND :last")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_names("#period", PERIOD)
            .expression_attribute_values(":series", AttributeValue::S(series.to_owned()))
            .expression_attribute_values(":first", AttributeValue::S(first))
            .expression_attribute_values(":last", AttributeValue::S(last))
    }
}

fn summary(range: &Range, days: &[Item], hours: &[Item], choices: &[Item], names: &[Item]) -> Summary {
    let mut summary = Summary {
        from: range.from.clone(),
        to: range.to.clone(),
        updated_at: choices.iter().filter_map(|day| number_at(day, UPDATED_AT)).max(),
        bots: chosen(names, choices, Names::Bots),
        tags: chosen(names, choices, Names::Tags),
        folded: folded(names),
        ..Summary::default()
    };
    let channels: BTreeSet<String> = counters(choices)
        .into_keys()
        .map(|(_, counter)| counter.channel().to_owned())
        .collect();
    summary.channels = channels.into_iter().collect();
    let is_wanted = |counter: &Counter| range.channel.as_deref().is_none_or(|c| c == counter.channel());
    let mut totals: BTreeMap<Counter, u64> = BTreeMap::new();
    for ((day, counter), count) in counters(days) {
        if !is_wanted(&counter) {
            continue;
        }
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
    for ((hour, counter), count) in counters(hours) {
        if !is_wanted(&counter) {
            continue;
        }
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

/// Adds the totals of the range.
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
        // `opened_by_machine` is a step of no person.
        "read" | "opened" => &mut funnel.read,
        "clicked" => &mut funnel.clicked,
        "failed" | "bounced" | "expired" | "revoked" => &mut funnel.failed,
        "not_sent" | "dropped" | "invalid" => &mut funnel.not_sent,
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

/// Counters of items by day or hour, summed over all slots.
fn counters(items: &[Item]) -> BTreeMap<(String, Counter), u64> {
    let mut counters = BTreeMap::new();
    for item in items {
        let period = item.get(PERIOD).and_then(|p| p.as_s().ok());
        let moment = period
            .and_then(|period| counters::moment(period))
            .unwrap_or_default();
        for (name, value) in item {
            let count = value.as_n().ok().and_then(|n| n.parse::<u64>().ok());
            if let (Some(count), Some(counter)) = (count, Counter::parse(name)) {
                *counters.entry((moment.to_owned(), counter)).or_default() += count;
            }
        }
    }
    counters
}

/// The bots or tags to choose from, sorted. Earlier versions stored them in the items of days.
fn chosen(names: &[Item], days: &[Item], kind: Names) -> Vec<String> {
    let latest_first = names.iter().chain(days.iter().rev());
    let mut all = BTreeSet::new();
    for name in latest_first
        .filter_map(|item| item.get(kind.attribute())?.as_ss().ok())
        .flatten()
    {
        if all.len() == MAX_CHOICES {
            break;
        }
        all.insert(name);
    }
    let mut all: Vec<String> = all.into_iter().cloned().collect();
    let folds = folded(names).iter().any(|folded| folded.kind == kind.attribute());
    if folds && !all.iter().any(|name| name == counters::OTHER) {
        all.push(counters::OTHER.to_owned());
    }
    all
}

/// Kinds of names with more names on some day than are counted separately.
fn folded(names: &[Item]) -> Vec<Folded> {
    let of = |page: &Item| -> BTreeSet<(String, String)> {
        let day = page.get(PERIOD).and_then(|p| p.as_s().ok());
        let day = day
            .and_then(|period| counters::moment(period))
            .unwrap_or_default();
        let kinds = page
            .get(FOLDED)
            .and_then(|v| v.as_ss().ok())
            .into_iter()
            .flatten();
        kinds.map(|kind| (kind.clone(), day.to_owned())).collect()
    };
    let folded: BTreeSet<(String, String)> = names.iter().flat_map(of).collect();
    let days = |kind: Names| folded.iter().filter(|(of, _)| of == kind.attribute()).count();
    Names::ALL
        .into_iter()
        .filter(|kind| days(*kind) > 0)
        .map(|kind| Folded {
            kind: kind.attribute().to_owned(),
            most: kind.most(),
            days: days(kind),
        })
        .collect()
}
