//! Ctrl-C in `simulate`: the command says how to repeat the simulation and what was sent.

use std::process::Output;

use integration_tests::{
    command::{TIMEOUT, Workdir, eventually},
    function,
    proxy::Treatment,
    server::Server,
};
use serde_json::Value;
use tokio::{process::Child, time::timeout};

/// Presses Ctrl-C, and returns the output of the command, which ends with status 130.
async fn interrupt(child: Child) -> Output {
    let id = child.id().unwrap().to_string();
    let kill = std::process::Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.unwrap().success());
    let output = timeout(TIMEOUT, child.wait_with_output()).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_simulation_says_its_seed_and_can_be_repeated() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let simulate = |more: &[&str]| {
        let mut command = workdir.command(&function::command());
        command.args([
            "simulate",
            "--messages",
            "60",
            "--malformed",
            "0",
            "--url",
            &serve.url,
        ]);
        command.args(more);
        command
    };
    // An event a second: it does not end by itself before the signal.
    let child = simulate(&["--rate", "1", "--batch", "1", "--seed", "77", "--json"])
        .spawn()
        .unwrap();
    let storage = workdir.storage().await;
    eventually(async || storage.count().await, |stored| *stored > 1).await;
    let output = interrupt(child).await;
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        [&report["interrupted"], &report["phase"]],
        [&Value::from(true), &Value::from("sending")]
    );
    assert_eq!(report["seed"], 77);
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(
        (1..number(&report["requests"])).contains(&number(&report["finished_requests"])),
        "{report}"
    );
    let stored = storage.count().await as u64;
    // A request in progress may have been stored as well.
    assert!(
        (1..=stored).contains(&number(&report["answers"]["stored"])),
        "{report}"
    );

    // The same bodies again: what was stored counts once.
    let until = report["until"].as_str().unwrap();
    let again = workdir
        .run(&[
            "simulate",
            "--messages",
            "60",
            "--malformed",
            "0",
            "--url",
            &serve.url,
            "--batch",
            "1",
            "--seed",
            "77",
            "--until",
            until,
        ])
        .await
        .ok();
    assert!(
        again.contains("each event is stored exactly once, and nothing else"),
        "{again}"
    );

    let child = simulate(&["--rate", "1", "--batch", "1"]).spawn().unwrap();
    let before = storage.count().await;
    eventually(async || storage.count().await, |stored| *stored > before).await;
    let output = interrupt(child).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("interrupted while sending: "), "{printed}");
    assert!(printed.contains("\nrepeat      --seed "), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_while_reading_back_says_so() {
    let server = Server::start().await;
    let workdir = Workdir::new();
    // The command reads through the proxy; the server does not use it.
    server.stack.table.decide(|call| match call.operation {
        "Query" => Treatment::Hang,
        _ => Treatment::Pass,
    });
    let mut command = workdir.command(&function::command());
    command
        .args([
            "simulate",
            "--messages",
            "10",
            "--seed",
            "8",
            "--url",
            &server.url(""),
        ])
        .args(["--auth", integration_tests::fixtures::AUTH])
        .envs(server.stack.instance.environment());
    let child = command.spawn().unwrap();
    server.stack.table.until_in_progress(1).await;
    let output = interrupt(child).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.starts_with("interrupted while reading back: "),
        "{printed}"
    );
    assert!(printed.contains("repeat      --seed 8 --until "), "{printed}");
}
