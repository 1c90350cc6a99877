//! `listen`: prints the events that a stack stores, and posts them to a URL on this machine.
//!
//! The source is the stream of the events table: it has every stored event once, in the order of each message, also
//! events that arrive late. `day-index` is sorted by the time of the event, so polling it would miss those.

mod event;
mod forward;
mod stream;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use aws_sdk_dynamodbstreams::{Client, types::Record};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use self::{
    event::{Event, Filter},
    forward::{Outcome, Program},
    stream::{Start, Stream},
};
use crate::{
    account::{Failed, Stack, configuration},
    export::Numbers,
    stdout,
    target::{Needs, Target},
};

/// Pause between two reads of all shards.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds in a row in which a shard may fail.
const MAX_FAILURES: u32 = 30;

/// The source, and what to do with its events.
#[derive(Debug, Args)]
pub struct Options {
    /// Stack in AWS; default: the table that the environment names, or the local instance.
    #[arg(long)]
    pub stack: Option<String>,
    /// Region of the stack; default: the one of the environment.
    #[arg(long, requires = "stack")]
    pub region: Option<String>,
    /// Post each event to this URL on this machine.
    #[arg(long, value_name = "URL")]
    pub forward_to: Option<String>,
    /// Only events with this channel, status or tag; of several with one name, one must match.
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Phone numbers and other ids of people.
    #[arg(long, value_enum, default_value_t = Numbers::Masked)]
    pub numbers: Numbers,
    /// Start in the past, at most a day ago: a time such as 2026-11-21T09:20:00Z, or a duration such as 10m.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
    /// Print a JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// Parses a time, or a duration before now.
fn since(text: &str) -> Result<Timestamp, String> {
    since_at(text, Timestamp::now())
}

fn since_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || "expected a time such as 2026-11-21T09:20:00Z, or a duration such as 10m or 2h".to_owned();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    now.checked_sub(duration).map_err(|_| wrong())
}

/// What happened to the events of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Events that were printed.
    pub events: u64,
    /// Events that the program answered with 2xx.
    pub accepted: u64,
    /// Events that it answered otherwise, or not in time.
    pub refused: u64,
    /// Time of the last event that was finished, epoch seconds.
    last: Option<i64>,
}

impl Summary {
    /// A line for people, with the option that continues.
    pub fn line(&self, forwards: bool) -> String {
        let posted = if forwards {
            format!(", {} accepted, {} refused", self.accepted, self.refused)
        } else {
            String::new()
        };
        let last = self.last.and_then(|last| Timestamp::from_second(last).ok());
        let again = last
            .map(|last| format!("; continue with --since {last}"))
            .unwrap_or_default();
        format!("{} events{posted}{again}", self.events)
    }
}

/// Prints and posts events until `stop`.
///
/// # Errors
/// If the stream cannot be read, or nobody listens at the URL for a long time. The summary is still complete.
pub async fn run(
    options: &Options,
    data: &Path,
    summary: &mut Summary,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    let filter = Filter::parse(&options.filter)?;
    let program = options.forward_to.as_deref().map(Program::at).transpose()?;
    let (client, arn) = source(options, data).await?;
    let start = match options.since {
        Some(_) => Start::Oldest,
        None => Start::Now,
    };
    let stream = Stream::open(client, arn, start)
        .await
        .context("the stream of the events table cannot be read")?;
    ready();
    let mut listener = Listener {
        options,
        filter,
        program,
        stream,
        summary,
    };
    tokio::select! {
        ended = listener.listen() => ended,
        () = stop => Ok(()),
    }
}

