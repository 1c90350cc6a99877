//! The results of messages, for people and their tools: a page, a JSON API over the events table and
//! its counters, and a look into the queues.
//!
//! `api` owns paths and status codes, `params` the parameters, `door` who comes in, `access` who may
//! see what; `attempts` counts failed sign-ins, `sessions` knows which sessions were ended. `table`,
//! `days` and `summary` are the queries, `timeline` what they mean, `queues` the dead letters. `answers`
//! are the types that the answers and `/openapi.json` are written from; `redaction` says what a viewer
//! gets of each field, and `tokens` replaces ids for him; `sizes` is how large an answer may be, `bounds`
//! makes an overview fit. `assets` is the page, `csv` a list for spreadsheets.

mod access;
mod answers;
mod api;
mod assets;
mod bounds;
mod config;
mod csv;
mod days;
mod ended_sessions;
mod openapi;
mod params;
mod queues;
mod rate_limit;
mod redaction;
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

pub use access::{AccessError, Role};
pub use config::DashboardConfig;

/// This function's name in logs.
const FUNCTION: &str = "dashboard";

/// The dashboard at work. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard(Arc<Parts>);

struct Parts {
    table: table::EventsTable,
    counters: summary::Counters,
    queues: queues::Queues,
    attempts: rate_limit::Attempts,
    sessions: ended_sessions::Sessions,
    sign_in: Option<RefreshingSecret<access::SignIn>>,
    /// Of callers who need no sign-in.
    role: Role,
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
        Ok(Self(Arc::new(Parts {
            table: table::EventsTable::new(dynamodb.clone(), config.storage.events_table.clone()),
            counters: summary::Counters::new(dynamodb.clone(), rollups.clone()),
            queues: queues::Queues::new(aws.sqs.clone(), &config.storage),
            attempts: rate_limit::Attempts::new(dynamodb.clone(), rollups.clone()),
            sessions: ended_sessions::Sessions::new(dynamodb.clone(), rollups.clone()),
            sign_in,
            role: config.role,
            redrive: config.redrive,
        })))
    }

    /// Answers one request. Never fails: what goes wrong is an answer.
    pub async fn handle(self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let response = api::answer(&self.0, &request).await;
        tracing::info!(
            function = FUNCTION,
            request_id = request
                .lambda_context_ref()
                .map(|context| context.request_id.as_str()),
            method = request.method().as_str(),
            path = api::kind(request.uri().path()),
            status = response.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        response
    }
}

/// Why a question has no answer. The last is ours, the others are the caller's.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("sign in first")]
    SignInFirst,
    #[error("the password is not right")]
    WrongPassword,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    NotFound(String),
    #[error("this path does not take this method")]
    MethodNotAllowed(&'static str),
    #[error("{0}")]
    Conflict(String),
    /// With the seconds until the next try.
    #[error("too many tries; wait and try again")]
    TooManyTries(i64),
    #[error("{0}")]
    Unavailable(String),
}
