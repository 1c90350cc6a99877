//! The record of erasures: evidence that a given number was erased. It contains no id of a person.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;

use super::person::Person;
use crate::private;

/// File of the record in the data folder.
pub const RECORD: &str = "erasures.jsonl";
/// File in the data folder with the key of the digests.
pub const KEY: &str = "erasure-key";

/// Phase of a run.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Written before the first deletion. Counts what was found.
    Begun,
    /// Written at the end, even if the run failed. Counts what was deleted.
    Ended,
}

/// One line of the record. A run writes two. `begun` without `ended` means that the run was killed.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Time, ISO 8601.
    pub at: String,
    /// Random id, the same in both lines of a run.
    pub run: String,
    /// Phase of the run.
    pub step: Step,
    /// HMAC-SHA256 of each number's digits, or of another id as stored, linked ids included, with the key in the data folder, hex.
    pub recipients: Vec<String>,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// Events.
    pub events: usize,
    /// Message ids of the events that were found.
    pub messages: usize,
    /// Messages of the dead-letter queue and the retry queue.
    pub letters: usize,
    /// Items of the counters' table that name the person and stay; `null` if the table was not read.
    pub counters: Option<usize>,
    /// Whether everything was read and nothing of the person is left, queue messages and counters
    /// included.
    pub complete: bool,
    /// The part that failed.
    pub failed: Option<&'static str>,
}

impl Entry {
    /// The entry `begun`, with all counts 0.
    pub(super) fn new(data: &Path, person: &Person) -> anyhow::Result<Self> {
        let key = key(data)?;
        Ok(Self {
            at: now(),
            run: hex::encode(private::random::<8>()?),
            step: Step::Begun,
            recipients: person
                .all_ids()
                .iter()
                .map(|id| digest(&key, id))
                .collect::<Result<_, _>>()?,
            thorough: false,
            events: 0,
            messages: 0,
            letters: 0,
            counters: None,
            complete: false,
            failed: None,
        })
    }
}

/// Current time, ISO 8601.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Keyed digest of an id. It stays the same as long as the key is kept.
pub(super) fn digest(key: &[u8], id: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).context("the key has an invalid length")?;
    mac.update(id.as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// The key of an earlier erasure; `None` if there was none.
pub(super) fn kept_key(data: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let file = data.join(KEY);
    let Ok(kept) = fs::read_to_string(&file) else {
        return Ok(None);
    };
    let key = hex::decode(kept.trim()).with_context(|| format!("{} is damaged", file.display()))?;
    ensure!(key.len() >= 16, "{} is damaged", file.display());
    Ok(Some(key))
}

/// A digest without a key could be reversed, because all phone numbers can be tried. The key is
/// created at the first erasure; store it apart from the record.
fn key(data: &Path) -> anyhow::Result<Vec<u8>> {
    if let Some(key) = kept_key(data)? {
        return Ok(key);
    }
    private::new_key(&data.join(KEY))
}

/// Opens the record. Called before the first deletion: without a record nothing is deleted.
pub(super) fn open(file: &Path) -> anyhow::Result<fs::File> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    }
    private::append(file).with_context(|| format!("{} cannot be written", file.display()))
}

/// Appends a line and syncs it to disk.
pub(super) fn write(file: &mut fs::File, entry: &Entry) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(entry)?;
    line.push('\n');
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .context("the record could not be written to disk")
}
