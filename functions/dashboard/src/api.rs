//! Paths, parameters and status codes.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Parts, Refusal,
    access::{self, Role},
    answers::{Done, Event, Events, Fault, Health},
    assets,
    bounds::bounded,
    csv,
    days::Wanted,
    openapi,
    params::{decoded, lines, only, page, parameter, range, wanted},
    redaction::{self, ForViewer, Viewer},
    sign_in::{self, Caller},
    sizes::{self, LARGEST_BODY},
    table::{Page, Part},
    timeline, tokens,
};

/// Says of a table that there is more, where no `Link` leads to it.
const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");
/// What a parameter in a link keeps as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// No script, style or picture but our own, no frame around it, no form to elsewhere: texts of
/// providers stay texts even if the page had a fault.
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
    Csv(Table),
    /// JSON with a cookie, or nothing but one.
    Cookie(String, Option<Value>),
}

/// A part of a table for a spreadsheet.
struct Table {
    /// Of the file.
    name: String,
    lines: String,
    /// Where the next part is.
    next: Option<String>,
    /// Whether there is a next part.
    truncated: bool,
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
        ["api", "session"] if *request.method() == Method::POST => {
            let (cookie, session) = sign_in::sign_in(parts, request).await?;
            return Ok(Answer::Cookie(cookie, serde_json::to_value(session).ok()));
        }
        ["api", "session"] if *request.method() == Method::DELETE => {
            return Ok(Answer::Cookie(sign_in::sign_out(parts, request).await?, None));
        }
        _ => {}
    }
    let caller = sign_in::caller(parts, request).await?;
    match segments.as_slice() {
        ["api", "dead-letters", id, action @ ("redrive" | "discard")] => {
            change(parts, request, caller.role, &decoded(id)?, action).await
        }
        ["api", rest @ ..] => {
            only_get(request)?;
            read(parts, request, caller, rest).await
        }
        _ => Err(nothing_here()),
    }
}

async fn read(
    parts: &Parts,
    request: &Request,
    caller: Caller,
    segments: &[&str],
) -> Result<Answer, Refusal> {
    let Caller { role, seal } = caller;
    let seal = seal.as_ref();
    let viewer = (!access::may(role, parts.redrive).see_numbers).then_some(Viewer { seal });
    let viewer = viewer.as_ref();
    match segments {
        ["session"] => {
            only(request, &[])?;
            json_of(&sign_in::session(parts, role))
        }
        ["messages", name] => {
            only(request, &["cursor"])?;
            let name = decoded(name)?;
            let id = match seal.and_then(|seal| seal.open(&name)) {
                Some(id) => id,
                None if viewer.is_some() && tokens::is_token(&name) => return Err(no_event()),
                None if viewer.is_some() && redaction::holds_number(&name) => {
                    return Err(Refusal::Forbidden(
                        "your role opens a message by its token: an id with a number in it would confirm the number",
                    ));
                }
                None => name,
            };
            let cursor = cursor(request, viewer)?;
            let read = parts.table.message(&id, cursor.as_deref()).await?;
            if read.items.is_empty() {
                return Err(no_event());
            }
            let around = parts.table.around(&id, &read.items).await?;
            told(timeline::message(&id, &read, &around), viewer)
        }
        ["recipients", number] => {
            only(request, &["limit", "cursor", "format"])?;
            if viewer.is_some() {
                return Err(Refusal::Forbidden("your role cannot look up numbers"));
            }
            let number: String = decoded(number)?.chars().filter(char::is_ascii_digit).collect();
            if number.is_empty() {
                return Err(Refusal::BadRequest("the number holds no digit".into()));
            }
            events(parts, request, None, &List::OfNumber(number)).await
        }
        ["events"] => {
            only(
                request,
                &["day", "channel", "status", "limit", "cursor", "format"],
            )?;
            no_number(request, viewer, &["channel", "status"])?;
            events(parts, request, viewer, &List::OfDay(wanted(request)?)).await
        }
        ["summary"] => {
            only(request, &["from", "to", "bot", "tag", "channel"])?;
            no_number(request, viewer, &["bot", "tag", "channel"])?;
            let summary = parts.counters.summary(&range(request)?).await?;
            told(bounded(summary), viewer)
        }
        ["dead-letters"] => {
            only(request, &["content"])?;
            let full = parameter(request, "content").is_some_and(|content| content == "full");
            if full && viewer.is_some() {
                return Err(Refusal::Forbidden("your role sees no content"));
            }
            told(parts.queues.look(!full).await?, viewer)
        }
        _ => Err(nothing_here()),
    }
}

/// The cursor of a request, which a viewer may not send: made by hand, it would find numbers.
fn cursor(request: &Request, viewer: Option<&Viewer<'_>>) -> Result<Option<String>, Refusal> {
    if viewer.is_some() && request.query_string_parameters().first("cursor").is_some() {
        return Err(Refusal::Forbidden(
            "your role sends no cursor: lists end with their first page",
        ));
    }
    Ok(parameter(request, "cursor"))
}

