//! The counters' table: its keys, the names of its counters and their limits, for the writers (`projector`,
//! `rollups rebuild`) and the reader (`dashboard`).
//!
//! | `series` | `period` | content |
//! |---|---|---|
//! | `<generation>#<scope>` | `day#2026-11-21#<slot>` | counters of that UTC day |
//! | `<generation>#<scope>` | `hour#2026-11-21T10:15#<slot>` | the same counters of the quarter of an hour that begins then |
//! | `<generation>#league#<kind>` | `day#2026-11-21#<name>#<slot>` | progress of the messages of a name, see [`league`] |
//! | `<generation>#names` | `day#2026-11-21#<page>` | the names that this day counts separately |
//! | `<generation>#pending` | unique | the counts of a batch that are not merged yet, see [`pending`] |
//! | `<generation>#merge` | `-` | the state of the merges, see [`pending`] |
//! | `<generation>#seen#minute#<minute>` | `-` | markers of the events that arrived in that minute and are counted |
//! | `<generation>#seen#ten#<ten seconds>` | `-` | markers of ten seconds of a busy minute |
//! | `<generation>#seen#<second>` | `-` | markers of one of these seconds, if they are busy |
//! | `<generation>#seen#<second>.<part>` | `-` | markers of a sixteenth of a busy second |
//! | `<generation>#seen#<second>.<part>#<digits>` | `-` | more of them, by the first hex digits of the marker |
//! | `person#<id>` | `-` | other ids of the person, see [`links`](crate::links) |
//! | `generation` | `-` | the generation that is read, and the one that is being built |
//!
//! A scope is `all`, `bot=B`, `tag=T`, `bot=B&tag=T`, `campaign=C`, `template=T` or `country=IN`. The channel is a part
//! of each counter's name. Counters of events have the time of the event; those of messages have the time of the
//! message's first event. Every time zone of today begins its days at a quarter of a UTC hour.
//!
//! The reader adds up the slots of a period, and the pending counts. A rebuild and the merges write different slots.
//! Earlier versions wrote the slots from 0 to 8, items without a slot, and items of whole hours
//! (`hour#2026-11-21T10#<slot>`) with statuses only; they are still read, but no longer written.
//!
//! A count in one slot can be negative: a message that one slot counts as failed can be counted as reached in another.

mod counter;
pub mod latency;
pub mod league;
pub mod pending;
mod scope;

use std::borrow::Cow;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{get_item::GetItemError, query::builders::QueryFluentBuilder},
    types::AttributeValue,
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

pub use self::{
    counter::{Charged, Counter, Progress, Quantity},
    latency::Interval,
    scope::Scope,
};
use crate::{
    event::{Channel, EpochMillis, Status, key, time},
    events_table::item::{Item, number_at},
    personal,
};

/// Partition key (S).
pub const SERIES: &str = "series";
/// Sort key (S).
pub const PERIOD: &str = "period";
/// Time to live, epoch seconds (N). All items have one, except for the scope `all`, pending counts, the state of the
/// merges and the item `generation`.
pub const EXPIRES_AT: &str = "expires_at";
/// The version of items with conditional writes: it changes with every write (N).
pub const VERSION: &str = "version";
/// When the item was last updated, epoch milliseconds (N).
pub const UPDATED_AT: &str = "updated_at";
/// In a page of names: the kinds of names that did not all fit on this day (SS).
pub const FOLDED: &str = "folded";
/// In the item `generation`: the generation that is read (S).
pub const CURRENT: &str = "current";
/// In the item `generation`: the generation that is being built, if any (S).
pub const NEXT: &str = "next";
/// In the item `generation`: when the rebuild's lease ends unless it is renewed, epoch milliseconds (N).
pub const LEASE_UNTIL: &str = "lease_until";
/// The generation of a table that was never rebuilt.
pub const FIRST_GENERATION: &str = "0";
/// The `series` of the item that names the generations.
pub const GENERATION: &str = "generation";
/// The `period` of items without a period.
pub const NO_PERIOD: &str = "-";
/// The slot that a rebuild writes into.
pub const REBUILD_SLOT: u8 = 9;
/// The slot that merges write into. Versions up to 0.2 wrote into others.
pub const MERGED_SLOT: u8 = 10;
/// Days after their last update until names and the series of bots and tags expire. The dashboard shows at
/// most 366 days.
const SERIES_LIVE_DAYS: i64 = 400;
/// The status that counts the opens of e-mails by machines. The events' own status is `opened`.
pub const OPENED_BY_MACHINE: &str = "opened_by_machine";
/// In [`Quantity::Charge`]: people without a known country.
pub const NO_COUNTRY: &str = "-";
/// In [`Quantity::Charge`]: messages without a kind of conversation.
pub const NO_CATEGORY: &str = "-";
/// Counter of all names beyond the limits: bots, tags, statuses, types, reasons and categories.
pub const OTHER: &str = "other";
/// A quarter of an hour, in milliseconds.
pub const QUARTER_MS: EpochMillis = 900_000;
/// Counter of all channels beyond the limit.
pub const OTHER_CHANNEL: &str = "OTHER";

