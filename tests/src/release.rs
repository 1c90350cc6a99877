//! A release binary under measurement: what it answers, the CPU it takes and the memory it held.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{
    runtime_api::{Reply, RuntimeApi},
    throttle,
};

const TIMEOUT: Duration = Duration::from_mins(1);

/// A running function that writes to nowhere. It is killed when this is dropped.
pub struct Release {
    api: RuntimeApi,
    child: Child,
}

impl Release {
    /// Starts a binary with exactly this environment and what Lambda adds to it.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn start(binary: &Path, environment: Vec<(&'static str, String)>) -> Self {
        assert!(binary.exists(), "build {} first", binary.display());
        let api = RuntimeApi::start().await.expect("a free port");
        let child = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(environment)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        Self { api, child }
    }

    /// Invokes it with a function URL's event.
    ///
    /// # Panics
    /// If it answers anything but 200.
    pub async fn ask(&self, event: &Value) -> Reply {
        let reply = self.api.invoke(event, TIMEOUT).await.expect("an answer");
        assert_eq!(reply.payload["statusCode"], 200, "{}", reply.payload);
        reply
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// CPU time of all its threads.
    pub fn cpu(&self) -> Duration {
        throttle::cpu(self.process())
    }

    /// The most memory it held so far, in MiB: `VmHWM` of
    /// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
    pub fn peak_memory_mib(&self) -> f64 {
        let id = self.process();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.expect("VmHWM").trim().trim_end_matches(" kB");
        peak.parse::<f64>().expect("a number") / 1024.0
    }
}
