//! `serve`: what it prints and refuses, how it ends, and what of its data is there after a stop or a
//! crash.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use http::Method;
use integration_tests::{
    binary,
    command::{Desk, TIMEOUT},
    fixtures::receiver_names,
    instance::HttpClient,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::event;

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_it_is_and_what_to_try() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    for function in receiver_names() {
        let url = format!("{}/lambda-url/{function}/", serving.url);
        assert!(serving.lines.contains(&url), "{function}: {:?}", serving.lines);
        assert_eq!(
            HttpClient::new().send(Method::GET, &url, &[], "").await.status,
            200
        );
    }
    assert!(serving.url.starts_with("http://127.0.0.1:"), "{}", serving.url);
    assert_eq!(serving.token().len(), 48);

    // The line can be pasted, twice.
    for expected in [[1, 0], [0, 1]] {
        let answer: Value = serde_json::from_str(&desk.paste(&serving.sample).await).unwrap();
        assert_eq!(
            [&answer["stored"], &answer["duplicates"]],
            [&json!(expected[0]), &json!(expected[1])]
        );
    }
    let shown = desk.run(&["get", "try-1"]).await.ok();
    assert!(shown.contains("message   try-1\n"), "{shown}");
    assert!(shown.contains("state     sent on RCS since 20"), "{shown}");

    // The addresses of table and queues are good for any AWS tool.
    let place = desk.place();
    for line in [
        format!("AWS_ENDPOINT_URL_DYNAMODB={}", place.dynamodb),
        format!("AWS_ENDPOINT_URL_SQS={}", place.sqs),
    ] {
        assert!(serving.lines.contains(&line), "{line}");
    }
    assert!(serving.terminate().await.contains("stopping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_is_what_runs_without_a_command() {
    let desk = Desk::new();
    // Port 9000 may be somebody's; then it says so, and nothing else could have said it.
    let taken = TcpListener::bind("127.0.0.1:9000").ok();
    let mut child = desk.command(&binary::command()).spawn().unwrap();
    if taken.is_some() || TcpListener::bind("127.0.0.1:9000").is_err() {
        let mut stderr = String::new();
        let status = timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .await
            .unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(
            stderr.contains("cannot listen on 127.0.0.1:9000; is another instance running?"),
            "{stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_stop_and_a_crash() {
    let desk = Desk::new();
    let mut serving = desk.serve().await;
    let token = serving.token();
    let policy = desk.path().join(".local/webhook-auth.json");
    let mode = fs::metadata(&policy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds a secret");

    for (round, ends_well) in [true, false, true, false].into_iter().enumerate() {
        let id = format!("kept-{round}");
        let body = json!([event(&id, &json!({}))]).to_string();
        assert_eq!(
            serving.post("event-webhook", &body).await.counts(),
            [1, 1, 0, 0, 0]
        );
        let junk = format!("junk {round}");
        assert_eq!(serving.post("event-webhook", &junk).await.status, 400);
        if ends_well {
            serving.terminate().await;
            assert!(!desk.path().join(".local/running.json").exists());
        } else {
            serving.kill().await;
        }
        serving = desk.serve().await;
        assert_eq!(serving.token(), token);
        for earlier in 0..=round {
            let shown = desk.run(&["get", &format!("kept-{earlier}")]).await.ok();
            assert!(shown.contains("sent on RCS"), "{shown}");
        }
        assert_eq!(
            desk.listed(&[]).await.len(),
            round + 1,
            "dead letters in round {round}"
        );
        assert_eq!(
            serving.post("event-webhook", &body).await.counts(),
            [1, 0, 1, 0, 0]
        );
    }
    // What a command takes out stays out.
    desk.run(&["dead-letters", "discard", "--yes"]).await.ok();
    serving.kill().await;
    let _serving = desk.serve().await;
    assert_eq!(desk.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_before_the_end() {
    let desk = Desk::new();
    let mut serving = desk.serve().await;
    let body = json!([event("under-way", &json!({}))]).to_string();
    let mut connection = TcpStream::connect(serving.address()).await.unwrap();
    let head = format!(
        "POST /lambda-url/event-webhook/ HTTP/1.1\r\nhost: x\r\nx-netcore-token: {}\r\ncontent-length: {}\r\n\r\n",
        serving.token(),
        body.len()
    );
    let (first, second) = body.split_at(body.len() / 2);
    connection
        .write_all(format!("{head}{first}").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    serving.signal("TERM").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    connection.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(TIMEOUT, connection.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""stored":1"#), "{answer}");
    assert_eq!(serving.wait().await.code(), Some(0));

    let _serving = desk.serve().await;
    desk.run(&["get", "under-way"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_keep_it_from_ending() {
    let desk = Desk::new();
    let serving = desk.serve_with(&["--memory"], &[]).await;
    let mut idle = TcpStream::connect(serving.address()).await.unwrap();
    idle.write_all(b"POST /lambda-url/event-webhook/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    serving.terminate().await;
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_leaves_no_files() {
    let desk = Desk::new();
    let serving = desk.serve_with(&["--memory"], &[]).await;
    desk.paste(&serving.sample).await;
    assert_eq!(serving.post("event-webhook", "junk").await.status, 400);
    serving.terminate().await;
    let left: Vec<_> = fs::read_dir(desk.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_said_in_one_line() {
    let desk = Desk::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9000"] {
        let error = desk.run(&["serve", "--listen", address]).await.error();
        assert!(
            error.starts_with(&format!("error: --listen {address}")),
            "{error}"
        );
        assert!(error.contains("set DASHBOARD_AUTH"), "{error}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = desk.run(&["serve", "--listen", &address]).await.error();
    assert!(
        error.starts_with(&format!(
            "error: cannot listen on {address}; is another instance running?"
        )),
        "{error}"
    );
    for (auth, says) in [
        ("{}", "WEBHOOK_AUTH: missing field `accept`"),
        (
            r#"{"accept":[{"type":"header","name":"x","values":["hunter2-hunter2-hunter2"],"extra":1}]}"#,
            "WEBHOOK_AUTH: accept[0]: unknown field (number 4 of the object), expected `type`, `name`, `values` or `allow_weak`",
        ),
    ] {
        let listen = ["serve", "--listen", "127.0.0.1:0", "--memory"];
        let error = desk.run_with(&listen, &[("WEBHOOK_AUTH", auth)]).await.error();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    desk.write("a-file", "");
    let error = desk
        .run(&["serve", "--listen", "127.0.0.1:0", "--data", "a-file"])
        .await
        .error();
    assert!(error.contains("a-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_do_not_share_a_folder() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    assert_eq!(serving.post("event-webhook", "junk").await.status, 400);
    let error = desk.run(&["serve", "--listen", "127.0.0.1:0"]).await.error();
    assert!(error.contains(".local"), "{error}");
    assert!(error.contains("another instance"), "{error}");
    // The first is not harmed.
    assert_eq!(serving.post("event-webhook", "more junk").await.status, 400);
    assert_eq!(desk.listed(&[]).await.len(), 2);
    serving.kill().await;
    let _serving = desk.serve().await;
    assert_eq!(desk.listed(&[]).await.len(), 2);
}
