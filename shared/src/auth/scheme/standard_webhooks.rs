//! The signatures of Standard Webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;

use super::{
    ALLOW_WEAK, Transmission, any_equal, fresh, hmac::Algorithm, one, secret_texts, tolerance, values,
};
use crate::{
    auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields},
    event::EpochMillis,
};

/// The scheme's fields in the policy.
pub(super) const FIELDS: &[&str] = &["type", "secrets", "tolerance_seconds", ALLOW_WEAK];

/// Standard Webhooks, symmetric signatures (`v1`):
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct StandardWebhooks {
    secrets: Vec<Secret>,
    tolerance_seconds: u32,
}

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

impl StandardWebhooks {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let path = fields.at("secrets");
        let secrets = secret_texts(&mut fields, "secrets", Transmission::Encoded)?
            .iter()
            .enumerate()
            .map(|(i, secret)| {
                STANDARD
                    .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
                    .map(Secret::new)
                    .map_err(|_| PolicyError::at(&format!("{path}[{i}]"), "is not base64 after whsec_"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            secrets,
            tolerance_seconds: tolerance(&mut fields)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        let ours = [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE];
        if !ours.iter().any(|name| request.headers.contains_key(name)) {
            return Err(Refusal::None);
        }
        let incomplete = |_| Refusal::Unknown;
        let id = one(request.headers, &WEBHOOK_ID).map_err(incomplete)?;
        let timestamp = one(request.headers, &WEBHOOK_TIMESTAMP).map_err(incomplete)?;
        fresh(timestamp, self.tolerance_seconds, now)?;
        // Signatures are separated by spaces. If a platform joined two headers with a comma, the next
        // signature still begins at `v1,`, since base64 contains no comma.
        let signatures = values(request.headers, &WEBHOOK_SIGNATURE)
            .flat_map(str::split_ascii_whitespace)
            .flat_map(|token| token.split("v1,").skip(1))
            .filter_map(|text| STANDARD.decode(text.trim_end_matches(',')).ok());
        let macs = self
            .secrets
            .iter()
            .map(|s| mac_v1(s, id, timestamp, request.body));
        any_equal(signatures, macs)
    }

    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        let (id, timestamp) = (format!("msg_{now}"), (now / 1000).to_string());
        let Some(secret) = self.secrets.first() else {
            return Vec::new();
        };
        let signature = STANDARD.encode(mac_v1(secret, &id, &timestamp, body));
        vec![
            (WEBHOOK_ID.to_string(), id),
            (WEBHOOK_TIMESTAMP.to_string(), timestamp),
            (WEBHOOK_SIGNATURE.to_string(), format!("v1,{signature}")),
        ]
    }
}

fn mac_v1(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    Algorithm::Sha256.mac(secret, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}
