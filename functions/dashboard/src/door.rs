//! Who comes in, and from where: sessions of requests, sign-ins, and what may only come from our own page.

use http::{HeaderName, header};
use lambda_http::{Request, RequestExt as _, request::RequestContext};
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::time;

use crate::{
    Parts, Refusal,
    access::{self, Role},
    answers::Session,
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
pub(crate) async fn role(parts: &Parts, request: &Request) -> Result<Role, Refusal> {
    let Some(sign_in) = &parts.sign_in else {
        return Ok(parts.role);
    };
    let now = time::now();
    let policy = sign_in.current(now).await;
    policy.role(request.headers(), now).ok_or(Refusal::SignInFirst)
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
    parts.attempts.count(&address(request), now).await?;
    let opened = policy.current(now).await.open(&password, is_secure(request), now);
    let (role, cookie) = opened.ok_or(Refusal::WrongPassword)?;
    tracing::info!(role = role.as_str(), "signed in");
    Ok((cookie, session(parts, role)))
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
