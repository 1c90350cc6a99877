//! The overview, from the counters' table. Its size is limited and depends only on the range and on the names in it.
//!
//! Days of UTC are counters of days; days of other zones, hours and the weekly pattern are summed up from quarters of
//! an hour. A day of a series has at most ten items of 50 KB, usually one of 1 to 3 KB; a quarter has at most ten of 20
//! KB, usually one of 500 bytes. The names of a range are one page of a query, at most 1 MB, and each league table is at
//! most [`MAX_LEAGUE_PAGES`] of them.

mod league;
mod range;
mod rate_card;
mod totals;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use futures::future::try_join_all;
use jiff::civil::Date;
use webhook_ingest::{
    counters::{
        self, Counter, FOLDED, Generations, Names, PERIOD, Progress, Quantity, Scope, UPDATED_AT,
        league as tables,
        pending::{MERGE, PendingCounts, Wanted},
    },
    event::{EpochMillis, time},
    events_table::item::{Item, number_at},
    operations::dynamodb,
};

pub(crate) use self::range::{Range, days};
pub use self::rate_card::RateCard;
use self::totals::Totals;
use crate::{
    answers::{Folded, HeatCell, HourCount, Summary},
    refusal::{self, Refusal},
};

/// For longer ranges there are no hours: a screen has not enough pixels for them.
const MAX_DAYS_WITH_HOURS: i64 = 31;
/// The most days of a zone other than UTC, since they are summed up from quarters.
pub(crate) const MAX_ZONE_DAYS: i64 = 92;
/// Maximum of names of each kind, those of the latest days.
const MAX_CHOICES: usize = 2_000;
/// Maximum pages of a query for a league table. A page has 1 MB.
const MAX_LEAGUE_PAGES: usize = 4;
/// Days of quarters that one query reads, while others read the rest.
const QUARTER_DAYS: i64 = 8;
/// Attempts to read all items between two merges. A merge takes a second, every few minutes.
const ATTEMPTS: usize = 3;

/// Reads the counters' table.
pub(crate) struct Counters {
    client: Client,
    table: String,
    rates: Option<RateCard>,
}

/// What was read for a range.
struct Read {
    days: Vec<Item>,
    quarters: Vec<Item>,
    /// Days of everything, for the choices of channels.
    everything: Option<Vec<Item>>,
    names: Vec<Item>,
    /// The items of each league table.
    tables: Vec<Vec<Item>>,
}

/// An item with the counters of a day or of a quarter of an hour.
#[derive(Clone, Copy)]
struct Period<'i> {
    /// Its beginning, epoch milliseconds.
    began: EpochMillis,
    item: &'i Item,
}

impl<'i> Period<'i> {
    fn of(item: &'i Item) -> Option<Self> {
        let moment = counters::moment(item.get(PERIOD)?.as_s().ok()?)?;
        let began = counters::began(moment).or_else(|| counters::began(&format!("{moment}T00:00")))?;
        Some(Self { began, item })
    }

    /// The counters whose names are wanted, with their counts.
    fn counters(self, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (Counter, i64)> {
        let counters = self.item.iter().filter(move |(name, _)| is_wanted(name));
        counters.filter_map(|(name, value)| Some((Counter::parse(name)?, value.as_n().ok()?.parse().ok()?)))
    }
}

impl Counters {
    pub(crate) fn new(client: Client, table: String, rates: Option<RateCard>) -> Self {
        Self { client, table, rates }
    }

    /// The overview of a range, and of the range before it if `compare` is set.
    pub(crate) async fn summary(&self, range: &Range, compare: bool) -> Result<Summary, Refusal> {
        let generations = Generations::read(&self.client, &self.table, false)
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        let generation = generations.current;
        let before = range.previous();
        let (mut first_day, last_day) = range.utc_days();
        if compare {
            first_day = before.utc_days().0;
        }
        let everything = Scope::default().series(&generation);
        let league_tables = tables::KINDS.map(|kind| tables::series(&generation, kind));
        let mut series = vec![range.scope.series(&generation), everything];
        series.dedup();
        series.extend(league_tables);
        let wanted = Wanted {
            generation: &generation,
            series: &series,
            days: (&first_day, &last_day),
        };
        let mut attempt = 1;
        let (read, previous, is_complete) = loop {
            let pending = PendingCounts::read(&self.client, &self.table, wanted)
                .await
                .map_err(|e| refusal::of_pending_counts(&e))?;
            let view = View {
                counters: self,
                generation: &generation,
                pending: &pending,
            };
            let previous = async {
                if !compare {
                    return Ok(None);
                }
                Ok(Some(view.read_range(&before).await?))
            };
            let (read, previous) = tokio::try_join!(view.read_range(range), previous)?;
            if !pending.is_outdated() || attempt == ATTEMPTS {
                break (read, previous, pending.is_complete());
            }
            attempt += 1;
        };
        let mut summary = self.summed(range, &read);
        summary.lacks_latest_counts = !is_complete;
        summary.previous = previous.map(|read| Box::new(self.summed(&before, &read)));
        Ok(summary)
    }

