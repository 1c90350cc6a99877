//! An HMAC of the body in a header, optionally with a time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac as HmacOf;
use http::HeaderName;
use sha2::{Sha256, Sha512};

use super::{ALLOW_WEAK, Transmission, any_equal, fresh, header_name, one, secrets, tolerance, values};
use crate::{
    auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields},
    event::EpochMillis,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(super) fn mac(self, secret: &Secret, parts: &[&[u8]]) -> Vec<u8> {
        fn run<M: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            // HMAC takes keys of any length, so this cannot fail. An empty MAC would match nothing.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// The scheme's fields in the policy.
pub(super) const FIELDS: &[&str] = &[
    "type",
    "header",
    "algorithm",
    "encoding",
    "prefix",
    "timestamp_header",
    "signed",
    "tolerance_seconds",
    "secrets",
    ALLOW_WEAK,
];

/// An HMAC of the body in a header, optionally with a time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Hmac {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
    timestamp_header: Option<HeaderName>,
    /// The signed text: the pieces around `{timestamp}` and `{body}`.
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
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let signed = fields.text("signed")?;
        let signed = pieces(&fields.at("signed"), signed.as_deref().unwrap_or("{body}"))?;
        let timestamp_header = fields.text("timestamp_header")?;
        if timestamp_header.is_some() != signed.contains(&Piece::Timestamp) {
            return Err(PolicyError::at(
                &fields.path,
                "timestamp_header and {timestamp} in signed must be used together: an unsigned time proves nothing",
            ));
        }
        let header = fields.required_text("header")?;
        let header = header_name(&fields.at("header"), &header)?;
        let timestamp_header = timestamp_header
            .map(|name| header_name(&fields.at("timestamp_header"), &name))
            .transpose()?;
        if timestamp_header.as_ref() == Some(&header) {
            return Err(PolicyError::at(
                &fields.at("timestamp_header"),
                "is the header of the signature; one value cannot be both",
            ));
        }
        let algorithms = [("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        Ok(Self {
            header,
            algorithm: fields.word("algorithm", &algorithms)?.unwrap_or_default(),
            encoding: fields.word("encoding", &encodings)?.unwrap_or_default(),
            prefix: prefix(&mut fields)?,
            timestamp_header,
            signed,
            tolerance_seconds: tolerance(&mut fields)?,
            secrets: secrets(&mut fields, "secrets", Transmission::Encoded)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        if !request.headers.contains_key(&self.header) {
            return Err(Refusal::None);
        }
        let timestamp = match &self.timestamp_header {
            None => "",
            Some(name) => {
                // There is a signature; without a time, its form is unknown.
                let text = one(request.headers, name).map_err(|_| Refusal::Unknown)?;
                fresh(text, self.tolerance_seconds, now)?;
                text
            }
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

/// The prefix of a signature. Header values are split at commas and trimmed before the prefix is removed.
fn prefix(fields: &mut Fields) -> Result<String, PolicyError> {
    let prefix = fields.text("prefix")?.unwrap_or_default();
    let can_be_sent = |c: char| (c.is_ascii_graphic() || c == ' ') && c != ',';
    if prefix.starts_with(' ') || !prefix.chars().all(can_be_sent) {
        return Err(PolicyError::at(
            &fields.at("prefix"),
            "can never match: it begins with a blank, or contains a comma or an invalid header character",
        ));
    }
    Ok(prefix)
}

fn pieces(path: &str, template: &str) -> Result<Vec<Piece>, PolicyError> {
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
            _ => return Err(PolicyError::at(path, "supports only {timestamp} and {body}")),
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if pieces.iter().filter(|p| **p == Piece::Body).count() != 1 {
        return Err(PolicyError::at(path, "must contain {body} once"));
    }
    Ok(pieces)
}
