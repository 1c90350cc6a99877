//! Every function in one process, behind one address: the same handlers, SDK calls and event JSON
//! as in AWS, on embedded servers.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use dashboard::{Dashboard, DashboardConfig};
use http::StatusCode;
use lambda_http::RequestExt as _;
use receivers::RECEIVERS;
use tokio::{net::TcpListener, sync::watch};
use webhook_ingest::{
    http::{function_url::FunctionUrlRequest, receiver::Ingest},
    operations::{
        clients::Timeouts,
        config::{Hidden, ReceiverConfig, StorageConfig, environment},
    },
};

use crate::{
    function_url,
    listener::{Limits, names_this_machine, read, serve},
    local::{Local, QueueOptions},
    private, retry_poller, stream_poller,
};

/// The file in the data folder that says where a running instance is.
pub const PLACE: &str = "running.json";
/// The file in the data folder that keeps the policy made at first start.
pub const POLICY: &str = "webhook-auth.json";

/// Larger than what any function takes, so that the function itself can say that it is too large.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

/// How `serve` runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// The folder that keeps its data; `None` keeps nothing.
    pub data: Option<PathBuf>,
    /// `WEBHOOK_AUTH`, or `None` for a policy made at first start.
    pub auth: Option<String>,
    /// How the queues behave.
    pub queues: QueueOptions,
}

/// A running instance.
pub struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The embedded servers.
    pub local: Local,
    /// The policy in force, as JSON or a reference.
    pub auth: String,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    data: Option<PathBuf>,
    /// Held as long as the folder is in use.
    _lock: Option<fs::File>,
}

struct Functions {
    receivers: HashMap<&'static str, Ingest>,
    dashboard: Dashboard,
    /// Whether the dashboard needs no password.
    open: bool,
}

impl Server {
    /// Starts everything and listens.
    ///
    /// # Errors
    /// If the address is taken, the folder cannot be written, or the policy is none.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let open = environment("DASHBOARD_AUTH").is_none_or(|auth| auth.trim().is_empty());
        if open && !options.listen.ip().is_loopback() {
            bail!(
                "--listen {}: others could see personal data; set DASHBOARD_AUTH, so that the dashboard asks for a password",
                options.listen
            );
        }
        let listener = TcpListener::bind(options.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; is another instance running?",
                options.listen
            )
        })?;
        let lock = options.data.as_deref().map(lock).transpose()?;
        let auth = match options.auth {
            Some(auth) => auth,
            None => policy(options.data.as_deref())?,
        };
        let local = Local::start(options.data.as_deref(), options.queues).await?;
        let (functions, storage) = functions(&local, &auth, open).await?;
        let app = Router::new().fallback(answer).with_state(Arc::new(functions));
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(serve(listener, app, Limits::default(), stopped.clone())),
            tokio::spawn(retry_poller::run(local.place.clone(), storage, stopped.clone())),
            tokio::spawn(stream_poller::run(
                local.place.clone(),
                local.stream.clone(),
                local.uncounted,
                stopped,
            )),
        ];
        if let Some(folder) = &options.data {
            // It holds the key to the tables and queues.
            private::write(&folder.join(PLACE), &serde_json::to_string_pretty(&local.place)?)?;
        }
        Ok(Self {
            address,
            local,
            auth,
            stop,
            tasks,
            data: options.data,
            _lock: lock,
        })
    }

    /// Finishes what is under way and stops.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        self.local.stop().await;
        if let Some(folder) = self.data {
            let _ = fs::remove_file(folder.join(PLACE));
        }
    }
}

/// Two instances in one folder would write over each other's queues.
fn lock(folder: &Path) -> anyhow::Result<fs::File> {
    private::folder(folder, &[]).with_context(|| format!("{} cannot be made", folder.display()))?;
    let lock = private::create(&folder.join("lock"))?;
    lock.try_lock().with_context(|| {
        format!(
            "another instance uses the folder {}; choose another --data",
            folder.display()
        )
    })?;
    Ok(lock)
}

