//! Presets: the documented authentication of known senders, so that a policy needs only the secrets.

use super::{
    ALLOW_WEAK, Scheme, Transmission,
    handshake::Handshake,
    hmac::{Algorithm, Encoding, Hmac, Layout},
    secret_list, secret_text,
    standard_webhooks::{Names, StandardWebhooks},
    token::Bearer,
};
use crate::auth::{
    PolicyError, Secret,
    fields::{Fields, Json},
};

/// Meta's WhatsApp Cloud API signs the body with the app secret.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint>
const META: Layout = Layout {
    header: "x-hub-signature-256",
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    prefix: "sha256=",
    timestamp_header: None,
    signed: "{body}",
};

/// Google RCS for Business signs the decoded data of a Pub/Sub message with the client token.
/// <https://developers.google.com/business-communications/rcs-business-messaging/guides/integrate/webhooks>
const GOOGLE_RBM: Layout = Layout {
    header: "x-goog-signature",
    algorithm: Algorithm::Sha512,
    encoding: Encoding::Base64,
    prefix: "",
    timestamp_header: None,
    signed: "{message.data}",
};

/// Sinch's Conversation API signs body, nonce and time.
/// <https://developers.sinch.com/docs/conversation/callbacks>
const SINCH: Layout = Layout {
    header: "x-sinch-webhook-signature",
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Base64,
    prefix: "",
    timestamp_header: Some("x-sinch-webhook-signature-timestamp"),
    signed: "{body}.{header:x-sinch-webhook-signature-nonce}.{header:x-sinch-webhook-signature-timestamp}",
};

/// 360dialog signs the body with the platform secret, for partners only. Its page does not name the encoding;
/// integrators receive plain hexadecimal digits.
/// <https://docs.360dialog.com/partner/onboarding/webhook-events-and-setup/signature-validation>
const DIALOG_360: Layout = Layout {
    header: "x-360dialog-signature",
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    prefix: "",
    timestamp_header: None,
    signed: "{body}",
};

