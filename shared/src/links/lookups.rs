//! Lookups: the links that the search uses. They lead from what people know (last digits, a request id, callback
//! data) to the ids under which events are stored. Each has a partition key, so a search reads no other items.
//!
//! | `series` | `period` | `ids` (SS) |
//! |---|---|---|
//! | `find#digits#<last 4>` | all digits of the number, last digit first | the number as stored |
//! | `find#request#<request id>` | `<day>#<slot>` | `<recipient> <message id>` of messages with an event on this UTC day |
//! | `find#callback#<callback data>` | `<day>#<slot>` | the same |
//!
//! - Digits are reversed in the sort key, so that all numbers with the same last digits are adjacent.
//! - A message has one of [`SLOTS`] slots on a day, so each value leads to its messages of the latest days, however many
//!   events share it. [`MAX_BYTES`] limits the item of a slot: a value that every message carries costs a few writes a
//!   day, and further messages of that day are not linked.
//! - The recipient is stored with the message id, so that `erase` finds the lookups of a person without its events. An
//!   event without a recipient has an empty one.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::LinkKey;
use crate::event::key;

/// Number of digits that a search needs at least.
pub const MIN_DIGITS: usize = 4;
/// Slots of a day of a value.
pub const SLOTS: u8 = 8;
/// The most bytes of an item's ids. With its keys and names, such an item has at most 1 KB, so that writing it costs
/// one unit. A slot holds about ten ids of usual length.
pub const MAX_BYTES: usize = 800;

/// Beginning of the `series` of lookups.
pub(super) const PREFIX: &str = "find#";

/// What a lookup of messages searches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// The attribute `request_id`.
    Request,
    /// The attribute `callback_data`.
    Callback,
}

impl Searched {
    /// The `series` of a value; `None` for an empty one. A long value is cut and gets a digest.
    pub fn series(self, value: &str) -> Option<String> {
        let kind = match self {
            Self::Request => "request",
            Self::Callback => "callback",
        };
        let value = value.trim();
        (!value.is_empty()).then(|| format!("{PREFIX}{kind}#{}", key::bounded(value.to_owned())))
    }
}

/// The `series` of numbers that end with these digits, and the beginning of their `period`. `None` if there are too few
/// digits, or other characters.
///
/// ```
/// use webhook_ingest::links::lookups::of_digits;
/// let expected = ("find#digits#5678".to_owned(), "87654321".to_owned());
/// assert_eq!(of_digits("12345678"), Some(expected));
/// assert_eq!(of_digits("678"), None);
/// ```
pub fn of_digits(digits: &str) -> Option<(String, String)> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let last = digits.get(digits.len().checked_sub(MIN_DIGITS)?..)?;
    Some((format!("{PREFIX}digits#{last}"), digits.chars().rev().collect()))
}

/// The key of a number's item. `None` if it has too few digits.
pub(super) fn number(recipient: &str) -> Option<LinkKey> {
    let (series, period) = of_digits(recipient)?;
    Some(LinkKey { series, period })
}

/// The key of the item for a message's event with this value on this UTC day.
pub(super) fn message(searched: Searched, value: &str, day: &str, message_id: &str) -> Option<LinkKey> {
    let [byte, ..]: [u8; 32] = Sha256::digest(message_id).into();
    let slot = byte % SLOTS;
    Some(LinkKey {
        series: searched.series(value)?,
        period: format!("{day}#{slot}"),
    })
}

/// The id of a message and its recipient. `None` if it is too long for an item.
pub(super) fn id(recipient: &str, message_id: &str) -> Option<String> {
    let id = format!("{recipient} {message_id}");
    (id.len() <= MAX_BYTES).then_some(id)
}

/// The recipient and the message id in an id; the recipient can be empty.
pub fn parts(id: &str) -> (&str, &str) {
    id.split_once(' ').unwrap_or(("", id))
}

/// The value of a lookup of messages; `None` for other links.
pub fn value(key: &LinkKey) -> Option<&str> {
    let (kind, value) = key.series.strip_prefix(PREFIX)?.split_once('#')?;
    (kind != "digits").then_some(value)
}

/// Whether an item may have no room for a further id like its longest one.
pub fn may_be_full(ids: &BTreeSet<String>) -> bool {
    let longest = ids.iter().map(String::len).max().unwrap_or_default();
    ids.iter().map(String::len).sum::<usize>() + longest > MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_same_slot_on_every_day_and_messages_are_spread() {
        let key = |day: &str, id: &str| message(Searched::Request, " r#1 ", day, id).unwrap();
        let slot = |key: LinkKey| key.period.split_once('#').unwrap().1.to_owned();
        assert_eq!(key("2026-11-21", "m").series, "find#request#r#1");
        assert_eq!(slot(key("2026-11-21", "m")), slot(key("2026-11-22", "m")));
        let slots: BTreeSet<String> = (0..200)
            .map(|n| slot(key("2026-11-21", &format!("m-{n}"))))
            .collect();
        assert_eq!(slots.len(), 8);
    }

    #[test]
    fn long_and_empty_values_are_valid_keys_or_none() {
        assert_eq!(Searched::Callback.series("  "), None);
        let one = Searched::Callback.series(&"é".repeat(5_000)).unwrap();
        let other = Searched::Callback.series(&"é".repeat(5_001)).unwrap();
        assert!(one.len() < 120 && one != other, "{one}");
        assert_eq!(id("919812345678", &"m".repeat(800)), None);
        assert_eq!(parts(&id("", "a b").unwrap()), ("", "a b"));
        assert_eq!(
            parts(&id("919812345678", "a b").unwrap()),
            ("919812345678", "a b")
        );
        for text in ["", "123", "12a4", "१२३४", "whatsapp:1234"] {
            assert_eq!(of_digits(text), None, "{text}");
        }
    }
}
