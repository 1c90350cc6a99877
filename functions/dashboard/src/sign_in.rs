//! Sign-in and sign-out, and the check that a request comes from the dashboard's own page.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use schemars::JsonSchema;
use serde::Deserialize;
use webhook_ingest::event::time;

use crate::{
    AppState, access,
    answers::{Example, Session},
    caller::Peer,
    refusal::Refusal,
    roles::{self, AccessRole},
};

/// All browsers since 2023 send it, and pages cannot change it:
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Body of a sign-in.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Password {
    password: String,
}

impl Example for Password {
    const EXAMPLE: &str = "{\"password\":\"…\"}";
}

/// The session of a role.
pub(crate) fn session(parts: &AppState, role: AccessRole) -> Session {
    let may = roles::permissions(role, parts.redrive);
    Session {
        role,
        sign_in: parts.sign_in.is_some(),
        may,
        bot_names: parts.bot_names.shown(may.see_numbers),
    }
}

/// Opens a session. Returns its cookie and the session.
pub(crate) async fn sign_in(
    parts: &AppState,
    peer: &Peer,
    Password { password }: Password,
) -> Result<(String, Session), Refusal> {
    let Some(policy) = &parts.sign_in else {
        return Err(Refusal::Conflict("this dashboard has no sign-in".into()));
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

/// Ends the sessions of a request everywhere. Returns the cookie that deletes the session cookie.
pub(crate) async fn sign_out(parts: &AppState, peer: &Peer) -> Result<String, Refusal> {
    let secure = peer.is_secure();
    if let Some(policy) = &parts.sign_in {
        let now = time::now();
        let policy = policy.current(now).await;
        for session in policy.sessions(&peer.headers, secure, now) {
            parts.sessions.end(&session).await?;
        }
    }
    Ok(access::expired_cookie(secure))
}

/// A unique id for a session.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::Unavailable("the random number generator failed; try again".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Another site can make a browser post a form to this dashboard, but it cannot send JSON or hide its origin.
pub(crate) fn from_our_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let is_json = text(&header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return Err(Refusal::BadRequest("send application/json".into()));
    }
    let is_ours = match (text(&FETCH_SITE), text(&header::ORIGIN)) {
        // The browser compares with the address that the user sees; behind a proxy, `Host` can differ from it.
        (Some(site), _) => site == "same-origin",
        // An older browser.
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text(&header::HOST),
        // Not a browser.
        (None, None) => true,
    };
    if is_ours {
        Ok(())
    } else {
        Err(Refusal::Forbidden("this request comes from another site"))
    }
}
