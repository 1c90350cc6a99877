//! Types of the parameters.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::{
    counters::{self, Scope},
    event::{Channel, person},
};

use crate::{
    csv,
    extract::{OrEmpty, filled, read},
    merge::ReadLimits,
    pages::PageRequest,
    refusal::Refusal,
    sizes::{MAX_RESPONSE_BYTES, SizeBudget},
    summary::{MAX_ZONE_DAYS, Range, days},
    timeline,
    zones::Zone,
};

/// Default and maximum number of events on a page.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;
/// Maximum lines of a CSV response.
const MAX_LINES: usize = 10_000;
/// Limits for reading a page. A list continues with its cursor. 1,000 queries read the empty shards of 16 days; 20,000
/// entries take some 400 read units, and an item of 1 KB takes one.
const PAGE_LIMITS: ReadLimits = ReadLimits {
    queries: 1_000,
    entries: 20_000,
    items: 2_000,
    duration: Duration::from_secs(8),
};
/// Limits for reading CSV lines.
const TABLE_LIMITS: ReadLimits = ReadLimits {
    queries: 2_000,
    entries: 20_000,
    items: 20_000,
    duration: Duration::from_secs(10),
};
/// Default and maximum number of days of an overview.
const DAYS: i64 = 30;
const MAX_DAYS: i64 = 366;

/// Path parameter: a message.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MessageName {
    /// The provider's id, or a `token`. Roles that see no numbers cannot use an id that contains a number.
    pub(crate) message_id: String,
}

/// Path parameter: a person.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Number {
    /// A number, in which other characters than digits are ignored; `whatsapp:<user id>`; `mailto:<address>`; or only
    /// the user id or address.
    // Some further spellings of addresses are accepted.
    #[schemars(regex(
        pattern = r"^([^:@]*[0-9][^:@]*|(whatsapp:)?[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}|(mailto:)?[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*)$"
    ))]
    number: String,
}

impl Number {
    /// The id of the person as stored.
    pub(crate) fn id(&self) -> Result<String, Refusal> {
        if let Some(id) = person::parse(&self.number) {
            return Ok(id);
        }
        let digits: String = self.number.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() || self.number.contains([':', '@']) {
            return Err(Refusal::BadRequest(
                "this is not a number, an e-mail address or a WhatsApp user id".into(),
            ));
        }
        Ok(digits)
    }
}

/// Path parameter: a dead letter.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeadLetterName {
    /// SQS's id of the message, or `letter` for a dead letter in parts.
    pub(crate) id: String,
}

/// Parameters of a path without parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// Parameters of a message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageQuery {
    /// The cursor of the previous page. Not for roles that see no numbers.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
}

/// Parameters of a person's events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientQuery {
    /// Events on a page, 1 to 200; default 50.
    #[serde(default, deserialize_with = "read")]
    pub(crate) limit: Limit,
    /// The cursor of the previous page.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
    /// `csv` for CSV lines, as for `/api/events`; default `json`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Format>")]
    pub(crate) format: Option<Format>,
}

/// Parameters of an overview. `bot` and `tag` combine; `campaign`, `template` and `country` combine with no other
/// filter but `channel`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummaryQuery {
    /// First day; default 29 days before `to`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Day>")]
    from: Option<Day>,
    /// Last day; default today. At most 366 days, or 92 with a time zone other than UTC.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Day>")]
    to: Option<Day>,
    /// Only events of this bot.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) bot: Option<String>,
    /// Only events with this tag.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) tag: Option<String>,
    /// Only events of this channel.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) channel: Option<String>,
    /// Only events of this campaign.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) campaign: Option<String>,
    /// Only events of this template.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) template: Option<String>,
    /// Only events of people in this country, ISO 3166-1 alpha-2.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) country: Option<String>,
    /// The time zone of days and hours, an IANA name such as `Asia/Kolkata`; default `UTC`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) tz: Option<Zone>,
    /// `true` adds the equally long range before; default `false`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Switch>")]
    compare: Option<Switch>,
    /// `false` leaves `hours` out; default `true`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Switch>")]
    hours: Option<Switch>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum Switch {
    True,
    False,
}

impl TryFrom<String> for Switch {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, &'static str> {
        match word.as_str() {
            "true" => Ok(Self::True),
            "false" => Ok(Self::False),
            _ => Err("must be true or false"),
        }
    }
}

/// Parameters of the dead letters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLettersQuery {
    /// `full` shows payloads unchanged, for roles that see numbers; default `masked`: with redacted numbers.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Content>")]
    pub(crate) content: Option<Content>,
}

/// Content of payloads in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum Content {
    /// With redacted phone numbers.
    #[schemars(rename = "masked")]
    Redacted,
    /// Unchanged.
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

/// Format of a list.
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

/// Maximum events on a page.
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
        let limit = text.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n));
        limit
            .map(Self)
            .ok_or_else(|| format!("must be a number from 1 to {MAX_PAGE}"))
    }
}

impl Limit {
    /// A page of a list.
    pub(crate) fn page(self, cursor: Option<String>) -> PageRequest {
        PageRequest {
            budget: SizeBudget {
                entries: self.0,
                bytes: MAX_RESPONSE_BYTES,
            },
            size: timeline::size,
            cursor,
            limits: PAGE_LIMITS,
            attributes: None,
        }
    }
}

/// A page of CSV lines.
pub(crate) fn lines(cursor: Option<String>) -> PageRequest {
    PageRequest {
        budget: SizeBudget {
            entries: MAX_LINES,
            bytes: MAX_RESPONSE_BYTES,
        },
        size: csv::size,
        cursor,
        limits: TABLE_LIMITS,
        attributes: Some(&csv::ATTRIBUTES),
    }
}

/// A UTC day. Only the format `2026-11-21` is accepted, because it is a part of keys.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Day(#[schemars(with = "String", extend("format" = "date"))] jiff::civil::Date);

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
    /// The date.
    pub(crate) fn date(self) -> jiff::civil::Date {
        self.0
    }
}

impl SummaryQuery {
    /// Whether the range before is wanted.
    pub(crate) fn compares(&self) -> bool {
        self.compare == Some(Switch::True)
    }

    /// The range and its filters.
    pub(crate) fn range(&self) -> Result<Range, Refusal> {
        let zone = self.tz.clone().unwrap_or_default();
        let to = self.to.map_or_else(|| zone.today(), Day::date);
        let back = jiff::Span::new().days(DAYS - 1);
        let from = match self.from {
            Some(from) => from.date(),
            None => to.checked_sub(back).unwrap_or(to),
        };
        let most = if zone.is_utc() { MAX_DAYS } else { MAX_ZONE_DAYS };
        if !(1..=most).contains(&days(from, to)) {
            return Err(Refusal::BadRequest(format!(
                "from must not be after to, and the range must have at most {MAX_DAYS} days in UTC, or \
                 {MAX_ZONE_DAYS} in other time zones"
            )));
        }
        let word = |name: &Option<String>| name.as_deref().map(counters::word);
        let scope = Scope {
            bot: word(&self.bot),
            tag: word(&self.tag),
            campaign: word(&self.campaign),
            template: word(&self.template),
            country: word(&self.country).map(|country| country.to_uppercase()),
        };
        if !scope.is_counted() {
            return Err(Refusal::BadRequest(
                "these filters do not combine: use bot and tag, or campaign, or template, or country".into(),
            ));
        }
        Ok(Range {
            from,
            to,
            zone,
            scope,
            channel: self
                .channel
                .as_deref()
                .map(|word| counters::word(Channel::from_word(word).as_str())),
            hours: self.hours != Some(Switch::False),
            heat: true,
        })
    }
}