    fn query(&self, series: &str, range: (String, String)) -> QueryFluentBuilder {
        counters::query(&self.client, &self.table, series, range)
    }

    fn summed(&self, range: &Range, read: &Read) -> Summary {
        let instants = range.instants();
        let choices = read.everything.as_ref().unwrap_or(&read.days);
        let named = |kind| chosen(&read.names, choices, kind);
        let mut summary = Summary {
            from: range.from.to_string(),
            to: range.to.to_string(),
            tz: range.zone.name().to_owned(),
            updated_at: choices.iter().filter_map(|day| number_at(day, UPDATED_AT)).max(),
            bots: named(Names::Bots),
            folded: folded(&read.names),
            ..Summary::default()
        };
        let of_kind = |kind: Names| {
            let mut tables = tables::KINDS.into_iter().zip(&read.tables);
            let items = tables
                .find(|(of, _)| *of == kind)
                .map_or(&[][..], |(_, items)| items.as_slice());
            league::rows(items, &named(kind), instants)
        };
        summary.tags = of_kind(Names::Tags);
        summary.bots_table = of_kind(Names::Bots);
        summary.campaigns = of_kind(Names::Campaigns);
        summary.templates = of_kind(Names::Templates);
        summary.countries = of_kind(Names::Countries);
        let periods = choices.iter().filter_map(Period::of);
        let channels = periods.flat_map(|day| day.counters(|_| true).map(|(counter, _)| counter.channel));
        summary.channels = channels.collect::<BTreeSet<String>>().into_iter().collect();
        let quarters: Vec<Period<'_>> = read
            .quarters
            .iter()
            .filter_map(Period::of)
            .filter(|quarter| (instants.0..instants.1).contains(&quarter.began))
            .collect();
        let is_wanted = |counter: &Counter| range.channel.as_deref().is_none_or(|c| c == counter.channel);
        if range.hours || range.heat {
            by_hour(range, &quarters, is_wanted, &mut summary);
        }
        let all = if range.zone.is_utc() {
            read.days.iter().filter_map(Period::of).collect()
        } else {
            quarters
        };
        let mut totals = Totals::new(range);
        for period in all {
            let counters = period.counters(|_| true);
            totals.add(period.began, counters.filter(|(counter, _)| is_wanted(counter)));
        }
        totals.write(&mut summary, self.rates.as_ref(), time::now());
        summary
    }
}

/// The counters of a generation at one moment.
struct View<'a> {
    counters: &'a Counters,
    generation: &'a str,
    pending: &'a PendingCounts,
}

