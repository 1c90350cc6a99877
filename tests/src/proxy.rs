//! A proxy in front of the embedded DynamoDB or SQS. It injects faults that can change at run time, and counts
//! calls by operation and the sizes of message batches.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A call.
pub struct Call<'a> {
    /// The operation, as in `x-amz-target`: `PutItem`.
    pub operation: &'a str,
    /// Its number among the calls of this operation, from 1.
    pub number: usize,
    /// The body of the request.
    pub body: &'a [u8],
}

impl Call<'_> {
    /// Whether the body contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.body
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

/// What the proxy does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Forwards request and response.
    Pass,
    /// Responds 400, as a table without capacity or a queue with too many requests does.
    Throttle,
    /// Responds 500.
    ServerError,
    /// Never responds.
    Hang,
    /// Forwards the request when the rule changes.
    Hold,
    /// Closes the connection without forwarding.
    Cut,
    /// Forwards the request and closes the connection before the response.
    CutAfter,
    /// Forwards the request and delays the response.
    Slow(Duration),
    /// Responds 400 with this error type and message, without forwarding.
    Refuse(&'static str, &'static str),
    /// Responds 200 with this body, without forwarding.
    Answer(&'static str),
    /// Fails each entry of a message batch whose index, from 0, is a multiple of this.
    FailEntries(usize),
    /// Answers each statement of a batch whose index, from 0, is a multiple of this with this error code.
    /// Forwards the others.
    RefuseStatements(usize, &'static str),
    /// Delays a response that reports each put or statement as executed, without forwarding. For measurements
    /// of a sender that is faster than the embedded table.
    AcceptAfter(Duration),
    /// Returns all keys or items of a batch as unprocessed.
    Unprocessed,
    /// Forwards the request and delays the response. Cancels a transaction that shares an item with one in
    /// progress, as DynamoDB does; the embedded table executes transactions one after the other.
    Transact(Duration),
}

type Rule = Arc<dyn Fn(&Call<'_>) -> Treatment + Send + Sync>;

/// Sizes of a `SendMessageBatch` that SQS limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBatch {
    /// The number of messages.
    pub entries: usize,
    /// The bytes of all messages, attributes included.
    pub bytes: usize,
}

/// A running proxy. Stops when this is dropped.
pub struct Proxy {
    /// Its URL.
    pub url: String,
    shared: Arc<Shared>,
    refuse: watch::Sender<bool>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: watch::Sender<Rule>,
    in_progress: watch::Sender<usize>,
    busy: Mutex<Busy>,
    counts: Mutex<BTreeMap<String, usize>>,
    batches: Mutex<Vec<SentBatch>>,
    /// The keys of the items of all transactions in progress.
    locked: Mutex<HashSet<String>>,
}

impl Proxy {
    /// A proxy in front of `upstream` that forwards everything.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        // Bound, but not listening: reserves the port while connections are refused.
        let reserved = TcpSocket::new_v4()?;
        reserved.set_reuseaddr(true)?;
        reserved.bind(([127, 0, 0, 1], 0).into())?;
        let address = reserved.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            rule: watch::Sender::new(Arc::new(|_: &Call<'_>| Treatment::Pass)),
            in_progress: watch::Sender::new(0),
            busy: Mutex::default(),
            counts: Mutex::default(),
            batches: Mutex::default(),
            locked: Mutex::default(),
        });
        let (refuse, refused) = watch::channel(false);
        let (listens, mut listening) = watch::channel(false);
        let task = tokio::spawn(run(reserved, address, shared.clone(), refused, listens));
        listening.wait_for(|listening| *listening).await?;
        Ok(Self {
            url: format!("http://{address}"),
            shared,
            refuse,
            listening,
            task,
        })
    }

    /// Treats all calls like this from now on.
    pub fn always(&self, treatment: Treatment) {
        self.decide(move |_| treatment);
    }

    /// Calls `rule` for each call from now on.
    pub fn decide(&self, rule: impl Fn(&Call<'_>) -> Treatment + Send + Sync + 'static) {
        self.shared.rule.send_replace(Arc::new(rule));
    }

    /// Closes all connections and refuses new ones.
    pub async fn refuse(&self) {
        self.switch(true).await;
    }

    /// Accepts connections and forwards everything.
    pub async fn recover(&self) {
        self.always(Treatment::Pass);
        self.switch(false).await;
    }

    async fn switch(&self, refuse: bool) {
        self.refuse.send_replace(refuse);
        let mut listening = self.listening.clone();
        listening
            .wait_for(|listening| *listening != refuse)
            .await
            .expect("the proxy runs");
    }

    /// The number of calls of an operation, with any treatment.
    pub fn calls(&self, operation: &str) -> usize {
        lock(&self.shared.counts)
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    /// The number of calls by operation.
    pub fn operations(&self) -> BTreeMap<String, usize> {
        lock(&self.shared.counts).clone()
    }

    /// All message batches.
    pub fn batches(&self) -> Vec<SentBatch> {
        lock(&self.shared.batches).clone()
    }

    /// The total time in which at least one call was in progress.
    pub fn busy(&self) -> Duration {
        lock(&self.shared.busy).total
    }

    /// Resets the counts.
    pub fn reset_counts(&self) {
        lock(&self.shared.counts).clear();
        lock(&self.shared.batches).clear();
    }

    /// Waits until this many calls are in progress.
    pub async fn until_in_progress(&self, calls: usize) {
        let mut in_progress = self.shared.in_progress.subscribe();
        in_progress
            .wait_for(|now| *now == calls)
            .await
            .expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(
    reserved: TcpSocket,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut refused: watch::Receiver<bool>,
    listens: watch::Sender<bool>,
) {
    loop {
        let listener = listen(address).expect("the port is reserved");
        listens.send_replace(true);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                stop = refused.wait_for(|refuse| *refuse) => match stop {
                    Ok(_) => break,
                    Err(_) => return,
                },
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, shared.clone()));
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
        listens.send_replace(false);
        if refused.wait_for(|refuse| !*refuse).await.is_err() {
            break;
        }
    }
    drop(reserved);
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { shared.treat(request).await }
    });
    // `Cut` is an error here, and so is a client that disconnects.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Closes the connection without a response.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

/// The time in which calls were in progress.
#[derive(Default)]
struct Busy {
    total: Duration,
    since: Option<Instant>,
}

/// Counts a call as in progress until this is dropped.
struct InProgress<'a>(&'a Shared);

