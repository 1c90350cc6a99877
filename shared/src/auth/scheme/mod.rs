//! The authentication schemes. Each takes its configuration (checked at start), the request, and the time.

mod handshake;
mod hmac;
mod preset;
mod query;
mod signed;
mod standard_webhooks;
#[cfg(test)]
mod testing;
mod token;

use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use self::{
    handshake::Handshake,
    hmac::Hmac,
    query::QueryValue,
    standard_webhooks::StandardWebhooks,
    token::{Basic, Bearer, HeaderValue},
};
use super::{
    Challenge, PolicyError, Refusal, Secret, Unverified,
    fields::{Fields, Json},
};
use crate::event::EpochMillis;

/// Senders repeat a signature header during a rotation. This limits the CPU time that a thousand repetitions
/// can use.
const MAX_SIGNATURES: usize = 8;

/// The most that a sender's clock may differ from ours, by default.
const DEFAULT_TOLERANCE_SECONDS: u32 = 300;

/// The largest tolerance that a policy can set. A signed request can be replayed for that long.
const MAX_TOLERANCE_SECONDS: u32 = 86_400;

/// A shorter secret can be guessed. A policy for trials may allow it.
const MIN_CHARACTERS: usize = 16;

/// The field of a scheme that allows shorter secrets.
const ALLOW_WEAK: &str = "allow_weak";

/// One authentication scheme.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scheme {
    Hmac(Hmac),
    StandardWebhooks(StandardWebhooks),
    Header(HeaderValue),
    Basic(Basic),
    Bearer(Bearer),
    Query(QueryValue),
    /// Answers a handshake, and accepts no request.
    Handshake(Handshake),
}

impl Scheme {
    /// Checks whether a request satisfies this scheme.
    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        match self {
            Self::Hmac(scheme) => scheme.check(request, now),
            Self::StandardWebhooks(scheme) => scheme.check(request, now),
            Self::Header(scheme) => scheme.check(request),
            Self::Basic(scheme) => scheme.check(request),
            Self::Bearer(scheme) => scheme.check(request),
            Self::Query(scheme) => scheme.check(request),
            Self::Handshake(_) => Err(Refusal::None),
        }
    }

    pub(super) fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        match self {
            Self::Hmac(scheme) => scheme.sign(body, now),
            Self::StandardWebhooks(scheme) => scheme.sign(body, now),
            Self::Header(scheme) => scheme.sign(),
            Self::Basic(scheme) => scheme.sign(),
            Self::Bearer(scheme) => scheme.sign(),
            Self::Query(_) | Self::Handshake(_) => Vec::new(),
        }
    }

    /// The parameter that a sender adds to the URL's query.
    pub(super) fn sign_query(&self) -> Option<String> {
        match self {
            Self::Query(scheme) => Some(scheme.sign()),
            _ => None,
        }
    }

    /// The answer to a handshake; `None` if the request is not one of this scheme.
    pub(super) fn challenge(&self, method: &Method, request: Unverified<'_>) -> Option<Challenge> {
        match self {
            Self::Handshake(handshake) => handshake.answer(method, request),
            _ => None,
        }
    }

    /// The parameter of a query that contains a secret of this scheme.
    pub(super) fn secret_parameter(&self) -> Option<&str> {
        match self {
            Self::Query(scheme) => Some(scheme.name()),
            Self::Handshake(handshake) => handshake.secret_parameter(),
            _ => None,
        }
    }
}

