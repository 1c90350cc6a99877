//! The caller of a request, and the filter of responses by the caller's role.

use std::sync::Arc;

use aide::OperationInput;
use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts as Head};
use lambda_http::{RequestExt as _, request::RequestContext};
use webhook_ingest::event::time;

use crate::{
    AppState,
    redaction::{self, ForViewer, Viewer},
    refusal::Refusal,
    respond::ForCaller,
    roles::{self, AccessRole, Permissions},
    search::asked::Term,
    tokens::{self, TokenCipher},
};

/// The client of a request.
pub(crate) struct Peer {
    pub(crate) headers: HeaderMap,
    /// The address that the platform saw, never a header, which callers can set.
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

/// An authenticated caller. A handler with this extractor is available only to such callers.
pub(crate) struct Caller {
    pub(crate) role: AccessRole,
    pub(crate) may: Permissions,
    /// Decrypts the tokens that viewers use instead of ids; `None` without a sign-in, because there is no key.
    cipher: Option<TokenCipher>,
}

impl FromRequestParts<Arc<AppState>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Head, parts: &Arc<AppState>) -> Result<Self, Refusal> {
        let Some(sign_in) = &parts.sign_in else {
            return Ok(Self::new(parts, parts.role, None));
        };
        let now = time::now();
        let policy = sign_in.current(now).await;
        for session in policy.sessions(&head.headers, is_secure(&head.headers), now) {
            if !parts.sessions.is_ended(&session).await? {
                return Ok(Self::new(parts, session.role, policy.token_cipher()));
            }
        }
        Err(Refusal::SignInFirst)
    }
}

impl OperationInput for Caller {}

impl Caller {
    fn new(parts: &AppState, role: AccessRole, cipher: Option<TokenCipher>) -> Self {
        let may = roles::permissions(role, parts.redrive);
        Self { role, may, cipher }
    }

    fn viewer(&self) -> Option<Viewer<'_>> {
        let cipher = self.cipher.as_ref();
        (!self.may.see_numbers).then_some(Viewer { cipher })
    }

    /// A response with only the data that this caller may see.
    pub(crate) fn respond<A: ForViewer>(&self, answer: A) -> ForCaller<A> {
        ForCaller::new(answer, self.viewer().as_ref())
    }

    /// The same for a part of a response that is not JSON.
    pub(crate) fn redacted<A: ForViewer>(&self, answer: A) -> A {
        match self.viewer() {
            Some(viewer) => answer.for_viewer(&viewer),
            None => answer,
        }
    }

    /// Refuses callers who see no numbers.
    pub(crate) fn require_numbers(&self, why_not: &'static str) -> Result<(), Refusal> {
        if self.may.see_numbers {
            Ok(())
        } else {
            Err(Refusal::Forbidden(why_not))
        }
    }

    /// Refuses a search for a number by a viewer.
    pub(crate) fn check_search(&self, words: &[&Option<String>]) -> Result<(), Refusal> {
        let mut words = words.iter().filter_map(|word| word.as_deref());
        if words.any(redaction::names_person) {
            return self.require_numbers("your role cannot search for people");
        }
        Ok(())
    }

    /// The term of a search. A viewer may search only for texts that cannot name a person, and for a message's token.
    pub(crate) fn search_term(&self, term: Term) -> Result<Term, Refusal> {
        let token = term.text().filter(|text| tokens::is_token(text));
        if let Some(id) = token.and_then(|token| self.cipher.as_ref()?.decrypt(token)) {
            return Ok(Term::of_message(id));
        }
        if term.could_name_person() {
            self.require_numbers("your role cannot search for people")?;
        }
        Ok(term)
    }

    /// The cursor of a request. Viewers may not send one: with a forged cursor they could search for numbers.
    pub(crate) fn cursor(&self, cursor: Option<String>) -> Result<Option<String>, Refusal> {
        if cursor.is_some() {
            self.require_numbers("your role cannot send a cursor: it sees only the first page of a list")?;
        }
        Ok(cursor.filter(|cursor| !cursor.is_empty()))
    }

    /// The message id for a name in a path: the id in a token, or the name itself. `None` for an invalid token.
    pub(crate) fn message_id(&self, name: String) -> Result<Option<String>, Refusal> {
        if let Some(id) = self.cipher.as_ref().and_then(|cipher| cipher.decrypt(&name)) {
            return Ok(Some(id));
        }
        if self.may.see_numbers {
            return Ok(Some(name));
        }
        if tokens::is_token(&name) {
            return Ok(None);
        }
        if redaction::is_personal_id(&name) {
            return Err(Refusal::Forbidden(
                "your role must use the message's token: an id that contains a number or an address would confirm it",
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
