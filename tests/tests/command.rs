//! The command as people use it: the real binary, its output, its exit codes, and what it leaves
//! behind on disk.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod server;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use integration_tests::verified;
use netcore_webhooks::local::RunningInstance;
use serde_json::{Value, json};
use server::{Answer, HttpClient};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use webhook_ingest::{
    operations::clients::{Aws, Timeouts},
    queue::message::{Body, QueueMessage, Reason},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// The built command. Built once per process.
fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/<profile>/deps/<this test>
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap().to_owned();
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            name => name,
        };
        let mut cargo = std::process::Command::new(env!("CARGO"));
        for (name, _) in std::env::vars_os() {
            // What cargo tells this test of itself. Build scripts that watch it, like ring's, would
            // run again, and half of the dependencies would be built again after them.
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            {
                cargo.env_remove(name);
            }
        }
        let status = cargo
            .args([
                "build",
                "--quiet",
                "--bins",
                "--profile",
                profile,
                "-p",
                "netcore-webhooks",
            ])
            // Together with this crate, the command shares the dependencies it was built with.
            .args(["-p", env!("CARGO_PKG_NAME")])
            .arg("--target-dir")
            .arg(folder.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "cargo build: {status}");
        folder.join("netcore-webhooks")
    })
}

/// A folder to work in, with nothing of the environment but the path to other commands.
struct Desk(TempDir);

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it printed, if it went well.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Its one-line complaint.
    fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr.trim().to_owned()
    }
}

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = self.command(binary());
        command.args(arguments).envs(environment.iter().copied());
        ended(command).await
    }

    /// Runs a line in a shell, as somebody does who pastes it.
    async fn paste(&self, line: &str) -> String {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", line]);
        ended(command).await.ok()
    }

    async fn serve(&self) -> Serving {
        self.serve_with(&[], &[]).await
    }

    async fn serve_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Serving {
        let mut command = self.command(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "error")
            .envs(environment.iter().copied())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = Vec::new();
        loop {
            let line = timeout(PATIENCE, output.next_line()).await.unwrap().unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended before it was ready: {lines:?}"));
            if line == "ready" {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let url = lines
            .iter()
            .find_map(|line| line.strip_suffix("/lambda-url/event-webhook/"))
            .unwrap()
            .to_owned();
        let sample = lines
            .iter()
            .find(|line| line.starts_with("curl "))
            .unwrap()
            .clone();
        Serving {
            child,
            output: Some(output),
            lines,
            url,
            sample,
        }
    }

    /// Clients for the running instance's table and queues.
    async fn place(&self) -> (RunningInstance, Aws) {
        let place: RunningInstance = serde_json::from_str(&self.read(".local/running.json")).unwrap();
        let aws = place.aws(Timeouts::unhurried()).await;
        (place, aws)
    }

    /// Puts a letter into the dead-letter queue.
    async fn put_letter(&self, letter: &QueueMessage) {
        for message in letter.write() {
            self.put_dead(&message).await;
        }
    }

    async fn put_dead(&self, message: &str) {
        let (place, aws) = self.place().await;
        aws.sqs
            .send_message()
            .queue_url(&place.dead_letter_queue_url)
            .message_body(message)
            .send()
            .await
            .unwrap();
    }

    /// What `dead-letters list` shows: `(reason, function)` of each, sorted.
    async fn listed(&self, filter: &[&str]) -> Vec<(String, String)> {
        let output = self.run(&[&["dead-letters", "list"], filter].concat()).await.ok();
        let mut lines = output.lines();
        assert!(lines.next().unwrap().starts_with("id "), "{output}");
        let mut rows: Vec<(String, String)> = lines
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (words[2].to_owned(), words[3].to_owned())
            })
            .collect();
        rows.sort();
        rows
    }
}

