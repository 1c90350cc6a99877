//! `serve`: runs every function in one process at one address, on embedded servers, with the same
//! handlers, SDK calls and event JSON as in AWS.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
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
    listener::{Limits, is_local_host, read, serve},
    local::{Local, LocalOptions, RunningInstance},
    private, retry_poller, stream_poller,
};

/// File in the data folder with the addresses of the running instance.
pub const INSTANCE_FILE: &str = "running.json";
/// File in the data folder with the policy that the first start created.
pub const POLICY: &str = "webhook-auth.json";

/// Larger than the limit of every function, so that the function itself answers 413.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Options of `serve`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Data folder; `None` keeps all data in memory.
    pub data: Option<PathBuf>,
    /// `WEBHOOK_AUTH`; `None` uses the policy that the first start created.
    pub auth: Option<String>,
    /// Options of the tables and queues.
    pub local: LocalOptions,
}

/// Address that `serve` listens at by default.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);

/// A running instance.
pub struct Server {
    /// Address of the listener.
    pub address: SocketAddr,
    /// The embedded servers.
    pub local: Local,
    /// The policy in use, as JSON or a reference.
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
    /// Starts the embedded servers, the functions and the listener.
    ///
    /// # Errors
    /// If the address is in use, the folder cannot be written, or the policy is invalid.
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
        let mut local = Local::start(options.data.as_deref(), options.local).await?;
        let (functions, storage) = functions(&local, &auth, open).await?;
        let app = Router::new().fallback(answer).with_state(Arc::new(functions));
        let address = listener.local_addr()?;
        local.instance.url = format!("http://{}", reachable(address));
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(serve(listener, app, Limits::default(), stopped.clone())),
            tokio::spawn(retry_poller::run(
                local.instance.clone(),
                storage,
                stopped.clone(),
            )),
            tokio::spawn(stream_poller::run(
                local.instance.clone(),
                local.stream.clone(),
                local.uncounted,
                stopped,
            )),
        ];
        if let Some(folder) = &options.data {
            // It contains the access key of the tables and queues.
            private::write(
                &folder.join(INSTANCE_FILE),
                &serde_json::to_string_pretty(&local.instance)?,
            )?;
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

    /// Finishes the requests in progress and stops.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        self.local.stop().await;
        if let Some(folder) = self.data {
            let _ = fs::remove_file(folder.join(INSTANCE_FILE));
        }
    }
}

/// The address at which this machine reaches a listener.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listener.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listener.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listener
}

/// Base URL of the instance that runs with this data folder, or else the one that `serve` has by default.
pub fn url(data: &Path) -> String {
    fs::read_to_string(data.join(INSTANCE_FILE))
        .ok()
        .and_then(|text| serde_json::from_str::<RunningInstance>(&text).ok())
        .map(|instance| instance.url)
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| format!("http://{DEFAULT_ADDRESS}"))
}

/// Locks the folder: two instances in one folder would overwrite each other's queues.
fn lock(folder: &Path) -> anyhow::Result<fs::File> {
    let busy = format!(
        "another instance uses the folder {}; choose another --data",
        folder.display()
    );
    private::lock(folder, &[], "lock", &busy)
}

async fn functions(local: &Local, auth: &str, open: bool) -> anyhow::Result<(Functions, StorageConfig)> {
    let instance = &local.instance;
    // The same variables as in AWS; names of tables and queues come from the embedded servers.
    let stored: HashMap<&str, String> = instance.environment().into_iter().collect();
    let config = ReceiverConfig::read(|name| match name {
        "WEBHOOK_AUTH" => Some(auth.to_owned()),
        _ => stored.get(name).cloned().or_else(|| environment(name)),
    })?;
    let aws = instance.aws(Timeouts::within(config.ack_budget)).await;
    let mut receivers = HashMap::new();
    for receiver in RECEIVERS {
        let config = ReceiverConfig {
            webhook_auth: Hidden(auth.to_owned()),
            ..config.clone()
        };
        receivers.insert(receiver.function, Ingest::start(receiver, config, &aws).await?);
    }
    let dashboard = DashboardConfig::read(|name| match name {
        // By default, users of this machine are operators.
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
    let background = instance.aws(Timeouts::background()).await;
    let dashboard = Dashboard::start(&dashboard, &background).await?;
    let functions = Functions {
        receivers,
        dashboard,
        open,
    };
    Ok((functions, config.storage))
}

/// A policy with a random token, stored in the data folder so that it survives a restart.
fn policy(data: Option<&Path>) -> anyhow::Result<String> {
    let file = data.map(|folder| folder.join(POLICY));
    if let Some(kept) = file.as_ref().filter(|file| file.exists()) {
        return fs::read_to_string(kept).with_context(|| format!("{} cannot be read", kept.display()));
    }
    let token = private::random::<24>()?;
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
    let body = match read(body, MAX_REQUEST_BYTES, Limits::default().body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let path = parts.uri.path();
    let (function, rest) = match path.strip_prefix("/lambda-url/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("dashboard", path.trim_start_matches('/')),
    };
    if function == "dashboard" && functions.open && !is_local_host(&parts.headers) {
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
            "a function URL would not accept this request\n",
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
                &format!("unknown function; the functions are\n{}", known.concat()),
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
