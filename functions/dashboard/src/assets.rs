//! The page's files, embedded in the binary.
//!
//! The page loads its files below `/assets/<version>/`. The version is a digest of all files, so a browser can
//! keep them for a year, and never combines files of two versions.

use std::io::Read as _;

use axum::{body::Body, extract::Path, response::Response};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::refusal::Refusal;

/// One file.
struct Asset {
    /// Path in `page/`.
    path: &'static str,
    /// `Content-Type`.
    kind: &'static str,
    /// `ETag`.
    tag: &'static str,
    /// Compressed content.
    gzip: &'static [u8],
    brotli: &'static [u8],
}

const VERSION: &str = env!("PAGE_VERSION");

/// The browser revalidates each time and gets 304, so that it never uses an old version.
const REVALIDATED: &str = "no-cache";
/// One year, the usual maximum. A file below a version never changes.
const KEPT: &str = "public, max-age=31536000, immutable";

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page.
pub(crate) async fn page(headers: HeaderMap) -> Result<Response, Refusal> {
    answer("index.html", &headers, REVALIDATED)
}

/// A file that the page loads: `<version>/<path>`. A page of another version must be loaded again.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let path = name
        .strip_prefix(VERSION)
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or_else(nothing)?;
    answer(path, &headers, KEPT)
}

fn nothing() -> Refusal {
    Refusal::NotFound("there is nothing at this path".into())
}

fn answer(name: &str, request: &HeaderMap, cached: &'static str) -> Result<Response, Refusal> {
    let asset = ASSETS.iter().find(|asset| asset.path == name);
    let asset = asset.ok_or_else(nothing)?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    if mentions(request, &header::IF_NONE_MATCH, asset.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let packed = [("br", asset.brotli), ("gzip", asset.gzip)];
    let accepted = packed
        .into_iter()
        .find(|(word, _)| mentions(request, &header::ACCEPT_ENCODING, word));
    if let Some((word, bytes)) = accepted {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(word));
        *response.body_mut() = Body::from(bytes);
    } else {
        let mut plain = Vec::new();
        // Infallible: the build script compressed it, and the source is memory.
        let _ = GzDecoder::new(asset.gzip).read_to_end(&mut plain);
        *response.body_mut() = Body::from(plain);
    }
    Ok(response)
}

/// Whether a list contains a word. A weight of 0 means that it does not.
fn mentions(request: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let values = request.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            let (item, weight) = part.split_once(';').unwrap_or((part, ""));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            item.trim().trim_start_matches("W/") == word
                && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes(response: Response) -> Vec<u8> {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        body.unwrap().into()
    }

    fn accepting(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
    }

    async fn versioned(name: &str, headers: HeaderMap) -> Result<Response, Refusal> {
        file(Path(format!("{VERSION}/{name}")), headers).await
    }

    #[tokio::test]
    async fn files_are_served_compressed_or_plain_and_unknown_names_refused() {
        let plain = page(HeaderMap::new()).await.unwrap();
        assert!(bytes(plain).await.starts_with(b"<!doctype html>"));
        for (encodings, expected) in [
            ("br, gzip;q=0.8", Some("br")),
            ("gzip;q=0.8", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("zstd", None),
        ] {
            let packed = page(accepting(encodings)).await.unwrap();
            let sent = packed.headers().get(header::CONTENT_ENCODING);
            assert_eq!(
                sent.map(HeaderValue::as_bytes),
                expected.map(str::as_bytes),
                "{encodings}"
            );
        }
        let mut headers = accepting("br");
        let tag = page(headers.clone()).await.unwrap().headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(page(headers).await.unwrap().status(), StatusCode::NOT_MODIFIED);
        for name in ["../Cargo.toml", "", "nothing.js", "/index.html", "/"] {
            assert!(versioned(name, HeaderMap::new()).await.is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn the_page_names_files_that_a_browser_can_keep() {
        let html = String::from_utf8(bytes(page(HeaderMap::new()).await.unwrap()).await).unwrap();
        let names: Vec<&str> = html
            .split("\"assets/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            let served = file(Path(name.to_owned()), HeaderMap::new()).await.unwrap();
            assert_eq!(
                served.headers()[header::CACHE_CONTROL],
                "public, max-age=31536000, immutable",
                "{name}"
            );
        }
        let page = page(HeaderMap::new()).await.unwrap();
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        // A file of another version is not served under the name of this one.
        for name in ["app.js", "0000000000000000/app.js"] {
            assert!(
                file(Path(name.to_owned()), HeaderMap::new()).await.is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn the_page_is_smaller_than_200_kb() {
        let weight: usize = ASSETS.iter().map(|asset| asset.brotli.len()).sum();
        assert!(weight < 200_000, "{weight} bytes");
    }
}