/// Reads one entry of a policy: a scheme, or a preset of schemes.
///
/// # Errors
/// Names the wrong field, never a secret.
pub(super) fn read(path: &str, config: Json) -> Result<Vec<Scheme>, PolicyError> {
    if !matches!(config, Json::Object(_)) {
        return Err(PolicyError::at(path, "must be an object"));
    }
    if let Some(name) = config.text_of("preset").map(str::to_owned) {
        return preset::read(path, &name, config);
    }
    let fields = |config, known| Fields::new(path, config, known);
    Ok(vec![match config.text_of("type") {
        Some("hmac") => Scheme::Hmac(Hmac::read(fields(config, hmac::FIELDS)?)?),
        Some("standard-webhooks") => Scheme::StandardWebhooks(StandardWebhooks::read(fields(
            config,
            standard_webhooks::FIELDS,
        )?)?),
        Some("header") => Scheme::Header(HeaderValue::read(fields(config, token::HEADER_FIELDS)?)?),
        Some("basic") => Scheme::Basic(Basic::read(fields(config, token::BASIC_FIELDS)?)?),
        Some("bearer") => Scheme::Bearer(Bearer::read(fields(config, token::BEARER_FIELDS)?)?),
        Some("query") => Scheme::Query(QueryValue::read(fields(config, query::FIELDS)?)?),
        Some(_) => {
            return Err(PolicyError::at(
                path,
                "type must be hmac, standard-webhooks, header, basic, bearer or query",
            ));
        }
        None => return Err(PolicyError::at(path, "has neither type nor preset")),
    }])
}

/// A header's only value. Function URLs join repeated headers with a comma; a joined token, time or id then
/// matches nothing.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Refusal::None)?;
    match values.next() {
        None => value.to_str().map(str::trim).map_err(|_| Refusal::Unknown),
        Some(_) => Err(Refusal::Unknown),
    }
}

/// All values of a header.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
}

/// Checks that a Unix time is close enough to now. The size of the number distinguishes seconds from
/// milliseconds.
fn fresh(text: &str, tolerance_seconds: u32, now: EpochMillis) -> Result<(), Refusal> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Unknown);
    }
    let at = text.parse::<u64>().map_err(|_| Refusal::Unknown)?;
    let at = if at < 100_000_000_000 {
        at.saturating_mul(1000)
    } else {
        at
    };
    let now = u64::try_from(now).unwrap_or_default();
    if at.abs_diff(now) <= u64::from(tolerance_seconds) * 1000 {
        Ok(())
    } else {
        Err(Refusal::Stale)
    }
}

/// The decoded signatures of a request. Without one, no MAC is computed, so that an unsigned body of megabytes
/// costs no CPU time.
fn signatures(sent: impl Iterator<Item = Vec<u8>>) -> Result<Vec<Vec<u8>>, Refusal> {
    let sent: Vec<Vec<u8>> = sent.take(MAX_SIGNATURES).collect();
    if sent.is_empty() {
        Err(Refusal::Unknown)
    } else {
        Ok(sent)
    }
}

/// Whether a signature equals an expected one. Compares all of them, to take constant time.
fn any_equal(sent: &[Vec<u8>], expected: impl Iterator<Item = Vec<u8>>) -> Result<(), Refusal> {
    let mut found = subtle::Choice::from(0);
    for mac in expected {
        for signature in sent {
            found |= signature.ct_eq(&mac);
        }
    }
    matched(found.into())
}

