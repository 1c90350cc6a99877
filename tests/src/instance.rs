//! `netcore-webhooks serve` in the process of the test: all functions behind one HTTP address, and a
//! sender that posts to it. It keeps nothing on disk, unless it is given a folder.

use std::{net::SocketAddr, path::Path};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use netcore_webhooks::{
    local::QueueOptions,
    serve::{Options, Server},
};
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ledger::Ledger;

/// The token of [`POLICY`].
pub const TOKEN: (&str, &str) = ("x-netcore-token", "t0ken-of-the-tests");
/// The policy of an instance that is not about authentication.
pub const POLICY: &str =
    r#"{"accept":[{"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]}]}"#;

/// Every instance of this process holds a share of it. The machine answers a body of megabytes in time
/// only if it does not run the other tests at the same moment.
static MACHINE: RwLock<()> = RwLock::const_new(());

#[expect(dead_code, reason = "held until the instance stops, and never read")]
enum Share {
    Some(RwLockReadGuard<'static, ()>),
    All(RwLockWriteGuard<'static, ()>),
}

/// A running instance, and the sender that posts to it.
pub struct Instance {
    /// What its table and queues hold.
    pub ledger: Ledger,
    /// The server.
    pub server: Server,
    client: HttpClient,
    share: Share,
}

/// What a sender was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {:?}", self.text))
    }

    /// The counts of an accepted request: received, stored, duplicates, queued, dead-lettered.
    pub fn counts(&self) -> [u64; 5] {
        assert_eq!(self.status, 200, "{}", self.text);
        let counts = self.json();
        ["received", "stored", "duplicates", "queued", "dead_lettered"].map(|name| {
            counts[name]
                .as_u64()
                .unwrap_or_else(|| panic!("no {name} in {counts}"))
        })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
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

    /// Sends a request and reads the whole answer.
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
        let (parts, body) = self.0.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

impl Instance {
    /// An instance whose senders have the token [`TOKEN`].
    pub async fn start() -> Self {
        Self::with_policy(POLICY).await
    }

    /// An instance with no other instance of this process beside it.
    pub async fn alone() -> Self {
        Self::on(Share::All(MACHINE.write().await), None, Some(POLICY)).await
    }

    /// An instance with this `WEBHOOK_AUTH`.
    pub async fn with_policy(policy: &str) -> Self {
        Self::on(Share::Some(MACHINE.read().await), None, Some(policy)).await
    }

    /// An instance that keeps its data in a folder, with the policy that it makes at its first start.
    pub async fn in_folder(folder: &Path) -> Self {
        Self::on(Share::Some(MACHINE.read().await), Some(folder), None).await
    }

    async fn on(share: Share, folder: Option<&Path>, policy: Option<&str>) -> Self {
        let server = Server::start(Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: folder.map(Path::to_owned),
            auth: policy.map(str::to_owned),
            queues: QueueOptions::default(),
        })
        .await
        .unwrap();
        Self {
            ledger: Ledger::open(&server.local.instance).await,
            server,
            client: HttpClient::new(),
            share,
        }
    }

    /// Finishes what is under way and stops.
    pub async fn stop(self) {
        self.server.stop().await;
        drop(self.share);
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Posts a body as a provider does.
    pub async fn post(&self, function: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [TOKEN, ("content-type", "application/json")];
        self.post_with(function, &headers, body).await
    }

    /// Posts a body again while the answer is 503, as a sender does. A busy machine does not always
    /// keep a large body in time, and says so.
    pub async fn post_until_kept(&self, function: &str, body: &[u8]) -> Answer {
        for _ in 0..10 {
            let answer = self.post(function, body.to_vec()).await;
            if answer.status != 503 {
                return answer;
            }
            assert_eq!(answer.header("retry-after"), Some("30"));
            // The queue took only some parts of the letter.
            self.ledger.purge_dead().await;
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