/// The client and the ARN of the stream.
async fn source(options: &Options, data: &Path) -> anyhow::Result<(Client, String)> {
    if let Some(stack) = &options.stack {
        let config = configuration(options.region.as_deref()).await;
        let arn = Stack::output(&config, stack, "EventsTableStreamArn").await?;
        return Ok((Client::new(&config), arn));
    }
    let target = Target::find(data, Needs::Table).await?;
    let table = &target.storage.events_table;
    let described = target
        .aws
        .dynamodb
        .describe_table()
        .table_name(table)
        .send()
        .await;
    let described = described.map_err(|error| Failed::new("dynamodb:DescribeTable", &error))?;
    let Some(arn) = described.table.and_then(|table| table.latest_stream_arn) else {
        bail!("the table {table} has no stream");
    };
    let mut config = aws_sdk_dynamodbstreams::config::Builder::from(&target.aws.config);
    if let Some(local) = &target.local {
        config = config.endpoint_url(&local.dynamodb);
    }
    Ok((Client::from_conf(config.build()), arn))
}

struct Listener<'l> {
    options: &'l Options,
    filter: Filter,
    program: Option<Program>,
    stream: Stream,
    summary: &'l mut Summary,
}

impl Listener<'_> {
    async fn listen(&mut self) -> anyhow::Result<()> {
        let mut failures = 0;
        loop {
            let mut found = 0;
            let mut failed = None;
            for shard in self.stream.shards() {
                match self.stream.read(&shard).await {
                    Ok(records) => {
                        found += records.len();
                        self.handle_all(records).await?;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            failed = self.stream.follow().await.err().or(failed);
            match failed {
                None => failures = 0,
                Some(error) => {
                    failures += 1;
                    tolerate(failures, error)?;
                }
            }
            if found == 0 {
                sleep(PAUSE).await;
            }
        }
    }

    async fn handle_all(&mut self, records: Vec<Record>) -> anyhow::Result<()> {
        for record in records {
            if let Some(event) = Event::of(record, &self.filter, self.options.numbers) {
                self.handle(&event).await?;
            }
        }
        Ok(())
    }

    async fn handle(&mut self, event: &Event) -> anyhow::Result<()> {
        if self
            .options
            .since
            .is_some_and(|since| event.stored_at < since.as_second())
        {
            return Ok(());
        }
        let outcome = match &self.program {
            Some(program) => Some(program.post(&event.id, &event.fields).await?),
            None => None,
        };
        match &outcome {
            Some(outcome) if outcome.is_accepted() => self.summary.accepted += 1,
            Some(_) => self.summary.refused += 1,
            None => {}
        }
        if self.options.json {
            stdout::print_json_line(&event.fields)?;
        } else {
            let outcome = match outcome {
                Some(Outcome::Answered(status)) => format!("  → {status}"),
                Some(Outcome::Silent) => "  → no answer".to_owned(),
                None => String::new(),
            };
            stdout::print_line(event.line() + &outcome)?;
        }
        self.summary.events += 1;
        self.summary.last = Some(event.stored_at);
        Ok(())
    }
}

/// Gives up if a permission is missing, or after many rounds in which a shard could not be read.
fn tolerate(failures: u32, error: anyhow::Error) -> anyhow::Result<()> {
    let is_forbidden = error.downcast_ref::<Failed>().is_some_and(Failed::is_forbidden);
    if is_forbidden || failures >= MAX_FAILURES {
        return Err(error.context("the stream of the events table cannot be read"));
    }
    if failures == 1 {
        tracing::warn!("{error:#}; trying again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_time_or_a_duration() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T09:20:00Z");
        let since = |text: &str| since_at(text, now);
        assert_eq!(since("2026-11-20T10:00:00Z"), Ok(at("2026-11-20T10:00:00Z")));
        assert_eq!(since("10m"), Ok(at("2026-11-21T09:10:00Z")));
        assert_eq!(since("2h"), Ok(at("2026-11-21T07:20:00Z")));
        for wrong in ["", "yesterday", "10"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_summary_says_how_to_continue() {
        let summary = Summary {
            events: 3,
            accepted: 2,
            refused: 1,
            last: Some(1_795_252_800),
        };
        let line = "3 events, 2 accepted, 1 refused; continue with --since 2026-11-21T09:20:00Z";
        assert_eq!(summary.line(true), line);
        assert_eq!(Summary::default().line(false), "0 events");
    }
}
