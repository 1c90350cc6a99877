//! The counters' table: its keys and the names of its counters, for those who write them
//! (`projector`, `rollups rebuild`) and those who read them (`dashboard`).
//!
//! | `series` | `period` | holds |
//! |---|---|---|
//! | `<generation>#<scope>` | `day#2026-11-21` | counters of that UTC day of the event time |
//! | `<generation>#<scope>` | `hour#2026-11-21T10` | counters of that hour, statuses only |
//! | `<generation>#seen#<second>` | `-` | which events that arrived in that second are counted |
//! | `generation` | `-` | which generation is read, and which one is being built |
//!
//! A scope is `all`, `bot=B`, `tag=T` or `bot=B&tag=T`; the channel is a part of each counter's name.

use aws_sdk_dynamodb::{Client, error::SdkError, operation::get_item::GetItemError, types::AttributeValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{event::EpochMillis, key, time};

/// Partition key (S).
pub const SERIES: &str = "series";
/// Sort key (S).
pub const PERIOD: &str = "period";
/// Time to live, epoch seconds (N); only marks have one.
pub const EXPIRES_AT: &str = "expires_at";
/// Of a day of the scope `all`: the bots that were counted (SS).
pub const BOTS: &str = "bots";
/// Of a day of the scope `all`: the tags that were counted (SS).
pub const TAGS: &str = "tags";
/// When the item was last counted into, epoch milliseconds (N).
pub const UPDATED_AT: &str = "updated_at";
/// Of the item `generation`: the generation that is read (S).
pub const CURRENT: &str = "current";
/// Of the item `generation`: the generation that is being built, if one is (S).
pub const NEXT: &str = "next";
/// The generation of a table that was never rebuilt.
const FIRST_GENERATION: &str = "0";
/// The `series` of the item that names the generations.
pub const GENERATION: &str = "generation";
/// The `period` of items that have none.
pub const NO_PERIOD: &str = "-";

/// What joins the parts of names and what escapes it.
const RESERVED: &AsciiSet = &CONTROLS.add(b'%').add(b'#').add(b'|').add(b'&').add(b'=');

/// Whose events a series counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Scope {
    /// Only this bot's.
    pub bot: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
}

impl Scope {
    /// The partition key of this scope's counters.
    pub fn series(&self, generation: &str) -> String {
        let scope = match (&self.bot, &self.tag) {
            (None, None) => "all".to_owned(),
            (Some(bot), None) => format!("bot={}", escaped(bot)),
            (None, Some(tag)) => format!("tag={}", escaped(tag)),
            (Some(bot), Some(tag)) => format!("bot={}&tag={}", escaped(bot), escaped(tag)),
        };
        format!("{generation}#{scope}")
    }
}

/// Which counters are read, and which are being built beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generations {
    /// Read by the dashboard.
    pub current: String,
    /// Being built by `rollups rebuild`.
    pub next: Option<String>,
}

impl Generations {
    /// Those of a table; `consistent` for who writes.
    ///
    /// # Errors
    /// What the SDK says.
    pub async fn read(
        client: &Client,
        table: &str,
        consistent: bool,
    ) -> Result<Self, SdkError<GetItemError>> {
        let answer = client
            .get_item()
            .table_name(table)
            .key(SERIES, AttributeValue::S(GENERATION.to_owned()))
            .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
            .consistent_read(consistent)
            .send()
            .await?;
        let item = answer.item.unwrap_or_default();
        let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
        Ok(Self {
            current: text(CURRENT).unwrap_or_else(|| FIRST_GENERATION.to_owned()),
            next: text(NEXT),
        })
    }
}

/// The partition key of the marks of what arrived at a time. One item for a second: a record finds
/// its mark without a lookup, and a busy second's marks stay far below an item's limit.
pub fn marks(generation: &str, received_at: EpochMillis) -> String {
    format!("{generation}#seen#{}", received_at.div_euclid(1000))
}

/// The sort key of a day, `2026-11-21`.
pub fn day(day: &str) -> String {
    format!("day#{day}")
}

/// The sort key of an hour, `2026-11-21T10`.
pub fn hour(hour: &str) -> String {
    format!("hour#{hour}")
}

/// The UTC hour of a time, `2026-11-21T10`.
pub fn hour_of(at: EpochMillis) -> String {
    format!(
        "{}T{:02}",
        time::utc_day(at),
        at.div_euclid(3_600_000).rem_euclid(24)
    )
}

