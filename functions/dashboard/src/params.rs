//! The parameters that the paths take, as types.

use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::{
    counters::{self, Scope},
    event::{Channel, Status},
};

use crate::{
    csv,
    days::Wanted,
    extract::{filled, read},
    parts::Page,
    refusal::Refusal,
    sizes::{LARGEST_ANSWER, Room},
    summary::Range,
    timeline,
};

/// Events on a page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// Lines of one part of a CSV table.
const MAX_LINES: usize = 10_000;
/// Rounds of reading for one part of a CSV table, or for a page that has no next one.
const MAX_ROUNDS: usize = 5;
/// Events that a round reads of each of a day's sixteen shards, for a CSV table. A part is made from
/// 20,000 events at most, which are 2,500 read units where an event has 1 KB.
const LINES_OF_SHARD: usize = 250;
/// Days of an overview unless the caller says otherwise, and at most.
const DAYS: i64 = 30;
const MAX_DAYS: i64 = 366;

/// A message in a path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MessageName {
    /// The provider's id, or a `token`. Roles that see no numbers send no id that has a number in it.
    pub(crate) message_id: String,
}

/// A person in a path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Number {
    /// The number; what is no digit is ignored.
    number: String,
}

impl Number {
    /// The digits of the number.
    pub(crate) fn digits(&self) -> Result<String, Refusal> {
        let digits: String = self.number.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            return Err(Refusal::BadRequest("the number holds no digit".into()));
        }
        Ok(digits)
    }
}

/// A dead letter in a path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeadLetterName {
    /// SQS's id of the message, or `letter` of a dead letter in parts.
    pub(crate) id: String,
}

/// Of a path that takes no parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// Of a message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageQuery {
    /// The cursor of the page before. Roles that see no numbers send none.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
}

/// Of a person's events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientQuery {
    /// Events on a page, 1 to 200; default 50.
    #[serde(default, deserialize_with = "read")]
    pub(crate) limit: Limit,
    /// The cursor of the page before.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
    /// `csv` for a part of a table, as of `/api/events`; default `json`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Format")]
    pub(crate) format: Option<Format>,
}

/// Of the events of a day.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayQuery {
    /// UTC, `YYYY-MM-DD`; default today.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Day")]
    day: Option<Day>,
    /// `RCS`, `SMS`, `WHATSAPP` or another word.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) channel: Option<String>,
    /// `sent`, `delivered`, … or another word.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) status: Option<String>,
    /// Events on a page, 1 to 200; default 50.
    #[serde(default, deserialize_with = "read")]
    pub(crate) limit: Limit,
    /// The cursor of the page before. Roles that see no numbers send none.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
    /// `csv` for a part of a table: up to 10,000 lines, made from at most 20,000 events that are read; default
    /// `json`. Where there is more, the header `Link: <…>; rel="next"` leads to the next part, whose lines
    /// continue this one's, and `X-Truncated` is `true`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Format")]
    pub(crate) format: Option<Format>,
}

/// Of an overview.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummaryQuery {
    /// First UTC day; default 29 days before `to`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Day")]
    from: Option<Day>,
    /// Last UTC day; default today. At most 366 days.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Day")]
    to: Option<Day>,
    /// Only this bot's.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) bot: Option<String>,
    /// Only those with this tag.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) tag: Option<String>,
    /// Only this channel's.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) channel: Option<String>,
}

/// Of a look at the dead letters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLettersQuery {
    /// `full` shows bodies with their numbers, to roles that may; default `masked`: with numbers redacted.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Content")]
    pub(crate) content: Option<Content>,
}

/// How much of a body a look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum Content {
    /// With numbers of people redacted.
    #[schemars(rename = "masked")]
    Redacted,
    /// As it came.
    Full,
}

impl TryFrom<String> for Content {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, &'static str> {
        match word.as_str() {
            "masked" => Ok(Self::Redacted),
            "full" => Ok(Self::Full),
            _ => Err("must be masked or full"),
        }
    }
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl TryFrom<String> for Format {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, &'static str> {
        match word.as_str() {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("must be json or csv"),
        }
    }
}

/// Events on a page.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Limit(#[schemars(range(min = 1, max = 200))] usize);

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE)
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|n| (1..=LARGEST_PAGE).contains(n));
        limit
            .map(Self)
            .ok_or_else(|| format!("must be a number from 1 to {LARGEST_PAGE}"))
    }
}

impl Limit {
    /// A page of a list. One that has no next page is filled from more rounds.
    pub(crate) fn page(self, cursor: Option<String>, is_only: bool) -> Page {
        Page {
            room: Room {
                entries: self.0,
                bytes: LARGEST_ANSWER,
            },
            size: timeline::size,
            cursor,
            // A quarter of the page from each of the 16: enough for a page on most days, at a cost of four.
            per_shard: self.0.div_ceil(4),
            rounds: if is_only { MAX_ROUNDS } else { 1 },
            attributes: None,
        }
    }
}

/// A part of a CSV table.
pub(crate) fn lines(cursor: Option<String>) -> Page {
    Page {
        room: Room {
            entries: MAX_LINES,
            bytes: LARGEST_ANSWER,
        },
        size: csv::size,
        cursor,
        per_shard: LINES_OF_SHARD,
        rounds: MAX_ROUNDS,
        attributes: Some(&csv::ATTRIBUTES),
    }
}

/// A UTC day, written `2026-11-21` and in no other way: it is a part of keys.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Day(#[schemars(with = "String")] jiff::civil::Date);

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let day = text.parse::<jiff::civil::Date>().ok();
        day.filter(|day| day.to_string() == text)
            .map(Self)
            .ok_or("must be a day, YYYY-MM-DD")
    }
}

impl Day {
    fn or_today(day: Option<Self>) -> jiff::civil::Date {
        let today = || jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        day.map_or_else(today, |day| day.0)
    }
}

impl DayQuery {
    /// The day, the channel and the status.
    pub(crate) fn wanted(&self) -> Result<Wanted, Refusal> {
        let status = self.status.as_deref().map(Status::from_word).transpose();
        Ok(Wanted {
            day: Day::or_today(self.day).to_string(),
            channel: self
                .channel
                .as_deref()
                .map(|word| Channel::from_word(word).as_str().to_owned()),
            status: status
                .map_err(|_| Refusal::BadRequest("status holds no word".into()))?
                .map(|status| status.as_str().to_owned()),
        })
    }
}

impl SummaryQuery {
    /// The range and what it is narrowed to.
    pub(crate) fn range(&self) -> Result<Range, Refusal> {
        let to = Day::or_today(self.to);
        let back = jiff::Span::new().days(DAYS - 1);
        let from = match self.from {
            Some(from) => from.0,
            None => to.checked_sub(back).unwrap_or(to),
        };
        let days = i64::from((to - from).get_days()) + 1;
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(Refusal::BadRequest(format!(
                "from must not be after to, and the range at most {MAX_DAYS} days"
            )));
        }
        let word = |name: &Option<String>| name.as_deref().map(counters::word);
        Ok(Range {
            from: from.to_string(),
            to: to.to_string(),
            days,
            scope: Scope {
                bot: word(&self.bot),
                tag: word(&self.tag),
            },
            channel: self
                .channel
                .as_deref()
                .map(|word| counters::word(Channel::from_word(word).as_str())),
        })
    }
}
