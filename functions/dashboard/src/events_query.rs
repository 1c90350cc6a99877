//! Parameters of the events of a range, and the list that they name.

use jiff::civil::Date;
use phone_country::Country;
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::{
    counters::{self, NO_COUNTRY},
    event::{Channel, Status},
    facets,
};

use crate::{
    clock::{Clock, Hour, Weekday},
    days::{EventList, MAX_RANGE_MS},
    extract::{OrEmpty, filled, read},
    filter::{BILLABLE, EventFilter},
    merge::{Order, Span},
    params::{Day, Format, Limit, Switch},
    refusal::Refusal,
    zones::{Moment, Zone},
};

/// The most statuses or channels of a list.
const MAX_WORDS: usize = 20;

/// Parameters of the events of a range.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// A day of the time zone, `YYYY-MM-DD`; default today. Instead of `from` and `to`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Day>")]
    day: Option<Day>,
    /// Start of the range: a date, or a time in ISO 8601 with or without an offset; default the start of the day of
    /// `to`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Moment>")]
    from: Option<Moment>,
    /// End of the range: a date, which includes the day, or a time, which is the first one after the range; default
    /// today. At most 366 days.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Moment>")]
    to: Option<Moment>,
    /// Time zone of dates, and of times without an offset: an IANA name, such as `Asia/Kolkata`; default `UTC`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "Zone")]
    tz: Option<Zone>,
    /// `RCS`, `SMS`, `WHATSAPP`, `EMAIL` or another word; several with commas between them, at most 20.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) channel: Option<String>,
    /// `sent`, `delivered`, … or another word; several with commas between them, at most 20. `opened_by_machine` and
    /// `opened_by_person` are parts of `opened`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) status: Option<String>,
    /// Only events of this bot.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) bot: Option<String>,
    /// Only events with this tag.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) tag: Option<String>,
    /// Only events of this campaign.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) campaign: Option<String>,
    /// Only taps on messages of this template, and replies to them.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) template: Option<String>,
    /// Only events of this message type, in any letter case.
    #[serde(rename = "type", default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) message_type: Option<String>,
    /// Only failures with this reason, as in `/api/summary`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) reason: Option<String>,
    /// Only events of numbers of this country: two letters of ISO 3166-1, such as `IN`; `-` for ids without a known
    /// country. Not for roles that see no numbers.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<CountryCode>")]
    pub(crate) country: Option<CountryCode>,
    /// Only events whose price has this category, as in `/api/summary`; `uncategorised` for prices without a category,
    /// `-` also for events without a price.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String")]
    pub(crate) category: Option<String>,
    /// Whether the provider charges, by the price in the event: `true`, `false`, or `unknown` for events without a price;
    /// several with commas between them.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "String", extend("pattern" = "^((true|false|unknown)(,(true|false|unknown))*)?$"))]
    billable: Option<String>,
    /// Only events on this weekday of the time zone: 1 (Monday) to 7.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Weekday>")]
    weekday: Option<Weekday>,
    /// Only events in this hour of the day of the time zone: 0 to 23. Only matching hours are read.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Hour>")]
    hour: Option<Hour>,
    /// `newest` first (default) or `oldest` first.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<OrderWord>")]
    order: Option<OrderWord>,
    /// `true` reads all hours, also those for which the counters show no matching event; default `false`.
    #[serde(default, deserialize_with = "filled")]
    #[schemars(with = "OrEmpty<Switch>")]
    exhaustive: Option<Switch>,
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

/// A country, or none.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline)]
pub(crate) struct CountryCode(
    #[schemars(with = "String", extend("pattern" = "^([A-Za-z]{2}|-)$"))] Option<Country>,
);

impl TryFrom<String> for CountryCode {
    type Error = phone_country::NotACountry;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == NO_COUNTRY {
            return Ok(Self(None));
        }
        text.parse().map(|country| Self(Some(country)))
    }
}

/// Order of a list by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub(crate) enum OrderWord {
    Newest,
    Oldest,
}

impl TryFrom<String> for OrderWord {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, &'static str> {
        match word.as_str() {
            "newest" => Ok(Self::Newest),
            "oldest" => Ok(Self::Oldest),
            _ => Err("must be newest or oldest"),
        }
    }
}

