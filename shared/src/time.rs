//! Times as providers write them, read liberally into epoch milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil, tz::Offset};
use serde_json::Value;

use crate::event::EpochMillis;

/// No webhook tells of an event before 2000-01-01T00:00:00Z, and none of one after the last year
/// that is written with four digits: a time outside is a mistake, not a time.
const SENSIBLE: std::ops::Range<EpochMillis> = 946_684_800_000..253_370_764_800_000;

/// The unit a format's time field is documented in; decides what is written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Epoch seconds as a number.
    Seconds,
    /// Epoch seconds as a string of digits.
    SecondsText,
    /// Epoch milliseconds as a number.
    Millis,
    /// ISO 8601; spellings vary too much to write one back.
    Iso,
}

impl Unit {
    /// The field as the provider would have written it, if this unit gives it back exactly.
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

/// A provider's time in epoch milliseconds: a number or a string of one in seconds, milliseconds,
/// microseconds or nanoseconds (told apart by size), or ISO 8601 with or without fraction and
/// offset (UTC where there is none). `None` for what is no time,
/// or none of the years 2000 to 9998.
///
/// Safe on untrusted input.
pub fn read(value: &Value) -> Option<EpochMillis> {
    match value {
        Value::Number(n) => n.as_f64().and_then(|f| from_number(f, n.as_i64())),
        Value::String(s) => {
            let s = s.trim();
            match s.parse::<f64>() {
                Ok(f) => from_number(f, s.parse().ok()),
                Err(_) => from_iso(s),
            }
        }
        _ => None,
    }
    .filter(|at| SENSIBLE.contains(at))
}

fn from_number(approximate: f64, exact: Option<i64>) -> Option<EpochMillis> {
    // Seconds reach 1e11 in the year 5138, milliseconds in 1973: no real time is in two bands.
    let per_milli = match approximate {
        f if !f.is_finite() || f <= 0.0 => return None,
        f if f < 1e11 => 0,
        f if f < 1e14 => 1,
        f if f < 1e17 => 1_000,
        _ => 1_000_000,
    };
    match (exact, per_milli) {
        (Some(seconds), 0) => seconds.checked_mul(1000),
        (Some(n), divisor) => n.checked_div(divisor),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by the band; saturates otherwise"
        )]
        (None, 0) => Some((approximate * 1000.0).round() as i64),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by the band; saturates otherwise"
        )]
        (None, 1) => Some(approximate as i64),
        (None, _) => None,
    }
}

fn from_iso(s: &str) -> Option<EpochMillis> {
    // A date alone would be read as midnight; nobody documents one, so it is no time.
    if s.len() < "2026-11-21T00:00".len() {
        return None;
    }
    if let Ok(at) = s.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let local: civil::DateTime = s.parse().ok()?;
    Some(Offset::UTC.to_timestamp(local).ok()?.as_millisecond())
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
    fn reads_every_spelling() {
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
        ] {
            assert_eq!(read(&value), Some(1_704_876_828_000), "{value}");
        }
        assert_eq!(read(&json!(1_704_876_828.25)), Some(1_704_876_828_250));
        assert_eq!(read(&json!("2024-02-23T07:32:01.816Z")), Some(1_708_673_521_816));
    }

    #[test]
    fn absurd_times_are_no_times() {
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
    fn a_day_is_a_utc_day() {
        assert_eq!(utc_day(1_704_876_828_000), "2024-01-10");
        assert_eq!(utc_day(1), "1970-01-01");
        assert_eq!(utc_day(SENSIBLE.end - 1), "9998-12-31");
        assert_eq!(utc_day(SENSIBLE.start), "2000-01-01");
    }
}
