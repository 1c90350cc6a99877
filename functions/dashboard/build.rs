//! Embeds the page in the binary: every file in `page/`, compressed with gzip and Brotli, with its content
//! type and `ETag`. `PAGE_VERSION` is a digest of all files; the page loads its files below this name.
#![expect(clippy::expect_used, reason = "a build script fails with the reason")]

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher as _},
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
    let contents: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("a readable file"))
        .collect();
    let version = digest(&(&files, &contents));
    println!("cargo::rustc-env=PAGE_VERSION={version}");
    let mut table = String::from("[\n");
    for (number, (file, mut bytes)) in files.iter().zip(contents).enumerate() {
        let Some(kind) = kind(file) else { continue };
        if file.extension().is_some_and(|extension| extension == "html") {
            let text = String::from_utf8(bytes).expect("UTF-8");
            bytes = text
                .replace("\"assets/", &format!("\"assets/{version}/"))
                .into_bytes();
        }
        let save = |extension: &str, packed: Vec<u8>| {
            let path = out.join(format!("{number}.{extension}"));
            fs::write(&path, packed).expect("a writable folder");
            path.to_str().expect("UTF-8").to_owned()
        };
        let (gzip, brotli) = (save("gz", gzip(&bytes)), save("br", brotli(&bytes)));
        let path = file
            .strip_prefix("page")
            .expect("below page")
            .to_str()
            .expect("UTF-8");
        let asset = format!(
            "    Asset {{ path: {path:?}, kind: {kind:?}, tag: \"\\\"{}\\\"\", gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},\n",
            digest(&bytes),
        );
        table.push_str(&asset);
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("a writable folder");
}

fn digest(of: &impl Hash) -> String {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

fn brotli(mut bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams::default();
    brotli::BrotliCompress(&mut bytes, &mut packed, &parameters).expect("memory");
    packed
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
