//! The functions' real binaries: builds them, runs each as a process of its own against a
//! [`RuntimeApi`], and keeps every line they write.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::{
    fixtures::receiver_names,
    runtime_api::{Reply, RuntimeApi},
};

/// The name of every function; each has a binary.
pub fn functions() -> impl Iterator<Item = &'static str> {
    receiver_names().chain(["redrive", "projector", "dashboard"])
}

/// The packages of the functions.
const PACKAGES: [&str; 4] = ["receivers", "redrive", "projector", "dashboard"];

/// A function is given this long; a test that waits longer has found a fault of its own.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A running function. It is killed when this is dropped.
pub struct Function {
    api: RuntimeApi,
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

/// An answer to an HTTP request, as a function URL would pass it on.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Map<String, Value>,
    /// The cookies it sets.
    pub cookies: Vec<String>,
    /// The body.
    pub body: String,
    /// The id that the function knows the request by.
    pub request_id: String,
    /// From handing the event over to the whole answer.
    pub took: Duration,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A count of an accepted request.
    pub fn count(&self, name: &str) -> usize {
        let count = self.json()[name].as_u64();
        let count = count.unwrap_or_else(|| panic!("no count {name} in {} {}", self.status, self.body));
        usize::try_from(count).expect("a count")
    }
}

impl Function {
    /// Starts a function with exactly this environment and what Lambda adds to it.
    pub async fn start(name: &str, environment: Vec<(&str, String)>) -> Self {
        let api = RuntimeApi::start().await.expect("a free port");
        let mut child = Command::new(binaries().join(name))
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        let (sender, lines) = watch::channel(Vec::new());
        tokio::spawn(keep(child.stdout.take().expect("piped"), sender.clone()));
        tokio::spawn(keep(child.stderr.take().expect("piped"), sender));
        Self { api, child, lines }
    }

    /// Invokes it with any event.
    ///
    /// # Panics
    /// If it fails or does not answer; the message holds what it wrote.
    pub async fn invoke(&self, event: &Value) -> Reply {
        self.invoke_within(event, TIMEOUT).await
    }

    /// Invokes it with any event as a function with this timeout.
    ///
    /// # Panics
    /// If it fails or does not answer in time; the message holds what it wrote.
    pub async fn invoke_within(&self, event: &Value, timeout: Duration) -> Reply {
        match self.api.invoke(event, timeout).await {
            Ok(reply) => reply,
            Err(error) => panic!("{error:#}\n{}", self.lines().join("\n")),
        }
    }

    /// Invokes it with a function URL's event.
    pub async fn request(&self, event: &Value) -> Answer {
        let reply = self.invoke(event).await;
        let payload = &reply.payload;
        assert_eq!(payload["isBase64Encoded"], false, "{payload}");
        Answer {
            status: u16::try_from(payload["statusCode"].as_u64().expect("a status")).expect("a status"),
            headers: payload["headers"].as_object().cloned().unwrap_or_default(),
            cookies: payload["cookies"].as_array().map_or(Vec::new(), |cookies| {
                cookies
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            }),
            body: payload["body"].as_str().unwrap_or_default().to_owned(),
            request_id: reply.request_id,
            took: reply.took,
        }
    }

    /// Every line it wrote so far, to either stream.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits until it has written a JSON line for which `wanted` holds, and returns it.
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

    /// The log line of the request that was answered.
    pub async fn log_of(&self, answer: &Answer) -> Value {
        self.line(|line| line["message"] == "request" && line["request_id"] == answer.request_id.as_str())
            .await
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The most memory it held so far, in KiB: `VmHWM` of <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
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

    /// Waits for it to end by itself; returns how it ended and all it wrote.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait())
            .await
            .expect("it ends by itself")
            .expect("a child");
        // Both streams are at their end when their keepers are gone.
        while self.lines.changed().await.is_ok() {}
        (status, self.lines())
    }
}

async fn keep(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}

/// The folder with the built binaries. Built once per process, in one call of cargo.
fn binaries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&PACKAGES).expect("the functions build"))
}

/// The built command `netcore-webhooks`. Built once per process.
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
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.parent().context("not in a target folder")?)
        // Together with this crate, they share the dependencies it was built with.
        .args(["-p", env!("CARGO_PKG_NAME")]);
    for package in packages {
        cargo.args(["-p", package]);
    }
    // Build scripts watch these; inherited from this crate's own run they would rebuild the world.
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
