//! Finds files in the data folder that name a person: files of `dead-letters discard`, exports,
//! saved bodies. The files of a running instance are skipped: the instance cleans them itself, and
//! the queues' journal contains messages that are not stored yet.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    person::Person,
    record::{KEY, RECORD},
};

/// Prefixes of the files that are skipped: those of a running instance and of the record.
const SKIPPED: [&str; 4] = ["tables.sqlite", "queues.", RECORD, KEY];
/// Bytes that are searched at once.
const WINDOW: usize = 1024 * 1024;
/// Bytes of the previous window that are searched again: no spelling of a number or an id is longer.
const OVERLAP: usize = 8 * 1024;

/// Files that name the person. Memory use does not depend on the size of the files.
pub(super) fn find(data: &Path, person: &Person) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(data) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = folder
        .flatten()
        .filter(|file| {
            let name = file.file_name();
            let is_skipped = SKIPPED
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix));
            !is_skipped && file.metadata().is_ok_and(|metadata| metadata.is_file())
        })
        .map(|file| file.path())
        .filter(|path| {
            names(path, person).unwrap_or_else(|error| {
                tracing::warn!(%error, file = %path.display(), "the file could not be searched");
                false
            })
        })
        .collect();
    found.sort();
    found
}

fn names(path: &Path, person: &Person) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut window = Vec::new();
    loop {
        let read = file.by_ref().take(WINDOW as u64).read_to_end(&mut window)?;
        if person.is_named_in_bytes(&window) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_across_windows_and_files_of_instances_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let person = Person::new(&["919812345678".into()]).unwrap();
        let mut body = vec![b'x'; WINDOW - 5];
        body.extend_from_slice(b" +91 98123-45678 ");
        for name in ["export.csv", "queues.jsonl", "tables.sqlite-wal"] {
            fs::write(folder.path().join(name), &body).unwrap();
        }
        fs::write(folder.path().join("other.json"), vec![b'7'; 3 * WINDOW]).unwrap();
        assert_eq!(find(folder.path(), &person), [folder.path().join("export.csv")]);
    }
}
