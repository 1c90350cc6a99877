//! `WEBHOOK_AUTH` as a policy: what is accepted, checked in full when it is read.

use serde::Deserialize;

use super::{
    Unverified,
    scheme::{Basic, HeaderValue, Hmac, Scheme, StandardWebhooks},
    source::{Sources, SourcesConfig},
};
use crate::event::EpochMillis;

/// What a receiver accepts as proof of the sender. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Empty means that authentication is switched off.
    schemes: Vec<Scheme>,
    sources: Sources,
}

/// Why a text is no policy. Names the part that is wrong, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WEBHOOK_AUTH: {0}")]
pub struct PolicyError(pub(super) String);

impl PolicyError {
    pub(super) fn at(place: &str, what: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    accept: Accept,
    #[serde(default)]
    sources: SourcesConfig,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Accept {
    Word(String),
    Schemes(Vec<serde_json::Value>),
}

impl Policy {
    /// Reads a policy from its JSON text.
    ///
    /// # Errors
    /// [`PolicyError`] names the scheme and field that is unknown, missing or empty.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let config: Config = serde_json::from_str(text).map_err(|e| PolicyError(json_fault(&e)))?;
        let sources = Sources::new(config.sources)?;
        let schemes = match config.accept {
            Accept::Word(word) if word == "anything" => Vec::new(),
            Accept::Word(_) => {
                return Err(PolicyError(
                    "accept must be a list, or the word \"anything\"".into(),
                ));
            }
            Accept::Schemes(list) if list.is_empty() => {
                return Err(PolicyError(
                    "accept is empty, so nobody could send; to switch authentication off, write {\"accept\":\"anything\"}"
                        .into(),
                ));
            }
            Accept::Schemes(list) => list
                .into_iter()
                .enumerate()
                .map(|(i, config)| scheme(&format!("accept[{i}]"), config))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { schemes, sources })
    }

    /// Whether authentication is switched off.
    pub fn accepts_anything(&self) -> bool {
        self.schemes.is_empty()
    }

    /// Which addresses may send.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
        self.accepts_anything() || self.schemes.iter().any(|scheme| scheme.accepts(request, now))
    }

    /// Headers that satisfy the policy's first scheme for a body: what `sign` prints and tests send.
    pub fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        self.schemes
            .first()
            .map_or_else(Vec::new, |scheme| scheme.sign(body, now))
    }
}

fn scheme(place: &str, mut config: serde_json::Value) -> Result<Scheme, PolicyError> {
    let kind = config
        .as_object_mut()
        .and_then(|fields| fields.remove("type"))
        .and_then(|kind| kind.as_str().map(str::to_owned))
        .ok_or_else(|| PolicyError::at(place, "has no type"))?;
    let read = |e: serde_json::Error| PolicyError::at(place, json_fault(&e));
    Ok(match kind.as_str() {
        "hmac" => Scheme::Hmac(Hmac::new(place, serde_json::from_value(config).map_err(read)?)?),
        "standard-webhooks" => Scheme::StandardWebhooks(StandardWebhooks::new(
            place,
            &serde_json::from_value(config).map_err(read)?,
        )?),
        "header" => Scheme::Header(HeaderValue::new(
            place,
            serde_json::from_value(config).map_err(read)?,
        )?),
        "basic" => Scheme::Basic(Basic::new(place, serde_json::from_value(config).map_err(read)?)?),
        _ => {
            return Err(PolicyError::at(
                place,
                "type must be hmac, standard-webhooks, header or basic",
            ));
        }
    })
}

