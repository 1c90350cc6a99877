//! Embedded DynamoDB and SQS for `serve` and for tests. They implement the real protocols: the SDK
//! calls them over HTTP, as it calls AWS.

mod access_key;
mod engine;
mod journal;
mod layout;
mod names;
mod queues;
pub(crate) mod stream;
mod tables;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::JoinHandle,
    time::timeout,
};
use webhook_ingest::{
    operations::{
        clients::{Aws, LocalEndpoints, Roots, Timeouts},
        config::{STACK_NAME, StorageConfig},
    },
    queue::{MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT},
};

use self::{access_key::AccessKey, journal::Journal, stream::Stream};
use crate::private;

/// Prefixes of the files that the command creates in a data folder.
const FILES: &[&str] = &[
    "discarded-",
    "erasure",
    "lock",
    "queues.",
    "restore",
    "running.json",
    "tables.sqlite",
    "webhook-auth.json",
];

/// Name of the events table.
pub const EVENTS_TABLE: &str = "netcore-webhooks-events";
/// Name of the counters' table.
pub const ROLLUPS_TABLE: &str = "netcore-webhooks-rollups";

/// The indexes of a new events table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Indexes {
    /// With the attributes that queries need, as in a new stack.
    #[default]
    Lean,
    /// With whole items, as in a stack of an earlier version.
    Whole,
    /// None, as in a stack with both indexes disabled.
    Missing,
}

/// Options of the tables and queues.
#[derive(Debug, Clone, Copy)]
pub struct LocalOptions {
    /// Indexes of a new events table. An existing table keeps its indexes.
    pub indexes: Indexes,
    /// Visibility timeout in seconds.
    pub visibility_timeout_seconds: u32,
    /// Receives after which a message moves to the dead-letter queue.
    pub max_receive_count: u32,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            indexes: Indexes::default(),
            visibility_timeout_seconds: u32::try_from(VISIBILITY_TIMEOUT.as_secs()).unwrap_or(u32::MAX),
            max_receive_count: MAX_RECEIVE_COUNT,
        }
    }
}

/// Addresses and names of a running instance, written to its data folder for the other commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningInstance {
    /// URL of the DynamoDB server.
    pub dynamodb: String,
    /// URL of the SQS server.
    pub sqs: String,
    /// Access key id that both servers require. It is a secret, new at each start.
    pub access_key_id: String,
    /// Name of the events table.
    pub events_table: String,
    /// Name of the counters' table.
    pub rollups_table: String,
    /// URL of the retry queue.
    pub retry_queue_url: String,
    /// URL of the dead-letter queue.
    pub dead_letter_queue_url: String,
    /// Base URL of the functions and the dashboard, without a slash at its end; empty if they are not served.
    #[serde(default)]
    pub url: String,
}

impl RunningInstance {
    /// Clients for the instance.
    pub async fn aws(&self, timeouts: Timeouts) -> Aws {
        let endpoints = LocalEndpoints {
            dynamodb: self.dynamodb.clone(),
            sqs: self.sqs.clone(),
            access_key_id: self.access_key_id.clone(),
        };
        Aws::local(&endpoints, timeouts).await
    }

    /// Configuration of a function that stores into the instance.
    pub fn storage(&self) -> StorageConfig {
        StorageConfig {
            events_table: self.events_table.clone(),
            retry_queue_url: self.retry_queue_url.clone(),
            dead_letter_queue_url: self.dead_letter_queue_url.clone(),
            retention_days: 180,
            late_after_hours: 72,
            roots: Roots::Amazon,
            stack_name: STACK_NAME.to_owned(),
        }
    }

    /// Asks the running instance to remove deleted content from its files: stream records, free
    /// pages, the write-ahead log, and lines of deleted messages in the queues' journal.
    /// Returns whether the stream was read to its end; if not, it still contains events.
    ///
    /// # Errors
    /// If the instance does not answer within a minute, or answers with an error.
    pub async fn purge(&self) -> anyhow::Result<bool> {
        const TIMEOUT: Duration = Duration::from_mins(1);
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = http::Request::post(&self.dynamodb)
            .header(
                "x-amz-target",
                format!("{}.{}", access_key::OWN_OPERATIONS, access_key::PURGE),
            )
            .header(AUTHORIZATION, access_key::authorization(&self.access_key_id))
            .body(Full::default())?;
        let answer = timeout(TIMEOUT, client.request(request)).await??;
        anyhow::ensure!(
            answer.status().is_success(),
            "the local instance answered {}",
            answer.status()
        );
        let answer: access_key::Purged =
            serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
        Ok(answer.stream_drained)
    }

