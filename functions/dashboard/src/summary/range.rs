//! The range of an overview: days of a time zone.

use jiff::civil::Date;
use webhook_ingest::{
    counters::Scope,
    event::{EpochMillis, time},
};

use crate::zones::Zone;

const DAY_MS: EpochMillis = 86_400_000;

/// The days and filters of an overview.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// First day of the zone.
    pub(crate) from: Date,
    /// Last day of the zone.
    pub(crate) to: Date,
    pub(crate) zone: Zone,
    pub(crate) scope: Scope,
    pub(crate) channel: Option<String>,
    /// Whether the answer has counts of hours.
    pub(crate) hours: bool,
    /// Whether the answer has the weekly pattern.
    pub(crate) heat: bool,
}

impl Range {
    /// Number of days.
    pub(crate) fn days(&self) -> i64 {
        days(self.from, self.to)
    }

    /// Beginning and end (exclusive), epoch milliseconds.
    pub(crate) fn instants(&self) -> (EpochMillis, EpochMillis) {
        (self.begins(self.from), self.begins(tomorrow(self.to)))
    }

    /// When a day of the zone begins. A day without midnight begins at its first instant.
    fn begins(&self, day: Date) -> EpochMillis {
        self.zone.start_of(day).unwrap_or_default()
    }

    /// The UTC days that overlap the range.
    pub(crate) fn utc_days(&self) -> (String, String) {
        let (from, to) = self.instants();
        (time::utc_day(from), time::utc_day(to - 1))
    }

    /// The UTC days of the range, in three parts: a day at whose middle it begins, whole days, and a day at whose middle
    /// it ends. Each is the first and last day.
    pub(crate) fn parted_utc_days(&self) -> [Option<(String, String)>; 3] {
        let (from, to) = self.instants();
        let day = |at: EpochMillis| (time::utc_day(at), time::utc_day(at));
        let first_whole = from + (-from).rem_euclid(DAY_MS);
        let end_of_whole = to - to.rem_euclid(DAY_MS);
        if first_whole > end_of_whole {
            // A part of one day.
            return [Some(day(from)), None, None];
        }
        let whole = (first_whole < end_of_whole)
            .then(|| (time::utc_day(first_whole), time::utc_day(end_of_whole - 1)));
        [
            (from < first_whole).then(|| day(from)),
            whole,
            (end_of_whole < to).then(|| day(end_of_whole)),
        ]
    }

    /// The equally long range before this one, without hours and weekly pattern.
    pub(crate) fn previous(&self) -> Self {
        let back = jiff::Span::new().days(self.days());
        let before = |day: Date| day.checked_sub(back).unwrap_or(day);
        Self {
            from: before(self.from),
            to: before(self.to),
            hours: false,
            heat: false,
            ..self.clone()
        }
    }

    /// The parts of the range for concurrent queries, at most this many days each.
    pub(crate) fn parts(&self, days: i64) -> Vec<(EpochMillis, EpochMillis)> {
        let mut parts = Vec::new();
        let mut from = self.from;
        while from <= self.to {
            let next = from
                .checked_add(jiff::Span::new().days(days))
                .unwrap_or(self.to)
                .min(tomorrow(self.to));
            if next <= from {
                break;
            }
            parts.push((self.begins(from), self.begins(next)));
            from = next;
        }
        parts
    }
}

/// Whether the UTC day that begins at `began` is wholly between two instants.
pub(super) fn is_whole_day(began: EpochMillis, (from, to): (EpochMillis, EpochMillis)) -> bool {
    from <= began && began + DAY_MS <= to
}

/// Number of days from one to another, both included.
pub(crate) fn days(from: Date, to: Date) -> i64 {
    i64::from((to - from).get_days()) + 1
}

fn tomorrow(day: Date) -> Date {
    day.tomorrow().unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(zone: &str, from: &str, to: &str) -> Range {
        Range {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: Zone::try_from(zone.to_owned()).unwrap(),
            scope: Scope::default(),
            channel: None,
            hours: true,
            heat: true,
        }
    }

    #[test]
    fn a_day_of_india_begins_at_half_past_six_in_the_evening_of_utc() {
        let day = range("Asia/Kolkata", "2026-11-20", "2026-11-20");
        assert_eq!(day.instants(), (1_795_113_000_000, 1_795_199_400_000));
        assert_eq!(day.utc_days(), ("2026-11-19".into(), "2026-11-20".into()));
        let before = day.previous();
        assert_eq!(before.instants(), (1_795_026_600_000, 1_795_113_000_000));
        assert!(!before.hours && !before.heat && !day.zone.is_utc());
    }

    #[test]
    fn whole_days_and_parts_of_days_cover_a_range() {
        let days = |zone: &str, from: &str, to: &str| {
            let parts = range(zone, from, to).parted_utc_days();
            parts.map(|part| part.map(|(first, last)| format!("{first} {last}")))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            days("UTC", "2026-11-01", "2026-11-30"),
            [None, some("2026-11-01 2026-11-30"), None]
        );
        assert_eq!(
            days("Asia/Kolkata", "2026-11-01", "2026-11-30"),
            [
                some("2026-10-31 2026-10-31"),
                some("2026-11-01 2026-11-29"),
                some("2026-11-30 2026-11-30")
            ]
        );
        assert_eq!(
            days("Asia/Kolkata", "2026-11-02", "2026-11-02"),
            [some("2026-11-01 2026-11-01"), None, some("2026-11-02 2026-11-02")]
        );
        // The day of a change of clocks has 23 hours, all on one UTC day in Azores: 01:00 to 24:00.
        assert_eq!(
            days("Atlantic/Azores", "2026-03-29", "2026-03-29"),
            [some("2026-03-29 2026-03-29"), None, None]
        );
    }

    #[test]
    fn parts_cover_a_range_with_a_change_of_clocks() {
        // Clocks in Berlin went back on 25 October 2026.
        let days = range("Europe/Berlin", "2026-10-20", "2026-10-29");
        let parts = days.parts(4);
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].0, parts[2].1), days.instants());
        assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0));
        let (from, to) = days.instants();
        assert_eq!(to - from, (10 * 24 + 1) * 3_600_000);
    }
}
