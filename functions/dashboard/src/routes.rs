//! The one list of paths: each with its methods, their handlers and what they do. The router is made from
//! it, and so is `/openapi.json`.

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
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, Method, header};

use crate::{Parts, assets, caller::Caller, handlers, refusal::Refusal};

/// The router of all paths. Every response says in its extensions which path it is of, as a [`MatchedPath`].
pub(crate) fn router(parts: Arc<Parts>) -> Router {
    let mut document = OpenApi {
        info: info(),
        ..OpenApi::default()
    };
    let router = documented().finish_api(&mut document);
    // Plain data, which always is JSON.
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let document = axum::body::Bytes::from(document);
    let answer = move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], document.clone()));
    router
        .route("/openapi.json", get(answer))
        .route("/", get(assets::page))
        .route("/assets/{*file}", get(assets::file))
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .layer(middleware::from_fn(name_path))
        .fallback(unknown)
        .with_state(parts)
}

/// The paths of the JSON API.
fn documented() -> ApiRouter<Arc<Parts>> {
    ApiRouter::new()
        .api_route(
            "/api/messages/{message_id}",
            get_with(
                handlers::message,
                does(
                    "A message: its events, its state, its journey over channels and the answers to it. 4.5 MB at \
                     most: `truncated` says that something was left out, `cursor` leads to the rest of the events. \
                     The state is folded from up to 2,000 events or 20 MB.",
                ),
            ),
        )
        .api_route(
            "/api/recipients/{number}",
            get_with(
                handlers::recipient,
                does("A person's events, the newest first; 403 for roles that see no numbers. 4.5 MB at most."),
            ),
        )
        .api_route(
            "/api/events",
            get_with(
                handlers::day,
                does("The events of a day, the newest first; 4.5 MB at most."),
            ),
        )
        .api_route(
            "/api/summary",
            get_with(
                handlers::summary,
                does("Counts for an overview; its cost depends on the range only."),
            ),
        )
        .api_route("/healthz", get_with(handlers::health, does("Whether the function runs.")))
        .merge(of_sessions())
        .merge(of_dead_letters())
}

fn of_sessions() -> ApiRouter<Arc<Parts>> {
    let methods = get_with(handlers::session, does("Who is asking and what they may do."))
        .post_with(
            handlers::sign_in,
            does(
                "Signs in where there is a sign-in; the answer sets a cookie. Ten wrong passwords from one address in \
                 15 minutes, or 200 from all, then 429.",
            ),
        )
        .delete_with(
            handlers::sign_out,
            does("Signs out: ends the session, also where its cookie was copied to, and takes the cookie away."),
        );
    ApiRouter::new().api_route("/api/session", methods)
}

fn of_dead_letters() -> ApiRouter<Arc<Parts>> {
    ApiRouter::new()
        .api_route(
            "/api/dead-letters",
            get_with(
                handlers::dead_letters,
                does("Depths of the queues and a look at the newest dead letters."),
            ),
        )
        .api_route(
            "/api/dead-letters/{id}/redrive",
            post_with(handlers::redrive, does("Sends a dead letter to the retry queue.")),
        )
        .api_route(
            "/api/dead-letters/{id}/discard",
            post_with(
                handlers::discard,
                does(
                    "Deletes a dead letter; the answer holds it. One that is larger than an answer can be stays (409): \
                     use the command `dead-letters discard`.",
                ),
            ),
        )
}

fn does(what: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(what)
}

fn info() -> Info {
    Info {
        title: "netcore-webhooks".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: Some(
            "Events and states of RCS, SMS and WhatsApp messages. Times are epoch milliseconds, days are UTC."
                .to_owned(),
        ),
        license: Some(License {
            name: "Apache-2.0 OR MIT".to_owned(),
            ..License::default()
        }),
        ..Info::default()
    }
}

/// Puts the path that a request matched into its response, for the log: it holds no id and no number.
async fn name_path(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(path);
    }
    response
}

/// Requests for a path that does not exist. Only callers with a session learn that it does not.
async fn unknown(method: Method, _: Caller) -> Response {
    if method == Method::GET || method == Method::HEAD {
        return Refusal::NotFound("there is nothing at this path".into()).into_response();
    }
    let mut response = Refusal::MethodNotAllowed.into_response();
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}
