//! Presets, handshakes and tokens in a URL, over the real function: the sender is accepted, everybody else gets
//! the same refusal, and no log line contains a secret.

use std::collections::BTreeSet;

use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{LONG_BUDGET, body, event, request, request_to},
    function::Function,
    stack::Stack,
};
use serde_json::{Value, json};
use webhook_ingest::{auth::Policy, event::time};

const META: &str = r#"{"accept":[{"preset":"meta","secrets":["the-secret-of-the-app"],"verify_token":"the-token-of-the-hub"}]}"#;
const GOOGLE: &str = r#"{"accept":[{"preset":"google-rbm","secrets":["SJENCPGJESMGUFPY"]}]}"#;
const SINCH: &str = r#"{"accept":[{"preset":"sinch","secrets":["the-secret-of-sinch"]}]}"#;
const DIALOG_360: &str = r#"{"accept":[{"preset":"360dialog","secrets":["the-platform-secret"]}]}"#;
const PAYTM: &str = r#"{"accept":[{"preset":"paytm-pi","secrets":["the-token-of-paytm"]}]}"#;
const SVIX: &str = r#"{"accept":[{"preset":"svix","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}]}"#;
const QUERY: &str = r#"{"accept":[{"type":"query","name":"token","values":["the token & of the URL","an-older-token"],"allow_weak":true}]}"#;

/// The secrets of the policies, and the values of the handshakes. No log line may contain one.
const SECRETS: [&str; 10] = [
    "the-secret-of",
    "the-token-of",
    "SJENCPGJESMGUFPY",
    "the-platform-secret",
    "MfKQ9r8GKYqrTwj",
    "an-older-token",
    "token=",
    "hub.",
    "1158201444",
    "1234567890",
];

const REFUSED: &str = r#"{"error":"missing, wrong or stale authentication"}"#;

/// A body of `event-webhook`, whose literal signatures are computed with openssl.
fn literal(message: &str) -> String {
    format!(
        r#"[{{"message_id":"preset-{message}","mobile":"919999999901","status":"Sent","channel":"RCS","event_time":1704876828}}]"#
    )
}

/// A Pub/Sub push with an event of Google's in base64.
const PUSH: &str = r#"{"message":{"data":"eyJzZW5kZXJQaG9uZU51bWJlciI6Iis5MTk5OTk5OTk5MDEiLCJldmVudFR5cGUiOiJERUxJVkVSRUQiLCJldmVudElkIjoiZS0xIiwibWVzc2FnZUlkIjoibS0xIiwic2VuZFRpbWUiOiIyMDI2LTA4LTI0VDE1OjAxOjIzLjA0NTEyMzQ1NloiLCJhZ2VudElkIjoiYSJ9"}}"#;

async fn receiver(stack: &Stack, policy: &str) -> Function {
    stack
        .function("event-webhook", &[("WEBHOOK_AUTH", policy), LONG_BUDGET])
        .await
}

async fn post(receiver: &Function, headers: &[(&str, &str)], query: &str, body: &str) -> Answer {
    let event = request_to(&Method::POST, "/", query, headers, body.as_bytes());
    receiver.request(&event).await
}

/// Asserts the refusal that every caller without a valid secret gets.
fn assert_refused(answer: &Answer, of: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (401, REFUSED), "{of}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{of}");
}

