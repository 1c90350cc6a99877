//! The response to a sender. The only place that names HTTP status codes.

use http::{Method, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;
use serde_json::json;

use crate::{auth::Refusal, pipeline::BatchOutcome};

/// `Retry-After`, in seconds, if a record is not durable anywhere.
const RETRY_AFTER_SECONDS: &str = "30";

/// The body of an accepted request, in the documented order.
#[derive(Serialize)]
struct Counts {
    received: usize,
    stored: usize,
    duplicates: usize,
    queued: usize,
    dead_lettered: usize,
}

/// The statuses of two answers that senders understand differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    /// Of [`Answer::Malformed`].
    pub rejected: StatusCode,
    /// Of [`Answer::Unauthorized`].
    pub unauthenticated: StatusCode,
}

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A check that the URL exists.
    Checked,
    /// A method other than those for webhooks and checks.
    MethodNotAllowed,
    /// A body over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The source address may not send.
    Forbidden,
    /// Missing, wrong or stale authentication. All classes have the same answer; the class is for the log.
    Unauthorized(Refusal),
    /// No record is an event; the body is in the dead-letter queue.
    Malformed {
        /// The fault, without quoting the body.
        why: String,
        /// The number of its records, at least one.
        records: usize,
        /// How often this body arrived, this time included.
        copies: u64,
    },
    /// Every record is durable somewhere.
    Accepted(BatchOutcome),
    /// Some records could not be made durable. The sender must send the body again.
    Unavailable,
}

impl Answer {
    /// The word for logs.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge { .. } => "too_large",
            Self::Forbidden => "forbidden",
            Self::Unauthorized(_) => "unauthorised",
            Self::Malformed { .. } => "rejected",
            Self::Accepted(_) => "accepted",
            Self::Unavailable => "unavailable",
        }
    }

    /// The class of a refused authentication: for logs, never for the answer.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized(refusal) => Some(refusal.as_str()),
            _ => None,
        }
    }

    /// How often a rejected body arrived; `None` if it is the first time, and for other answers.
    pub fn copies(&self) -> Option<u64> {
        match self {
            Self::Malformed { copies, .. } => Some(*copies).filter(|copies| *copies > 1),
            _ => None,
        }
    }

    /// The class of a request that anybody can send who knows the URL: a check or a refusal. `None` for
    /// authenticated requests.
    pub fn unauthenticated(&self) -> Option<&'static str> {
        match self {
            Self::Checked | Self::MethodNotAllowed | Self::TooLarge { .. } | Self::Forbidden => {
                Some(self.outcome())
            }
            Self::Unauthorized(refusal) => Some(refusal.as_str()),
            Self::Malformed { .. } | Self::Accepted(_) | Self::Unavailable => None,
        }
    }

    /// The metric that counts the result; `None` for a success.
    pub fn metric(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized(_) => Some("Unauthorised"),
            Self::Malformed { .. } => Some("Malformed"),
            Self::MethodNotAllowed | Self::TooLarge { .. } | Self::Forbidden => Some("Rejected"),
            Self::Unavailable => Some("Unavailable"),
            Self::Checked | Self::Accepted(_) => None,
        }
    }

    /// The status code.
    pub fn status(&self, statuses: Statuses) -> StatusCode {
        match self {
            Self::Checked | Self::Accepted(_) => StatusCode::OK,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unauthorized(_) => statuses.unauthenticated,
            Self::Malformed { .. } => statuses.rejected,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response to a request with this method.
    pub fn respond(&self, method: &Method, statuses: Statuses) -> Response<Body> {
        let status = self.status(statuses);
        let error = |text: &str| json!({ "error": text }).to_string();
        let body = match self {
            Self::Checked => json!({"ready": true}).to_string(),
            Self::MethodNotAllowed => error("send webhooks with POST"),
            Self::TooLarge { limit } => error(&format!(
                "the body is larger than {limit} bytes; send fewer records at once"
            )),
            Self::Forbidden => error("requests are not accepted from this address"),
            Self::Unauthorized(_) => error("missing, wrong or stale authentication"),
            Self::Malformed { records, .. } if status.is_success() => counts(&BatchOutcome {
                received: *records,
                dead_lettered: *records,
                ..BatchOutcome::default()
            }),
            Self::Malformed { why, .. } => {
                error(&format!("{why}; the body is kept in the dead-letter queue"))
            }
            Self::Accepted(outcome) => counts(outcome),
            Self::Unavailable => error("nothing could be kept just now; send the same body again"),
        };
        let is_empty = *method == Method::HEAD || status == StatusCode::NO_CONTENT;
        let mut response = Response::new(if is_empty { Body::Empty } else { Body::Text(body) });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        match self {
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD, POST"));
            }
            Self::Unavailable => {
                headers.insert(
                    header::RETRY_AFTER,
                    header::HeaderValue::from_static(RETRY_AFTER_SECONDS),
                );
            }
            _ => {}
        }
        response
    }
}

fn counts(outcome: &BatchOutcome) -> String {
    serde_json::to_string(&Counts {
        received: outcome.received,
        stored: outcome.stored,
        duplicates: outcome.duplicates,
        queued: outcome.queued,
        dead_lettered: outcome.dead_lettered,
    })
    .unwrap_or_default()
}