impl EventsQuery {
    /// The list of events, and a name for it as a file.
    pub(crate) fn list(&self) -> Result<(EventList, String), Refusal> {
        let (span, (first, last)) = self.span()?;
        let name = if first == last {
            format!("events-{first}.csv")
        } else {
            format!("events-{first}-{last}.csv")
        };
        let is_named = self.day.is_some() || self.from.is_some() || self.to.is_some();
        let events = EventList {
            span: is_named.then_some(span),
            default_span: span,
            order: match self.order {
                None | Some(OrderWord::Newest) => Order::Newest,
                Some(OrderWord::Oldest) => Order::Oldest,
            },
            filter: self.filter()?,
            clock: Clock {
                weekday: self.weekday,
                hour: self.hour,
                zone: self.tz.clone().unwrap_or_default(),
            },
            is_exhaustive: self.exhaustive == Some(Switch::True),
        };
        Ok((events, name))
    }

    /// The range, and its first and last day.
    fn span(&self) -> Result<(Span, (Date, Date)), Refusal> {
        let zone = self.tz.clone().unwrap_or_default();
        let beyond = || Refusal::BadRequest("the range is beyond the calendar".into());
        if self.day.is_some() && (self.from.is_some() || self.to.is_some()) {
            return Err(Refusal::BadRequest("use day, or from and to, not both".into()));
        }
        let last = match (self.day, self.to) {
            (Some(day), _) => day.date(),
            (None, Some(to)) => to.day(&zone).ok_or_else(beyond)?,
            (None, None) => zone.today(),
        };
        let first = self
            .from
            .map_or(Some(last), |from| from.day(&zone))
            .ok_or_else(beyond)?;
        let from = self
            .from
            .map_or_else(|| zone.start_of(last), |from| from.start(&zone));
        let tomorrow = || zone.start_of(last.tomorrow().ok()?);
        let to = self.to.map_or_else(tomorrow, |to| to.end(&zone));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(beyond());
        };
        let span = Span { from, to: to - 1 };
        if span.from > span.to || span.to - span.from > MAX_RANGE_MS {
            return Err(Refusal::BadRequest(
                "from must be before to, and the range must have at most 366 days".into(),
            ));
        }
        Ok((span, (first, last)))
    }

    fn filter(&self) -> Result<EventFilter, Refusal> {
        let word = |text: &Option<String>| text.as_deref().map(counters::word);
        let channel = |word: &str| Ok(Channel::from_word(word).as_str().to_owned());
        let status = |word: &str| {
            let status = Status::from_word(word);
            status
                .map(|status| status.as_str().to_owned())
                .map_err(|_| Refusal::BadRequest("status has no letters".into()))
        };
        Ok(EventFilter {
            statuses: words("status", self.status.as_deref(), status)?,
            channels: words("channel", self.channel.as_deref(), channel)?,
            bot: word(&self.bot),
            tag: word(&self.tag),
            campaign: word(&self.campaign),
            template: word(&self.template),
            message_type: self
                .message_type
                .as_deref()
                .map(|word| facets::type_of(word).unwrap_or_default()),
            reason: self.reason.as_deref().map(facets::reason_of),
            country: self.country.map(|CountryCode(country)| {
                country.map_or_else(|| NO_COUNTRY.to_owned(), |country| country.to_string())
            }),
            category: word(&self.category),
            billable: words("billable", self.billable.as_deref(), |word| {
                let is_known = BILLABLE.contains(&word);
                let wrong = || {
                    Refusal::BadRequest("billable must be true, false or unknown, or several of them with commas between them".into())
                };
                is_known.then(|| word.to_owned()).ok_or_else(wrong)
            })?,
        })
    }
}

/// The words of a list, sorted, without repetitions.
fn words(
    name: &str,
    list: Option<&str>,
    read: impl Fn(&str) -> Result<String, Refusal>,
) -> Result<Vec<String>, Refusal> {
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    let mut words = list.split(',').map(read).collect::<Result<Vec<String>, _>>()?;
    words.sort();
    words.dedup();
    if words.len() > MAX_WORDS {
        return Err(Refusal::BadRequest(format!(
            "{name} must have at most {MAX_WORDS} words"
        )));
    }
    Ok(words)
}
