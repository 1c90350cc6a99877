//! Parses the time formats of the providers leniently into epoch milliseconds.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, civil, tz::Offset};
use serde_json::Value;

use crate::{event::EpochMillis, record::exact::Decimal};

/// Webhooks report no events before 2000-01-01T00:00:00Z or after the last year with four digits. Values
/// outside this range are mistakes.
const PLAUSIBLE: std::ops::Range<EpochMillis> = 946_684_800_000..253_370_764_800_000;

/// The documented unit of a format's time field. It decides how the time is written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Epoch seconds as a number.
    Seconds,
    /// Epoch seconds as a string of digits.
    SecondsText,
    /// Epoch milliseconds as a number.
    Millis,
    /// ISO 8601. Its spellings vary too much to write one back.
    Iso,
}

impl Unit {
    /// The field as the provider writes it, if this unit reproduces the time exactly.
    pub fn write(self, at: EpochMillis) -> Option<Value> {
        match self {
            Self::Seconds if at % 1000 == 0 => Some(Value::from(at / 1000)),
            Self::SecondsText if at % 1000 == 0 => Some(Value::from((at / 1000).to_string())),
            Self::Millis => Some(Value::from(at)),
            _ => None,
        }
    }
}

/// The current time.
pub fn now() -> EpochMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Parses a provider's time into epoch milliseconds: a number, or a string of a number, in seconds,
/// milliseconds, microseconds or nanoseconds (distinguished by size); a compact date (`20240110085348`, also
/// without seconds or with milliseconds); or ISO 8601 with or without fraction and offset. A time without an
/// offset is UTC. `None` for other values, and for times outside the years 2000 to 9998.
///
/// Safe on untrusted input.
pub fn read(value: &Value) -> Option<EpochMillis> {
    match value {
        Value::Number(n) => n.as_f64().and_then(|f| from_number(f, n.as_i64())),
        Value::String(s) => from_text(s),
        _ => None,
    }
    .filter(|at| PLAUSIBLE.contains(at))
}

fn from_text(s: &str) -> Option<EpochMillis> {
    let s = s.trim();
    match s.parse::<f64>() {
        Ok(f) => from_number(f, s.parse().ok()),
        Err(_) => from_iso(s).map(Timestamp::as_millisecond),
    }
}

/// Whether two words are the same time in two spellings, to the last digit. A word that must be rounded to be
/// a time is not equal to the rounded time.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let spelling = |word| {
        from_text(word)
            .filter(|at| PLAUSIBLE.contains(at))
            .and_then(|_| spelling(word))
    };
    let (Some((one, power)), Some((other, other_power))) = (spelling(one), spelling(other)) else {
        return false;
    };
    let nanoseconds = |digits, power| Decimal::of(digits)?.times_ten_to(power);
    match (nanoseconds(&one, power), nanoseconds(&other, other_power)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A time as a number, and the power of ten that converts it to nanoseconds.
fn spelling(word: &str) -> Option<(Cow<'_, str>, i128)> {
    let word = word.trim();
    let Ok(approximate) = word.parse::<f64>() else {
        let at = from_iso(word)?.as_nanosecond();
        return Some((at.to_string().into(), 0));
    };
    if let Some(at) = word.parse().ok().and_then(compact_date) {
        return Some((at.to_string().into(), 6));
    }
    Some((word.into(), unit(approximate)?.power()))
}

/// The units of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Scale {
    /// The power of ten that converts the unit to nanoseconds.
    fn power(self) -> i128 {
        match self {
            Self::Seconds => 9,
            Self::Millis => 6,
            Self::Micros => 3,
            Self::Nanos => 0,
        }
    }
}

/// Seconds reach 1e11 in the year 5138, milliseconds reached it in 1973: no real time is in two ranges.
fn unit(approximate: f64) -> Option<Scale> {
    match approximate {
        f if !f.is_finite() || f <= 0.0 => None,
        f if f < 1e11 => Some(Scale::Seconds),
        f if f < 1e14 => Some(Scale::Millis),
        f if f < 1e17 => Some(Scale::Micros),
        _ => Some(Scale::Nanos),
    }
}

fn from_number(approximate: f64, exact: Option<i64>) -> Option<EpochMillis> {
    if let Some(at) = exact.and_then(compact_date) {
        return Some(at);
    }
    match (exact, unit(approximate)?) {
        (Some(seconds), Scale::Seconds) => seconds.checked_mul(1000),
        (Some(millis), Scale::Millis) => Some(millis),
        (Some(micros), Scale::Micros) => Some(micros / 1_000),
        (Some(nanos), Scale::Nanos) => Some(nanos / 1_000_000),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by the band; saturates otherwise"
        )]
        (None, Scale::Seconds) => Some((approximate * 1000.0).round() as i64),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by the band; saturates otherwise"
        )]
        (None, Scale::Millis) => Some(approximate as i64),
        (None, _) => None,
    }
}

