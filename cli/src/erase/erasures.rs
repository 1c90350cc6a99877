//! Reads the record of erasures: who was erased, and when. The record has only digests, so it answers for a given id.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use webhook_ingest::event::EpochMillis;

use super::record;

/// Maximum of ids in a record: some 100 MB.
const MAX_IDS: usize = 1_000_000;

/// The erased ids, by digest, each with its latest erasure.
pub struct Erasures {
    key: Vec<u8>,
    latest: HashMap<String, EpochMillis>,
}

/// The part of a line that is read.
#[derive(Deserialize)]
struct Line {
    at: String,
    recipients: Vec<String>,
}

impl Erasures {
    /// Reads a record, and the key of its digests in the data folder.
    ///
    /// # Errors
    /// If one of them is missing or damaged.
    pub fn read(file: &Path, data: &Path) -> anyhow::Result<Self> {
        let damaged =
            |number: usize| format!("{}, line {}: not a line of a record", file.display(), number + 1);
        let lines = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let mut latest: HashMap<String, EpochMillis> = HashMap::new();
        for (number, line) in BufReader::new(lines).lines().enumerate() {
            let line: Line = serde_json::from_str(&line?).with_context(|| damaged(number))?;
            let at: Timestamp = line.at.parse().with_context(|| damaged(number))?;
            // The record has no fractions of a second.
            let at = at.as_millisecond() + 999;
            for digest in line.recipients {
                let known = latest.entry(digest).or_insert(at);
                *known = at.max(*known);
            }
            ensure!(
                latest.len() <= MAX_IDS,
                "{} has more than {MAX_IDS} ids",
                file.display()
            );
        }
        let key = record::kept_key(data)?;
        ensure!(
            key.is_some() || latest.is_empty(),
            "{} names erased people by digests, and their key is missing: copy it to {}",
            file.display(),
            data.join(record::KEY).display()
        );
        Ok(Self {
            key: key.unwrap_or_default(),
            latest,
        })
    }

    /// Whether nobody was erased.
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// When an id was last erased, epoch milliseconds: a number's digits, or another id as stored.
    pub fn latest(&self, id: &str) -> Option<EpochMillis> {
        let digest = record::digest(&self.key, id).ok()?;
        self.latest.get(&digest).copied()
    }
}
