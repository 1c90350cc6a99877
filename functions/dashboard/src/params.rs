//! Types of the parameters.

use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::{
    counters::{self, Scope},
    event::{Channel, Status, person},
};

use crate::{
    csv,
    days::DayFilter,
    extract::{OrEmpty, filled, read},
    pages::PageRequest,
    refusal::Refusal,
    sizes::{MAX_RESPONSE_BYTES, SizeBudget},
    summary::{MAX_ZONE_DAYS, Range, days},
    timeline,
};

/// Default and maximum number of events on a page.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;
/// Maximum lines of a CSV response.
const MAX_LINES: usize = 10_000;
/// Maximum rounds for a CSV response, or for a list that has only one page.
const MAX_ROUNDS: usize = 5;
/// Events that a round reads from each of a day's sixteen shards for CSV. A response reads at most 20,000
/// events, which take 2,500 read units if an event has 1 KB.
const LINES_OF_SHARD: usize = 250;
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

/// Parameters of the events of a day.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayQuery {
    /// UTC, `YYYY-MM-DD`; default today.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Day>")]
    day: Option<Day>,
    /// `RCS`, `SMS`, `WHATSAPP`, `EMAIL` or another word.
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
    /// The cursor of the previous page. Not for roles that see no numbers.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) cursor: Option<String>,
    /// `csv` for up to 10,000 CSV lines, from at most 20,000 events that are read; default `json`. If there
    /// are more, the header `Link: <…>; rel="next"` has the URL of the next lines, and `X-Truncated` is
    /// `true`.
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

/// A time zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone(pub(crate) jiff::tz::TimeZone);

impl TryFrom<String> for Zone {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self(jiff::tz::TimeZone::UTC));
        }
        jiff::tz::TimeZone::get(&name)
            .map(Self)
            .map_err(|_| "must be the IANA name of a time zone, such as Asia/Kolkata")
    }
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
    /// A page of a list. If it is the only page, more rounds are allowed to fill it.
    pub(crate) fn page(self, cursor: Option<String>, is_only: bool) -> PageRequest {
        PageRequest {
            budget: SizeBudget {
                entries: self.0,
                bytes: MAX_RESPONSE_BYTES,
            },
            size: timeline::size,
            cursor,
            // A quarter of the page from each of the 16 shards: on most days one round fills the page, and it
            // reads four pages of events.
            per_shard: self.0.div_ceil(4),
            rounds: if is_only { MAX_ROUNDS } else { 1 },
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
        per_shard: LINES_OF_SHARD,
        rounds: MAX_ROUNDS,
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
    fn or_today(day: Option<Self>) -> jiff::civil::Date {
        Self::or_today_in(day, &jiff::tz::TimeZone::UTC)
    }

    fn or_today_in(day: Option<Self>, zone: &jiff::tz::TimeZone) -> jiff::civil::Date {
        let today = || jiff::Timestamp::now().to_zoned(zone.clone()).date();
        day.map_or_else(today, |day| day.0)
    }
}

impl DayQuery {
    /// The day, the channel and the status.
    pub(crate) fn wanted(&self) -> Result<DayFilter, Refusal> {
        let status = self.status.as_deref().map(Status::from_word).transpose();
        Ok(DayFilter {
            day: Day::or_today(self.day).to_string(),
            channel: self
                .channel
                .as_deref()
                .map(|word| Channel::from_word(word).as_str().to_owned()),
            status: status
                .map_err(|_| Refusal::BadRequest("status has no letters".into()))?
                .map(|status| status.as_str().to_owned()),
        })
    }
}

impl SummaryQuery {
    /// Whether the range before is wanted.
    pub(crate) fn compares(&self) -> bool {
        self.compare == Some(Switch::True)
    }

    /// The range and its filters.
    pub(crate) fn range(&self) -> Result<Range, Refusal> {
        let zone = self.tz.clone().map_or(jiff::tz::TimeZone::UTC, |zone| zone.0);
        let to = Day::or_today_in(self.to, &zone);
        let back = jiff::Span::new().days(DAYS - 1);
        let from = match self.from {
            Some(from) => from.0,
            None => to.checked_sub(back).unwrap_or(to),
        };
        let most = if zone == jiff::tz::TimeZone::UTC {
            MAX_DAYS
        } else {
            MAX_ZONE_DAYS
        };
        if !(1..=most).contains(&days(from, to)) {
            return Err(Refusal::BadRequest(format!(
                "from must not be after to, and the range at most {MAX_DAYS} days, or {MAX_ZONE_DAYS} in a time zone \
                 other than UTC"
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
        })
    }
}
