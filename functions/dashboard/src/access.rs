//! `DASHBOARD_AUTH`: passwords, and the signed sessions that they open.
//!
//! If the function's URL is private (`AWS_IAM`), every caller has the role in `DASHBOARD_ROLE`. If it is
//! public, `DASHBOARD_AUTH` contains passwords, each for a role. A correct password opens a session, which
//! is a signed cookie. [`crate::ended_sessions`] stores the sessions that were ended.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use webhook_ingest::{
    auth::{Secret, SecretText},
    event::EpochMillis,
};

use crate::{roles::AccessRole, tokens::TokenCipher};

/// Shorter passwords can be guessed.
const MIN_PASSWORD_CHARS: usize = 12;
/// 256 bits, as HMAC-SHA256 requires.
const MIN_KEY_CHARS: usize = 32;
/// Name of the cookie. Browsers accept the prefix `__Host-` only with `Secure`, `Path=/` and no domain.
const COOKIE: &str = "__Host-session";
/// Name of the cookie without TLS: on this machine, or behind a proxy without TLS.
const PLAIN_COOKIE: &str = "session";
/// How long a browser keeps the cookie after the end of the session. The cookie identifies a known browser.
const KNOWN_SECONDS: i64 = 90 * 86_400;
/// Maximum sessions of a request that are checked.
const MAX_SESSIONS: usize = 3;

/// A session with a valid signature that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) role: AccessRole,
    /// Unique id.
    pub(crate) id: String,
    /// End, epoch seconds.
    pub(crate) until: i64,
}

/// `DASHBOARD_AUTH`: `{"key":"…","hours":8,"sign_in":[{"role":"agent","password":"…"}]}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    key: Secret,
    #[serde(default = "working_day")]
    hours: u16,
    #[serde(rename = "sign_in")]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    role: AccessRole,
    password: Secret,
}

fn working_day() -> u16 {
    8
}

/// Why a text is not a valid `DASHBOARD_AUTH`. Contains no secret.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessError(String);

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DASHBOARD_AUTH: {}", self.0)
    }
}

impl std::error::Error for AccessError {}

/// Checks a text for `DASHBOARD_AUTH` as the start of the dashboard does.
///
/// # Errors
/// Says why the text is invalid. Contains no secret.
pub fn check_passwords(text: &str) -> Result<(), AccessError> {
    SignIn::parse(text).map(drop)
}

impl SecretText for SignIn {
    type Error = AccessError;

    fn parse(text: &str) -> Result<Self, AccessError> {
        let fault = |what: &str| Err(AccessError(what.to_owned()));
        let Ok(policy) = serde_json::from_str::<Self>(text) else {
            // serde's message may quote the invalid value, which may be a secret.
            return fault(
                "must be {\"key\":\"…\",\"hours\":8,\"sign_in\":[{\"role\":\"viewer|agent|operator\",\"password\":\"…\"}]}",
            );
        };
        if policy.key.expose().len() < MIN_KEY_CHARS {
            return fault("key must be at least 32 characters; it signs the sessions");
        }
        if policy.entries.is_empty() {
            return fault("sign_in has no password");
        }
        if policy
            .entries
            .iter()
            .any(|e| e.password.expose().len() < MIN_PASSWORD_CHARS)
        {
            return fault("every password must be at least 12 characters");
        }
        if !(1..=720).contains(&policy.hours) {
            return fault("hours must be from 1 to 720");
        }
        Ok(policy)
    }

    fn missing(why: String) -> AccessError {
        AccessError(why)
    }
}

impl SignIn {
    /// The role of a password, and the cookie of a new session with this id. `None` if the password is wrong.
    pub(crate) fn open(
        &self,
        password: &str,
        id: &str,
        secure: bool,
        now: EpochMillis,
    ) -> Option<(AccessRole, String)> {
        // Compares all passwords, so that the time does not reveal which one matched.
        let mut found = None;
        for entry in &self.entries {
            // Compares digests, so that the time does not reveal the length of a password.
            let given = self.mac(b"password", password.as_bytes());
            let expected = self.mac(b"password", entry.password.expose());
            if bool::from(given.ct_eq(&expected)) && found.is_none() {
                found = Some(entry);
            }
        }
        let entry = found?;
        let seconds = i64::from(self.hours) * 3600;
        let until = now / 1000 + seconds;
        let mac = URL_SAFE_NO_PAD.encode(self.signature(entry, until, id));
        let session = format!("{}.{until}.{id}.{mac}", entry.role.as_str());
        Some((entry.role, cookie(&session, seconds + KNOWN_SECONDS, secure)))
    }

