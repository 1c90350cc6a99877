//! `--json`: every command that prints a table has it, and its shape is the one in docs/reference.md.

use integration_tests::command::{ServeProcess, Workdir};
use serde_json::{Map, Value, json};

use super::event;

/// The value with each text, number and flag replaced by the name of its type, and lists cut to their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("flag"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

async fn parsed(workdir: &Workdir, arguments: &[&str]) -> Value {
    let output = workdir.run(&[arguments, &["--json"]].concat()).await.ok();
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{output}"))
}

async fn filled() -> (Workdir, ServeProcess) {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let body = json!([
        event("m-1", &json!({"remarks": "\u{9b}2J"})),
        event("m-2", &json!({"requestid": "r-1"})),
    ]);
    assert_eq!(serve.post("event-webhook", &body.to_string()).await.status, 200);
    let junk = "junk of 919209209291";
    assert_eq!(serve.post("event-webhook", junk).await.status, 400);
    (workdir, serve)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_get_finds_is_the_response_of_the_api_under_its_kind() {
    let (workdir, _serve) = filled().await;
    let message = parsed(&workdir, &["get", "m-1"]).await;
    assert_eq!(message["message"]["message_id"], "m-1");
    assert_eq!(message["message"]["state"], "sent");
    assert_eq!(message["message"]["events"][0]["remarks"], "\u{9b}2J");
    let person = parsed(&workdir, &["get", "919209209291"]).await;
    let ids: Vec<&Value> = person["person"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["message_id"])
        .collect();
    assert_eq!(ids.len(), 2, "{person}");
    assert_eq!(person["person"]["ids"], json!(["919209209291"]));
    // No control character reaches the terminal.
    let printed = workdir.run(&["get", "m-1", "--json"]).await.ok();
    assert!(
        printed.chars().all(|c| c == '\n' || !c.is_control()),
        "{printed:?}"
    );
    assert!(printed.contains("\\u009b2J"), "{printed}");
    let missing = workdir.run(&["get", "unknown", "--json"]).await.error();
    assert!(missing.contains("nothing is stored for unknown"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_rebuilds_have_their_shapes() {
    let (workdir, _serve) = filled().await;
    let listed = parsed(&workdir, &["dead-letters", "list"]).await;
    assert_eq!(
        shape(&listed),
        json!([{
            "id": "text", "sent_at": "number", "reason": "text", "function": "text", "bytes": "number",
            "detail": "text"
        }])
    );
    let letter = &listed[0];
    assert_eq!(
        [&letter["reason"], &letter["function"], &letter["bytes"]],
        [&json!("malformed"), &json!("event-webhook"), &json!(20)]
    );
    assert!(!listed.to_string().contains("919209209291"), "{listed}");
    let id = letter["id"].as_str().unwrap();
    let same = parsed(&workdir, &["dead-letters", "list", id]).await;
    assert_eq!(same, listed);
    assert_eq!(
        parsed(&workdir, &["dead-letters", "list", "none"]).await,
        json!([])
    );

    let merged = parsed(&workdir, &["rollups", "merge"]).await;
    assert_eq!(shape(&merged), json!({"batches": "number", "items": "number"}));

    let rebuilt = parsed(&workdir, &["rollups", "rebuild"]).await;
    assert_eq!(
        [&rebuilt["events"], &rebuilt["skipped"]],
        [&json!(2), &json!(0)],
        "{rebuilt}"
    );
    assert_eq!(
        shape(&rebuilt),
        json!({"events": "number", "skipped": "number", "removed": "number"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn erase_prints_a_line_for_what_it_finds_and_one_for_what_it_deletes() {
    let (workdir, _serve) = filled().await;
    let arguments = ["erase", "--recipient", "919209209291", "--queues"];
    let found = parsed(&workdir, &arguments).await;
    assert_eq!(
        shape(&found),
        json!({
            "step": "text", "people": ["text"], "more_ids_are_linked": "flag", "whole_table": "flag",
            "events": "number",
            "messages": [{"message_id": "text", "events": [{"channel": "text", "status": "text", "why": "text"}]}],
            "dead_letters": {"messages": ["text"], "all_read": "flag"},
            "retry_queue": {"messages": [], "all_read": "flag"},
            "retry_queue_depth": "number",
            "counters": {"read": "number", "name_the_person": "number", "names": [], "links": "number", "lookups": "number"},
            "files": [], "analytics_bucket": "null", "deletes": "flag"
        })
    );
    assert_eq!(
        [&found["step"], &found["events"], &found["deletes"]],
        [&json!("found"), &json!(2), &json!(false)]
    );
    assert_eq!(found["messages"][0]["events"][0]["why"], "recipient");
    assert!(!found.to_string().contains("919209209291"), "{found}");

    let output = workdir
        .run(&[&arguments[..], &["--yes", "--json"]].concat())
        .await
        .ok();
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [found, deleted] = &lines[..] else {
        panic!("{output}")
    };
    assert_eq!(found["deletes"], true);
    assert_eq!(
        shape(deleted),
        json!({
            "step": "text", "events": "number", "dead_letters": "number", "retry_queue": "number",
            "records_of_others_kept": "number", "local_files_are_clean": "flag", "record": "text"
        })
    );
    assert_eq!(
        [&deleted["step"], &deleted["events"], &deleted["dead_letters"]],
        [&json!("deleted"), &json!(2), &json!(1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_has_its_shape() {
    let (workdir, _serve) = filled().await;
    let simulate = ["simulate", "--messages", "30", "--seed", "5"];
    let report = parsed(&workdir, &simulate).await;
    assert_eq!(
        shape(&report),
        json!({
            "reconciled": "flag", "differences": [], "seed": "number", "until": "text", "messages": "number",
            "events": "number",
            "requests": [{"function": "text", "status": "number", "count": "number"}],
            "answers": {
                "received": "number", "stored": "number", "duplicates": "number", "queued": "number",
                "dead_lettered": "number"
            },
            "seconds": "number",
            "response_ms": {"p50": "number", "p95": "number", "p99": "number", "max": "number"},
            "stored": {"events": "number", "message_ids": "number", "late": "number"},
            "examples": [{"message_id": "text", "why": "text"}]
        })
    );
    assert_eq!(
        [&report["reconciled"], &report["seed"], &report["messages"]],
        [&json!(true), &json!(5), &json!(30)]
    );
    assert_eq!(report["stored"]["events"], report["events"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_and_exports_have_their_shapes() {
    let (workdir, _serve) = filled().await;
    let bill = parsed(&workdir, &["cost", "--events-per-month", "1M"]).await;
    assert_eq!(
        shape(&bill),
        json!({
            "region": "text", "events": "number", "free_tier": "flag",
            "lines": [{
                "part": "text", "quantity": "number", "free": "number", "of": "text", "price": "number",
                "usd": "number"
            }],
            "usd": "number", "cheaper_class": {"class": "text", "usd": "number"}, "two_write_usd": "number", "two_write": "text",
            "services": [{
                "name": "text", "usd": ["number"], "retention_days": "number", "includes": "text", "source": "text",
                "seen": "text"
            }],
            "prices": [{"of": "text", "usd": "number", "free": "number", "source": "text", "seen": "text"}]
        })
    );
    let days = [
        "export",
        "--from",
        "2024-01-10",
        "--to",
        "2024-01-10",
        "--format",
        "csv",
    ];
    let exported = parsed(&workdir, &days).await;
    assert_eq!(
        shape(&exported),
        json!({
            "output": "text",
            "days": {"2024-01-10": {"events": "number", "bytes": "number", "read_at": "text", "over": "flag"}},
            "skipped": "number", "scanned": "flag"
        })
    );
    assert_eq!(exported["days"]["2024-01-10"]["events"], 2);
}
