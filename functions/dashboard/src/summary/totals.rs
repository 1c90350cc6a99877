//! The totals of a range.

use std::collections::BTreeMap;

use jiff::civil::Date;
use webhook_ingest::{
    counters::{Charged, Counter, Interval, Progress, Quantity, latency},
    event::{Channel, EpochMillis},
};

use super::{Range, RateCard, unsigned};
use crate::answers::{
    BillingCount, DayCount, FailureCount, Fallback, Funnel, LatencyRow, Reached, Summary, TypeCount,
};

const DAY_MS: f64 = 86_400_000.0;

/// Counters of a range, summed up.
pub(super) struct Totals<'r> {
    range: &'r Range,
    /// Counts of statuses by day of the zone.
    days: BTreeMap<(Date, String, String), i64>,
    counters: BTreeMap<Counter, i64>,
}

impl<'r> Totals<'r> {
    pub(super) fn new(range: &'r Range) -> Self {
        Self {
            range,
            days: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// Adds the counters of a day, or of the quarter of an hour that began at this time.
    pub(super) fn add(&mut self, began: EpochMillis, counters: impl Iterator<Item = (Counter, i64)>) {
        let day = self.range.zone.local(began).map(jiff::civil::DateTime::date);
        for (counter, count) in counters {
            if let Quantity::Status(status) = &counter.quantity
                && let Some(day) = day
            {
                let day = (day, counter.channel.clone(), status.clone());
                *self.days.entry(day).or_default() += count;
            }
            *self.counters.entry(counter).or_default() += count;
        }
    }

    /// Writes the totals into an overview.
    pub(super) fn write(self, summary: &mut Summary, rates: Option<&RateCard>, now: EpochMillis) {
        let Self {
            range,
            days,
            counters: totals,
        } = self;
        summary.counts = days
            .into_iter()
            .map(|((day, channel, status), count)| DayCount {
                day: day.to_string(),
                channel,
                status,
                count: unsigned(count),
            })
            .collect();
        summary.reached = reached(&totals, range.channel.is_some());
        summary.latency = latencies(&totals);
        if let Some(rates) = rates {
            let (from, to) = range.instants();
            #[expect(clippy::cast_precision_loss, reason = "a span of days")]
            let elapsed = (to.min(now) - from).max(0) as f64 / DAY_MS;
            let month = f64::from(range.to.days_in_month());
            summary.spend = Some(rates.spend(&charges(&totals), summary.reached.reached, elapsed, month));
        }
        events(summary, totals);
    }
}

/// People reached. With a filter on the channel, the messages on this channel.
fn reached(totals: &BTreeMap<Counter, i64>, of_channel: bool) -> Reached {
    let mut sums: BTreeMap<Progress, i64> = BTreeMap::new();
    let mut by_channel: BTreeMap<String, i64> = BTreeMap::new();
    for (Counter { channel, quantity }, count) in totals {
        let progress = match quantity {
            Quantity::Journey(progress) if !of_channel => *progress,
            Quantity::Leg(progress) if of_channel => *progress,
            _ => continue,
        };
        *sums.entry(progress).or_default() += count;
        if progress == Progress::Reached {
            *by_channel.entry(channel.clone()).or_default() += count;
        }
    }
    let sum = |progress| unsigned(sums.get(&progress).copied().unwrap_or_default());
    Reached {
        messages: sum(Progress::Messages),
        reached: sum(Progress::Reached),
        read: sum(Progress::Read),
        clicked: sum(Progress::Clicked),
        failed: sum(Progress::Failed),
        by_channel: by_channel
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(channel, count)| (channel, unsigned(count)))
            .collect(),
    }
}

fn latencies(totals: &BTreeMap<Counter, i64>) -> Vec<LatencyRow> {
    let mut histograms: BTreeMap<(Interval, &str), BTreeMap<u8, i64>> = BTreeMap::new();
    for (Counter { channel, quantity }, count) in totals {
        if let Quantity::Latency { interval, bucket } = quantity {
            let histogram = histograms.entry((*interval, channel)).or_default();
            *histogram.entry(*bucket).or_default() += count;
        }
    }
    let rows = histograms
        .into_iter()
        .filter_map(|((interval, channel), histogram)| {
            let histogram: Vec<(u8, u64)> = histogram
                .into_iter()
                .map(|(bucket, count)| (bucket, unsigned(count)))
                .collect();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive time, far below the limit"
            )]
            let percentile = |percent| Some(latency::percentile(&histogram, percent)?.round() as u64);
            let (from, to) = interval.ends();
            Some(LatencyRow {
                from: from.to_owned(),
                to: to.to_owned(),
                channel: channel.to_owned(),
                count: histogram.iter().map(|(_, count)| count).sum(),
                p50_ms: percentile(50.0)?,
                p90_ms: percentile(90.0)?,
                p99_ms: percentile(99.0)?,
            })
        });
    rows.collect()
}

fn charges(totals: &BTreeMap<Counter, i64>) -> BTreeMap<(String, String, String), BTreeMap<Charged, u64>> {
    let mut charges: BTreeMap<(String, String, String), BTreeMap<Charged, u64>> = BTreeMap::new();
    for (Counter { channel, quantity }, count) in totals {
        if let Quantity::Charge {
            country,
            category,
            charged,
        } = quantity
        {
            let key = (country.clone(), channel.clone(), category.clone());
            *charges.entry(key).or_default().entry(*charged).or_default() += unsigned(*count);
        }
    }
    charges
}

/// The totals of events.
fn events(summary: &mut Summary, totals: BTreeMap<Counter, i64>) {
    let mut funnels: BTreeMap<String, Funnel> = BTreeMap::new();
    let mut prices: BTreeMap<(String, bool), BTreeMap<String, u64>> = BTreeMap::new();
    for (Counter { channel, quantity }, count) in totals {
        let count = unsigned(count);
        match quantity {
            Quantity::Status(status) => {
                let funnel = funnels.entry(channel).or_default();
                if let Some(step) = step(funnel, &status) {
                    *step += count;
                }
            }
            Quantity::Billing {
                category,
                billable,
                status,
            } => {
                *prices
                    .entry((category, billable))
                    .or_default()
                    .entry(status)
                    .or_default() += count;
            }
            Quantity::Failure(reason) => summary.failures.push(FailureCount {
                channel,
                reason,
                count,
            }),
            Quantity::Kind(message_type) => summary.message_types.push(TypeCount {
                channel,
                message_type,
                count,
            }),
            Quantity::Leg(_) | Quantity::Journey(_) | Quantity::Latency { .. } | Quantity::Charge { .. } => {}
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
        .map(|((category, billable), statuses)| {
            let count = statuses.values().sum();
            let most = statuses.into_iter().max_by_key(|(_, count)| *count);
            let (status, messages) = most.unwrap_or_default();
            BillingCount {
                category,
                billable,
                count,
                messages,
                status,
            }
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