    /// The valid sessions of a request. Safe on untrusted input.
    pub(crate) fn sessions(&self, headers: &HeaderMap, secure: bool, now: EpochMillis) -> Vec<Session> {
        // Over TLS, only the cookie that other hosts and connections without TLS cannot set.
        values(headers, cookie_name(secure))
            .filter_map(|value| {
                let (entry, id, until) = self.verified(value)?;
                let role = entry.role;
                let id = id.to_owned();
                (until > now / 1000).then_some(Session { role, id, until })
            })
            .take(MAX_SESSIONS)
            .collect()
    }

    /// If the request is from a browser that signed in before, an id of the password that it used. All
    /// browsers with this password have the same id, so a new sign-in gives no additional tries. Safe on
    /// untrusted input.
    pub(crate) fn known_browser(
        &self,
        headers: &HeaderMap,
        secure: bool,
        now: EpochMillis,
    ) -> Option<String> {
        values(headers, cookie_name(secure)).find_map(|value| {
            let (entry, _, until) = self.verified(value)?;
            let password = self.mac(b"password", entry.password.expose());
            (until + KNOWN_SECONDS > now / 1000)
                .then(|| URL_SAFE_NO_PAD.encode(self.mac(b"browsers of", &password)))
        })
    }

    /// The cipher for message tokens.
    pub(crate) fn token_cipher(&self) -> Option<TokenCipher> {
        TokenCipher::new(&self.mac(b"token cipher", b""), &self.mac(b"token nonce", b""))
    }

    /// The contents of a value `<role>.<until>.<id>.<mac>`, if the signature is valid.
    fn verified<'v>(&self, value: &'v str) -> Option<(&Entry, &'v str, i64)> {
        let mut parts = value.split('.');
        let (role, until, id, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let until: i64 = until.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let entry = self
            .entries
            .iter()
            .filter(|entry| entry.role.as_str() == role)
            .find(|entry| self.signature(entry, until, id).ct_eq(&mac).into())?;
        Some((entry, id, until))
    }

    /// Signs a role, a time, an id and the password, so that a changed password ends its sessions.
    fn signature(&self, entry: &Entry, until: i64, id: &str) -> Vec<u8> {
        let password = self.mac(b"password", entry.password.expose());
        let signed = format!("{}.{until}.{id}.", entry.role.as_str());
        self.mac(b"session", &[signed.as_bytes(), &password].concat())
    }

    fn mac(&self, purpose: &[u8], of: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.key.expose()) else {
            return Vec::new();
        };
        mac.chain_update(purpose)
            .chain_update([0])
            .chain_update(of)
            .finalize()
            .into_bytes()
            .to_vec()
    }
}

/// The cookie that deletes a session's cookie.
pub(crate) fn expired_cookie(secure: bool) -> String {
    cookie("", 0, secure)
}

fn cookie_name(secure: bool) -> &'static str {
    if secure { COOKIE } else { PLAIN_COOKIE }
}

fn cookie(session: &str, seconds: i64, secure: bool) -> String {
    let (name, only) = (cookie_name(secure), if secure { "; Secure" } else { "" });
    format!("{name}={session}; Path=/; Max-Age={seconds}; HttpOnly{only}; SameSite=Strict")
}

