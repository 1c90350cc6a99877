//! The results of messages, for people and their tools: a page, a JSON API over the events table and
//! its counters, and a look into the queues.
//!
//! `routes` is the one list of paths, `handlers` has a function for each. `extract` makes types from
//! requests, `params` are those types; `respond` makes responses from answers, `refusal` from errors, and
//! `api` connects the router to the platform. `caller` is who asks, `roles` what they may do, `access` the
//! sign-in and its sessions, `ended_sessions` those that were ended, `rate_limit` the failed sign-ins.
//!
//! `table`, `days` and `summary` are the queries, `cursor` where they go on, `timeline` what they mean,
//! `queues` the dead letters. `answers` are the types of the answers; `redaction` says what a viewer gets of
//! each field, and `tokens` replaces ids for viewers; `sizes` is how large an answer may be, `bounds` makes
//! an overview fit. `assets` is the page, `csv` a list for spreadsheets.

mod access;
mod answers;
mod api;
mod assets;
mod bounds;
mod caller;
mod config;
mod csv;
mod cursor;
mod days;
mod ended_sessions;
mod extract;
mod handlers;
mod params;
mod parts;
mod queues;
mod rate_limit;
mod redaction;
mod refusal;
mod respond;
mod roles;
mod routes;
mod sign_in;
mod sizes;
mod summary;
mod table;
mod timeline;
mod tokens;

use std::{sync::Arc, time::Instant};

use http::Response;
use lambda_http::{Body, Request, RequestExt as _};
use webhook_ingest::{auth::RefreshingSecret, event::time, operations::clients::Aws};

pub use access::AccessError;
pub use config::DashboardConfig;
pub use roles::AccessRole;

/// This function's name in logs.
const FUNCTION: &str = "dashboard";

/// The dashboard at work. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    router: axum::Router,
}

struct Parts {
    table: table::EventsTable,
    counters: summary::Counters,
    queues: queues::Queues,
    attempts: rate_limit::Attempts,
    sessions: ended_sessions::Sessions,
    sign_in: Option<RefreshingSecret<access::SignIn>>,
    /// Of callers who need no sign-in.
    role: AccessRole,
    /// Whether the function may change the queues.
    redrive: bool,
}

impl Dashboard {
    /// A dashboard on tables and queues.
    ///
    /// # Errors
    /// [`AccessError`] if the sign-in cannot be fetched or is none.
    pub async fn start(config: &DashboardConfig, aws: &Aws) -> Result<Self, AccessError> {
        let sign_in = match &config.auth {
            Some(auth) => {
                Some(RefreshingSecret::start(&auth.0, config.auth_refresh, &aws.config, time::now()).await?)
            }
            None => None,
        };
        let (dynamodb, rollups) = (&aws.dynamodb, &config.rollups_table);
        let parts = Arc::new(Parts {
            table: table::EventsTable::new(dynamodb.clone(), config.storage.events_table.clone()),
            counters: summary::Counters::new(dynamodb.clone(), rollups.clone()),
            queues: queues::Queues::new(aws.sqs.clone(), &config.storage),
            attempts: rate_limit::Attempts::new(dynamodb.clone(), rollups.clone()),
            sessions: ended_sessions::Sessions::new(dynamodb.clone(), rollups.clone()),
            sign_in,
            role: config.role,
            redrive: config.redrive,
        });
        Ok(Self {
            router: routes::router(parts),
        })
    }

    /// Answers one request. Never fails: what goes wrong is an answer.
    pub async fn handle(self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let context = request.lambda_context_ref();
        let request_id = context.map(|context| context.request_id.clone());
        let method = request.method().clone();
        let (response, path) = api::answer(&self, request).await;
        tracing::info!(
            function = FUNCTION,
            request_id,
            method = method.as_str(),
            path,
            status = response.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        response
    }
}