async fn ended(mut command: Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `serve`. Killed when it is dropped.
struct Serving {
    child: Child,
    output: Option<tokio::io::Lines<BufReader<tokio::process::ChildStdout>>>,
    lines: Vec<String>,
    url: String,
    /// The curl line it printed.
    sample: String,
}

impl Serving {
    fn token(&self) -> String {
        let after = self.sample.split("x-netcore-token: ").nth(1).unwrap();
        after.split('\'').next().unwrap().to_owned()
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    async fn post(&self, function: &str, body: &str) -> Answer {
        let token = self.token();
        let headers = [
            ("x-netcore-token", token.as_str()),
            ("content-type", "application/json"),
        ];
        let url = format!("{}/lambda-url/{function}/", self.url);
        HttpClient::new()
            .send(Method::POST, &url, &headers, body.to_owned())
            .await
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await;
        assert!(status.unwrap().success());
    }

    async fn wait(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }

    /// Ends it as a supervisor does; returns what it still printed.
    async fn terminate(mut self) -> String {
        self.signal("TERM").await;
        assert_eq!(self.wait().await.code(), Some(0));
        let mut rest = String::new();
        let mut output = self.output.take().unwrap();
        while let Some(line) = output.next_line().await.unwrap() {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }

    async fn kill(mut self) {
        self.signal("KILL").await;
        assert_eq!(self.wait().await.code(), None);
    }
}

fn event(id: &str, more: &Value) -> Value {
    let mut event = json!({"message_id": id, "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828});
    event
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_it_is_and_what_to_try() {
    let desk = Desk::new();
    let serving = desk.serve().await;
    for function in [
        "event-webhook",
        "fallback-sms",
        "incoming-webhook",
        "delivery-status",
        "rcs-callback",
    ] {
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
    let (place, _) = desk.place().await;
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
    let mut child = desk.command(binary()).spawn().unwrap();
    if taken.is_some() || TcpListener::bind("127.0.0.1:9000").is_err() {
        let mut stderr = String::new();
        let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
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
    timeout(PATIENCE, connection.read_to_string(&mut answer))
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

#[tokio::test(flavor = "multi_thread")]
async fn sign_prints_a_line_that_is_accepted() {
    let desk = Desk::new();
    let body = format!("{}\n", json!([event("signed", &json!({"remarks": "it's €"}))]));
    desk.write("it's a body.json", &body);
    let error = desk.run(&["sign", "it's a body.json"]).await.error();
    assert!(error.contains("no policy"), "{error}");

    let serving = desk.serve().await;
    let url = format!("{}/lambda-url/event-webhook/", serving.url);
    let signed = desk.run(&["sign", "it's a body.json", "--url", &url]).await;
    // It needs nothing of AWS, not even a region.
    assert_eq!(signed.stderr, "");
    let line = signed.ok();
    let answer: Value = serde_json::from_str(&desk.paste(&line).await).unwrap();
    assert_eq!(answer["stored"], 1, "{answer}");
    serving.terminate().await;

    // Any policy, from the option or the variable.
    for scheme in [
        json!({"type": "hmac", "header": "x-webhook-signature", "prefix": "sha256=", "secrets": ["a-secret-of-the-tests"]}),
        json!({"type": "hmac", "header": "x-signature", "algorithm": "sha512", "encoding": "base64", "timestamp_header": "x-timestamp", "signed": "{timestamp}.{body}", "secrets": ["a-secret-of-the-tests"]}),
        json!({"type": "standard-webhooks", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}),
        json!({"type": "basic", "username": "netcore", "passwords": ["it's a secret of the tests"]}),
    ] {
        let auth = json!({"accept": [scheme]}).to_string();
        let variable = [("WEBHOOK_AUTH", auth.as_str())];
        let serving = desk.serve_with(&["--memory"], &variable).await;
        let url = format!("{}/lambda-url/event-webhook/", serving.url);
        let sign = ["sign", "it's a body.json", "--url", url.as_str()];
        let by_option = desk.run(&[&sign[..], &["--auth", &auth]].concat()).await.ok();
        let by_variable = desk.run_with(&sign, &variable).await.ok();
        for (line, stored) in [(by_option, 1), (by_variable, 0)] {
            let answer: Value = serde_json::from_str(&desk.paste(&line).await).unwrap();
            assert_eq!(answer["stored"], stored, "{auth}: {answer}");
        }
        let answer: Value = serde_json::from_str(&desk.paste(&serving.sample).await).unwrap();
        assert_eq!(answer["stored"], 1, "{auth}: {answer}");
    }
    let error = desk.run(&["sign", "missing.json"]).await.error();
    assert!(error.starts_with("error: missing.json cannot be read"), "{error}");
    let error = desk
        .run(&["sign", "it's a body.json", "--auth", "{"])
        .await
        .error();
    assert!(error.contains("WEBHOOK_AUTH: not JSON"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_a_message_or_a_persons_latest_events() {
    let desk = Desk::new();
    let error = desk.run(&["get", "m-1"]).await.error();
    assert!(error.contains("nothing to work on"), "{error}");

    let serving = desk.serve().await;
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
    assert_eq!(
        serving.post("event-webhook", &events.to_string()).await.status,
        200
    );

    let shown = desk.run(&["get", "rcs#1/é"]).await.ok();
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
        assert_eq!(desk.run(&["get", number]).await.ok(), expected, "{number}");
    }
    // An id that looks like a number is an id first.
    let shown = desk.run(&["get", "919209209292"]).await.ok();
    assert!(
        shown.starts_with("message   919209209292\nrecipient 918888888888\n"),
        "{shown}"
    );

    for unknown in ["unknown", "917777777777", "", "#"] {
        let error = desk.run(&["get", unknown]).await.error();
        assert!(error.contains("nothing is stored"), "{unknown}: {error}");
    }
    // Not there any more: it says so instead of waiting.
    serving.kill().await;
    let asked = Instant::now();
    desk.run(&["get", "sms-1"]).await.error();
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

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
    // Not about time: an unoptimised build on a machine with other things to do is slow.
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

/// Bytes of which no compressor makes less.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(bytes)
    .collect()
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

/// Asks again until the answer is the wanted one.
async fn eventually<T>(ask: impl AsyncFn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it did not come to that");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
