//! All paths, with methods, handlers and descriptions. The router and `/openapi.json` are generated from
//! this list.

use std::sync::Arc;

use aide::{
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    openapi::{Info, License, OpenApi},
    transform::TransformOperation,
};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http::header;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use crate::{AppState, assets, caller::Caller, handlers, refusal::Refusal};

/// A smaller answer fits into one packet.
const MIN_COMPRESSED_BYTES: u64 = 1_024;

/// The router of all paths. The extensions of every response contain its [`MatchedPath`].
pub(crate) fn router(parts: Arc<AppState>) -> Router {
    let mut document = OpenApi {
        info: info(),
        ..OpenApi::default()
    };
    let router = documented().finish_api(&mut document);
    // Infallible for this type.
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let document = axum::body::Bytes::from(document);
    let answer = move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], document.clone()));
    router
        .route("/openapi.json", get(answer))
        .route("/", get(assets::page))
        .route("/assets/{*file}", get(assets::file))
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .layer(compression())
        .layer(middleware::from_fn(name_path))
        .fallback(unknown)
        .with_state(parts)
}

/// Compresses answers with gzip if the caller accepts it, at the lowest level: the template gives the function a
/// third of a core, so a higher level would cost more time than it saves.
fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES))
}

/// The paths of the JSON API.
fn documented() -> ApiRouter<Arc<AppState>> {
    ApiRouter::new()
        .api_route(
            "/api/messages/{message_id}",
            get_with(
                handlers::message,
                summary(
                    "A message: its events, its state, its journey over channels and the replies. At most 4.5 MB: \
                     `truncated` is set if the response is incomplete, and `cursor` returns the rest of the events. \
                     The state is computed from up to 2,000 events or 20 MB.",
                ),
            ),
        )
        .api_route(
            "/api/recipients/{number}",
            get_with(
                handlers::recipient,
                summary(
                    "A person's events under all ids that events link, newest first; 403 for roles that see no \
                     numbers. At most 4.5 MB.",
                ),
            ),
        )
        .api_route(
            "/api/events",
            get_with(
                handlers::events,
                summary(
                    "The events of a day or of a range of up to 366 days, sorted by time; at most 4.5 MB. A page reads \
                     at most 20,000 index entries and 2,000 items (CSV: 20,000), so it can end before it is full: \
                     `searched_to` is the time up to which it read, and `cursor` continues there.",
                ),
            ),
        )
        .api_route(
            "/api/search",
            get_with(
                handlers::search,
                summary(
                    "Messages, people, campaigns and tags by what a customer's system knows of them. Links from digits, \
                     requests and callback data exist some seconds after their event. 403 if the role may not search for \
                     this text.",
                ),
            ),
        )
        .api_route(
            "/api/summary",
            get_with(
                handlers::summary,
                summary("Counts for an overview; the cost depends only on the range."),
            ),
        )
        .api_route("/healthz", get_with(handlers::health, summary("Whether the function is running.")))
        .merge(session_routes())
        .merge(dead_letter_routes())
}

fn session_routes() -> ApiRouter<Arc<AppState>> {
    let methods = get_with(handlers::session, summary("The caller's role and permissions."))
        .post_with(
            handlers::sign_in,
            summary(
                "Signs in, if there is a sign-in; the response sets a cookie. 429 after ten wrong passwords from one \
                 address in 15 minutes, or 200 from all addresses.",
            ),
        )
        .delete_with(
            handlers::sign_out,
            summary("Signs out: ends the session, also for copies of its cookie, and deletes the cookie."),
        );
    ApiRouter::new().api_route("/api/session", methods)
}

fn dead_letter_routes() -> ApiRouter<Arc<AppState>> {
    ApiRouter::new()
        .api_route(
            "/api/dead-letters",
            get_with(
                handlers::dead_letters,
                summary("Depths of the queues and the newest dead letters."),
            ),
        )
        .api_route(
            "/api/dead-letters/{id}/redrive",
            post_with(handlers::redrive, summary("Sends a dead letter to the retry queue.")),
        )
        .api_route(
            "/api/dead-letters/{id}/discard",
            post_with(
                handlers::discard,
                summary(
                    "Deletes a dead letter; the response contains it. 409 if it is too large for a response: use the \
                     command `dead-letters discard`.",
                ),
            ),
        )
}

fn summary(what: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(what)
}

fn info() -> Info {
    Info {
        title: "netcore-webhooks".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: Some(
            "Events and states of RCS, SMS and WhatsApp messages. Times are epoch milliseconds, days are UTC. Later \
             versions add fields, parameters and paths, but do not rename or remove them or change their types: ignore \
             fields that you do not know."
                .to_owned(),
        ),
        license: Some(License {
            name: "Apache-2.0 OR MIT".to_owned(),
            ..License::default()
        }),
        ..Info::default()
    }
}

/// Adds the matched route to the response, for the log: a route contains no id and no number.
async fn name_path(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(path);
    }
    response
}

/// Requests for a path that does not exist: it supports no method, so there is none to name. Only authenticated
/// callers get 404.
async fn unknown(_: Caller) -> Refusal {
    Refusal::NotFound("there is nothing at this path".into())
}
