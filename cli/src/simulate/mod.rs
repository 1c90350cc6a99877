//! `simulate`: simulates the providers. Creates messages and their events, posts the events as the
//! providers do, then reads them from the table and compares them with what was sent.

mod email;
mod event;
mod gateway;
mod interrupted;
mod meta;
mod netcore;
mod options;
mod people;
mod providers;
mod random;
mod rcs_networks;
mod reconciliation;
mod report;
mod responses;
mod sender;
mod sms;
mod summary;
mod traffic;
mod whatsapp;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use webhook_ingest::{
    auth::{Policy, RefreshingSecret},
    event::{EpochMillis, time},
};

pub use event::{Envelope, PostFormat, SimulatedEvent};
pub use interrupted::Interrupted;
pub use options::Options;
pub use providers::formats;
pub use reconciliation::Reconciliation;
pub use report::Report;
pub use responses::{Counts, SendResult};
pub use summary::Summary;
pub use traffic::{Expected, Post};

use crate::{
    private, progress,
    serve::{self, POLICY},
    target::{Needs, Target},
};
use people::World;
use random::Random;
use sender::Sender;
use traffic::TrafficOptions;

/// The receivers of the simulation, with their URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receivers {
    urls: BTreeMap<&'static str, String>,
}

impl Receivers {
    /// An event with the function that it is posted to; `None` if no receiver accepts it.
    fn route(&self, event: SimulatedEvent) -> Option<SimulatedEvent> {
        let takes = |function: &str| self.urls.contains_key(function);
        let function = match event.format {
            format if takes(format.function) => format.function,
            // `event-webhook` also accepts SMS events.
            netcore::SMS_EVENTS if takes("event-webhook") => "event-webhook",
            _ => return None,
        };
        Some(SimulatedEvent { function, ..event })
    }
}

/// The events and requests of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Each event once, sorted by time.
    pub events: Vec<SimulatedEvent>,
    /// Requests in the order of sending.
    pub posts: Vec<Post>,
}

impl Workload {
    /// Creates the events and requests. They depend only on the options, seed and end.
    ///
    /// # Errors
    /// If an address is invalid, or its function receives no events.
    pub fn generate(options: &Options, seed: u64, until: EpochMillis) -> anyhow::Result<Self> {
        let receivers = options.receivers()?;
        let mut random = Random::new(seed, until);
        let world = World::new(until, options.days, options.messages, &mut random);
        let mut events = providers::all(
            options.messages,
            options.fallback,
            &world,
            &receivers,
            &mut random,
        );
        ensure!(
            !events.is_empty(),
            "these options produce no events for these addresses"
        );
        events.sort_by_key(|event| event.at);
        let traffic_options = TrafficOptions {
            batch: options.batch,
            window: options.shuffle,
            duplicates: options.duplicates,
            malformed: options.malformed,
        };
        let posts = traffic::posts(&events, &traffic_options, &mut random);
        Ok(Self { events, posts })
    }
}

/// A prepared simulation.
pub struct Simulation {
    options: Options,
    seed: u64,
    until: EpochMillis,
    workload: Workload,
    receivers: Receivers,
    sender: Sender,
    target: Target,
    began: EpochMillis,
}

impl Simulation {
    /// Creates the events and requests, and checks the table and the receivers.
    ///
    /// # Errors
    /// If a receiver does not answer, or the table or the policy is missing.
    pub async fn prepare(mut options: Options, data: &Path) -> anyhow::Result<Self> {
        if options.url.is_empty() {
            options.url.push(serve::url(data));
        }
        let target = Target::find(data, Needs::Table).await?;
        let sender = Sender::new(policy(options.auth.as_deref(), data, &target).await?)?;
        let receivers = options.receivers()?;
        for url in receivers.urls.values() {
            sender.check_receiver(url).await?;
        }
        let began = time::now();
        let seed = options.seed.map_or_else(random_seed, Ok)?;
        let until = options.until()?.unwrap_or(began);
        Ok(Self {
            workload: Workload::generate(&options, seed, until)?,
            options,
            seed,
            until,
            receivers,
            sender,
            target,
            began,
        })
    }

    /// Posts all requests.
    ///
    /// # Errors
    /// If a receiver refuses the policy.
    pub async fn send(&self) -> anyhow::Result<SendResult> {
        self.send_until(std::future::pending()).await
    }

    /// The report if the simulation ends now.
    pub fn interrupted(&self, phase: &'static str, sent: &SendResult) -> Interrupted {
        Interrupted::new(phase, self.seed, self.until, self.workload.posts.len(), sent)
    }

    /// Posts all requests, or stops when `stop` is ready: requests in progress are then cancelled.
    ///
    /// # Errors
    /// If a receiver refuses the policy.
    pub async fn send_until(&self, stop: impl Future<Output = ()>) -> anyhow::Result<SendResult> {
        let records: usize = self.workload.posts.iter().map(|post| post.records).sum();
        let bar = bar("sending", "records", records);
        let pace = (self.options.parallel, self.options.rate);
        let sent = self
            .sender
            .send(&self.workload.posts, &self.receivers.urls, pace, stop, |n| {
                bar.inc(n as u64);
            })
            .await;
        bar.finish_and_clear();
        sent
    }

    /// Reads all events from the table and compares them with the sent ones.
    ///
    /// # Errors
    /// If the table does not answer. Differences are not an error; the report lists them.
    pub async fn reconcile(self, sent: SendResult) -> anyhow::Result<Report> {
        let events = &self.workload.events;
        let may_be_queued = sent.counts.queued > 0 || sent.uncertain > 0;
        let timeout = Duration::from_secs(if may_be_queued { self.options.wait } else { 0 });
        let ids: BTreeSet<&str> = events.iter().map(|h| h.message_id.as_str()).collect();
        let bar = bar("reading back", "messages", ids.len());
        let found =
            reconciliation::reconcile(&self.target, events, self.began, timeout, |n| bar.inc(n as u64)).await;
        bar.finish_and_clear();
        Ok(Report {
            seed: self.seed,
            until: self.until,
            messages: self.options.messages,
            events: events.len(),
            sent,
            found: found?,
            examples: report::examples(events),
        })
    }
}

async fn policy(
    auth: Option<&str>,
    data: &Path,
    target: &Target,
) -> anyhow::Result<RefreshingSecret<Policy>> {
    let auth = match auth {
        Some(auth) => auth.to_owned(),
        None => std::fs::read_to_string(data.join(POLICY))
            .context("no policy: give --auth, or start `netcore-webhooks serve` once to make one")?,
    };
    Ok(
        RefreshingSecret::<Policy>::start(&auth, Duration::from_mins(5), &target.aws.config, time::now())
            .await?,
    )
}

fn random_seed() -> anyhow::Result<u64> {
    // Short, so that a person can type it.
    Ok(u64::from_le_bytes(private::random()?) % 1_000_000)
}

/// A progress bar; visible only on a terminal.
fn bar(what: &'static str, of: &'static str, length: usize) -> ProgressBar {
    let template = "{prefix:<12} {bar:40} {human_pos}/{human_len} {msg}, {eta} left";
    progress::bar(Some(length as u64), template)
        .with_prefix(what)
        .with_message(of)
}
