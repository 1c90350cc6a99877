//! Sign-in, sign-out, the session of a request, and requests that only our own page may send.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, header};
use lambda_http::{Request, RequestExt as _, request::RequestContext};
use ring::rand::{SecureRandom as _, SystemRandom};
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::event::time;

use crate::{
    Parts, Refusal,
    access::{self, Role},
    answers::Session,
    tokens::Seal,
};

/// Every browser since 2023 sends it, and no page can change it:
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a sign-in sends.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Password {
    password: String,
}

/// Who is asking.
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// Opens the tokens that viewers have instead of ids; nothing where there is no sign-in and so no key.
    pub(crate) seal: Option<Seal>,
}

/// Who is asking.
pub(crate) async fn caller(parts: &Parts, request: &Request) -> Result<Caller, Refusal> {
    let Some(sign_in) = &parts.sign_in else {
        return Ok(Caller {
            role: parts.role,
            seal: None,
        });
    };
    let now = time::now();
    let policy = sign_in.current(now).await;
    for session in policy.sessions(request.headers(), is_secure(request), now) {
        if !parts.sessions.is_ended(&session).await? {
            return Ok(Caller {
                role: session.role,
                seal: policy.seal(),
            });
        }
    }
    Err(Refusal::SignInFirst)
}

pub(crate) fn session(parts: &Parts, role: Role) -> Session {
    Session {
        role,
        sign_in: parts.sign_in.is_some(),
        may: access::may(role, parts.redrive),
    }
}

pub(crate) async fn sign_in(parts: &Parts, request: &Request) -> Result<(String, Session), Refusal> {
    let Some(policy) = &parts.sign_in else {
        return Err(Refusal::BadRequest("this dashboard has no sign-in".into()));
    };
    from_our_page(request)?;
    let Ok(Password { password }) = serde_json::from_slice(request.body().as_ref()) else {
        return Err(Refusal::BadRequest("send {\"password\":\"…\"} as JSON".into()));
    };
    let now = time::now();
    let policy = policy.current(now).await;
    let secure = is_secure(request);
    let known = policy.known_browser(request.headers(), secure, now);
    let attempt = parts.attempts.begin(&address(request), known, now).await?;
    let Some((role, cookie)) = policy.open(&password, &new_id()?, secure, now) else {
        attempt.failed().await?;
        return Err(Refusal::WrongPassword);
    };
    tracing::info!(role = role.as_str(), "signed in");
    Ok((cookie, session(parts, role)))
}

/// Ends the sessions of a request, on every environment. Returns the cookie that takes theirs away.
pub(crate) async fn sign_out(parts: &Parts, request: &Request) -> Result<String, Refusal> {
    let secure = is_secure(request);
    if let Some(policy) = &parts.sign_in {
        let now = time::now();
        let policy = policy.current(now).await;
        for session in policy.sessions(request.headers(), secure, now) {
            parts.sessions.end(&session).await?;
        }
    }
    Ok(access::closed(secure))
}

/// A unique name for a session.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::Unavailable("the machine has no random numbers; try again".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Another site can make a browser post a form here, but neither JSON nor without saying where from.
pub(crate) fn from_our_page(request: &Request) -> Result<(), Refusal> {
    let text = |name: &HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok());
    let is_json = text(&header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return Err(Refusal::BadRequest("send application/json".into()));
    }
    let is_ours = match (text(&FETCH_SITE), text(&header::ORIGIN)) {
        // The browser compares what it shows in its address bar, which a proxy's `Host` need not be.
        (Some(site), _) => site == "same-origin",
        // An older browser.
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text(&header::HOST),
        // No browser.
        (None, None) => true,
    };
    if is_ours {
        Ok(())
    } else {
        Err(Refusal::Forbidden("this comes from another site"))
    }
}

/// The address that the platform saw, never a header a caller can set.
fn address(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

pub(crate) fn is_secure(request: &Request) -> bool {
    request
        .headers()
        .get("x-forwarded-proto")
        .is_some_and(|protocol| protocol.as_bytes() == b"https")
}
