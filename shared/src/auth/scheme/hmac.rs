//! An HMAC of the body in a header, optionally with a time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac as HmacOf;
use http::HeaderName;
use sha2::{Sha256, Sha512};

use super::{
    ALLOW_WEAK, Transmission, any_equal, fresh, header_name, one, secrets, signatures, signed::Signed,
    tolerance, values,
};
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
    pub(super) fn mac(self, secret: &Secret, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
        fn run<M: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
            // HMAC takes keys of any length, so this cannot fail. An empty MAC would match nothing.
            let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else {
                return Vec::new();
            };
            for part in parts {
                mac.update(part.as_ref());
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
pub(super) enum Encoding {
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

/// Where a signature is, and what it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) header: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) prefix: &'static str,
    /// The header with the signed time.
    pub(super) timestamp_header: Option<&'static str>,
    /// The template of the signed bytes.
    pub(super) signed: &'static str,
}

/// An HMAC of the body in a header, optionally with a time and other headers.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Hmac {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
    timestamp_header: Option<HeaderName>,
    signed: Signed,
    tolerance_seconds: u32,
    secrets: Vec<Secret>,
}

impl Hmac {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let signed = fields.text("signed")?;
        let signed = Signed::read(&fields.at("signed"), signed.as_deref().unwrap_or("{body}"))?;
        let header = fields.required_text("header")?;
        let header = header_name(&fields.at("header"), &header)?;
        let timestamp_header = fields
            .text("timestamp_header")?
            .map(|name| header_name(&fields.at("timestamp_header"), &name))
            .transpose()?;
        let algorithms = [("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        let scheme = Self {
            header,
            algorithm: fields.word("algorithm", &algorithms)?.unwrap_or_default(),
            encoding: fields.word("encoding", &encodings)?.unwrap_or_default(),
            prefix: prefix(&mut fields)?,
            timestamp_header,
            signed,
            tolerance_seconds: tolerance(&mut fields)?,
            secrets: secrets(&mut fields, "secrets", Transmission::Encoded)?,
        };
        scheme.check_headers(&fields)?;
        Ok(scheme)
    }

    /// The scheme of a known sender. `fields` can contain a tolerance.
    pub(super) fn preset(
        layout: &Layout,
        mut fields: Fields,
        secrets: Vec<Secret>,
    ) -> Result<Self, PolicyError> {
        let scheme = Self {
            header: HeaderName::from_static(layout.header),
            algorithm: layout.algorithm,
            encoding: layout.encoding,
            prefix: layout.prefix.to_owned(),
            timestamp_header: layout.timestamp_header.map(HeaderName::from_static),
            signed: Signed::read(&fields.path, layout.signed)?,
            tolerance_seconds: tolerance(&mut fields)?,
            secrets,
        };
        scheme.check_headers(&fields)?;
        Ok(scheme)
    }

    /// # Errors
    /// If a header has two meanings, or the time is not signed.
    fn check_headers(&self, fields: &Fields) -> Result<(), PolicyError> {
        let is_signed = |name: &HeaderName| self.signed.headers().any(|signed| signed == name);
        if self.timestamp_header.as_ref() == Some(&self.header) {
            return Err(PolicyError::at(
                &fields.at("timestamp_header"),
                "is the header of the signature; one value cannot be both",
            ));
        }
        if is_signed(&self.header) {
            return Err(PolicyError::at(
                &fields.at("signed"),
                "contains the header of the signature, which cannot sign itself",
            ));
        }
        let time_is_signed = match &self.timestamp_header {
            None => !self.signed.has_timestamp(),
            Some(name) => self.signed.has_timestamp() || is_signed(name),
        };
        if !time_is_signed {
            return Err(PolicyError::at(
                &fields.path,
                "timestamp_header and {timestamp} in signed must be used together: an unsigned time proves nothing",
            ));
        }
        Ok(())
    }

    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        if !request.headers.contains_key(&self.header) {
            return Err(Refusal::None);
        }
        // There is a signature; without what it signs, its form is unknown.
        let header = |name: &HeaderName| one(request.headers, name).map_err(|_| Refusal::Unknown);
        let timestamp = match &self.timestamp_header {
            None => "",
            Some(name) => {
                let text = header(name)?;
                fresh(text, self.tolerance_seconds, now)?;
                text
            }
        };
        let sent = values(request.headers, &self.header)
            .flat_map(|value| value.split(','))
            .filter_map(|text| {
                self.encoding
                    .decode(text.trim().strip_prefix(self.prefix.as_str())?)
            });
        let sent = signatures(sent)?;
        let signed = self.signed.parts(request.body, timestamp, header)?;
        let macs = self.secrets.iter().map(|s| self.algorithm.mac(s, &signed));
        any_equal(&sent, macs)
    }

    /// Headers for a body. None for a body without the signed part.
    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        let timestamp = (now / 1000).to_string();
        // Other signed headers are nonces.
        let nonce = format!("nonce-{now}");
        let value = |name: &HeaderName| match &self.timestamp_header {
            Some(header) if header == name => timestamp.as_str(),
            _ => nonce.as_str(),
        };
        let Some(secret) = self.secrets.first() else {
            return Vec::new();
        };
        let Ok(signed) = self.signed.parts(body, &timestamp, |name| Ok(value(name))) else {
            return Vec::new();
        };
        let signature = self.encoding.encode(&self.algorithm.mac(secret, &signed));
        let mut headers = vec![(self.header.to_string(), format!("{}{signature}", self.prefix))];
        for name in self.timestamp_header.iter().chain(self.signed.headers()) {
            if !headers.iter().any(|(other, _)| other == name.as_str()) {
                headers.push((name.to_string(), value(name).to_owned()));
            }
        }
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