async fn functions(local: &Local, auth: &str, open: bool) -> anyhow::Result<(Functions, StorageConfig)> {
    let place = &local.place;
    // The same variables as in AWS; those that say where things are stored come from the embedded servers.
    let stored: HashMap<&str, String> = place.environment().into_iter().collect();
    let config = ReceiverConfig::read(|name| match name {
        "WEBHOOK_AUTH" => Some(auth.to_owned()),
        _ => stored.get(name).cloned().or_else(|| environment(name)),
    })?;
    let aws = place.aws(Timeouts::within(config.ack_budget)).await;
    let mut receivers = HashMap::new();
    for receiver in RECEIVERS {
        let config = ReceiverConfig {
            webhook_auth: Hidden(auth.to_owned()),
            ..config.clone()
        };
        receivers.insert(receiver.function, Ingest::start(receiver, config, &aws).await?);
    }
    let dashboard = DashboardConfig::read(|name| match name {
        // Who sits at this machine looks after it, unless the environment says otherwise.
        "DASHBOARD_ROLE" | "DASHBOARD_REDRIVE" if environment(name).is_none() => Some(
            if name == "DASHBOARD_ROLE" {
                "operator"
            } else {
                "true"
            }
            .to_owned(),
        ),
        _ => stored.get(name).cloned().or_else(|| environment(name)),
    })?;
    let unhurried = place.aws(Timeouts::unhurried()).await;
    let dashboard = Dashboard::start(&dashboard, &unhurried).await?;
    let functions = Functions {
        receivers,
        dashboard,
        open,
    };
    Ok((functions, config.storage))
}

/// A policy with a random token, kept in the data folder so that it survives a restart.
fn policy(data: Option<&Path>) -> anyhow::Result<String> {
    let file = data.map(|folder| folder.join(POLICY));
    if let Some(kept) = file.as_ref().filter(|file| file.exists()) {
        return fs::read_to_string(kept).with_context(|| format!("{} cannot be read", kept.display()));
    }
    let mut token = [0_u8; 24];
    getrandom::fill(&mut token).map_err(|e| anyhow::anyhow!("no random numbers: {e}"))?;
    let policy = serde_json::json!({
        "accept": [{"type": "header", "name": "x-netcore-token", "values": [hex::encode(token)]}],
    })
    .to_string();
    if let Some(file) = file {
        private::write(&file, &policy).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(policy)
}

async fn answer(
    State(functions): State<Arc<Functions>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body, LARGEST_REQUEST, Limits::default().body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let path = parts.uri.path();
    let (function, rest) = match path.strip_prefix("/lambda-url/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("dashboard", path.trim_start_matches('/')),
    };
    if function == "dashboard" && functions.open && !names_this_machine(&parts.headers) {
        return plain(
            StatusCode::MISDIRECTED_REQUEST,
            "the dashboard answers under this machine's own names only: http://127.0.0.1 or http://localhost\n",
        );
    }
    let event = event(&parts, &format!("/{rest}"), &body, peer.ip());
    let request = if function == "dashboard" {
        lambda_http::request::from_str(&event).ok()
    } else {
        let event: Option<FunctionUrlRequest> = serde_json::from_str(&event).ok();
        event.map(|FunctionUrlRequest(request)| request)
    };
    let Some(request) = request else {
        return plain(
            StatusCode::BAD_REQUEST,
            "the request has no form that a function URL would pass on\n",
        );
    };
    let request = request.with_lambda_context(lambda_runtime::Context::default());
    let response = match functions.receivers.get(function) {
        Some(receiver) => receiver.clone().handle(request).await,
        None if function == "dashboard" => functions.dashboard.clone().handle(request).await,
        None => {
            let known: Vec<String> = RECEIVERS
                .iter()
                .map(|r| format!("/lambda-url/{}/\n", r.function))
                .collect();
            return plain(
                StatusCode::NOT_FOUND,
                &format!("no function of this name; there are\n{}", known.concat()),
            );
        }
    };
    let (parts, body) = response.into_parts();
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    Response::from_parts(parts, body)
}

fn event(parts: &http::request::Parts, path: &str, body: &[u8], source: IpAddr) -> String {
    let query = parts.uri.query().unwrap_or_default();
    function_url::event(&parts.method, path, query, &parts.headers, body, source).to_string()
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
