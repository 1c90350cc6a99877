//! Hours of the week: the parts of a day that a list with a weekday or an hour reads.

use schemars::JsonSchema;
use webhook_ingest::counters::QUARTER_MS;

use crate::{merge::Span, zones::Zone};

/// A weekday: 1 (Monday) to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Weekday(#[schemars(range(min = 1, max = 7))] i8);

impl TryFrom<String> for Weekday {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        number(&text, 1..=7)
            .map(Self)
            .ok_or("must be a number from 1 (Monday) to 7")
    }
}

/// An hour of the day: 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Hour(#[schemars(range(min = 0, max = 23))] i8);

impl TryFrom<String> for Hour {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        number(&text, 0..=23)
            .map(Self)
            .ok_or("must be a number from 0 to 23")
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<i8>) -> Option<i8> {
    text.parse().ok().filter(|number| range.contains(number))
}

/// A weekday and an hour of a time zone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    pub(crate) weekday: Option<Weekday>,
    pub(crate) hour: Option<Hour>,
    pub(crate) zone: Zone,
}

impl Clock {
    /// Distinguishes it from others in a cursor; empty without conditions.
    pub(crate) fn name(&self) -> String {
        match (self.weekday, self.hour) {
            (None, None) => String::new(),
            (weekday, hour) => format!(
                "{}-{}-{}",
                weekday.map_or(0, |weekday| weekday.0),
                hour.map_or(-1, |hour| hour.0),
                self.zone.name()
            ),
        }
    }

    /// The parts of a span that it includes, ascending. As in the counters, a quarter of a UTC hour is in one hour of
    /// the zone.
    pub(crate) fn parts(&self, span: Span) -> Vec<Span> {
        if self.weekday.is_none() && self.hour.is_none() {
            return vec![span];
        }
        let mut parts: Vec<Span> = Vec::new();
        let mut at = span.from.div_euclid(QUARTER_MS) * QUARTER_MS;
        while at <= span.to {
            let next = at + QUARTER_MS;
            if self.includes(at) {
                let (from, to) = (at.max(span.from), (next - 1).min(span.to));
                match parts.last_mut() {
                    Some(part) if part.to + 1 == from => part.to = to,
                    _ => parts.push(Span { from, to }),
                }
            }
            at = next;
        }
        parts
    }

    fn includes(&self, at: i64) -> bool {
        self.zone.local(at).is_some_and(|local| {
            self.weekday
                .is_none_or(|weekday| weekday.0 == local.weekday().to_monday_one_offset())
                && self.hour.is_none_or(|hour| hour.0 == local.hour())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of some UTC days, as hours and minutes since the first.
    fn parts(
        zone: &str,
        weekday: Option<i8>,
        hour: Option<i8>,
        (from, hours): (i64, i64),
    ) -> Vec<(String, String)> {
        let clock = Clock {
            weekday: weekday.map(Weekday),
            hour: hour.map(Hour),
            zone: Zone::try_from(zone.to_owned()).unwrap(),
        };
        let span = Span {
            from,
            to: from + hours * 3_600_000 - 1,
        };
        let written = |at: i64| {
            let minutes = (at - from) / 60_000;
            format!("{}:{:02}", minutes / 60, minutes % 60)
        };
        let parts = clock.parts(span).into_iter();
        parts
            .map(|part| (written(part.from), written(part.to + 1)))
            .collect()
    }

    fn one(from: &str, to: &str) -> Vec<(String, String)> {
        vec![(from.into(), to.into())]
    }

    /// 2026-11-20T00:00:00Z, a Friday.
    const FRIDAY: i64 = 1_795_132_800_000;

    #[test]
    fn parts_are_hours_of_the_zone() {
        assert_eq!(parts("UTC", None, None, (FRIDAY, 24)), one("0:00", "24:00"));
        assert_eq!(parts("UTC", Some(5), Some(9), (FRIDAY, 24)), one("9:00", "10:00"));
        assert_eq!(parts("UTC", Some(4), Some(9), (FRIDAY, 24)), []);
        // 00:00 in India is 18:30 of the day before.
        assert_eq!(
            parts("Asia/Kolkata", Some(6), Some(0), (FRIDAY, 24)),
            one("18:30", "19:30")
        );
        assert_eq!(
            parts("Asia/Kolkata", Some(6), None, (FRIDAY, 24)),
            one("18:30", "24:00")
        );
        // Nepal is 5:45 ahead: 23:00 there is 17:15.
        assert_eq!(
            parts("Asia/Kathmandu", None, Some(23), (FRIDAY, 24)),
            one("17:15", "18:15")
        );
    }

    #[test]
    fn a_repeated_hour_is_read_twice_and_a_skipped_one_not() {
        // Clocks in Berlin went back at 2026-10-25T01:00Z: 02:00 to 03:00 happened twice.
        assert_eq!(
            parts("Europe/Berlin", Some(7), Some(2), (1_792_886_400_000, 24)),
            one("0:00", "2:00")
        );
        // And forward at 2026-03-29T01:00Z: 02:00 to 03:00 did not happen.
        assert_eq!(
            parts("Europe/Berlin", Some(7), Some(2), (1_774_742_400_000, 24)),
            []
        );
    }

    #[test]
    fn only_numbers_in_the_range_are_accepted() {
        for text in ["0", "8", "-1", "1.0", "Mon", " 1", "300"] {
            assert!(Weekday::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["24", "-1", "9h", ""] {
            assert!(Hour::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!(Hour::try_from("0".to_owned()), Ok(Hour(0)));
    }
}
