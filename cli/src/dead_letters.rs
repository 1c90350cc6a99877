//! `dead-letters`: lists, shows, exports, redrives and discards dead letters. A message is deleted
//! from the queue only after it is stored elsewhere.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
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

/// One line of `list`, with ids of people redacted.
pub fn row(dead_letter: &DeadLetter, now: EpochMillis) -> String {
    let age =
        Duration::from_millis(u64::try_from(now.saturating_sub(dead_letter.sent_at)).unwrap_or_default());
    let (reason, function, bytes, detail) = match &dead_letter.content {
        Content::Message(message) => (
            message.reason.as_str(),
            message.function.as_str(),
            message.body.bytes().len(),
            message.detail.as_str(),
        ),
        Content::Unreadable { why, .. } => ("foreign", "-", 0, why.as_str()),
    };
    let minutes = age.as_secs() / 60;
    let age = format!("{}h{:02}m", minutes / 60, minutes % 60);
    format!(
        "{:<8}  {age:>7}  {reason:<10}  {function:<16}  {bytes:>9}  {}",
        dead_letter.id.get(..8).unwrap_or(&dead_letter.id),
        personal::redact(detail)
    )
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
