//! Files and folders with personal data and secrets: only their owner may read them. Random bytes for secrets.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, anyhow, bail};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;
/// The sticky bit, as on `/tmp`: users may create files, but delete only their own.
const STICKY: u32 = 0o1000;
/// Permission bits of the group and of others.
const OTHERS: u32 = 0o077;

/// Creates a data folder, or uses an existing one, and restricts the folder and the command's files in
/// it to the owner.
///
/// A folder that contains other files, or has the sticky bit, keeps its permissions. In it, only
/// files whose names start with one of the prefixes in `ours` are restricted.
pub(crate) fn folder(path: &Path, ours: &[&str]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    let mut foreign = false;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = ours.iter().any(|ours| name.to_string_lossy().starts_with(ours));
        foreign |= !is_ours;
        let metadata = entry.metadata()?;
        if is_ours && metadata.is_file() && metadata.mode() & OTHERS != 0 {
            fs::set_permissions(entry.path(), Permissions::from_mode(FILE))?;
        }
    }
    let mode = fs::metadata(path)?.mode();
    if !foreign && mode & STICKY == 0 && mode & OTHERS != 0 {
        fs::set_permissions(path, Permissions::from_mode(FOLDER))?;
    }
    Ok(())
}

/// Locks a folder that [`folder`] prepares, with a file of it, until the returned file is dropped.
///
/// # Errors
/// `busy` if another process holds the lock; or if the folder cannot be written.
pub(crate) fn lock(path: &Path, ours: &[&str], name: &str, busy: &str) -> anyhow::Result<File> {
    let open = || -> io::Result<File> {
        folder(path, ours)?;
        append(&path.join(name))
    };
    let lock = open().with_context(|| format!("{} cannot be written", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("{busy}"),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// Bytes of the system's random number generator.
///
/// # Errors
/// If the generator fails.
pub(crate) fn random<const BYTES: usize>() -> anyhow::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system's random number generator failed: {error}"))?;
    Ok(bytes)
}

/// Makes a random key of 256 bits and keeps it in a file, hexadecimal. Creates the folder if it is missing.
///
/// # Errors
/// If the file exists or cannot be written.
pub(crate) fn new_key(file: &Path) -> anyhow::Result<Vec<u8>> {
    let key = random::<32>()?;
    let write = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut out = owned(OpenOptions::new().create_new(true).write(true), file)?;
        writeln!(out, "{}", hex::encode(key))?;
        out.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(key.to_vec())
}

/// Opens or creates a file for appending, readable only by the owner.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    owned(OpenOptions::new().create(true).append(true), path)
}

/// Creates or truncates a file, readable only by the owner.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    owned(OpenOptions::new().create(true).write(true).truncate(true), path)
}

/// Writes a file that is readable only by the owner from the first byte.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Replaces a file at once: a reader or a crash finds the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let mut out = create(part)?;
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(part, path)
}

fn owned(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(FILE).open(path)?;
    // The mode above applies only to new files.
    file.set_permissions(Permissions::from_mode(FILE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn files_that_others_can_read_become_private() {
        let outside = tempfile::tempdir().unwrap();
        let data = outside.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
        for name in ["tables.sqlite", "tables.sqlite-wal", "queues.jsonl"] {
            fs::write(data.join(name), "a number").unwrap();
            fs::set_permissions(data.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        folder(&data, &["tables", "queues"]).unwrap();
        assert_eq!(mode(&data), 0o700);
        for entry in fs::read_dir(&data).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        write(&data.join("new"), "secret").unwrap();
        append(&data.join("other")).unwrap();
        assert_eq!([mode(&data.join("new")), mode(&data.join("other"))], [0o600; 2]);
    }

    #[test]
    fn a_folder_with_other_files_keeps_its_permissions() {
        let outside = tempfile::tempdir().unwrap();
        for (name, of_folder) in [("project", 0o755), ("shared", 0o1777)] {
            let path = outside.path().join(name);
            fs::create_dir(&path).unwrap();
            for (file, of_file) in [("queues.jsonl", 0o644), ("build.sh", 0o755)] {
                fs::write(path.join(file), "").unwrap();
                fs::set_permissions(path.join(file), Permissions::from_mode(of_file)).unwrap();
            }
            fs::set_permissions(&path, Permissions::from_mode(of_folder)).unwrap();
            folder(&path, &["tables", "queues"]).unwrap();
            assert_eq!(mode(&path), of_folder);
            assert_eq!(mode(&path.join("build.sh")), 0o755);
            assert_eq!(mode(&path.join("queues.jsonl")), 0o600);
        }
    }
}
