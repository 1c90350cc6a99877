//! `sign` prints a request that is accepted. `get` shows the events of a message or a phone number.

use std::time::{Duration, Instant};

use integration_tests::command::Workdir;
use serde_json::{Value, json};

use super::event;

#[tokio::test(flavor = "multi_thread")]
async fn sign_prints_a_line_that_is_accepted() {
    let workdir = Workdir::new();
    let body = format!("{}\n", json!([event("signed", &json!({"remarks": "it's €"}))]));
    workdir.write("it's a body.json", &body);
    let error = workdir.run(&["sign", "it's a body.json"]).await.error();
    assert!(error.contains("no policy"), "{error}");

    let serve = workdir.serve().await;
    // The default is the URL of the instance that runs with this folder, at any port.
    let signed = workdir.run(&["sign", "it's a body.json"]).await;
    // It needs no AWS configuration, not even a region.
    assert_eq!(signed.stderr, "");
    let line = signed.ok();
    let answer: Value = serde_json::from_str(&workdir.paste(&line).await).unwrap();
    assert_eq!(answer["stored"], 1, "{answer}");
    serve.terminate().await;

    // Any policy, from the option or the variable.
    for scheme in [
        json!({"type": "hmac", "header": "x-webhook-signature", "prefix": "sha256=", "secrets": ["a-secret-of-the-tests"]}),
        json!({"type": "hmac", "header": "x-signature", "algorithm": "sha512", "encoding": "base64", "timestamp_header": "x-timestamp", "signed": "{timestamp}.{body}", "secrets": ["a-secret-of-the-tests"]}),
        json!({"type": "standard-webhooks", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}),
        json!({"type": "basic", "username": "netcore", "passwords": ["it's a secret of the tests"]}),
        json!({"type": "query", "name": "to ken", "values": ["it's a secret & of the tests"]}),
        json!({"preset": "paytm-pi", "secrets": ["it's a secret of the tests"]}),
        json!({"preset": "sinch", "secrets": ["it's a secret of the tests"]}),
    ] {
        let auth = json!({"accept": [scheme]}).to_string();
        let variable = [("WEBHOOK_AUTH", auth.as_str())];
        let serve = workdir.serve_with(&["--memory"], &variable).await;
        let url = format!("{}/lambda-url/event-webhook/", serve.url);
        let sign = ["sign", "it's a body.json", "--url", url.as_str()];
        let by_option = workdir.run(&[&sign[..], &["--auth", &auth]].concat()).await.ok();
        let by_variable = workdir.run_with(&sign, &variable).await.ok();
        for (line, stored) in [(by_option, 1), (by_variable, 0)] {
            let answer: Value = serde_json::from_str(&workdir.paste(&line).await).unwrap();
            assert_eq!(answer["stored"], stored, "{auth}: {answer}");
        }
        let answer: Value = serde_json::from_str(&workdir.paste(&serve.sample).await).unwrap();
        assert_eq!(answer["stored"], 1, "{auth}: {answer}");
    }
    let error = workdir.run(&["sign", "missing.json"]).await.error();
    assert!(error.starts_with("error: missing.json cannot be read"), "{error}");
    let error = workdir
        .run(&["sign", "it's a body.json", "--auth", "{"])
        .await
        .error();
    assert!(error.contains("WEBHOOK_AUTH: not JSON"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_a_message_or_the_latest_events_of_a_number() {
    let workdir = Workdir::new();
    let error = workdir.run(&["get", "m-1"]).await.error();
    assert!(error.contains("nothing to work on"), "{error}");

    let serve = workdir.serve().await;
    let events = json!([
        event("rcs#1/é", &json!({"requestid": "r", "status": "Sent"})),
        event(
            "rcs#1/é",
            &json!({"requestid": "r", "status": "Failed", "event_time": 1_704_876_830, "remarks": "no \u{1b}[31mRCS\u{7} here"})
        ),
        event(
            "sms-1",
            &json!({"requestid": "r", "channel": "SMS", "event_time": 1_704_876_831})
        ),
        event("919209209292", &json!({"mobile": "918888888888"})),
    ]);
    assert_eq!(serve.post("event-webhook", &events.to_string()).await.status, 200);

    let shown = workdir.run(&["get", "rcs#1/é"]).await.ok();
    let expected = "\
message   rcs#1/é
recipient 919209209291
state     failed on RCS since 2024-01-10 08:53:50Z

  2024-01-10 08:53:48Z  RCS       sent         (late)
  2024-01-10 08:53:50Z  RCS       failed     no  [31mRCS  here  (late)

journey
  RCS       failed     rcs#1/é
  SMS       sent       sms-1
";
    assert_eq!(shown, expected);
    let expected = "\
latest events of 919209209291, the newest first

  2024-01-10 08:53:51Z  SMS       sent         (late)  sms-1
  2024-01-10 08:53:50Z  RCS       failed     no  [31mRCS  here  (late)  rcs#1/é
  2024-01-10 08:53:48Z  RCS       sent         (late)  rcs#1/é
";
    for number in ["919209209291", "+919209209291", "+91 92092-09291"] {
        assert_eq!(workdir.run(&["get", number]).await.ok(), expected, "{number}");
    }
    // An id that looks like a phone number is looked up as an id first.
    let shown = workdir.run(&["get", "919209209292"]).await.ok();
    assert!(
        shown.starts_with("message   919209209292\nrecipient 918888888888\n"),
        "{shown}"
    );

    for unknown in ["unknown", "917777777777", "", "#"] {
        let error = workdir.run(&["get", unknown]).await.error();
        assert!(error.contains("nothing is stored"), "{unknown}: {error}");
    }
    // The instance is gone: the command fails instead of waiting.
    serve.kill().await;
    let asked = Instant::now();
    workdir.run(&["get", "sms-1"]).await.error();
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}
