//! HTTP/1.1 server with limits: a peer that stalls or disappears cannot hold resources for long or
//! block a shutdown.

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

/// Limits of a listener. A peer cannot change them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Maximum of open connections. Others wait in the listener's backlog.
    pub(crate) connections: usize,
    /// Time for the head of a request, and for the idle time before it on a keep-alive connection.
    /// Then the connection is closed.
    pub(crate) head: Duration,
    /// Time for the body of a request. Then the response is 408, and the connection is closed.
    pub(crate) body: Duration,
    /// Lifetime of a connection. Then the last request is finished and the connection is closed,
    /// even if the peer does not read the response.
    pub(crate) connection: Duration,
    /// Time for requests in progress after a stop.
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

/// Time for an idle connection to close after a stop.
const IDLE_GRACE: Duration = Duration::from_millis(500);
/// Pause after a failed accept, for example when no file descriptor is free.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until a stop; then finishes the requests in progress and closes all other connections.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut stop = pin!(until_stopped(stopped.clone()));
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

/// Resolves at a stop.
pub(crate) async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender was dropped, which is also a stop.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    let in_progress = Arc::new(AtomicUsize::new(0));
    let count = in_progress.clone();
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
    // An error here means that the peer stalled or disconnected.
    tokio::select! {
        _ = served.as_mut() => return,
        () = until_stopped(stopped) => {}
        () = sleep(limits.connection) => {}
    }
    served.as_mut().graceful_shutdown();
    let idle = in_progress.load(Ordering::Relaxed) == 0;
    let grace = if idle { IDLE_GRACE } else { limits.grace };
    if timeout(grace, served).await.is_err() && !idle {
        tracing::warn!("a request was aborted after {} s", grace.as_secs());
    }
}

/// The whole body, or the response to a body that is too large or too slow.
pub(crate) async fn read(body: Body, limit: usize, time_limit: Duration) -> Result<Bytes, Response> {
    match timeout(time_limit, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response())
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body is incomplete\n").into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()),
    }
}

/// Whether the `Host` header names this machine. This prevents DNS rebinding: a website can point
/// its own domain at this machine, and the browser then treats this server as the same origin.
pub(crate) fn is_local_host(headers: &HeaderMap) -> bool {
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::extract::State;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Notify,
        task::JoinHandle,
    };

    use super::*;

    const TIMEOUT: Duration = Duration::from_mins(1);
    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";

    struct Running {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
        go_on: Arc<Notify>,
    }

    /// Echoes the body; at `/slow` only after `go_on`.
    async fn run(limits: Limits) -> Running {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let go_on = Arc::new(Notify::new());
        let answer = move |State(go_on): State<Arc<Notify>>, request: Request<Body>| async move {
            let slow = request.uri().path() == "/slow";
            let body = match read(request.into_body(), 1000, limits.body).await {
                Ok(body) => body,
                Err(answer) => return answer,
            };
            if slow {
                go_on.notified().await;
            }
            body.into_response()
        };
        let app = Router::new().fallback(answer).with_state(go_on.clone());
        let task = tokio::spawn(serve(listener, app, limits, stopped));
        Running {
            address,
            stop,
            task,
            go_on,
        }
    }

    fn short() -> Limits {
        Limits {
            head: Duration::from_millis(300),
            body: Duration::from_millis(300),
            connection: Duration::from_secs(2),
            ..Limits::default()
        }
    }

    /// Everything that a peer receives until its connection ends.
    async fn end(mut peer: TcpStream) -> String {
        let mut received = Vec::new();
        let ended = timeout(TIMEOUT, peer.read_to_end(&mut received)).await;
        // A reset also ends the connection.
        let _ = ended.expect("the connection ends");
        String::from_utf8(received).unwrap()
    }

    #[tokio::test]
    async fn an_idle_or_incomplete_connection_is_closed() {
        let running = run(short()).await;
        for said in [&b""[..], b"P", b"POST / HTTP/1.1\r\nhost: localhost\r\n"] {
            let mut peer = TcpStream::connect(running.address).await.unwrap();
            peer.write_all(said).await.unwrap();
            end(peer).await;
        }
        // One request on a keep-alive connection, which is then idle.
        let mut peer = TcpStream::connect(running.address).await.unwrap();
        peer.write_all(REQUEST).await.unwrap();
        assert!(end(peer).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_connection_that_sends_single_bytes_is_closed() {
        let running = run(short()).await;
        for whole in [
            &b""[..],
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900\r\n\r\n",
        ] {
            let peer = TcpStream::connect(running.address).await.unwrap();
            let (read, mut write) = peer.into_split();
            write.write_all(whole).await.unwrap();
            let drip = async {
                while write.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
                drop(read);
            };
            timeout(TIMEOUT, drip).await.expect("the connection ends");
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_responses_is_disconnected() {
        let running = run(short()).await;
        let mut peer = TcpStream::connect(running.address).await.unwrap();
        let request = [
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n".to_vec(),
            vec![b'x'; 1000],
        ]
        .concat();
        let pour = async { while peer.write_all(&request).await.is_ok() {} };
        timeout(TIMEOUT, pour).await.expect("the connection ends");
    }

    #[tokio::test]
    async fn open_connections_are_limited_and_the_next_one_waits() {
        let running = run(Limits {
            connections: 2,
            ..short()
        })
        .await;
        let mut silent = Vec::new();
        for _ in 0..6 {
            silent.push(TcpStream::connect(running.address).await.unwrap());
        }
        let mut peer = TcpStream::connect(running.address).await.unwrap();
        peer.write_all(REQUEST).await.unwrap();
        assert!(end(peer).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_stop_waits_only_for_requests_in_progress() {
        let running = run(Limits {
            head: TIMEOUT,
            body: TIMEOUT,
            grace: TIMEOUT * 2,
            ..Limits::default()
        })
        .await;
        let mut silent = TcpStream::connect(running.address).await.unwrap();
        silent.write_all(b"POST / HT").await.unwrap();
        let mut slow = TcpStream::connect(running.address).await.unwrap();
        slow.write_all(b"POST /slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}")
            .await
            .unwrap();
        sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        running.stop.send(true).unwrap();
        assert_eq!(end(silent).await, "");
        assert!(!running.task.is_finished(), "a request is under way");
        running.go_on.notify_one();
        assert!(end(slow).await.ends_with("\r\n\r\n{}"));
        timeout(TIMEOUT, running.task).await.unwrap().unwrap();
        assert!(
            begun.elapsed() < TIMEOUT,
            "the silent connection was not waited for"
        );
        assert!(TcpStream::connect(running.address).await.is_err());
    }
}
