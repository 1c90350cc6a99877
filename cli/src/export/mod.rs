//! `export`: writes the events of a range of UTC days to files for analysis, one file a day.
//!
//! A day is read through `day-index`, or several days with a scan of the table. Memory use depends neither on the
//! number of events nor on the size of the table. An interrupted export continues after its last finished day.

mod columns;
mod day_file;
mod folder;
mod index;
mod key;
mod parquet;
mod scan;
mod text;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use futures::{Stream, TryStreamExt as _};
use indicatif::ProgressBar;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use webhook_ingest::{event::time, events_table::item::Item};

pub use self::folder::Day;
use self::{
    columns::Row,
    day_file::DayFile,
    folder::{Folder, Settings},
    index::{Entries, IndexError},
    key::MessageKey,
};
use crate::{
    progress,
    target::{Needs, Target},
};

/// Version of the columns.
const VERSION: u32 = 1;
/// Days of a range: ten years, the longest retention that the list of days must hold.
const MAX_DAYS: usize = 3_660;
/// Days that one scan of the table writes: an open file and a part of [`ROWS_IN_MEMORY`] each.
const DAYS_OF_SCAN: usize = 31;
/// Approximate bytes of rows that wait in memory until they form row groups.
const ROWS_IN_MEMORY: usize = 16 * 1024 * 1024;

/// Format of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet with gzip.
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// A JSON object per line.
    Jsonl,
}

impl Format {
    const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Treatment of phone numbers and other ids of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// As stored.
    Full,
    /// As the dashboard shows events to viewers. `message_key` and `in_reply_to_key` join the events of a message.
    Masked,
}

/// The range, and how to write it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// First UTC day of the events, such as 2026-11-01.
    #[arg(long)]
    pub from: Date,
    /// Last UTC day, included.
    #[arg(long)]
    pub to: Date,
    /// Format of the files.
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub format: Format,
    /// Phone numbers and other ids of people.
    #[arg(long, value_enum, default_value_t = Numbers::Masked)]
    pub numbers: Numbers,
    /// Folder of the files. A further run with the same settings continues in it.
    #[arg(long, value_name = "DIR", default_value = "export")]
    pub output: PathBuf,
    /// Read finished days again, for events that arrived late.
    #[arg(long)]
    pub again: bool,
    /// Scan the table instead of reading day-index: cheaper if the range has more than a tenth of all events.
    #[arg(long)]
    pub scan: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Result of an export.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The folder.
    pub output: PathBuf,
    /// Days that this run wrote.
    pub days: BTreeMap<String, Day>,
    /// Days that an earlier run had finished.
    pub skipped: usize,
    /// Whether the table was scanned.
    pub scanned: bool,
}

/// Writes the days of a range that are not finished.
///
/// # Errors
/// If the range is invalid, the folder has an export with other settings or cannot be written, or the table does not
/// answer. Finished days stay finished; the same command continues.
pub async fn run(options: &Options, data: &Path) -> anyhow::Result<Report> {
    let wanted = days(options.from, options.to)?;
    let target = Target::find(data, Needs::Table).await?;
    let settings = Settings {
        version: VERSION,
        source: source(&target, data),
        format: options.format,
        numbers: options.numbers,
    };
    let folder = Folder::open(&options.output, settings)?;
    let is_finished = |day: &String| folder.finished(day).is_some_and(|day| day.over);
    let missing: Vec<String> = wanted
        .iter()
        .filter(|day| options.again || !is_finished(day))
        .cloned()
        .collect();
    let bar = progress::bar(None, "{human_pos} events written, {msg}");
    let mut export = Export {
        options,
        key: MessageKey::of_folder(data)?,
        report: Report {
            output: options.output.clone(),
            days: BTreeMap::new(),
            skipped: wanted.len() - missing.len(),
            scanned: options.scan,
        },
        target,
        folder,
        bar,
    };
    export.days(&missing).await?;
    export.bar.finish_and_clear();
    Ok(export.report)
}

/// A running export.
struct Export<'e> {
    options: &'e Options,
    target: Target,
    folder: Folder,
    key: MessageKey,
    bar: ProgressBar,
    report: Report,
}

