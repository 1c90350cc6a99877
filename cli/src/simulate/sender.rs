//! Posts bodies as a provider does: signed, several concurrently, with retries after the time in
//! `Retry-After`. Measures every response time.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use webhook_ingest::{
    auth::{Policy, RefreshingSecret},
    event::time,
};

use crate::http_client::{self, HttpClient};

use super::{
    responses::{Outcome, Response, SendResult},
    traffic::Post,
};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum of tries per body.
const TRIES: u32 = 8;
/// Maximum wait between tries, even if `Retry-After` is longer.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Maximum bytes of a response; normal ones have a few hundred.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Posts bodies.
pub(super) struct Sender {
    client: HttpClient,
    policy: RefreshingSecret<Policy>,
}

impl Sender {
    pub(super) fn new(policy: RefreshingSecret<Policy>) -> anyhow::Result<Self> {
        Ok(Self {
            client: http_client::client()?,
            policy,
        })
    }

    /// Checks that a receiver answers HEAD, as senders do before they use an address.
    pub(super) async fn check_receiver(&self, url: &str) -> anyhow::Result<()> {
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(url)
            .body(Full::default())
            .with_context(|| format!("{url} is not a valid address"))?;
        let checked = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        match checked {
            Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
            Ok(Ok(answer)) => bail!("{url} answers {} to HEAD", answer.status()),
            Ok(Err(_)) => bail!("nobody answers at {url}; is `netcore-webhooks serve` running?"),
            Err(_) => bail!("{url} does not answer within {} s", TIMEOUT.as_secs()),
        }
    }

    /// Posts all bodies, `parallel` concurrently, at most `rate` events a second, until `stop` is ready.
    ///
    /// # Errors
    /// If a receiver answers 401, 403 or 404: every other request would also fail.
    pub(super) async fn send(
        &self,
        posts: &[Post],
        urls: &BTreeMap<&'static str, String>,
        pace: (usize, Option<f64>),
        stop: impl Future<Output = ()>,
        posted: impl Fn(usize),
    ) -> anyhow::Result<SendResult> {
        let (parallel, rate) = pace;
        let started = Instant::now();
        let mut before = 0_usize;
        let due = posts.iter().map(|post| {
            let due = rate.map(|rate| started + seconds(before, rate));
            before += post.records;
            (post, due)
        });
        let mut outcomes = futures::stream::iter(due)
            .map(|(post, due)| async move {
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let url = urls.get(post.function).map_or("", String::as_str);
                (post, self.post(post, url).await)
            })
            .buffer_unordered(parallel.max(1));
        let mut sent = SendResult::default();
        let mut stop = pin!(stop);
        loop {
            let next = tokio::select! {
                () = &mut stop => {
                    sent.is_interrupted = true;
                    break;
                }
                next = outcomes.next() => next,
            };
            let Some((post, outcome)) = next else { break };
            let outcome = outcome?;
            sent.add(post, outcome);
            posted(post.records);
        }
        sent.took = started.elapsed();
        sent.latencies.sort_unstable();
        Ok(sent)
    }

    async fn post(&self, post: &Post, url: &str) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut wait = Duration::from_millis(500);
        for tries in 1..=TRIES {
            let started = Instant::now();
            let answer = self.try_once(post, url).await?;
            let again = match answer {
                None => {
                    outcome.uncertain = true;
                    None
                }
                Some(answer) => {
                    outcome.answers.push((answer.status.as_u16(), started.elapsed()));
                    match answer.status {
                        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => bail!(
                            "{url} answers {}: {}",
                            answer.status,
                            String::from_utf8_lossy(&answer.body).trim()
                        ),
                        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                            // The receiver may have stored some records.
                            outcome.uncertain = true;
                            answer.retry_after
                        }
                        _ => {
                            outcome.check(post, &answer);
                            return Ok(outcome);
                        }
                    }
                }
            };
            if tries < TRIES {
                tokio::time::sleep(again.unwrap_or(wait).min(MAX_WAIT)).await;
                wait *= 2;
            }
        }
        outcome.fault = Some(format!(
            "{} did not take a body of {} records in {TRIES} tries",
            post.function, post.records
        ));
        Ok(outcome)
    }

    /// `None` if there was no response.
    async fn try_once(&self, post: &Post, url: &str) -> anyhow::Result<Option<Response>> {
        let now = time::now();
        // Each try has a new signature: an old one may be stale.
        let policy = self.policy.current(now).await;
        let headers = policy.sign(&post.body, now);
        let mut request =
            Request::post(policy.signed_url(url)).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::from(post.body.clone()))
            .context("the request cannot be built")?;
        let answer = tokio::time::timeout(TIMEOUT, async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status();
            let retry_after = answer
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let body = http_body_util::Limited::new(answer.into_body(), MAX_RESPONSE_BYTES);
            let body = body.collect().await.ok()?.to_bytes();
            Some(Response {
                status,
                retry_after,
                body,
            })
        });
        Ok(answer.await.unwrap_or_default())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a wait does not need exact counts")]
fn seconds(events: usize, rate: f64) -> Duration {
    Duration::try_from_secs_f64(events as f64 / rate).unwrap_or(Duration::MAX / 4)
}
