//! The senders of `init`: the scheme of each, and what to enter in its settings.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::plan::Setting;

/// A sender, or a scheme for any sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sender {
    /// Netcore RCS, SMS fallback, WhatsApp and e-mail: a custom header.
    Netcore,
    /// Meta WhatsApp Cloud API: needs the app secret.
    Meta,
    /// Google RCS for Business: needs the client token.
    GoogleRbm,
    /// Sinch Conversation API.
    Sinch,
    /// 360dialog, not a partner: a custom header.
    #[value(name = "360dialog")]
    Dialog360,
    /// 360dialog, partner: needs the platform secret.
    #[value(name = "360dialog-partner")]
    Dialog360Partner,
    /// Paytm Pi: a bearer token.
    PaytmPi,
    /// Svix: needs the endpoint's signing secret.
    Svix,
    /// Any sender that implements Standard Webhooks.
    StandardWebhooks,
    /// Any sender with a custom header.
    Header,
    /// Any sender that signs the body with HMAC-SHA256.
    Hmac,
    /// Any sender with a user name and a password.
    Basic,
    /// Any sender with a bearer token.
    Bearer,
    /// Any sender that can set only a URL. The secret then appears in logs of URLs.
    Query,
}

/// A scheme of a policy, with its secrets.
pub(super) struct Scheme {
    /// An element of `accept`.
    pub(super) value: Value,
    pub(super) settings: Vec<Setting>,
}

/// Names that the user chooses.
pub(super) struct Names<'n> {
    pub(super) header: Option<&'n str>,
    pub(super) username: &'n str,
}

impl Sender {
    /// What the sender itself creates and shows; `None` if the secret can be any text.
    pub(super) fn issues(self) -> Option<&'static str> {
        match self {
            Self::Meta => Some("the app secret (App settings › Basic)"),
            Self::GoogleRbm => Some("the client token of the webhook"),
            Self::Dialog360Partner => Some("the platform secret"),
            Self::Svix => Some("the signing secret of the endpoint (whsec_…)"),
            _ => None,
        }
    }

    /// Whether `--header` applies.
    pub(super) fn has_header(self) -> bool {
        matches!(self, Self::Netcore | Self::Dialog360 | Self::Header | Self::Hmac)
    }

    /// A new secret of 256 bits in the form of the sender.
    pub(super) fn secret(self, random: &[u8; 32]) -> String {
        match self {
            Self::StandardWebhooks => format!("whsec_{}", STANDARD.encode(random)),
            _ => hex::encode(random),
        }
    }

    /// The scheme with a secret. `verify` is for a handshake, where the sender has one.
    pub(super) fn scheme(self, secret: &str, verify: &str, names: &Names<'_>) -> Scheme {
        let header = |default| names.header.unwrap_or(default);
        let by_header = |default: &'static str| {
            let name = header(default);
            Scheme {
                value: json!({"type": "header", "name": name, "values": [secret]}),
                settings: vec![
                    Setting::new("header name", name),
                    Setting::new("header value", secret),
                ],
            }
        };
        match self {
            Self::Netcore => by_header("x-netcore-token"),
            Self::Dialog360 | Self::Header => by_header("x-webhook-token"),
            Self::Meta => Scheme {
                value: json!({"preset": "meta", "secrets": [secret], "verify_token": verify}),
                settings: vec![Setting::new("verify token", verify)],
            },
            Self::GoogleRbm => preset("google-rbm", secret, Vec::new()),
            Self::Dialog360Partner => preset("360dialog", secret, Vec::new()),
            Self::Svix => preset("svix", secret, Vec::new()),
            Self::Sinch => preset("sinch", secret, vec![Setting::new("webhook secret", secret)]),
            Self::PaytmPi => preset("paytm-pi", secret, vec![Setting::new("bearer token", secret)]),
            Self::StandardWebhooks => Scheme {
                value: json!({"type": "standard-webhooks", "secrets": [secret]}),
                settings: vec![Setting::new("signing secret", secret)],
            },
            Self::Hmac => {
                let name = header("x-webhook-signature");
                Scheme {
                    value: json!({
                        "type": "hmac", "header": name, "algorithm": "sha256", "encoding": "hex",
                        "prefix": "sha256=", "secrets": [secret],
                    }),
                    settings: vec![
                        Setting::new("signature header", name),
                        Setting::new("signature", "sha256=<HMAC-SHA256 of the body, hexadecimal>"),
                        Setting::new("HMAC secret", secret),
                    ],
                }
            }
            Self::Basic => Scheme {
                value: json!({"type": "basic", "username": names.username, "passwords": [secret]}),
                settings: vec![
                    Setting::new("user name", names.username),
                    Setting::new("password", secret),
                ],
            },
            Self::Bearer => Scheme {
                value: json!({"type": "bearer", "tokens": [secret]}),
                settings: vec![Setting::new("bearer token", secret)],
            },
            Self::Query => Scheme {
                value: json!({"type": "query", "name": "token", "values": [secret]}),
                settings: vec![Setting::new("end of the URL", &format!("?token={secret}"))],
            },
        }
    }
}

fn preset(name: &str, secret: &str, settings: Vec<Setting>) -> Scheme {
    Scheme {
        value: json!({"preset": name, "secrets": [secret]}),
        settings,
    }
}

#[cfg(test)]
mod tests {
    use webhook_ingest::auth::Policy;

    use super::*;

    #[test]
    fn every_sender_has_a_valid_policy_without_weak_secrets() {
        let names = Names {
            header: None,
            username: "netcore",
        };
        for sender in Sender::value_variants() {
            let secret = match sender {
                Sender::Svix => Sender::StandardWebhooks.secret(&[7; 32]),
                other => other.secret(&[7; 32]),
            };
            let scheme = sender.scheme(&secret, &"v".repeat(64), &names);
            assert!(!scheme.value.to_string().contains("allow_weak"));
            let policy = json!({"accept": [scheme.value]}).to_string();
            assert!(Policy::parse(&policy).is_ok(), "{policy}");
            // A secret that the sender shows must not be entered there again.
            let entered = scheme
                .settings
                .iter()
                .any(|setting| setting.value.contains(&secret));
            assert_eq!(entered, sender.issues().is_none(), "{sender:?}");
        }
    }
}
