//! A secret that is sent unchanged: a token in a header, or a password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{ALLOW_WEAK, Transmission, header_name, matched, one, secrets};
use crate::auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields};

/// The token scheme's fields in the policy.
pub(super) const HEADER_FIELDS: &[&str] = &["type", "name", "values", ALLOW_WEAK];

/// A token in a header. Netcore calls it the custom header of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct HeaderValue {
    name: HeaderName,
    values: Vec<Secret>,
}

impl HeaderValue {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let name = fields.required_text("name")?;
        Ok(Self {
            name: header_name(&fields.at("name"), &name)?,
            values: secrets(&mut fields, "values", Transmission::Verbatim)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let sent = one(request.headers, &self.name)?;
        matched(any_secret(&self.values, sent.as_bytes()))
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        vec![(self.name.to_string(), shown(self.values.first()))]
    }
}

/// The password scheme's fields in the policy.
pub(super) const BASIC_FIELDS: &[&str] = &["type", "username", "passwords", ALLOW_WEAK];

/// HTTP Basic, RFC 7617.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Basic {
    username: String,
    passwords: Vec<Secret>,
}

impl Basic {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let username = fields.required_text("username")?;
        // RFC 7617 ends a name at the first colon and forbids control characters.
        if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) {
            return Err(PolicyError::at(
                &fields.at("username"),
                "must not be empty or contain a colon or a control character",
            ));
        }
        Ok(Self {
            username,
            passwords: secrets(&mut fields, "passwords", Transmission::Encoded)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let value = one(request.headers, &http::header::AUTHORIZATION)?;
        let sent = credentials(value).ok_or(Refusal::Unknown)?;
        let mut parts = sent.splitn(2, |byte| *byte == b':');
        let (username, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let same_name = equal(username, self.username.as_bytes());
        matched(any_secret(&self.passwords, password) & same_name)
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        let pair = format!("{}:{}", self.username, shown(self.passwords.first()));
        vec![("authorization".into(), format!("Basic {}", STANDARD.encode(pair)))]
    }
}

/// The name and password in an `Authorization` header.
fn credentials(value: &str) -> Option<Vec<u8>> {
    let (scheme, credentials) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(())?;
    STANDARD.decode(credentials.trim()).ok()
}

fn shown(secret: Option<&Secret>) -> String {
    String::from_utf8_lossy(secret.map_or(&[], |s| s.expose())).into_owned()
}

/// Whether the sent value equals a secret. Compares the digests of all secrets, so that the time reveals
/// neither which secret matched nor its length.
fn any_secret(secrets: &[Secret], sent: &[u8]) -> bool {
    secrets
        .iter()
        .fold(false, |found, secret| found | equal(secret.expose(), sent))
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}
