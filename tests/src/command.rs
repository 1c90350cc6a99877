//! The command `netcore-webhooks` as people run it: the real binary in a folder of its own, with its
//! output and its exit code.

use std::{
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use http::Method;
use netcore_webhooks::local::RunningInstance;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use webhook_ingest::queue::message::QueueMessage;

use crate::{
    binary,
    instance::{Answer, HttpClient},
    ledger::Ledger,
};

/// A command takes no longer, even on a busy machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// A folder that commands run in. They see nothing of the environment but `PATH`.
pub struct Desk(TempDir);

/// How a command ended.
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said of itself.
    pub stderr: String,
}

impl Ended {
    /// What it printed, if it went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Its one-line complaint.
    pub fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr.trim().to_owned()
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A new folder.
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Reads a file of the folder.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// A program in the folder, without the variables of this process but `PATH`.
    pub fn command(&self, program: &Path) -> Command {
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

    /// Runs the command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    /// Runs the command with these variables to its end.
    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = self.command(&binary::command());
        command.args(arguments).envs(environment.iter().copied());
        ended(command).await
    }

    /// Runs a line in a shell, as somebody does who pastes it.
    pub async fn paste(&self, line: &str) -> String {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", line]);
        ended(command).await.ok()
    }

    /// Starts `serve` on a free port.
    pub async fn serve(&self) -> Serving {
        self.serve_with(&[], &[]).await
    }

    /// Starts `serve` with these arguments and variables on a free port.
    pub async fn serve_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Serving {
        let mut command = self.command(&binary::command());
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
            let line = timeout(TIMEOUT, output.next_line()).await.unwrap().unwrap();
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

    /// Where the running instance's tables and queues are.
    pub fn place(&self) -> RunningInstance {
        serde_json::from_str(&self.read(".local/running.json")).unwrap()
    }

    /// What the running instance keeps.
    pub async fn ledger(&self) -> Ledger {
        Ledger::open(&self.place()).await
    }

    /// Puts a letter into the dead-letter queue.
    pub async fn put_letter(&self, letter: &QueueMessage) {
        for message in letter.write() {
            self.put_dead(&message).await;
        }
    }

    /// Puts a message into the dead-letter queue.
    pub async fn put_dead(&self, message: &str) {
        self.ledger().await.send_dead(message).await;
    }

    /// What `dead-letters list` shows: `(reason, function)` of each, sorted.
    pub async fn listed(&self, filter: &[&str]) -> Vec<(String, String)> {
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
    let output = timeout(TIMEOUT, command.output()).await.unwrap().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `serve`. Killed when it is dropped.
pub struct Serving {
    /// What it printed before it was ready.
    pub lines: Vec<String>,
    /// Its address.
    pub url: String,
    /// The curl line it printed.
    pub sample: String,
    child: Child,
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Serving {
    /// The token that it accepts.
    pub fn token(&self) -> String {
        let after = self.sample.split("x-netcore-token: ").nth(1).unwrap();
        after.split('\'').next().unwrap().to_owned()
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Posts a body as a provider does.
    pub async fn post(&self, function: &str, body: &str) -> Answer {
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

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends it a signal.
    pub async fn signal(&self, name: &str) {
        let id = self.process().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await;
        assert!(status.unwrap().success());
    }

    /// Waits until it ends.
    pub async fn wait(&mut self) -> ExitStatus {
        timeout(TIMEOUT, self.child.wait()).await.unwrap().unwrap()
    }

    /// Ends it as a supervisor does; returns what it still printed.
    pub async fn terminate(mut self) -> String {
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

    /// Kills it, as a crash does.
    pub async fn kill(mut self) {
        self.signal("KILL").await;
        assert_eq!(self.wait().await.code(), None);
    }
}

/// Asks again until the answer is the wanted one.
pub async fn eventually<T>(ask: impl AsyncFn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < TIMEOUT, "it did not come to that");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
