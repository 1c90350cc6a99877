//! `erase`: removes every trace of a person from the events table, in both directions. Says first
//! what would go; does it only when told to; keeps a record that holds no number.

mod delete;
mod letters;
mod person;
mod record;
mod search;
mod table;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use webhook_ingest::{config::environment, phone};

pub use letters::Letters;
pub use person::{Person, Why};
pub use record::{Entry, KEY, RECORD};
pub use search::{Trace, Traces};

use crate::place::{Needs, Target};

/// Whose traces, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The number with its country code, however it is written; several times for other numbers or
    /// spellings, such as the national one, of the same person.
    #[arg(long, required = true, value_name = "NUMBER")]
    pub recipient: Vec<String>,
    /// Really do it; without, only say what would be deleted.
    #[arg(long)]
    pub yes: bool,
    /// Search through recipient-index alone instead of reading the whole table: quick and cheap,
    /// but blind to ids and texts of other items that name the person.
    #[arg(long)]
    pub quick: bool,
    /// Delete dead letters that name the person too, whole.
    #[arg(long)]
    pub queues: bool,
    /// Where the record of what was done is kept; default: erasures.jsonl in the data folder.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// What was found, and what became of it.
#[derive(Debug)]
pub struct Report {
    /// Everything of the person.
    pub traces: Traces,
    /// What the queues hold, if they could be looked at.
    pub letters: Option<Letters>,
    /// Whether it was deleted.
    pub done: bool,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// The numbers, masked.
    pub whom: Vec<String>,
    /// The file with the record.
    pub record: PathBuf,
}

impl Report {
    /// Ids of the messages that the events belong to.
    pub fn messages(&self) -> BTreeSet<&str> {
        self.traces.keys().map(|(id, _)| id.as_str()).collect()
    }
}

/// Looks for everything of a person, and deletes it if told to.
///
/// # Errors
/// If it is no number, the table or a queue does not answer, or the record cannot be written.
/// Running the same command again goes on where it ended.
pub async fn run(options: &Options, data: &Path) -> anyhow::Result<Report> {
    let mut person = Person::new(&options.recipient)?;
    let target = Target::find(data, Needs::Table).await?;
    let queues = queues(data, options.queues).await?;
    let bar = bar("reading", search::size(&target).await);
    let traces = search::everything(&target, &mut person, options.quick, &bar).await;
    bar.finish_and_clear();
    let mut report = Report {
        traces: traces?,
        letters: None,
        done: options.yes,
        thorough: !options.quick,
        whom: person
            .numbers
            .iter()
            .map(|n| phone::redact(n).into_owned())
            .collect(),
        record: options.record.clone().unwrap_or_else(|| data.join(RECORD)),
    };
    if options.yes {
        erase(&target, &person, data, &report).await?;
    }
    if let Some(queues) = &queues {
        let delete = options.yes && options.queues;
        report.letters = Some(letters::look(queues, &person, data, delete).await?);
    }
    if options.yes {
        let done = Entry {
            letters: report.letters.as_ref().map_or(0, |letters| letters.deleted),
            ..report.entry(&person, data, report.traces.len())?
        };
        record::write(record::open(&report.record)?, &done)?;
    }
    Ok(report)
}

/// Deletes the events. What was deleted is recorded, also if it was not everything.
async fn erase(target: &Target, person: &Person, data: &Path, report: &Report) -> anyhow::Result<()> {
    // Both before anything is deleted: what cannot be recorded is not done.
    let record = record::open(&report.record)?;
    let entry = report.entry(person, data, 0)?;
    let keys: Vec<(String, String)> = report.traces.keys().cloned().collect();
    let bar = bar("deleting", keys.len() as u64);
    let deleted = delete::all(target, &keys, |n| bar.inc(n as u64)).await;
    let events = usize::try_from(bar.position()).unwrap_or(usize::MAX);
    bar.finish_and_clear();
    if deleted.is_err() {
        let begun = Entry {
            complete: false,
            events,
            ..entry
        };
        record::write(record, &begun)?;
    }
    deleted
}

impl Report {
    fn entry(&self, person: &Person, data: &Path, events: usize) -> anyhow::Result<Entry> {
        let numbers = person.numbers.iter();
        Ok(Entry {
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            recipients: numbers
                .map(|number| record::digest(data, number))
                .collect::<Result<_, _>>()?,
            complete: true,
            thorough: self.thorough,
            events,
            messages: self.messages().len(),
            letters: 0,
        })
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
