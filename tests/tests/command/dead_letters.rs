//! `dead-letters`: `list`, `show`, `export`, `discard` and `redrive`. No dead letter is lost or changed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    command::{ServeProcess, Workdir, eventually},
    fixtures::{noise, queue_message},
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::{Body, QueueMessage, Reason};

use super::event;

/// When the dead letters arrived.
const ARRIVED: i64 = 1_704_876_828_000;

/// A dead letter of each kind: malformed, unreadable, conflict, exhausted.
async fn one_of_each(workdir: &Workdir, serve: &ServeProcess) {
    assert_eq!(
        serve
            .post("event-webhook", "junk of 919209209291 \u{1f600}")
            .await
            .status,
        400
    );
    assert_eq!(serve.post("rcs-callback", "[{\"event_id\":7}]").await.status, 200);
    for remarks in ["one", "other"] {
        let body = json!([event("conflicting", &json!({"remarks": remarks}))]);
        assert_eq!(serve.post("event-webhook", &body.to_string()).await.status, 200);
    }
    let late = json!([event("late-comer", &json!({"channel": "SMS"}))]).to_string();
    let exhausted = queue_message(Reason::Exhausted, "fallback-sms", ARRIVED, late.as_bytes());
    workdir.storage().await.send_dead_letter(&exhausted).await;
}

fn rows(rows: &[[&str; 2]]) -> Vec<(String, String)> {
    rows.iter()
        .map(|[reason, function]| ((*reason).to_owned(), (*function).to_owned()))
        .collect()
}

const ALL: [[&str; 2]; 4] = [
    ["conflict", "event-webhook"],
    ["exhausted", "fallback-sms"],
    ["malformed", "event-webhook"],
    ["unreadable", "rcs-callback"],
];

