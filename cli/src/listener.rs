//! HTTP/1.1 for `serve`: connections within limits, so that a peer that stalls or vanishes holds
//! nothing for long and keeps nobody from stopping the process.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::ConnectInfo,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Bounds of a listener. No peer can change them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once. Further ones wait in the listener's backlog until one ends.
    pub(crate) connections: usize,
    /// For the head of a request, and for the wait before it on a connection that is kept alive.
    /// A connection that takes longer is closed.
    pub(crate) head: Duration,
    /// For the body of a request. A slower one gets a 408, and its connection is closed.
    pub(crate) body: Duration,
    /// How long a connection lives. Then its last request is finished and it is closed, so that a
    /// peer that does not read its answer ends too.
    pub(crate) connection: Duration,
    /// How long requests under way may take after a stop.
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(20),
            body: Duration::from_secs(30),
            connection: Duration::from_mins(10),
            grace: Duration::from_secs(10),
        }
    }
}

/// How long a connection without a request may take to close after a stop.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long to wait when the system has no further socket to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop; then finishes the requests under way and drops all other connections.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut stop = pin!(until(stopped.clone()));
    loop {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        tokio::select! {
            () = stop.as_mut() => break,
            (slot, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let served = connection(stream, peer, app.clone(), limits, stopped.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Resolves when the servers are to stop.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    let under_way = Arc::new(AtomicUsize::new(0));
    let count = under_way.clone();
    let app = app.layer(Extension(ConnectInfo(peer)));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (app, count) = (TowerToHyperService::new(app.clone()), count.clone());
        async move {
            count.fetch_add(1, Ordering::Relaxed);
            let response = hyper::service::Service::call(&app, request).await;
            count.fetch_sub(1, Ordering::Relaxed);
            response
        }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .serve_connection(TokioIo::new(stream), service)
    );
    // An error is the peer's: it stalled, or it is gone.
    tokio::select! {
        _ = served.as_mut() => return,
        () = until(stopped) => {}
        () = sleep(limits.connection) => {}
    }
    served.as_mut().graceful_shutdown();
    let idle = under_way.load(Ordering::Relaxed) == 0;
    let grace = if idle { GOODBYE } else { limits.grace };
    if timeout(grace, served).await.is_err() && !idle {
        tracing::warn!("a request was cut off after {} s", grace.as_secs());
    }
}

/// The whole body, or the answer to a peer that sent too much or took too long.
pub(crate) async fn read(body: Body, most: usize, within: Duration) -> Result<Bytes, Response> {
    match timeout(within, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response())
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off\n").into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()),
    }
}

/// Whether the request names this machine. A page elsewhere can point a name of its site at this
/// machine, and the browser would then let it in; the name reveals it.
pub(crate) fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
