//! The bytes that a signature covers: a template of text, the time, headers, and the body or a part of it.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::header_name;
use crate::auth::{PolicyError, Refusal};

/// A template of signed bytes, such as `{timestamp}.{body}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Timestamp,
    Header(HeaderName),
    Body,
    /// The decoded `message.data` of a Pub/Sub push.
    MessageData,
}

impl Signed {
    /// Reads a template; `path` names its field in an error.
    ///
    /// # Errors
    /// If it contains an unknown name, or does not contain the body or its data exactly once.
    pub(super) fn read(path: &str, template: &str) -> Result<Self, PolicyError> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            pieces.push(match (name, name.strip_prefix("header:")) {
                ("timestamp", _) => Piece::Timestamp,
                ("body", _) => Piece::Body,
                ("message.data", _) => Piece::MessageData,
                (_, Some(name)) => Piece::Header(header_name(path, name)?),
                _ => {
                    return Err(PolicyError::at(
                        path,
                        "supports only {timestamp}, {header:NAME}, {body} and {message.data}",
                    ));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let contents = |piece: &&Piece| matches!(piece, Piece::Body | Piece::MessageData);
        if pieces.iter().filter(contents).count() != 1 {
            return Err(PolicyError::at(
                path,
                "must contain {body} or {message.data} once",
            ));
        }
        Ok(Self(pieces))
    }

    /// Whether it contains `{timestamp}`.
    pub(super) fn has_timestamp(&self) -> bool {
        self.0.contains(&Piece::Timestamp)
    }

    /// The headers that it contains.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Header(name) => Some(name),
            _ => None,
        })
    }

    /// The signed bytes of a request, in parts. `header` returns a header's value.
    ///
    /// # Errors
    /// The error of `header`, or [`Refusal::Unknown`] if the body has no data to sign.
    pub(super) fn parts<'a>(
        &'a self,
        body: &'a [u8],
        timestamp: &'a str,
        header: impl Fn(&HeaderName) -> Result<&'a str, Refusal>,
    ) -> Result<Vec<Cow<'a, [u8]>>, Refusal> {
        self.0
            .iter()
            .map(|piece| {
                Ok(match piece {
                    Piece::Text(text) => Cow::Borrowed(text.as_bytes()),
                    Piece::Timestamp => Cow::Borrowed(timestamp.as_bytes()),
                    Piece::Header(name) => Cow::Borrowed(header(name)?.as_bytes()),
                    Piece::Body => Cow::Borrowed(body),
                    Piece::MessageData => Cow::Owned(message_data(body).ok_or(Refusal::Unknown)?),
                })
            })
            .collect()
    }
}

/// A Pub/Sub push: <https://docs.cloud.google.com/pubsub/docs/push#receive_push>. Another field beside these could be
/// taken for an event although the signature does not cover it, so a body with one is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Push<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow, rename = "subscription")]
    _subscription: Option<&'a RawValue>,
    #[serde(borrow, rename = "deliveryAttempt")]
    _delivery_attempt: Option<&'a RawValue>,
}

/// The message in a push. Its other fields are not read.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// The decoded `message.data` of a body. The body is not authenticated yet, so nothing else of it is parsed.
/// Takes at most as much memory as one and three quarters of the body: its text, if it contains escapes, and
/// the decoded bytes. A repeated field is refused, because a parser could choose the other value.
fn message_data(body: &[u8]) -> Option<Vec<u8>> {
    let push: Push<'_> = object(body)?;
    let message: Message<'_> = object(push.message.get().as_bytes())?;
    STANDARD.decode(message.data.as_ref()).ok()
}

