//! A Lambda Runtime API on a free port. A function's process polls it for events and posts its replies to it.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    response::Response,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::JoinHandle,
};

/// A running Runtime API for one function's process.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// The reply of a function.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The id of the invocation.
    pub request_id: String,
    /// The payload.
    pub payload: Value,
    /// The time from delivering the event to the complete reply.
    pub took: Duration,
}

struct Shared {
    waiting: mpsc::UnboundedSender<Invocation>,
    next: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    pending: Mutex<HashMap<String, Pending>>,
    count: AtomicU64,
}

struct Invocation {
    id: String,
    event: Bytes,
    timeout: Duration,
}

struct Pending {
    delivered: Option<Instant>,
    answer: oneshot::Sender<(Result<Bytes, Bytes>, Duration)>,
}

impl RuntimeApi {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (waiting, next) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            waiting,
            next: AsyncMutex::new(next),
            pending: Mutex::default(),
            count: AtomicU64::new(1),
        });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(deliver))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(accepted))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the Runtime API ended");
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Delivers an event to the next poll and waits for the reply. Supports any number of invocations at once.
    ///
    /// # Errors
    /// If the function reports an error, or does not reply before the timeout.
    pub async fn invoke(&self, event: &Value, timeout: Duration) -> anyhow::Result<Reply> {
        let number = self.shared.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:08x}-0000-4000-8000-{number:012x}");
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            delivered: None,
            answer,
        };
        self.shared.pending().insert(id.clone(), pending);
        self.shared.waiting.send(Invocation {
            id: id.clone(),
            event: serde_json::to_vec(event)?.into(),
            timeout,
        })?;
        let answer = tokio::time::timeout(timeout, answered).await;
        self.shared.pending().remove(&id);
        let (outcome, took) = answer
            .context("the function did not reply before its timeout")?
            .context("the Runtime API ended")?;
        match outcome {
            Ok(payload) => Ok(Reply {
                request_id: id,
                payload: serde_json::from_slice(&payload).context("the reply is not JSON")?,
                took,
            }),
            Err(error) => bail!("the function failed: {}", String::from_utf8_lossy(&error)),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, id: &str, outcome: Result<Bytes, Bytes>) -> StatusCode {
        match self.pending().remove(id) {
            Some(Pending {
                delivered: Some(delivered),
                answer,
            }) => {
                let _ = answer.send((outcome, delivered.elapsed()));
                StatusCode::ACCEPTED
            }
            _ => StatusCode::NOT_FOUND,
        }
    }
}

async fn deliver(State(shared): State<Arc<Shared>>) -> Response {
    let Some(invocation) = shared.next.lock().await.recv().await else {
        return empty(StatusCode::GONE);
    };
    if let Some(pending) = shared.pending().get_mut(&invocation.id) {
        pending.delivered = Some(Instant::now());
    }
    let deadline = SystemTime::now() + invocation.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    Response::builder()
        .header("lambda-runtime-aws-request-id", invocation.id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:local:000000000000:function:test",
        )
        .body(Body::from(invocation.event))
        .expect("a response")
}

async fn answered(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    empty(shared.settle(&id, Ok(body)))
}

async fn failed(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    empty(shared.settle(&id, Err(body)))
}

async fn accepted() -> Response {
    empty(StatusCode::ACCEPTED)
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