/// Parses the digits of a date and time in UTC: `yyyyMMddHHmmss`, the same with milliseconds, or without
/// seconds, for the years 2000 to 2099. These are not ambiguous: read as milliseconds or microseconds, the
/// long forms are beyond the year 2600, and the short form is before 1980. Eight digits have no time of day,
/// and ten digits are seconds.
fn compact_date(n: i64) -> Option<EpochMillis> {
    let (seconds, millis) = match n {
        200_001_010_000..=209_912_312_359 => (n * 100, 0),
        20_000_101_000_000..=20_991_231_235_959 => (n, 0),
        20_000_101_000_000_000..=20_991_231_235_959_999 => (n / 1000, n % 1000),
        _ => return None,
    };
    let two = |power: u32| i8::try_from(seconds / 10_i64.pow(power) % 100).ok();
    let year = i16::try_from(seconds / 10_i64.pow(10)).ok()?;
    let date = civil::DateTime::new(
        year,
        two(8)?,
        two(6)?,
        two(4)?,
        two(2)?,
        two(0)?,
        i32::try_from(millis * 1_000_000).ok()?,
    );
    Some(Offset::UTC.to_timestamp(date.ok()?).ok()?.as_millisecond())
}

fn from_iso(s: &str) -> Option<Timestamp> {
    // A date alone would be read as midnight. No provider documents one, so it is refused.
    if s.len() < "2026-11-21T00:00".len() {
        return None;
    }
    if let Ok(at) = s.parse::<Timestamp>() {
        return Some(at);
    }
    let local: civil::DateTime = s.parse().ok()?;
    Offset::UTC.to_timestamp(local).ok()
}

/// A time in UTC, `2026-11-21T08:53:47.123Z`.
pub fn utc(at: EpochMillis) -> String {
    Timestamp::from_millisecond(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// The UTC day of a time, `2026-11-21`.
pub fn utc_day(at: EpochMillis) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    Offset::UTC.to_datetime(at).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_documented_spelling_is_read() {
        for value in [
            json!(1_704_876_828),
            json!("1704876828"),
            json!(1_704_876_828_000_i64),
            json!("1704876828000"),
            json!(1_704_876_828_000_000_i64),
            json!(1_704_876_828_000_000_000_i64),
            json!("2024-01-10T08:53:48Z"),
            json!("2024-01-10T08:53:48"),
            json!("2024-01-10 08:53:48"),
            json!("2024-01-10T08:53:48.000+00:00"),
            json!("2024-01-10T05:53:48-03:00"),
            json!("2024-01-10T05:53:48-0300"),
            json!(" 1704876828 "),
            json!(20_240_110_085_348_i64),
            json!("20240110085348"),
            json!("20240110085348000"),
            json!("20240110T085348Z"),
        ] {
            assert_eq!(read(&value), Some(1_704_876_828_000), "{value}");
        }
        assert_eq!(read(&json!(1_704_876_828.25)), Some(1_704_876_828_250));
        assert_eq!(read(&json!("2024-02-23T07:32:01.816Z")), Some(1_708_673_521_816));
    }

    #[test]
    fn only_valid_compact_dates_are_read_as_dates() {
        assert_eq!(read(&json!(202_401_100_853_i64)), Some(1_704_876_780_000));
        assert_eq!(read(&json!("20240110085348123")), Some(1_704_876_828_123));
        assert_eq!(read(&json!("20000101000000")), Some(946_684_800_000));
        assert_eq!(read(&json!("20991231235959")), Some(4_102_444_799_000));
        // No month 13, February 30 or hour 25: these are milliseconds, far in the future.
        for no_date in [20_241_301_000_000_i64, 20_240_230_000_000, 20_240_110_250_000] {
            assert_eq!(read(&json!(no_date)), Some(no_date));
        }
        // A date alone is refused, and ten digits are seconds.
        assert_eq!(read(&json!(20_240_110)), None);
        assert_eq!(read(&json!(2_024_011_008)), Some(2_024_011_008_000));
    }

    #[test]
    fn only_spellings_of_the_same_time_are_equal() {
        let spellings = [
            "1704876828",
            "1704876828000",
            "1704876828.0",
            "2024-01-10T05:53:48-03:00",
            "20240110085348",
        ];
        for one in spellings {
            for other in spellings {
                assert!(is_same(one, other), "{one} {other}");
            }
        }
        for (one, other) in [
            ("1704876828000001", "1704876828000002"),
            ("1704876828000000001", "1704876828"),
            ("1704876828.0000000000000000001", "1704876828"),
            ("2024-01-10T08:53:48.000001Z", "2024-01-10T08:53:48Z"),
            ("yesterday", "yesterday"),
            ("-5", "-5"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn implausible_times_are_refused() {
        for value in [
            json!(-5),
            json!(0),
            json!("-1704876828"),
            json!(1e300),
            json!("1e300"),
            json!("NaN"),
            json!("inf"),
            json!("yesterday"),
            json!(""),
            json!("2024"),
            json!("2024-13-45T99:00:00Z"),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(null),
            json!([1_704_876_828]),
            json!({}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }

    #[test]
    fn days_are_utc_days() {
        assert_eq!(utc_day(1_704_876_828_000), "2024-01-10");
        assert_eq!(utc_day(1), "1970-01-01");
        assert_eq!(utc_day(PLAUSIBLE.end - 1), "9998-12-31");
        assert_eq!(utc_day(PLAUSIBLE.start), "2000-01-01");
    }
}
