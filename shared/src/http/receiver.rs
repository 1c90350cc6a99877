//! A receiver: handles a request from bytes to response, the same for every provider.
//!
//! method → size → source address → authentication → parse → store, queue or dead-letter → answer

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Response, header::CONTENT_TYPE};
use lambda_http::{Body, Request, RequestExt as _, request::RequestContext};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    auth::{
        Challenge, Policy, PolicyError, RefreshingSecret, Refusal, Unverified, Verdict, Verified,
        VerifiedBody,
    },
    event::{EpochMillis, time, url_bot},
    http::{
        function_url::RawQuery,
        response::{Answer, Statuses},
        sender::{self, Sender},
        unlisted::{self, Report, Unlisted},
    },
    operations::{
        clients::Aws,
        config::ReceiverConfig,
        logging::Sampler,
        metrics::{self, Metrics},
    },
    pipeline::{
        BatchOutcome, Deadlines, Ingested, Pipeline, Rejected,
        batch::Batch,
        decode::{self, form},
    },
    provider::FormatId,
    queue::message::{QueueMessage, Reason},
};

/// The properties of one receiver. The package `receivers` lists all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// The function's name: in its URL, in log lines and in queue messages.
    pub function: &'static str,
    /// The provider whose webhooks it receives.
    pub provider: &'static str,
    /// The record formats that it accepts.
    pub formats: &'static [FormatId],
    /// Its senders. Answers have the statuses that the first one understands, unless variables name others.
    pub senders: &'static [&'static Sender],
}

impl Receiver {
    /// The statuses of its answers: those that its first sender understands.
    pub fn default_statuses(&self) -> Statuses {
        let sender = self.senders.first().copied().unwrap_or(&sender::NETCORE);
        Statuses {
            rejected: sender.rejected,
            unauthenticated: sender.unauthenticated,
        }
    }

    /// The same, unless variables name others.
    fn statuses(&self, config: &ReceiverConfig) -> Statuses {
        let default = self.default_statuses();
        Statuses {
            rejected: config.reject_status.unwrap_or(default.rejected),
            unauthenticated: config.auth_error_status.unwrap_or(default.unauthenticated),
        }
    }
}

/// A running receiver. Cheap to clone; clones share clients and policy.
#[derive(Clone)]
pub struct Ingest(Arc<Parts>);

struct Parts {
    receiver: Receiver,
    statuses: Statuses,
    config: ReceiverConfig,
    policy: RefreshingSecret<Policy>,
    pipeline: Pipeline,
}

/// Anybody who knows the URL can cause checks and refusals, so their lines with fields are limited to ten a
/// minute for each class, in one execution environment. Each has the number of lines of its class that were
/// dropped before it. The other requests write their metrics only, about 240 bytes: half of what the request
/// itself costs. Counts that wait for a later line would be lost with an idle execution environment.
static REFUSALS: Sampler = Sampler::new(10);

/// The addresses that are not on the list, in report mode.
static UNLISTED: Unlisted = Unlisted::new();

/// The share of the budget for storing. The rest is for queueing the remaining records.
const STORE_SHARE: f64 = 0.6;

impl Ingest {
    /// Reads the policy once. The clients share the configuration of `aws`.
    ///
    /// # Errors
    /// [`PolicyError`] if there is no valid policy.
    pub async fn start(receiver: Receiver, config: ReceiverConfig, aws: &Aws) -> Result<Self, PolicyError> {
        let auth = &config.webhook_auth.0;
        let policy =
            RefreshingSecret::<Policy>::start(auth, config.auth_refresh, &aws.config, time::now()).await?;
        let pipeline = Pipeline::new(config.storage.clone(), aws);
        Ok(Self(Arc::new(Parts {
            receiver,
            statuses: receiver.statuses(&config),
            config,
            policy,
            pipeline,
        })))
    }

