//! Paths, parameters and status codes.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use lambda_http::{Body, Request};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Parts, Refusal,
    access::{self, Role},
    answers::{Done, Event, Events, Fault, Health},
    assets, csv,
    days::Wanted,
    door, hide, openapi,
    params::{LARGEST_PAGE, decoded, page, parameter, range, wanted},
    table::{Page, Part},
    timeline,
};

/// Rows of a table for a spreadsheet; a function URL's answer takes 6 MB.
const MOST_ROWS: usize = 10_000;

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
        ["api", "session"] if *request.method() == Method::POST => {
            let (cookie, session) = door::sign_in(parts, request).await?;
            return Ok(Answer::Cookie(cookie, serde_json::to_value(session).ok()));
        }
        ["api", "session"] if *request.method() == Method::DELETE => {
            return Ok(Answer::Cookie(access::closed(door::is_secure(request)), None));
        }
        _ => {}
    }
    let role = door::role(parts, request).await?;
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
        ["session"] => json_of(&door::session(parts, role)),
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
    door::from_our_page(request)?;
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

fn nothing_here() -> Refusal {
    Refusal::NotFound("there is nothing at this path".into())
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