/// After a lease ends, `projector` counts into its generation a little longer, since clocks differ.
const LEASE_MARGIN_MS: i64 = 600_000;

/// Characters that join the parts of names, and the escape character.
const RESERVED: &AsciiSet = &CONTROLS.add(b'%').add(b'#').add(b'|').add(b'&').add(b'=');

/// Kinds of names that senders choose. A UTC day counts the first names of each kind separately, and all
/// others together as `other`. This limits the size of a day's items and the cost of counting, whatever
/// senders choose. The channels RCS, SMS, WHATSAPP and EMAIL and the listed statuses always have their own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Names {
    /// Unlisted channels.
    Channels,
    /// Bots. Each has its own series.
    Bots,
    /// Tags. Each has its own series.
    Tags,
    /// Pairs of a bot and a tag. Each has its own series; beyond the limit, a pair has none.
    Pairs,
    /// Unlisted statuses, per channel.
    Statuses,
    /// Message types, per channel.
    MessageTypes,
    /// Reasons of failures, per channel.
    Reasons,
    /// Prices: channel, category, whether it is billable, and status.
    Prices,
    /// Campaigns. Each has its own series.
    Campaigns,
    /// Templates. Each has its own series.
    Templates,
    /// Countries. Each has its own series.
    Countries,
    /// What a provider may charge for: channel, country, category, and whether it was sent or delivered.
    Charges,
}

impl Names {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Channels,
        Self::Bots,
        Self::Tags,
        Self::Pairs,
        Self::Statuses,
        Self::MessageTypes,
        Self::Reasons,
        Self::Prices,
        Self::Campaigns,
        Self::Templates,
        Self::Countries,
        Self::Charges,
    ];

    /// The attribute (SS) for these names in a page of names.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Bots => "bots",
            Self::Tags => "tags",
            Self::Pairs => "pairs",
            Self::Statuses => "statuses",
            Self::MessageTypes => "message_types",
            Self::Reasons => "reasons",
            Self::Prices => "prices",
            Self::Campaigns => "campaigns",
            Self::Templates => "templates",
            Self::Countries => "countries",
            Self::Charges => "charges",
        }
    }

    /// The most names that a day counts separately.
    pub fn most(self) -> usize {
        match self {
            Self::Channels => 30,
            Self::Bots | Self::Campaigns | Self::Templates => 200,
            // More than there are.
            Self::Countries => 300,
            Self::Tags | Self::Pairs => 1_000,
            Self::Statuses | Self::MessageTypes => 50,
            Self::Reasons | Self::Prices => 100,
            Self::Charges => 150,
        }
    }

    /// The most bytes of these names. Names of usual length reach the limit on their number first.
    pub fn most_bytes(self) -> usize {
        match self {
            Self::Channels => 800,
            Self::Bots | Self::Campaigns | Self::Templates => 10_000,
            Self::Countries => 1_000,
            Self::Charges => 6_000,
            Self::Tags => 50_000,
            Self::Statuses | Self::MessageTypes => 3_000,
            Self::Pairs | Self::Reasons => 16_000,
            Self::Prices => 5_000,
        }
    }
}

