//! Limits the size of an overview. Providers choose words, so an overview can have more rows than Lambda
//! delivers. Then unlisted channels and statuses are summed up, and the least frequent names are left out.
//! Totals stay the same.

use std::collections::BTreeMap;

use webhook_ingest::counters::{is_listed_channel, is_listed_status};

use crate::{
    answers::{DayCount, FailureCount, Funnel, HourCount, Summary, TypeCount},
    sizes::{MAX_RESPONSE_BYTES, delivered},
};

/// Names of the sums of all others.
const OTHER_CHANNEL: &str = "OTHER";
const OTHER_STATUS: &str = "other";
/// Maximum of rows of a league table in a shortened overview.
const MAX_NAMES_OF_TABLE: usize = 100;
/// Maximum of names of each kind in a shortened overview.
const MAX_NAMES: usize = 500;

/// The overview, shortened if it is too large for a response.
pub(crate) fn bounded(summary: Summary) -> Summary {
    // Infallible for this type.
    let is_small = serde_json::to_string(&summary).is_ok_and(|text| delivered(&text) <= MAX_RESPONSE_BYTES);
    if is_small { summary } else { folded(summary) }
}

fn folded(mut summary: Summary) -> Summary {
    let counts = summary
        .counts
        .into_iter()
        .map(|row| (row.day, row.channel, row.status, row.count));
    summary.counts = summed(counts, |day, channel, status, count| DayCount {
        day,
        channel,
        status,
        count,
    });
    let hours = summary
        .hours
        .into_iter()
        .map(|row| (row.hour, row.channel, row.status, row.count));
    summary.hours = summed(hours, |hour, channel, status, count| HourCount {
        hour,
        channel,
        status,
        count,
    });
    let mut funnels: BTreeMap<String, Funnel> = BTreeMap::new();
    for row in summary.funnel {
        let sum = funnels.entry(channel_of(&row.channel)).or_default();
        sum.sent += row.sent;
        sum.delivered += row.delivered;
        sum.read += row.read;
        sum.clicked += row.clicked;
        sum.failed += row.failed;
        sum.not_sent += row.not_sent;
        sum.blocked += row.blocked;
    }
    summary.funnel = funnels
        .into_iter()
        .map(|(channel, funnel)| Funnel { channel, ..funnel })
        .collect();
    rest(&mut summary.failures, |rest| FailureCount {
        channel: OTHER_CHANNEL.to_owned(),
        reason: OTHER_STATUS.to_owned(),
        count: rest.iter().map(|row| row.count).sum(),
    });
    rest(&mut summary.message_types, |rest| TypeCount {
        channel: OTHER_CHANNEL.to_owned(),
        message_type: OTHER_STATUS.to_owned(),
        count: rest.iter().map(|row| row.count).sum(),
    });
    summary.billing.sort_by_key(|row| std::cmp::Reverse(row.count));
    summary.billing.truncate(MAX_NAMES);
    for names in [&mut summary.bots, &mut summary.channels] {
        names.truncate(MAX_NAMES);
    }
    for table in [
        &mut summary.tags,
        &mut summary.bots_table,
        &mut summary.campaigns,
        &mut summary.templates,
    ] {
        table.truncate(MAX_NAMES_OF_TABLE);
    }
    summary.previous = summary.previous.map(|previous| Box::new(folded(*previous)));
    summary.truncated = true;
    summary
}

/// Sums of the rows by period, channel and status.
fn summed<R>(
    rows: impl Iterator<Item = (String, String, String, u64)>,
    row: impl Fn(String, String, String, u64) -> R,
) -> Vec<R> {
    let mut sums: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for (period, channel, status, count) in rows {
        let status = if is_listed_status(&status) {
            status
        } else {
            OTHER_STATUS.to_owned()
        };
        *sums.entry((period, channel_of(&channel), status)).or_default() += count;
    }
    sums.into_iter()
        .map(|((period, channel, status), count)| row(period, channel, status, count))
        .collect()
}

/// Replaces the least frequent rows by one row with their sum.
fn rest<R>(rows: &mut Vec<R>, sum: impl Fn(&[R]) -> R) {
    if rows.len() > MAX_NAMES {
        let rare = rows.split_off(MAX_NAMES - 1);
        rows.push(sum(&rare));
    }
}

fn channel_of(channel: &str) -> String {
    if is_listed_channel(channel) {
        channel.to_owned()
    } else {
        OTHER_CHANNEL.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::LeagueRow;

    #[test]
    fn an_overview_with_many_names_is_limited_and_keeps_its_sums() {
        let word = |n: usize| format!("\"{n:0>120}\"");
        let mut summary = Summary::default();
        for day in 0..31 {
            for channel in ["RCS", "x", "y"] {
                for status in 0..400 {
                    summary.counts.push(DayCount {
                        day: format!("2026-01-{:02}", day + 1),
                        channel: channel.to_owned(),
                        status: if status == 0 {
                            "sent".to_owned()
                        } else {
                            word(status)
                        },
                        count: 2,
                    });
                }
            }
        }
        for n in 0..5_000_usize {
            summary.tags.push(LeagueRow {
                name: word(n),
                ..LeagueRow::default()
            });
            summary.failures.push(FailureCount {
                channel: "RCS".to_owned(),
                reason: word(n),
                count: 5_000 - n as u64,
            });
            summary.funnel.push(Funnel {
                channel: word(n),
                sent: 1,
                ..Funnel::default()
            });
        }
        let events = 31 * 3 * 400 * 2;
        let failures: u64 = (1..=5_000).sum();
        let small = bounded(summary);
        assert!(delivered(&serde_json::to_string(&small).unwrap()) <= MAX_RESPONSE_BYTES);
        assert!(small.truncated);
        assert_eq!(small.counts.iter().map(|row| row.count).sum::<u64>(), events);
        assert_eq!(small.failures.iter().map(|row| row.count).sum::<u64>(), failures);
        assert_eq!(small.failures.len(), MAX_NAMES);
        assert_eq!(small.funnel.len(), 1);
        assert_eq!(
            (small.funnel[0].sent, small.tags.len()),
            (5_000, MAX_NAMES_OF_TABLE)
        );
        let sent: u64 = small
            .counts
            .iter()
            .filter(|row| row.status == "sent")
            .map(|row| row.count)
            .sum();
        assert_eq!(sent, 31 * 3 * 2);
    }

    #[test]
    fn an_overview_that_fits_is_unchanged() {
        let summary = Summary {
            bots: (0..600).map(|n| format!("bot {n}")).collect(),
            ..Summary::default()
        };
        let same = bounded(summary);
        assert_eq!((same.bots.len(), same.truncated), (600, false));
    }
}
