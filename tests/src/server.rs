//! `netcore-webhooks serve` in the process of the test: all functions at one HTTP address, and a client
//! for it.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use netcore_webhooks::{
    local::LocalOptions,
    serve::{self, Options},
};
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    answer::Answer,
    fixtures::{AUTH, TOKEN},
    stack::{Backend, Stack},
    storage::Storage,
};

/// Each server of this process holds a share. A body of megabytes is stored in time only if no other test
/// runs at the same moment.
static MACHINE: RwLock<()> = RwLock::const_new(());

#[expect(dead_code, reason = "held until the server stops, and never read")]
enum Share {
    Some(RwLockReadGuard<'static, ()>),
    All(RwLockWriteGuard<'static, ()>),
}

/// A running server and a client for it.
pub struct Server {
    /// Its tables and queues. The functions in the server do not use the proxies.
    pub stack: Stack,
    address: SocketAddr,
    client: HttpClient,
    share: Share,
}

/// An HTTP client that keeps its connections.
#[derive(Clone)]
pub struct HttpClient(Client<HttpConnector, Full<Bytes>>);

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpClient {
    /// A client without connections.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request and reads the complete response.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let started = Instant::now();
        let (parts, body) = self.0.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            request_id: String::new(),
            took: started.elapsed(),
        }
    }
}

impl Server {
    /// A server in memory with the policy [`AUTH`].
    pub async fn start() -> Self {
        Self::with_policy(AUTH).await
    }

    /// The same, while no other server of this process runs.
    pub async fn alone() -> Self {
        Self::on(Share::All(MACHINE.write().await), None, Some(AUTH)).await
    }

    /// A server in memory with this `WEBHOOK_AUTH`.
    pub async fn with_policy(policy: &str) -> Self {
        Self::on(Share::Some(MACHINE.read().await), None, Some(policy)).await
    }

    /// A server with its data in a folder, and this policy or the one that its first start creates.
    pub async fn in_folder(folder: &Path, policy: Option<&str>) -> Self {
        Self::on(Share::Some(MACHINE.read().await), Some(folder), policy).await
    }

    async fn on(share: Share, folder: Option<&Path>, policy: Option<&str>) -> Self {
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: folder.map(Path::to_owned),
            auth: policy.map(str::to_owned),
            local: LocalOptions::default(),
        };
        // On the heap: the future of the start is large.
        let server = Box::pin(serve::Server::start(options)).await.unwrap();
        Self {
            address: server.address,
            stack: Stack::on(Backend::Serve(server)).await,
            client: HttpClient::new(),
            share,
        }
    }

    /// Finishes the requests in progress and stops.
    pub async fn stop(self) {
        self.stack.stop().await;
        drop(self.share);
    }

    /// The contents of its tables and queues.
    pub fn storage(&self) -> &Storage {
        &self.stack.storage
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Posts a body as a provider does.
    pub async fn post(&self, function: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [TOKEN, ("content-type", "application/json")];
        self.post_with(function, &headers, body).await
    }

    /// Posts a body again while the response is 503, as a sender does. On a busy machine, a large body is
    /// not always stored in time.
    pub async fn post_until_kept(&self, function: &str, body: &[u8]) -> Answer {
        for _ in 0..10 {
            let answer = self.post(function, body.to_vec()).await;
            if answer.status != 503 {
                return answer;
            }
            assert_eq!(answer.header("retry-after"), Some("30"));
            // The queue may contain some parts of the dead letter.
            self.storage().purge_dead_letters().await;
        }
        panic!("{} bytes were not kept in ten attempts", body.len());
    }

    /// Posts a body with these headers and no others.
    pub async fn post_with(
        &self,
        function: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.send(Method::POST, &format!("/lambda-url/{function}/"), headers, body)
            .await
    }

    /// Gets a path without any header.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// Gets the JSON of a path that exists.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Gets the summary of a query when it counts this many events, or as it is after 30 seconds.
    pub async fn summary(&self, query: &str, events: u64) -> Value {
        let path = format!("/api/summary?{query}");
        for _ in 0..300 {
            let summary = self.json(&path).await;
            if crate::answer::sum(&summary["counts"]) >= events {
                return summary;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.json(&path).await
    }

    /// Sends any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.client.send(method, &self.url(path), headers, body).await
    }
}
