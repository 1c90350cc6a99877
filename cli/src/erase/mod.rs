//! `erase`: removes all data of a person: events in both directions, records in queue messages, links
//! between the person's ids, and deleted content in the files of a local instance. It first prints what it found, deletes only
//! with `--yes`, and writes a record without ids of people.
//!
//! It keeps no list of erased people, because such a list would be personal data. A delivery that is
//! repeated after an erasure is therefore stored again, and the next erasure removes it.

mod counters;
mod delete;
mod erasures;
mod files;
mod json;
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
use indicatif::ProgressBar;
use webhook_ingest::{links, operations::config::environment};

pub(crate) use self::person::{AnyOf, identities, is_shared};
use self::queue_messages::Queue;
pub use self::{
    counters::{Counters, Link},
    erasures::Erasures,
    person::{MatchReason, Person},
    queue_messages::FoundMessages,
    record::{Entry, KEY, RECORD, Step},
    search::{Trace, Traces},
};
use crate::{
    progress,
    target::{Needs, Target},
};

/// The person, and how to search.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of a command")]
pub struct Options {
    /// Phone number with country code, in any spelling; or `whatsapp:USER-ID`,
    /// `mailto:ADDRESS`, or only the user id or address. Repeat the option for other ids of the same person, such as the
    /// number without country code.
    #[arg(long, required = true, value_name = "PERSON")]
    pub recipient: Vec<String>,
    /// Erase only the given ids, and not up to 16 ids that events link to them.
    #[arg(long)]
    pub exact: bool,
    /// Delete; without this option, only print what would be deleted.
    #[arg(long)]
    pub yes: bool,
    /// Search only recipient-index instead of reading the whole table: fast and cheap, but it does
    /// not find ids and texts of other items that name the person.
    #[arg(long)]
    pub quick: bool,
    /// Also remove the person's records from both queues. Reading a message of the retry queue counts
    /// as one of its receives.
    #[arg(long)]
    pub queues: bool,
    /// File for the record; default: erasures.jsonl in the data folder.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print JSON: a line with what was found, and with --yes a line with what was deleted.
    #[arg(long)]
    pub json: bool,
}

/// Result of the search and of the deletion.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Report {
    /// Events of the person.
    pub traces: Traces,
    /// Messages in the dead-letter queue, or why the queue was not read.
    pub dead: Result<FoundMessages, String>,
    /// Messages in the retry queue; `None` if the queue was not read.
    pub retry: Option<FoundMessages>,
    /// Approximate number of messages in the retry queue.
    pub waiting: u64,
    /// Counters, or why they were not read.
    pub counters: Result<Counters, String>,
    /// Files in the data folder that name the person.
    pub files: Vec<PathBuf>,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// Whether `--queues` is set.
    pub queues: bool,
    /// Whether `--yes` is set.
    pub yes: bool,
    /// The ids, redacted: the given ones and those that are linked to them.
    pub numbers: Vec<String>,
    /// Whether further ids are linked to the person, which are not erased.
    pub has_more: bool,
    /// `ANALYTICS_BUCKET`: the bucket with copies of the events, which are not deleted.
    pub analytics: Option<String>,
    /// Result of the deletion; `None` without `--yes`.
    pub done: Option<Done>,
}

/// Result of a deletion.
#[derive(Debug)]
pub struct Done {
    /// Deleted events.
    pub events: usize,
    /// Messages of the dead-letter queue.
    pub dead: FoundMessages,
    /// Messages of the retry queue.
    pub retry: FoundMessages,
    /// Whether the files of a local instance are free of deleted content; `None` if there are no files.
    pub purged: Option<bool>,
    /// File of the record.
    pub record: PathBuf,
}

impl Report {
    /// Ids of the messages that the events belong to.
    pub fn messages(&self) -> BTreeSet<&str> {
        self.traces.keys().map(|(id, _)| id.as_str()).collect()
    }
}

