//! A local instance that keeps nothing on disk, and a sender that talks to it over HTTP.
#![allow(
    dead_code,
    reason = "compiled once for each test binary, and each uses a part of it"
)]

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
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
use webhook_ingest::{
    events_table::item::Item,
    operations::clients::{Aws, Timeouts},
    queue::message::{QueueMessage, QueueMessageError},
};

/// The token of [`POLICY`].
pub(crate) const TOKEN: (&str, &str) = ("x-netcore-token", "t0ken-of-the-tests");
/// The policy of an instance that is not about authentication.
pub(crate) const POLICY: &str =
    r#"{"accept":[{"type":"header","name":"x-netcore-token","values":["t0ken-of-the-tests"]}]}"#;

/// Held by every instance of this process. A body of megabytes is answered in time only by a
/// machine that does not run the other tests at the same moment.
static MACHINE: RwLock<()> = RwLock::const_new(());

enum Share {
    Some(RwLockReadGuard<'static, ()>),
    All(RwLockWriteGuard<'static, ()>),
}

pub(crate) struct Instance {
    pub(crate) server: Server,
    pub(crate) aws: Aws,
    client: HttpClient,
    share: Share,
}

/// What a sender was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {:?}", self.text))
    }

    /// The counts of an accepted request: received, stored, duplicates, queued, dead-lettered.
    pub(crate) fn counts(&self) -> [u64; 5] {
        assert_eq!(self.status, 200, "{}", self.text);
        let counts = self.json();
        ["received", "stored", "duplicates", "queued", "dead_lettered"].map(|name| {
            counts[name]
                .as_u64()
                .unwrap_or_else(|| panic!("no {name} in {counts}"))
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An HTTP client that keeps its connections.
#[derive(Clone)]
pub(crate) struct HttpClient(Client<HttpConnector, Full<Bytes>>);

impl HttpClient {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn send(
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
    pub(crate) async fn start() -> Self {
        Self::with_policy(POLICY).await
    }

    /// With no other instance of this process beside it.
    pub(crate) async fn alone() -> Self {
        Self::on(Share::All(MACHINE.write().await), POLICY).await
    }

    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::on(Share::Some(MACHINE.read().await), policy).await
    }

    async fn on(share: Share, policy: &str) -> Self {
        let server = Server::start(Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: None,
            auth: Some(policy.to_owned()),
            queues: QueueOptions::default(),
        })
        .await
        .unwrap();
        let aws = server.local.place.aws(Timeouts::unhurried()).await;
        Self {
            server,
            aws,
            client: HttpClient::new(),
            share,
        }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        drop(self.share);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Posts a body as a provider does.
    pub(crate) async fn post(&self, function: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [TOKEN, ("content-type", "application/json")];
        self.post_with(function, &headers, body).await
    }

    /// Posts a body again while it is refused with 503, as a sender does: what a machine under
    /// load does not keep in time it says so of.
    pub(crate) async fn post_until_kept(&self, function: &str, body: &[u8]) -> Answer {
        for _ in 0..10 {
            let answer = self.post(function, body.to_vec()).await;
            if answer.status != 503 {
                return answer;
            }
            assert_eq!(answer.header("retry-after"), Some("30"));
            // Parts of the letter that did not get through whole.
            self.empty_dead_letters().await;
        }
        panic!("{} bytes were not kept in ten attempts", body.len());
    }

    async fn empty_dead_letters(&self) {
        let url = &self.server.local.place.dead_letter_queue_url;
        self.aws.sqs.purge_queue().queue_url(url).send().await.unwrap();
    }

    pub(crate) async fn post_with(
        &self,
        function: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.send(Method::POST, &format!("/lambda-url/{function}/"), headers, body)
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.client.send(method, &self.url(path), headers, body).await
    }

    /// All items of a message, by status key.
    pub(crate) async fn items(&self, message_id: &str) -> BTreeMap<String, Item> {
        let answer = self
            .aws
            .dynamodb
            .query()
            .table_name(&self.server.local.place.events_table)
            .key_condition_expression("message_id = :id")
            .expression_attribute_values(":id", AttributeValue::S(message_id.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let key = |item: &Item| item["status_key"].as_s().unwrap().clone();
        answer
            .items()
            .iter()
            .map(|item| (key(item), item.clone()))
            .collect()
    }

    /// The one item of a message.
    pub(crate) async fn item(&self, message_id: &str) -> Item {
        let items = self.items(message_id).await;
        assert_eq!(items.len(), 1, "{message_id}: {:?}", items.keys());
        items.into_values().next().unwrap()
    }

    /// How many items the table holds.
    pub(crate) async fn count(&self) -> usize {
        let mut pages = self
            .aws
            .dynamodb
            .scan()
            .table_name(&self.server.local.place.events_table)
            .select(aws_sdk_dynamodb::types::Select::Count)
            .into_paginator()
            .send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += usize::try_from(page.unwrap().count()).unwrap();
        }
        count
    }

    /// Takes everything out of the dead-letter queue; letters in parts are put together.
    pub(crate) async fn take_letters(&self) -> Vec<QueueMessage> {
        let url = &self.server.local.place.dead_letter_queue_url;
        let mut letters = Vec::new();
        let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        loop {
            let received = self
                .aws
                .sqs
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(10)
                .message_attribute_names("All")
                .send()
                .await
                .unwrap();
            if received.messages().is_empty() {
                break;
            }
            for message in received.messages() {
                let body = message.body().unwrap();
                match QueueMessage::read(body) {
                    Ok(letter) => {
                        let attributes = message.message_attributes().unwrap();
                        let attribute = |name: &str| attributes[name].string_value().unwrap();
                        assert_eq!(attribute("reason"), letter.reason.as_str());
                        assert_eq!(attribute("function"), letter.function);
                        letters.push(letter);
                    }
                    Err(QueueMessageError::Partial(part)) => {
                        parts.entry(part.id).or_default().push(body.to_owned());
                    }
                    Err(foreign) => panic!("{foreign}"),
                }
                self.aws
                    .sqs
                    .delete_message()
                    .queue_url(url)
                    .receipt_handle(message.receipt_handle().unwrap())
                    .send()
                    .await
                    .unwrap();
            }
        }
        letters.extend(
            parts
                .into_values()
                .map(|parts| QueueMessage::join(parts.iter().map(String::as_str)).unwrap()),
        );
        letters
    }

    /// Messages in the retry queue and in the dead-letter queue, visible or not.
    pub(crate) async fn depths(&self) -> [u64; 2] {
        let place = &self.server.local.place;
        let mut depths = [0; 2];
        for (depth, url) in depths
            .iter_mut()
            .zip([&place.retry_queue_url, &place.dead_letter_queue_url])
        {
            let answer = self
                .aws
                .sqs
                .get_queue_attributes()
                .queue_url(url)
                .attribute_names(QueueAttributeName::All)
                .send()
                .await
                .unwrap();
            let attributes = answer.attributes().unwrap();
            for name in [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            ] {
                *depth += attributes[&name].parse::<u64>().unwrap();
            }
        }
        depths
    }
}

/// The folder of the provider samples.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A provider sample, as its file holds it.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = fixtures().join(format!("{name}.json"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
