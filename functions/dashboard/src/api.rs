//! Paths, parameters and status codes.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, request::RequestContext};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webhook_ingest::{
    event::{Channel, Status},
    rollup::{self, Scope},
    time,
};

use crate::{
    Parts, Refusal,
    access::{self, Role},
    answers::{Done, Event, Events, Fault, Health, Session},
    assets, csv,
    days::Wanted,
    hide, openapi,
    summary::Range,
    table::{Page, Part},
    timeline,
};

/// Events on a page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// Rows of a table for a spreadsheet; a function URL's answer takes 6 MB.
const MOST_ROWS: usize = 10_000;
/// Days of an overview unless the caller says otherwise, and at most.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;

/// No script, style or picture but our own, no frame around it, no form to elsewhere: texts of
/// strangers stay texts even if the page had a fault.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// On every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Addresses hold ids, and ids hold numbers of people.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What a path gives.
enum Answer {
    Json(Value),
    /// A file's name and content.
    Csv(String, String),
    /// JSON with a cookie, or nothing but one.
    Cookie(String, Option<Value>),
}

pub(crate) async fn answer(parts: &Parts, request: &Request) -> Response<Body> {
    let is_head = *request.method() == Method::HEAD;
    let asset = (is_head || *request.method() == Method::GET)
        .then(|| assets::answer(request.uri().path(), request.headers()))
        .flatten();
    let mut response = match asset {
        Some(response) => response,
        None => written(route(parts, request).await, parts.sign_in.is_some()),
    };
    if is_head {
        *response.body_mut() = Body::Empty;
    }
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a path asks for, without the id or number it may hold.
pub(crate) fn kind(path: &str) -> &'static str {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        [""] => "/",
        ["assets", ..] => "/assets",
        ["healthz"] => "/healthz",
        ["openapi.json"] => "/openapi.json",
        ["api", "session"] => "/api/session",
        ["api", "messages", _] => "/api/messages/{message_id}",
        ["api", "recipients", _] => "/api/recipients/{number}",
        ["api", "events"] => "/api/events",
        ["api", "summary"] => "/api/summary",
        ["api", "dead-letters"] => "/api/dead-letters",
        ["api", "dead-letters", _, "redrive"] => "/api/dead-letters/{id}/redrive",
        ["api", "dead-letters", _, "discard"] => "/api/dead-letters/{id}/discard",
        _ => "another",
    }
}

async fn route(parts: &Parts, request: &Request) -> Result<Answer, Refusal> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["healthz"] => {
            only_get(request)?;
            return json_of(&Health { status: "ok" });
        }
        ["openapi.json"] => {
            only_get(request)?;
            return Ok(Answer::Json(openapi::document()));
        }
        ["api", "session"] if *request.method() == Method::POST => return sign_in(parts, request).await,
        ["api", "session"] if *request.method() == Method::DELETE => {
            return Ok(Answer::Cookie(access::closed(is_secure(request)), None));
        }
        _ => {}
    }
    let role = role(parts, request).await?;
    match segments.as_slice() {
        ["api", "dead-letters", id, action @ ("redrive" | "discard")] => {
            change(parts, request, role, &decoded(id)?, action).await
        }
        ["api", rest @ ..] => {
            only_get(request)?;
            let answer = read(parts, request, role, rest).await?;
            Ok(match answer {
                Answer::Json(value) if !access::may(role, parts.redrive).see_numbers => {
                    Answer::Json(hide::numbers(value))
                }
                other => other,
            })
        }
        _ => Err(nothing_here()),
    }
}

async fn read(parts: &Parts, request: &Request, role: Role, segments: &[&str]) -> Result<Answer, Refusal> {
    match segments {
        ["session"] => json_of(&session(parts, role)),
        ["messages", id] => {
            let id = decoded(id)?;
            let events = parts.table.message(&id).await?;
            if events.is_empty() {
                return Err(Refusal::NotFound("no event of this message is stored".into()));
            }
            let around = parts.table.around(&id, &events).await?;
            json_of(&timeline::message(&id, &events, &around))
        }
        ["recipients", number] => {
            let number: String = decoded(number)?.chars().filter(char::is_ascii_digit).collect();
            if number.is_empty() {
                return Err(Refusal::BadRequest("the number holds no digit".into()));
            }
            events(parts, request, role, &List::OfNumber(number)).await
        }
        ["events"] => events(parts, request, role, &List::OfDay(wanted(request)?)).await,
        ["summary"] => json_of(&parts.counters.summary(&range(request)?).await?),
        ["dead-letters"] => {
            let full = parameter(request, "content").is_some_and(|content| content == "full");
            if full && !access::may(role, parts.redrive).see_numbers {
                return Err(Refusal::Forbidden("your role sees no content"));
            }
            json_of(&parts.queues.look(!full).await?)
        }
        _ => Err(nothing_here()),
    }
}

