//! The league tables: the progress of messages by tag, bot, campaign, template and country. A whole UTC day takes one
//! counter for each step, and the first and last day of another zone its quarters of an hour.

use std::collections::{BTreeMap, BTreeSet};

use webhook_ingest::{
    counters::{self, PERIOD, Progress, QUARTER_MS, league},
    event::EpochMillis,
    events_table::item::Item,
};

use super::range::is_whole_day;
use crate::answers::LeagueRow;

/// Maximum rows of a table, those with most messages.
pub(crate) const MAX_ROWS: usize = 500;

/// The rows of a table, most messages first. `names` without messages in the range get empty rows.
pub(super) fn rows(
    items: &[Item],
    names: &[String],
    (from, to): (EpochMillis, EpochMillis),
) -> Vec<LeagueRow> {
    let mut sums: BTreeMap<String, BTreeMap<Progress, i64>> = BTreeMap::new();
    for item in items {
        let period = item.get(PERIOD).and_then(|period| period.as_s().ok());
        let Some((day, name)) = period.and_then(|period| league::parse_period(period)) else {
            continue;
        };
        let Some(began) = counters::began(&format!("{day}T00:00")) else {
            continue;
        };
        let is_whole = is_whole_day(began, (from, to));
        let progress = |counter: &str| {
            if is_whole {
                return league::parse_counter_of_day(counter);
            }
            let (progress, quarter) = league::parse_counter(counter)?;
            let at = began + i64::from(quarter) * QUARTER_MS;
            (from..to).contains(&at).then_some(progress)
        };
        let sum = sums.entry(name).or_default();
        for (counter, value) in item {
            let count = value.as_n().ok().and_then(|n| n.parse::<i64>().ok());
            if let (Some(progress), Some(count)) = (progress(counter), count) {
                *sum.entry(progress).or_default() += count;
            }
        }
    }
    sums.retain(|_, sum| sum.values().any(|count| *count > 0));
    let known: BTreeSet<String> = sums.keys().cloned().collect();
    let mut rows: Vec<LeagueRow> = sums.into_iter().map(|(name, sum)| row(name, &sum)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sent));
    let others = names.iter().filter(|name| !known.contains(*name));
    rows.extend(others.map(|name| row(name.clone(), &BTreeMap::new())));
    rows.truncate(MAX_ROWS);
    rows
}

fn row(name: String, sum: &BTreeMap<Progress, i64>) -> LeagueRow {
    let count = |progress| {
        let count = sum.get(&progress).copied().unwrap_or_default();
        u64::try_from(count).unwrap_or_default()
    };
    LeagueRow {
        name,
        sent: count(Progress::Messages),
        reached: count(Progress::Reached),
        read: count(Progress::Read),
        clicked: count(Progress::Clicked),
        failed: count(Progress::Failed),
    }
}
