//! Who sends a request, and what the answer may tell them.

use std::sync::Arc;

use aide::OperationInput;
use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts as Head};
use lambda_http::{RequestExt as _, request::RequestContext};
use webhook_ingest::event::time;

use crate::{
    Parts,
    redaction::{self, ForViewer, Viewer},
    refusal::Refusal,
    respond::Told,
    roles::{self, AccessRole, May},
    tokens::{self, Seal},
};

/// What a request says of the machine that sent it.
pub(crate) struct Peer {
    pub(crate) headers: HeaderMap,
    /// The address that the platform saw, never a header a caller can set.
    pub(crate) address: String,
}

impl Peer {
    fn of(head: &Head) -> Self {
        let address = match head.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
            _ => None,
        };
        Self {
            headers: head.headers.clone(),
            address: address.unwrap_or_default(),
        }
    }

    /// Whether the request came over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        is_secure(&self.headers)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Refusal> {
        Ok(Self::of(head))
    }
}

impl OperationInput for Peer {}

/// Who sends a request: somebody with a role. A handler that takes it answers nobody else.
pub(crate) struct Caller {
    pub(crate) role: AccessRole,
    pub(crate) may: May,
    /// Opens the tokens that viewers have instead of ids; nothing where there is no sign-in and so no key.
    seal: Option<Seal>,
}

impl FromRequestParts<Arc<Parts>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Head, parts: &Arc<Parts>) -> Result<Self, Refusal> {
        let Some(sign_in) = &parts.sign_in else {
            return Ok(Self::new(parts, parts.role, None));
        };
        let now = time::now();
        let policy = sign_in.current(now).await;
        for session in policy.sessions(&head.headers, is_secure(&head.headers), now) {
            if !parts.sessions.is_ended(&session).await? {
                return Ok(Self::new(parts, session.role, policy.seal()));
            }
        }
        Err(Refusal::SignInFirst)
    }
}

impl OperationInput for Caller {}

impl Caller {
    fn new(parts: &Parts, role: AccessRole, seal: Option<Seal>) -> Self {
        let may = roles::may(role, parts.redrive);
        Self { role, may, seal }
    }

    fn viewer(&self) -> Option<Viewer<'_>> {
        let seal = self.seal.as_ref();
        (!self.may.see_numbers).then_some(Viewer { seal })
    }

    /// An answer as this caller may see it.
    pub(crate) fn tell<A: ForViewer>(&self, answer: A) -> Told<A> {
        Told::new(answer, self.viewer().as_ref())
    }

    /// The same within an answer that is no JSON.
    pub(crate) fn redacted<A: ForViewer>(&self, answer: A) -> A {
        match self.viewer() {
            Some(viewer) => answer.for_viewer(&viewer),
            None => answer,
        }
    }

    /// Refuses a caller who sees no numbers.
    pub(crate) fn must_see_numbers(&self, why_not: &'static str) -> Result<(), Refusal> {
        if self.may.see_numbers {
            Ok(())
        } else {
            Err(Refusal::Forbidden(why_not))
        }
    }

    /// Refuses a viewer's search for a number.
    pub(crate) fn may_search(&self, words: &[&Option<String>]) -> Result<(), Refusal> {
        let mut words = words.iter().filter_map(|word| word.as_deref());
        if words.any(redaction::holds_number) {
            return self.must_see_numbers("your role cannot search for numbers");
        }
        Ok(())
    }

    /// The cursor of a request, which a viewer may not send: made by hand, it would find numbers.
    pub(crate) fn cursor(&self, cursor: Option<String>) -> Result<Option<String>, Refusal> {
        if cursor.is_some() {
            self.must_see_numbers("your role sends no cursor: lists end with their first page")?;
        }
        Ok(cursor.filter(|cursor| !cursor.is_empty()))
    }

    /// The id that a name in a path stands for: a token's, or the name itself; nothing for a token that does
    /// not open.
    pub(crate) fn message_id(&self, name: String) -> Result<Option<String>, Refusal> {
        if let Some(id) = self.seal.as_ref().and_then(|seal| seal.open(&name)) {
            return Ok(Some(id));
        }
        if self.may.see_numbers {
            return Ok(Some(name));
        }
        if tokens::is_token(&name) {
            return Ok(None);
        }
        if redaction::holds_number(&name) {
            return Err(Refusal::Forbidden(
                "your role opens a message by its token: an id with a number in it would confirm the number",
            ));
        }
        Ok(Some(name))
    }
}

fn is_secure(headers: &HeaderMap) -> bool {
    headers
        .get("x-forwarded-proto")
        .is_some_and(|protocol| protocol.as_bytes() == b"https")
}