    /// Answers one request, and writes one line for it, with its metrics. Never fails: every error has a
    /// response.
    pub async fn handle(self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let parts = &*self.0;
        let method = request.method().clone();
        let request_id = request
            .lambda_context_ref()
            .map(|context| context.request_id.clone())
            .unwrap_or_default();
        let bytes = content_bytes(&request);
        let (answer, outcome) = parts.answer(request, started).await;
        let took = started.elapsed();
        let class = answer.unauthenticated();
        let unlogged = class.map(|class| REFUSALS.admit(class, time::now()));
        let line = RequestLine {
            function: parts.receiver.function,
            request_id,
            outcome: answer.outcome(),
            reason: answer.refusal(),
            unlogged: unlogged.flatten(),
            status: answer.status(parts.statuses).as_u16(),
            bytes,
            copies: answer.copies(),
            lost: outcome.lost,
            duration_ms: class.map(|_| metrics::milliseconds(took)),
        };
        let is_logged = tracing::enabled!(tracing::Level::INFO) && unlogged != Some(None);
        metrics::write(
            "request",
            is_logged.then_some(&line),
            measured(&answer, &outcome, took),
        );
        answer.respond(&method, parts.statuses)
    }
}

/// The fields of a request's line, besides its metrics.
#[derive(Serialize)]
struct RequestLine {
    function: &'static str,
    request_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlogged: Option<u64>,
    status: u16,
    bytes: usize,
    /// How often a rejected body arrived that is kept once.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u64>,
    /// Records that are not durable anywhere. The metrics are the other counts.
    #[serde(skip_serializing_if = "metrics::is_zero")]
    lost: usize,
    /// Of a request without [`metrics::TIME_TO_ANSWER`].
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
}

/// The metrics of a request.
fn measured(answer: &Answer, outcome: &BatchOutcome, took: Duration) -> Metrics {
    let mut metrics = Metrics::default();
    if let Some(name) = answer.metric() {
        metrics.count(name, 1);
    }
    metrics.count("Received", outcome.received);
    outcome.count(&mut metrics);
    if answer.unauthenticated().is_none() {
        metrics.milliseconds(metrics::TIME_TO_ANSWER, took);
    }
    metrics
}

