//! The four ways to prove who sent a body. Each takes the same three things: its configuration
//! (checked at start), the request, and the time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac as HmacOf;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::{PolicyError, Secret, Unverified};
use crate::event::EpochMillis;

/// A sender who repeats a signature header has a reason (rotation); one who repeats it a
/// thousand times wants our CPU.
const MOST_SIGNATURES: usize = 8;

/// One accepted way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scheme {
    Hmac(Hmac),
    StandardWebhooks(StandardWebhooks),
    Header(HeaderValue),
    Basic(Basic),
}

impl Scheme {
    pub(super) fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
        match self {
            Self::Hmac(scheme) => scheme.accepts(request, now),
            Self::StandardWebhooks(scheme) => scheme.accepts(request, now),
            Self::Header(scheme) => scheme.accepts(request),
            Self::Basic(scheme) => scheme.accepts(request),
        }
    }

    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        match self {
            Self::Hmac(scheme) => scheme.sign(body, now),
            Self::StandardWebhooks(scheme) => scheme.sign(body, now),
            Self::Header(scheme) => vec![(scheme.name.to_string(), shown(scheme.values.first()))],
            Self::Basic(scheme) => {
                let pair = format!("{}:{}", scheme.username, shown(scheme.passwords.first()));
                vec![("authorization".into(), format!("Basic {}", STANDARD.encode(pair)))]
            }
        }
    }
}

