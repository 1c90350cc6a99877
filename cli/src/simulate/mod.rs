//! `simulate`: simulates the providers. Creates messages and their events, posts the events as the
//! providers do, then reads them from the table and compares them with what was sent.

mod account;
mod answers;
mod chance;
mod gateway;
mod happening;
mod life;
mod netcore;
mod options;
mod people;
mod report;
mod sender;
mod traffic;
mod whatsapp;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use webhook_ingest::{
    auth::{Policy, RefreshingSecret},
    event::{EpochMillis, time},
};

pub use account::Found;
pub use answers::{Counts, Sent};
pub use happening::{Envelope, Form, Happening};
pub use life::forms;
pub use options::Options;
pub use report::Report;
pub use traffic::{Expected, Post};

use crate::{
    place::{Needs, Target},
    serve::POLICY,
};
use chance::Chance;
use people::World;
use sender::Sender;
use traffic::Manner;

/// The receivers of the simulation, with their URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    urls: BTreeMap<&'static str, String>,
}

impl Cast {
    /// An event with the function that it is posted to; `None` if no receiver of the cast accepts it.
    fn told(&self, happening: Happening) -> Option<Happening> {
        let takes = |function: &str| self.urls.contains_key(function);
        let function = match happening.form {
            form if takes(form.function) => form.function,
            // `event-webhook` also accepts SMS events.
            netcore::SMS_EVENTS if takes("event-webhook") => "event-webhook",
            _ => return None,
        };
        Some(Happening {
            function,
            ..happening
        })
    }
}

/// The events and requests of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// Each event once, sorted by time.
    pub told: Vec<Happening>,
    /// Requests in the order of sending.
    pub posts: Vec<Post>,
}

impl Play {
    /// Creates the events and requests. They depend only on the options, seed and end.
    ///
    /// # Errors
    /// If an address is invalid, or its function receives no events.
    pub fn write(options: &Options, seed: u64, until: EpochMillis) -> anyhow::Result<Self> {
        let cast = options.cast()?;
        let mut chance = Chance::new(seed, until);
        let world = World::new(until, options.days, options.messages, &mut chance);
        let mut told = life::all(options.messages, options.fallback, &world, &cast, &mut chance);
        ensure!(
            !told.is_empty(),
            "these options produce no events for these addresses"
        );
        told.sort_by_key(|happening| happening.at);
        let manner = Manner {
            batch: options.batch,
            window: options.shuffle,
            duplicates: options.duplicates,
            malformed: options.malformed,
        };
        let posts = traffic::posts(&told, &manner, &mut chance);
        Ok(Self { told, posts })
    }
}

/// A prepared simulation.
pub struct Simulation {
    options: Options,
    seed: u64,
    until: EpochMillis,
    play: Play,
    cast: Cast,
    sender: Sender,
    target: Target,
    began: EpochMillis,
}

impl Simulation {
    /// Creates the events and requests, and checks the table and the receivers.
    ///
    /// # Errors
    /// If a receiver does not answer, or the table or the policy is missing.
    pub async fn prepare(options: Options, data: &Path) -> anyhow::Result<Self> {
        let target = Target::find(data, Needs::Table).await?;
        let sender = Sender::new(policy(options.auth.as_deref(), data, &target).await?)?;
        let cast = options.cast()?;
        for url in cast.urls.values() {
            sender.look(url).await?;
        }
        let began = time::now();
        let seed = options.seed.map_or_else(random, Ok)?;
        let until = options.until()?.unwrap_or(began);
        Ok(Self {
            play: Play::write(&options, seed, until)?,
            options,
            seed,
            until,
            cast,
            sender,
            target,
            began,
        })
    }

    /// Posts all requests.
    ///
    /// # Errors
    /// If a receiver refuses the policy.
    pub async fn send(&self) -> anyhow::Result<Sent> {
        let records: usize = self.play.posts.iter().map(|post| post.records).sum();
        let bar = bar("sending", "records", records);
        let pace = (self.options.parallel, self.options.rate);
        let sent = self
            .sender
            .send(&self.play.posts, &self.cast.urls, pace, |n| bar.inc(n as u64))
            .await;
        bar.finish_and_clear();
        sent
    }

    /// Reads all events from the table and compares them with the sent ones.
    ///
    /// # Errors
    /// If the table does not answer. Differences are not an error; the report lists them.
    pub async fn reconcile(self, sent: Sent) -> anyhow::Result<Report> {
        let told = &self.play.told;
        let may_be_queued = sent.counts.queued > 0 || sent.uncertain > 0;
        let timeout = Duration::from_secs(if may_be_queued { self.options.wait } else { 0 });
        let ids: BTreeSet<&str> = told.iter().map(|h| h.message_id.as_str()).collect();
        let bar = bar("reading back", "messages", ids.len());
        let found = account::reconcile(&self.target, told, self.began, timeout, |n| bar.inc(n as u64)).await;
        bar.finish_and_clear();
        Ok(Report {
            seed: self.seed,
            until: self.until,
            messages: self.options.messages,
            events: told.len(),
            sent,
            found: found?,
            examples: report::examples(told),
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

fn random() -> anyhow::Result<u64> {
    // Short, so that a person can type it.
    getrandom::u64()
        .map(|n| n % 1_000_000)
        .map_err(|e| anyhow::anyhow!("the system's random number generator failed: {e}"))
}

/// A progress bar; visible only on a terminal.
fn bar(what: &'static str, of: &'static str, length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_prefix(what).with_message(of);
    let style =
        ProgressStyle::with_template("{prefix:<12} {bar:40} {human_pos}/{human_len} {msg}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
