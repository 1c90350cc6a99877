//! Authentication: every scheme accepts its sender, and all other senders get the same response without a
//! trace. The source address comes from the connection or from a trusted proxy.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{AUTH, TOKEN, receiver_names},
    server::Server,
};
use serde_json::{Value, json};
use webhook_ingest::{auth::Policy, event::time};

use super::event;

const FOUR_SCHEMES: &str = r#"{"accept":[
    {"type":"hmac","header":"x-webhook-signature","algorithm":"sha256","encoding":"hex","prefix":"sha256=","secrets":["the-new-secret-of-the-tests","the-old-secret-of-the-tests"]},
    {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["the-secret-of-timed-signatures"]},
    {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
    {"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]},
    {"type":"basic","username":"netcore","passwords":["passw0rd-of-the-tests"]}]}"#;

type Headers = Vec<(String, String)>;

/// The headers of a sender with only this scheme and a clock that differs from ours.
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
    header("authorization", format!("Basic {}", STANDARD.encode(pair)))
}

fn header(name: &str, value: impl Into<String>) -> Headers {
    vec![(name.to_owned(), value.into())]
}

/// The headers with another value of one.
fn replaced(mut headers: Headers, name: &str, value: impl Into<String>) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers.push((name.to_owned(), value.into()));
    headers
}

/// The headers without one.
fn without(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(n, _)| n != name);
    headers
}

/// The headers with one repeated.
fn repeated(mut headers: Headers, name: &str) -> Headers {
    let same = headers.iter().find(|(n, _)| n == name).unwrap().clone();
    headers.push(same);
    headers
}

