//! Posts events to a URL on this machine.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Uri};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::http_client::{self, HttpClient, NoResponse, send};

/// Timeout of a request.
const WITHIN: Duration = Duration::from_secs(10);
/// Tries of an event that the program answers with a 5xx, or not in time.
const TRIES: u32 = 3;
/// Pause before the next try.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for a program that accepts no connection, such as one that is being compiled.
const MAX_DOWN: Duration = Duration::from_mins(10);
/// Header with an id of the event, the same if it is posted again.
const ID: &str = "x-event-id";

/// What the program did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered with this status, at least once.
    Answered(u16),
    /// Did not answer in time.
    Silent,
}

impl Outcome {
    /// Whether the program accepted the event.
    pub(super) fn is_accepted(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }
}

/// A program on this machine.
pub(super) struct Program {
    client: HttpClient,
    url: String,
}

impl Program {
    /// # Errors
    /// If the URL is not `http` on this machine: events contain personal data.
    pub(super) fn at(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().context("--forward-to is not a URL")?;
        let host = uri.host().unwrap_or_default();
        let address = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        let is_local =
            host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
        ensure!(
            is_local && uri.scheme_str() == Some("http"),
            "--forward-to takes a URL of this machine, such as http://localhost:3000/events: events contain personal data"
        );
        Ok(Self {
            client: http_client::client()?,
            url: url.to_owned(),
        })
    }

    /// Posts an event. Waits while nobody listens at the URL.
    ///
    /// # Errors
    /// If nobody listens for [`MAX_DOWN`].
    pub(super) async fn post(&self, id: &str, fields: &Map<String, Value>) -> anyhow::Result<Outcome> {
        let body = Bytes::from(serde_json::to_vec(fields)?);
        let headers = [
            ("content-type".to_owned(), "application/json".to_owned()),
            (ID.to_owned(), id.to_owned()),
        ];
        let mut tries = 0;
        let mut down_since = None;
        loop {
            let outcome = match send(
                &self.client,
                Method::POST,
                &self.url,
                &headers,
                body.clone(),
                WITHIN,
            )
            .await
            {
                Ok((status, _)) => Outcome::Answered(status.as_u16()),
                Err(NoResponse::NoConnection) => {
                    let since = *down_since.get_or_insert_with(|| {
                        tracing::warn!("nobody answers at {}; waiting", self.url);
                        Instant::now()
                    });
                    if since.elapsed() > MAX_DOWN {
                        bail!(
                            "nobody answered at {} for {} minutes",
                            self.url,
                            MAX_DOWN.as_secs() / 60
                        );
                    }
                    sleep(PAUSE).await;
                    continue;
                }
                // A program that crashes with an event must not get it forever.
                Err(NoResponse::Closed | NoResponse::Timeout | NoResponse::Unreadable) => Outcome::Silent,
                Err(NoResponse::Invalid) => bail!("{} is not a valid URL", self.url),
            };
            tries += 1;
            let is_final = !matches!(outcome, Outcome::Answered(500..) | Outcome::Silent);
            if is_final || tries >= TRIES {
                return Ok(outcome);
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_posted_to_this_machine_only() {
        for url in [
            "http://localhost:3000/events",
            "http://127.0.0.1:1/",
            "http://127.9.9.9/",
            "http://[::1]:3000/x?y=z",
        ] {
            assert!(Program::at(url).is_ok(), "{url}");
        }
        for url in [
            "https://example.com/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://192.168.0.1/",
            "http://127.0.0.1@example.com/",
            "localhost:3000",
            "/events",
        ] {
            assert!(Program::at(url).is_err(), "{url}");
        }
    }
}
