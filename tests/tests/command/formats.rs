//! `formats`: every function with what it takes, examples and answers.

use integration_tests::{command::Workdir, samples::every_sample};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_function_is_listed_with_formats_senders_and_an_example() {
    let workdir = Workdir::new();
    let listed: Vec<Value> = serde_json::from_str(&workdir.run(&["formats", "--json"]).await.ok()).unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|row| row["function"].as_str().unwrap())
        .collect();
    assert!(names.len() >= 6, "{names:?}");
    for row in &listed {
        let function = row["function"].as_str().unwrap();
        let examples = row["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{function}");
        for example in examples {
            let is_its_own = every_sample().iter().any(|sample| {
                sample.function == function
                    && serde_json::from_slice::<Value>(&sample.body).unwrap() == *example
            });
            assert!(is_its_own, "{function}: {example}");
        }
        for part in ["formats", "senders"] {
            assert!(!row[part].as_array().unwrap().is_empty(), "{function} {part}");
        }
    }
    let row = |name: &str| listed.iter().find(|row| row["function"] == name).unwrap();
    for (function, statuses, methods) in [
        ("event-webhook", [400, 401], json!(["POST JSON"])),
        ("rcs-callback", [200, 401], json!(["POST JSON"])),
        (
            "sms-delivery",
            [400, 401],
            json!(["POST JSON", "POST form", "GET query"]),
        ),
    ] {
        let row = row(function);
        assert_eq!(
            json!([row["reject_status"], row["auth_error_status"]]),
            json!(statuses)
        );
        assert_eq!(row["methods"], methods);
    }
    let incoming = row("incoming-webhook");
    let envelopes: Vec<&Value> = incoming["formats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["envelope"])
        .collect();
    assert_eq!(envelopes, [&Value::Null, &json!("incoming_message")]);
    let sender = &row("rcs-callback")["senders"][0];
    assert_eq!(sender["waits_seconds"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_function_is_printed_for_people() {
    let workdir = Workdir::new();
    let printed = workdir.run(&["formats", "sms-delivery"]).await.ok();
    for line in [
        "sms-delivery (netcore)",
        "  takes     POST JSON, POST form, GET query",
        "  format    netcore-sms: [records], or one record",
        "            reqid is also request_id, requestid, req_id",
        "            400 for a body without events, which is in the dead-letter queue (REJECT_STATUS)",
        "        \"reqid\": 5031754312,",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}\n{printed}"
        );
    }
    assert!(!printed.contains("event-webhook"), "{printed}");
    let failed = workdir.run(&["formats", "sms"]).await.error();
    assert!(
        failed.contains("unknown function; the functions are event-webhook, "),
        "{failed}"
    );
}
