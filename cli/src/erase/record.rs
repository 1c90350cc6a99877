//! The record of erasures: proof that a given number was erased. It holds no number.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;

use super::person::Person;

/// The file in the data folder that the record is kept in.
pub const RECORD: &str = "erasures.jsonl";
/// The file in the data folder with the key of the digests.
pub const KEY: &str = "erasure-key";

/// Which end of a run a line is about.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Written before the first deletion. The counts are of what was found.
    Begun,
    /// Written at the end, also of a run that failed. The counts are of what was deleted.
    Ended,
}

/// One line of the record. A run writes two: a `begun` without an `ended` is a run that was killed.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// When, ISO 8601.
    pub at: String,
    /// The same for both lines of a run, and for no other.
    pub run: String,
    /// Beginning or end.
    pub step: Step,
    /// HMAC-SHA256 of each number's digits under the key in the data folder, hex.
    pub recipients: Vec<String>,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// Events.
    pub events: usize,
    /// Messages to which the events that were found belong.
    pub messages: usize,
    /// Messages in the dead-letter queue and in the retry queue.
    pub letters: usize,
    /// Items of the counters' table that name the person and stay; absent if they were not read.
    pub counters: Option<usize>,
    /// Whether everything was looked at and everything that was found is deleted, letters and
    /// counters included.
    pub complete: bool,
    /// What failed, if something did.
    pub failed: Option<&'static str>,
}

impl Entry {
    /// The beginning of a run, with nothing found yet.
    pub(super) fn new(data: &Path, person: &Person) -> anyhow::Result<Self> {
        let numbers = person.numbers().iter();
        Ok(Self {
            at: now(),
            run: hex::encode(random::<8>()?),
            step: Step::Begun,
            recipients: numbers
                .map(|number| digest(data, number.digits()))
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

/// The time, ISO 8601.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn random<const BYTES: usize>() -> anyhow::Result<[u8; BYTES]> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("no random numbers: {e}"))?;
    Ok(bytes)
}

/// A number's digest: the same for the same number as long as the key is kept.
fn digest(data: &Path, number: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(data)?).context("a key of another length")?;
    mac.update(number.as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// Numbers are few enough to be tried one by one, so a digest alone would hide nothing; the key is
/// made at the first erasure and is to be kept elsewhere than the record.
fn key(data: &Path) -> anyhow::Result<Vec<u8>> {
    let file = data.join(KEY);
    if let Ok(kept) = fs::read_to_string(&file) {
        let key = hex::decode(kept.trim()).with_context(|| format!("{} is damaged", file.display()))?;
        ensure!(key.len() >= 16, "{} is damaged", file.display());
        return Ok(key);
    }
    let key = random::<32>()?;
    fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    writeln!(out, "{}", hex::encode(key))?;
    out.sync_all()?;
    Ok(key.to_vec())
}

/// Opened before anything is deleted: what cannot be recorded is not done.
pub(super) fn open(file: &Path) -> anyhow::Result<fs::File> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// Adds a line, and returns when it is on disk.
pub(super) fn write(file: &mut fs::File, entry: &Entry) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(entry)?;
    line.push('\n');
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .context("the record could not be written to disk")
}