/// Reads a preset of a policy as its schemes. The first one signs.
///
/// # Errors
/// Names the wrong field, never a secret.
pub(super) fn read(path: &str, name: &str, config: Json) -> Result<Vec<Scheme>, PolicyError> {
    let fields = |own: &[&str]| {
        let known: Vec<&str> = ["preset", ALLOW_WEAK].iter().chain(own).copied().collect();
        let mut fields = Fields::new(path, config, &known)?;
        let allow_weak = fields.flag(ALLOW_WEAK)?;
        Ok((fields, allow_weak))
    };
    let secrets = |fields: &mut Fields, name: &str, allow_weak| -> Result<Vec<Secret>, PolicyError> {
        let texts = secret_list(fields, name, Transmission::Encoded, allow_weak)?;
        Ok(texts.into_iter().map(Secret::new).collect())
    };
    // Without it, a handshake is refused like any other request.
    let verify_token = |fields: &mut Fields, allow_weak| -> Result<Option<Secret>, PolicyError> {
        let token = secret_text(fields, "verify_token", Transmission::Encoded, allow_weak)?;
        Ok(token.map(Secret::new))
    };
    Ok(match name {
        "meta" => {
            let (mut fields, allow_weak) = fields(&["secrets", "verify_token"])?;
            let keys = secrets(&mut fields, "secrets", allow_weak)?;
            let verify_tokens = verify_token(&mut fields, allow_weak)?.into_iter().collect();
            vec![
                Scheme::Hmac(Hmac::preset(&META, fields, keys)?),
                Scheme::Handshake(Handshake::Hub { verify_tokens }),
            ]
        }
        "google-rbm" => {
            // Google signs with the client token that its handshake contains.
            let (mut fields, allow_weak) = fields(&["secrets", "verify_token"])?;
            let keys = secrets(&mut fields, "secrets", allow_weak)?;
            let mut tokens = keys.clone();
            tokens.extend(verify_token(&mut fields, allow_weak)?);
            vec![
                Scheme::Hmac(Hmac::preset(&GOOGLE_RBM, fields, keys)?),
                Scheme::Handshake(Handshake::ClientToken { tokens }),
            ]
        }
        "sinch" => {
            let (mut fields, allow_weak) = fields(&["secrets", "tolerance_seconds"])?;
            let keys = secrets(&mut fields, "secrets", allow_weak)?;
            vec![Scheme::Hmac(Hmac::preset(&SINCH, fields, keys)?)]
        }
        "360dialog" => {
            let (mut fields, allow_weak) = fields(&["secrets"])?;
            let keys = secrets(&mut fields, "secrets", allow_weak)?;
            vec![Scheme::Hmac(Hmac::preset(&DIALOG_360, fields, keys)?)]
        }
        // Paytm Pi sends `Authorization: Bearer <token>`, and no signature.
        "paytm-pi" => {
            let (mut fields, allow_weak) = fields(&["secrets"])?;
            vec![Scheme::Bearer(Bearer::new(&mut fields, "secrets", allow_weak)?)]
        }
        // Svix's larger plans can rename the headers to those of Standard Webhooks.
        // <https://docs.svix.com/receiving/verifying-payloads/how-manual>
        "svix" => {
            let (mut fields, allow_weak) = fields(&["secrets", "tolerance_seconds"])?;
            let svix = StandardWebhooks::new(&mut fields, Names::Svix, allow_weak)?;
            let renamed = svix.named(Names::Webhook);
            vec![Scheme::StandardWebhooks(svix), Scheme::StandardWebhooks(renamed)]
        }
        _ => {
            return Err(PolicyError::at(
                path,
                "preset must be meta, google-rbm, sinch, 360dialog, paytm-pi or svix",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::auth::{
        Policy, Refusal,
        scheme::testing::{NOW, accepts_own, check},
    };
    use proptest::prelude::*;

    const META: &str = r#"{"accept":[{"preset":"meta","secrets":["It's a Secret to Everybody"],"verify_token":"a-token-long-enough"}]}"#;
    const GOOGLE: &str = r#"{"accept":[{"preset":"google-rbm","secrets":["SJENCPGJESMGUFPY"]}]}"#;
    const SINCH: &str = r#"{"accept":[{"preset":"sinch","secrets":["foo_secret1234"],"allow_weak":true}]}"#;
    const DIALOG_360: &str = r#"{"accept":[{"preset":"360dialog","secrets":["a-platform-secret-of-360"]}]}"#;
    const PAYTM: &str = r#"{"accept":[{"preset":"paytm-pi","secrets":["a-token-long-enough"]}]}"#;
    const SVIX: &str =
        r#"{"accept":[{"preset":"svix","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}]}"#;
    const ALL: [&str; 6] = [META, GOOGLE, SINCH, DIALOG_360, PAYTM, SVIX];

    /// A Pub/Sub push. Its decoded data is
    /// `{"senderPhoneNumber":"+919999999901","eventType":"DELIVERED","eventId":"e-1","messageId":"m-1",
    /// "sendTime":"2026-08-24T15:01:23.045123456Z","agentId":"a"}` without the line break.
    const PUSH: &str = r#"{"message":{"data":"eyJzZW5kZXJQaG9uZU51bWJlciI6Iis5MTk5OTk5OTk5MDEiLCJldmVudFR5cGUiOiJERUxJVkVSRUQiLCJldmVudElkIjoiZS0xIiwibWVzc2FnZUlkIjoibS0xIiwic2VuZFRpbWUiOiIyMDI2LTA4LTI0VDE1OjAxOjIzLjA0NTEyMzQ1NloiLCJhZ2VudElkIjoiYSJ9","attributes":{"type":"event"}},"subscription":"s"}"#;

    /// GitHub publishes this vector for its header of the same name and form:
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    #[test]
    fn meta_signs_the_body() {
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let sent = |value: &str, body: &str| {
            check(META, &[("X-Hub-Signature-256", value)], "", body.as_bytes(), NOW)
        };
        assert_eq!(sent(good, "Hello, World!"), Ok(()));
        assert_eq!(sent(good, "Hello, World?"), Err(Refusal::Mismatch));
        assert_eq!(
            sent(&good.replace("sha256=", ""), "Hello, World!"),
            Err(Refusal::Unknown)
        );
        // The token of the handshake is no proof for an event.
        let query = "hub.verify_token=a-token-long-enough";
        assert_eq!(check(META, &[], query, b"Hello, World!", NOW), Err(Refusal::None));
    }

    /// The signature is computed with openssl.
    #[test]
    fn google_signs_the_decoded_data() {
        let good = "hui4IUo3JCqaxfetFLffHOVK9LNCAhCGgpgdtjVdvcuHwCXzIzrxMwwB4oU7B3+8utVF4ulutjPApEFV0e6WQQ==";
        let sent =
            |value: &str, body: &str| check(GOOGLE, &[("x-goog-signature", value)], "", body.as_bytes(), NOW);
        assert_eq!(sent(good, PUSH), Ok(()));
        // The other fields of the message are not signed.
        assert_eq!(sent(good, &PUSH.replace("\"s\"", "\"t\"")), Ok(()));
        assert_eq!(sent(good, &PUSH.replace("bS0x", "bS0y")), Err(Refusal::Mismatch));
        assert_eq!(sent(good, &format!("[{PUSH}]")), Err(Refusal::Unknown));
        assert_eq!(sent(good, r#"{"eventType":"READ"}"#), Err(Refusal::Unknown));
        assert_eq!(sent("%", PUSH), Err(Refusal::Unknown));
        assert_eq!(check(GOOGLE, &[], "", PUSH.as_bytes(), NOW), Err(Refusal::None));
        assert_eq!(Policy::parse(GOOGLE).unwrap().sign(b"{}", NOW), []);
    }

    /// The vector of Sinch's own library, `sinch/sinch-sdk-dotnet`.
    #[test]
    fn sinch_signs_body_nonce_and_time() {
        let body = r#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#;
        let at = 1_634_579_353_000;
        let good = [
            (
                "x-sinch-webhook-signature",
                "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=",
            ),
            ("x-sinch-webhook-signature-nonce", "01FJA8B4A7BM43YGWSG9GBV067"),
            ("x-sinch-webhook-signature-timestamp", "1634579353"),
            ("x-sinch-webhook-signature-algorithm", "HmacSHA256"),
        ];
        let sent = |pairs: &[(&str, &str)], now| check(SINCH, pairs, "", body.as_bytes(), now);
        assert_eq!(sent(&good, at), Ok(()));
        assert_eq!(sent(&good, at + 301_000), Err(Refusal::Stale));
        assert_eq!(sent(&good[..1], at), Err(Refusal::Unknown));
        assert_eq!(sent(&good[1..], at), Err(Refusal::None));
        let mut other = good;
        other[1].1 = "01FJA8B4A7BM43YGWSG9GBV068";
        assert_eq!(sent(&other, at), Err(Refusal::Mismatch));
        let longer = SINCH.replace("\"allow_weak\"", "\"tolerance_seconds\":301,\"allow_weak\"");
        assert_eq!(check(&longer, &good, "", body.as_bytes(), at + 301_000), Ok(()));
    }

    /// The signature is computed with openssl.
    #[test]
    fn dialog_360_signs_the_body() {
        let good = "c93567da8b48f9343c36a83dc1cb28b543dd2340d501e3fd502a2e021e24107d";
        let sent = |value: &str, body: &str| {
            check(
                DIALOG_360,
                &[("x-360dialog-signature", value)],
                "",
                body.as_bytes(),
                NOW,
            )
        };
        assert_eq!(sent(good, "[{\"a\":\"ü\"}]"), Ok(()));
        assert_eq!(sent(good, "[{\"a\":\"u\"}]"), Err(Refusal::Mismatch));
        assert_eq!(sent("", "[{\"a\":\"ü\"}]"), Err(Refusal::Mismatch));
    }

    /// The header of the documentation's sample, with another token.
    #[test]
    fn paytm_pi_sends_a_bearer_token() {
        let sent = |value: &str| check(PAYTM, &[("Authorization", value)], "", b"{}", NOW);
        assert_eq!(sent("Bearer a-token-long-enough"), Ok(()));
        assert_eq!(sent("Bearer another-token-of-pi"), Err(Refusal::Mismatch));
    }

    /// Svix publishes this vector, Standard Webhooks the same one with its headers.
    #[test]
    fn svix_signs_as_standard_webhooks_do() {
        let renamed = SVIX.replace(
            "\"preset\":\"svix\"",
            "\"type\":\"standard-webhooks\",\"headers\":\"svix\"",
        );
        let standard = SVIX.replace("\"preset\":\"svix\"", "\"type\":\"standard-webhooks\"");
        for (policy, prefix, result) in [
            (SVIX, "svix", Ok(())),
            (SVIX, "webhook", Ok(())),
            (renamed.as_str(), "svix", Ok(())),
            (&renamed, "webhook", Err(Refusal::None)),
            (&standard, "webhook", Ok(())),
            (&standard, "svix", Err(Refusal::None)),
        ] {
            let names = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}"));
            let sent = |signature: &str| {
                let values = ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", signature];
                let pairs: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
                check(policy, &pairs, "", br#"{"test": 2432232314}"#, NOW)
            };
            let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
            assert_eq!(sent(good), result, "{policy} {prefix}");
            if result.is_ok() {
                let other = good.replace("g0h", "h0h");
                assert_eq!(sent(&other), Err(Refusal::Mismatch), "{policy} {prefix}");
            }
        }
    }

    #[test]
    fn a_preset_accepts_its_own_signatures() {
        for policy in ALL {
            assert_eq!(accepts_own(policy, PUSH.as_bytes()), Ok(()), "{policy}");
        }
    }

    #[test]
    fn a_preset_shows_no_secret() {
        for policy in ALL {
            let shown = format!("{:?}", Policy::parse(policy).unwrap());
            assert!(shown.contains("[REDACTED]"), "{shown}");
            for secret in [
                "Secret to",
                "long-enough",
                "SJENC",
                "foo_secret",
                "platform",
                "MfKQ",
            ] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn an_invalid_preset_is_refused_with_the_field() {
        let weak = "is shorter than 16 characters; for trials, \"allow_weak\":true in its scheme accepts it";
        for (config, says) in [
            (
                r#"{"preset":"hunter2"}"#,
                ": preset must be meta, google-rbm, sinch, 360dialog, paytm-pi or svix",
            ),
            (r#"{"preset":7}"#, ": has neither type nor preset"),
            (
                r#"{"preset":"meta","verify_token":"a-token-long-enough"}"#,
                ": missing field `secrets`",
            ),
            (
                r#"{"preset":"meta","secrets":["a-secret-long-enough"],"verify_token":["hunter2"]}"#,
                ".verify_token: must be a string",
            ),
            (
                r#"{"preset":"meta","secrets":["a-secret-long-enough"],"verify_token":""}"#,
                ".verify_token: is empty",
            ),
            (
                r#"{"preset":"meta","secrets":["a-secret-long-enough"],"verify_token":"hunter2"}"#,
                &format!(".verify_token: {weak}"),
            ),
            (
                r#"{"preset":"meta","secrets":["hunter2"],"verify_token":"a-token-long-enough"}"#,
                &format!(".secrets[0]: {weak}"),
            ),
            (
                r#"{"preset":"meta","type":"hmac","secrets":["a-secret-long-enough"],"verify_token":"x"}"#,
                ": unknown field (number 2 of the object), expected `preset`, `allow_weak`, `secrets` or `verify_token`",
            ),
            (
                r#"{"preset":"google-rbm","client_token":"hunter2"}"#,
                ": unknown field (number 2 of the object), expected `preset`, `allow_weak`, `secrets` or `verify_token`",
            ),
            (r#"{"preset":"google-rbm","secrets":[]}"#, ".secrets: is empty"),
            (
                r#"{"preset":"sinch","secrets":["a-secret-long-enough"],"tolerance_seconds":0}"#,
                ".tolerance_seconds: must be a whole number from 1 to 86400",
            ),
            (
                r#"{"preset":"360dialog","secrets":["a-secret-long-enough"],"secrets":["x"]}"#,
                ": repeated field `secrets`",
            ),
            (
                r#"{"preset":"paytm-pi","secrets":["ein-schlüssel-mit-umlaut"]}"#,
                ".secrets[0]: contains a character that a header cannot contain: only ASCII can be sent",
            ),
            (
                r#"{"preset":"svix","secrets":["whsec_hunter2!hunter2!"]}"#,
                ".secrets[0]: is not base64 after whsec_",
            ),
        ] {
            let fault = Policy::parse(&format!(r#"{{"accept":[{config}]}}"#))
                .unwrap_err()
                .to_string();
            assert_eq!(fault, format!("WEBHOOK_AUTH: accept[0]{says}"), "{config}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        // `allow_weak` holds for all secrets of a preset.
        let trial = r#"{"accept":[{"preset":"meta","secrets":["a"],"verify_token":"b","allow_weak":true}]}"#;
        assert!(Policy::parse(trial).is_ok());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_the_signed_bytes_fails(data in prop::collection::vec(any::<u8>(), 1..60), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let push = |data: &[u8]| format!(r#"{{"message":{{"data":"{}"}}}}"#, STANDARD.encode(data));
            let mut changed = data.clone();
            changed[at.index(data.len())] ^= 1 << bit;
            for policy in [META, GOOGLE, SINCH, DIALOG_360, SVIX] {
                let signed = Policy::parse(policy).unwrap().sign(push(&data).as_bytes(), NOW);
                let pairs: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                prop_assert_eq!(check(policy, &pairs, "", push(&data).as_bytes(), NOW), Ok(()));
                prop_assert_eq!(check(policy, &pairs, "", push(&changed).as_bytes(), NOW), Err(Refusal::Mismatch));
            }
        }
    }
}
