//! The record of erasures: proof for the one who asks whether a number was erased, and no use to
//! anybody else.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

/// The file in the data folder that the record is kept in.
pub const RECORD: &str = "erasures.jsonl";
/// The file in the data folder with the key of the digests.
pub const KEY: &str = "erasure-key";

/// One line of the record.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// When, ISO 8601.
    pub at: String,
    /// HMAC-SHA256 of each number's digits under the key in the data folder, hex.
    pub recipients: Vec<String>,
    /// Whether all that was found was deleted.
    pub complete: bool,
    /// Whether the whole table was read.
    pub thorough: bool,
    /// Events that were deleted.
    pub events: usize,
    /// Messages that they belonged to.
    pub messages: usize,
    /// Dead letters that were deleted.
    pub letters: usize,
}

/// A number's digest: the same for the same number as long as the key is kept.
pub(super) fn digest(data: &Path, number: &str) -> anyhow::Result<String> {
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
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("no random numbers: {e}"))?;
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

/// Adds a line.
pub(super) fn write(mut file: fs::File, entry: &Entry) -> anyhow::Result<()> {
    writeln!(file, "{}", serde_json::to_string(entry)?)?;
    file.sync_all().context("the record could not be written to disk")
}