impl View<'_> {
    async fn read_range(&self, range: &Range) -> Result<Read, Refusal> {
        let generation = self.generation;
        let series = range.scope.series(generation);
        let everything = Scope::default().series(generation);
        let (first, last) = range.utc_days();
        let of_days = || counters::days(&first, &last);
        let days = async {
            if !range.zone.is_utc() {
                return Ok(Vec::new());
            }
            self.read(&series, of_days()).await
        };
        let quarters = async {
            let has_pattern = (range.hours || range.heat) && range.days() <= MAX_DAYS_WITH_HOURS;
            if range.zone.is_utc() && !has_pattern {
                return Ok(Vec::new());
            }
            let parts = range.parts(QUARTER_DAYS).into_iter();
            let parts = parts.map(|(from, to)| self.read(&series, counters::quarters(from, to)));
            Ok(try_join_all(parts).await?.into_iter().flatten().collect())
        };
        // The choices do not depend on the current choice.
        let choices = async {
            if series == everything && range.zone.is_utc() {
                return Ok(None);
            }
            self.read(&everything, of_days()).await.map(Some)
        };
        let names_series = counters::names(generation);
        let names = newest(self.counters.query(&names_series, of_days()), 1);
        let [first_part, whole, last_part] = range
            .parted_utc_days()
            .map(|days| days.map(|(first, last)| counters::days(&first, &last)));
        // Latest day first.
        let parts = [(last_part, false), (whole, true), (first_part, false)];
        let tables = try_join_all(tables::KINDS.map(|kind| {
            let series = tables::series(generation, kind);
            let parts = parts.clone().into_iter();
            let parts = parts.filter_map(|(days, is_whole)| Some((days?, is_whole)));
            async move {
                let reads = parts.map(|(days, is_whole)| self.rows(&series, days, is_whole));
                Ok(try_join_all(reads).await?.concat())
            }
        }));
        let (days, quarters, everything, names, tables) =
            tokio::try_join!(days, quarters, choices, names, tables)?;
        Ok(Read {
            days,
            quarters,
            everything,
            names,
            tables,
        })
    }

    /// The items of a series, with the pending counts.
    async fn read(&self, series: &str, range: (String, String)) -> Result<Vec<Item>, Refusal> {
        let mut items = self
            .counters
            .query(series, range.clone())
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<Item>, _>>()
            .await
            .map_err(|e| refusal::unavailable("the counters' table", &e))?;
        self.pending.add_to(&mut items, series, &range);
        Ok(items)
    }

    /// The items of a league table, latest day first, with the pending counts. Only the counters of days if `is_whole`.
    async fn rows(
        &self,
        series: &str,
        range: (String, String),
        is_whole: bool,
    ) -> Result<Vec<Item>, Refusal> {
        let query = self.counters.query(series, range.clone());
        let query = if is_whole {
            with_counters_of_days(query)
        } else {
            query
        };
        let mut items = newest(query, MAX_LEAGUE_PAGES).await?;
        self.pending.add_to(&mut items, series, &range);
        Ok(items)
    }
}

/// The first pages of a query, latest day first.
async fn newest(query: QueryFluentBuilder, pages: usize) -> Result<Vec<Item>, Refusal> {
    let mut read = query.scan_index_forward(false).into_paginator().send();
    let mut items = Vec::new();
    for _ in 0..pages {
        let Some(page) = read.next().await else { break };
        let page = page.map_err(|e| refusal::unavailable("the counters' table", &e))?;
        items.extend(page.items.unwrap_or_default());
    }
    Ok(items)
}

/// A query of a league table that returns only the counters of days. Those of the quarters are a hundred times as many.
fn with_counters_of_days(query: QueryFluentBuilder) -> QueryFluentBuilder {
    let counters = Progress::ALL.map(tables::of_day);
    let attributes = counters.iter().map(String::as_str).chain([PERIOD, MERGE]);
    let (projection, names) = dynamodb::projection(attributes);
    let query = query.projection_expression(projection);
    names.into_iter().fold(query, |query, (placeholder, name)| {
        query.expression_attribute_names(placeholder, name)
    })
}

/// Adds the hours and the weekly pattern.
fn by_hour(
    range: &Range,
    quarters: &[Period<'_>],
    is_wanted: impl Fn(&Counter) -> bool,
    summary: &mut Summary,
) {
    let mut hours: BTreeMap<(Date, i8, String, String), i64> = BTreeMap::new();
    let mut heat: BTreeMap<(u8, u8, &str), i64> = BTreeMap::new();
    for quarter in quarters {
        let Some(local) = range.zone.local(quarter.began) else {
            continue;
        };
        let counters = quarter.counters(Counter::is_of_status);
        for (Counter { channel, quantity }, count) in counters.filter(|(counter, _)| is_wanted(counter)) {
            let Quantity::Status(status) = quantity else {
                continue;
            };
            let engagement = match status.as_str() {
                "read" | "opened" => Some("read"),
                "clicked" => Some("clicked"),
                _ => None,
            };
            if let Some(status) = engagement.filter(|_| range.heat) {
                let weekday = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or_default();
                let hour = u8::try_from(local.hour()).unwrap_or_default();
                *heat.entry((weekday, hour, status)).or_default() += count;
            }
            if range.hours && range.days() <= MAX_DAYS_WITH_HOURS {
                let hour = (local.date(), local.hour(), channel, status);
                *hours.entry(hour).or_default() += count;
            }
        }
    }
    summary.hours = hours
        .into_iter()
        .map(|((day, hour, channel, status), count)| HourCount {
            hour: format!("{day}T{hour:02}"),
            channel,
            status,
            count: unsigned(count),
        })
        .collect();
    summary.heat = heat
        .into_iter()
        .map(|((weekday, hour, status), count)| HeatCell {
            weekday,
            hour,
            status: status.to_owned(),
            count: unsigned(count),
        })
        .collect();
}

/// A sum of counts. It can be negative only for the moment between two transactions.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// The names of a kind, sorted. Earlier versions stored those of bots and tags in the items of days.
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
