//! Access control of the embedded servers: only callers with the key of the running instance are
//! accepted. A page in a browser can send requests to every port of its machine. It does not know
//! the key, its requests have an `Origin` header, and no response here has CORS headers.

use axum::response::{IntoResponse as _, Response};
use http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::listener::is_local_host;

/// Prefix in `x-amz-target` for operations that AWS does not have.
pub(super) const OWN_OPERATIONS: &str = "NetcoreWebhooks";
/// Operation that removes deleted content from the files.
pub(super) const PURGE: &str = "Purge";

/// Response to [`PURGE`].
#[derive(Serialize, Deserialize)]
pub(super) struct Purged {
    /// Whether the stream was read to its end, so that it contains no event.
    pub(super) stream_drained: bool,
}

/// Checks the key of callers.
#[derive(Clone)]
pub(super) struct AccessKey {
    /// The access key id: random, new at each start, stored in the data folder.
    pub(super) key: String,
}

impl AccessKey {
    /// The response to a request that is refused; `None` if it is accepted.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        if !is_local_host(headers) {
            return Some(forbidden("this server answers only as 127.0.0.1 and localhost"));
        }
        if headers.contains_key(ORIGIN) {
            return Some(forbidden("this server does not answer web pages"));
        }
        let known =
            credential(headers).is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.key.as_bytes())));
        (!known).then(|| forbidden("the access key is not the one in running.json of the data folder"))
    }
}

/// The `Authorization` header that commands of this crate send.
pub(super) fn authorization(key: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={key}/")
}

/// The access key id of a signed request. The signature is not checked: the id is the secret.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let signed = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let parts = signed.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let credential = parts
        .split(',')
        .find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next()
}

fn forbidden(message: &str) -> Response {
    let body = json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": message});
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    (StatusCode::FORBIDDEN, kind, body.to_string()).into_response()
}
