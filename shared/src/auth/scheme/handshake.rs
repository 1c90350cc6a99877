//! Handshakes: a sender checks a URL before it uses it, and expects a value of its request in the answer.

use http::Method;
use serde::Deserialize;

use super::{any_secret, query::parameter, signed::object};
use crate::auth::{Challenge, Refusal, Secret, Unverified};

/// The largest body that is examined for a handshake, because it is not authenticated yet. Google's example
/// has 60 bytes.
const MAX_BODY_BYTES: usize = 4096;

/// The longest value that is sent back. Meta's is an integer, Google's example has ten characters.
const MAX_VALUE_BYTES: usize = 1024;

/// How a sender checks a URL, and the tokens that prove its identity.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) enum Handshake {
    /// Meta: a GET with `hub.mode=subscribe`, `hub.verify_token` and `hub.challenge`.
    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint>
    Hub { verify_tokens: Vec<Secret> },
    /// Google RCS for Business: a POST of `{"clientToken":"…","secret":"…"}`.
    /// <https://developers.google.com/business-communications/rcs-business-messaging/guides/integrate/webhooks>
    ClientToken { tokens: Vec<Secret> },
}

/// Google's body. Other fields are ignored, repeated ones refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    client_token: String,
    secret: String,
}

impl Handshake {
    /// The answer to a handshake. `None` if the request is not one.
    pub(super) fn answer(&self, method: &Method, request: Unverified<'_>) -> Option<Challenge> {
        match self {
            Self::Hub { verify_tokens } if *method == Method::GET => {
                let of = |name| parameter(request.query, name);
                let is_handshake = |name| of(name) != Err(Refusal::None);
                if !is_handshake("hub.mode") && !is_handshake(VERIFY_TOKEN) {
                    return None;
                }
                let (Ok(mode), Ok(token), Ok(value)) =
                    (of("hub.mode"), of(VERIFY_TOKEN), of("hub.challenge"))
                else {
                    return Some(Challenge::Refused(Refusal::Unknown));
                };
                if mode != "subscribe" {
                    return Some(Challenge::Refused(Refusal::Unknown));
                }
                Some(answer(verify_tokens, &token, value))
            }
            Self::ClientToken { tokens }
                if *method == Method::POST && request.body.len() <= MAX_BODY_BYTES =>
            {
                let check: Check = object(request.body)?;
                Some(answer(tokens, &check.client_token, check.secret))
            }
            _ => None,
        }
    }

    /// The parameter of a query that contains a secret.
    pub(super) fn secret_parameter(&self) -> Option<&str> {
        match self {
            Self::Hub { .. } => Some(VERIFY_TOKEN),
            Self::ClientToken { .. } => None,
        }
    }
}

const VERIFY_TOKEN: &str = "hub.verify_token";