/// Refuses a viewer's search for a number in one of these parameters.
fn no_number(request: &Request, viewer: Option<&Viewer<'_>>, names: &[&str]) -> Result<(), Refusal> {
    let has_number =
        |name: &&str| parameter(request, name).is_some_and(|searched| redaction::holds_number(&searched));
    if viewer.is_some() && names.iter().any(has_number) {
        return Err(Refusal::Forbidden("your role cannot search for numbers"));
    }
    Ok(())
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

/// One page of a list, or a part of it as a table.
async fn events(
    parts: &Parts,
    request: &Request,
    viewer: Option<&Viewer<'_>>,
    list: &List,
) -> Result<Answer, Refusal> {
    cursor(request, viewer)?;
    match parameter(request, "format").as_deref() {
        None | Some("json") => {
            let part = list.part(parts, page(request, viewer.is_some())?).await?;
            told(answer_of(part), viewer)
        }
        Some("csv") => {
            let page = lines(request);
            let is_first = page.cursor.is_none();
            let part = answer_of(list.part(parts, page).await?);
            let truncated = part.cursor.is_some();
            let part = match viewer {
                Some(viewer) => part.for_viewer(viewer),
                None => part,
            };
            let lines = csv::table(&part.events, is_first)
                .map_err(|_| Refusal::Unavailable("the table could not be written".into()))?;
            Ok(Answer::Csv(Table {
                name: list.name(),
                lines,
                next: part.cursor.map(|cursor| next_part(request, &cursor)),
                truncated,
            }))
        }
        Some(_) => Err(Refusal::BadRequest("format must be json or csv".into())),
    }
}

fn answer_of(part: Part) -> Events {
    Events {
        events: part.items.iter().map(timeline::event).collect::<Vec<Event>>(),
        cursor: part.cursor,
        truncated: false,
    }
}

/// The same question for the part after this one, relative to its address.
fn next_part(request: &Request, cursor: &str) -> String {
    let parameters = request.query_string_parameters();
    let others = parameters.iter().filter(|(name, _)| *name != "cursor");
    let pairs: Vec<String> = others
        .chain([("cursor", cursor)])
        .map(|(name, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(name, PLAIN),
                utf8_percent_encode(value, PLAIN)
            )
        })
        .collect();
    format!("?{}", pairs.join("&"))
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
    sign_in::from_our_page(request)?;
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

fn only_get(request: &Request) -> Result<(), Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::MethodNotAllowed("GET, HEAD")),
    }
}

fn no_event() -> Refusal {
    Refusal::NotFound("no event of this message is stored".into())
}

fn nothing_here() -> Refusal {
    Refusal::NotFound("there is nothing at this path".into())
}

fn json_of(answer: &impl Serialize) -> Result<Answer, Refusal> {
    // Answers are plain data, which always is JSON.
    serde_json::to_value(answer)
        .map(Answer::Json)
        .map_err(|_| Refusal::Unavailable("the answer could not be written".into()))
}

/// An answer as its reader may see it. The only way out for what was read.
fn told<A: Serialize + ForViewer>(answer: A, viewer: Option<&Viewer<'_>>) -> Result<Answer, Refusal> {
    match viewer {
        Some(viewer) => json_of(&answer.for_viewer(viewer)),
        None => json_of(&answer),
    }
}

fn written(outcome: Result<Answer, Refusal>, sign_in: bool) -> Response<Body> {
    let mut headers = HeaderMap::new();
    // Answers hold personal data and change with every webhook.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (status, body) = match outcome {
        Ok(Answer::Json(value)) => (StatusCode::OK, value.to_string()),
        Ok(Answer::Csv(table)) => {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/csv; charset=utf-8"),
            );
            insert(
                &mut headers,
                header::CONTENT_DISPOSITION,
                &format!("attachment; filename=\"{}\"", table.name),
            );
            if let Some(next) = &table.next {
                insert(&mut headers, header::LINK, &format!("<{next}>; rel=\"next\""));
            }
            if table.truncated {
                headers.insert(X_TRUNCATED, HeaderValue::from_static("true"));
            }
            (StatusCode::OK, table.lines)
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
    let (status, body) = if sizes::delivered(&body) > LARGEST_BODY {
        // No answer should come here: each has a bound. Lambda would answer 502 without a reason.
        tracing::error!(
            bytes = body.len(),
            "an answer is larger than a function can deliver"
        );
        let error = "the answer is larger than a function can deliver; ask for less at once".to_owned();
        let fault = Fault {
            error,
            sign_in: false,
        };
        (StatusCode::BAD_REQUEST, json!(fault).to_string())
    } else {
        (status, body)
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
