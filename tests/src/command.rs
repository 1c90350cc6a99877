//! The command `netcore-webhooks` as users run it: the real binary in a temporary folder, its output and
//! its exit code.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser as _;
use http::Method;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{answer::Answer, fixtures::TOKEN, function, server::HttpClient, storage::Storage};

/// Timeout of a command and of each wait.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// The options of a command with these arguments.
pub fn options<T: clap::Args>(arguments: &[&str]) -> T {
    #[derive(clap::Parser)]
    struct Command<T: clap::Args> {
        #[command(flatten)]
        options: T,
    }
    Command::parse_from(["command"].iter().chain(arguments)).options
}

/// A temporary folder in which commands run. Of the environment, they get only `PATH`.
pub struct Workdir(TempDir);

/// The result of a command.
pub struct Output {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output of a command that succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The error message of a command that failed.
    pub fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr.trim().to_owned()
    }
}

impl Default for Workdir {
    fn default() -> Self {
        Self::new()
    }
}

impl Workdir {
    /// A new folder.
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Reads a file in it.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// A program that runs in it.
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

    /// Runs the command until it exits.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[] as &[(&str, &str)]).await
    }

    /// The same with these environment variables.
    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, impl AsRef<OsStr>)]) -> Output {
        let mut command = self.command(&function::command());
        command
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        ended(command).await
    }

    /// Runs a line in a shell, as a user who pastes it does.
    pub async fn paste(&self, line: &str) -> String {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", line]);
        ended(command).await.ok()
    }

    /// Starts `serve` on a free port.
    pub async fn serve(&self) -> ServeProcess {
        self.serve_with(&[], &[]).await
    }

    /// The same with these arguments and environment variables.
    pub async fn serve_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> ServeProcess {
        let mut command = self.command(&function::command());
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
            let line = line.unwrap_or_else(|| panic!("it exited before it was ready: {lines:?}"));
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
        ServeProcess {
            child,
            output: Some(output),
            lines,
            url,
            sample,
        }
    }

    /// The storage of the instance that runs on it.
    pub async fn storage(&self) -> Storage {
        Storage::open(&serde_json::from_str(&self.read(".local/running.json")).unwrap()).await
    }

    /// The output of `dead-letters list`: `(reason, function)` of each, sorted.
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

async fn ended(mut command: Command) -> Output {
    let output = timeout(TIMEOUT, command.output()).await.unwrap().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `serve`. Killed when this is dropped.
pub struct ServeProcess {
    /// Its output before `ready`.
    pub lines: Vec<String>,
    /// Its URL.
    pub url: String,
    /// The curl line it printed.
    pub sample: String,
    child: Child,
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl ServeProcess {
    /// The token of its policy.
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
        let headers = [("content-type", "application/json")];
        self.post_as(function, &headers, body.to_owned()).await
    }

    /// Posts a body with the token and these headers.
    pub async fn post_as(&self, function: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let token = self.token();
        let headers = [&[(TOKEN.0, token.as_str())], headers].concat();
        let url = format!("{}/lambda-url/{function}/", self.url);
        HttpClient::new().send(Method::POST, &url, &headers, body).await
    }

    /// Its process id.
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

    /// Waits until it exits.
    pub async fn wait(&mut self) -> ExitStatus {
        timeout(TIMEOUT, self.child.wait()).await.unwrap().unwrap()
    }

    /// Terminates it as a supervisor does; returns the rest of its output.
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

/// Calls `ask` until `wanted` accepts its result, and returns the result.
pub async fn eventually<T>(ask: impl AsyncFn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < TIMEOUT, "timeout");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