/// Reads a JSON object. A derived `Deserialize` accepts a list of the fields' values, too; this does not.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    text.trim_ascii_start().starts_with(b"{").then_some(())?;
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scheme::testing::{NOW, accepts_own, check};
    use proptest::prelude::*;

    /// The MAC is computed with openssl over `v1:n-0123:1614265330:body`.
    #[test]
    fn a_signature_covers_headers() {
        let policy = r#"{"accept":[{"type":"hmac","header":"x-signature","signed":"v1:{header:X-Nonce}:{header:x-time}:{body}","timestamp_header":"X-Time","secrets":["a-secret-long-enough"]}]}"#;
        let signature = "7848d9f6720a35247514f69fee197abfe4908e6b0fd1fd50196f0953596683dd";
        let sent = |more: &[(&str, &str)], now| {
            let pairs: Vec<(&str, &str)> = [("x-signature", signature)].iter().chain(more).copied().collect();
            check(policy, &pairs, "", b"body", now)
        };
        let (nonce, time) = (("x-nonce", "n-0123"), ("x-time", "1614265330"));
        assert_eq!(sent(&[nonce, time], NOW), Ok(()));
        assert_eq!(sent(&[nonce, time], NOW + 300_000), Ok(()));
        assert_eq!(sent(&[nonce, time], NOW + 301_000), Err(Refusal::Stale));
        assert_eq!(sent(&[("x-nonce", "n-0124"), time], NOW), Err(Refusal::Mismatch));
        assert_eq!(
            sent(&[nonce, ("x-time", "1614265331")], NOW),
            Err(Refusal::Mismatch)
        );
        assert_eq!(sent(&[time], NOW), Err(Refusal::Unknown), "no nonce");
        assert_eq!(sent(&[nonce], NOW), Err(Refusal::Unknown), "no time");
        assert_eq!(
            sent(&[nonce, nonce, time], NOW),
            Err(Refusal::Unknown),
            "the nonce twice"
        );
        assert_eq!(
            sent(&[nonce, time, time], NOW),
            Err(Refusal::Unknown),
            "the time twice"
        );
        assert_eq!(
            sent(&[("x-nonce", "n-0123,n-0123"), time], NOW),
            Err(Refusal::Mismatch),
            "joined"
        );
        assert_eq!(accepts_own(policy, b"body"), Ok(()));
    }

    #[test]
    fn a_header_without_a_tolerance_can_be_signed() {
        let policy = r#"{"accept":[{"type":"hmac","header":"x-signature","signed":"{header:x-time}{body}","secrets":["a-secret-long-enough"]}]}"#;
        assert_eq!(accepts_own(policy, b"body"), Ok(()));
    }

    #[test]
    fn only_unambiguous_data_is_found() {
        for body in [
            r#"{"message":{"data":"aGk="}}"#,
            r#" {"subscription":"s","message":{"attributes":{"data":"AAAA"},"data":"aGk=","messageId":1}}"#,
            r#"{"message":{"\u0064ata":"aG\u006b="},"deliveryAttempt":5}"#,
        ] {
            assert_eq!(
                message_data(body.as_bytes()).as_deref(),
                Some(&b"hi"[..]),
                "{body}"
            );
        }
        for body in [
            "",
            "{}",
            r#"[{"data":"aGk="}]"#,
            r#"{"message":["aGk="]}"#,
            r#"{"message":"aGk="}"#,
            r#"{"message":{"data":["aGk="]}}"#,
            r#"{"message":{"data":"aGk"}}"#,
            r#"{"message":{"data":"%%%%"}}"#,
            r#"{"message":{"data":"aGk=","data":"AAAA"}}"#,
            r#"{"message":{"data":"aGk="},"message":{"data":"AAAA"}}"#,
            r#"{"message":{"data":"aGk="},"\u006dessage":{"data":"AAAA"}}"#,
            r#"{"message":{"data":"aGk="},"eventType":"READ"}"#,
            r#"{"message":{"data":"aGk="}} {}"#,
            r#"{"message":{"data":"aGk="}"#,
        ] {
            assert_eq!(message_data(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = |n: usize| {
            format!(
                r#"{{"message":{{"a":{}{},"data":"aGk="}}}}"#,
                "[".repeat(n),
                "]".repeat(n)
            )
        };
        assert_eq!(
            message_data(deep(1_000_000).as_bytes()).as_deref(),
            Some(&b"hi"[..])
        );
        assert_eq!(message_data("[".repeat(1_000_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_data_is_decoded(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = format!(r#"{{"message":{{"data":"{}"}}}}"#, STANDARD.encode(&data));
            prop_assert_eq!(message_data(body.as_bytes()), Some(data));
        }

        #[test]
        fn arbitrary_templates_never_panic(template in "[a-z{}:.é ]{0,40}") {
            let _ = Signed::read("signed", &template);
        }
    }
}
