//! The items of the league tables: the progress of the messages of one name (a tag, a bot, a campaign, …) on one UTC
//! day. A Query of a series returns all names of a range.
//!
//! `m` counts the messages of the UTC day, and `m37` those whose first event is between 09:15 and 09:30, the 37th quarter
//! of an hour, so that days of any time zone can be added up.

use super::{Names, Progress, escaped, unescaped};

/// Kinds of names with a table.
pub const KINDS: [Names; 5] = [
    Names::Tags,
    Names::Bots,
    Names::Campaigns,
    Names::Templates,
    Names::Countries,
];

/// The partition key of a kind's items.
pub fn series(generation: &str, kind: Names) -> String {
    format!("{generation}#league#{}", kind.attribute())
}

/// The sort key of a name's item of a day.
pub fn period(day: &str, name: &str, slot: u8) -> String {
    format!("day#{day}#{}#{slot}", escaped(name))
}

/// The day and the name in a sort key.
pub fn parse_period(period: &str) -> Option<(&str, String)> {
    let mut parts = period.split('#');
    let (_, day, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((day, unescaped(name).into_owned()))
}

/// The name of the counter of the whole day.
pub fn of_day(progress: Progress) -> String {
    letter(progress).to_string()
}

/// The name of a counter. `quarter` is that of the UTC day, 0 to 95.
pub fn counter(progress: Progress, quarter: u8) -> String {
    format!("{}{quarter}", letter(progress))
}

/// Parses the name of a counter.
pub fn parse_counter(name: &str) -> Option<(Progress, u8)> {
    let mut characters = name.chars();
    let first = characters.next()?;
    let progress = Progress::ALL
        .into_iter()
        .find(|progress| letter(*progress) == first)?;
    let quarter: u8 = characters.as_str().parse().ok()?;
    (quarter < 96).then_some((progress, quarter))
}

/// Parses the name of the counter of the whole day.
pub fn parse_counter_of_day(name: &str) -> Option<Progress> {
    Progress::ALL
        .into_iter()
        .find(|progress| name.chars().eq([letter(*progress)]))
}

fn letter(progress: Progress) -> char {
    match progress {
        Progress::Messages => 'm',
        Progress::Reached => 'a',
        Progress::Read => 'r',
        Progress::Clicked => 'c',
        Progress::Failed => 'f',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_a_key_inverts_writing_it() {
        let key = period("2026-11-21", "50% off #1", 3);
        assert_eq!(key, "day#2026-11-21#50%25 off %231#3");
        assert_eq!(parse_period(&key), Some(("2026-11-21", "50% off #1".to_owned())));
        for progress in Progress::ALL {
            assert_eq!(parse_counter(&counter(progress, 37)), Some((progress, 37)));
        }
        for name in ["m96", "m", "x3", "updated_at", "messages"] {
            assert_eq!(parse_counter(name), None, "{name}");
        }
    }
}
