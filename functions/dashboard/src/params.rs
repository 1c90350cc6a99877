//! What a request asks for: the parts of its path and its query parameters, checked.

use lambda_http::{Request, RequestExt as _};
use percent_encoding::percent_decode_str;
use webhook_ingest::{
    counters::{self, Scope},
    event::{Channel, Status},
};

use crate::{
    Refusal, csv,
    days::Wanted,
    sizes::{LARGEST_ANSWER, Room},
    summary::Range,
    table::Page,
    timeline,
};

/// Events on a page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// Lines of one part of a CSV table.
const MOST_LINES: usize = 10_000;
/// Rounds of reading for one part of a CSV table, or for a page that has no next one.
const MOST_ROUNDS: usize = 5;
/// Events that a round reads of each of a day's sixteen shards, for a CSV table. A part is made from
/// 20,000 events at most, which are 2,500 read units where an event has 1 KB.
const LINES_OF_SHARD: usize = 250;
/// Days of an overview unless the caller says otherwise, and at most.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;

/// A part of a path.
pub(crate) fn decoded(segment: &str) -> Result<String, Refusal> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::BadRequest("the path is not percent-encoded UTF-8".into()))
}

/// Refuses parameters that are not among these.
pub(crate) fn only(request: &Request, known: &[&str]) -> Result<(), Refusal> {
    let parameters = request.query_string_parameters();
    if parameters.iter().all(|(name, _)| known.contains(&name)) {
        return Ok(());
    }
    // Its name is not repeated: it could be anything.
    Err(Refusal::BadRequest(match known {
        [] => "this path takes no parameters".to_owned(),
        known => format!("an unknown parameter; this path takes {}", known.join(", ")),
    }))
}

/// A query parameter that holds something.
pub(crate) fn parameter(request: &Request, name: &str) -> Option<String> {
    let parameters = request.query_string_parameters();
    parameters
        .first(name)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

/// A page of a list. One that has no next page is filled from more rounds.
pub(crate) fn page(request: &Request, is_only: bool) -> Result<Page, Refusal> {
    let parameters = request.query_string_parameters();
    let limit = match parameters.first("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=LARGEST_PAGE).contains(n))
            .ok_or_else(|| Refusal::BadRequest(format!("limit must be a number from 1 to {LARGEST_PAGE}")))?,
    };
    Ok(Page {
        room: Room {
            entries: limit,
            bytes: LARGEST_ANSWER,
        },
        size: timeline::size,
        cursor: parameter(request, "cursor"),
        // A quarter of the page from each of the 16: enough for a page on most days, at a cost of four.
        per_shard: limit.div_ceil(4),
        rounds: if is_only { MOST_ROUNDS } else { 1 },
        attributes: None,
    })
}

/// A part of a CSV table.
pub(crate) fn lines(request: &Request) -> Page {
    Page {
        room: Room {
            entries: MOST_LINES,
            bytes: LARGEST_ANSWER,
        },
        size: csv::size,
        cursor: parameter(request, "cursor"),
        per_shard: LINES_OF_SHARD,
        rounds: MOST_ROUNDS,
        attributes: Some(&csv::ATTRIBUTES),
    }
}

pub(crate) fn wanted(request: &Request) -> Result<Wanted, Refusal> {
    let status = parameter(request, "status");
    Ok(Wanted {
        day: day(request, "day")?.unwrap_or_else(today).to_string(),
        channel: parameter(request, "channel").map(|word| Channel::from_word(&word).as_str().to_owned()),
        status: status
            .map(|word| Status::from_word(&word).map(|status| status.as_str().to_owned()))
            .transpose()
            .map_err(|_| Refusal::BadRequest("status holds no word".into()))?,
    })
}

pub(crate) fn range(request: &Request) -> Result<Range, Refusal> {
    let to = day(request, "to")?.unwrap_or_else(today);
    let back = jiff::Span::new().days(DAYS - 1);
    let from = match day(request, "from")? {
        Some(from) => from,
        None => to.checked_sub(back).unwrap_or(to),
    };
    let days = i64::from((to - from).get_days()) + 1;
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Refusal::BadRequest(format!(
            "from must not be after to, and the range at most {MOST_DAYS} days"
        )));
    }
    Ok(Range {
        from: from.to_string(),
        to: to.to_string(),
        days,
        scope: Scope {
            bot: parameter(request, "bot").map(|bot| counters::word(&bot)),
            tag: parameter(request, "tag").map(|tag| counters::word(&tag)),
        },
        channel: parameter(request, "channel").map(|word| counters::word(Channel::from_word(&word).as_str())),
    })
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn day(request: &Request, name: &str) -> Result<Option<jiff::civil::Date>, Refusal> {
    let Some(text) = parameter(request, name) else {
        return Ok(None);
    };
    // Only this spelling: it is a part of keys.
    let day = text
        .parse::<jiff::civil::Date>()
        .ok()
        .filter(|day| day.to_string() == text);
    day.map(Some)
        .ok_or_else(|| Refusal::BadRequest(format!("{name} must be a day, YYYY-MM-DD")))
}
