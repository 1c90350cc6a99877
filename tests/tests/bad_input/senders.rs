//! Who may post: every scheme lets its sender in, strangers get one answer and leave no trace, and the
//! address that was seen decides.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use integration_tests::{
    fixtures::receiver_names,
    instance::{Answer, Instance, POLICY, TOKEN},
};
use serde_json::{Value, json};
use webhook_ingest::{auth::Policy, event::time};

use crate::event;

const FOUR_SCHEMES: &str = r#"{"accept":[
    {"type":"hmac","header":"x-webhook-signature","algorithm":"sha256","encoding":"hex","prefix":"sha256=","secrets":["the-new-secret-of-the-tests","the-old-secret-of-the-tests"]},
    {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["the-secret-of-timed-signatures"]},
    {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
    {"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]},
    {"type":"basic","username":"netcore","passwords":["passw0rd-of-the-tests"]}]}"#;

type Headers = Vec<(String, String)>;

/// The headers of a sender with only this scheme, at a time that differs from ours.
fn signed(scheme: &str, body: &[u8], seconds_off: i64) -> Headers {
    let policy = Policy::parse(&format!("{{\"accept\":[{scheme}]}}")).unwrap();
    policy.sign(body, time::now() + seconds_off * 1000)
}

fn hex_with(secret: &str, body: &[u8]) -> String {
    let scheme =
        json!({"type": "hmac", "header": "x-webhook-signature", "prefix": "sha256=", "secrets": [secret]});
    signed(&scheme.to_string(), body, 0).remove(0).1
}

fn timed(body: &[u8], seconds_off: i64) -> Headers {
    let scheme = r#"{"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","secrets":["the-secret-of-timed-signatures"]}"#;
    signed(scheme, body, seconds_off)
}

fn standard(body: &[u8], seconds_off: i64) -> Headers {
    let scheme = r#"{"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#;
    signed(scheme, body, seconds_off)
}

fn basic(pair: &str) -> Headers {
    one("authorization", format!("Basic {}", STANDARD.encode(pair)))
}

fn one(name: &str, value: impl Into<String>) -> Headers {
    vec![(name.to_owned(), value.into())]
}

/// The headers with another value for one of them.
fn but(mut headers: Headers, name: &str, value: impl Into<String>) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers.push((name.to_owned(), value.into()));
    headers
}

/// The headers without one of them.
fn less(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers
}

/// The headers with one of them twice.
fn twice(mut headers: Headers, name: &str) -> Headers {
    let same = headers.iter().find(|(n, _)| n == name).unwrap().clone();
    headers.push(same);
    headers
}