#[tokio::test(flavor = "multi_thread")]
async fn list_and_show_leave_dead_letters_in_the_queue() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    assert_eq!(workdir.listed(&[]).await, []);
    one_of_each(&workdir, &serve).await;

    for (filter, expected) in [
        (&[][..], &ALL[..]),
        (&["--reason", "conflict"], &ALL[..1]),
        (&["--reason", "exhausted"], &ALL[1..2]),
        (&["--function", "event-webhook"], &[ALL[0], ALL[2]]),
        (
            &["--function", "event-webhook", "--reason", "malformed"],
            &ALL[2..3],
        ),
        (&["--function", "event-webhook", "--reason", "exhausted"], &[]),
        (&["--older-than", "1"], &ALL[1..2]),
        (&["--older-than", "0"], &ALL),
        (&["no-such-id"], &[]),
        (&[], &ALL),
    ] {
        assert_eq!(workdir.listed(filter).await, rows(expected), "{filter:?}");
    }
    let listed = workdir.run(&["dead-letters", "list"]).await.ok();
    assert!(!listed.contains("919209209291"), "{listed}");

    let shown = workdir
        .run(&["dead-letters", "show", "--reason", "malformed"])
        .await
        .ok();
    let dead_letter: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(dead_letter["body"], "junk of 919209209291 \u{1f600}");
    assert_eq!(dead_letter["reason"], "malformed");
    assert_eq!(dead_letter["function"], "event-webhook");
    let id = dead_letter["id"].as_str().unwrap();
    let same = workdir.run(&["dead-letters", "show", &id[..8]]).await.ok();
    assert_eq!(serde_json::from_str::<Value>(&same).unwrap(), dead_letter);
    assert_eq!(workdir.listed(&[id]).await, rows(&ALL[2..3]));

    let wrong = workdir
        .run(&["dead-letters", "list", "--reason", "unknown"])
        .await;
    assert_eq!(wrong.code, Some(2));
    assert_eq!(workdir.listed(&[]).await, rows(&ALL));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_written_to_disk_before_they_leave_the_queue() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    one_of_each(&workdir, &serve).await;

    let output = workdir
        .run(&["dead-letters", "export", "--to", "all.jsonl"])
        .await
        .ok();
    assert_eq!(output, "4 dead letters written to all.jsonl\n");
    let all = workdir.read("all.jsonl");
    let mut bodies: Vec<String> = lines(&all)
        .iter()
        .map(|dead_letter| dead_letter["body"].as_str().unwrap().to_owned())
        .collect();
    bodies.sort();
    let mut expected = vec![
        "junk of 919209209291 \u{1f600}".to_owned(),
        "[{\"event_id\":7}]".to_owned(),
        json!([event("conflicting", &json!({"remarks": "other"}))]).to_string(),
        json!([event("late-comer", &json!({"channel": "SMS"}))]).to_string(),
    ];
    expected.sort();
    assert_eq!(bodies, expected);
    assert_eq!(workdir.listed(&[]).await, rows(&ALL), "an export removes nothing");

    // An existing file is not overwritten, and no dead letter leaves the queue or becomes invisible.
    for remove in [&["--remove"][..], &[]] {
        let arguments = [&["dead-letters", "export", "--to", "all.jsonl"], remove].concat();
        let error = workdir.run(&arguments).await.error();
        assert!(error.contains("all.jsonl"), "{error}");
        assert_eq!(workdir.read("all.jsonl"), all);
        assert_eq!(workdir.listed(&[]).await, rows(&ALL));
    }
    let nowhere = [
        "dead-letters",
        "export",
        "--remove",
        "--to",
        "no/such/folder.jsonl",
    ];
    workdir.run(&nowhere).await.error();
    assert_eq!(workdir.listed(&[]).await, rows(&ALL));

    let output = workdir
        .run(&[
            "dead-letters",
            "export",
            "--remove",
            "--reason",
            "conflict",
            "--to",
            "conflicts.jsonl",
        ])
        .await
        .ok();
    assert_eq!(output, "1 dead letters written to conflicts.jsonl\n");
    assert_eq!(lines(&workdir.read("conflicts.jsonl"))[0]["reason"], "conflict");
    assert_eq!(workdir.listed(&[]).await, rows(&ALL[1..]));

    let output = workdir.run(&["dead-letters", "discard"]).await.ok();
    assert_eq!(output, "3 dead letters would be deleted; add --yes to do it\n");
    assert_eq!(workdir.listed(&[]).await, rows(&ALL[1..]));
    let output = workdir
        .run(&["dead-letters", "discard", "--yes", "--function", "rcs-callback"])
        .await
        .ok();
    let file = output.trim().rsplit(' ').next().unwrap();
    assert_eq!(lines(&workdir.read(file))[0]["body"], "[{\"event_id\":7}]");
    assert_eq!(workdir.listed(&[]).await, rows(&ALL[1..3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_foreign_and_partial_messages_are_exported() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let binary = b"\xff\xfe\x00binary".to_vec();
    let answer = serve.post_as("event-webhook", &[], binary).await;
    assert_eq!(answer.status, 400);
    workdir
        .storage()
        .await
        .send_dead("a message of another sender")
        .await;
    // Two of three parts: the dead letter cannot be joined, but its parts must be kept.
    let body = noise(2_000_000);
    let parts = queue_message(Reason::Malformed, "event-webhook", ARRIVED, &body).write();
    assert!(parts.len() > 2);
    for part in &parts[1..] {
        workdir.storage().await.send_dead(part).await;
    }
    let output = workdir
        .run(&["dead-letters", "export", "--remove", "--to", "kept.jsonl"])
        .await
        .ok();
    assert_eq!(output, "3 dead letters written to kept.jsonl\n");
    let kept = workdir.read("kept.jsonl");
    let dead_letters = lines(&kept);
    let bytes = dead_letters
        .iter()
        .find(|dead_letter| dead_letter["encoding"] == "base64")
        .unwrap();
    assert_eq!(bytes["body"], "//4AYmluYXJ5");
    assert!(kept.contains("a message of another sender"), "{kept:.400}");
    // An incomplete dead letter stays, because the other parts may still arrive.
    assert_eq!(workdir.listed(&[]).await, rows(&[["foreign", "-"]]));
    workdir.storage().await.send_dead(&parts[0]).await;
    assert_eq!(workdir.listed(&[]).await, rows(&[["malformed", "event-webhook"]]));
    workdir
        .run(&["dead-letters", "export", "--remove", "--to", "whole.jsonl"])
        .await
        .ok();
    let whole = &lines(&workdir.read("whole.jsonl"))[0];
    assert!(whole["body"] == STANDARD.encode(&body), "the joined body differs");
    assert_eq!(workdir.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn six_incompressible_megabytes_are_exported_byte_for_byte() {
    let workdir = Workdir::new();
    // An unoptimized build on a busy machine is slow, and this test does not measure time.
    let serve = workdir.serve_with(&[], &[("ACK_BUDGET_MS", "30000")]).await;
    let body = noise(6 * 1024 * 1024);
    let answer = serve.post_as("event-webhook", &[], body.clone()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    // Also after a restart.
    serve.kill().await;
    let _serving = workdir.serve().await;
    workdir
        .run(&["dead-letters", "export", "--remove", "--to", "noise.jsonl"])
        .await
        .ok();
    let dead_letters = lines(&workdir.read("noise.jsonl"));
    assert_eq!(
        (dead_letters.len(), &dead_letters[0]["reason"]),
        (1, &json!("malformed"))
    );
    assert!(
        dead_letters[0]["body"] == STANDARD.encode(&body),
        "the exported body differs"
    );
    assert_eq!(workdir.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn redriven_dead_letters_are_stored_or_dead_lettered_again() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    one_of_each(&workdir, &serve).await;

    let output = workdir
        .run(&["dead-letters", "redrive", "--reason", "exhausted"])
        .await
        .ok();
    assert_eq!(output, "1 of 1 dead letters sent to the retry queue\n");
    assert_eq!(workdir.listed(&[]).await, rows(&[ALL[0], ALL[2], ALL[3]]));
    let shown = eventually(
        async || workdir.run(&["get", "late-comer"]).await,
        |ended| ended.code == Some(0),
    )
    .await;
    assert!(shown.stdout.contains("sent on SMS"), "{}", shown.stdout);

    // After a redrive, a conflict is still a conflict.
    workdir
        .run(&["dead-letters", "redrive", "--reason", "conflict"])
        .await
        .ok();
    let listed = eventually(
        async || workdir.listed(&["--reason", "conflict"]).await,
        |rows| !rows.is_empty(),
    )
    .await;
    assert_eq!(listed, rows(&ALL[..1]));

    // An uncountable event is already stored. Its dead letter stays, and the command explains why.
    let storage = workdir.storage().await;
    let uncountable = QueueMessage {
        body: Body::StreamRecord(json!({"eventName": "INSERT"}).to_string().into_bytes()),
        ..queue_message(Reason::Uncountable, "projector", ARRIVED, b"")
    };
    storage.send_dead_letter(&uncountable).await;
    let refused = workdir
        .run(&["dead-letters", "redrive", "--reason", "uncountable"])
        .await;
    assert_eq!(refused.code, Some(0));
    assert_eq!(refused.stdout, "0 of 1 dead letters sent to the retry queue\n");
    assert!(refused.stderr.contains("rollups rebuild"), "{}", refused.stderr);
    let uncountable = workdir.listed(&["--reason", "uncountable"]).await;
    assert_eq!(uncountable, rows(&[["uncountable", "projector"]]));

    // More dead letters than one batch holds, of one record each. An event that arrived years ago would
    // expire immediately.
    let arrived = webhook_ingest::event::time::now();
    for i in 0..25 {
        let body = json!([event(&format!("many-{i}"), &json!({}))]).to_string();
        let dead_letter = queue_message(Reason::Exhausted, "event-webhook", arrived, body.as_bytes());
        storage.send_dead_letter(&dead_letter).await;
    }
    // And one in several parts, with records that fit into items.
    let records: Vec<Value> = (0..40)
        .map(|i| {
            event(
                &format!("large-{i}"),
                &json!({"remarks": STANDARD.encode(noise_of(i, 60_000))}),
            )
        })
        .collect();
    let records = Value::from(records).to_string();
    let large = queue_message(Reason::Exhausted, "event-webhook", arrived, records.as_bytes());
    assert!(large.write().len() > 1, "{} parts", large.write().len());
    storage.send_dead_letter(&large).await;
    let output = workdir
        .run(&["dead-letters", "redrive", "--reason", "exhausted"])
        .await
        .ok();
    assert_eq!(output, "26 of 26 dead letters sent to the retry queue\n");
    for id in ["many-0", "many-24", "large-0", "large-39"] {
        eventually(
            async || workdir.run(&["get", id]).await,
            |ended| ended.code == Some(0),
        )
        .await;
    }
    assert_eq!(workdir.listed(&["--reason", "exhausted"]).await, []);
}

fn noise_of(seed: usize, bytes: usize) -> Vec<u8> {
    noise(bytes + seed).split_off(seed)
}