/// What serde says of the shape, which may name a field but must not quote a value: a secret in
/// the wrong place would be one.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names_only_fields = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|beginning| text.starts_with(beginning));
    if names_only_fields {
        return text.split(" at line ").next().unwrap_or_default().to_owned();
    }
    let what = if error.is_data() {
        "a field has the wrong type"
    } else {
        "not JSON"
    };
    match error.line() {
        0 => what.to_owned(),
        line => format!("{what} (line {line}, column {})", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Policy::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_policy_is_read() {
        let policy = Policy::parse(
            r#"{"accept":[
                {"type":"hmac","header":"x-webhook-signature","algorithm":"sha256","encoding":"hex","prefix":"sha256=","secrets":["new","old"]},
                {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["s3cr3t"]},
                {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
                {"type":"header","name":"x-netcore-token","values":["t0ken"]},
                {"type":"basic","username":"netcore","passwords":["passw0rd"]}],
              "sources":{"mode":"enforce","allow":["3.109.231.61/32"],"preset":"netcore"}}"#,
        )
        .unwrap();
        assert!(!policy.accepts_anything());
        let shown = format!("{policy:?}");
        for secret in ["new", "old", "s3cr3t", "MfKQ", "t0ken", "passw0rd"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("[REDACTED]"));
    }

    #[test]
    fn a_fault_is_named_at_start() {
        for (text, says) in [
            ("", "WEBHOOK_AUTH: not JSON (line 1, column 0)"),
            ("{}", "WEBHOOK_AUTH: missing field `accept`"),
            (
                r#"{"accept":"all"}"#,
                "WEBHOOK_AUTH: accept must be a list, or the word \"anything\"",
            ),
            (
                r#"{"accept":[],"x":1}"#,
                "WEBHOOK_AUTH: unknown field `x`, expected `accept` or `sources`",
            ),
            (
                r#"{"accept":[{"name":"x"}]}"#,
                "WEBHOOK_AUTH: accept[0]: has no type",
            ),
            (
                r#"{"accept":[{"type":"magic"}]}"#,
                "WEBHOOK_AUTH: accept[0]: type must be hmac, standard-webhooks, header or basic",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x","values":[]}]}"#,
                "WEBHOOK_AUTH: accept[0].values: is empty",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x","values":["a",""]}]}"#,
                "WEBHOOK_AUTH: accept[0].values[1]: is empty",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x y","values":["a"]}]}"#,
                "WEBHOOK_AUTH: accept[0].name: is not a header name",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a"],"alg":"sha1"}]}"#,
                "WEBHOOK_AUTH: accept[0]: unknown field `alg`, expected one of `header`, `algorithm`, `encoding`, `prefix`, `timestamp_header`, `signed`, `tolerance_seconds`, `secrets`",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a"],"signed":"{time}{body}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: knows only {timestamp} and {body}",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a"],"signed":"{timestamp}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: must hold {body} once",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a"],"timestamp_header":"t"}]}"#,
                "WEBHOOK_AUTH: accept[0]: timestamp_header and {timestamp} in signed go together: an unsigned time proves nothing",
            ),
            (
                r#"{"accept":[{"type":"standard-webhooks","secrets":["whsec_!!"]}]}"#,
                "WEBHOOK_AUTH: accept[0].secrets[0]: is not base64 after whsec_",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"sometimes"}}"#,
                "WEBHOOK_AUTH: sources.mode: must be off, report or enforce",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"enforce"}}"#,
                "WEBHOOK_AUTH: sources: mode enforce needs allow or preset, else nobody could send",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"report","allow":["3.109.231.61/40"]}}"#,
                "WEBHOOK_AUTH: sources.allow[0]: is not an address or a CIDR block",
            ),
        ] {
            assert_eq!(fault(text), says, "{text}");
        }
        assert!(fault(r#"{"accept":[]}"#).contains("accept is empty"));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_quoted() {
        for text in [
            r#"{"accept":[{"type":"header","name":"x","values":"hunter2"}]}"#,
            r#"{"accept":{"hunter2":1}}"#,
            r#"{"accept":[{"type":"basic","username":"n","passwords":[{"hunter2":"x"}]}]}"#,
            r#"{"accept":[{"type":"hunter2"}]}"#,
            r#""hunter2"#,
        ] {
            assert!(!fault(text).contains("hunter2"), "{}", fault(text));
        }
    }

    #[test]
    fn only_one_wording_switches_authentication_off() {
        assert!(
            Policy::parse(r#"{"accept":"anything"}"#)
                .unwrap()
                .accepts_anything()
        );
    }
}