impl Export<'_> {
    async fn days(&mut self, days: &[String]) -> anyhow::Result<()> {
        let mut rest = days;
        while let (false, [day, others @ ..]) = (self.report.scanned, rest) {
            if self.by_index(day).await? {
                rest = others;
            } else {
                self.report.scanned = true;
            }
        }
        for days in rest.chunks(DAYS_OF_SCAN) {
            self.by_scan(days).await?;
        }
        Ok(())
    }

    /// Writes a day; false if the table has no day index.
    async fn by_index(&mut self, day: &str) -> anyhow::Result<bool> {
        let (client, table) = (
            self.target.aws.dynamodb.clone(),
            self.target.storage.events_table.clone(),
        );
        let read_at = Timestamp::now();
        let entries = match Entries::of_day(&client, &table, day).await {
            Ok(entries) => entries,
            Err(IndexError::Missing) => return Ok(false),
            Err(IndexError::Failed(error)) => return Err(error),
        };
        self.write(&[day.to_owned()], read_at, entries.items()).await?;
        Ok(true)
    }

    async fn by_scan(&mut self, days: &[String]) -> anyhow::Result<()> {
        let (client, table) = (
            self.target.aws.dynamodb.clone(),
            self.target.storage.events_table.clone(),
        );
        let bound = |day: Option<&String>| -> anyhow::Result<Date> { Ok(day.context("no day")?.parse()?) };
        let range = [
            start(bound(days.first())?)?,
            start(bound(days.last())?.checked_add(1.day())?)? - 1,
        ];
        let items = scan::items(&client, &table, range);
        self.write(days, Timestamp::now(), items).await
    }

    /// Writes the files of these days from a stream of items. Items of other days are skipped.
    async fn write(
        &mut self,
        days: &[String],
        read_at: Timestamp,
        items: impl Stream<Item = anyhow::Result<Vec<Item>>>,
    ) -> anyhow::Result<()> {
        let memory = ROWS_IN_MEMORY / days.len().max(1);
        let mut files = BTreeMap::new();
        for day in days {
            let file = DayFile::create(self.folder.path(), day, self.options.format, memory)?;
            files.insert(day.clone(), file);
        }
        let mut items = pin!(items);
        while let Some(items) = items.try_next().await? {
            let rows = items
                .iter()
                .filter_map(|item| Row::of(item, self.options.numbers, &self.key));
            let mut rows: Vec<(i64, Row)> = rows.collect();
            // The order of a message's events, and of messages, must not depend on the keys that a masked export hides.
            rows.sort_by_cached_key(|(at, row)| (*at, row.message_key().to_owned()));
            for (at, row) in rows {
                if let Some(file) = files.get_mut(&time::utc_day(at)) {
                    file.push(row)?;
                    self.bar.inc(1);
                }
            }
        }
        for (day, file) in files {
            let written = file.finish()?;
            let end = start(day.parse::<Date>()?.checked_add(1.day())?)?;
            let over = read_at.as_millisecond() >= end;
            let finished = self.folder.add(&day, &written, read_at, over)?;
            self.bar.set_message(format!("{day} is complete"));
            self.report.days.insert(day, finished);
        }
        Ok(())
    }
}

/// Names the table, so that files of two tables are not mixed.
fn source(target: &Target, data: &Path) -> String {
    let table = &target.storage.events_table;
    if target.local.is_none() {
        return table.clone();
    }
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    format!("{table} in {}", data.display())
}

/// The days of a range, `2026-11-21`.
fn days(from: Date, to: Date) -> anyhow::Result<Vec<String>> {
    ensure!(from <= to, "--from is after --to");
    let days: Vec<String> = from
        .series(1.day())
        .take_while(|day| *day <= to)
        .take(MAX_DAYS + 1)
        .map(|day| day.to_string())
        .collect();
    ensure!(days.len() <= MAX_DAYS, "a range has at most {MAX_DAYS} days");
    Ok(days)
}

/// The first epoch millisecond of a UTC day.
fn start(day: Date) -> anyhow::Result<i64> {
    Ok(day.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut events = 0;
        for (name, day) in &self.days {
            let note = if day.over {
                ""
            } else {
                "  the day is not over; the next run reads it again"
            };
            writeln!(
                f,
                "{name}  {:>12} events  {:>12} bytes{note}",
                day.events, day.bytes
            )?;
            events += day.events;
        }
        if self.scanned && !self.days.is_empty() {
            writeln!(f, "read with a scan of the table")?;
        }
        writeln!(
            f,
            "{events} events of {} days written to {}; {} days were finished before",
            self.days.len(),
            self.output.display(),
            self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_days() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(
            days(day("2028-02-28"), day("2028-03-01")).unwrap(),
            ["2028-02-28", "2028-02-29", "2028-03-01"]
        );
        assert!(days(day("2028-03-01"), day("2028-02-28")).is_err());
        assert!(days(day("2000-01-01"), day("2028-02-28")).is_err());
        assert_eq!(start(day("2026-11-21")).unwrap(), 1_795_219_200_000);
    }
}
