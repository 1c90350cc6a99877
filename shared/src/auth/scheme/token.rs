//! A secret that is sent as it is: a token in a header, or a password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{header_name, not_empty, one};
use crate::auth::{PolicyError, Secret, Unverified};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::auth) struct HeaderValueConfig {
    name: String,
    values: Vec<Secret>,
}

/// A token in a header: what Netcore calls the custom header of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct HeaderValue {
    name: HeaderName,
    values: Vec<Secret>,
}

impl HeaderValue {
    pub(in crate::auth) fn new(place: &str, config: HeaderValueConfig) -> Result<Self, PolicyError> {
        Ok(Self {
            name: header_name(&format!("{place}.name"), &config.name)?,
            values: not_empty(&format!("{place}.values"), config.values)?,
        })
    }

    pub(super) fn accepts(&self, request: Unverified<'_>) -> bool {
        one(request.headers, &self.name).is_some_and(|sent| any_secret(&self.values, sent.as_bytes()))
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        vec![(self.name.to_string(), shown(self.values.first()))]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::auth) struct BasicConfig {
    username: String,
    passwords: Vec<Secret>,
}

/// HTTP Basic, RFC 7617.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Basic {
    username: String,
    passwords: Vec<Secret>,
}

impl Basic {
    pub(in crate::auth) fn new(place: &str, config: BasicConfig) -> Result<Self, PolicyError> {
        if config.username.is_empty() || config.username.contains(':') {
            return Err(PolicyError::at(
                &format!("{place}.username"),
                "must not be empty or hold a colon",
            ));
        }
        Ok(Self {
            username: config.username,
            passwords: not_empty(&format!("{place}.passwords"), config.passwords)?,
        })
    }

    pub(super) fn accepts(&self, request: Unverified<'_>) -> bool {
        let sent = one(request.headers, &http::header::AUTHORIZATION).and_then(|value| {
            let (scheme, credentials) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("basic").then_some(())?;
            STANDARD.decode(credentials.trim()).ok()
        });
        let Some(sent) = sent else { return false };
        let mut parts = sent.splitn(2, |byte| *byte == b':');
        let (username, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let same_name = equal(username, self.username.as_bytes());
        any_secret(&self.passwords, password) & same_name
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        let pair = format!("{}:{}", self.username, shown(self.passwords.first()));
        vec![("authorization".into(), format!("Basic {}", STANDARD.encode(pair)))]
    }
}

fn shown(secret: Option<&Secret>) -> String {
    String::from_utf8_lossy(secret.map_or(&[], |s| s.expose())).into_owned()
}

/// Whether the sent value is any of the secrets; all are compared, and by digest, so that time
/// tells neither which one nor how long it is.
fn any_secret(secrets: &[Secret], sent: &[u8]) -> bool {
    secrets
        .iter()
        .fold(false, |found, secret| found | equal(secret.expose(), sent))
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}
