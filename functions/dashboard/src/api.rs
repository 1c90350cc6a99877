//! Paths, parameters and status codes of the JSON API.

use http::{HeaderValue, Method, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{Parts, Refusal, table::Page, timeline};

/// Events on a page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;

pub(crate) async fn answer(parts: &Parts, request: &Request) -> Response<Body> {
    let outcome = match *request.method() {
        Method::GET | Method::HEAD => route(parts, request).await,
        _ => Err(Refusal::MethodNotAllowed),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            let status = match &refusal {
                Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
                Refusal::NotFound(_) => StatusCode::NOT_FOUND,
                Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
                Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, json!({ "error": refusal.to_string() }))
        }
    };
    let text = if request.method() == Method::HEAD {
        String::new()
    } else {
        body.to_string()
    };
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Answers hold personal data and change with every webhook.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

async fn route(parts: &Parts, request: &Request) -> Result<Value, Refusal> {
    let path = request.uri().path();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["healthz"] => Ok(json!({"status": "ok"})),
        ["api", "messages", id] => {
            let id = decoded(id)?;
            let events = parts.table.message(&id).await?;
            if events.is_empty() {
                return Err(Refusal::NotFound("no event of this message is stored".into()));
            }
            let linked = parts.table.linked(&events).await?;
            Ok(timeline::message(&id, &events, &linked))
        }
        ["api", "recipients", number] => {
            let number: String = decoded(number)?.chars().filter(char::is_ascii_digit).collect();
            if number.is_empty() {
                return Err(Refusal::BadRequest("the number holds no digit".into()));
            }
            let page = parts.table.recipient(&number, page(request)?).await?;
            Ok(json!({
                "events": page.items.iter().map(timeline::event).collect::<Vec<_>>(),
                "cursor": page.cursor,
            }))
        }
        ["api", "dead-letters"] => parts.queues.look().await,
        _ => Err(Refusal::NotFound("there is nothing at this path".into())),
    }
}

fn decoded(segment: &str) -> Result<String, Refusal> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::BadRequest("the path is not percent-encoded UTF-8".into()))
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
        cursor: parameters.first("cursor").map(str::to_owned),
    })
}