impl<'a> InProgress<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut busy = lock(&shared.busy);
        shared.in_progress.send_modify(|calls| *calls += 1);
        busy.since.get_or_insert_with(Instant::now);
        Self(shared)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        let mut busy = lock(&self.0.busy);
        self.0.in_progress.send_modify(|calls| *calls -= 1);
        if *self.0.in_progress.borrow() == 0
            && let Some(since) = busy.since.take()
        {
            busy.total += since.elapsed();
        }
    }
}

impl Shared {
    async fn treat(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let _in_progress = InProgress::begin(self);
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let operation = parts
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok()?.split_once('.'))
            .map_or_else(String::new, |(_, operation)| operation.to_owned());
        let number = self.count(&operation, &body);
        let mut rule = self.rule.subscribe();
        let treatment = {
            let decide = rule.borrow_and_update().clone();
            decide(&Call {
                operation: &operation,
                number,
                body: &body,
            })
        };
        let request = Request::from_parts(parts, body);
        match treatment {
            Treatment::Pass => self.forward(request).await,
            Treatment::Throttle => Ok(error(StatusCode::BAD_REQUEST, throttling(&operation))),
            Treatment::ServerError => Ok(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "com.amazonaws#InternalServerError",
            )),
            Treatment::Hang => {
                std::future::pending::<Infallible>().await;
                Err(Cut)
            }
            Treatment::Hold => {
                rule.changed().await.map_err(|_| Cut)?;
                self.forward(request).await
            }
            Treatment::Cut => Err(Cut),
            Treatment::CutAfter => {
                self.forward(request).await?;
                Err(Cut)
            }
            Treatment::Slow(delay) => {
                let answer = self.forward(request).await;
                tokio::time::sleep(delay).await;
                answer
            }
            Treatment::Refuse(kind, message) => Ok(aws_json(
                StatusCode::BAD_REQUEST,
                &json!({"__type": kind, "message": message}),
            )),
            Treatment::Answer(body) => Ok(aws_json(
                StatusCode::OK,
                &serde_json::from_str(body).map_err(|_| Cut)?,
            )),
            Treatment::FailEntries(every) => self.fail_entries(request, every).await,
            Treatment::RefuseStatements(every, code) => self.refuse_statements(request, every, code).await,
            Treatment::AcceptAfter(delay) => {
                tokio::time::sleep(delay).await;
                let statements = request.body().windows(11).filter(|part| part == b"\"Statement\"");
                let responses = vec![json!({}); statements.count()];
                Ok(aws_json(StatusCode::OK, &json!({ "Responses": responses })))
            }
            Treatment::Transact(delay) => self.transact(request, delay).await,
            Treatment::Unprocessed => {
                let batch: Value = serde_json::from_slice(request.body()).map_err(|_| Cut)?;
                let left = &batch["RequestItems"];
                let answer = json!({"Responses": {}, "UnprocessedKeys": left, "UnprocessedItems": left});
                Ok(aws_json(StatusCode::OK, &answer))
            }
        }
    }

    async fn transact(&self, request: Request<Bytes>, delay: Duration) -> Result<Response<Full<Bytes>>, Cut> {
        let transaction: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let updates = transaction["TransactItems"].as_array();
        let keys: Vec<String> = updates
            .into_iter()
            .flatten()
            // A put has no key here, and those of `projector` are unique.
            .filter_map(|update| Some(update.as_object()?.values().next()?.get("Key")?.to_string()))
            .collect();
        let conflicts: Vec<bool> = {
            let mut locked = lock(&self.locked);
            let conflicts: Vec<bool> = keys.iter().map(|key| locked.contains(key)).collect();
            if !conflicts.contains(&true) {
                locked.extend(keys.iter().cloned());
            }
            conflicts
        };
        if conflicts.contains(&true) {
            tokio::time::sleep(delay).await;
            let code = |conflicts: bool| if conflicts { "TransactionConflict" } else { "None" };
            let reasons: Vec<Value> = conflicts
                .into_iter()
                .map(|conflicts| json!({"Code": code(conflicts)}))
                .collect();
            return Ok(aws_json(
                StatusCode::BAD_REQUEST,
                &json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                    "message": "Transaction cancelled",
                    "CancellationReasons": reasons,
                }),
            ));
        }
        let answer = self.forward(request).await;
        tokio::time::sleep(delay).await;
        let mut locked = lock(&self.locked);
        for key in keys {
            locked.remove(&key);
        }
        answer
    }

    fn count(&self, operation: &str, body: &[u8]) -> usize {
        if operation == "SendMessageBatch" {
            lock(&self.batches).push(measure(body));
        }
        let mut counts = lock(&self.counts);
        let count = counts.entry(operation.to_owned()).or_default();
        *count += 1;
        *count
    }

    async fn forward(&self, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut forwarded = Request::new(Full::new(body));
        *forwarded.method_mut() = parts.method;
        *forwarded.uri_mut() = format!("{}{path}", self.upstream).parse().map_err(|_| Cut)?;
        *forwarded.headers_mut() = parts.headers;
        // The length may have changed.
        forwarded.headers_mut().remove(http::header::CONTENT_LENGTH);
        let (parts, body) = self
            .client
            .request(forwarded)
            .await
            .map_err(|_| Cut)?
            .into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Response::from_parts(parts, Full::new(body)))
    }

    async fn refuse_statements(
        &self,
        request: Request<Bytes>,
        every: usize,
        code: &str,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let mut batch: Value = serde_json::from_slice(&body).map_err(|_| Cut)?;
        let statements = batch["Statements"].as_array().cloned().unwrap_or_default();
        let is_refused = |index: usize| index.is_multiple_of(every);
        let count = statements.len();
        let passed: Vec<Value> = statements
            .into_iter()
            .enumerate()
            .filter_map(|(index, statement)| (!is_refused(index)).then_some(statement))
            .collect();
        let mut answers = Vec::new();
        if !passed.is_empty() {
            batch["Statements"] = passed.into();
            let request = Request::from_parts(parts, batch.to_string().into());
            let answer = self.forward(request).await?.into_body();
            let answer = answer.collect().await.map_err(|_| Cut)?.to_bytes();
            let answer: Value = serde_json::from_slice(&answer).map_err(|_| Cut)?;
            answers = answer["Responses"].as_array().cloned().unwrap_or_default();
        }
        let mut answers = answers.into_iter();
        let refused = || json!({"Error": {"Code": code, "Message": "injected by a test"}});
        let all = (0..count).map(|index| {
            if is_refused(index) {
                Some(refused())
            } else {
                answers.next()
            }
        });
        let all: Option<Vec<Value>> = all.collect();
        Ok(aws_json(StatusCode::OK, &json!({ "Responses": all.ok_or(Cut)? })))
    }

    async fn fail_entries(
        &self,
        request: Request<Bytes>,
        every: usize,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let mut batch: Value = serde_json::from_slice(&body).map_err(|_| Cut)?;
        let entries = batch["Entries"].as_array().cloned().unwrap_or_default();
        let (fail, pass): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .enumerate()
            .partition(|(place, _)| place % every == 0);
        let failed: Vec<Value> = fail
            .iter()
            .map(|(_, entry)| json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"}))
            .collect();
        let mut answer = json!({"Successful": [], "Failed": failed});
        if !pass.is_empty() {
            batch["Entries"] = pass.into_iter().map(|(_, entry)| entry).collect();
            let taken = self
                .forward(Request::from_parts(parts, batch.to_string().into()))
                .await?;
            let taken = taken.into_body().collect().await.map_err(|_| Cut)?.to_bytes();
            let taken: Value = serde_json::from_slice(&taken).map_err(|_| Cut)?;
            answer["Successful"] = taken["Successful"].clone();
        }
        Ok(aws_json(StatusCode::OK, &answer))
    }
}

fn throttling(operation: &str) -> &'static str {
    if operation.contains("Message") {
        "com.amazonaws.sqs#RequestThrottled"
    } else {
        "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    }
}

fn error(status: StatusCode, kind: &str) -> Response<Full<Bytes>> {
    aws_json(status, &json!({"__type": kind, "message": "injected by a test"}))
}

fn aws_json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    response
}

/// As SQS counts: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
fn measure(body: &[u8]) -> SentBatch {
    let batch: Value = serde_json::from_slice(body).unwrap_or_default();
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let entries = batch["Entries"].as_array().cloned().unwrap_or_default();
    let bytes = entries
        .iter()
        .map(|entry| {
            let attributes = entry["MessageAttributes"].as_object();
            let attributes = attributes
                .into_iter()
                .flatten()
                .map(|(name, value)| name.len() + length(&value["DataType"]) + length(&value["StringValue"]));
            length(&entry["MessageBody"]) + attributes.sum::<usize>()
        })
        .sum();
    SentBatch {
        entries: entries.len(),
        bytes,
    }
}
