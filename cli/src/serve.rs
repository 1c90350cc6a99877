//! Every function in one process, behind one address: the same handlers, SDK calls and event JSON
//! as in AWS, on embedded servers.

use std::{
    collections::HashMap,
    fs,
    future::IntoFuture as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use dashboard::{Dashboard, DashboardConfig};
use http::{HeaderMap, StatusCode, header::HOST};
use lambda_http::RequestExt as _;
use redrive::RECEIVERS;
use tokio::{net::TcpListener, sync::watch};
use webhook_ingest::{
    aws::Patience,
    config::{Hidden, ReceiverConfig, StorageConfig, environment},
    function_url::FunctionUrlRequest,
    receiver::Ingest,
};

use crate::{
    function_url,
    local::{Local, QueueOptions},
    retry_poller, stream_poller,
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
    /// Whether the dashboard asks nobody for a password.
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
        let functions = Arc::new(functions);
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(http(listener, functions, stopped.clone())),
            tokio::spawn(retry_poller::run(local.place.clone(), storage, stopped.clone())),
            tokio::spawn(stream_poller::run(
                local.place.clone(),
                local.database.clone(),
                local.uncounted,
                stopped,
            )),
        ];
        if let Some(folder) = &options.data {
            fs::write(folder.join(PLACE), serde_json::to_string_pretty(&local.place)?)?;
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
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let lock = fs::File::create(folder.join("lock"))?;
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
    let aws = place.aws(Patience::within(config.ack_budget)).await;
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
    let unhurried = place.aws(Patience::unhurried()).await;
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
        write_private(&file, &policy).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(policy)
}

/// Readable by nobody else: it holds a secret.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(text.as_bytes())
}

async fn http(listener: TcpListener, functions: Arc<Functions>, mut stopped: watch::Receiver<bool>) {
    /// A sender that keeps a connection open for ever does not keep us from stopping.
    const GRACE: Duration = Duration::from_secs(10);
    let mut ended = stopped.clone();
    let app = Router::new().fallback(answer).with_state(functions);
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
    let patience = async move {
        let _ = ended.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        outcome = server.into_future() => if let Err(error) = outcome {
            tracing::error!(%error, "the server ended");
        },
        () = patience => tracing::warn!("some connections were still open after 10 s"),
    }
}

async fn answer(
    State(functions): State<Arc<Functions>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than a function URL would take\n",
        );
    };
    let path = parts.uri.path();
    let (function, rest) = match path.strip_prefix("/lambda-url/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("dashboard", path.trim_start_matches('/')),
    };
    if function == "dashboard" && functions.open && !is_of_this_machine(&parts.headers) {
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

/// A page elsewhere can point a name of its own at this machine, and would then be let in by the
/// browser; the name gives it away.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
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
