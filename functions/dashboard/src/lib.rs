//! Read-only answers about what became of messages: a JSON API over the events table and a look
//! into the queues.
//!
//! `api` owns paths and status codes, `table` the queries, `timeline` what they mean,
//! `queues` the depths.

mod api;
mod queues;
mod table;
mod timeline;

use std::sync::Arc;

use http::Response;
use lambda_http::{Body, Request};
use webhook_ingest::{aws::Aws, config::StorageConfig};

/// The dashboard at work. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard(Arc<Parts>);

struct Parts {
    table: table::EventsTable,
    queues: queues::Queues,
}

impl Dashboard {
    /// A dashboard on a table and its queues.
    pub fn start(config: &StorageConfig, aws: &Aws) -> Self {
        Self(Arc::new(Parts {
            table: table::EventsTable::new(aws.dynamodb.clone(), config.events_table.clone()),
            queues: queues::Queues::new(aws.sqs.clone(), config),
        }))
    }

    /// Answers one request of the JSON API. Never fails: what goes wrong is an answer.
    pub async fn handle(self, request: Request) -> Response<Body> {
        api::answer(&self.0, &request).await
    }
}

/// Why a question has no answer. The first three are the caller's, the last ours.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(String),
    #[error("the dashboard only reads: use GET")]
    MethodNotAllowed,
    #[error("{0}")]
    Unavailable(String),
}
