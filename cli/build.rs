//! Embeds an example of each folder of `tests/fixtures`, so that `formats` shows what a sender posts: the file
//! `delivered.json`, else the shortest one.
#![expect(clippy::expect_used, reason = "a build script fails with the reason")]

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The longest example, in bytes.
const LONGEST: u64 = 4_096;

fn main() {
    let root =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../tests/fixtures");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut table = String::from("[\n");
    for folder in entries(&root) {
        let files = entries(&folder).into_iter().filter(|file| bytes(file) <= LONGEST);
        let is_other = |file: &PathBuf| file.file_stem().is_none_or(|name| name != "delivered");
        if let Some(file) = files.min_by_key(|file| (is_other(file), bytes(file))) {
            let name = folder.file_name().expect("a folder").to_string_lossy();
            let _ = writeln!(
                table,
                "    ({name:?}, include_str!({:?})),",
                file.display().to_string()
            );
        }
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("examples.rs"), table).expect("a writable folder");
}

/// The paths in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).expect("a readable file").len()
}
