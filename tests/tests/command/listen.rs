//! `listen` prints what a running `serve` stores, and posts it to a program on this machine.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use integration_tests::{
    account::{Account, Reply},
    command::{TIMEOUT, Workdir, eventually},
    function,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};
use webhook_ingest::event::time;

use super::event;

/// A program that keeps the events that it gets.
struct Program {
    url: String,
    state: Arc<Received>,
    task: JoinHandle<()>,
}

struct Received {
    /// `x-event-id` and body of each request.
    events: Mutex<Vec<(String, Value)>>,
    /// Its answer.
    status: AtomicU16,
}

impl Program {
    async fn on(address: &str) -> Self {
        let state = Arc::new(Received {
            events: Mutex::default(),
            status: AtomicU16::new(200),
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let app = Router::new().fallback(receive).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state, task }
    }

    fn events(&self) -> Vec<(String, Value)> {
        self.state.events.lock().unwrap().clone()
    }

    async fn until(&self, events: usize) -> Vec<(String, Value)> {
        eventually(async || self.events(), |found| found.len() >= events).await
    }
}

async fn receive(State(state): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers["x-event-id"].to_str().unwrap().to_owned();
    assert_eq!(headers["content-type"], "application/json");
    state
        .events
        .lock()
        .unwrap()
        .push((id, serde_json::from_slice(&body).unwrap()));
    StatusCode::from_u16(state.status.load(Ordering::SeqCst)).unwrap()
}

/// A running `listen`.
struct Listen {
    child: Child,
    errors: BufReader<tokio::process::ChildStderr>,
}

impl Listen {
    /// Returns when it listens.
    async fn start(workdir: &Workdir, arguments: &[&str]) -> Self {
        Self::start_with(workdir, arguments, &[]).await
    }

