//! The dashboard: a web page and a JSON API for events, counters and dead letters.
//!
//! `routes` lists the paths, and `handlers` has a function for each. `extract` validates requests, and
//! `params` has the types of their parameters. `respond` converts results to responses, and `refusal`
//! converts errors. `api` connects the router to Lambda. `caller` identifies the caller, `roles` defines
//! permissions, `access` has passwords and sessions, `ended_sessions` stores sessions that were ended, and
//! `rate_limit` counts failed sign-ins.
//!
//! `table`, `days`, `summary` and `search` query DynamoDB. `merge` merges partitions of an index, `entries` gets the items of index
//! entries, `reader` fills a page with them, `filter` has the conditions for them, `known_hours` the
//! hours that they can skip, and `cursor` encodes positions.
//! `events_query` and `zones` have the parameters of a list of events. `timeline` computes states and journeys from
//! items, and `queues` reads dead letters. `answers` has the types of responses. `redaction`
//! filters each field for viewers, and `tokens` replaces ids for them. `sizes` limits responses, and `bounds`
//! shortens an overview. `assets` serves the page's files, and `csv` writes lists for spreadsheets.

mod access;
mod answered;
mod answers;
mod api;
mod assets;
mod bot_names;
mod bounds;
mod caller;
mod clock;
mod config;
mod csv;
mod cursor;
mod days;
mod ended_sessions;
mod entries;
mod events_query;
mod extract;
mod filter;
mod handlers;
mod known_hours;
mod merge;
mod pages;
mod params;
mod people;
mod queues;
mod rate_limit;
mod reader;
mod redaction;
mod refusal;
mod respond;
mod roles;
mod routes;
mod search;
mod sign_in;
mod sizes;
mod summary;
mod table;
mod timeline;
mod tokens;
mod zones;

use std::{sync::Arc, time::Instant};

use http::Response;
use lambda_http::{Body, Request, RequestExt as _};
use webhook_ingest::{
    auth::RefreshingSecret, event::time, events_table::EventsTable, operations::clients::Aws,
};

pub use access::{AccessError, check_passwords};
pub use bot_names::BotNames;
pub use config::DashboardConfig;
pub use csv::escape_formulas;
pub use redaction::without_numbers;
pub use roles::AccessRole;
pub use summary::RateCard;

/// This function's name in logs.
const FUNCTION: &str = "dashboard";

/// The running dashboard. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    router: axum::Router,
}

struct AppState {
    table: table::EventsTable,
    counters: summary::Counters,
    people: people::People,
    search: search::Search,
    queues: queues::Queues,
    attempts: rate_limit::Attempts,
    sessions: ended_sessions::Sessions,
    sign_in: Option<RefreshingSecret<access::SignIn>>,
    bot_names: bot_names::BotNames,
    /// Role of callers if there is no sign-in.
    role: AccessRole,
    /// Whether the function may change the queues.
    redrive: bool,
}

impl Dashboard {
    /// Creates a dashboard for tables and queues.
    ///
    /// # Errors
    /// [`AccessError`] if `DASHBOARD_AUTH` cannot be fetched or is invalid.
    pub async fn start(config: &DashboardConfig, aws: &Aws) -> Result<Self, AccessError> {
        let sign_in = match &config.auth {
            Some(auth) => {
                Some(RefreshingSecret::start(&auth.0, config.auth_refresh, &aws.config, time::now()).await?)
            }
            None => None,
        };
        let (dynamodb, rollups) = (&aws.dynamodb, &config.rollups_table);
        let parts = Arc::new(AppState {
            table: table::EventsTable::new(
                dynamodb.clone(),
                config.storage.events_table.clone(),
                rollups.clone(),
            ),
            counters: summary::Counters::new(dynamodb.clone(), rollups.clone(), config.rate_card.clone()),
            people: people::People::new(dynamodb.clone(), rollups.clone()),
            search: search::Search::new(
                dynamodb.clone(),
                config.storage.events_table.clone(),
                rollups.clone(),
                config.search_index,
            ),
            queues: queues::Queues::new(
                aws.sqs.clone(),
                &config.storage,
                EventsTable::new(dynamodb.clone(), config.storage.events_table.clone()),
            ),
            attempts: rate_limit::Attempts::new(dynamodb.clone(), rollups.clone()),
            sessions: ended_sessions::Sessions::new(dynamodb.clone(), rollups.clone()),
            sign_in,
            bot_names: config.bot_names.clone(),
            role: config.role,
            redrive: config.redrive,
        });
        Ok(Self {
            router: routes::router(parts),
        })
    }

    /// Handles one request. Never fails: every error has a response.
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
