//! Hours in which, by the counters, no event of a tag or bot happened. A list leaves them out, and says so: counters can
//! lack events, so a caller can ask for all hours.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use webhook_ingest::{
    counters::{self, FOLDED, Generations, Names, PERIOD, Scope, UPDATED_AT},
    event::time,
    events_table::item::{Item, number_at},
};

use crate::{filter::EventFilter, merge::Span};

const HOUR_MS: i64 = 3_600_000;
/// Counters are at most some minutes behind. Events in this time before the last count are read in any case.
const LAG_MS: i64 = HOUR_MS;
/// The most parts of a day, because each takes a query for each shard.
const MAX_PARTS: usize = 6;
/// The most pages of a query, of 1 MB each. A day with more counters is read whole.
const MAX_PAGES: usize = 4;
/// Queries for a day, for the budget of a page.
pub(crate) const QUERIES_OF_DAY: usize = 2;

/// The counters of a filter's tag or bot.
pub(crate) struct KnownHours<'a> {
    client: &'a Client,
    table: &'a str,
    generation: String,
    series: String,
    /// The names of this kind may be counted together on a day, and then say nothing about a tag or bot.
    kind: Names,
    /// Events before this time are counted, epoch milliseconds.
    counted_to: i64,
}

impl<'a> KnownHours<'a> {
    /// The counters for a filter; `None` if it has no tag and no bot, or if nothing was counted recently.
    pub(crate) async fn of(client: &'a Client, table: &'a str, filter: &EventFilter) -> Option<Self> {
        let (kind, name) = match (&filter.tag, &filter.bot) {
            (Some(tag), _) => (Names::Tags, tag),
            (None, Some(bot)) => (Names::Bots, bot),
            (None, None) => return None,
        };
        if table.is_empty() {
            return None;
        }
        let generation = Generations::read(client, table, false).await;
        let generation = generation.inspect_err(|_| not_readable()).ok()?.current;
        let mut known = Self {
            client,
            table,
            series: Scope::of(kind, name).series(&generation),
            generation,
            kind,
            counted_to: 0,
        };
        let now = time::now();
        let days = counters::days(&time::utc_day(now - 24 * HOUR_MS), &time::utc_day(now));
        let everything = Scope::default().series(&known.generation);
        let counted = known.read(&everything, days, UPDATED_AT).await?;
        let last = counted
            .iter()
            .filter_map(|day| number_at(day, UPDATED_AT))
            .max()?;
        known.counted_to = last.min(now) - LAG_MS;
        Some(known)
    }

    /// The parts of a UTC day that must be read, ascending, and the number of hours that are left out.
    pub(crate) async fn parts(&self, day: &str, whole: Span) -> (Vec<Span>, u32) {
        let all = (vec![whole], 0);
        let names = counters::names(&self.generation);
        let names = self.read(&names, counters::days(day, day), FOLDED);
        let hours = (format!("hour#{day}T00"), format!("hour#{day}T23~"));
        let (Some(names), Some(hours)) = futures::join!(names, self.read(&self.series, hours, PERIOD)) else {
            return all;
        };
        let is_folded = |page: &Item| {
            let kinds = page.get(FOLDED).and_then(|kinds| kinds.as_ss().ok());
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == self.kind.attribute()))
        };
        if names.iter().any(is_folded) {
            return all;
        }
        // `2026-11-21T10`, or a part of that hour.
        let hour_of = |item: &Item| {
            counters::moment(item.get(PERIOD)?.as_s().ok()?)?
                .get(11..13)?
                .parse()
                .ok()
        };
        let counted: BTreeSet<i64> = hours.iter().filter_map(hour_of).collect();
        let start = whole.from.div_euclid(24 * HOUR_MS) * 24 * HOUR_MS;
        let hours: Vec<(bool, Span)> = (0..24)
            .map(|hour| {
                let from = start + hour * HOUR_MS;
                let to = from + HOUR_MS - 1;
                (
                    counted.contains(&hour) || to >= self.counted_to,
                    Span {
                        from: from.max(whole.from),
                        to: to.min(whole.to),
                    },
                )
            })
            .filter(|(_, span)| span.from <= span.to)
            .collect();
        parts_of(&hours)
    }

    /// An attribute of the items of a series; `None` if they are too many, or if the table does not answer.
    async fn read(&self, series: &str, range: (String, String), name: &str) -> Option<Vec<Item>> {
        let query = counters::query(self.client, self.table, series, range)
            .projection_expression("#wanted")
            .expression_attribute_names("#wanted", name);
        let mut read = query.into_paginator().send();
        let mut items = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = read.next().await?.inspect_err(|_| not_readable()).ok()?;
            let is_last = page.last_evaluated_key.is_none();
            items.extend(page.items.unwrap_or_default());
            if is_last {
                return Some(items);
            }
        }
        None
    }
}

fn not_readable() {
    tracing::warn!("the counters could not be read; the list reads every hour");
}

/// Neighboring hours as parts, and the number of hours in no part. Beyond [`MAX_PARTS`], one part from the first to the
/// last.
fn parts_of(hours: &[(bool, Span)]) -> (Vec<Span>, u32) {
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
    let skipped = hours.iter().filter(|(_, hour)| !is_read(hour)).count();
    let skipped = u32::try_from(skipped).unwrap_or_default();
    (parts, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(needed: &[i64]) -> (Vec<(i64, i64)>, u32) {
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
        (parts.iter().map(|part| (part.from, part.to)).collect(), skipped)
    }

    #[test]
    fn neighboring_hours_are_one_part() {
        assert_eq!(parts(&[]), (vec![], 24));
        assert_eq!(parts(&[3, 4, 5, 23]), (vec![(300, 599), (2300, 2399)], 20));
        assert_eq!(parts(&(0..24).collect::<Vec<i64>>()), (vec![(0, 2399)], 0));
        assert_eq!(parts(&[1, 3, 5, 7, 9, 11]).0.len(), 6);
        assert_eq!(parts(&[1, 3, 5, 7, 9, 11, 13]), (vec![(100, 1399)], 11));
    }
}
