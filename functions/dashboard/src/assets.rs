//! The page's files, embedded in the binary.

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
}

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page.
pub(crate) async fn page(headers: HeaderMap) -> Result<Response, Refusal> {
    answer("index.html", &headers)
}

/// A file that the page loads.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    answer(&name, &headers)
}

fn answer(name: &str, request: &HeaderMap) -> Result<Response, Refusal> {
    let asset = ASSETS.iter().find(|asset| asset.path == name);
    let asset = asset.ok_or_else(|| Refusal::NotFound("there is nothing at this path".into()))?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // The browser revalidates each time and gets 304, so that it never uses an old version.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if mentions(request, &header::IF_NONE_MATCH, asset.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if mentions(request, &header::ACCEPT_ENCODING, "gzip") {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = Body::from(asset.gzip);
    } else {
        let mut plain = Vec::new();
        // Infallible: the build script compressed it, and the source is memory.
        let _ = GzDecoder::new(asset.gzip).read_to_end(&mut plain);
        *response.body_mut() = Body::from(plain);
    }
    Ok(response)
}

fn mentions(request: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let values = request.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            part.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("W/")
                == word
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes(response: Response) -> Vec<u8> {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        body.unwrap().into()
    }

    #[tokio::test]
    async fn files_are_served_compressed_or_plain_and_unknown_names_refused() {
        let mut headers = HeaderMap::new();
        let plain = page(headers.clone()).await.unwrap();
        assert!(bytes(plain).await.starts_with(b"<!doctype html>"));
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("br, gzip;q=0.8"),
        );
        let packed = answer("index.html", &headers).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let tag = packed.headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(
            answer("index.html", &headers).unwrap().status(),
            StatusCode::NOT_MODIFIED
        );
        for name in ["../Cargo.toml", "", "nothing.js", "/index.html", "/"] {
            assert!(answer(name, &headers).is_err(), "{name}");
        }
    }

    #[test]
    fn the_page_is_smaller_than_300_kb() {
        let weight: usize = ASSETS.iter().map(|asset| asset.gzip.len()).sum();
        assert!(weight < 300_000, "{weight} bytes");
    }
}