/// The generation of counters that is read, and the one that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generations {
    /// The generation that the dashboard reads.
    pub current: String,
    /// The generation that a running `rollups rebuild` builds.
    pub next: Option<String>,
}

impl Generations {
    /// Reads the generations of a table; `consistent` for writers.
    ///
    /// # Errors
    /// The SDK's error.
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
        let is_dead =
            number_at(&item, LEASE_UNTIL).is_some_and(|until| until + LEASE_MARGIN_MS < time::now());
        Ok(Self {
            current: text(CURRENT).unwrap_or_else(|| FIRST_GENERATION.to_owned()),
            next: text(NEXT).filter(|_| !is_dead),
        })
    }
}

/// The key of an item.
pub fn key_of(series: String, period: String) -> Item {
    Item::from([
        (SERIES.to_owned(), AttributeValue::S(series)),
        (PERIOD.to_owned(), AttributeValue::S(period)),
    ])
}

/// Whether the items of a series of counters expire: all but those of everything.
pub fn expires(series: &str) -> bool {
    !series.ends_with("#all")
}

/// The value of [`EXPIRES_AT`] for names and series of counters that are updated now (epoch milliseconds).
pub fn expires_at(now: EpochMillis) -> AttributeValue {
    AttributeValue::N((now / 1000 + SERIES_LIVE_DAYS * 86_400).to_string())
}

/// The query for the items of a series in a range of sort keys, both included.
pub fn query(
    client: &Client,
    table: &str,
    series: &str,
    (first, last): (String, String),
) -> QueryFluentBuilder {
    client
        .query()
        .table_name(table)
        .key_condition_expression("#series = :series AND #period BETWEEN :first AND :last")
        .expression_attribute_names("#series", SERIES)
        .expression_attribute_names("#period", PERIOD)
        .expression_attribute_values(":series", AttributeValue::S(series.to_owned()))
        .expression_attribute_values(":first", AttributeValue::S(first))
        .expression_attribute_values(":last", AttributeValue::S(last))
}

/// The partition key of the item of an event's marker, at one level of its path. Level 0 is the item of the
/// minute in which the event arrived; if that item is closed, level 1 is the item of ten seconds, level 2 that of
/// the second, level 3 that of a sixteenth of the second, level 4 is one of 16 items by the first hex digit of
/// the marker, level 5 by the first two digits, and so on. The key depends only on the event, and no item grows
/// without limit, even if very many events share an instant. A batch has neighboring times, so its markers are
/// in few items.
pub fn markers(generation: &str, received_at: EpochMillis, marker: [u8; 8], level: usize) -> String {
    let second = format!("{generation}#seen#{}", received_at.div_euclid(1000));
    match level {
        0 => return format!("{generation}#seen#minute#{}", received_at.div_euclid(60_000)),
        1 => return format!("{generation}#seen#ten#{}", received_at.div_euclid(10_000)),
        2 => return second,
        _ => {}
    }
    let sixteenth = received_at.rem_euclid(1000) * 16 / 1000;
    let mut key = format!("{second}.{sixteenth:x}");
    if level > 3 {
        key.push('#');
        let hex = marker
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .take(level - 3);
        key.extend(hex.filter_map(|digit| char::from_digit(digit.into(), 16)));
    }
    key
}

/// The partition key of a generation's names.
pub fn names(generation: &str) -> String {
    format!("{generation}#names")
}

/// The sort key of a page of a day's names.
pub fn page(day: &str, page: usize) -> String {
    format!("day#{day}#{page:04}")
}

/// The sort key of a day, `2026-11-21`.
pub fn day(day: &str, slot: u8) -> String {
    format!("day#{day}#{slot}")
}

