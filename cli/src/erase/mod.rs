//! `erase`: removes every trace of a person: events in both directions, letters in the queues, what
//! a local instance keeps on disk. It shows first what it found, deletes only if it is told to, and
//! keeps a record that holds no number.
//!
//! It keeps no list of erased people, because such a list would be personal data. A delivery that
//! comes again after an erasure is therefore stored anew, and erasing again removes it.

mod counters;
mod delete;
mod files;
mod person;
mod queue_messages;
mod record;
mod search;
mod table;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use webhook_ingest::operations::config::environment;

use self::queue_messages::Which;
pub use self::{
    counters::Counters,
    person::{Person, Why},
    queue_messages::FoundMessages,
    record::{Entry, KEY, RECORD, Step},
    search::{Trace, Traces},
};
use crate::place::{Needs, Target};

/// Which person, and how to search.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The number with its country code, in any spelling; several times for other numbers of the
    /// same person, such as the national one.
    #[arg(long, required = true, value_name = "NUMBER")]
    pub recipient: Vec<String>,
    /// Delete; without, only show what would be deleted.
    #[arg(long)]
    pub yes: bool,
    /// Search through recipient-index alone instead of reading the whole table: quick and cheap,
    /// but blind to ids and texts of other items that name the person.
    #[arg(long)]
    pub quick: bool,
    /// Remove the person's records from both queues too. Each look at a message of the retry queue
    /// counts as one of its receives.
    #[arg(long)]
    pub queues: bool,
    /// The file of the record; default: erasures.jsonl in the data folder.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// What was found, and then what was deleted.
#[derive(Debug)]
pub struct Report {
    /// Events of the person.
    pub traces: Traces,
    /// Messages in the dead-letter queue, or why it was not looked at.
    pub dead: Result<FoundMessages, String>,
    /// Messages in the retry queue; none if it was not looked at.
    pub retry: Option<FoundMessages>,
    /// About how many messages wait in the retry queue.
    pub waiting: u64,
    /// Counters, or why they were not looked at.
    pub counters: Result<Counters, String>,
    /// Files in the data folder that name the person.
    pub files: Vec<PathBuf>,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// Whether the queues are to be cleaned.
    pub queues: bool,
    /// Whether it is to be deleted.
    pub yes: bool,
    /// The numbers, redacted.
    pub whom: Vec<String>,
    /// What was deleted, if it was to be.
    pub done: Option<Done>,
}

/// What was deleted.
#[derive(Debug)]
pub struct Done {
    /// Events.
    pub events: usize,
    /// Messages of the dead-letter queue.
    pub dead: FoundMessages,
    /// Messages of the retry queue.
    pub retry: FoundMessages,
    /// Whether nothing is left in the files of a local instance; absent if there are none.
    pub purged: Option<bool>,
    /// The file with the record.
    pub record: PathBuf,
}

impl Report {
    /// Ids of the messages that the events belong to.
    pub fn messages(&self) -> BTreeSet<&str> {
        self.traces.keys().map(|(id, _)| id.as_str()).collect()
    }
}

/// Looks for everything of a person, shows it, and deletes it if told to.
///
/// # Errors
/// If the number is none, a table or a queue does not answer, or the record cannot be written.
/// Nothing is deleted before all was found and shown and the record says that a deletion begins; if
/// the deletion fails, the record says how far it came. Running the same command again continues.
pub async fn run(
    options: &Options,
    data: &Path,
    show: impl FnOnce(&Report) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut person = Person::new(&options.recipient)?;
    let target = Target::find(data, Needs::Table).await?;
    let queues = queues(data, options.queues).await?;
    let mut report = look(options, data, &target, queues.as_ref(), &mut person).await?;
    show(&report)?;
    if options.yes {
        let erasure = Erasure {
            target: &target,
            queues: queues.as_ref().filter(|_| options.queues),
            person: &person,
            data,
        };
        let record = options.record.clone().unwrap_or_else(|| data.join(RECORD));
        report.done = Some(erasure.recorded(&report, record).await?);
    }
    Ok(report)
}