/// The values of a cookie.
fn values<'h>(headers: &'h HeaderMap, wanted: &'static str) -> impl Iterator<Item = &'h str> {
    let cookies = headers.get_all(http::header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(move |pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then_some(value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    const NOW: EpochMillis = 1_700_000_000_000;

    fn policy(password: &str) -> SignIn {
        SignIn::parse(&format!(
            r#"{{"key":"0123456789abcdef0123456789abcdef","hours":8,"sign_in":[
                {{"role":"viewer","password":"viewers-password"}},{{"role":"operator","password":"{password}"}}]}}"#
        ))
        .unwrap()
    }

    fn with(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_str(&format!("a=b; {pair}")).unwrap(),
        )])
    }

    fn session(policy: &SignIn, headers: &HeaderMap, now: EpochMillis) -> Option<AccessRole> {
        policy
            .sessions(headers, true, now)
            .first()
            .map(|session| session.role)
    }

    #[test]
    fn a_password_opens_a_session_with_its_role_and_lifetime() {
        let policy = policy("operators-password");
        assert_eq!(policy.open("wrong", "i", true, NOW), None);
        assert_eq!(policy.open("", "i", true, NOW), None);
        let (role, cookie) = policy.open("operators-password", "one", true, NOW).unwrap();
        assert_eq!(role, AccessRole::Operator);
        let headers = with(&cookie);
        assert_eq!(
            policy.sessions(&headers, true, NOW),
            [Session {
                role: AccessRole::Operator,
                id: "one".into(),
                until: NOW / 1000 + 8 * 3600,
            }]
        );
        let last = NOW + 8 * 3_600_000;
        assert_eq!(
            session(&policy, &headers, last - 1000),
            Some(AccessRole::Operator)
        );
        assert_eq!(session(&policy, &headers, last), None);
        assert_eq!(session(&policy, &HeaderMap::new(), NOW), None);
    }

    #[test]
    fn a_changed_password_ends_its_sessions() {
        let (_, cookie) = policy("operators-password")
            .open("operators-password", "i", true, NOW)
            .unwrap();
        let changed = policy("another-password");
        assert_eq!(session(&changed, &with(&cookie), NOW), None);
        assert_eq!(changed.known_browser(&with(&cookie), true, NOW), None);
    }

    #[test]
    fn over_tls_only_the_secure_cookie_is_read() {
        let policy = policy("operators-password");
        for (set_over_tls, read_over_tls) in [(true, true), (false, false), (false, true), (true, false)] {
            let (_, cookie) = policy.open("operators-password", "i", set_over_tls, NOW).unwrap();
            let is_read = set_over_tls == read_over_tls;
            let sessions = policy.sessions(&with(&cookie), read_over_tls, NOW);
            assert_eq!(!sessions.is_empty(), is_read, "{set_over_tls} {read_over_tls}");
            let known = policy.known_browser(&with(&cookie), read_over_tls, NOW);
            assert_eq!(known.is_some(), is_read, "{set_over_tls} {read_over_tls}");
        }
    }

    #[test]
    fn a_browser_is_recognized_after_its_session() {
        let policy = policy("operators-password");
        let known = |password: &str, id: &str, days: i64| {
            let (_, cookie) = policy.open(password, id, true, NOW).unwrap();
            let later = NOW + 8 * 3_600_000 + days * 86_400_000;
            assert_eq!(session(&policy, &with(&cookie), later), None);
            policy.known_browser(&with(&cookie), true, later)
        };
        assert!(known("operators-password", "a", 0).is_some());
        assert_eq!(
            known("operators-password", "a", 0),
            known("operators-password", "b", 89)
        );
        assert_ne!(
            known("operators-password", "a", 0),
            known("viewers-password", "a", 0)
        );
        assert_eq!(known("operators-password", "a", 90), None);
    }

    #[test]
    fn a_session_with_a_changed_byte_is_refused() {
        let policy = policy("operators-password");
        let (_, cookie) = policy.open("viewers-password", "anid", true, NOW).unwrap();
        let pair = cookie.split(';').next().unwrap().to_owned();
        assert_eq!(session(&policy, &with(&pair), NOW), Some(AccessRole::Viewer));
        for place in COOKIE.len() + 1..pair.len() - 1 {
            let mut bytes = pair.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(session(&policy, &with(&forged), NOW), None, "{forged}");
        }
        let forged = pair.replace("viewer", "operator");
        assert_eq!(session(&policy, &with(&forged), NOW), None);
    }

    #[test]
    fn errors_name_the_fault_and_contain_no_secret() {
        for (text, part) in [
            ("hunter2-hunter2", "must be {"),
            (r#"{"key":"short","sign_in":[]}"#, "key must be"),
            (
                r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[]}"#,
                "has no password",
            ),
            (
                r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[{"role":"agent","password":"hunter2"}]}"#,
                "at least 12",
            ),
            (
                r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[{"role":"boss","password":"hunter2-hunter2"}]}"#,
                "viewer|agent|operator",
            ),
            (
                r#"{"key":"0123456789abcdef0123456789abcdef","hours":0,"sign_in":[{"role":"agent","password":"hunter2-hunter2"}]}"#,
                "hours must",
            ),
        ] {
            let error = SignIn::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.starts_with("DASHBOARD_AUTH: "),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", policy("operators-password")).contains("password\""));
    }
}