/// The sort key of a quarter of an hour, `2026-11-21T10:15`.
pub fn quarter(quarter: &str, slot: u8) -> String {
    format!("hour#{quarter}#{slot}")
}

/// The first and last sort key of whole days: for days, for pages of names and for league tables.
pub fn days(from: &str, to: &str) -> (String, String) {
    // `$` is the next character after `#`.
    (format!("day#{from}"), format!("day#{to}$"))
}

/// The first and last sort key of the quarters from one UTC time (inclusive) to another (exclusive), epoch
/// milliseconds. The first hour is whole, since items of earlier versions have the hour only.
pub fn quarters(from: EpochMillis, to: EpochMillis) -> (String, String) {
    let hour = quarter_of(from);
    let hour = hour.split_once(':').map_or(hour.as_str(), |(hour, _)| hour);
    (format!("hour#{hour}"), format!("hour#{}$", quarter_of(to - 1)))
}

/// The day, hour or quarter in a sort key.
pub fn moment(period: &str) -> Option<&str> {
    period.split('#').nth(1)
}

/// When a quarter (`2026-11-21T10:15`), or an hour of an earlier version (`2026-11-21T10`), begins: epoch
/// milliseconds.
pub fn began(quarter: &str) -> Option<EpochMillis> {
    let (hour, minute) = quarter.split_once(':').unwrap_or((quarter, "00"));
    let at: jiff::Timestamp = format!("{hour}:{minute}:00Z").parse().ok()?;
    Some(at.as_millisecond())
}

/// The UTC quarter of an hour of a time, `2026-11-21T10:15`.
pub fn quarter_of(at: EpochMillis) -> String {
    let quarter = quarter_of_day(at);
    format!("{}T{:02}:{:02}", time::utc_day(at), quarter / 4, quarter % 4 * 15)
}

/// The quarter of the UTC day of a time, 0 to 95.
pub fn quarter_of_day(at: EpochMillis) -> u8 {
    u8::try_from(at.div_euclid(QUARTER_MS).rem_euclid(96)).unwrap_or_default()
}

/// Whether a channel always has its own counters.
pub fn is_listed_channel(channel: &str) -> bool {
    Channel::LISTED.contains(&channel)
}

/// Whether a status always has its own counters.
pub fn is_listed_status(status: &str) -> bool {
    status == OPENED_BY_MACHINE || !matches!(Status::from_word(status), Ok(Status::Other(_)) | Err(_))
}

