//! Access control of the embedded servers: HTTP on this machine, for callers that know the key of the
//! running instance. A page in a browser can reach every port of the machine it runs on; it has
//! neither the key nor a request without `Origin`, and no answer here lets one read anything.

use axum::response::{IntoResponse as _, Response};
use http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::listener::names_this_machine;

/// The prefix, in `x-amz-target`, of operations that AWS does not have.
pub(super) const OWN_OPERATIONS: &str = "NetcoreWebhooks";
/// Removes the last traces of what was deleted.
pub(super) const PURGE: &str = "Purge";

/// The answer to [`PURGE`].
#[derive(Serialize, Deserialize)]
pub(super) struct Purged {
    /// Whether the stream was read to its end, so that it holds no event.
    pub(super) stream_drained: bool,
}

/// Refuses callers without the key.
#[derive(Clone)]
pub(super) struct AccessKey {
    /// The access key id. It is made at random at each start and kept in the data folder.
    pub(super) key: String,
}

impl AccessKey {
    /// The answer to a request that may not come in.
    pub(super) fn refuses(&self, headers: &HeaderMap) -> Option<Response> {
        if !names_this_machine(headers) {
            return Some(refusal(
                "this server answers under the names 127.0.0.1 and localhost only",
            ));
        }
        if headers.contains_key(ORIGIN) {
            return Some(refusal("this server does not answer web pages"));
        }
        let known =
            credential(headers).is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.key.as_bytes())));
        (!known).then(|| refusal("the access key is not the one in running.json of the data folder"))
    }
}

/// The header by which the commands of this crate show the key.
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

fn refusal(message: &str) -> Response {
    let body = json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": message});
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    (StatusCode::FORBIDDEN, kind, body.to_string()).into_response()
}
