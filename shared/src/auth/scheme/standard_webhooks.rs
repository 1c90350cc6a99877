//! The signatures of Standard Webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use serde::Deserialize;

use super::{DEFAULT_TOLERANCE_SECONDS, any_equal, hmac::Algorithm, is_fresh, not_empty, one, values};
use crate::{
    auth::{PolicyError, Secret, Unverified},
    event::EpochMillis,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::auth) struct StandardWebhooksConfig {
    secrets: Vec<String>,
    tolerance_seconds: Option<u32>,
}

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
    pub(in crate::auth) fn new(place: &str, config: &StandardWebhooksConfig) -> Result<Self, PolicyError> {
        let place = format!("{place}.secrets");
        let secrets = config
            .secrets
            .iter()
            .enumerate()
            .map(|(i, secret)| {
                STANDARD
                    .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
                    .map(Secret::new)
                    .map_err(|_| PolicyError::at(&format!("{place}[{i}]"), "is not base64 after whsec_"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            secrets: not_empty(&place, secrets)?,
            tolerance_seconds: config.tolerance_seconds.unwrap_or(DEFAULT_TOLERANCE_SECONDS),
        })
    }

    pub(super) fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
        let (Some(id), Some(timestamp)) = (
            one(request.headers, &WEBHOOK_ID),
            one(request.headers, &WEBHOOK_TIMESTAMP),
        ) else {
            return false;
        };
        if !is_fresh(timestamp, self.tolerance_seconds, now) {
            return false;
        }
        // Separated by spaces; where a platform joined two headers with a comma, a new one begins at
        // `v1,` all the same, since base64 holds no comma.
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
