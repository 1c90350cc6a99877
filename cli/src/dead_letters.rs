//! `dead-letters`: what needs a person. Looks, shows, exports, sends back, discards; nothing leaves
//! the queue before it is safe elsewhere.

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
use redrive::dead_letters::{DeadLetters, Filter, Found, described};
use webhook_ingest::{
    event::{EpochMillis, time},
    phone,
    queue::message::Reason,
};

/// Which letters.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Only these ids (as `list` prints them; a beginning suffices).
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only letters of this reason.
    #[arg(long, value_parser = reasons())]
    reason: Option<Reason>,
    /// Only letters of this function.
    #[arg(long)]
    function: Option<String>,
    /// Only letters that arrived at least this many hours ago.
    #[arg(long, value_name = "HOURS")]
    older_than: Option<u32>,
    /// Look at no more than this many messages.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
}

fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)).try_map(|word| {
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word);
        reason.ok_or("no such reason")
    })
}

impl From<Which> for Filter {
    fn from(which: Which) -> Self {
        Self {
            ids: which.ids,
            reason: which.reason,
            function: which.function,
            older_than: which.older_than,
            limit: which.limit,
        }
    }
}

/// Result of removing letters from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Written to the file.
    pub written: usize,
    /// Deleted from the queue. Of a letter of which parts are missing nothing is deleted.
    pub deleted: usize,
}

/// One line for a list, numbers of people masked.
pub fn row(found: &Found, now: EpochMillis) -> String {
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(found.sent_at)).unwrap_or_default());
    let (what, function, bytes, detail) = match &found.letter {
        Ok(letter) => (
            letter.reason.as_str(),
            letter.function.as_str(),
            letter.body.len(),
            letter.detail.as_str(),
        ),
        Err(none) => ("foreign", "-", 0, none.why.as_str()),
    };
    let minutes = age.as_secs() / 60;
    let age = format!("{}h{:02}m", minutes / 60, minutes % 60);
    format!(
        "{:<8}  {age:>7}  {what:<10}  {function:<16}  {bytes:>9}  {}",
        found.id.get(..8).unwrap_or(&found.id),
        phone::redact(detail)
    )
}

/// Writes letters to a file, one JSON object a line, and with `remove` deletes each that is on disk.
///
/// # Errors
/// If the file exists or cannot be written; nothing is deleted then.
pub async fn export(
    queue: &DeadLetters,
    letters: Vec<Found>,
    file: &Path,
    remove: bool,
) -> anyhow::Result<Exported> {
    if let Err(error) = write(&letters, file) {
        queue.release(&letters).await;
        return Err(error);
    }
    let written = letters.len();
    let (removed, kept): (Vec<Found>, Vec<Found>) = letters
        .into_iter()
        .partition(|found| remove && !found.is_partial());
    for found in &removed {
        queue.delete(found).await?;
    }
    queue.release(&kept).await;
    Ok(Exported {
        written,
        deleted: removed.len(),
    })
}

/// Deletes letters for good, after writing them to a file of the folder, which is returned.
///
/// # Errors
/// If the file cannot be written; nothing is deleted then.
pub async fn discard(
    queue: &DeadLetters,
    letters: Vec<Found>,
    folder: &Path,
) -> anyhow::Result<(Exported, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("discarded-{}.jsonl", time::now()));
    Ok((export(queue, letters, &file, true).await?, file))
}

fn write(letters: &[Found], file: &Path) -> anyhow::Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        // It holds numbers and texts of people.
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be made (it must not exist yet)", file.display()))?;
    for found in letters {
        writeln!(out, "{}", described(found))?;
    }
    out.sync_all()?;
    Ok(())
}
