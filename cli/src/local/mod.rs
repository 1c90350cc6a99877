//! DynamoDB and SQS on this machine, in this process: real servers of the real protocols, which
//! the SDK talks to over HTTP as it does to AWS. For `serve` and for tests.

mod journal;
mod queues;
pub(crate) mod stream;
mod tables;

use std::path::Path;

use anyhow::Context as _;
use dynoxide::Database;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use webhook_ingest::{
    aws::{Aws, LocalEndpoints, Patience, Roots},
    config::StorageConfig,
    queue::{MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT},
};

/// The name of the events table.
pub const EVENTS_TABLE: &str = "netcore-webhooks-events";
/// The name of the counters' table.
pub const ROLLUPS_TABLE: &str = "netcore-webhooks-rollups";

/// How the queues behave.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    /// How long a message that was received stays hidden, in seconds.
    pub visibility_timeout_seconds: u32,
    /// How often a message is received before it moves to the dead-letter queue.
    pub max_receive_count: u32,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            visibility_timeout_seconds: u32::try_from(VISIBILITY_TIMEOUT.as_secs()).unwrap_or(u32::MAX),
            max_receive_count: MAX_RECEIVE_COUNT,
        }
    }
}

/// Where a running instance is found: written into its data folder for the other commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// URL of the server for tables.
    pub dynamodb: String,
    /// URL of the server for queues.
    pub sqs: String,
    /// The events table.
    pub events_table: String,
    /// The counters' table.
    pub rollups_table: String,
    /// The retry queue.
    pub retry_queue_url: String,
    /// The dead-letter queue.
    pub dead_letter_queue_url: String,
}

impl Place {
    /// Clients for it.
    pub async fn aws(&self, patience: Patience) -> Aws {
        let endpoints = LocalEndpoints {
            dynamodb: self.dynamodb.clone(),
            sqs: self.sqs.clone(),
        };
        Aws::local(&endpoints, patience).await
    }

    /// The configuration of a function that stores into it.
    pub fn storage(&self) -> StorageConfig {
        StorageConfig {
            events_table: self.events_table.clone(),
            retry_queue_url: self.retry_queue_url.clone(),
            dead_letter_queue_url: self.dead_letter_queue_url.clone(),
            retention_days: 180,
            late_after_hours: 72,
            roots: Roots::Amazon,
        }
    }

    /// The environment of a function that runs as a process of its own.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("EVENTS_TABLE", self.events_table.clone()),
            ("ROLLUPS_TABLE", self.rollups_table.clone()),
            ("RETRY_QUEUE_URL", self.retry_queue_url.clone()),
            ("DEAD_LETTER_QUEUE_URL", self.dead_letter_queue_url.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.clone()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.clone()),
            ("AWS_REGION", "local".into()),
            ("AWS_ACCESS_KEY_ID", "local".into()),
            ("AWS_SECRET_ACCESS_KEY", "local".into()),
        ]
    }
}

/// Running servers. They stop when this is dropped; [`Local::stop`] waits for it.
pub struct Local {
    /// Where they are found.
    pub place: Place,
    /// Whether the folder held events that were never counted.
    pub uncounted: bool,
    pub(crate) database: Database,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Local {
    /// Starts both servers on free ports and creates table and queues. With a folder, what they
    /// hold survives a restart.
    ///
    /// # Errors
    /// If the folder cannot be written or no port is free.
    pub async fn start(data: Option<&Path>, queues: QueueOptions) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (database, dynamodb, table_tasks) = tables::start(data, stopped.clone()).await?;
        let (sqs, queue_task) = queues::start(data, stopped).await?;
        let mut place = Place {
            dynamodb,
            sqs,
            events_table: EVENTS_TABLE.to_owned(),
            rollups_table: ROLLUPS_TABLE.to_owned(),
            retry_queue_url: String::new(),
            dead_letter_queue_url: String::new(),
        };
        let aws = place.aws(Patience::unhurried()).await;
        let uncounted = tables::create(&aws.dynamodb).await?;
        (place.retry_queue_url, place.dead_letter_queue_url) = queues::create(&aws.sqs, queues).await?;
        queues::restore(data, &place, &aws.sqs).await?;
        let mut tasks = table_tasks;
        tasks.push(queue_task);
        Ok(Self {
            place,
            uncounted,
            database,
            stop,
            tasks,
        })
    }

    /// All records of the events table's stream, in order, in the form in which Lambda delivers them.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub fn stream(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        const PAGE: usize = 1000;
        let mut all = Vec::new();
        let mut position = stream::beginning(&self.database)?;
        loop {
            let (records, next) = stream::after(&self.database, &position, PAGE)?;
            let is_last = records.is_empty();
            all.extend(records);
            if is_last {
                return Ok(all);
            }
            position = next;
        }
    }

    /// Stops the servers after the requests under way.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// A listener on a free port of this machine, and its URL.
async fn listen() -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("no free port on 127.0.0.1")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// Resolves when the servers are to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
