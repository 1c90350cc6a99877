//! `serve`: its output and errors, how it stops, and its data after a stop or a crash.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use http::Method;
use integration_tests::{
    command::{TIMEOUT, Workdir},
    fixtures::receiver_names,
    function,
    server::HttpClient,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::event;

#[tokio::test(flavor = "multi_thread")]
async fn serve_prints_its_urls_and_a_working_request() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    for function in receiver_names() {
        let url = format!("{}/lambda-url/{function}/", serve.url);
        assert!(serve.lines.contains(&url), "{function}: {:?}", serve.lines);
        assert_eq!(
            HttpClient::new().send(Method::GET, &url, &[], "").await.status,
            200
        );
    }
    assert!(serve.url.starts_with("http://127.0.0.1:"), "{}", serve.url);
    assert_eq!(serve.token().len(), 48);

    // The sample line works, and can be repeated.
    for expected in [[1, 0], [0, 1]] {
        let answer: Value = serde_json::from_str(&workdir.paste(&serve.sample).await).unwrap();
        assert_eq!(
            [&answer["stored"], &answer["duplicates"]],
            [&json!(expected[0]), &json!(expected[1])]
        );
    }
    let shown = workdir.run(&["get", "try-1"]).await.ok();
    assert!(shown.contains("message   try-1\n"), "{shown}");
    assert!(shown.contains("state     sent on RCS since 20"), "{shown}");

    // Any AWS tool can use these addresses of tables and queues.
    let instance = workdir.storage().await.instance;
    for line in [
        format!("AWS_ENDPOINT_URL_DYNAMODB={}", instance.dynamodb),
        format!("AWS_ENDPOINT_URL_SQS={}", instance.sqs),
        "AWS_REGION=local".to_owned(),
        "AWS_DEFAULT_REGION=local".to_owned(),
    ] {
        assert!(serve.lines.contains(&line), "{line}");
    }
    assert!(serve.terminate().await.contains("stopping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_is_the_default_command() {
    let workdir = Workdir::new();
    // Port 9000 may be in use. Then the error names it, which proves that `serve` ran.
    let taken = TcpListener::bind("127.0.0.1:9000").ok();
    let mut child = workdir.command(&function::command()).spawn().unwrap();
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
    let workdir = Workdir::new();
    let mut serve = workdir.serve().await;
    let token = serve.token();
    let policy = workdir.path().join(".local/webhook-auth.json");
    let mode = fs::metadata(&policy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it contains a secret");

    for (round, ends_well) in [true, false, true, false].into_iter().enumerate() {
        let id = format!("kept-{round}");
        let body = json!([event(&id, &json!({}))]).to_string();
        assert_eq!(serve.post("event-webhook", &body).await.counts(), [1, 1, 0, 0, 0]);
        let junk = format!("junk {round}");
        assert_eq!(serve.post("event-webhook", &junk).await.status, 400);
        if ends_well {
            serve.terminate().await;
            assert!(!workdir.path().join(".local/running.json").exists());
        } else {
            serve.kill().await;
        }
        serve = workdir.serve().await;
        assert_eq!(serve.token(), token);
        for earlier in 0..=round {
            let shown = workdir.run(&["get", &format!("kept-{earlier}")]).await.ok();
            assert!(shown.contains("sent on RCS"), "{shown}");
        }
        assert_eq!(
            workdir.listed(&[]).await.len(),
            round + 1,
            "dead letters in round {round}"
        );
        assert_eq!(serve.post("event-webhook", &body).await.counts(), [1, 0, 1, 0, 0]);
    }
    // Dead letters that a command removed do not reappear.
    workdir.run(&["dead-letters", "discard", "--yes"]).await.ok();
    serve.kill().await;
    let _serving = workdir.serve().await;
    assert_eq!(workdir.listed(&[]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_progress_is_finished_before_the_exit() {
    let workdir = Workdir::new();
    let mut serve = workdir.serve().await;
    let body = json!([event("under-way", &json!({}))]).to_string();
    let mut connection = TcpStream::connect(serve.address()).await.unwrap();
    let head = format!(
        "POST /lambda-url/event-webhook/ HTTP/1.1\r\nhost: x\r\nx-netcore-token: {}\r\ncontent-length: {}\r\n\r\n",
        serve.token(),
        body.len()
    );
    let (first, second) = body.split_at(body.len() / 2);
    connection
        .write_all(format!("{head}{first}").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    serve.signal("TERM").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    connection.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(TIMEOUT, connection.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""stored":1"#), "{answer}");
    assert_eq!(serve.wait().await.code(), Some(0));

    let _serving = workdir.serve().await;
    workdir.run(&["get", "under-way"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_prevent_the_exit() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&["--memory"], &[]).await;
    let mut idle = TcpStream::connect(serve.address()).await.unwrap();
    idle.write_all(b"POST /lambda-url/event-webhook/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    serve.terminate().await;
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_in_memory_leaves_no_files() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&["--memory"], &[]).await;
    workdir.paste(&serve.sample).await;
    assert_eq!(serve.post("event-webhook", "junk").await.status, 400);
    serve.terminate().await;
    let files: Vec<_> = fs::read_dir(workdir.path()).unwrap().collect();
    assert!(files.is_empty(), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_errors_are_one_line() {
    let workdir = Workdir::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9000"] {
        let error = workdir.run(&["serve", "--listen", address]).await.error();
        assert!(
            error.starts_with(&format!("error: --listen {address}")),
            "{error}"
        );
        assert!(error.contains("set DASHBOARD_AUTH"), "{error}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = workdir.run(&["serve", "--listen", &address]).await.error();
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
        let error = workdir.run_with(&listen, &[("WEBHOOK_AUTH", auth)]).await.error();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    workdir.write("a-file", "");
    let error = workdir
        .run(&["serve", "--listen", "127.0.0.1:0", "--data", "a-file"])
        .await
        .error();
    assert!(error.contains("a-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_do_not_share_a_folder() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    assert_eq!(serve.post("event-webhook", "junk").await.status, 400);
    let error = workdir.run(&["serve", "--listen", "127.0.0.1:0"]).await.error();
    assert!(error.contains(".local"), "{error}");
    assert!(error.contains("another instance"), "{error}");
    // The first instance still works.
    assert_eq!(serve.post("event-webhook", "more junk").await.status, 400);
    assert_eq!(workdir.listed(&[]).await.len(), 2);
    serve.kill().await;
    let _serving = workdir.serve().await;
    assert_eq!(workdir.listed(&[]).await.len(), 2);
}