impl Parts {
    async fn answer(&self, request: Request, started: Instant) -> (Answer, BatchOutcome) {
        let none = BatchOutcome::default();
        match *request.method() {
            Method::POST => {}
            Method::GET if !query(&request).is_empty() => {}
            Method::GET | Method::HEAD => return (Answer::Checked, none),
            _ => return (Answer::MethodNotAllowed, none),
        }
        let limit = self.config.max_body_bytes;
        if content_bytes(&request) > limit {
            return (Answer::TooLarge { limit }, none);
        }
        let now = time::now();
        let policy = self.policy.current(now).await;
        match policy.sources().check(source_ip(&request), request.headers()) {
            Verdict::Allowed => {}
            Verdict::Reported(address) => self.report(address, now),
            Verdict::Refused => return (Answer::Forbidden, none),
        }
        let takes_form = form::is_known_to(self.receiver.formats);
        let is_in_query = *request.method() == Method::GET;
        let is_unknown_form = !takes_form && (is_in_query || is_form(&request));
        let (method, headers, query, body) = split(request);
        let unverified = Unverified {
            headers: &headers,
            query: &query,
            // A signature of an empty body must not authenticate a query.
            body: if is_in_query { query.as_bytes() } else { &body },
        };
        let refused = |refusal: Refusal| {
            let schemes = policy.www_authenticate();
            (Answer::Unauthorized { refusal, schemes }, none)
        };
        match policy.challenge(&method, unverified) {
            Some(Challenge::Answered(value)) => return (Answer::Challenged(value), none),
            Some(Challenge::Refused(refusal)) => return refused(refusal),
            None => {}
        }
        // Without the secrets: a query with nothing else, or only a bot, is a check.
        let parameters = form::without(&query, policy.secret_parameters());
        if is_in_query && form::without(&parameters, &[url_bot::PARAMETER.to_owned()]).is_empty() {
            return (Answer::Checked, none);
        }
        if is_unknown_form {
            return (Answer::MethodNotAllowed, none);
        }
        match policy.verify(unverified, now) {
            Ok(verified) if is_in_query => {
                let parameters = VerifiedBody::part_of(verified, parameters.into_bytes());
                self.ingest(parameters.verified(), now, started).await
            }
            Ok(verified) => {
                let bot = form::value(&parameters, url_bot::PARAMETER).filter(|bot| url_bot::is_valid(bot));
                self.ingest(verified.with_bot(bot.as_deref()), now, started).await
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// Writes a line for an address that is not on the list, once a day.
    fn report(&self, address: Option<IpAddr>, now: EpochMillis) {
        let function = self.receiver.function;
        match UNLISTED.report(address, now) {
            Some(Report::New) => {
                let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
                tracing::warn!(function, address, "the source address is not on the list");
            }
            Some(Report::Full) => {
                let addresses = unlisted::MOST;
                tracing::warn!(
                    function,
                    addresses,
                    "more source addresses are not on the list; they are not reported today"
                );
            }
            None => {}
        }
    }

    async fn ingest(
        &self,
        verified: Verified<'_>,
        now: EpochMillis,
        started: Instant,
    ) -> (Answer, BatchOutcome) {
        let until = Deadlines {
            store: started + self.config.ack_budget.mul_f64(STORE_SHARE),
            queue: started + self.config.ack_budget,
        };
        let formats = self.receiver.formats;
        let malformed = |why: String| self.reject(verified, now, until, Reason::Malformed, why, 1);
        let decoded = match decode::decode(verified, formats) {
            Ok(decoded) => decoded,
            Err(why) => return malformed(why.to_string()).await,
        };
        let batch = match Batch::parse(decoded.verified(), formats) {
            Ok(batch) => batch,
            Err(why) => return malformed(why.to_string()).await,
        };
        let function = self.receiver.function;
        let outcome = match self.pipeline.ingest(function, &batch, now, until).await {
            Ingested::Batch(outcome) => outcome,
            Ingested::NothingReadable { records, why } => {
                drop(batch);
                return self
                    .reject(verified, now, until, Reason::Unreadable, why, records)
                    .await;
            }
        };
        let answer = if outcome.lost == 0 {
            Answer::Accepted(outcome)
        } else {
            Answer::Unavailable
        };
        (answer, outcome)
    }

    /// Dead-letters a body without any event. Its records count as dead-lettered.
    async fn reject(
        &self,
        verified: Verified<'_>,
        now: EpochMillis,
        until: Deadlines,
        reason: Reason,
        why: String,
        records: usize,
    ) -> (Answer, BatchOutcome) {
        let message = QueueMessage {
            reason,
            detail: why.clone(),
            function: self.receiver.function.to_owned(),
            received_at: now,
            body: verified.to_body().into(),
        };
        let records = records.max(1);
        let received = BatchOutcome {
            received: records,
            ..BatchOutcome::default()
        };
        let (repeated, copies) = match self.pipeline.keep_rejected(&message, until.queue).await {
            Rejected::Kept => (0, 1),
            Rejected::Repeated(copies) => (records, copies),
            Rejected::Lost => {
                let lost = records;
                return (Answer::Unavailable, BatchOutcome { lost, ..received });
            }
        };
        let outcome = BatchOutcome {
            dead_lettered: records,
            repeated,
            ..received
        };
        let answer = Answer::Malformed { why, records, copies };
        (answer, outcome)
    }
}

/// The sender's address, as the platform saw it.
fn source_ip(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

/// The query of the request's URL, as it was sent.
fn query(request: &Request) -> &str {
    let query = request.extensions().get::<RawQuery>();
    query.map_or("", |query| query.0.as_str())
}

/// The bytes of the request's content: its body, or the query of a GET request.
fn content_bytes(request: &Request) -> usize {
    match *request.method() {
        Method::GET => query(request).len(),
        _ => request.body().len(),
    }
}

/// Whether the body has the type of a form and is not JSON: some clients always name this type.
fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.to_str().is_ok_and(form::is_form))
        && !request.body().is_empty()
        && !decode::is_json(request.body())
}

/// Takes method, headers, query and body out, without copying them.
fn split(request: Request) -> (Method, HeaderMap, String, Vec<u8>) {
    let (mut parts, body) = request.into_parts();
    let query = parts.extensions.remove::<RawQuery>().unwrap_or_default().0;
    let bytes = match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    };
    (parts.method, parts.headers, query, bytes)
}
