//! Errors of requests: status code, and message for the caller.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{Operation, Response as ResponseDocument},
};
use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::query::QueryError,
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use webhook_ingest::{
    counters::pending,
    events_table::read::ReadError,
    operations::{clients, dynamodb},
};

use crate::answers::Fault;

/// Why a request failed. `Unavailable` is the function's fault, the others are the caller's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("sign in first")]
    SignInFirst,
    #[error("wrong password")]
    WrongPassword,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    NotFound(String),
    #[error("this path does not support this method")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(String),
    /// With the seconds until the next try.
    #[error("too many tries; wait and try again")]
    TooManyTries(i64),
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::SignInFirst | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooManyTries(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let fault = Fault {
            error: self.to_string(),
            sign_in: matches!(self, Self::SignInFirst),
        };
        let mut response = (self.status(), Json(fault)).into_response();
        if let Self::TooManyTries(seconds) = self {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl OperationOutput for Refusal {
    type Inner = Fault;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        Json::<Fault>::operation_response(context, operation)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, ResponseDocument)> {
        let response = Self::operation_response(context, operation);
        response.into_iter().map(|response| (None, response)).collect()
    }
}

const EVENTS: &str = "the events table";

type QueryFault = SdkError<QueryError>;

/// The error for a failed query of the events table.
pub(crate) fn of_query(error: &QueryFault) -> Refusal {
    if dynamodb::lacks_index(error) {
        return Refusal::NotFound(
            "the table has no index for this list: it is disabled in the stack, or still being created"
                .into(),
        );
    }
    if dynamodb::is_validation(error) {
        return foreign_cursor();
    }
    unavailable(EVENTS, error)
}

/// The error for items of the events table that were not read.
pub(crate) fn of_read(error: &ReadError) -> Refusal {
    match error {
        ReadError::Failed(error) => unavailable(EVENTS, error),
        ReadError::Throttled => {
            tracing::error!(table = EVENTS, "a table left keys unprocessed");
            no_answer(EVENTS)
        }
    }
}

/// The error for pending counts that were not read.
pub(crate) fn of_pending_counts(error: &pending::ReadError) -> Refusal {
    let what = "the counters' table";
    match error {
        pending::ReadError::State(error) => unavailable(what, error),
        pending::ReadError::Counts(error) => unavailable(what, error),
    }
}

/// The error for a table that does not answer. Logs the reason.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(table: &str, error: &SdkError<E>) -> Refusal {
    let why = clients::failure(error);
    tracing::error!(table, why, "a table did not answer");
    no_answer(table)
}

fn no_answer(table: &str) -> Refusal {
    Refusal::Unavailable(format!("{table} does not answer just now; try again"))
}

/// The error for a cursor of another list.
pub(crate) fn foreign_cursor() -> Refusal {
    Refusal::BadRequest("the cursor does not belong to this list".into())
}
