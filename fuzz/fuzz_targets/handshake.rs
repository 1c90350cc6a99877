//! Any query and body as a handshake, or with a secret in the URL: nothing panics, and no caller without the token is
//! answered or accepted.
#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use webhook_ingest::auth::{Challenge, Policy, Unverified};

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        Policy::parse(
            r#"{"accept":[
            {"type":"query","name":"token","values":["a long secret that no mutation finds"]},
            {"preset":"meta","secrets":["another long secret that no mutation finds"],"verify_token":"a third long secret that no mutation finds"},
            {"preset":"google-rbm","client_tokens":["a fourth long secret that no mutation finds"]}]}"#,
        )
        .expect("a policy")
    })
}

// The query, a line break, the body.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let body = parts.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    let request = Unverified { headers: &headers, query: &query, body };
    for method in [Method::GET, Method::POST] {
        let answer = policy().challenge(&method, request);
        assert!(!matches!(answer, Some(Challenge::Answered(_))));
    }
    assert!(policy().verify(request, 1_704_876_900_000).is_err());
    // With a signature, the data that it would cover is read.
    headers.insert("x-goog-signature", http::HeaderValue::from_static("AAAA"));
    let request = Unverified { headers: &headers, query: &query, body };
    assert!(policy().verify(request, 1_704_876_900_000).is_err());
});
