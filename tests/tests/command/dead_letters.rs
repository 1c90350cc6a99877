//! `dead-letters`: `list`, `show`, `export`, `discard` and `redrive`. No letter is lost or changed on the way.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use integration_tests::verified;
use integration_tests::{
    command::{Desk, Serving, eventually},
    fixtures::noise,
    instance::HttpClient,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::{Body, QueueMessage, Reason};

use crate::event;

/// A dead letter of each kind: malformed, unreadable, conflict, exhausted.
async fn one_of_each(desk: &Desk, serving: &Serving) {
    assert_eq!(
        serving
            .post("event-webhook", "junk of 919209209291 \u{1f600}")
            .await
            .status,
        400
    );
    assert_eq!(
        serving.post("rcs-callback", "[{\"event_id\":7}]").await.status,
        400
    );
    for remarks in ["one", "other"] {
        let body = json!([event("conflicting", &json!({"remarks": remarks}))]);
        assert_eq!(serving.post("event-webhook", &body.to_string()).await.status, 200);
    }
    desk.put_letter(&QueueMessage {
        reason: Reason::Exhausted,
        detail: "1 events could not be stored in time".into(),
        function: "fallback-sms".into(),
        received_at: 1_704_876_828_000,
        body: verified(
            &json!([event("late-comer", &json!({"channel": "SMS"}))])
                .to_string()
                .into_bytes(),
        )
        .into(),
    })
    .await;
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
async fn dead_letters_are_listed_and_shown_and_stay_where_they_are() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    assert_eq!(desk.listed(&[]).await, []);
    one_of_each(&desk, &serving).await;

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
        assert_eq!(desk.listed(filter).await, rows(expected), "{filter:?}");
    }
    let listed = desk.run(&["dead-letters", "list"]).await.ok();
    assert!(!listed.contains("919209209291"), "{listed}");

    let shown = desk
        .run(&["dead-letters", "show", "--reason", "malformed"])
        .await
        .ok();
    let letter: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(letter["body"], "junk of 919209209291 \u{1f600}");
    assert_eq!(letter["reason"], "malformed");
    assert_eq!(letter["function"], "event-webhook");
    let id = letter["id"].as_str().unwrap();
    let same = desk.run(&["dead-letters", "show", &id[..8]]).await.ok();
    assert_eq!(serde_json::from_str::<Value>(&same).unwrap(), letter);
    assert_eq!(desk.listed(&[id]).await, rows(&ALL[2..3]));

    let wrong = desk.run(&["dead-letters", "list", "--reason", "boredom"]).await;
    assert_eq!(wrong.code, Some(2));
    assert_eq!(desk.listed(&[]).await, rows(&ALL));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_on_disk_before_they_leave_the_queue() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    one_of_each(&desk, &serving).await;

    let said = desk
        .run(&["dead-letters", "export", "--to", "all.jsonl"])
        .await
        .ok();
    assert_eq!(said, "4 dead letters written to all.jsonl\n");
    let all = desk.read("all.jsonl");
    let mut bodies: Vec<String> = lines(&all)
        .iter()
        .map(|letter| letter["body"].as_str().unwrap().to_owned())
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
    assert_eq!(desk.listed(&[]).await, rows(&ALL), "an export takes nothing out");

    // An existing file is not touched, and nothing leaves, nor hides.
    for remove in [&["--remove"][..], &[]] {
        let arguments = [&["dead-letters", "export", "--to", "all.jsonl"], remove].concat();
        let error = desk.run(&arguments).await.error();
        assert!(error.contains("all.jsonl"), "{error}");
        assert_eq!(desk.read("all.jsonl"), all);
        assert_eq!(desk.listed(&[]).await, rows(&ALL));
    }
    let nowhere = [
        "dead-letters",
        "export",
        "--remove",
        "--to",
        "no/such/folder.jsonl",
    ];
    desk.run(&nowhere).await.error();
    assert_eq!(desk.listed(&[]).await, rows(&ALL));

    let said = desk
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
    assert_eq!(said, "1 dead letters written to conflicts.jsonl\n");
    assert_eq!(lines(&desk.read("conflicts.jsonl"))[0]["reason"], "conflict");
    assert_eq!(desk.listed(&[]).await, rows(&ALL[1..]));

    let said = desk.run(&["dead-letters", "discard"]).await.ok();
    assert_eq!(said, "3 dead letters would be deleted; add --yes to do it\n");
    assert_eq!(desk.listed(&[]).await, rows(&ALL[1..]));
    let said = desk
        .run(&["dead-letters", "discard", "--yes", "--function", "rcs-callback"])
        .await
        .ok();
    let file = said.trim().rsplit(' ').next().unwrap();
    assert_eq!(lines(&desk.read(file))[0]["body"], "[{\"event_id\":7}]");
    assert_eq!(desk.listed(&[]).await, rows(&ALL[1..3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_letter_are_kept_too() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    let token = serving.token();
    let headers = [("x-netcore-token", token.as_str())];
    let url = format!("{}/lambda-url/event-webhook/", serving.url);
    let binary = b"\xff\xfe\x00binary".to_vec();
    let answer = HttpClient::new().send(Method::POST, &url, &headers, binary).await;
    assert_eq!(answer.status, 400);
    desk.put_dead("somebody else's message").await;
    // Two of three parts: the letter cannot be put together, but its parts are all there is of it.
    let letter = QueueMessage {
        reason: Reason::Malformed,
        detail: "noise".into(),
        function: "event-webhook".into(),
        received_at: 1_704_876_828_000,
        body: verified(&noise(2_000_000)).into(),
    };
    let parts = letter.write();
    assert!(parts.len() > 2);
    for part in &parts[1..] {
        desk.put_dead(part).await;
    }
    let said = desk
        .run(&["dead-letters", "export", "--remove", "--to", "kept.jsonl"])
        .await
        .ok();
    assert_eq!(said, "3 dead letters written to kept.jsonl\n");
    let kept = desk.read("kept.jsonl");
    let letters = lines(&kept);
    let bytes = letters
        .iter()
        .find(|letter| letter["encoding"] == "base64")
        .unwrap();
    assert_eq!(bytes["body"], "//4AYmluYXJ5");
    assert!(kept.contains("somebody else's message"), "{kept:.400}");
    // What is not whole stays, since the rest may still come.
    assert_eq!(desk.listed(&[]).await, rows(&[["foreign", "-"]]));
    desk.put_dead(&parts[0]).await;
    assert_eq!(desk.listed(&[]).await, rows(&[["malformed", "event-webhook"]]));
    desk.run(&["dead-letters", "export", "--remove", "--to", "whole.jsonl"])
        .await
        .ok();
    let whole = &lines(&desk.read("whole.jsonl"))[0];
    assert!(
        whole["body"] == STANDARD.encode(letter.body.bytes()),
        "the parts make another body"
    );
    assert_eq!(desk.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn six_megabytes_that_do_not_compress_come_back_byte_for_byte() {
    let desk = Desk::new();
    // Not about time: an unoptimized build on a machine with other things to do is slow.
    let serving = desk.serve_with(&[], &[("ACK_BUDGET_MS", "30000")]).await;
    let token = serving.token();
    let body = noise(6 * 1024 * 1024);
    let url = format!("{}/lambda-url/event-webhook/", serving.url);
    let answer = HttpClient::new()
        .send(Method::POST, &url, &[("x-netcore-token", &token)], body.clone())
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    // Over a restart too.
    serving.kill().await;
    let _serving = desk.serve().await;
    desk.run(&["dead-letters", "export", "--remove", "--to", "noise.jsonl"])
        .await
        .ok();
    let letters = lines(&desk.read("noise.jsonl"));
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("malformed")));
    assert!(
        letters[0]["body"] == STANDARD.encode(&body),
        "it came back otherwise"
    );
    assert_eq!(desk.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_back_and_are_stored_or_come_again() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    one_of_each(&desk, &serving).await;

    let said = desk
        .run(&["dead-letters", "redrive", "--reason", "exhausted"])
        .await
        .ok();
    assert_eq!(said, "1 of 1 dead letters sent to the retry queue\n");
    assert_eq!(desk.listed(&[]).await, rows(&[ALL[0], ALL[2], ALL[3]]));
    let shown = eventually(
        async || desk.run(&["get", "late-comer"]).await,
        |ended| ended.code == Some(0),
    )
    .await;
    assert!(shown.stdout.contains("sent on SMS"), "{}", shown.stdout);

    // A conflict is still one after it came back.
    desk.run(&["dead-letters", "redrive", "--reason", "conflict"])
        .await
        .ok();
    let listed = eventually(
        async || desk.listed(&["--reason", "conflict"]).await,
        |rows| !rows.is_empty(),
    )
    .await;
    assert_eq!(listed, rows(&ALL[..1]));

    // What is stored and only not counted has nothing to be stored: it stays, and the command says why.
    desk.put_letter(&QueueMessage {
        reason: Reason::Uncountable,
        detail: "the counters' table does not take it".into(),
        function: "projector".into(),
        received_at: 1_704_876_828_000,
        body: Body::StreamRecord(json!({"eventName": "INSERT"}).to_string().into_bytes()),
    })
    .await;
    let refused = desk
        .run(&["dead-letters", "redrive", "--reason", "uncountable"])
        .await;
    assert_eq!(refused.code, Some(0));
    assert_eq!(refused.stdout, "0 of 1 dead letters sent to the retry queue\n");
    assert!(refused.stderr.contains("rollups rebuild"), "{}", refused.stderr);
    let uncountable = desk.listed(&["--reason", "uncountable"]).await;
    assert_eq!(uncountable, rows(&[["uncountable", "projector"]]));

    // More letters than one batch takes, of one record each.
    for i in 0..25 {
        desk.put_letter(&QueueMessage {
            reason: Reason::Exhausted,
            detail: "late".into(),
            function: "event-webhook".into(),
            // An event that arrived years ago would expire at once.
            received_at: webhook_ingest::event::time::now(),
            body: verified(
                &json!([event(&format!("many-{i}"), &json!({}))])
                    .to_string()
                    .into_bytes(),
            )
            .into(),
        })
        .await;
    }
    // And one that is cut into parts, of records that fit.
    let records: Vec<Value> = (0..40)
        .map(|i| {
            event(
                &format!("large-{i}"),
                &json!({"remarks": STANDARD.encode(noise_of(i, 60_000))}),
            )
        })
        .collect();
    let large = QueueMessage {
        reason: Reason::Exhausted,
        detail: "late".into(),
        function: "event-webhook".into(),
        // An event that arrived years ago would expire at once.
        received_at: webhook_ingest::event::time::now(),
        body: verified(&Value::from(records).to_string().into_bytes()).into(),
    };
    assert!(large.write().len() > 1, "{} parts", large.write().len());
    desk.put_letter(&large).await;
    let said = desk
        .run(&["dead-letters", "redrive", "--reason", "exhausted"])
        .await
        .ok();
    assert_eq!(said, "26 of 26 dead letters sent to the retry queue\n");
    for id in ["many-0", "many-24", "large-0", "large-39"] {
        eventually(
            async || desk.run(&["get", id]).await,
            |ended| ended.code == Some(0),
        )
        .await;
    }
    assert_eq!(desk.listed(&["--reason", "exhausted"]).await, []);
}

fn noise_of(seed: usize, bytes: usize) -> Vec<u8> {
    noise(bytes + seed).split_off(seed)
}
