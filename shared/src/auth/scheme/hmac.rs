//! A keyed digest of the body in a header, alone or together with a time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac as HmacOf;
use http::HeaderName;
use serde::Deserialize;
use sha2::{Sha256, Sha512};

use super::{DEFAULT_TOLERANCE_SECONDS, any_equal, header_name, is_fresh, not_empty, one, values};
use crate::{
    auth::{PolicyError, Secret, Unverified},
    event::EpochMillis,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(super) fn mac(self, secret: &Secret, parts: &[&[u8]]) -> Vec<u8> {
        fn run<M: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            // HMAC takes keys of any length, so this cannot fail; an empty MAC would match nothing.
            let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else {
                return Vec::new();
            };
            for part in parts {
                mac.update(part);
            }
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => run::<HmacOf<Sha256>>(secret.expose(), parts),
            Self::Sha512 => run::<HmacOf<Sha512>>(secret.expose(), parts),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Hex,
    Base64,
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::auth) struct HmacConfig {
    header: String,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    prefix: String,
    timestamp_header: Option<String>,
    signed: Option<String>,
    tolerance_seconds: Option<u32>,
    secrets: Vec<Secret>,
}

/// A keyed digest of the body in a header, optionally together with a time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Hmac {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
    timestamp_header: Option<HeaderName>,
    /// What is signed, as the pieces around `{timestamp}` and `{body}`.
    signed: Vec<Piece>,
    tolerance_seconds: u32,
    secrets: Vec<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Timestamp,
    Body,
}

impl Hmac {
    pub(in crate::auth) fn new(place: &str, config: HmacConfig) -> Result<Self, PolicyError> {
        let signed = pieces(
            &format!("{place}.signed"),
            config.signed.as_deref().unwrap_or("{body}"),
        )?;
        if config.timestamp_header.is_some() != signed.contains(&Piece::Timestamp) {
            return Err(PolicyError::at(
                place,
                "timestamp_header and {timestamp} in signed go together: an unsigned time proves nothing",
            ));
        }
        Ok(Self {
            header: header_name(&format!("{place}.header"), &config.header)?,
            algorithm: config.algorithm,
            encoding: config.encoding,
            prefix: config.prefix,
            timestamp_header: config
                .timestamp_header
                .map(|name| header_name(&format!("{place}.timestamp_header"), &name))
                .transpose()?,
            signed,
            tolerance_seconds: config.tolerance_seconds.unwrap_or(DEFAULT_TOLERANCE_SECONDS),
            secrets: not_empty(&format!("{place}.secrets"), config.secrets)?,
        })
    }

    pub(super) fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
        let timestamp = match &self.timestamp_header {
            None => "",
            Some(name) => match one(request.headers, name) {
                Some(text) if is_fresh(text, self.tolerance_seconds, now) => text,
                _ => return false,
            },
        };
        let signatures = values(request.headers, &self.header)
            .flat_map(|value| value.split(','))
            .filter_map(|text| {
                self.encoding
                    .decode(text.trim().strip_prefix(self.prefix.as_str())?)
            });
        let macs = self.secrets.iter().map(|s| self.mac(s, timestamp, request.body));
        any_equal(signatures, macs)
    }

    fn mac(&self, secret: &Secret, timestamp: &str, body: &[u8]) -> Vec<u8> {
        let parts: Vec<&[u8]> = self
            .signed
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Timestamp => timestamp.as_bytes(),
                Piece::Body => body,
            })
            .collect();
        self.algorithm.mac(secret, &parts)
    }

    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        let timestamp = (now / 1000).to_string();
        let Some(secret) = self.secrets.first() else {
            return Vec::new();
        };
        let signature = self.encoding.encode(&self.mac(secret, &timestamp, body));
        let mut headers = vec![(self.header.to_string(), format!("{}{signature}", self.prefix))];
        headers.extend(
            self.timestamp_header
                .iter()
                .map(|name| (name.to_string(), timestamp.clone())),
        );
        headers
    }
}

fn pieces(place: &str, template: &str) -> Result<Vec<Piece>, PolicyError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        pieces.push(match name {
            "timestamp" => Piece::Timestamp,
            "body" => Piece::Body,
            _ => return Err(PolicyError::at(place, "knows only {timestamp} and {body}")),
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if pieces.iter().filter(|p| **p == Piece::Body).count() != 1 {
        return Err(PolicyError::at(place, "must hold {body} once"));
    }
    Ok(pieces)
}
