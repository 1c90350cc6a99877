//! What a request asks for: the parts of its path and its query parameters, checked.

use lambda_http::{Request, RequestExt as _};
use percent_encoding::percent_decode_str;
use webhook_ingest::{
    event::{Channel, Status},
    rollup::{self, Scope},
};

use crate::{Refusal, days::Wanted, summary::Range, table::Page};

/// Events on a page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
pub(crate) const LARGEST_PAGE: usize = 200;
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

/// A query parameter that holds something.
pub(crate) fn parameter(request: &Request, name: &str) -> Option<String> {
    let parameters = request.query_string_parameters();
    parameters
        .first(name)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

pub(crate) fn page(request: &Request) -> Result<Page, Refusal> {
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
        limit,
        cursor: parameter(request, "cursor"),
    })
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
            bot: parameter(request, "bot").map(|bot| rollup::word(&bot)),
            tag: parameter(request, "tag").map(|tag| rollup::word(&tag)),
        },
        channel: parameter(request, "channel").map(|word| rollup::word(Channel::from_word(&word).as_str())),
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
