//! The state of a restore in the data folder, so that the same command continues after an interruption.
//!
//! The state is written before the events of a page are, so it always includes the arrival times of all events that
//! may be written. A killed run repeats at most the last page of each segment: the events that it had written are
//! then counted as already there.

use std::{
    fs::{self, File},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use webhook_ingest::{event::EpochMillis, events_table::read::EventKey};

use super::report::Counts;
use crate::private;

/// File with the state.
const STATE: &str = "restore.json";
/// File that a running restore locks.
const LOCK: &str = "restore.lock";
/// Version of the file.
const VERSION: u32 = 1;
/// Segments of the source that are copied concurrently. A segment is a range of partitions, so each writes to
/// other partitions, which accept 1,000 write units a second each.
pub(super) const SEGMENTS: u16 = 16;

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    /// The table that is read.
    pub(super) from: String,
    /// Its id, which differs from that of an earlier table with this name.
    pub(super) from_id: Option<String>,
    /// The table that is written to.
    pub(super) to: String,
}

/// How far a segment is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The last key that is done; `None` at the beginning.
    pub(super) after: Option<EventKey>,
    /// Whether the whole segment is done.
    pub(super) is_done: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    version: u32,
    #[serde(flatten)]
    job: Job,
    segments: Vec<Position>,
    counts: Counts,
    /// Arrival times of the events that were or may have been written: the earliest and the latest.
    copied: Option<[EpochMillis; 2]>,
}

/// The state of a run. No other run can use the data folder until this is dropped.
pub(super) struct State {
    file: PathBuf,
    /// Whether an earlier run began.
    pub(super) is_resumed: bool,
    content: Mutex<Content>,
    _lock: File,
}

impl State {
    /// Reads the state of an interrupted run, or begins.
    ///
    /// # Errors
    /// If another restore is running or was interrupted, or the folder cannot be written.
    pub(super) fn open(data: &Path, job: Job) -> anyhow::Result<Self> {
        let busy = format!("another restore uses the data folder {}", data.display());
        let lock = private::lock(data, &["restore"], LOCK, &busy)?;
        let file = data.join(STATE);
        let kept = file.exists().then(|| read(&file)).transpose()?;
        let is_resumed = kept.is_some();
        let content = match kept {
            Some(content) => {
                ensure!(
                    content.job == job && content.segments.len() == usize::from(SEGMENTS),
                    "{} belongs to an interrupted restore from {} to {}: finish it first, or delete the file",
                    file.display(),
                    content.job.from,
                    content.job.to
                );
                content
            }
            None => Content {
                version: VERSION,
                job,
                segments: vec![Position::default(); usize::from(SEGMENTS)],
                counts: Counts::default(),
                copied: None,
            },
        };
        Ok(Self {
            file,
            is_resumed,
            content: Mutex::new(content),
            _lock: lock,
        })
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a segment is copied.
    pub(super) fn position(&self, segment: u16) -> Position {
        let content = self.content();
        let position = content.segments.get(usize::from(segment));
        position.cloned().unwrap_or_default()
    }

    /// Whether all segments are copied.
    pub(super) fn is_copied(&self) -> bool {
        self.content().segments.iter().all(|segment| segment.is_done)
    }

    /// The tables.
    pub(super) fn job(&self) -> Job {
        self.content().job.clone()
    }

    /// The counts of all finished pages.
    pub(super) fn counts(&self) -> Counts {
        self.content().counts.clone()
    }

    /// Arrival times of the events that were or may have been written.
    pub(super) fn copied(&self) -> Option<RangeInclusive<EpochMillis>> {
        self.content().copied.map(|[first, last]| first..=last)
    }

    /// Writes the state to disk before events with these arrival times are written.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn announce(&self, arrivals: impl IntoIterator<Item = EpochMillis>) -> anyhow::Result<()> {
        let mut content = self.content();
        for at in arrivals {
            let [first, last] = content.copied.unwrap_or([at, at]);
            content.copied = Some([first.min(at), last.max(at)]);
        }
        self.save(&content)
    }

    /// Adds the counts of a page of a segment. Written to disk with the next page.
    pub(super) fn finish(&self, segment: u16, position: Position, counts: &Counts) {
        let mut content = self.content();
        content.counts.add(counts);
        if let Some(kept) = content.segments.get_mut(usize::from(segment)) {
            *kept = position;
        }
    }

    fn save(&self, content: &Content) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            Ok(private::replace(
                &self.file,
                &serde_json::to_vec_pretty(content)?,
            )?)
        };
        write().with_context(|| format!("{} cannot be written", self.file.display()))
    }

    /// Removes the file, because everything is done.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.file).with_context(|| format!("{} cannot be removed", self.file.display()))
    }
}

fn read(file: &Path) -> anyhow::Result<Content> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let content: Content = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; delete it to begin again", file.display()))?;
    ensure!(
        content.version == VERSION,
        "{} was written by another version of this command; delete it to begin again",
        file.display()
    );
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(from: &str) -> Job {
        Job {
            from: from.to_owned(),
            from_id: Some("id".to_owned()),
            to: "events".to_owned(),
        }
    }

    #[test]
    fn a_state_includes_what_was_announced_and_belongs_to_one_job() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path(), job("restored")).unwrap();
        assert!(!state.is_resumed && state.copied().is_none());
        let second = State::open(folder.path(), job("restored")).err().unwrap();
        assert!(second.to_string().contains("another restore"), "{second}");
        state.announce([]).unwrap();
        assert!(state.copied().is_none());
        state.announce([20, 10, 30]).unwrap();
        let counts = Counts {
            written: 3,
            ..Counts::default()
        };
        let done = Position {
            after: Some(("m".to_owned(), "RCS#sent".to_owned())),
            is_done: true,
        };
        state.finish(3, done.clone(), &counts);
        state.announce([15]).unwrap();
        drop(state);

        let other = State::open(folder.path(), job("other")).err().unwrap();
        assert!(other.to_string().contains("from restored to events"), "{other}");
        let state = State::open(folder.path(), job("restored")).unwrap();
        assert!(state.is_resumed && !state.is_copied());
        assert_eq!(state.copied(), Some(10..=30));
        assert_eq!(state.counts().written, 3);
        assert_eq!(
            [state.position(3), state.position(4)],
            [done, Position::default()]
        );
        state.remove().unwrap();
        assert!(!folder.path().join(STATE).exists());
    }
}