/// A list of events.
enum List {
    OfNumber(String),
    OfDay(Wanted),
}

impl List {
    async fn part(&self, parts: &Parts, page: Page) -> Result<Part, Refusal> {
        match self {
            Self::OfNumber(number) => parts.table.recipient(number, page).await,
            Self::OfDay(wanted) => parts.table.day(wanted, page).await,
        }
    }

    /// A name for a file; holds no number.
    fn name(&self) -> String {
        match self {
            Self::OfNumber(_) => "events-of-a-number.csv".to_owned(),
            Self::OfDay(wanted) => format!("events-{}.csv", wanted.day),
        }
    }
}

/// One page of a list, or all of it as a table.
async fn events(parts: &Parts, request: &Request, role: Role, list: &List) -> Result<Answer, Refusal> {
    // A cursor holds ids, and ids hold numbers: who may not see them gets one page.
    let hidden = role == Role::Viewer;
    match parameter(request, "format").as_deref() {
        None | Some("json") => {
            let part = list.part(parts, page(request)?).await?;
            json_of(&Events {
                events: part.items.iter().map(timeline::event).collect(),
                cursor: part.cursor.filter(|_| !hidden),
            })
        }
        Some("csv") => {
            let mut rows: Vec<Event> = Vec::new();
            let mut cursor = None;
            loop {
                let page = Page {
                    limit: LARGEST_PAGE,
                    cursor,
                };
                let part = list.part(parts, page).await?;
                rows.extend(part.items.iter().map(timeline::event));
                cursor = part.cursor;
                if cursor.is_none() || rows.len() >= MOST_ROWS {
                    break;
                }
            }
            rows.truncate(MOST_ROWS);
            if hidden {
                for row in &mut rows {
                    if let Value::Object(fields) = hide::numbers(Value::Object(std::mem::take(&mut row.0))) {
                        row.0 = fields;
                    }
                }
            }
            let table = csv::table(&rows)
                .map_err(|_| Refusal::Unavailable("the table could not be written".into()))?;
            Ok(Answer::Csv(list.name(), table))
        }
        Some(_) => Err(Refusal::BadRequest("format must be json or csv".into())),
    }
}

/// Who is asking.
async fn role(parts: &Parts, request: &Request) -> Result<Role, Refusal> {
    let Some(sign_in) = &parts.sign_in else {
        return Ok(parts.role);
    };
    let now = time::now();
    let policy = sign_in.current(now).await;
    policy.role(request.headers(), now).ok_or(Refusal::SignInFirst)
}

fn session(parts: &Parts, role: Role) -> Session {
    Session {
        role,
        sign_in: parts.sign_in.is_some(),
        may: access::may(role, parts.redrive),
    }
}

async fn sign_in(parts: &Parts, request: &Request) -> Result<Answer, Refusal> {
    #[derive(Deserialize)]
    struct Tried {
        password: String,
    }
    let Some(policy) = &parts.sign_in else {
        return Err(Refusal::BadRequest("this dashboard has no sign-in".into()));
    };
    from_our_page(request)?;
    let Ok(Tried { password }) = serde_json::from_slice(request.body().as_ref()) else {
        return Err(Refusal::BadRequest("send {\"password\":\"…\"} as JSON".into()));
    };
    let now = time::now();
    parts.attempts.count(&address(request), now).await?;
    let opened = policy.current(now).await.open(&password, is_secure(request), now);
    let (role, cookie) = opened.ok_or(Refusal::WrongPassword)?;
    tracing::info!(role = role.as_str(), "signed in");
    let session = serde_json::to_value(session(parts, role)).ok();
    Ok(Answer::Cookie(cookie, session))
}

