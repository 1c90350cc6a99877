//! The output folder and its list of finished days.
//!
//! A folder has the files of one table, in one format and with one treatment of numbers. An export with other
//! settings is refused, so that a masked export never contains files with numbers.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Format, Numbers,
    day_file::{self, PART, Written},
};
use crate::private;

/// File with the settings and the finished days.
const LIST: &str = "export.json";
/// File that a running export locks.
const LOCK: &str = "export.lock";

/// What the files of a folder have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Version of the columns.
    pub(super) version: u32,
    /// The events table: its name, and in a local instance the data folder.
    pub(super) source: String,
    pub(super) format: Format,
    pub(super) numbers: Numbers,
}

/// A day whose file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Number of events.
    pub events: u64,
    /// Size of the file.
    pub bytes: u64,
    /// When reading began, ISO 8601.
    pub read_at: String,
    /// Whether the day was over by then. A day that was not over is read again by the next run.
    pub over: bool,
}

#[derive(Serialize, Deserialize)]
struct List {
    #[serde(flatten)]
    settings: Settings,
    days: BTreeMap<String, Day>,
}

/// An output folder. No other export can use it until this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    list: List,
    _lock: File,
}

impl Folder {
    /// Creates or opens a folder, and removes the unfinished files of an interrupted run.
    pub(super) fn open(path: &Path, settings: Settings) -> anyhow::Result<Self> {
        let extension = format!(".{}", settings.format.extension());
        let busy = format!("another export writes to {}", path.display());
        let lock = private::lock(path, &[LIST, LOCK], LOCK, &busy)?;
        let file = path.join(LIST);
        let list = if file.exists() {
            let text =
                fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let list: List = serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; use another folder", file.display()))?;
            ensure!(
                list.settings == settings,
                "{} contains an export with other settings: {}; use another folder",
                path.display(),
                serde_json::to_string(&list.settings)?
            );
            list
        } else {
            List {
                settings,
                days: BTreeMap::new(),
            }
        };
        for entry in fs::read_dir(path)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name
                .strip_suffix(PART)
                .is_some_and(|whole| whole.ends_with(&extension))
            {
                fs::remove_file(entry.path())?;
            }
        }
        let folder = Self {
            path: path.to_owned(),
            list,
            _lock: lock,
        };
        // Before the first file: files without a list could get another treatment of numbers.
        folder.write_list()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The finished day, if its file is unchanged.
    pub(super) fn finished(&self, day: &str) -> Option<&Day> {
        let path = day_file::path(&self.path, day, self.list.settings.format);
        let bytes = fs::metadata(path).ok()?.len();
        self.list.days.get(day).filter(|day| day.bytes == bytes)
    }

    /// Adds a day whose file is complete and has its name.
    pub(super) fn add(
        &mut self,
        day: &str,
        written: &Written,
        read_at: Timestamp,
        over: bool,
    ) -> anyhow::Result<Day> {
        let finished = Day {
            events: written.events,
            bytes: written.bytes,
            read_at: read_at.to_string(),
            over,
        };
        self.list.days.insert(day.to_owned(), finished.clone());
        self.write_list()?;
        Ok(finished)
    }

    fn write_list(&self) -> anyhow::Result<()> {
        let file = self.path.join(LIST);
        let write = || -> anyhow::Result<()> {
            Ok(private::replace(&file, &serde_json::to_vec_pretty(&self.list)?)?)
        };
        write().with_context(|| format!("{} cannot be written", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(numbers: Numbers) -> Settings {
        Settings {
            version: 1,
            source: "events".to_owned(),
            format: Format::Csv,
            numbers,
        }
    }

    #[test]
    fn a_folder_takes_one_export_with_one_treatment_of_numbers() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("out");
        let mut folder = Folder::open(&path, settings(Numbers::Full)).unwrap();
        let second = Folder::open(&path, settings(Numbers::Full)).err().unwrap();
        assert!(second.to_string().contains("another export"), "{second}");
        fs::write(path.join("2026-11-21.csv"), "12345").unwrap();
        fs::write(path.join("2026-11-22.csv.part"), "half").unwrap();
        fs::write(path.join("mine.part"), "of the user").unwrap();
        let written = Written { events: 1, bytes: 5 };
        folder
            .add("2026-11-21", &written, Timestamp::UNIX_EPOCH, true)
            .unwrap();
        drop(folder);

        let other = Folder::open(&path, settings(Numbers::Masked)).err().unwrap();
        assert!(other.to_string().contains("other settings"), "{other}");
        let folder = Folder::open(&path, settings(Numbers::Full)).unwrap();
        assert_eq!(folder.finished("2026-11-21").unwrap().events, 1);
        assert!(folder.finished("2026-11-22").is_none());
        assert!(!path.join("2026-11-22.csv.part").exists());
        assert!(path.join("mine.part").exists());
        fs::write(path.join("2026-11-21.csv"), "1234").unwrap();
        assert!(folder.finished("2026-11-21").is_none());
    }
}