/// What is counted. Every one has a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Events of a status.
    Status {
        /// Of the event.
        channel: String,
        /// Of the event.
        status: String,
    },
    /// Events that carry a price.
    Billing {
        /// Of the event.
        channel: String,
        /// The provider's word for the kind of conversation.
        category: String,
        /// Whether the provider charges for it.
        billable: bool,
        /// Of the event.
        status: String,
    },
    /// Messages that failed, were not sent or were blocked.
    Failure {
        /// Of the event.
        channel: String,
        /// The provider's text, without numbers of people.
        reason: String,
    },
    /// Events by the provider's word for the kind of message.
    Kind {
        /// Of the event.
        channel: String,
        /// The provider's word.
        message_type: String,
    },
}

impl Counter {
    /// The attribute's name.
    pub fn name(&self) -> String {
        match self {
            Self::Status { channel, status } => join("s", &[channel, status]),
            Self::Billing {
                channel,
                category,
                billable,
                status,
            } => join(
                "b",
                &[channel, category, if *billable { "1" } else { "0" }, status],
            ),
            Self::Failure { channel, reason } => join("f", &[channel, reason]),
            Self::Kind {
                channel,
                message_type,
            } => join("t", &[channel, message_type]),
        }
    }

    /// The counter of an attribute's name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<String> = name.split('|').map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match *parts.as_slice() {
            ["s", channel, status] => Self::Status {
                channel: channel.into(),
                status: status.into(),
            },
            ["b", channel, category, billable, status] => Self::Billing {
                channel: channel.into(),
                category: category.into(),
                billable: billable == "1",
                status: status.into(),
            },
            ["f", channel, reason] => Self::Failure {
                channel: channel.into(),
                reason: reason.into(),
            },
            ["t", channel, message_type] => Self::Kind {
                channel: channel.into(),
                message_type: message_type.into(),
            },
            _ => return None,
        })
    }

    /// The channel it counts for.
    pub fn channel(&self) -> &str {
        match self {
            Self::Status { channel, .. }
            | Self::Billing { channel, .. }
            | Self::Failure { channel, .. }
            | Self::Kind { channel, .. } => channel,
        }
    }
}

/// A provider's word as it goes into a name or a scope: not longer than a key part may be.
pub fn word(text: &str) -> String {
    key::bounded(text.trim().to_owned())
}

fn join(kind: &str, parts: &[&str]) -> String {
    parts.iter().fold(kind.to_owned(), |mut name, part| {
        name.push('|');
        name.extend(utf8_percent_encode(part, RESERVED));
        name
    })
}

fn escaped(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}

fn unescaped(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_counter_is_read_as_it_was_written(channel in ".{1,20}", word in ".{1,20}", status in ".{1,20}", billable: bool) {
            for counter in [
                Counter::Status { channel: channel.clone(), status: status.clone() },
                Counter::Failure { channel: channel.clone(), reason: word.clone() },
                Counter::Kind { channel: channel.clone(), message_type: word.clone() },
                Counter::Billing { channel: channel.clone(), category: word.clone(), billable, status: status.clone() },
            ] {
                prop_assert_eq!(Counter::parse(&counter.name()), Some(counter));
            }
        }

        #[test]
        fn scopes_never_share_a_series(bot in ".{0,12}", tag in ".{0,12}") {
            let both = Scope { bot: Some(bot.clone()), tag: Some(tag.clone()) };
            let bot = Scope { bot: Some(bot), tag: None };
            let tag = Scope { bot: None, tag: Some(tag) };
            let series = [&both, &bot, &tag, &Scope::default()].map(|scope| scope.series("0"));
            for (i, one) in series.iter().enumerate() {
                prop_assert!(series.iter().skip(i + 1).all(|other| one != other));
            }
        }
    }

    #[test]
    fn hours_and_marks_are_those_of_utc() {
        assert_eq!(hour_of(1_704_876_828_000), "2024-01-10T08");
        assert_eq!(hour_of(-1), "1969-12-31T23");
        assert_eq!(marks("0", 1_704_876_828_999), "0#seen#1704876828");
    }

    #[test]
    fn other_attributes_are_no_counters() {
        for name in [SERIES, PERIOD, BOTS, UPDATED_AT, "s|RCS", "x|RCS|sent"] {
            assert_eq!(Counter::parse(name), None, "{name}");
        }
    }
}
