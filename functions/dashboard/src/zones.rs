//! Time zones of requests, and times written in them.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use schemars::JsonSchema;

/// A time zone, by its IANA name (`Asia/Kolkata`); default UTC. The database is a part of the function, because the
/// machine may have none.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Zone(#[schemars(with = "String")] pub(crate) TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::default());
        }
        TimeZone::get(&name)
            .map(Self)
            .map_err(|_| "must be the IANA name of a time zone, such as Asia/Kolkata")
    }
}

impl Zone {
    /// Whether its days are UTC days.
    pub(crate) fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    /// The IANA name.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The current day.
    pub(crate) fn today(&self) -> Date {
        Timestamp::now().to_zoned(self.0.clone()).date()
    }

    /// The local time of an instant, epoch milliseconds.
    pub(crate) fn local(&self, at: i64) -> Option<DateTime> {
        Some(self.0.to_datetime(Timestamp::from_millisecond(at).ok()?))
    }

    /// The day of a time, epoch milliseconds.
    pub(crate) fn day_of(&self, at: i64) -> Option<Date> {
        self.local(at).map(DateTime::date)
    }

    /// The first millisecond of a day.
    pub(crate) fn start_of(&self, day: Date) -> Option<i64> {
        Some(day.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond())
    }

    fn time_of(&self, at: DateTime) -> Option<i64> {
        Some(at.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond())
    }
}

/// A date `2026-11-21`, or a time in ISO 8601 with or without an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Moment(
    #[schemars(with = "String", extend("anyOf" = [{"format": "date"}, {"format": "date-time"}]))] Kind,
);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Day(Date),
    Local(DateTime),
    At(Timestamp),
}

impl TryFrom<String> for Moment {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        // In a query, an unencoded plus sign is a space.
        let text = text.replace(' ', "+");
        let kind = if text.len() == "2026-11-21".len() {
            text.parse().map(Kind::Day)
        } else if !("2026-11-21T10:15".len().."2026-11-21T10:15:00.000000000+05:30".len() + 1)
            .contains(&text.len())
        {
            return Err(WRONG);
        } else {
            let at = text.parse().map(Kind::At);
            at.or_else(|_| text.parse().map(Kind::Local))
        };
        kind.map(Self).map_err(|_| WRONG)
    }
}

const WRONG: &str =
    "must be a date, YYYY-MM-DD, or a time, such as 2026-11-21T10:15 or 2026-11-21T10:15:00+05:30";

impl Moment {
    /// The first millisecond from this date or time.
    pub(crate) fn start(self, zone: &Zone) -> Option<i64> {
        match self.0 {
            Kind::Day(day) => zone.start_of(day),
            Kind::Local(time) => zone.time_of(time),
            Kind::At(time) => Some(time.as_millisecond()),
        }
    }

    /// The first millisecond after this date, or this time: an end that is a date includes the day.
    pub(crate) fn end(self, zone: &Zone) -> Option<i64> {
        match self.0 {
            Kind::Day(day) => zone.start_of(day.tomorrow().ok()?),
            Kind::Local(_) | Kind::At(_) => self.start(zone),
        }
    }

    /// The day that contains it.
    pub(crate) fn day(self, zone: &Zone) -> Option<Date> {
        match self.0 {
            Kind::Day(day) => Some(day),
            Kind::Local(time) => Some(time.date()),
            Kind::At(time) => zone.day_of(time.as_millisecond()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Result<Moment, &'static str> {
        Moment::try_from(text.to_owned())
    }

    fn zone(name: &str) -> Zone {
        Zone::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn dates_and_times_are_of_the_zone_unless_they_have_an_offset() {
        for (text, tz, start, end) in [
            // 2026-11-21T00:00:00Z and the day after.
            ("2026-11-21", "UTC", 1_795_219_200_000, 1_795_305_600_000),
            // India is 5:30 ahead.
            ("2026-11-21", "Asia/Kolkata", 1_795_199_400_000, 1_795_285_800_000),
            // A day of 23 hours: 2026-03-29T00:00+01:00 to 2026-03-30T00:00+02:00.
            (
                "2026-03-29",
                "Europe/Berlin",
                1_774_738_800_000,
                1_774_821_600_000,
            ),
            ("2026-11-21T10:15", "UTC", 1_795_256_100_000, 1_795_256_100_000),
            (
                "2026-11-21T10:15",
                "Asia/Kolkata",
                1_795_236_300_000,
                1_795_236_300_000,
            ),
            (
                "2026-11-21T10:15:00Z",
                "Asia/Kolkata",
                1_795_256_100_000,
                1_795_256_100_000,
            ),
            (
                "2026-11-21T10:15:00.5+05:30",
                "UTC",
                1_795_236_300_500,
                1_795_236_300_500,
            ),
            (
                "2026-11-21T10:15 05:30",
                "UTC",
                1_795_236_300_000,
                1_795_236_300_000,
            ),
        ] {
            let (moment, zone) = (moment(text).unwrap(), zone(tz));
            assert_eq!(
                (moment.start(&zone), moment.end(&zone)),
                (Some(start), Some(end)),
                "{text} {tz}"
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "today",
            "2026-6-1",
            "20261121",
            "2026-11-31",
            "2026-11-21T25:00",
            "-999999-01-01",
            "1795219200000",
            &"2026-11-21T10:15:00[Asia/Kolkata]".repeat(9),
        ] {
            assert_eq!(moment(text), Err(WRONG), "{text}");
        }
        for name in ["", "Mars/Phobos", "../etc/passwd", "+05:30"] {
            assert!(Zone::try_from(name.to_owned()).is_err(), "{name}");
        }
        assert_eq!(moment("9999-12-31").unwrap().end(&Zone::default()), None);
    }
}
