//! `dead-letters`: lists, shows, exports, redrives and discards dead letters. A message is deleted
//! from the queue only after it is stored elsewhere.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::Serialize;
use webhook_ingest::{
    dead_letters::{Content, DeadLetter, DeadLetters, Filter},
    event::{EpochMillis, time},
    personal,
    queue::message::Reason,
};

/// Selects dead letters.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Only these ids, as `list` prints them; a prefix is enough.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only dead letters with this reason.
    #[arg(long, value_parser = reasons())]
    reason: Option<Reason>,
    /// Only dead letters of this function.
    #[arg(long)]
    function: Option<String>,
    /// Only dead letters that arrived at least this many hours ago.
    #[arg(long, value_name = "HOURS")]
    older_than: Option<u32>,
    /// Read at most this many messages.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
}

fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)).try_map(|word| {
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word);
        reason.ok_or("unknown reason")
    })
}

impl From<Selection> for Filter {
    fn from(selection: Selection) -> Self {
        Self {
            ids: selection.ids,
            reason: selection.reason,
            function: selection.function,
            older_than: selection.older_than,
            limit: selection.limit,
        }
    }
}

/// Result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Dead letters written to the file.
    pub written: usize,
    /// Dead letters deleted from the queue. A dead letter with missing parts is not deleted.
    pub deleted: usize,
}

/// One line of `list`, with ids of people redacted. docs/reference.md describes its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id, of which a prefix selects it.
    pub id: String,
    /// When it was sent to the queue, epoch milliseconds.
    pub sent_at: EpochMillis,
    /// The reason, or `foreign` for a message that no function of this version wrote.
    pub reason: &'static str,
    /// The function that sent it; `None` for a foreign one.
    pub function: Option<String>,
    /// Size of the body; 0 for a foreign one.
    pub bytes: usize,
    /// What is wrong.
    pub detail: String,
}

impl Row {
    /// The row of a dead letter.
    pub fn of(dead_letter: &DeadLetter) -> Self {
        let (reason, function, bytes, detail) = match &dead_letter.content {
            Content::Message(message) => (
                message.reason.as_str(),
                Some(message.function.clone()),
                message.body.bytes().len(),
                message.detail.as_str(),
            ),
            Content::Unreadable { why, .. } => ("foreign", None, 0, why.as_str()),
        };
        Self {
            id: dead_letter.id.clone(),
            sent_at: dead_letter.sent_at,
            reason,
            function,
            bytes,
            detail: personal::redact(detail).into_owned(),
        }
    }

    /// The row as a line of the table.
    pub fn line(&self, now: EpochMillis) -> String {
        let age = now.saturating_sub(self.sent_at);
        let minutes = u64::try_from(age).unwrap_or_default() / 60_000;
        let age = format!("{}h{:02}m", minutes / 60, minutes % 60);
        format!(
            "{:<8}  {age:>7}  {:<10}  {:<16}  {:>9}  {}",
            self.id.get(..8).unwrap_or(&self.id),
            self.reason,
            self.function.as_deref().unwrap_or("-"),
            self.bytes,
            self.detail
        )
    }
}

/// Writes dead letters to a file, one JSON object per line. With `remove`, then deletes them from the queue.
///
/// # Errors
/// If the file exists or cannot be written; in this case nothing is deleted.
pub async fn export(
    queue: &DeadLetters,
    dead_letters: Vec<DeadLetter>,
    file: &Path,
    remove: bool,
) -> anyhow::Result<Exported> {
    if let Err(error) = write(&dead_letters, file) {
        queue.release(&dead_letters).await;
        return Err(error);
    }
    let written = dead_letters.len();
    let (removed, kept): (Vec<DeadLetter>, Vec<DeadLetter>) = dead_letters
        .into_iter()
        .partition(|dead_letter| remove && !dead_letter.is_partial());
    for dead_letter in &removed {
        queue.delete(dead_letter).await?;
    }
    queue.release(&kept).await;
    Ok(Exported {
        written,
        deleted: removed.len(),
    })
}

/// Deletes dead letters, after writing them to a new file in `folder`. Returns the file's path.
///
/// # Errors
/// If the file cannot be written; in this case nothing is deleted.
pub async fn discard(
    queue: &DeadLetters,
    dead_letters: Vec<DeadLetter>,
    folder: &Path,
) -> anyhow::Result<(Exported, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("discarded-{}.jsonl", time::now()));
    Ok((export(queue, dead_letters, &file, true).await?, file))
}

fn write(dead_letters: &[DeadLetter], file: &Path) -> anyhow::Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        // It contains personal data.
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be created (it must not exist yet)", file.display()))?;
    for dead_letter in dead_letters {
        writeln!(out, "{}", dead_letter.to_json())?;
    }
    out.sync_all()?;
    Ok(())
}
