//! Check of the prices that `cost` uses.

use jiff::{Timestamp, civil::Date};

use super::check::Check;
use crate::cost::prices;

const CHECK: &str = "prices";
/// Older prices are reported, in months. AWS changes a price of these services about once a year.
const MAX_MONTHS: i32 = 12;

/// The age of the price list: of the newest price with a date.
pub(super) fn age(now: Timestamp) -> Check {
    let newest = prices::ALL
        .iter()
        .filter_map(|price| price.seen)
        .max()
        .unwrap_or_default();
    judged(newest, now)
}

fn judged(newest: &str, now: Timestamp) -> Check {
    const SUBJECT: &str = "price list of `cost`";
    let Ok(month) = format!("{newest}-01").parse::<Date>() else {
        return Check::not_checked(CHECK, SUBJECT, "no price has a date");
    };
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let months = (i32::from(today.year()) - i32::from(month.year())) * 12 + i32::from(today.month())
        - i32::from(month.month());
    let found = format!("of {newest}, {months} months old");
    if months > MAX_MONTHS {
        Check::warning(
            CHECK,
            SUBJECT,
            found,
            "compare with the price pages that `cost --json` names, or update the command",
        )
    } else {
        Check::ok(CHECK, SUBJECT, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn prices_are_reported_after_a_year() {
        let judge = |now: &str| judged("2026-06", now.parse().unwrap()).result;
        assert_eq!(judge("2026-06-01T00:00:00Z"), Outcome::Ok);
        assert_eq!(judge("2027-06-30T00:00:00Z"), Outcome::Ok);
        assert_eq!(judge("2027-07-01T00:00:00Z"), Outcome::Warning);
        assert_eq!(
            judged("", "2027-07-01T00:00:00Z".parse().unwrap()).result,
            Outcome::NotChecked
        );
    }
}
