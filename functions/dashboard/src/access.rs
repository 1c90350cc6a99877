//! Who may see what: roles, and the sign-in that gives browsers one.
//!
//! Where the function's URL is private (`AWS_IAM`), whoever comes through has the role of
//! `DASHBOARD_ROLE`. Where it is public, `DASHBOARD_AUTH` holds passwords, each for a role; who knows
//! one gets a signed session in a cookie.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use webhook_ingest::{
    auth::{Kept, Secret},
    event::EpochMillis,
};

/// Shorter passwords are guessed.
const SHORTEST_PASSWORD: usize = 12;
/// 256 bits, as HMAC-SHA256 asks for.
const SHORTEST_KEY: usize = 32;
/// The cookie's name; browsers take `__Host-` only with `Secure`, `Path=/` and no domain.
const COOKIE: &str = "__Host-session";
/// Its name where the dashboard is served without TLS: on this machine or behind a proxy of one's own.
const PLAIN_COOKIE: &str = "session";

/// Who somebody is to the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but numbers of people.
    Viewer,
    /// Sees numbers too: support.
    Agent,
    /// Also looks after dead letters, where the function may.
    Operator,
}

impl Role {
    /// The word of a variable or cookie.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Agent, Self::Operator];
}

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct May {
    /// See numbers of people, in ids and texts too.
    pub(crate) see_numbers: bool,
    /// Send dead letters back to the retry queue.
    pub(crate) redrive: bool,
    /// Delete dead letters.
    pub(crate) discard: bool,
}

/// What a role may do where the function itself may touch the queues, or may not.
pub(crate) fn may(role: Role, queues: bool) -> May {
    let operates = role == Role::Operator && queues;
    May {
        see_numbers: role != Role::Viewer,
        redrive: operates,
        discard: operates,
    }
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
    role: Role,
    password: Secret,
}

fn working_day() -> u16 {
    8
}

/// Why a text is no `DASHBOARD_AUTH`; holds no secret.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessError(String);

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DASHBOARD_AUTH: {}", self.0)
    }
}

impl std::error::Error for AccessError {}

impl Kept for SignIn {
    type Error = AccessError;

    fn parse(text: &str) -> Result<Self, AccessError> {
        let fault = |what: &str| Err(AccessError(what.to_owned()));
        let Ok(policy) = serde_json::from_str::<Self>(text) else {
            // serde's own text may quote what is wrong, which may be a secret.
            return fault(
                "must be {\"key\":\"…\",\"hours\":8,\"sign_in\":[{\"role\":\"viewer|agent|operator\",\"password\":\"…\"}]}",
            );
        };
        if policy.key.expose().len() < SHORTEST_KEY {
            return fault("key must be at least 32 characters; it signs the sessions");
        }
        if policy.entries.is_empty() {
            return fault("sign_in holds no password");
        }
        if policy
            .entries
            .iter()
            .any(|e| e.password.expose().len() < SHORTEST_PASSWORD)
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
    /// The role of a password and a cookie for it, valid from `now` on.
    pub(crate) fn open(&self, password: &str, secure: bool, now: EpochMillis) -> Option<(Role, String)> {
        // All are compared, so that the time says nothing of which came near.
        let mut found = None;
        for entry in &self.entries {
            // Digests of one length: the comparison then hides the password's length too.
            let given = self.mac(b"password", password.as_bytes());
            let right = self.mac(b"password", entry.password.expose());
            if bool::from(given.ct_eq(&right)) && found.is_none() {
                found = Some(entry);
            }
        }
        let entry = found?;
        let seconds = i64::from(self.hours) * 3600;
        let until = now / 1000 + seconds;
        let mac = URL_SAFE_NO_PAD.encode(self.session(entry, until));
        let session = format!("{}.{until}.{mac}", entry.role.as_str());
        Some((entry.role, cookie(&session, seconds, secure)))
    }

    /// The role of a request's session, if it has one that is signed and not over. Safe on untrusted input.
    pub(crate) fn role(&self, headers: &HeaderMap, now: EpochMillis) -> Option<Role> {
        let cookies = headers.get_all(http::header::COOKIE).iter();
        cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| {
                let (name, session) = pair.trim().split_once('=')?;
                [COOKIE, PLAIN_COOKIE].contains(&name).then_some(session)
            })
            .find_map(|session| self.opened(session, now))
    }

    fn opened(&self, session: &str, now: EpochMillis) -> Option<Role> {
        let (said, mac) = session.rsplit_once('.')?;
        let (role, until) = said.split_once('.')?;
        let until: i64 = until.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let entry = self
            .entries
            .iter()
            .filter(|entry| entry.role.as_str() == role)
            .find(|entry| self.session(entry, until).ct_eq(&mac).into())?;
        (until > now / 1000).then_some(entry.role)
    }

    /// Signs a role, a time and the password that opened it, so that a changed password ends its sessions.
    fn session(&self, entry: &Entry, until: i64) -> Vec<u8> {
        let password = self.mac(b"password", entry.password.expose());
        let said = format!("{}.{until}.", entry.role.as_str());
        self.mac(b"session", &[said.as_bytes(), &password].concat())
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

/// The cookie that ends a session.
pub(crate) fn closed(secure: bool) -> String {
    cookie("", 0, secure)
}

fn cookie(session: &str, seconds: i64, secure: bool) -> String {
    let (name, only) = if secure {
        (COOKIE, "; Secure")
    } else {
        (PLAIN_COOKIE, "")
    };
    format!("{name}={session}; Path=/; Max-Age={seconds}; HttpOnly{only}; SameSite=Strict")
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

    #[test]
    fn a_password_opens_a_session_of_its_role_for_its_hours() {
        let policy = policy("operators-password");
        assert_eq!(policy.open("wrong", true, NOW), None);
        assert_eq!(policy.open("", true, NOW), None);
        let (role, cookie) = policy.open("operators-password", true, NOW).unwrap();
        assert_eq!(role, Role::Operator);
        assert_eq!(policy.role(&with(&cookie), NOW), Some(Role::Operator));
        assert_eq!(
            policy.role(&with(&cookie), NOW + 8 * 3_600_000 - 1000),
            Some(Role::Operator)
        );
        assert_eq!(policy.role(&with(&cookie), NOW + 8 * 3_600_000), None);
        assert_eq!(policy.role(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn a_changed_password_ends_its_sessions() {
        let (_, cookie) = policy("operators-password")
            .open("operators-password", true, NOW)
            .unwrap();
        assert_eq!(policy("another-password").role(&with(&cookie), NOW), None);
    }

    #[test]
    fn no_byte_of_a_session_can_be_changed() {
        let policy = policy("operators-password");
        let (_, cookie) = policy.open("viewers-password", true, NOW).unwrap();
        let pair = cookie.split(';').next().unwrap().to_owned();
        assert_eq!(policy.role(&with(&pair), NOW), Some(Role::Viewer));
        for place in COOKIE.len() + 1..pair.len() - 1 {
            let mut bytes = pair.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(policy.role(&with(&forged), NOW), None, "{forged}");
        }
        let forged = pair.replace("viewer", "operator");
        assert_eq!(policy.role(&with(&forged), NOW), None);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_with_it() {
        for (text, part) in [
            ("hunter2-hunter2", "must be {"),
            (r#"{"key":"short","sign_in":[]}"#, "key must be"),
            (
                r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[]}"#,
                "holds no password",
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
