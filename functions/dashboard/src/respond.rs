//! Answers of the handlers as HTTP responses. Each also describes itself in `/openapi.json`.

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

/// Says of a table that there is more, where no `Link` leads to it.
const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");
const CSV: &str = "text/csv; charset=utf-8";

type Documents = Vec<(Option<u16>, ResponseDocument)>;

/// An answer as its reader may see it. The only way out for what was read.
pub(crate) struct Told<A>(A);

impl<A: ForViewer> Told<A> {
    pub(crate) fn new(answer: A, viewer: Option<&Viewer<'_>>) -> Self {
        Self(match viewer {
            Some(viewer) => answer.for_viewer(viewer),
            None => answer,
        })
    }
}

impl<A: Serialize> IntoResponse for Told<A> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<A: JsonSchema> OperationOutput for Told<A> {
    type Inner = A;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        Json::<A>::operation_response(context, operation)
    }

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Documents {
        Json::<A>::inferred_responses(context, operation)
    }
}

/// A part of a list: JSON, or a part of a table for a spreadsheet.
pub(crate) enum Listed<A> {
    Json(Told<A>),
    Csv(Table),
}

impl<A: Serialize> IntoResponse for Listed<A> {
    fn into_response(self) -> Response {
        match self {
            Self::Json(told) => told.into_response(),
            Self::Csv(table) => table.into_response(),
        }
    }
}

impl<A: JsonSchema> OperationOutput for Listed<A> {
    type Inner = A;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ResponseDocument> {
        let mut response = Told::<A>::operation_response(context, operation)?;
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

/// A part of a table for a spreadsheet.
pub(crate) struct Table {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) lines: String,
    /// The query of the next part.
    pub(crate) next: Option<String>,
    /// Whether there is a next part.
    pub(crate) truncated: bool,
}

impl IntoResponse for Table {
    fn into_response(self) -> Response {
        let mut response = self.lines.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CSV));
        let file = format!("attachment; filename=\"{}\"", self.name);
        let link = self.next.map(|next| format!("<{next}>; rel=\"next\""));
        for (name, value) in [(header::CONTENT_DISPOSITION, Some(file)), (header::LINK, link)] {
            // Nothing of a stranger goes into these values but percent-encoded.
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        if self.truncated {
            headers.insert(X_TRUNCATED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// An answer that sets the cookie of a session, or takes it away.
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

/// Nothing but a status code of success.
pub(crate) type Nothing = NoContent;