/// Finds all data of a person, shows it, and deletes it with `--yes`.
///
/// # Errors
/// If an id is invalid, a table or a queue does not answer, or the record cannot be written.
/// The deletion starts only after everything is found and shown and the entry `begun` is in the
/// record. If it fails, the entry `ended` contains what was deleted. Run the same command again to
/// continue.
pub async fn run(
    options: &Options,
    data: &Path,
    show: impl FnOnce(&Report) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut person = Person::new(&options.recipient)?;
    let target = Target::find(data, Needs::Table).await?;
    let queues = queues(data, options.queues).await?;
    let mut report = find(options, data, &target, queues.as_ref(), &mut person).await?;
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

async fn find(
    options: &Options,
    data: &Path,
    target: &Target,
    queues: Option<&Target>,
    person: &mut Person,
) -> anyhow::Result<Report> {
    if !options.exact && !target.rollups_table.is_empty() {
        let ids = person.all_ids();
        let linked = links::all(&target.aws.dynamodb, &target.rollups_table, &ids).await;
        person.add_linked(linked.context("the counters' table, which links the ids of a person")?);
    }
    let bar = bar("reading", search::size(target).await);
    let traces = search::events(target, person, options, &bar).await;
    bar.finish_and_clear();
    let mut report = Report {
        traces: traces?,
        dead: Err("set RETRY_QUEUE_URL and DEAD_LETTER_QUEUE_URL".to_owned()),
        retry: None,
        waiting: 0,
        counters: Err("set ROLLUPS_TABLE".to_owned()),
        files: files::find(data, person),
        thorough: !options.quick,
        queues: options.queues,
        yes: options.yes,
        numbers: person.redacted(),
        has_more: person.has_more(),
        analytics: environment("ANALYTICS_BUCKET"),
        done: None,
    };
    if !target.rollups_table.is_empty() {
        let searched = counters::find(target, person).await;
        report.counters = searched.map_err(|error| format!("{error:#}"));
    }
    let Some(queues) = queues else { return Ok(report) };
    let mut dead = FoundMessages::default();
    let searched = queue_messages::find(queues, person, Queue::DeadLetters, false, &mut dead).await;
    if options.queues {
        // A queue must be readable before its messages are deleted.
        searched.context("the dead-letter queue")?;
        report.dead = Ok(dead);
        let mut retry = FoundMessages::default();
        let searched = queue_messages::find(queues, person, Queue::Retry, false, &mut retry).await;
        searched.context("the retry queue")?;
        report.retry = Some(retry);
    } else {
        report.dead = searched.map(|()| dead).map_err(|error| format!("{error:#}"));
    }
    if let Ok(depth) = queue_messages::depth(queues, Queue::Retry).await {
        report.waiting = depth.visible + depth.hidden;
    }
    Ok(report)
}

/// A deletion.
struct Erasure<'e> {
    target: &'e Target,
    /// `None` without `--queues`.
    queues: Option<&'e Target>,
    person: &'e Person,
    data: &'e Path,
}

impl Erasure<'_> {
    /// Deletes what was found. Writes the entry `begun` before the first deletion, and the entry
    /// `ended` with the result after the last one, even if the deletion failed.
    async fn recorded(&self, report: &Report, file: PathBuf) -> anyhow::Result<Done> {
        let mut record = record::open(&file)?;
        let counters = report.counters.as_ref().ok().map(|counters| counters.found);
        let found = |messages: Option<&FoundMessages>| messages.map_or(0, |messages| messages.ids.len());
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
        let deleted_messages = done.dead.deleted + done.retry.deleted;
        let ended = Entry {
            at: record::now(),
            step: Step::Ended,
            events: done.events,
            letters: deleted_messages,
            complete: result.is_ok()
                && deleted_messages >= begun.letters
                && report.dead.as_ref().is_ok_and(|messages| messages.all)
                && report.retry.as_ref().is_none_or(|messages| messages.all)
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

    /// Deletes queue messages, events and local traces in this order. An error names the part that failed.
    async fn all(&self, report: &Report, done: &mut Done) -> Result<(), (&'static str, anyhow::Error)> {
        if let Some(queues) = self.queues {
            for (queue, what, found) in [
                // First, because `redrive` could store these messages while the events are deleted.
                (Queue::Retry, "the retry queue", &mut done.retry),
                (Queue::DeadLetters, "the dead-letter queue", &mut done.dead),
            ] {
                queue_messages::find(queues, self.person, queue, true, found)
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
        // Last: another run needs them if this one fails.
        if let Ok(counters) = &report.counters {
            counters::unlink(self.target, &counters.linked)
                .await
                .map_err(|error| ("the links", error))?;
        }
        // `serve --memory` has no files.
        if let Some(instance) = &self.target.local
            && self.data.join("tables.sqlite").exists()
        {
            let purged = instance
                .purge()
                .await
                .map_err(|error| ("the local files", error))?;
            done.purged = Some(purged);
        }
        Ok(())
    }
}

/// `None` if the environment names a table in AWS and no queues.
async fn queues(data: &Path, needed: bool) -> anyhow::Result<Option<Target>> {
    let named = |name: &str| environment(name).is_some();
    if named("EVENTS_TABLE") && !(named("RETRY_QUEUE_URL") && named("DEAD_LETTER_QUEUE_URL")) {
        ensure!(!needed, "--queues: set RETRY_QUEUE_URL and DEAD_LETTER_QUEUE_URL");
        return Ok(None);
    }
    Target::find(data, Needs::Queues).await.map(Some)
}

/// A progress bar; visible only on a terminal.
fn bar(what: &'static str, length: u64) -> ProgressBar {
    progress::bar(
        Some(length),
        "{prefix:<9} {bar:40} {human_pos}/{human_len} events",
    )
    .with_prefix(what)
}
