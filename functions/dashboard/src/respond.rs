//! Converts results of handlers to HTTP responses. Each type also describes itself in `/openapi.json`.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, Response as ResponseDocument},
};
use axum::{
    Json,
    response::{IntoResponse, NoContent, Response},
};
use http::{HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::redaction::{ForViewer, Viewer};

/// `true` if there are more lines, even if the caller gets no `Link` to them.
const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");
/// Hours that were not read, see [`Events::skipped_hours`](crate::answers::Events::skipped_hours).
const X_SKIPPED_HOURS: HeaderName = HeaderName::from_static("x-skipped-hours");
const CSV: &str = "text/csv; charset=utf-8";

type Documents = Vec<(Option<u16>, ResponseDocument)>;

/// A response with only the data that the caller may see. All data that was read is returned through it.
pub(crate) struct ForCaller<A>(A);

impl<A: ForViewer> ForCaller<A> {
    pub(crate) fn new(answer: A, viewer: Option<&Viewer<'_>>) -> Self {
        Self(match viewer {
            Some(viewer) => answer.for_viewer(viewer),
            None => answer,
        })
    }
}

impl<A: Serialize> IntoResponse for ForCaller<A> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<A: JsonSchema> OperationOutput for ForCaller<A> {
    type Inner = A;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        Json::<A>::operation_response(context, operation)
    }

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Documents {
        Json::<A>::inferred_responses(context, operation)
    }
}

/// A page of a list, as JSON or CSV.
pub(crate) enum ListResponse<A> {
    Json(ForCaller<A>),
    Csv(Table),
}

impl<A: Serialize> IntoResponse for ListResponse<A> {
    fn into_response(self) -> Response {
        match self {
            Self::Json(response) => response.into_response(),
            Self::Csv(table) => table.into_response(),
        }
    }
}

impl<A: JsonSchema> OperationOutput for ListResponse<A> {
    type Inner = A;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        let mut response = ForCaller::<A>::operation_response(context, operation)?;
        response.content.insert(CSV.to_owned(), MediaType::default());
        Some(response)
    }

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Documents {
        let response = Self::operation_response(context, operation);
        response
            .into_iter()
            .map(|response| (Some(200), response))
            .collect()
    }
}

/// CSV lines.
pub(crate) struct Table {
    /// File name.
    pub(crate) name: String,
    pub(crate) lines: String,
    /// Query for the next lines.
    pub(crate) next: Option<String>,
    /// Whether there are more lines.
    pub(crate) truncated: bool,
    /// Hours that were not read.
    pub(crate) skipped_hours: u32,
}

impl IntoResponse for Table {
    fn into_response(self) -> Response {
        let mut response = self.lines.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CSV));
        let file = format!("attachment; filename=\"{}\"", self.name);
        let link = self.next.map(|next| format!("<{next}>; rel=\"next\""));
        for (name, value) in [(header::CONTENT_DISPOSITION, Some(file)), (header::LINK, link)] {
            // Untrusted text in these values is percent-encoded.
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        if self.truncated {
            headers.insert(X_TRUNCATED, HeaderValue::from_static("true"));
        }
        if self.skipped_hours > 0 {
            headers.insert(X_SKIPPED_HOURS, HeaderValue::from(self.skipped_hours));
        }
        response
    }
}

/// A response that sets or deletes the session cookie.
pub(crate) struct WithCookie<A> {
    pub(crate) cookie: String,
    pub(crate) answer: A,
}

impl<A: IntoResponse> IntoResponse for WithCookie<A> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Ok(cookie) = HeaderValue::try_from(self.cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl<A: OperationOutput> OperationOutput for WithCookie<A> {
    type Inner = A::Inner;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        A::operation_response(context, operation)
    }

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Documents {
        A::inferred_responses(context, operation)
    }
}

/// A response without content.
pub(crate) type NoBody = NoContent;