async fn look(
    options: &Options,
    data: &Path,
    target: &Target,
    queues: Option<&Target>,
    person: &mut Person,
) -> anyhow::Result<Report> {
    let bar = bar("reading", search::size(target).await);
    let traces = search::everything(target, person, options.quick, &bar).await;
    bar.finish_and_clear();
    let mut report = Report {
        traces: traces?,
        dead: Err("set RETRY_QUEUE_URL and DEAD_LETTER_QUEUE_URL".to_owned()),
        retry: None,
        waiting: 0,
        counters: Err("set ROLLUPS_TABLE".to_owned()),
        files: files::look(data, person),
        thorough: !options.quick,
        queues: options.queues,
        yes: options.yes,
        whom: person.redacted(),
        done: None,
    };
    if !target.rollups_table.is_empty() {
        let looked = counters::look(target, person).await;
        report.counters = looked.map_err(|error| format!("{error:#}"));
    }
    let Some(queues) = queues else { return Ok(report) };
    let mut letters = FoundMessages::default();
    let looked = queue_messages::look(queues, person, Which::DeadLetters, false, &mut letters).await;
    if options.queues {
        // What is to be cleaned must be seen first.
        looked.context("the dead-letter queue")?;
        report.dead = Ok(letters);
        let mut letters = FoundMessages::default();
        let looked = queue_messages::look(queues, person, Which::Retry, false, &mut letters).await;
        looked.context("the retry queue")?;
        report.retry = Some(letters);
    } else {
        report.dead = looked.map(|()| letters).map_err(|error| format!("{error:#}"));
    }
    if let Ok(depth) = queue_messages::depth(queues, Which::Retry).await {
        report.waiting = depth.visible + depth.hidden;
    }
    Ok(report)
}

/// A deletion.
struct Erasure<'e> {
    target: &'e Target,
    /// If they are to be cleaned.
    queues: Option<&'e Target>,
    person: &'e Person,
    data: &'e Path,
}

impl Erasure<'_> {
    /// Deletes what was found. The record says it before the first deletion, and says after the
    /// last one what was deleted, also if that was not everything.
    async fn recorded(&self, report: &Report, file: PathBuf) -> anyhow::Result<Done> {
        let mut record = record::open(&file)?;
        let counters = report.counters.as_ref().ok().map(|counters| counters.found);
        let found = |letters: Option<&FoundMessages>| letters.map_or(0, |letters| letters.ids.len());
        let begun = Entry {
            thorough: report.thorough,
            events: report.traces.len(),
            messages: report.messages().len(),
            letters: found(report.dead.as_ref().ok()) + found(report.retry.as_ref()),
            counters,
            ..Entry::new(self.data, self.person)?
        };
        record::write(&mut record, &begun)?;
        let mut done = Done {
            events: 0,
            dead: FoundMessages::default(),
            retry: FoundMessages::default(),
            purged: None,
            record: file,
        };
        let result = self.all(report, &mut done).await;
        let letters = done.dead.deleted + done.retry.deleted;
        let ended = Entry {
            at: record::now(),
            step: Step::Ended,
            events: done.events,
            letters,
            complete: result.is_ok()
                && letters >= begun.letters
                && report.dead.as_ref().is_ok_and(|letters| letters.all)
                && report.retry.as_ref().is_none_or(|letters| letters.all)
                && counters == Some(0)
                && done.purged != Some(false),
            failed: result.as_ref().err().map(|(what, _)| *what),
            ..begun
        };
        let written = record::write(&mut record, &ended);
        match result {
            Ok(()) => written.map(|()| done),
            Err((what, error)) => Err(error.context(format!(
                "{what} could not be erased; run the same command again to continue"
            ))),
        }
    }

    /// Deletes one kind of thing after the other, and names what failed.
    async fn all(&self, report: &Report, done: &mut Done) -> Result<(), (&'static str, anyhow::Error)> {
        if let Some(queues) = self.queues {
            for (which, what, letters) in [
                // First what could be stored while the events are deleted.
                (Which::Retry, "the retry queue", &mut done.retry),
                (Which::DeadLetters, "the dead-letter queue", &mut done.dead),
            ] {
                queue_messages::look(queues, self.person, which, true, letters)
                    .await
                    .map_err(|error| (what, error))?;
            }
        }
        let keys: Vec<(String, String)> = report.traces.keys().cloned().collect();
        let bar = bar("deleting", keys.len() as u64);
        let deleted = delete::all(self.target, &keys, |n| bar.inc(n as u64)).await;
        done.events = usize::try_from(bar.position()).unwrap_or(usize::MAX);
        bar.finish_and_clear();
        deleted.map_err(|error| ("the events", error))?;
        // An instance in memory has nothing on disk.
        if let Some(place) = &self.target.local
            && self.data.join("tables.sqlite").exists()
        {
            let purged = place.purge().await.map_err(|error| ("the local files", error))?;
            done.purged = Some(purged);
        }
        Ok(())
    }
}

/// `None` where the environment names a table in AWS and no queues.
async fn queues(data: &Path, needed: bool) -> anyhow::Result<Option<Target>> {
    let named = |name: &str| environment(name).is_some();
    if named("EVENTS_TABLE") && !(named("RETRY_QUEUE_URL") && named("DEAD_LETTER_QUEUE_URL")) {
        ensure!(!needed, "--queues: set RETRY_QUEUE_URL and DEAD_LETTER_QUEUE_URL");
        return Ok(None);
    }
    Target::find(data, Needs::Queues).await.map(Some)
}

/// Drawn on a terminal only.
fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_prefix(what);
    let style = ProgressStyle::with_template("{prefix:<9} {bar:40} {human_pos}/{human_len} events");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
