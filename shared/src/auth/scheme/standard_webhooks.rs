//! The signatures of Standard Webhooks, and of Svix, which differ in the headers' names.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;

use super::{
    ALLOW_WEAK, Transmission, any_equal, fresh, hmac::Algorithm, one, secret_list, signatures, tolerance,
    values,
};
use crate::{
    auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields},
    event::EpochMillis,
};

/// The scheme's fields in the policy.
pub(super) const FIELDS: &[&str] = &["type", "secrets", "headers", "tolerance_seconds", ALLOW_WEAK];

/// Standard Webhooks, symmetric signatures (`v1`):
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct StandardWebhooks {
    names: Names,
    secrets: Vec<Secret>,
    tolerance_seconds: u32,
}

/// The names of the three headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Names {
    /// The specification's: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[default]
    Webhook,
    /// Svix's: `svix-id`, `svix-timestamp`, `svix-signature`.
    /// <https://docs.svix.com/receiving/verifying-payloads/how-manual>
    Svix,
}

impl Names {
    /// The headers of id, time and signature.
    fn headers(self) -> [HeaderName; 3] {
        match self {
            Self::Webhook => ["webhook-id", "webhook-timestamp", "webhook-signature"],
            Self::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
        }
        .map(HeaderName::from_static)
    }
}

impl StandardWebhooks {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let names = [("webhook", Names::Webhook), ("svix", Names::Svix)];
        let names = fields.word("headers", &names)?.unwrap_or_default();
        let allow_weak = fields.flag(ALLOW_WEAK)?;
        Self::new(&mut fields, names, allow_weak)
    }

    /// Reads secrets and tolerance.
    pub(super) fn new(fields: &mut Fields, names: Names, allow_weak: bool) -> Result<Self, PolicyError> {
        let path = fields.at("secrets");
        let secrets = secret_list(fields, "secrets", Transmission::Encoded, allow_weak)?
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
            names,
            secrets,
            tolerance_seconds: tolerance(fields)?,
        })
    }

    /// The same scheme with other headers.
    pub(super) fn named(&self, names: Names) -> Self {
        Self {
            names,
            ..self.clone()
        }
    }

    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        let headers = self.names.headers();
        if !headers.iter().any(|name| request.headers.contains_key(name)) {
            return Err(Refusal::None);
        }
        let [id, timestamp, signature] = &headers;
        let incomplete = |_| Refusal::Unknown;
        let id = one(request.headers, id).map_err(incomplete)?;
        let timestamp = one(request.headers, timestamp).map_err(incomplete)?;
        fresh(timestamp, self.tolerance_seconds, now)?;
        // Signatures are separated by spaces. If a platform joined two headers with a comma, the next
        // signature still begins at `v1,`, since base64 contains no comma.
        let sent = values(request.headers, signature)
            .flat_map(str::split_ascii_whitespace)
            .flat_map(|token| token.split("v1,").skip(1))
            .filter_map(|text| STANDARD.decode(text.trim_end_matches(',')).ok());
        let sent = signatures(sent)?;
        let macs = self
            .secrets
            .iter()
            .map(|s| mac_v1(s, id, timestamp, request.body));
        any_equal(&sent, macs)
    }

    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        let (id, timestamp) = (format!("msg_{now}"), (now / 1000).to_string());
        let Some(secret) = self.secrets.first() else {
            return Vec::new();
        };
        let signature = STANDARD.encode(mac_v1(secret, &id, &timestamp, body));
        let values = [id, timestamp, format!("v1,{signature}")];
        let headers = self.names.headers();
        headers.iter().map(HeaderName::to_string).zip(values).collect()
    }
}

fn mac_v1(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    Algorithm::Sha256.mac(secret, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}
