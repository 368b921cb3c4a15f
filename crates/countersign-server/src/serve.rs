//! Serves connections within bounds, and ends without cutting anybody off (SECURITY rows D-01, F-22, F-23).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use crate::config::Limits;
use crate::shutdown::{Phase, Stop};

/// The most bytes of a request's head: start line, header names and values.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most header lines.
const MAX_HEADERS: usize = 64;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How long to wait when the system grants no further connection (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The peer's address, for handlers that ask.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves `router` until told to stop, and then until everybody has been answered, at most for the drain limit.
pub async fn serve(router: Router, listener: TcpListener, limits: Limits, stop: Stop) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut draining = pin!(stop.reached(Phase::Drain));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut draining => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(event = "accept_failed", %error);
                pause(&mut draining).await;
                continue;
            }
        };
        // Beyond the limit a connection is closed at once: waiting would only move the queue into the kernel.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (router, watcher) = (router.clone(), open.watcher());
        tokio::spawn(async move {
            connection(stream, Peer(peer), router, limits, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    drain(open, limits.drain, &stop).await;
}

/// Waits a moment, or until told to stop.
async fn pause(draining: &mut (impl Future<Output = ()> + Unpin)) {
    let _ = tokio::time::timeout(ACCEPT_PAUSE, draining).await;
}

async fn drain(open: GracefulShutdown, limit: Duration, stop: &Stop) {
    let count = open.count();
    tracing::info!(event = "draining", connections = count);
    tokio::select! {
        () = open.shutdown() => tracing::info!(event = "drained"),
        _ = tokio::time::timeout(limit, std::future::pending::<()>()) => tracing::warn!(event = "drain_limit_reached"),
        () = stop.reached(Phase::Now) => tracing::warn!(event = "stopped_at_once"),
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, limits: Limits, watcher: Watcher) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let (active, activity) = watch::channel(0_usize);
    let active = Arc::new(active);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let busy = Busy::new(Arc::clone(&active));
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request);
        async move {
            let answer: Result<Response, Infallible> = answer.await;
            drop(busy);
            answer
        }
    });
    let builder = builder(limits);
    let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                // The error may quote the peer's bytes; its kind is enough.
                let kind = error.downcast_ref::<hyper::Error>().map_or("i/o", kind);
                tracing::debug!(event = "connection_failed", kind);
            }
        }
        () = idled_out(activity, limits) => tracing::debug!(event = "connection_idle"),
    }
}

fn kind(error: &hyper::Error) -> &'static str {
    if error.is_parse() {
        "malformed"
    } else if error.is_timeout() {
        "timeout"
    } else if error.is_incomplete_message() {
        "cut off"
    } else {
        "other"
    }
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_time)
        .keep_alive_timeout(limits.header_time);
    builder
}

/// Counts a request as being answered until it is dropped.
struct Busy(Arc<watch::Sender<usize>>);

impl Busy {
    fn new(active: Arc<watch::Sender<usize>>) -> Self {
        active.send_modify(|count| *count = count.saturating_add(1));
        Self(active)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Ends when the connection has carried no request for its time: the head's time at first, so that a silent or
/// dripping client leaves soon, and the idle time between requests.
async fn idled_out(mut activity: watch::Receiver<usize>, limits: Limits) {
    let mut patience = limits.header_time;
    loop {
        let idle = *activity.borrow_and_update() == 0;
        let changed = if idle {
            let Ok(changed) = tokio::time::timeout(patience, activity.changed()).await else { return };
            changed
        } else {
            activity.changed().await
        };
        if changed.is_err() {
            // The service is gone, so the connection is ending by itself.
            std::future::pending::<()>().await;
        }
        patience = limits.idle_time;
    }
}
