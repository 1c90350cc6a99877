//! The HTTP client of the commands: HTTP/1, with or without TLS.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// Largest response that [`send`] returns, in bytes. Receivers answer with a few hundred, and a hundred alarms take
/// some 200 KB.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// A client that keeps its connections.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that trusts the system's root certificates.
///
/// # Errors
/// If the system has none.
pub(crate) fn client() -> anyhow::Result<HttpClient> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("this machine has no trusted root certificates")?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoResponse {
    /// The URL or a header is invalid.
    Invalid,
    /// Nobody listens.
    NoConnection,
    /// The connection was closed before the response.
    Closed,
    /// Not within the timeout.
    Timeout,
    /// The response is too long or incomplete.
    Unreadable,
}

impl NoResponse {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "the URL or a header is invalid",
            Self::NoConnection => "no connection",
            Self::Closed => "the connection was closed before the response",
            Self::Timeout => "no response in time",
            Self::Unreadable => "an unreadable response",
        }
    }
}

/// Sends a request and reads the response within a timeout.
pub(crate) async fn send(
    client: &HttpClient,
    method: Method,
    url: &str,
    headers: &[(String, String)],
    body: Bytes,
    within: Duration,
) -> Result<(StatusCode, Bytes), NoResponse> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|_| NoResponse::Invalid)?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| {
            if error.is_connect() {
                NoResponse::NoConnection
            } else {
                NoResponse::Closed
            }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES).collect();
        let body = body.await.map_err(|_| NoResponse::Unreadable)?;
        Ok((status, body.to_bytes()))
    };
    timeout(within, exchange)
        .await
        .unwrap_or(Err(NoResponse::Timeout))
}
