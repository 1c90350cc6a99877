//! The functions' real binaries: builds them, runs each as a process against a [`RuntimeApi`], and records
//! their output.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::{
    answer::Answer,
    fixtures::{self, receiver_names},
    root,
    runtime_api::{Reply, RuntimeApi},
    throttle,
};

/// The names of all functions; each has a binary.
pub fn functions() -> impl Iterator<Item = &'static str> {
    receiver_names().chain(["redrive", "projector", "dashboard"])
}

/// The packages of the functions.
const PACKAGES: [&str; 4] = ["receivers", "redrive", "projector", "dashboard"];

/// Timeout of an invocation and of each wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A running function. Its process is killed when this is dropped.
pub struct Function {
    api: RuntimeApi,
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Function {
    /// Starts a function with this environment and the variables that Lambda sets.
    pub async fn start(name: &str, environment: Vec<(&str, String)>) -> Self {
        Self::run(&binaries().join(name), name, environment, true).await
    }

    /// Starts a release binary to measure it, without recording its output.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn measured(binary: &Path, environment: Vec<(&str, String)>) -> Self {
        assert!(binary.exists(), "build {} first", binary.display());
        Self::run(binary, "measured", environment, false).await
    }

    /// The same with recorded output, for a function whose lines contain figures.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn measured_with_output(binary: &Path, environment: Vec<(&str, String)>) -> Self {
        assert!(binary.exists(), "build {} first", binary.display());
        Self::run(binary, "measured", environment, true).await
    }

    async fn run(binary: &Path, name: &str, environment: Vec<(&str, String)>, recorded: bool) -> Self {
        let output = || if recorded { Stdio::piped() } else { Stdio::null() };
        let api = RuntimeApi::start().await.expect("a free port");
        let mut child = Command::new(binary)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        let (sender, lines) = watch::channel(Vec::new());
        if recorded {
            tokio::spawn(record(child.stdout.take().expect("piped"), sender.clone()));
            tokio::spawn(record(child.stderr.take().expect("piped"), sender));
        }
        Self { api, child, lines }
    }

    /// Invokes it with any event.
    ///
    /// # Panics
    /// If it fails or does not answer; the message contains its output.
    pub async fn invoke(&self, event: &Value) -> Reply {
        self.invoke_within(event, TIMEOUT).await
    }

    /// Invokes it with any event and this timeout.
    ///
    /// # Panics
    /// If it fails or does not answer in time; the message contains its output.
    pub async fn invoke_within(&self, event: &Value, timeout: Duration) -> Reply {
        match self.api.invoke(event, timeout).await {
            Ok(reply) => reply,
            Err(error) => panic!("{error:#}\n{}", self.lines().join("\n")),
        }
    }

    /// Invokes it with a function URL's event.
    pub async fn request(&self, event: &Value) -> Answer {
        self.invoke(event).await.into()
    }

    /// The same; the response must be 200.
    pub async fn ok(&self, event: &Value) -> Answer {
        let answer = self.request(event).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// Posts a body with a signature of [`fixtures::AUTH`].
    pub async fn post(&self, body: &[u8]) -> Answer {
        self.request(&fixtures::post(body)).await
    }

    /// All lines of its output so far, of both streams.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The same, each parsed as JSON.
    ///
    /// # Panics
    /// If a line is not JSON.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse =
            |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("not a JSON line: {line}"));
        self.lines.borrow().iter().map(parse).collect()
    }

    /// Waits for a JSON line that `wanted` accepts, and returns it.
    pub async fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |lines: &Vec<String>| {
            lines
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok())
                .find(|line| wanted(line))
        };
        let mut lines = self.lines.clone();
        let found = tokio::time::timeout(TIMEOUT, lines.wait_for(|lines| find(lines).is_some())).await;
        match found {
            Ok(Ok(lines)) => find(&lines).expect("just found"),
            _ => panic!("no such line:\n{}", self.lines().join("\n")),
        }
    }

    /// Waits for this many lines of output.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn until_lines(&self, number: usize) {
        let mut lines = self.lines.clone();
        let wait = lines.wait_for(|lines| lines.len() >= number);
        let _ = tokio::time::timeout(TIMEOUT, wait).await.expect("enough lines");
    }

    /// The log line of an answered request.
    pub async fn log_of(&self, answer: &Answer) -> Value {
        self.line(|line| line["message"] == "request" && line["request_id"] == answer.request_id.as_str())
            .await
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// CPU time of all its threads.
    pub fn cpu(&self) -> Duration {
        throttle::cpu(self.process())
    }

    /// Its peak memory so far, in KiB: `VmHWM` of <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
    pub fn peak_memory_kib(&self) -> usize {
        let id = self.process();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmHWM:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .expect("VmHWM")
    }

    /// Waits until it exits; returns its exit status and its output.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait())
            .await
            .expect("it exits")
            .expect("a child");
        // The channel closes when both streams have ended.
        while self.lines.changed().await.is_ok() {}
        (status, self.lines())
    }
}

async fn record(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}

/// The folder with the binaries, built once per process by one call of cargo.
fn binaries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&PACKAGES).expect("the functions build"))
}

/// The command `netcore-webhooks`, built once per process.
///
/// # Panics
/// If it does not build.
pub fn command() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let name = "netcore-webhooks";
    BUILT
        .get_or_init(|| build(&[name]).expect("the command builds"))
        .join(name)
}

fn build(packages: &[&str]) -> anyhow::Result<PathBuf> {
    // target/<profile>/deps/<this test>
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("not in a target folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.parent().context("not in a target folder")?)
        // With this crate in the same build, its compiled dependencies are reused.
        .args(["-p", env!("CARGO_PKG_NAME")]);
    for package in packages {
        cargo.args(["-p", package]);
    }
    // Build scripts watch these variables; inherited ones would rebuild all dependencies.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().context("cargo does not start")?;
    anyhow::ensure!(status.success(), "cargo build: {status}");
    Ok(folder.to_owned())
}