fn shown(secret: Option<&Secret>) -> String {
    String::from_utf8_lossy(secret.map_or(&[], |s| s.expose())).into_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

impl Algorithm {
    fn mac(self, secret: &Secret, parts: &[&[u8]]) -> Vec<u8> {
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
pub(super) struct HmacConfig {
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
pub(super) struct Hmac {
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

const DEFAULT_TOLERANCE_SECONDS: u32 = 300;

impl Hmac {
    pub(super) fn new(place: &str, config: HmacConfig) -> Result<Self, PolicyError> {
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

    fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
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

    fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StandardWebhooksConfig {
    secrets: Vec<String>,
    tolerance_seconds: Option<u32>,
}

/// Standard Webhooks, symmetric signatures (`v1`):
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StandardWebhooks {
    secrets: Vec<Secret>,
    tolerance_seconds: u32,
}

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

impl StandardWebhooks {
    pub(super) fn new(place: &str, config: &StandardWebhooksConfig) -> Result<Self, PolicyError> {
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

    fn accepts(&self, request: Unverified<'_>, now: EpochMillis) -> bool {
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

    fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderValueConfig {
    name: String,
    values: Vec<Secret>,
}

/// A token in a header: what Netcore calls the custom header of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeaderValue {
    name: HeaderName,
    values: Vec<Secret>,
}

impl HeaderValue {
    pub(super) fn new(place: &str, config: HeaderValueConfig) -> Result<Self, PolicyError> {
        Ok(Self {
            name: header_name(&format!("{place}.name"), &config.name)?,
            values: not_empty(&format!("{place}.values"), config.values)?,
        })
    }

    fn accepts(&self, request: Unverified<'_>) -> bool {
        one(request.headers, &self.name).is_some_and(|sent| any_secret(&self.values, sent.as_bytes()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicConfig {
    username: String,
    passwords: Vec<Secret>,
}

/// HTTP Basic, RFC 7617.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Basic {
    username: String,
    passwords: Vec<Secret>,
}

impl Basic {
    pub(super) fn new(place: &str, config: BasicConfig) -> Result<Self, PolicyError> {
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

    fn accepts(&self, request: Unverified<'_>) -> bool {
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
}

/// A header's value if it came once: function URLs join repeated headers with a comma, and a
/// joined token, time or id is then simply a wrong one.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// A header's values, if it was repeated.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
}

/// Whether a Unix time in seconds (or milliseconds, told by its size) is close enough to now.
fn is_fresh(text: &str, tolerance_seconds: u32, now: EpochMillis) -> bool {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let Ok(at) = text.parse::<u64>() else { return false };
    let at = if at < 100_000_000_000 {
        at.saturating_mul(1000)
    } else {
        at
    };
    let now = u64::try_from(now).unwrap_or_default();
    at.abs_diff(now) <= u64::from(tolerance_seconds) * 1000
}

/// Whether any signature is any of the expected ones, comparing all of them whatever the result.
/// Without a signature nothing is computed: a body of megabytes costs us nothing then.
fn any_equal(signatures: impl Iterator<Item = Vec<u8>>, expected: impl Iterator<Item = Vec<u8>>) -> bool {
    let signatures: Vec<Vec<u8>> = signatures.take(MOST_SIGNATURES).collect();
    if signatures.is_empty() {
        return false;
    }
    let mut found = subtle::Choice::from(0);
    for mac in expected {
        for signature in &signatures {
            found |= signature.ct_eq(&mac);
        }
    }
    found.into()
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

fn header_name(place: &str, name: &str) -> Result<HeaderName, PolicyError> {
    HeaderName::try_from(name).map_err(|_| PolicyError::at(place, "is not a header name"))
}

fn not_empty(place: &str, secrets: Vec<Secret>) -> Result<Vec<Secret>, PolicyError> {
    if secrets.is_empty() {
        return Err(PolicyError::at(place, "is empty"));
    }
    match secrets.iter().position(|s| s.expose().is_empty()) {
        Some(i) => Err(PolicyError::at(&format!("{place}[{i}]"), "is empty")),
        None => Ok(secrets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Policy, Unauthorised};
    use http::HeaderValue as Value;
    use proptest::prelude::*;

    const NOW: EpochMillis = 1_614_265_330_000;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                Value::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn verify(
        policy: &str,
        pairs: &[(&str, &str)],
        body: &[u8],
        now: EpochMillis,
    ) -> Result<(), Unauthorised> {
        let headers = headers(pairs);
        Policy::parse(policy)
            .unwrap()
            .verify(
                Unverified {
                    headers: &headers,
                    body,
                },
                now,
            )
            .map(|verified| {
                assert_eq!(verified.body(), body);
            })
    }

    /// RFC 4231, sections 4.2, 4.3, 4.4 and 4.7, for SHA-256 and SHA-512.
    #[test]
    fn rfc_4231() {
        for (key, data, sha256, sha512) in [
            (
                vec![0x0b; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                vec![0xaa; 20],
                vec![0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            let secret = Secret::new(key);
            assert_eq!(hex::encode(Algorithm::Sha256.mac(&secret, &[&data])), sha256);
            assert_eq!(hex::encode(Algorithm::Sha512.mac(&secret, &[&data])), sha512);
            let (head, tail) = data.split_at(3);
            assert_eq!(hex::encode(Algorithm::Sha256.mac(&secret, &[head, tail])), sha256);
        }
    }

    /// The worked example of the Standard Webhooks reference libraries.
    #[test]
    fn standard_webhooks_vector() {
        let policy = r#"{"accept":[{"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}]}"#;
        let body = br#"{"test": 2432232314}"#;
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let sent = |signature: &str, at: &str| {
            verify(
                policy,
                &[
                    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                    ("webhook-timestamp", at),
                    ("webhook-signature", signature),
                ],
                body,
                NOW,
            )
        };
        assert_eq!(sent(good, "1614265330"), Ok(()));
        assert_eq!(
            sent(&format!("v1,AAAA v2,xyz {good}"), "1614265330"),
            Ok(()),
            "several signatures"
        );
        assert_eq!(sent(&format!("v1,AAAA,{good}"), "1614265330"), Ok(()), "joined");
        assert_eq!(
            sent(&format!("v1,AAAA, {good}"), "1614265330"),
            Ok(()),
            "the header twice"
        );
        assert_eq!(sent("v1,AAAA", "1614265330"), Err(Unauthorised), "wrong length");
        assert_eq!(
            sent(&good.replace("v1,", "v1a,"), "1614265330"),
            Err(Unauthorised),
            "another version"
        );
        assert_eq!(sent(good, "1614265331"), Err(Unauthorised), "another time");
        assert_eq!(sent(good, ""), Err(Unauthorised));
        let flood = format!("{} {good}", "v1,AAAA ".repeat(1000));
        assert_eq!(
            sent(&flood, "1614265330"),
            Err(Unauthorised),
            "a flood of signatures is not searched"
        );
    }

    const PLAIN: &str =
        r#"{"accept":[{"type":"hmac","header":"X-Signature","prefix":"sha256=","secrets":["new","old"]}]}"#;

    #[test]
    fn hmac_with_rotation() {
        let mac = |secret: &str| hex::encode(Algorithm::Sha256.mac(&Secret::new(secret), &[b"body"]));
        let sent = |value: &str| verify(PLAIN, &[("x-signature", value)], b"body", NOW);
        assert_eq!(sent(&format!("sha256={}", mac("new"))), Ok(()));
        assert_eq!(sent(&format!("sha256={}", mac("old"))), Ok(()));
        assert_eq!(sent(&format!("sha256={}", mac("new").to_uppercase())), Ok(()));
        assert_eq!(
            sent(&format!("sha256=00,sha256={}", mac("old"))),
            Ok(()),
            "joined headers"
        );
        assert_eq!(sent(&mac("new")), Err(Unauthorised), "no prefix");
        assert_eq!(sent(&format!("sha256={}", mac("other"))), Err(Unauthorised));
        assert_eq!(
            sent(&format!("sha256={}", &mac("new")[..62])),
            Err(Unauthorised),
            "too short"
        );
        assert_eq!(
            sent(&format!("sha256={}00", mac("new"))),
            Err(Unauthorised),
            "too long"
        );
        assert_eq!(sent("sha256="), Err(Unauthorised));
        assert_eq!(sent(""), Err(Unauthorised));
        assert_eq!(verify(PLAIN, &[], b"body", NOW), Err(Unauthorised), "no header");
        let twice = [
            ("x-signature", "sha256=00"),
            ("x-signature", &format!("sha256={}", mac("new"))),
        ];
        assert_eq!(verify(PLAIN, &twice, b"body", NOW), Ok(()), "the header twice");
    }

    const TIMED: &str = r#"{"accept":[{"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["k"]}]}"#;

    #[test]
    fn a_signed_time_must_be_near() {
        let sent = |at: i64, header: &str| {
            let signed = format!("{at}.body");
            let mac = STANDARD.encode(Algorithm::Sha256.mac(&Secret::new("k"), &[signed.as_bytes()]));
            verify(
                TIMED,
                &[("x-signature", &mac), ("x-timestamp", header)],
                b"body",
                NOW,
            )
        };
        let now = NOW / 1000;
        for at in [now, now - 300, now + 300] {
            assert_eq!(sent(at, &at.to_string()), Ok(()));
        }
        for at in [now - 301, now + 301, 0, -now] {
            assert_eq!(sent(at, &at.to_string()), Err(Unauthorised), "{at}");
        }
        assert_eq!(sent(NOW, &NOW.to_string()), Ok(()), "milliseconds");
        assert_eq!(
            sent(now, &format!("{now},{now}")),
            Err(Unauthorised),
            "the time twice"
        );
        for absurd in ["99999999999999999999999", "9223372036854775807", "x", " ", "1e9"] {
            assert_eq!(sent(now, absurd), Err(Unauthorised), "{absurd}");
        }
    }

    #[test]
    fn a_token_in_a_header() {
        let policy = r#"{"accept":[{"type":"header","name":"X-Netcore-Token","values":["new","old"]}]}"#;
        assert_eq!(verify(policy, &[("x-netcore-token", "new")], b"", NOW), Ok(()));
        assert_eq!(verify(policy, &[("X-Netcore-Token", "old")], b"", NOW), Ok(()));
        for wrong in ["", "ne", "newer", "new,old", "NEW"] {
            assert_eq!(
                verify(policy, &[("x-netcore-token", wrong)], b"", NOW),
                Err(Unauthorised),
                "{wrong}"
            );
        }
        assert_eq!(
            verify(
                policy,
                &[("x-netcore-token", "new"), ("x-netcore-token", "new")],
                b"",
                NOW
            ),
            Err(Unauthorised),
            "twice"
        );
    }

    #[test]
    fn basic_credentials() {
        let policy = r#"{"accept":[{"type":"basic","username":"netcore","passwords":["pa:ss","old"]}]}"#;
        let sent = |pair: &str| {
            let value = format!("Basic {}", STANDARD.encode(pair));
            verify(policy, &[("authorization", &value)], b"", NOW)
        };
        assert_eq!(sent("netcore:pa:ss"), Ok(()));
        assert_eq!(sent("netcore:old"), Ok(()));
        for wrong in ["netcore:", "netcore", "other:old", ":old", ""] {
            assert_eq!(sent(wrong), Err(Unauthorised), "{wrong}");
        }
        for value in ["Basic", "Basic !!!", "Bearer bmV0Y29yZTpvbGQ=", ""] {
            assert_eq!(
                verify(policy, &[("authorization", value)], b"", NOW),
                Err(Unauthorised),
                "{value}"
            );
        }
        assert_eq!(
            verify(policy, &[("authorization", "basic bmV0Y29yZTpvbGQ=")], b"", NOW),
            Ok(()),
            "the scheme's name is case-insensitive"
        );
    }

    #[test]
    fn any_one_of_several_schemes_suffices() {
        let policy = r#"{"accept":[{"type":"header","name":"a","values":["x"]},{"type":"header","name":"b","values":["y"]}]}"#;
        assert_eq!(verify(policy, &[("b", "y")], b"", NOW), Ok(()));
        assert_eq!(
            verify(policy, &[("a", "y"), ("b", "x")], b"", NOW),
            Err(Unauthorised)
        );
        assert_eq!(verify(r#"{"accept":"anything"}"#, &[], b"", NOW), Ok(()));
    }

    #[test]
    fn what_is_signed_here_is_accepted_here() {
        for policy in [
            PLAIN,
            TIMED,
            r#"{"accept":[{"type":"hmac","header":"h","algorithm":"sha512","secrets":["k"]}]}"#,
            r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"]}]}"#,
            r#"{"accept":[{"type":"header","name":"t","values":["v"]}]}"#,
            r#"{"accept":[{"type":"basic","username":"u","passwords":["p"]}]}"#,
        ] {
            let signed = Policy::parse(policy).unwrap().sign(b"body", NOW);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(verify(policy, &pairs, b"body", NOW), Ok(()), "{policy}");
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_fails(body in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u8, policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"]}]}"#][policy];
            let signed = Policy::parse(policy).unwrap().sign(&body, NOW);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(verify(policy, &pairs, &changed, NOW), Err(Unauthorised));
            prop_assert_eq!(verify(policy, &pairs, &body, NOW), Ok(()));
        }

        #[test]
        fn any_changed_character_of_a_header_fails(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), c in "[!-~]", policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"]}]}"#][policy];
            let mut signed = Policy::parse(policy).unwrap().sign(b"body", NOW);
            let header = which.index(signed.len());
            let value = &mut signed[header].1;
            let at = at.index(value.len());
            prop_assume!(!value[at..=at].eq_ignore_ascii_case(&c));
            value.replace_range(at..=at, &c);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(verify(policy, &pairs, b"body", NOW), Err(Unauthorised));
        }

        #[test]
        fn arbitrary_headers_never_panic(value in "[ -~]{0,80}", policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"basic","username":"u","passwords":["p"]}]}"#][policy];
            let pairs = [("x-signature", value.as_str()), ("x-timestamp", &value), ("authorization", &value)];
            prop_assert_eq!(verify(policy, &pairs, b"", NOW), Err(Unauthorised));
        }
    }
}
