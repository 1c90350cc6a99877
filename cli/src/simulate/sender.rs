//! Posts like a provider: signed, several at once, again after a 503 when it is told to, and with
//! a clock on every answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use webhook_ingest::{
    auth::{Live, Policy},
    time,
};

use super::traffic::{Expected, Post};

/// What a provider waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a body is sent before it is given up.
const TRIES: u32 = 8;
/// A sender that is told to wait longer than this comes earlier.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// An answer is some hundred bytes long.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The counts of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Records in the bodies.
    pub received: usize,
    /// Stored now.
    pub stored: usize,
    /// Stored before.
    pub duplicates: usize,
    /// In the retry queue.
    pub queued: usize,
    /// In the dead-letter queue.
    pub dead_lettered: usize,
}

/// How the posting went.
#[derive(Debug, Default)]
pub struct Sent {
    /// The sums of all answers.
    pub counts: Counts,
    /// Requests by function and status code.
    pub answers: BTreeMap<(&'static str, u16), usize>,
    /// Records of bodies that were sent again because nothing sure was known of them.
    pub uncertain: usize,
    /// The time to each answer, sorted.
    pub latencies: Vec<Duration>,
    /// Answers that should have been others.
    pub faults: Vec<String>,
    /// From the first request to the last answer.
    pub took: Duration,
}

struct Try {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

/// What became of one body.
#[derive(Default)]
struct Outcome {
    counts: Counts,
    answers: Vec<(u16, Duration)>,
    uncertain: bool,
    fault: Option<String>,
}

/// Posts bodies.
pub(super) struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    policy: Live<Policy>,
}

impl Sender {
    pub(super) fn new(policy: Live<Policy>) -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .context("this machine has no certificates to know a server by")?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            policy,
        })
    }

    /// Looks whether somebody answers at an address, as senders do before they use it.
    pub(super) async fn look(&self, url: &str) -> anyhow::Result<()> {
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(url)
            .body(Full::default())
            .with_context(|| format!("{url} is no address"))?;
        let looked = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        match looked {
            Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
            Ok(Ok(answer)) => bail!("{url} answers {} to a look at it", answer.status()),
            Ok(Err(_)) => bail!("nobody answers at {url}; is `netcore-webhooks serve` running?"),
            Err(_) => bail!("{url} does not answer within {} s", PATIENCE.as_secs()),
        }
    }

    /// Posts all bodies, `parallel` at once, not faster than `rate` events a second.
    ///
    /// # Errors
    /// If the policy is not the receiver's: nothing else would be said a thousand times.
    pub(super) async fn send(
        &self,
        posts: &[Post],
        urls: &BTreeMap<&'static str, String>,
        pace: (usize, Option<f64>),
        posted: impl Fn(usize),
    ) -> anyhow::Result<Sent> {
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
        let mut sent = Sent::default();
        while let Some((post, outcome)) = outcomes.next().await {
            let outcome = outcome?;
            sent.note(post, outcome);
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
            let answer = self.once(post, url).await?;
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
                            // Some of it may be stored all the same.
                            outcome.uncertain = true;
                            answer.retry_after
                        }
                        _ => {
                            outcome.judge(post, &answer);
                            return Ok(outcome);
                        }
                    }
                }
            };
            if tries < TRIES {
                tokio::time::sleep(again.unwrap_or(wait).min(LONGEST_WAIT)).await;
                wait *= 2;
            }
        }
        outcome.fault = Some(format!(
            "{} did not take a body of {} records in {TRIES} tries",
            post.function, post.records
        ));
        Ok(outcome)
    }

    /// `None` if there was no answer.
    async fn once(&self, post: &Post, url: &str) -> anyhow::Result<Option<Try>> {
        let now = time::now();
        // Signed anew for every try: a signature may grow stale.
        let headers = self.policy.current(now).await.sign(&post.body, now);
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::from(post.body.clone()))
            .context("the request cannot be built")?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status();
            let retry_after = answer
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let body = http_body_util::Limited::new(answer.into_body(), LONGEST_ANSWER);
            let body = body.collect().await.ok()?.to_bytes();
            Some(Try {
                status,
                retry_after,
                body,
            })
        });
        Ok(answer.await.unwrap_or_default())
    }
}

impl Outcome {
    /// Holds an answer against what the body must be answered.
    fn judge(&mut self, post: &Post, answer: &Try) {
        let counts = serde_json::from_slice::<Counts>(&answer.body).ok();
        match (answer.status, post.expected, counts) {
            (StatusCode::BAD_REQUEST, Expected::Rejected, _) => {}
            (StatusCode::OK, Expected::Accepted { broken }, Some(counts)) => {
                let ways = counts.stored + counts.duplicates + counts.queued + counts.dead_lettered;
                if counts.received != post.records || ways != post.records || counts.dead_lettered != broken {
                    self.fault = Some(format!(
                        "{} answered {} for {} records, {broken} of them broken",
                        post.function,
                        String::from_utf8_lossy(&answer.body),
                        post.records
                    ));
                }
                self.counts = counts;
            }
            (status, expected, _) => {
                self.fault = Some(format!(
                    "{} answered {status} for a body of {} records that is to be {}",
                    post.function,
                    post.records,
                    match expected {
                        Expected::Accepted { .. } => "accepted",
                        Expected::Rejected => "rejected",
                    }
                ));
            }
        }
    }
}

impl Sent {
    fn note(&mut self, post: &Post, outcome: Outcome) {
        let all = &mut self.counts;
        let new = outcome.counts;
        all.received += new.received;
        all.stored += new.stored;
        all.duplicates += new.duplicates;
        all.queued += new.queued;
        all.dead_lettered += new.dead_lettered;
        for (status, took) in outcome.answers {
            *self.answers.entry((post.function, status)).or_default() += 1;
            self.latencies.push(took);
        }
        if outcome.uncertain {
            self.uncertain += post.records;
        }
        self.faults.extend(outcome.fault);
    }

    /// The time within which this share of the answers came.
    pub fn within(&self, percent: usize) -> Duration {
        let place = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time to wait, not an account")]
fn seconds(events: usize, rate: f64) -> Duration {
    Duration::try_from_secs_f64(events as f64 / rate).unwrap_or(Duration::MAX / 4)
}