    /// The same with these environment variables.
    async fn start_with(workdir: &Workdir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = workdir.command(&function::command());
        command
            .arg("listen")
            .args(arguments)
            .envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        timeout(TIMEOUT, errors.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(line, "listening; Ctrl-C stops\n");
        Self { child, errors }
    }

    /// The ids of the next messages on its standard output, which is JSON.
    async fn shown(&mut self, messages: usize) -> Vec<String> {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut shown = Vec::new();
        for _ in 0..messages {
            let line = timeout(TIMEOUT, lines.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            shown.push(event["message_id"].as_str().unwrap().to_owned());
        }
        shown
    }

    /// Presses Ctrl-C; its standard output and its last messages.
    async fn interrupt(mut self) -> (String, String) {
        let id = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .await
                .unwrap()
                .success()
        );
        let mut errors = String::new();
        timeout(TIMEOUT, self.errors.read_to_string(&mut errors))
            .await
            .unwrap()
            .unwrap();
        let output = timeout(TIMEOUT, self.child.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        (String::from_utf8(output.stdout).unwrap(), errors)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_are_posted_once_in_order_and_masked() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    // Stored before the start: not shown.
    serve
        .post("event-webhook", &json!([event("before", &json!({}))]).to_string())
        .await;
    let program = Program::on("127.0.0.1:0").await;
    let listen = Listen::start(&workdir, &["--forward-to", &program.url]).await;

    let sent = json!([
        event("m-1", &json!({"status": "Sent"})),
        event(
            "m-1",
            &json!({"status": "Delivered", "remarks": "to +91 92092 09291"})
        ),
        event("m-2", &json!({"status": "Failed", "channel": "SMS"})),
    ]);
    assert_eq!(
        serve.post("event-webhook", &sent.to_string()).await.json()["stored"],
        3
    );
    // A duplicate is not stored, so it is no event. Neither is a rejected body.
    assert_eq!(
        serve.post("event-webhook", &sent.to_string()).await.json()["duplicates"],
        3
    );
    serve.post("event-webhook", r#"[{"status":"Sent"}]"#).await;
    serve
        .post("event-webhook", &json!([event("m-3", &json!({}))]).to_string())
        .await;

    let events = program.until(4).await;
    let (output, summary) = listen.interrupt().await;
    assert_eq!(events, program.events(), "no event twice");
    let shown: Vec<[&str; 4]> = events
        .iter()
        .map(|(_, event)| {
            ["message_id", "channel", "status", "recipient"].map(|name| event[name].as_str().unwrap())
        })
        .collect();
    let number = "*********291";
    let expected = [
        ["m-1", "RCS", "sent", number],
        ["m-1", "RCS", "delivered", number],
        ["m-2", "SMS", "failed", number],
        ["m-3", "RCS", "sent", number],
    ];
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    let mut wanted = expected.to_vec();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(
        shown.last(),
        expected.last(),
        "a later request's event comes later"
    );
    for (_, event) in &events {
        let text = event.to_string();
        assert!(!text.contains("920920"), "{text}");
        assert!(
            event["event_time"].is_i64() && event["received_at"].is_i64(),
            "{text}"
        );
        for withheld in ["status_key", "day_shard", "as_sent"] {
            assert!(event.get(withheld).is_none(), "{text}");
        }
    }
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[3].ends_with("*********291  m-3  → 200"), "{output}");
    assert!(!output.contains("920920"), "{output}");
    assert!(
        summary.starts_with("4 events, 4 accepted, 0 refused; continue with --since 20"),
        "{summary}"
    );

    // Again from the past: the same ids, also of the event before the first start.
    let second = Program::on("127.0.0.1:0").await;
    let listen = Listen::start(
        &workdir,
        &["--forward-to", &second.url, "--since", "10m", "--numbers", "full"],
    )
    .await;
    let again = second.until(5).await;
    listen.interrupt().await;
    let ids = |events: &[(String, Value)]| {
        let mut ids: Vec<String> = events.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(again[0].1["message_id"], "before");
    assert_eq!(ids(&again[1..]), ids(&events));
    assert_eq!(again[0].1["recipient"], "919209209291");
    assert_eq!(again[0].1["status_key"], "RCS#sent");
    serve.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_selects_and_json_has_an_event_per_line() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let arguments = [
        "--json",
        "--filter",
        "tag=diwali",
        "--filter",
        "status=sent",
        "--filter",
        "status=read",
    ];
    let mut listen = Listen::start(&workdir, &arguments).await;
    let events = json!([
        event("m-1", &json!({"status": "Sent", "tags": ["diwali"]})),
        event("m-2", &json!({"status": "Delivered", "tags": ["diwali"]})),
        event("m-3", &json!({"status": "Sent", "tags": ["other"]})),
        event("m-4", &json!({"status": "Read", "tags": ["other", "diwali"]})),
    ]);
    serve.post("event-webhook", &events.to_string()).await;
    let mut shown = listen.shown(2).await;
    shown.sort();
    assert_eq!(shown, ["m-1", "m-4"]);
    let (_, summary) = listen.interrupt().await;
    assert!(summary.starts_with("2 events; continue"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_the_program_and_a_refusing_program_does_not_stop_the_others() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    // Nobody listens there yet.
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    drop(reserved);
    let url = format!("http://{address}/events");
    let mut listen = Listen::start(&workdir, &["--forward-to", &url]).await;
    serve
        .post("event-webhook", &json!([event("m-1", &json!({}))]).to_string())
        .await;
    let mut line = String::new();
    timeout(TIMEOUT, listen.errors.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert!(
        line.contains("nobody answers at") && line.contains("waiting"),
        "{line}"
    );

    let program = Program::on(&address).await;
    program.until(1).await;
    program.state.status.store(500, Ordering::SeqCst);
    serve
        .post("event-webhook", &json!([event("m-2", &json!({}))]).to_string())
        .await;
    // Three tries of the same event.
    let tries = program.until(4).await;
    program.state.status.store(404, Ordering::SeqCst);
    serve
        .post("event-webhook", &json!([event("m-3", &json!({}))]).to_string())
        .await;
    program.until(5).await;
    program.state.status.store(204, Ordering::SeqCst);
    serve
        .post("event-webhook", &json!([event("m-4", &json!({}))]).to_string())
        .await;
    let all = program.until(6).await;
    assert!(tries[1..4].iter().all(|try_| *try_ == tries[1]), "{tries:?}");
    let ids: Vec<&str> = all
        .iter()
        .map(|(_, event)| event["message_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["m-1", "m-2", "m-2", "m-2", "m-3", "m-4"]);
    program.task.abort();
    let (output, summary) = listen.interrupt().await;
    assert!(
        output.contains("m-2  → 500\n") && output.contains("m-3  → 404\n"),
        "{output}"
    );
    assert!(summary.contains("4 events, 2 accepted, 2 refused"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_with_an_event_gets_the_next_one() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    let program = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", program.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let received = requests.clone();
    let task = tokio::spawn(async move {
        loop {
            let (mut peer, _) = program.accept().await.unwrap();
            let mut request = String::new();
            let mut part = [0; 4096];
            while !request.contains("message_id") {
                let read = peer.read(&mut part).await.unwrap();
                request.push_str(&String::from_utf8_lossy(&part[..read]));
            }
            received.lock().unwrap().push(request);
        }
    });
    let listen = Listen::start(&workdir, &["--forward-to", &url]).await;
    for id in ["m-1", "m-2"] {
        let body = json!([event(id, &json!({}))]).to_string();
        serve.post("event-webhook", &body).await;
    }
    let number = |id: &str| {
        let requests = requests.lock().unwrap();
        requests.iter().filter(|request| request.contains(id)).count()
    };
    eventually(async || number("m-2"), |tries| *tries == 3).await;
    assert_eq!(number("m-1"), 3);
    let (output, summary) = listen.interrupt().await;
    assert!(output.contains("m-1  → no answer"), "{output}");
    assert!(summary.contains(" 0 accepted"), "{summary}");
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_source_or_destination_is_an_error() {
    let workdir = Workdir::new();
    let error = workdir.run(&["listen"]).await.error();
    assert!(error.contains("nothing to work on"), "{error}");
    let error = workdir
        .run(&["listen", "--forward-to", "https://example.com/"])
        .await
        .error();
    assert!(error.contains("a URL of this machine"), "{error}");
}

/// A table whose stream has the shards of this list; the part before the last dot is the parent.
fn shards(account: &Account, shards: &'static [&'static str]) {
    account.outputs(
        "DescribeTable",
        json!({"Table": {"LatestStreamArn": "arn:aws:dynamodb:ap-south-1:1:table/t/stream/s"}}),
    );
    let shards: Vec<Value> = shards
        .iter()
        .map(|id| match id.rsplit_once('.') {
            Some((parent, _)) => json!({"ShardId": id, "ParentShardId": parent}),
            None => json!({"ShardId": id}),
        })
        .collect();
    account.outputs(
        "DescribeStream",
        json!({"StreamDescription": {"StreamStatus": "ENABLED", "Shards": shards}}),
    );
}

fn record(id: &str, number: &str) -> Value {
    let text = |text: &str| json!({ "S": text });
    json!({"eventID": format!("e-{id}"), "eventName": "INSERT", "dynamodb": {
        "SequenceNumber": number, "ApproximateCreationDateTime": 1_795_252_800,
        "NewImage": {
            "message_id": text(id), "status_key": text("RCS#sent"), "channel": text("RCS"), "status": text("sent"),
            "event_time": {"N": "1795252800000"}, "tags": {"L": [text("t")]},
        },
    }})
}

/// The position in `a` expires before the first record is read, and the last record of `b` is trimmed.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_position_loses_no_event_and_shows_none_of_before_the_start() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    shards(&account, &["a", "b"]);
    account.answers("GetShardIterator", |request| {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        match text("ShardIteratorType").as_str() {
            "AFTER_SEQUENCE_NUMBER" => Reply::Error("TrimmedDataAccessException"),
            kind => Reply::Output(json!({"ShardIterator": format!("{}/{kind}", text("ShardId"))})),
        }
    });
    account.answers("GetRecords", |request| {
        let now = time::now() / 1000;
        let written = |id: &str, number: &str, at: i64| {
            let mut record = record(id, number);
            record["dynamodb"]["ApproximateCreationDateTime"] = json!(at);
            record
        };
        let page = |records: &[Value], next: &str| {
            Reply::Output(json!({"Records": records, "NextShardIterator": next}))
        };
        match request["ShardIterator"].as_str().unwrap() {
            "a/LATEST" | "b/old" => Reply::Error("ExpiredIteratorException"),
            "a/TRIM_HORIZON" => page(
                &[
                    written("m-old", "100000000000000000001", now - 3600),
                    written("m-1", "100000000000000000002", now),
                ],
                "a/idle",
            ),
            "b/LATEST" => page(&[written("m-2", "100000000000000000003", now)], "b/old"),
            "b/TRIM_HORIZON" => page(&[written("m-3", "100000000000000000004", now)], "b/idle"),
            idle if idle.ends_with("/idle") => page(&[], idle),
            other => panic!("an unexpected position: {other}"),
        }
    });
    let environment = [&account.environment()[..], &[("EVENTS_TABLE", "t")]].concat();
    let mut listen = Listen::start_with(&workdir, &["--json"], &environment).await;
    let mut shown = listen.shown(3).await;
    shown.sort();
    assert_eq!(shown, ["m-1", "m-2", "m-3"]);
    let (_, summary) = listen.interrupt().await;
    assert!(summary.contains("3 events; continue with"), "{summary}");
}

/// `a.1` splits while the command reads it; the position in `a.1.2` expires, and a call is throttled.
#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_shard_are_read_from_their_beginning_and_no_position_is_lost() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    shards(&account, &["a", "a.1"]);
    // An iterator contains the shard, the kind of the position, and how often it was read.
    account.answers("GetShardIterator", |request| {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let iterator = [
            text("ShardId"),
            text("ShardIteratorType"),
            text("SequenceNumber"),
            "0".to_owned(),
        ]
        .join("/");
        Reply::Output(json!({"ShardIterator": iterator}))
    });
    let mut throttled = false;
    account.answers("GetRecords", move |request| {
        let page = |records: &[Value], next: Option<&str>| {
            Reply::Output(json!({"Records": records, "NextShardIterator": next}))
        };
        match request["ShardIterator"].as_str().unwrap() {
            "a.1/LATEST//0" => page(&[record("m-1", "100000000000000000001")], Some("a.1/LATEST//1")),
            "a.1/LATEST//1" => page(&[record("m-2", "100000000000000000002")], None),
            "a.1.1/TRIM_HORIZON//0" if !throttled => {
                throttled = true;
                Reply::Error("LimitExceededException")
            }
            "a.1.1/TRIM_HORIZON//0" => page(&[record("m-3", "100000000000000000003")], Some("a.1.1/idle")),
            "a.1.2/TRIM_HORIZON//0" => page(&[record("m-4", "100000000000000000004")], Some("a.1.2/old")),
            "a.1.2/old" => Reply::Error("ExpiredIteratorException"),
            "a.1.2/AFTER_SEQUENCE_NUMBER/100000000000000000004/0" => {
                page(&[record("m-5", "100000000000000000005")], Some("a.1.2/idle"))
            }
            idle if idle.ends_with("/idle") => page(&[], Some(idle)),
            other => panic!("an unexpected position: {other}"),
        }
    });
    let environment = [&account.environment()[..], &[("EVENTS_TABLE", "t")]].concat();
    let mut listen = Listen::start_with(&workdir, &["--json"], &environment).await;
    shards(&account, &["a", "a.1", "a.1.1", "a.1.2"]);
    let mut shown = listen.shown(5).await;
    assert_eq!(shown[..2], ["m-1", "m-2"], "a parent before its children");
    shown.sort();
    assert_eq!(shown, ["m-1", "m-2", "m-3", "m-4", "m-5"]);
    let (_, summary) = listen.interrupt().await;
    assert!(
        summary.contains("5 events; continue with --since 2026-11-21T09:20:00Z"),
        "{summary}"
    );

    account.replies("GetRecords", Reply::Error("AccessDeniedException"));
    let error = workdir.run_with(&["listen"], &environment).await.error();
    assert!(
        error.contains("permission dynamodb:GetRecords is missing"),
        "{error}"
    );
}
