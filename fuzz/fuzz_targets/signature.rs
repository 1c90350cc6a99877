//! Any bytes as authentication headers: nothing panics, and no request without the secret is accepted.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use webhook_ingest::auth::{Policy, Unverified};

const NAMES: [&str; 16] = [
    "x-webhook-signature",
    "x-signature",
    "x-timestamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-netcore-token",
    "authorization",
    "x-hub-signature-256",
    "x-goog-signature",
    "x-sinch-webhook-signature",
    "x-sinch-webhook-signature-nonce",
    "x-sinch-webhook-signature-timestamp",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
];

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        Policy::parse(
            r#"{"accept":[
            {"type":"hmac","header":"x-webhook-signature","prefix":"sha256=","secrets":["a long secret that no mutation finds"]},
            {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["another long secret that no mutation finds"]},
            {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
            {"type":"header","name":"x-netcore-token","values":["a third long secret that no mutation finds"]},
            {"type":"basic","username":"netcore","passwords":["a fourth long secret that no mutation finds"]},
            {"type":"bearer","tokens":["a fifth long secret that no mutation finds"]},
            {"preset":"meta","secrets":["a sixth long secret that no mutation finds"],"verify_token":"a seventh long secret that no mutation finds"},
            {"preset":"google-rbm","client_tokens":["an eighth long secret that no mutation finds"]},
            {"preset":"sinch","secrets":["a ninth long secret that no mutation finds"]},
            {"preset":"svix","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}],
          "sources":{"mode":"report","preset":"netcore","trusted_proxies":["10.0.0.0/8"]}}"#,
        )
        .expect("a policy")
    })
}

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    let mut lines = input.split(|byte| *byte == b'\n');
    let body = lines.next().unwrap_or_default();
    for line in lines {
        let Some((which, value)) = line.split_first() else { continue };
        let name = NAMES[usize::from(which.wrapping_sub(1)) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value.clone());
            headers.append("x-forwarded-for", value);
        }
    }
    let request = Unverified { headers: &headers, query: "", body };
    assert!(policy().verify(request, 1_704_876_900_000).is_err());
    let _ = policy().sources().check("10.1.2.3".parse().ok(), &headers);
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Policy::parse(text);
    }
});
