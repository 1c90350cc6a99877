//! Connects the router to Lambda, and adds the headers that all responses have.

use axum::{body::to_bytes, extract::MatchedPath, response::IntoResponse as _};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use lambda_http::{Body, Request, Service as _};

use crate::{
    Dashboard,
    refusal::Refusal,
    sizes::{self, MAX_RESPONSE_BODY_BYTES},
};

/// Only the page's own scripts, styles and images, no frames, no forms to other sites: content from
/// providers is never executed, even if the page has a bug.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of every response.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // URLs contain ids, and ids contain phone numbers.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The response to a request, and the route that it matched, for the log: a route contains no id and no number.
pub(crate) async fn answer(dashboard: &Dashboard, mut request: Request) -> (Response<Body>, String) {
    let is_head = *request.method() == Method::HEAD;
    without_trailing_slash(request.uri_mut());
    // Infallible, and always ready.
    let Ok(response) = dashboard.router.clone().call(request).await;
    let path = response.extensions().get::<MatchedPath>();
    let path = path.map_or("another", MatchedPath::as_str).to_owned();
    let mut response = delivered(response).await;
    if is_head {
        *response.body_mut() = Body::Empty;
    }
    let headers = response.headers_mut();
    // Lambda sets this header.
    headers.remove(header::CONTENT_LENGTH);
    // Responses contain personal data and change with every webhook. The page's files set their own value.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Some(allowed) = headers.get(header::ALLOW).and_then(|value| value.to_str().ok()) {
        let spaced = allowed
            .split(',')
            .map(str::trim)
            .collect::<Vec<&str>>()
            .join(", ");
        if let Ok(value) = HeaderValue::from_str(&spaced) {
            headers.insert(header::ALLOW, value);
        }
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (response, path)
}

/// Removes trailing slashes, which a proxy may add.
fn without_trailing_slash(uri: &mut Uri) {
    let path = uri.path();
    let shorter = format!("/{}", path.trim_matches('/'));
    if shorter == path {
        return;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(address) = format!("{shorter}{query}").parse() {
        *uri = address;
    }
}

/// A response with a complete body that is not larger than Lambda's limit.
async fn delivered(response: axum::response::Response) -> Response<Body> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // Lambda delivers bytes that are not text in base64, with four characters for three bytes.
    let (body, size) = match String::from_utf8(body.into()) {
        Ok(text) => {
            let size = sizes::delivered(&text);
            (Body::Text(text), size)
        }
        Err(bytes) => {
            let bytes = bytes.into_bytes();
            let size = bytes.len().div_ceil(3) * 4;
            (Body::Binary(bytes), size)
        }
    };
    if size <= MAX_RESPONSE_BODY_BYTES {
        return Response::from_parts(head, body);
    }
    // Unexpected, because every response has a limit. Without this check, Lambda would answer 502.
    tracing::error!(bytes = size, "a response is larger than Lambda's limit");
    let error = "the response is too large; request less data at once";
    let (head, body) = Refusal::BadRequest(error.into()).into_response().into_parts();
    let body = to_bytes(body, MAX_RESPONSE_BODY_BYTES).await.unwrap_or_default();
    debug_assert_eq!(head.status, StatusCode::BAD_REQUEST);
    Response::from_parts(head, Body::Binary(body.into()))
}