#[rustfmt::skip]
fn strangers(body: &[u8]) -> Vec<(&'static str, Headers)> {
    let hex = "x-webhook-signature";
    let good = hex_with("the-new-secret-of-the-tests", body);
    let webhook = standard(body, 0);
    let signature = webhook[2].1.clone();
    let many = |wrong: usize| {
        let mut signatures = vec![hex_with("another-secret-of-the-tests", body); wrong];
        signatures.push(good.clone());
        signatures.join(",")
    };
    vec![
        ("nothing", vec![]),
        ("a wrong token", one("x-netcore-token", "token")),
        ("an empty token", one("x-netcore-token", "")),
        ("a token in capitals", one("x-netcore-token", "T0KEN-OF-THE-TESTS")),
        ("a longer token", one("x-netcore-token", "t0ken-of-the-tests-and-more")),
        ("the beginning of the token", one("x-netcore-token", "t0ken-of-the")),
        ("the token twice", twice(one("x-netcore-token", "t0ken-of-the-tests"), "x-netcore-token")),
        ("the token in another header", one("x-token", "t0ken-of-the-tests")),
        ("an empty signature", one(hex, "")),
        ("only the prefix", one(hex, "sha256=")),
        ("no prefix", one(hex, &good["sha256=".len()..])),
        ("a signature of the wrong length", one(hex, &good[..good.len() - 2])),
        ("half a byte", one(hex, &good[..good.len() - 1])),
        ("a byte too many", one(hex, format!("{good}00"))),
        ("no hex", one(hex, format!("sha256={}", "g".repeat(64)))),
        ("7 KB of signature", one(hex, format!("sha256={}", "a".repeat(7_000)))),
        ("another secret", one(hex, hex_with("the-newest-secret-of-the-tests", body))),
        ("a signature of another body", one(hex, hex_with("the-new-secret-of-the-tests", b"[]"))),
        ("a good signature behind eight wrong ones", one(hex, many(8))),
        ("a stale time", timed(body, -310)),
        ("a future time", timed(body, 310)),
        ("no time", less(timed(body, 0), "x-timestamp")),
        ("the time twice", twice(timed(body, 0), "x-timestamp")),
        ("another time than was signed", but(timed(body, 0), "x-timestamp", (time::now() / 1000 - 1).to_string())),
        ("a time in words", but(timed(body, 0), "x-timestamp", "now")),
        ("a negative time", but(timed(body, 0), "x-timestamp", "-1704876828")),
        ("a time with a plus", but(timed(body, 0), "x-timestamp", format!("+{}", time::now() / 1000))),
        ("an endless time", but(timed(body, 0), "x-timestamp", "9".repeat(40))),
        ("the time of 1970", but(timed(body, 0), "x-timestamp", "0")),
        ("a stale message", standard(body, -310)),
        ("a future message", standard(body, 310)),
        ("no message id", less(webhook.clone(), "webhook-id")),
        ("another message id", but(webhook.clone(), "webhook-id", "msg_other")),
        ("no message time", less(webhook.clone(), "webhook-timestamp")),
        ("the message time twice", twice(webhook.clone(), "webhook-timestamp")),
        ("no version", but(webhook.clone(), "webhook-signature", &signature[3..])),
        ("another version", but(webhook.clone(), "webhook-signature", format!("v1a{}", &signature[2..]))),
        ("a shortened signature", but(webhook.clone(), "webhook-signature", &signature[..20])),
        ("another user", basic("admin:passw0rd-of-the-tests")),
        ("another password", basic("netcore:password")),
        ("no password", basic("netcore")),
        ("an empty password", basic("netcore:")),
        ("a password with more behind it", basic("netcore:passw0rd-of-the-tests:")),
        ("no base64", one("authorization", "Basic netcore:passw0rd-of-the-tests")),
        ("a bearer", one("authorization", format!("Bearer {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("the password twice", twice(basic("netcore:passw0rd-of-the-tests"), "authorization")),
    ]
}

#[rustfmt::skip]
fn friends(body: &[u8]) -> Vec<(&'static str, Headers)> {
    let hex = "x-webhook-signature";
    let (new, old, wrong) = (hex_with("the-new-secret-of-the-tests", body), hex_with("the-old-secret-of-the-tests", body), hex_with("another-secret-of-the-tests", body));
    let webhook = standard(body, 0);
    let signature = webhook[2].1.clone();
    let upper = format!("sha256={}", new["sha256=".len()..].to_uppercase());
    vec![
        ("the token", one("x-netcore-token", "t0ken-of-the-tests")),
        ("the token with spaces around it", one("x-netcore-token", "  t0ken-of-the-tests ")),
        ("the token's header in capitals", one("X-Netcore-Token", "t0ken-of-the-tests")),
        ("the new secret", one(hex, &new)),
        ("the old secret", one(hex, &old)),
        ("a signature in capitals", one(hex, upper)),
        ("several signatures", one(hex, format!("{wrong}, {old}"))),
        ("seven wrong signatures before", one(hex, format!("{},{new}", vec![wrong.clone(); 7].join(",")))),
        ("the signature's header twice", vec![(hex.into(), wrong), (hex.into(), new)]),
        ("a time just now", timed(body, 0)),
        ("a time some minutes ago", timed(body, -200)),
        ("a time some minutes ahead", timed(body, 200)),
        ("a standard webhook", webhook.clone()),
        ("an older one", standard(body, -200)),
        ("several standard signatures", but(webhook.clone(), "webhook-signature", format!("v1,AAAA v1a,BBBB {signature}"))),
        ("the standard signature twice", twice(webhook.clone(), "webhook-signature")),
        ("user and password", basic("netcore:passw0rd-of-the-tests")),
        ("the scheme in small letters", one("authorization", format!("basic {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("a wrong token beside a good password", [one("x-netcore-token", "x"), basic("netcore:passw0rd-of-the-tests")].concat()),
    ]
}

/// As text and in base64: function URLs deliver what is not known to be text in the latter.
const CONTENT_TYPES: [&str; 3] = ["application/json; charset=utf-8", "application/octet-stream", ""];

async fn knock(instance: &Instance, headers: &Headers, content_type: &str, body: &[u8]) -> Answer {
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    if !content_type.is_empty() {
        headers.push(("content-type", content_type));
    }
    let mut answer = instance.post_with("event-webhook", &headers, body.to_vec()).await;
    answer.headers.remove("date");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_one_thing_and_leave_no_trace() {
    let instance = Instance::with_policy(FOUR_SCHEMES).await;
    let event = format!("[{}]", event(&json!({})));
    let mut told: Option<Answer> = None;
    for body in [event.as_bytes(), b"", b"\xff not JSON", "[\"ü\"]".as_bytes()] {
        for (what, headers) in strangers(body) {
            for content_type in CONTENT_TYPES {
                let answer = knock(&instance, &headers, content_type, body).await;
                assert_eq!(answer.status, 401, "{what} as {content_type}: {}", answer.text);
                assert_eq!(
                    &answer,
                    told.get_or_insert_with(|| answer.clone()),
                    "{what} as {content_type}"
                );
            }
        }
    }
    assert_eq!(
        (instance.ledger.count().await, instance.ledger.depths().await),
        (0, [0, 0])
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_lets_its_sender_in() {
    let instance = Instance::with_policy(FOUR_SCHEMES).await;
    for id in ["plain", "\u{fc}ml\u{e4}ut \u{1f600}"] {
        let mut first = true;
        let body = format!("[{}]", event(&json!({"message_id": id})));
        for (what, headers) in friends(body.as_bytes()) {
            for content_type in CONTENT_TYPES {
                let answer = knock(&instance, &headers, content_type, body.as_bytes()).await;
                assert_eq!(answer.status, 200, "{what} as {content_type}: {}", answer.text);
                let expected = if first { [1, 1, 0, 0, 0] } else { [1, 0, 1, 0, 0] };
                assert_eq!(answer.counts(), expected, "{what} as {content_type}");
                first = false;
            }
        }
    }
    // What is no text is signed as the bytes it is.
    let bytes = b"\xff\xfe\x00";
    for (number, (what, headers)) in friends(bytes).into_iter().enumerate() {
        for content_type in CONTENT_TYPES {
            let answer = knock(&instance, &headers, content_type, bytes).await;
            assert_eq!(
                answer.status, 400,
                "{what} as {content_type} ({number}): {}",
                answer.text
            );
        }
    }
    for letter in instance.ledger.take_letters().await {
        assert_eq!(letter.body.bytes(), bytes);
    }
    assert_eq!(
        (instance.ledger.count().await, instance.ledger.depths().await),
        (2, [0, 0])
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_address_needs_no_secret_and_other_methods_are_refused() {
    let instance = Instance::start().await;
    for function in receiver_names() {
        let path = format!("/lambda-url/{function}/");
        for method in [Method::GET, Method::HEAD] {
            let answer = instance.send(method.clone(), &path, &[], "").await;
            assert_eq!(answer.status, 200, "{method} {function}");
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let answer = instance.send(method.clone(), &path, &[TOKEN], "[]").await;
            assert_eq!(answer.status, 405, "{method} {function}");
            assert_eq!(
                answer.header("allow"),
                Some("GET, HEAD, POST"),
                "{method} {function}"
            );
        }
    }
    assert_eq!(
        (instance.ledger.count().await, instance.ledger.depths().await),
        (0, [0, 0])
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_was_seen_decides_and_never_a_header_of_the_sender() {
    let body = format!("[{}]", event(&json!({})));
    let forwarded = |address: &'static str| ("x-forwarded-for", address);
    for (sources, headers, status) in [
        (r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 403),
        (r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#, vec![], 403),
        (
            r#"{"mode":"enforce","allow":["10.0.0.0/8"]}"#,
            vec![TOKEN, forwarded("10.0.0.1")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore"}"#,
            vec![
                TOKEN,
                forwarded("3.6.178.98"),
                ("forwarded", "for=3.6.178.98"),
                ("x-real-ip", "3.6.178.98"),
            ],
            403,
        ),
        (r#"{"mode":"enforce","allow":["127.0.0.1"]}"#, vec![TOKEN], 200),
        (r#"{"mode":"enforce","allow":["127.0.0.0/8"]}"#, vec![], 401),
        (r#"{"mode":"report","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 200),
        (r#"{"mode":"report","allow":["10.0.0.0/8"]}"#, vec![], 401),
        (r#"{"mode":"off","allow":["10.0.0.0/8"]}"#, vec![TOKEN], 200),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("3.6.178.98")],
            200,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("3.6.178.98"), forwarded("1.2.3.4")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN, forwarded("junk")],
            403,
        ),
        (
            r#"{"mode":"enforce","preset":"netcore","trusted_proxies":["127.0.0.1/32"]}"#,
            vec![TOKEN],
            403,
        ),
    ] {
        let mut policy: Value = serde_json::from_str(POLICY).unwrap();
        policy["sources"] = serde_json::from_str(sources).unwrap();
        let instance = Instance::with_policy(&policy.to_string()).await;
        let answer = instance.post_with("event-webhook", &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{sources} {headers:?}: {}", answer.text);
        assert_eq!(
            instance.ledger.count().await,
            usize::from(status == 200),
            "{sources} {headers:?}"
        );
        assert_eq!(instance.ledger.depths().await, [0, 0], "{sources} {headers:?}");
    }
}
