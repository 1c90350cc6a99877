//! Sign-in, sign-out, and requests that only our own page may send.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::event::time;

use crate::{
    Parts, access,
    answers::{Example, Session},
    caller::Peer,
    refusal::Refusal,
    roles::{self, AccessRole},
};

/// Every browser since 2023 sends it, and no page can change it:
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a sign-in sends.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Password {
    password: String,
}

impl Example for Password {
    const EXAMPLE: &str = "{\"password\":\"…\"}";
}

/// The session of a role.
pub(crate) fn session(parts: &Parts, role: AccessRole) -> Session {
    Session {
        role,
        sign_in: parts.sign_in.is_some(),
        may: roles::may(role, parts.redrive),
    }
}

/// Opens a session. Returns its cookie too.
pub(crate) async fn sign_in(
    parts: &Parts,
    peer: &Peer,
    Password { password }: Password,
) -> Result<(String, Session), Refusal> {
    let Some(policy) = &parts.sign_in else {
        return Err(Refusal::BadRequest("this dashboard has no sign-in".into()));
    };
    let now = time::now();
    let policy = policy.current(now).await;
    let secure = peer.is_secure();
    let known = policy.known_browser(&peer.headers, secure, now);
    let attempt = parts.attempts.begin(&peer.address, known, now).await?;
    let Some((role, cookie)) = policy.open(&password, &new_id()?, secure, now) else {
        attempt.failed().await?;
        return Err(Refusal::WrongPassword);
    };
    tracing::info!(role = role.as_str(), "signed in");
    Ok((cookie, session(parts, role)))
}

/// Ends the sessions of a request, on every environment. Returns the cookie that takes theirs away.
pub(crate) async fn sign_out(parts: &Parts, peer: &Peer) -> Result<String, Refusal> {
    let secure = peer.is_secure();
    if let Some(policy) = &parts.sign_in {
        let now = time::now();
        let policy = policy.current(now).await;
        for session in policy.sessions(&peer.headers, secure, now) {
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
pub(crate) fn from_our_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
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
