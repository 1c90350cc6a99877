//! A file with the items that were not copied although they are wanted: those that the target has with other content,
//! and those that it refused. An operator compares them.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use serde_json::json;
use webhook_ingest::{
    events_table::{item::Item, read::event_key},
    operations::dynamodb::Unstorable,
};

use crate::private;

/// File in the data folder.
const FILE: &str = "restore-not-copied.jsonl";
/// Maximum of lines that a run writes; the report counts all.
const MAX_LINES: usize = 10_000;

/// Why an item was not copied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    /// The target has an item with this key and other content.
    Different,
    /// The target can never store the item.
    Refused(Unstorable),
}

/// The file. Created with its first line.
pub(super) struct NotCopied {
    path: PathBuf,
    lines: Mutex<(Option<File>, usize)>,
}

impl NotCopied {
    /// Removes the file of an earlier restore, unless this one continues it.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub(super) fn open(data: &Path, is_resumed: bool) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        if !is_resumed && path.exists() {
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        Ok(Self {
            path,
            lines: Mutex::new((None, 0)),
        })
    }

    /// Appends the key of an item, unless the run has written [`MAX_LINES`].
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, item: &Item, reason: Reason) -> anyhow::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, written) = &mut *lines;
        if *written == MAX_LINES {
            return Ok(());
        }
        let why = match reason {
            Reason::Different => "the table has this event with other content".to_owned(),
            Reason::Refused(why) => why.to_string(),
        };
        let (message_id, status_key) = event_key(item).unwrap_or_default();
        let line = json!({"message_id": message_id, "status_key": status_key, "why": why});
        let mut append = || -> std::io::Result<()> {
            let file = match file {
                Some(file) => file,
                None => file.insert(private::append(&self.path)?),
            };
            writeln!(file, "{line}")
        };
        append().with_context(|| format!("{} cannot be written", self.path.display()))?;
        *written += 1;
        Ok(())
    }

    /// The file, if this run or the one that it continues wrote it.
    pub(super) fn written(&self) -> Option<PathBuf> {
        self.path.exists().then(|| self.path.clone())
    }
}
