//! The page's files, in the binary.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use lambda_http::Body;

/// One file.
struct Asset {
    /// Below `page/`.
    path: &'static str,
    /// Its `Content-Type`.
    kind: &'static str,
    /// Its `ETag`.
    tag: &'static str,
    /// Compressed.
    gzip: &'static [u8],
}

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file of a path: `/` is the page, `/assets/…` what it loads. `None` if there is no such file.
pub(crate) fn answer(path: &str, request: &HeaderMap) -> Option<Response<Body>> {
    let name = if path == "/" {
        "index.html"
    } else {
        path.strip_prefix("/assets/")?
    };
    let asset = ASSETS.iter().find(|asset| asset.path == name)?;
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Asked for again each time, answered with 304: a new version is seen at once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if mentions(request, &header::IF_NONE_MATCH, asset.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if mentions(request, &header::ACCEPT_ENCODING, "gzip") {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = Body::Binary(asset.gzip.to_vec());
    } else {
        let mut plain = Vec::new();
        // It was compressed by this crate's build; reading memory does not fail.
        let _ = GzDecoder::new(asset.gzip).read_to_end(&mut plain);
        *response.body_mut() = Body::Binary(plain);
    }
    Some(response)
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

    #[test]
    fn the_page_comes_compressed_or_plain_or_not_at_all() {
        let mut headers = HeaderMap::new();
        let plain = answer("/", &headers).unwrap();
        assert!(plain.body().as_ref().starts_with(b"<!doctype html>"));
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("br, gzip;q=0.8"),
        );
        let packed = answer("/", &headers).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let tag = packed.headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(answer("/", &headers).unwrap().status(), StatusCode::NOT_MODIFIED);
        for path in [
            "/assets/../Cargo.toml",
            "/assets/",
            "/assets/nothing.js",
            "/index.html",
            "",
        ] {
            assert!(answer(path, &headers).is_none(), "{path}");
        }
    }

    #[test]
    fn the_whole_page_weighs_less_than_300_kb() {
        let weight: usize = ASSETS.iter().map(|asset| asset.gzip.len()).sum();
        assert!(weight < 300_000, "{weight} bytes");
    }
}