/// A sender's word as a part of a name or a scope. Ids of people are redacted, since counters outlive the
/// events, and long words are cut to the limit of a key part. Filters must use the same conversion.
pub fn word(text: &str) -> String {
    key::bounded(personal::redact(text.trim()).into_owned())
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

fn unescaped(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parsing_a_counter_name_inverts_writing_it(channel in ".{1,20}", word in ".{1,20}", status in ".{1,20}", billable: bool) {
            for quantity in [
                Quantity::Status(status.clone()),
                Quantity::Failure(word.clone()),
                Quantity::Kind(word.clone()),
                Quantity::Billing { category: word.clone(), billable, status: status.clone() },
                Quantity::Journey(Progress::Reached),
                Quantity::Leg(Progress::Failed),
                Quantity::Latency { interval: Interval::FailedFallback, bucket: 57 },
                Quantity::Charge { country: status.clone(), category: word.clone(), charged: Charged::Sent },
            ] {
                let counter = quantity.on(&channel);
                prop_assert_eq!(Counter::parse(&counter.name()), Some(counter));
            }
        }

        #[test]
        fn different_scopes_have_different_series(bot in ".{0,12}", tag in ".{0,12}") {
            let campaign = Scope { campaign: Some(tag.clone()), ..Scope::default() };
            let both = Scope { bot: Some(bot.clone()), tag: Some(tag.clone()), ..Scope::default() };
            let bot = Scope { bot: Some(bot), ..Scope::default() };
            let tag = Scope { tag: Some(tag), ..Scope::default() };
            let series = [&both, &bot, &tag, &campaign, &Scope::default()].map(|scope| scope.series("0"));
            for (i, one) in series.iter().enumerate() {
                prop_assert!(series.iter().skip(i + 1).all(|other| one != other));
            }
        }
    }

    #[test]
    fn quarters_and_markers_are_in_utc() {
        assert_eq!(quarter_of(1_704_876_828_000), "2024-01-10T08:45");
        assert_eq!(quarter_of(-1), "1969-12-31T23:45");
        assert_eq!(quarter_of_day(1_704_876_828_000), 35);
        assert_eq!(began("2024-01-10T08:45"), Some(1_704_876_300_000));
        assert_eq!(began("2024-01-10T08"), Some(1_704_873_600_000));
        assert_eq!(began("2024-01-10"), None);
        let marker = [0xa3, 0xf0, 0, 0, 0, 0, 0, 0x10];
        assert_eq!(
            markers("0", 1_704_876_828_999, marker, 0),
            "0#seen#minute#28414613"
        );
        assert_eq!(markers("0", 1_704_876_828_999, marker, 1), "0#seen#ten#170487682");
        assert_eq!(markers("0", 1_704_876_828_999, marker, 2), "0#seen#1704876828");
        assert_eq!(markers("0", 1_704_876_828_999, marker, 3), "0#seen#1704876828.f");
        assert_eq!(
            markers("0", 1_704_876_828_062, marker, 6),
            "0#seen#1704876828.0#a3f"
        );
    }

    #[test]
    fn ranges_include_items_with_and_without_a_slot() {
        let (first, last) = days("2026-11-20", "2026-11-21");
        for period in [
            day("2026-11-20", 0),
            day("2026-11-21", REBUILD_SLOT),
            page("2026-11-21", 12),
            "day#2026-11-21".into(),
        ] {
            assert!((&first..=&last).contains(&&period), "{period}");
        }
        for period in [
            day("2026-11-19", 9),
            day("2026-11-22", 0),
            "day#2026-11-22".into(),
        ] {
            assert!(!(&first..=&last).contains(&&period), "{period}");
        }
        // From 18:30 to 18:30, a day of India.
        let (first, last) = quarters(1_795_113_000_000, 1_795_199_400_000);
        for period in [
            quarter("2026-11-19T18:30", 0),
            quarter("2026-11-20T18:15", 8),
            "hour#2026-11-19T18".into(),
            "hour#2026-11-20T18#3".into(),
        ] {
            assert!((&first..=&last).contains(&&period), "{period}");
        }
        for period in [quarter("2026-11-19T17:45", 9), quarter("2026-11-20T18:30", 0)] {
            assert!(!(&first..=&last).contains(&&period), "{period}");
        }
    }

    #[test]
    fn phone_numbers_are_redacted_and_short_ids_kept() {
        assert_eq!(word(" 919812345678 "), "*********678");
        assert_eq!(word("682"), "682");
        assert_eq!(word(&word("919812345678")), word("919812345678"));
    }

    #[test]
    fn folding_keeps_listed_words() {
        let status = |channel: &str, status: &str| Quantity::Status(status.into()).on(channel);
        assert_eq!(status("RCS", "template_paused").folded(), status("RCS", "other"));
        assert_eq!(status("RCS", "failed").folded(), status("RCS", "failed"));
        assert_eq!(status("RCS", "failed").names(), None);
        let price = |channel: &str, category: &str| {
            let billing = Quantity::Billing {
                category: category.into(),
                billable: true,
                status: "sent".into(),
            };
            billing.on(channel)
        };
        assert_eq!(price("SMS", "promo").folded(), price("SMS", "other"));
        assert_eq!(price("VIBER", "promo").folded(), price("OTHER", "other"));
    }

    #[test]
    fn other_attributes_are_not_counters() {
        for name in [
            SERIES,
            PERIOD,
            FOLDED,
            UPDATED_AT,
            "bots",
            "s|RCS",
            "x|RCS|sent",
            "j|RCS|sent",
        ] {
            assert_eq!(Counter::parse(name), None, "{name}");
        }
    }
}
