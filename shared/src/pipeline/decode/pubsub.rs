//! Pub/Sub push: `{"message":{"data":"<base64>",…},"subscription"}`, as Google sends RCS events to a webhook.
//! <https://docs.cloud.google.com/pubsub/docs/push#receive_push>
//!
//! Only the decoded `data` becomes a record. The rest is dropped: `messageId`, `publishTime` and `deliveryAttempt`
//! belong to the delivery and differ when the same event is published again, and the attributes repeat the agent
//! and the kind of the record. So a repeated event is a duplicate, whether it comes plain or in a push.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::super::batch::Malformed;
use crate::provider::{FormatId, google_rbm};

/// Accepts missing padding, and bits that the padding leaves over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// Whether one of the formats is also sent as a Pub/Sub push.
pub(super) fn is_known_to(formats: &[FormatId]) -> bool {
    formats.contains(&&google_rbm::FORMAT)
}

/// The decoded data of a push; `None` if the body is not one. Shorter than the body.
///
/// # Errors
/// [`Malformed`] if the data is not base64.
pub(super) fn data(body: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let Ok(push) = serde_json::from_slice::<Push<'_>>(body) else {
        return Ok(None);
    };
    match BASE64.decode(push.message.data.as_bytes()) {
        Ok(data) => Ok(Some(data)),
        Err(_) => Err(Malformed::new("message.data is not base64".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &str) -> Result<Option<String>, String> {
        let text = |data: Option<Vec<u8>>| data.map(|data| String::from_utf8(data).unwrap());
        data(body.as_bytes()).map(text).map_err(|why| why.to_string())
    }

    #[test]
    fn only_the_data_of_a_push_is_kept() {
        for body in [
            r#"{"message":{"data":"eyJhIjoxfQ==","messageId":"1","publishTime":"2026-01-01T00:00:00Z"},"subscription":"s"}"#,
            r#"{"deliveryAttempt":2,"message":{"attributes":{"type":"event"},"data":"eyJhIjoxfQ"}}"#,
            r#" {"message":{"data":"eyJhIjoxfQ\u003d="}} "#,
        ] {
            assert_eq!(decoded(body), Ok(Some(r#"{"a":1}"#.into())), "{body}");
        }
        for body in [
            r#"{"messageId":"m","eventType":"READ"}"#,
            r#"{"message":{"text":"Hi"}}"#,
            r#"{"message":{"data":7}}"#,
            r#"{"message":{"data":"eyJhIjoxfQ=="}"#,
            r#"{"message":{"data":"eyJhIjoxfQ=="},"message":{"data":"e30="}}"#,
            r#"[{"message":{"data":"e30="}}]"#,
        ] {
            assert_eq!(decoded(body), Ok(None), "{body}");
        }
        assert_eq!(
            decoded(r#"{"message":{"data":"%7B%7D"}}"#),
            Err("message.data is not base64".into())
        );
    }
}