    /// Environment variables for a function in a separate process.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("EVENTS_TABLE", self.events_table.clone()),
            ("ROLLUPS_TABLE", self.rollups_table.clone()),
            ("RETRY_QUEUE_URL", self.retry_queue_url.clone()),
            ("DEAD_LETTER_QUEUE_URL", self.dead_letter_queue_url.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", self.dynamodb.clone()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.clone()),
            ("AWS_REGION", "local".into()),
            // AWS CLI 1 and boto3 read only this one.
            ("AWS_DEFAULT_REGION", "local".into()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", "local".into()),
        ]
    }
}

/// The running servers. They stop when this is dropped; [`Local::stop`] also waits for them.
pub struct Local {
    /// Addresses and names.
    pub instance: RunningInstance,
    /// Whether the folder contains events that were never counted.
    pub uncounted: bool,
    pub(crate) stream: Stream,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Local {
    /// Starts both servers on free ports and creates tables and queues. With a folder, their content
    /// survives a restart.
    ///
    /// # Errors
    /// If the folder cannot be written or no port is free.
    pub async fn start(data: Option<&Path>, options: LocalOptions) -> anyhow::Result<Self> {
        if let Some(folder) = data {
            private::folder(folder, FILES)
                .with_context(|| format!("{} cannot be restricted to its owner", folder.display()))?;
        }
        let (stop, stopped) = watch::channel(false);
        let access_key = AccessKey { key: random()? };
        let folder = data.map(Path::to_owned);
        let (engine, uncounted) =
            tokio::task::spawn_blocking(move || tables::open(folder.as_deref(), options.indexes)).await??;
        let journal = data.map(Journal::start).transpose()?;
        let journal = Arc::new(journal.map(Mutex::new));
        let stream = Stream::new(engine.clone());
        let (dynamodb, mut tasks) = tables::start(
            engine,
            stream.clone(),
            journal.clone(),
            access_key.clone(),
            stopped.clone(),
        )
        .await?;
        let (sqs, task) = queues::start(journal, access_key.clone(), stopped).await?;
        tasks.push(task);
        let mut instance = RunningInstance {
            dynamodb,
            sqs,
            access_key_id: access_key.key,
            events_table: EVENTS_TABLE.to_owned(),
            rollups_table: ROLLUPS_TABLE.to_owned(),
            retry_queue_url: String::new(),
            dead_letter_queue_url: String::new(),
            url: String::new(),
        };
        let aws = instance.aws(Timeouts::background()).await;
        (instance.retry_queue_url, instance.dead_letter_queue_url) =
            queues::create(&aws.sqs, options).await?;
        queues::restore(data, &instance, &aws.sqs).await?;
        Ok(Self {
            instance,
            uncounted,
            stream,
            stop,
            tasks,
        })
    }

    /// All records of the events table's stream, in order, in the format in which Lambda
    /// delivers them.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub fn stream(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        const PAGE: usize = 1000;
        let mut all = Vec::new();
        let mut position = stream::BEGINNING;
        loop {
            let (records, next) = self.stream.after(position, PAGE)?;
            let is_last = next == position;
            all.extend(records);
            if is_last {
                return Ok(all);
            }
            position = next;
        }
    }

    /// Creates a table with the keys of the events table, without indexes and stream, as DynamoDB restores one. It lasts
    /// as long as the servers' storage; nothing sweeps its expired items.
    ///
    /// # Errors
    /// If it exists.
    pub fn create_restored_table(&self, name: &str) -> anyhow::Result<()> {
        self.stream.create_restored_table(name)
    }

    /// Finishes the requests in progress and stops the servers.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// A random text in the format of an access key id.
fn random() -> anyhow::Result<String> {
    let bytes = private::random::<16>()?;
    Ok(format!("LOCAL{}", hex::encode_upper(bytes)))
}

/// A listener on a free port of this machine, and its URL.
async fn listen() -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("no free port on 127.0.0.1")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