async fn change(
    parts: &Parts,
    request: &Request,
    role: Role,
    id: &str,
    action: &str,
) -> Result<Answer, Refusal> {
    if *request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed("POST"));
    }
    from_our_page(request)?;
    let may = access::may(role, parts.redrive);
    if !may.redrive || !may.discard {
        return Err(Refusal::Forbidden(
            "your role or this function may not change the queues",
        ));
    }
    let mut done = BTreeMap::new();
    if action == "redrive" {
        parts.queues.redrive(id).await?;
        done.insert("redriven", json!(1));
    } else {
        done.insert("letter", parts.queues.discard(id).await?);
        done.insert("discarded", json!(1));
    }
    tracing::info!(
        action,
        role = role.as_str(),
        sqs_message_id = id,
        "a dead letter was taken out"
    );
    json_of(&Done(done))
}

/// Another site can make a browser post a form here, but neither JSON nor without saying where from.
fn from_our_page(request: &Request) -> Result<(), Refusal> {
    let text = |name: &HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok());
    let is_json = text(&header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return Err(Refusal::BadRequest("send application/json".into()));
    }
    let host = text(&header::HOST).unwrap_or_default();
    let foreign =
        text(&header::ORIGIN).is_some_and(|origin| origin.split_once("://").map(|(_, h)| h) != Some(host));
    if foreign {
        return Err(Refusal::Forbidden("this comes from another site"));
    }
    Ok(())
}

/// The address that the platform saw, never a header a caller can set.
fn address(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

fn is_secure(request: &Request) -> bool {
    request
        .headers()
        .get("x-forwarded-proto")
        .is_some_and(|protocol| protocol.as_bytes() == b"https")
}

fn only_get(request: &Request) -> Result<(), Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::MethodNotAllowed("GET, HEAD")),
    }
}

fn nothing_here() -> Refusal {
    Refusal::NotFound("there is nothing at this path".into())
}

fn decoded(segment: &str) -> Result<String, Refusal> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::BadRequest("the path is not percent-encoded UTF-8".into()))
}

/// A query parameter that holds something.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let parameters = request.query_string_parameters();
    parameters
        .first(name)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn page(request: &Request) -> Result<Page, Refusal> {
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

fn wanted(request: &Request) -> Result<Wanted, Refusal> {
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

fn range(request: &Request) -> Result<Range, Refusal> {
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
        channel: parameter(request, "channel").map(|word| Channel::from_word(&word).as_str().to_owned()),
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

fn json_of(answer: &impl Serialize) -> Result<Answer, Refusal> {
    // Answers are plain data, which always is JSON.
    serde_json::to_value(answer)
        .map(Answer::Json)
        .map_err(|_| Refusal::Unavailable("the answer could not be written".into()))
}

fn written(outcome: Result<Answer, Refusal>, sign_in: bool) -> Response<Body> {
    let mut headers = HeaderMap::new();
    // Answers hold personal data and change with every webhook.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (status, body) = match outcome {
        Ok(Answer::Json(value)) => (StatusCode::OK, value.to_string()),
        Ok(Answer::Csv(name, table)) => {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/csv; charset=utf-8"),
            );
            insert(
                &mut headers,
                header::CONTENT_DISPOSITION,
                &format!("attachment; filename=\"{name}\""),
            );
            (StatusCode::OK, table)
        }
        Ok(Answer::Cookie(cookie, value)) => {
            insert(&mut headers, header::SET_COOKIE, &cookie);
            match value {
                Some(value) => (StatusCode::OK, value.to_string()),
                None => (StatusCode::NO_CONTENT, String::new()),
            }
        }
        Err(refusal) => {
            match &refusal {
                Refusal::MethodNotAllowed(allowed) => insert(&mut headers, header::ALLOW, allowed),
                Refusal::TooManyTries(seconds) => {
                    insert(&mut headers, header::RETRY_AFTER, &seconds.to_string());
                }
                _ => {}
            }
            let fault = Fault {
                error: refusal.to_string(),
                sign_in: sign_in && matches!(refusal, Refusal::SignInFirst),
            };
            (status_of(&refusal), json!(fault).to_string())
        }
    };
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Nothing of a stranger goes into these values.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
        Refusal::SignInFirst | Refusal::WrongPassword => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::TooManyTries(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