#[rustfmt::skip]
fn unauthenticated(body: &[u8]) -> Vec<(&'static str, Headers)> {
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
        ("a wrong token", header("x-netcore-token", "token")),
        ("an empty token", header("x-netcore-token", "")),
        ("a token in upper case", header("x-netcore-token", "T0KEN-OF-THE-TESTS")),
        ("a longer token", header("x-netcore-token", "t0ken-of-the-tests-and-more")),
        ("the beginning of the token", header("x-netcore-token", "t0ken-of-the")),
        ("the token twice", repeated(header("x-netcore-token", "t0ken-of-the-tests"), "x-netcore-token")),
        ("the token in another header", header("x-token", "t0ken-of-the-tests")),
        ("an empty signature", header(hex, "")),
        ("only the prefix", header(hex, "sha256=")),
        ("no prefix", header(hex, &good["sha256=".len()..])),
        ("a signature of the wrong length", header(hex, &good[..good.len() - 2])),
        ("half a byte", header(hex, &good[..good.len() - 1])),
        ("a byte too many", header(hex, format!("{good}00"))),
        ("no hex", header(hex, format!("sha256={}", "g".repeat(64)))),
        ("7 KB of signature", header(hex, format!("sha256={}", "a".repeat(7_000)))),
        ("another secret", header(hex, hex_with("the-newest-secret-of-the-tests", body))),
        ("a signature of another body", header(hex, hex_with("the-new-secret-of-the-tests", b"[]"))),
        ("a good signature behind eight wrong ones", header(hex, many(8))),
        ("a stale time", timed(body, -310)),
        ("a future time", timed(body, 310)),
        ("no time", without(timed(body, 0), "x-timestamp")),
        ("the time twice", repeated(timed(body, 0), "x-timestamp")),
        ("another time than was signed", replaced(timed(body, 0), "x-timestamp", (time::now() / 1000 - 1).to_string())),
        ("a time in words", replaced(timed(body, 0), "x-timestamp", "now")),
        ("a negative time", replaced(timed(body, 0), "x-timestamp", "-1704876828")),
        ("a time with a plus", replaced(timed(body, 0), "x-timestamp", format!("+{}", time::now() / 1000))),
        ("an endless time", replaced(timed(body, 0), "x-timestamp", "9".repeat(40))),
        ("the time of 1970", replaced(timed(body, 0), "x-timestamp", "0")),
        ("a stale message", standard(body, -310)),
        ("a future message", standard(body, 310)),
        ("no message id", without(webhook.clone(), "webhook-id")),
        ("another message id", replaced(webhook.clone(), "webhook-id", "msg_other")),
        ("no message time", without(webhook.clone(), "webhook-timestamp")),
        ("the message time twice", repeated(webhook.clone(), "webhook-timestamp")),
        ("no version", replaced(webhook.clone(), "webhook-signature", &signature[3..])),
        ("another version", replaced(webhook.clone(), "webhook-signature", format!("v1a{}", &signature[2..]))),
        ("a shortened signature", replaced(webhook.clone(), "webhook-signature", &signature[..20])),
        ("another user", basic("admin:passw0rd-of-the-tests")),
        ("another password", basic("netcore:password")),
        ("no password", basic("netcore")),
        ("an empty password", basic("netcore:")),
        ("a password with more behind it", basic("netcore:passw0rd-of-the-tests:")),
        ("no base64", header("authorization", "Basic netcore:passw0rd-of-the-tests")),
        ("a bearer", header("authorization", format!("Bearer {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("the password twice", repeated(basic("netcore:passw0rd-of-the-tests"), "authorization")),
    ]
}

#[rustfmt::skip]
fn authenticated(body: &[u8]) -> Vec<(&'static str, Headers)> {
    let hex = "x-webhook-signature";
    let (new, old, wrong) = (hex_with("the-new-secret-of-the-tests", body), hex_with("the-old-secret-of-the-tests", body), hex_with("another-secret-of-the-tests", body));
    let webhook = standard(body, 0);
    let signature = webhook[2].1.clone();
    let upper = format!("sha256={}", new["sha256=".len()..].to_uppercase());
    vec![
        ("the token", header("x-netcore-token", "t0ken-of-the-tests")),
        ("the token with spaces around it", header("x-netcore-token", "  t0ken-of-the-tests ")),
        ("the token's header in upper case", header("X-Netcore-Token", "t0ken-of-the-tests")),
        ("the new secret", header(hex, &new)),
        ("the old secret", header(hex, &old)),
        ("a signature in upper case", header(hex, upper)),
        ("several signatures", header(hex, format!("{wrong}, {old}"))),
        ("seven wrong signatures before", header(hex, format!("{},{new}", vec![wrong.clone(); 7].join(",")))),
        ("the signature's header twice", vec![(hex.into(), wrong), (hex.into(), new)]),
        ("a time just now", timed(body, 0)),
        ("a time some minutes ago", timed(body, -200)),
        ("a time some minutes ahead", timed(body, 200)),
        ("a standard webhook", webhook.clone()),
        ("an older one", standard(body, -200)),
        ("several standard signatures", replaced(webhook.clone(), "webhook-signature", format!("v1,AAAA v1a,BBBB {signature}"))),
        ("the standard signature twice", repeated(webhook.clone(), "webhook-signature")),
        ("user and password", basic("netcore:passw0rd-of-the-tests")),
        ("the scheme in lower case", header("authorization", format!("basic {}", STANDARD.encode("netcore:passw0rd-of-the-tests")))),
        ("a wrong token beside a good password", [header("x-netcore-token", "x"), basic("netcore:passw0rd-of-the-tests")].concat()),
    ]
}

/// Text and base64: function URLs encode content of unknown types.
const CONTENT_TYPES: [&str; 3] = ["application/json; charset=utf-8", "application/octet-stream", ""];

async fn post(server: &Server, headers: &Headers, content_type: &str, body: &[u8]) -> Answer {
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    if !content_type.is_empty() {
        headers.push(("content-type", content_type));
    }
    let mut answer = server.post_with("event-webhook", &headers, body.to_vec()).await;
    answer.headers.remove("date");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_senders_get_one_response_and_nothing_is_stored() {
    let server = Server::with_policy(FOUR_SCHEMES).await;
    let event = format!("[{}]", event(&json!({})));
    let mut expected = None;
    for body in [event.as_bytes(), b"", b"\xff not JSON", "[\"ü\"]".as_bytes()] {
        for (what, headers) in unauthenticated(body) {
            for content_type in CONTENT_TYPES {
                let answer = post(&server, &headers, content_type, body).await;
                assert_eq!(answer.status, 401, "{what} as {content_type}: {}", answer.body);
                let answer = (answer.headers, answer.body);
                assert_eq!(
                    &answer,
                    expected.get_or_insert_with(|| answer.clone()),
                    "{what} as {content_type}"
                );
            }
        }
    }
    assert_eq!(
        (server.storage().count().await, server.storage().depths().await),
        (0, [0, 0])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_accepts_its_sender() {
    let server = Server::with_policy(FOUR_SCHEMES).await;
    for id in ["plain", "\u{fc}ml\u{e4}ut \u{1f600}"] {
        let mut first = true;
        let body = format!("[{}]", event(&json!({"message_id": id})));
        for (what, headers) in authenticated(body.as_bytes()) {
            for content_type in CONTENT_TYPES {
                let answer = post(&server, &headers, content_type, body.as_bytes()).await;
                assert_eq!(answer.status, 200, "{what} as {content_type}: {}", answer.body);
                let expected = if first { [1, 1, 0, 0, 0] } else { [1, 0, 1, 0, 0] };
                assert_eq!(answer.counts(), expected, "{what} as {content_type}");
                first = false;
            }
        }
    }
    // Bytes that are not text are signed unchanged.
    let bytes = b"\xff\xfe\x00";
    for (number, (what, headers)) in authenticated(bytes).into_iter().enumerate() {
        for content_type in CONTENT_TYPES {
            let answer = post(&server, &headers, content_type, bytes).await;
            assert_eq!(
                answer.status, 400,
                "{what} as {content_type} ({number}): {}",
                answer.body
            );
        }
    }
    for dead_letter in server.storage().take_dead_letters().await {
        assert_eq!(dead_letter.body.bytes(), bytes);
    }
    assert_eq!(
        (server.storage().count().await, server.storage().depths().await),
        (2, [0, 0])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn get_needs_no_secret_and_other_methods_are_rejected() {
    let server = Server::start().await;
    for function in receiver_names() {
        let path = format!("/lambda-url/{function}/");
        for method in [Method::GET, Method::HEAD] {
            let answer = server.send(method.clone(), &path, &[], "").await;
            assert_eq!(answer.status, 200, "{method} {function}");
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let answer = server.send(method.clone(), &path, &[TOKEN], "[]").await;
            assert_eq!(answer.status, 405, "{method} {function}");
            assert_eq!(
                answer.header("allow"),
                Some("GET, HEAD, POST"),
                "{method} {function}"
            );
        }
    }
    assert_eq!(
        (server.storage().count().await, server.storage().depths().await),
        (0, [0, 0])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_can_set_the_source_address() {
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
        let mut policy: Value = serde_json::from_str(AUTH).unwrap();
        policy["sources"] = serde_json::from_str(sources).unwrap();
        let server = Server::with_policy(&policy.to_string()).await;
        let answer = server.post_with("event-webhook", &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{sources} {headers:?}: {}", answer.body);
        assert_eq!(
            server.storage().count().await,
            usize::from(status == 200),
            "{sources} {headers:?}"
        );
        assert_eq!(server.storage().depths().await, [0, 0], "{sources} {headers:?}");
    }
}