/// Returns the value only to a sender with a token, and only if it can be shown as plain text.
fn answer(tokens: &[Secret], token: &str, value: String) -> Challenge {
    if !any_secret(tokens, token.as_bytes()) {
        Challenge::Refused(Refusal::Mismatch)
    } else if (1..=MAX_VALUE_BYTES).contains(&value.len())
        && value.bytes().all(|b| (b' '..=b'~').contains(&b))
    {
        Challenge::Answered(value)
    } else {
        Challenge::Refused(Refusal::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scheme::testing::challenge;
    use proptest::prelude::*;

    const META: &str = r#"{"accept":[{"preset":"meta","secrets":["the-secret-of-the-app"],"verify_token":"a token, with 100 %"}]}"#;
    const GOOGLE: &str =
        r#"{"accept":[{"preset":"google-rbm","secrets":["a-newer-client-token","SJENCPGJESMGUFPY"]}]}"#;

    fn answered_with(value: &str) -> Challenge {
        Challenge::Answered(value.to_owned())
    }

    #[test]
    fn the_hub_handshake_needs_the_token() {
        let get = |query: &str| challenge(META, &Method::GET, query, b"");
        let good =
            "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a+token%2C%20with%20100%20%25";
        assert_eq!(get(good), Some(answered_with("1158201444")));
        let longest = "7".repeat(1024);
        assert_eq!(
            get(&good.replace("1158201444", &longest)),
            Some(answered_with(&longest))
        );
        for (from, to, refusal) in [
            ("a+token", "another", Refusal::Mismatch),
            ("a+token", "A+token", Refusal::Mismatch),
            ("%20%25", "", Refusal::Mismatch),
            ("hub.verify_token=", "hub.verify_token=&x=", Refusal::Mismatch),
            ("&hub.verify_token=", "&x=", Refusal::Unknown),
            (
                "&hub.verify_token=",
                "&hub.verify_token=a&hub.verify_token=",
                Refusal::Unknown,
            ),
            ("hub.mode=subscribe", "hub.mode=unsubscribe", Refusal::Unknown),
            ("hub.mode=subscribe", "x", Refusal::Unknown),
            ("hub.challenge=1158201444", "x", Refusal::Unknown),
            ("1158201444", "", Refusal::Unknown),
            ("1158201444", "1%0d%0aset-cookie:x", Refusal::Unknown),
            ("1158201444", "%c3%bc", Refusal::Unknown),
            ("1158201444", &"7".repeat(1025), Refusal::Unknown),
        ] {
            let query = good.replace(from, to);
            assert_eq!(get(&query), Some(Challenge::Refused(refusal)), "{query}");
        }
        for query in [
            "",
            "reqid=1&status=2",
            "hub.challenge=1158201444",
            "hub_mode=subscribe",
        ] {
            assert_eq!(get(query), None, "{query}");
        }
        for method in [Method::POST, Method::HEAD, Method::PUT] {
            assert_eq!(challenge(META, &method, good, b""), None, "{method}");
        }
        // A policy without the preset knows no handshake.
        assert_eq!(challenge(GOOGLE, &Method::GET, good, b""), None);
        assert_eq!(
            challenge(r#"{"accept":"anything"}"#, &Method::GET, good, b""),
            None
        );
    }

    /// The example of Google's page is the first one.
    #[test]
    fn the_client_token_handshake_needs_the_token() {
        let post = |body: &str| challenge(GOOGLE, &Method::POST, "", body.as_bytes());
        for body in [
            r#"{"clientToken":"SJENCPGJESMGUFPY","secret":"1234567890"}"#,
            r#" { "secret" : "1234567890", "x":[], "clientToken":"a-newer-client-token" }"#,
        ] {
            assert_eq!(post(body), Some(answered_with("1234567890")), "{body}");
        }
        for (body, refusal) in [
            (
                r#"{"clientToken":"SJENCPGJESMGUFPX","secret":"1234567890"}"#,
                Refusal::Mismatch,
            ),
            (r#"{"clientToken":"","secret":"1234567890"}"#, Refusal::Mismatch),
            (
                r#"{"clientToken":"SJENCPGJESMGUFPY","secret":""}"#,
                Refusal::Unknown,
            ),
            (
                r#"{"clientToken":"SJENCPGJESMGUFPY","secret":"a\nb"}"#,
                Refusal::Unknown,
            ),
        ] {
            assert_eq!(post(body), Some(Challenge::Refused(refusal)), "{body}");
        }
        let padded = |length: usize| {
            let body = r#"{"clientToken":"SJENCPGJESMGUFPY","secret":"1234567890"}"#;
            format!("{body:length$}")
        };
        assert_eq!(post(&padded(4096)), Some(answered_with("1234567890")));
        for body in [
            "",
            "[]",
            r#"["SJENCPGJESMGUFPY","1234567890"]"#,
            r#"{"clientToken":"SJENCPGJESMGUFPY"}"#,
            r#"{"clientToken":"SJENCPGJESMGUFPY","secret":1234567890}"#,
            r#"{"clientToken":"a","clientToken":"SJENCPGJESMGUFPY","secret":"1234567890"}"#,
            r#"[{"clientToken":"SJENCPGJESMGUFPY","secret":"1234567890"}]"#,
            &padded(4097),
        ] {
            assert_eq!(post(body), None, "{body}");
        }
        let body = padded(0);
        assert_eq!(challenge(GOOGLE, &Method::GET, "", body.as_bytes()), None);
        assert_eq!(challenge(META, &Method::POST, "", body.as_bytes()), None);
    }

    #[test]
    fn one_of_several_tokens_suffices() {
        let both = r#"{"accept":[
            {"preset":"meta","secrets":["the-secret-of-one-app"],"verify_token":"the-token-of-one-app"},
            {"preset":"meta","secrets":["the-secret-of-another"],"verify_token":"the-token-of-another"}]}"#;
        let get = |token: &str| {
            let query = format!("hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}");
            challenge(both, &Method::GET, &query, b"")
        };
        assert_eq!(get("the-token-of-one-app"), Some(answered_with("7")));
        assert_eq!(get("the-token-of-another"), Some(answered_with("7")));
        assert_eq!(
            get("the-token-of-a-third"),
            Some(Challenge::Refused(Refusal::Mismatch))
        );
    }

    proptest! {
        #[test]
        fn no_query_without_the_token_is_answered(query in "((hub[.]mode|hub[.]verify_token|hub[.]challenge|x)=(subscribe|7|a[+]token|[ -~é]{0,8})&){0,5}") {
            prop_assert!(!matches!(challenge(META, &Method::GET, &query, b""), Some(Challenge::Answered(_))));
        }

        #[test]
        fn no_body_without_the_token_is_answered(body in r#"[{\[](("clientToken"|"secret"):("[ -~]{0,20}"|1|null),?){0,3}[}\]]"#) {
            prop_assert!(!matches!(challenge(GOOGLE, &Method::POST, "", body.as_bytes()), Some(Challenge::Answered(_))));
        }
    }
}
