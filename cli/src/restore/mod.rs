//! `restore`: copies the events of a table that DynamoDB restored into the stack's events table, and counts again.
//!
//! Point-in-time recovery always makes a new table. Only missing events are written, each with a conditional put:
//! `BatchWriteItem` would overwrite events, and the error of an `INSERT` statement does not contain the stored item.
//! Events of erased people, expired events and the markers of rejected bodies are left out. Counters, links and
//! lookups are in another table; a rebuild derives them from the events.

mod copy;
mod not_copied;
mod pace;
mod people;
mod report;
mod state;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::{
    Client,
    config::retry::RetryConfig,
    error::SdkError,
    types::{KeySchemaElement, TableDescription},
};
use clap::Args;
use webhook_ingest::events_table::item::{MESSAGE_ID, STATUS_KEY};

pub use self::report::{Counters, Report};
use self::{
    copy::Copier,
    not_copied::NotCopied,
    pace::{Pace, Persistent},
    people::Erased,
    state::{Job, State},
};
use crate::{
    counting::Counting,
    progress,
    target::{Needs, Target},
};

/// The tables, and how to copy.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Table to read: the one that DynamoDB restored.
    #[arg(long, value_name = "TABLE")]
    pub from: String,
    /// Table to write to; default: the stack's events table. The counters are counted again only for that table.
    #[arg(long, value_name = "TABLE")]
    pub to: Option<String>,
    /// Maximum of the table's write units per second. An event takes one for each KB. Each index takes about as many,
    /// and the receivers need their share.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub write_units: u32,
    /// Record of erasures; default: erasures.jsonl in the data folder. Events that these people had before their
    /// erasure are left out. The data folder must contain erasure-key.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// File with people whose events are left out, one per line, in the spellings of `erase --recipient`.
    #[arg(long, value_name = "FILE")]
    pub except_people: Option<PathBuf>,
    /// Confirm that nobody was erased since the restored state, if there is no record.
    #[arg(long, conflicts_with_all = ["record", "except_people"])]
    pub nobody_erased: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Copies what is missing, and then counts again. The same command continues an interrupted run.
///
/// # Errors
/// If a table has other keys or does not answer for five minutes, or nothing says who was erased. What was
/// copied stays; run the same command again to continue.
pub async fn run(options: &Options, data: &Path) -> anyhow::Result<Report> {
    let needs = if options.to.is_some() {
        Needs::Table
    } else {
        Needs::Counters
    };
    let target = Target::find(data, needs).await?;
    let to = options
        .to
        .clone()
        .unwrap_or_else(|| target.storage.events_table.clone());
    ensure!(
        options.from != to,
        "--from and the table to write to are the same: {to}"
    );
    // Without the SDK's retries, so that every throttle is counted.
    let once = RetryConfig::disabled();
    let client = Client::from_conf(
        target
            .aws
            .dynamodb
            .config()
            .to_builder()
            .retry_config(once)
            .build(),
    );
    let source = described(&target.aws.dynamodb, &options.from).await?;
    described(&target.aws.dynamodb, &to).await?;
    let counting = if to == target.storage.events_table {
        Some(Counting::prepare(&target)?)
    } else {
        None
    };
    let erased = Erased::read(options, data)?;
    let job = Job {
        from: options.from.clone(),
        from_id: source.table_id,
        to: to.clone(),
    };
    let state = State::open(data, job)?;
    let bar = progress::bar(None, "{prefix}: {human_pos} items read");
    let copier = Copier {
        source: Persistent::new(client.clone(), options.from.clone()),
        target: Persistent::new(client, to.clone()),
        pace: Pace::new(options.write_units),
        not_copied: NotCopied::open(data, state.is_resumed)?,
        bar,
    };
    if !state.is_copied() {
        let people = copier.find_people(&erased).await?;
        copier.copy(&people, &state).await?;
    }
    copier.bar.finish_and_clear();
    let counters = match (counting, state.copied()) {
        (None, _) => Counters::OtherTable,
        (Some(_), None) => Counters::Unchanged,
        (Some(counting), arrivals) => {
            let rebuilt = counting.run(arrivals).await.context(
                "the events are copied, but they could not be counted; run the same command again to count them",
            )?;
            Counters::Rebuilt {
                events: rebuilt.events,
            }
        }
    };
    let report = Report::new(&state, counters, erased.source(), copier.not_copied.written());
    state.remove()?;
    Ok(report)
}

/// A table with the keys of an events table.
async fn described(client: &Client, table: &str) -> anyhow::Result<TableDescription> {
    let answer = client.describe_table().table_name(table).send().await;
    let described = answer
        .map_err(SdkError::into_service_error)
        .with_context(|| format!("the table {table} cannot be described"))?
        .table
        .with_context(|| format!("the table {table} has no description"))?;
    let keys: Vec<&str> = described
        .key_schema()
        .iter()
        .map(KeySchemaElement::attribute_name)
        .collect();
    ensure!(
        keys == [MESSAGE_ID, STATUS_KEY],
        "{table} is not an events table: its keys are {}, not {MESSAGE_ID} and {STATUS_KEY}",
        keys.join(" and ")
    );
    Ok(described)
}
