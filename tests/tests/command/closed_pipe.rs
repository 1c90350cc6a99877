//! Commands whose standard output is a pipe without a reader, as in `dead-letters list | head -1`.

use integration_tests::{
    command::{TIMEOUT, Workdir},
    function,
};
use serde_json::json;
use tokio::{process::Command, time::timeout};

use integration_tests::fixtures::event;

/// Exit status of a program that is killed by SIGPIPE, as a shell reports it.
const SIGPIPE: i32 = 128 + 13;

/// Exit status and standard error of a command that prints to a closed pipe.
async fn run(workdir: &Workdir, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = workdir.command(&function::command());
    command.args(arguments).stdout(writer);
    ended(command).await
}

async fn ended(mut command: Command) -> (Option<i32>, String) {
    // `Command::output` would replace the pipe.
    let child = command.spawn().unwrap();
    let output = timeout(TIMEOUT, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_quietly_if_nothing_reads_its_output() {
    let workdir = Workdir::new();
    let serving = workdir.serve().await;
    let body = json!([event(json!({}))]).to_string();
    assert_eq!(serving.post("event-webhook", &body).await.status, 200);
    assert_eq!(serving.post("event-webhook", "junk").await.status, 400);
    workdir.write("body.json", &body);
    let all: [&[&str]; 20] = [
        &["get", "m-1"],
        &["get", "m-1", "--json"],
        &["dead-letters", "list", "--json"],
        &["rollups", "rebuild", "--json"],
        &["completions", "bash"],
        &["man"],
        &["sign", "body.json"],
        &["formats"],
        &["formats", "rcs-callback", "--json"],
        &["cost", "--events-per-month", "1000000"],
        &["cost", "--events-per-month", "1000000", "--json"],
        &["dead-letters", "list"],
        &["dead-letters", "show"],
        &["dead-letters", "export", "--to", "export.jsonl"],
        &["dead-letters", "discard"],
        &["dead-letters", "discard", "--yes"],
        &["dead-letters", "redrive"],
        &["erase", "--recipient", "919209209291"],
        &["rollups", "rebuild"],
        &["rollups", "merge"],
    ];
    for arguments in all {
        assert_eq!(
            run(&workdir, arguments).await,
            (Some(SIGPIPE), String::new()),
            "{arguments:?}"
        );
    }
    let url = ["simulate", "--messages", "5", "--url", &serving.url];
    assert_eq!(run(&workdir, &url).await, (Some(SIGPIPE), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_whose_report_cannot_be_printed_deletes_nothing() {
    let workdir = Workdir::new();
    let serving = workdir.serve().await;
    let body = json!([event(json!({}))]).to_string();
    assert_eq!(serving.post("event-webhook", &body).await.status, 200);

    let erase = ["erase", "--recipient", "919209209291", "--yes"];
    assert_eq!(run(&workdir, &erase).await, (Some(SIGPIPE), String::new()));

    assert!(workdir.run(&["get", "m-1"]).await.ok().contains("m-1"));
    assert!(!workdir.path().join(".local/erasures.jsonl").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serve_that_cannot_print_its_addresses_stops_and_leaves_no_running_file() {
    let workdir = Workdir::new();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    assert_eq!(run(&workdir, &serve).await, (Some(SIGPIPE), String::new()));
    assert!(!workdir.path().join(".local/running.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_as_an_error() {
    let workdir = Workdir::new();
    let mut command = workdir.command(&function::command());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    command
        .args(["cost", "--events-per-month", "1000000"])
        .stdout(full);
    let (code, error) = ended(command).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.starts_with("error: standard output: No space left on device"),
        "{error}"
    );
}
