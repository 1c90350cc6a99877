//! Embeds the page in the binary: every file in `page/`, compressed, with its content type and `ETag`.
#![expect(clippy::expect_used, reason = "a build script fails with the reason")]

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash as _, Hasher as _},
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

fn main() {
    println!("cargo::rerun-if-changed=page");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut files = Vec::new();
    collect(Path::new("page"), &mut files);
    files.sort();
    let mut table = String::from("[\n");
    for (number, file) in files.iter().enumerate() {
        let Some(kind) = kind(file) else { continue };
        let bytes = fs::read(file).expect("a readable file");
        let mut hash = DefaultHasher::new();
        bytes.hash(&mut hash);
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&bytes).expect("memory");
        let packed_file = out.join(format!("{number}.gz"));
        fs::write(&packed_file, packed.finish().expect("memory")).expect("a writable folder");
        let path = file
            .strip_prefix("page")
            .expect("below page")
            .to_str()
            .expect("UTF-8");
        let asset = format!(
            "    Asset {{ path: {path:?}, kind: {kind:?}, tag: \"\\\"{:016x}\\\"\", gzip: include_bytes!({:?}) }},\n",
            hash.finish(),
            packed_file.to_str().expect("UTF-8"),
        );
        table.push_str(&asset);
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("a writable folder");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The content type; `None` for files that are not served, such as a README.
fn kind(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => return None,
    })
}