fn assert_no_secret_is_logged(receiver: &Function) {
    let lines = receiver.lines().concat();
    for secret in SECRETS {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_preset_accepts_its_sender_and_nobody_else() {
    let stack = Stack::start().await;
    let mut expected = BTreeSet::new();
    for (policy, header, value) in [
        (
            META,
            "X-Hub-Signature-256",
            "sha256=b942a0ca01136505cdeea0b707910d46cb2561b96fad17f8372b43b0e1637c4e",
        ),
        (
            DIALOG_360,
            "x-360dialog-signature",
            "809e256302ccc8e45c5176b744e9b3f036969438ffa96c102b385bc2fec207f5",
        ),
        (PAYTM, "Authorization", "Bearer the-token-of-paytm"),
    ] {
        let receiver = receiver(&stack, policy).await;
        let preset: Value = serde_json::from_str(policy).unwrap();
        let preset = preset["accept"][0]["preset"].as_str().unwrap();
        let body = literal(preset);
        let answer = post(&receiver, &[(header, value)], "", &body).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{preset}");
        expected.insert(format!("preset-{preset}"));

        assert_refused(&post(&receiver, &[], "", &body).await, preset);
        let wrong = value.replace(['e', '4'], "0");
        assert_refused(&post(&receiver, &[(header, &wrong)], "", &body).await, preset);
        let joined = format!("{value}x");
        assert_refused(&post(&receiver, &[(header, &joined)], "", &body).await, preset);
        if preset != "paytm-pi" {
            let changed = literal("forged");
            assert_refused(&post(&receiver, &[(header, value)], "", &changed).await, preset);
        }
        assert_no_secret_is_logged(&receiver);
    }

    // Their signatures have a time.
    for (policy, preset) in [(SINCH, "sinch"), (SVIX, "svix")] {
        let receiver = receiver(&stack, policy).await;
        let body = literal(preset);
        let signed = |seconds: i64| {
            Policy::parse(policy)
                .unwrap()
                .sign(body.as_bytes(), time::now() + seconds * 1000)
        };
        let pairs = |signed: &[(String, String)]| signed.to_vec();
        for (seconds, is_accepted) in [(-400, false), (400, false), (0, true)] {
            let headers = pairs(&signed(seconds));
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let answer = post(&receiver, &headers, "", &body).await;
            if is_accepted {
                assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{preset}");
                let changed = post(&receiver, &headers, "", &literal("forged")).await;
                assert_refused(&changed, preset);
                let incomplete = post(&receiver, &headers[..1], "", &body).await;
                assert_refused(&incomplete, preset);
            } else {
                assert_refused(&answer, preset);
            }
        }
        expected.insert(format!("preset-{preset}"));
        assert_no_secret_is_logged(&receiver);
    }

    // A push is authenticated; `event-webhook` does not know its records.
    let receiver = receiver(&stack, GOOGLE).await;
    let signature =
        "hui4IUo3JCqaxfetFLffHOVK9LNCAhCGgpgdtjVdvcuHwCXzIzrxMwwB4oU7B3+8utVF4ulutjPApEFV0e6WQQ==";
    let sent = async |body: &str, signature: &str| {
        post(&receiver, &[("X-Goog-Signature", signature)], "", body).await
    };
    assert_eq!(sent(PUSH, signature).await.status, 400);
    assert_refused(
        &sent(&PUSH.replace("bS0x", "bS0y"), signature).await,
        "another message",
    );
    assert_refused(
        &sent(PUSH, &signature.replace('h', "i")).await,
        "another signature",
    );
    assert_refused(&sent(&literal("forged"), signature).await, "another body");
    let record = literal("forged");
    let smuggled = PUSH.replace("{\"message\"", &format!("{{\"events\":{record},\"message\""));
    assert_refused(
        &sent(&smuggled, signature).await,
        "a record beside the signed data",
    );
    assert_no_secret_is_logged(&receiver);

    let stored = stack.storage.stored_keys().await;
    let stored: BTreeSet<String> = stored.into_iter().map(|key| key.0).collect();
    assert_eq!(stored, expected);
    // Only the push.
    assert_eq!(stack.storage.take_dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_is_answered_only_with_its_token() {
    let stack = Stack::start().await;
    let mut policy: Value = serde_json::from_str(META).unwrap();
    let google: Value = serde_json::from_str(GOOGLE).unwrap();
    policy["accept"]
        .as_array_mut()
        .unwrap()
        .push(google["accept"][0].clone());
    policy["sources"] = json!({"mode": "enforce", "allow": ["203.0.113.0/24"]});
    let receiver = receiver(&stack, &policy.to_string()).await;

    let get = |query: &str| request_to(&Method::GET, "/", query, &[], b"");
    let good = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=the-token-of-the-hub";
    let answer = receiver.request(&get(good)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1158201444"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let line = receiver.log_of(&answer).await;
    assert_eq!(
        (&line["outcome"], &line["status"]),
        (&json!("challenged"), &json!(200))
    );

    let check = r#"{"clientToken":"SJENCPGJESMGUFPY","secret":"1234567890"}"#;
    let answer = post(&receiver, &[("content-type", "application/json")], "", check).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1234567890"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));

    for query in [
        good.replace("the-token", "a-token"),
        good.replace("hub.verify_token", "hub.token"),
        good.replace("subscribe", "unsubscribe"),
        good.replace("1158201444", "1%0d%0ax:1"),
        format!("{good}&hub.verify_token=the-token-of-the-hub"),
    ] {
        assert_refused(&receiver.request(&get(&query)).await, &query);
    }
    for body in [
        check.replace("SJENC", "SJEND"),
        check.replace("1234567890", "1\\n2"),
        check.replace("\"secret\"", "\"clientToken\":\"SJENCPGJESMGUFPY\",\"secret\""),
        format!("{check:5000}"),
        check.replace("\"1234567890\"", "1"),
        literal("unsigned"),
    ] {
        assert_refused(&post(&receiver, &[], "", &body).await, &body);
    }
    let checked = receiver.request(&request(&Method::HEAD, &[], b"")).await;
    assert_eq!((checked.status, checked.body.as_str()), (200, ""));
    let checked = receiver.request(&request(&Method::GET, &[], b"")).await;
    assert_eq!(
        (checked.status, checked.body.as_str()),
        (200, r#"{"ready":true}"#)
    );

    // A query that is no handshake is a report, which this function does not take.
    let report = receiver.request(&get("hub.challenge=1158201444")).await;
    assert_eq!(report.status, 405);

    // A handshake from another address is refused.
    let mut elsewhere = get(good);
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.7");
    assert_eq!(receiver.request(&elsewhere).await.status, 403);

    assert_eq!(stack.storage.count().await, 0);
    assert_eq!(stack.storage.depths().await, [0, 0]);
    assert_no_secret_is_logged(&receiver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_url_is_neither_stored_nor_logged() {
    let stack = Stack::start().await;
    let receiver = receiver(&stack, QUERY).await;
    let one = literal("query");
    for (query, status) in [
        ("token=the+token%20%26+of+the+URL", 200),
        ("a=1&%74oken=an-older-token", 200),
        ("", 401),
        ("token=an-older-toke", 401),
        ("Token=an-older-token", 401),
        ("token=an-older-token&token=an-older-token", 401),
    ] {
        let answer = post(&receiver, &[], query, &one).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        if status == 401 {
            assert_refused(&answer, query);
        }
    }
    // A dead letter does not contain the query, either.
    let answer = post(&receiver, &[], "token=an-older-token", "not JSON").await;
    assert_eq!(answer.status, 400);
    let letters = stack.storage.take_dead_letters().await;
    assert_eq!(letters.len(), 1);
    for letter in &letters {
        assert_eq!(letter.body.bytes(), b"not JSON");
    }
    let items = format!("{:?}", stack.storage.items().await);
    assert!(
        items.contains("preset-query") && !items.contains("older-token"),
        "{items}"
    );
    assert_no_secret_is_logged(&receiver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_by_get_is_stored_without_the_secret_of_its_url() {
    let stack = Stack::start().await;
    let receiver = stack
        .function("sms-delivery", &[("WEBHOOK_AUTH", QUERY), LONG_BUDGET])
        .await;
    let report = "reqid=70131&mobile=%2B91+9999999901&status=DELIVRD&timestamp=1764585432";
    let get = |query: &str| request_to(&Method::GET, "/", query, &[], b"");
    for query in [
        report.to_owned(),
        format!("{report}&token=another-token"),
        format!("token=an-older-token&{report}&%74oken=an-older-token"),
    ] {
        assert_refused(&receiver.request(&get(&query)).await, &query);
    }
    let stored = receiver
        .ok(&get(&format!("{report}&%74oken=an-older-token")))
        .await;
    assert_eq!(stored.counts(), [1, 1, 0, 0, 0]);
    // The position and spelling of the secret do not make another event.
    let again = receiver.ok(&get(&format!("token=an-older-token&{report}"))).await;
    assert_eq!(again.counts(), [1, 0, 1, 0, 0]);
    let items = format!("{:?}", stack.storage.items().await);
    assert!(
        items.contains("70131") && !items.contains("older-token"),
        "{items}"
    );
    assert_eq!(stack.storage.depths().await, [0, 0]);
    assert_no_secret_is_logged(&receiver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_asks_for_a_password_where_one_is_accepted() {
    let stack = Stack::start().await;
    let basic = r#"{"accept":[{"type":"basic","username":"netcore","passwords":["the-secret-of-basic"]},{"type":"bearer","tokens":["the-token-of-bearer"]}]}"#;
    let one = body(&[event(json!({"message_id": "asked"}))]);
    let one = String::from_utf8(one).unwrap();
    for (policy, expected) in [
        (basic, Some(r#"Basic realm="webhooks", Bearer realm="webhooks""#)),
        (META, None),
    ] {
        let receiver = receiver(&stack, policy).await;
        for headers in [&[][..], &[("authorization", "Basic bmV0Y29yZTp4")]] {
            let answer = post(&receiver, headers, "", &one).await;
            assert_refused(&answer, policy);
            assert_eq!(answer.header("www-authenticate"), expected);
        }
    }
    let receiver = receiver(&stack, basic).await;
    for value in [
        "Basic bmV0Y29yZTp0aGUtc2VjcmV0LW9mLWJhc2lj",
        "Bearer the-token-of-bearer",
    ] {
        let answer = post(&receiver, &[("authorization", value)], "", &one).await;
        assert_eq!(answer.status, 200, "{value}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
}