fn matched(found: bool) -> Result<(), Refusal> {
    if found { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// Whether the sent value equals a secret. Compares the digests of all secrets, so that the time reveals
/// neither which secret matched nor its length.
fn any_secret(secrets: &[Secret], sent: &[u8]) -> bool {
    secrets
        .iter()
        .fold(false, |found, secret| found | equal(secret.expose(), sent))
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

/// The first secret as text, for a signature of ours.
fn first_text(secrets: &[Secret]) -> String {
    String::from_utf8_lossy(secrets.first().map_or(&[], |s| s.expose())).into_owned()
}

fn header_name(path: &str, name: &str) -> Result<HeaderName, PolicyError> {
    HeaderName::try_from(name).map_err(|_| PolicyError::at(path, "is not a header name"))
}

fn tolerance(fields: &mut Fields) -> Result<u32, PolicyError> {
    let set = fields.number("tolerance_seconds", 1, MAX_TOLERANCE_SECONDS)?;
    Ok(set.unwrap_or(DEFAULT_TOLERANCE_SECONDS))
}

/// How a sender transmits a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transmission {
    /// Unchanged, as a header's value.
    Verbatim,
    /// Encoded, or as a MAC computed with it.
    Encoded,
}

/// A scheme's secrets. Refuses secrets that are empty, weak, or that no request could match.
fn secrets(fields: &mut Fields, name: &str, transmission: Transmission) -> Result<Vec<Secret>, PolicyError> {
    let allow_weak = fields.flag(ALLOW_WEAK)?;
    let texts = secret_list(fields, name, transmission, allow_weak)?;
    Ok(texts.into_iter().map(Secret::new).collect())
}

/// The same, as texts, for a scheme that already took [`ALLOW_WEAK`].
fn secret_list(
    fields: &mut Fields,
    name: &str,
    transmission: Transmission,
    allow_weak: bool,
) -> Result<Vec<String>, PolicyError> {
    let missing = PolicyError::at(&fields.path, format!("missing field `{name}`"));
    let path = fields.at(name);
    let texts = fields.texts(name)?.ok_or(missing)?;
    for (i, text) in texts.iter().enumerate() {
        if let Some(fault) = fault(text, transmission, allow_weak) {
            return Err(PolicyError::at(&format!("{path}[{i}]"), fault));
        }
    }
    Ok(texts)
}

/// A single secret.
fn secret_text(
    fields: &mut Fields,
    name: &str,
    transmission: Transmission,
    allow_weak: bool,
) -> Result<Option<String>, PolicyError> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    match fault(&text, transmission, allow_weak) {
        Some(fault) => Err(PolicyError::at(&fields.at(name), fault)),
        None => Ok(Some(text)),
    }
}

/// Describes the fault of a secret without quoting it.
fn fault(secret: &str, transmission: Transmission, allow_weak: bool) -> Option<&'static str> {
    if secret.is_empty() {
        return Some("is empty");
    }
    if secret.contains(char::is_control) {
        return Some("contains a control character, such as a line break");
    }
    if secret.trim() != secret {
        return Some("begins or ends with a blank");
    }
    if transmission == Transmission::Verbatim && !secret.is_ascii() {
        return Some("contains a character that a header cannot contain: only ASCII can be sent");
    }
    // `whsec_` adds no strength: it is the same for all secrets.
    let characters = secret.strip_prefix("whsec_").unwrap_or(secret).chars().count();
    if characters < MIN_CHARACTERS && !allow_weak {
        return Some(
            "is shorter than 16 characters; for trials, \"allow_weak\":true in its scheme accepts it",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{hmac::Algorithm, *};
    use crate::auth::Policy;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
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

    fn verify(policy: &str, pairs: &[(&str, &str)], body: &[u8], now: EpochMillis) -> Result<(), ()> {
        let headers = headers(pairs);
        Policy::parse(policy)
            .unwrap()
            .verify(
                Unverified {
                    headers: &headers,
                    query: "",
                    body,
                },
                now,
            )
            .map(|verified| {
                assert_eq!(verified.body(), body);
            })
            .map_err(|_| ())
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

    /// The example of the Standard Webhooks reference libraries.
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
        assert_eq!(sent("v1,AAAA", "1614265330"), Err(()), "wrong length");
        assert_eq!(
            sent(&good.replace("v1,", "v1a,"), "1614265330"),
            Err(()),
            "another version"
        );
        assert_eq!(sent(good, "1614265331"), Err(()), "another time");
        assert_eq!(sent(good, ""), Err(()));
        let flood = format!("{} {good}", "v1,AAAA ".repeat(1000));
        assert_eq!(
            sent(&flood, "1614265330"),
            Err(()),
            "a flood of signatures is not searched"
        );
    }

    const PLAIN: &str = r#"{"accept":[{"type":"hmac","header":"X-Signature","prefix":"sha256=","secrets":["new","old"],"allow_weak":true}]}"#;

    #[test]
    fn hmac_accepts_old_and_new_secrets() {
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
        assert_eq!(sent(&mac("new")), Err(()), "no prefix");
        assert_eq!(sent(&format!("sha256={}", mac("other"))), Err(()));
        assert_eq!(
            sent(&format!("sha256={}", &mac("new")[..62])),
            Err(()),
            "too short"
        );
        assert_eq!(sent(&format!("sha256={}00", mac("new"))), Err(()), "too long");
        assert_eq!(sent("sha256="), Err(()));
        assert_eq!(sent(""), Err(()));
        assert_eq!(verify(PLAIN, &[], b"body", NOW), Err(()), "no header");
        let twice = [
            ("x-signature", "sha256=00"),
            ("x-signature", &format!("sha256={}", mac("new"))),
        ];
        assert_eq!(verify(PLAIN, &twice, b"body", NOW), Ok(()), "the header twice");
    }

    const TIMED: &str = r#"{"accept":[{"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["k"],"allow_weak":true}]}"#;

    #[test]
    fn a_signed_time_must_be_close_to_now() {
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
            assert_eq!(sent(at, &at.to_string()), Err(()), "{at}");
        }
        assert_eq!(sent(NOW, &NOW.to_string()), Ok(()), "milliseconds");
        assert_eq!(sent(now, &format!("{now},{now}")), Err(()), "the time twice");
        for absurd in ["99999999999999999999999", "9223372036854775807", "x", " ", "1e9"] {
            assert_eq!(sent(now, absurd), Err(()), "{absurd}");
        }
    }

    #[test]
    fn a_token_in_a_header() {
        let policy = r#"{"accept":[{"type":"header","name":"X-Netcore-Token","values":["new","old"],"allow_weak":true}]}"#;
        assert_eq!(verify(policy, &[("x-netcore-token", "new")], b"", NOW), Ok(()));
        assert_eq!(verify(policy, &[("X-Netcore-Token", "old")], b"", NOW), Ok(()));
        for wrong in ["", "ne", "newer", "new,old", "NEW"] {
            assert_eq!(
                verify(policy, &[("x-netcore-token", wrong)], b"", NOW),
                Err(()),
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
            Err(()),
            "twice"
        );
    }

    #[test]
    fn basic_credentials() {
        let policy = r#"{"accept":[{"type":"basic","username":"netcore","passwords":["pa:ss","old"],"allow_weak":true}]}"#;
        let sent = |pair: &str| {
            let value = format!("Basic {}", STANDARD.encode(pair));
            verify(policy, &[("authorization", &value)], b"", NOW)
        };
        assert_eq!(sent("netcore:pa:ss"), Ok(()));
        assert_eq!(sent("netcore:old"), Ok(()));
        for wrong in ["netcore:", "netcore", "other:old", ":old", ""] {
            assert_eq!(sent(wrong), Err(()), "{wrong}");
        }
        for value in ["Basic", "Basic !!!", "Bearer bmV0Y29yZTpvbGQ=", ""] {
            assert_eq!(
                verify(policy, &[("authorization", value)], b"", NOW),
                Err(()),
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
    fn refusals_have_the_documented_class() {
        let policy = r#"{"accept":[
            {"type":"hmac","header":"x-signature","encoding":"base64","prefix":"v1=","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["a-secret-long-enough"]},
            {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
            {"type":"header","name":"x-netcore-token","values":["a-token-long-enough"]},
            {"type":"basic","username":"netcore","passwords":["a-password-long-enough"]}]}"#;
        let policy = Policy::parse(policy).unwrap();
        let refused = |pairs: &[(&str, &str)]| {
            let headers = headers(pairs);
            let request = Unverified {
                headers: &headers,
                query: "",
                body: b"body",
            };
            policy.verify(request, NOW).map(|_| ()).unwrap_err()
        };
        let (now, old) = ("1614265330", "1614260000");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (pairs, class) in [
            (vec![], Refusal::None),
            (vec![("content-type", "application/json")], Refusal::None),
            // A time alone is not a signature.
            (vec![("x-timestamp", now)], Refusal::None),
            (vec![("x-signature", "v1=AAAA")], Refusal::Unknown),
            (
                vec![("x-signature", "v1=AAAA"), ("x-timestamp", "today")],
                Refusal::Unknown,
            ),
            (
                vec![("x-signature", "v2=AAAA"), ("x-timestamp", now)],
                Refusal::Unknown,
            ),
            (
                vec![("x-signature", "v1=%%"), ("x-timestamp", now)],
                Refusal::Unknown,
            ),
            (
                vec![("x-signature", "v1=AAAA"), ("x-timestamp", old)],
                Refusal::Stale,
            ),
            (
                vec![("x-signature", "v1=AAAA"), ("x-timestamp", now)],
                Refusal::Mismatch,
            ),
            (vec![("webhook-id", "m")], Refusal::Unknown),
            (
                vec![
                    ("webhook-id", "m"),
                    ("webhook-timestamp", old),
                    ("webhook-signature", "v1,AAAA"),
                ],
                Refusal::Stale,
            ),
            (
                vec![
                    ("webhook-id", "m"),
                    ("webhook-timestamp", now),
                    ("webhook-signature", "v9,AAAA"),
                ],
                Refusal::Unknown,
            ),
            (
                vec![
                    ("webhook-id", "m"),
                    ("webhook-timestamp", now),
                    ("webhook-signature", "v1,AAAA"),
                ],
                Refusal::Mismatch,
            ),
            (vec![("x-netcore-token", "wrong")], Refusal::Mismatch),
            (
                vec![("x-netcore-token", "a"), ("x-netcore-token", "b")],
                Refusal::Unknown,
            ),
            (vec![("authorization", "Bearer abc")], Refusal::Unknown),
            (vec![("authorization", "Basic %%")], Refusal::Unknown),
            (
                vec![("authorization", &basic("netcore:wrong"))],
                Refusal::Mismatch,
            ),
            // Of several refusals, the closest one counts.
            (
                vec![("authorization", "Bearer abc"), ("x-netcore-token", "wrong")],
                Refusal::Mismatch,
            ),
        ] {
            assert_eq!(refused(&pairs), class, "{pairs:?}");
        }
        assert_eq!(
            [Refusal::None, Refusal::Unknown, Refusal::Stale, Refusal::Mismatch].map(Refusal::as_str),
            ["none", "unknown", "stale", "mismatch"]
        );
    }

    #[test]
    fn any_one_of_several_schemes_suffices() {
        let policy = r#"{"accept":[{"type":"header","name":"a","values":["x"],"allow_weak":true},{"type":"header","name":"b","values":["y"],"allow_weak":true}]}"#;
        assert_eq!(verify(policy, &[("b", "y")], b"", NOW), Ok(()));
        assert_eq!(verify(policy, &[("a", "y"), ("b", "x")], b"", NOW), Err(()));
        assert_eq!(verify(r#"{"accept":"anything"}"#, &[], b"", NOW), Ok(()));
    }

    #[test]
    fn our_own_signatures_are_accepted() {
        for policy in [
            PLAIN,
            TIMED,
            r#"{"accept":[{"type":"hmac","header":"h","algorithm":"sha512","secrets":["k"],"allow_weak":true}]}"#,
            r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"],"allow_weak":true}]}"#,
            r#"{"accept":[{"type":"header","name":"t","values":["v"],"allow_weak":true}]}"#,
            r#"{"accept":[{"type":"basic","username":"u","passwords":["p"],"allow_weak":true}]}"#,
        ] {
            let signed = Policy::parse(policy).unwrap().sign(b"body", NOW);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(verify(policy, &pairs, b"body", NOW), Ok(()), "{policy}");
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_fails(body in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u8, policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"],"allow_weak":true}]}"#][policy];
            let signed = Policy::parse(policy).unwrap().sign(&body, NOW);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(verify(policy, &pairs, &changed, NOW), Err(()));
            prop_assert_eq!(verify(policy, &pairs, &body, NOW), Ok(()));
        }

        #[test]
        fn any_changed_character_of_a_header_fails(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), c in "[!-~]", policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"standard-webhooks","secrets":["c2VjcmV0"],"allow_weak":true}]}"#][policy];
            let mut signed = Policy::parse(policy).unwrap().sign(b"body", NOW);
            let header = which.index(signed.len());
            let value = &mut signed[header].1;
            let at = at.index(value.len());
            prop_assume!(!value[at..=at].eq_ignore_ascii_case(&c));
            value.replace_range(at..=at, &c);
            let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(verify(policy, &pairs, b"body", NOW), Err(()));
        }

        #[test]
        fn arbitrary_headers_never_panic(value in "[ -~]{0,80}", policy in 0..3_usize) {
            let policy = [PLAIN, TIMED, r#"{"accept":[{"type":"basic","username":"u","passwords":["p"],"allow_weak":true}]}"#][policy];
            let pairs = [("x-signature", value.as_str()), ("x-timestamp", &value), ("authorization", &value)];
            prop_assert_eq!(verify(policy, &pairs, b"", NOW), Err(()));
        }
    }
}
