//! Serves connections within bounds, and ends without cutting anybody off (SECURITY rows D-01, F-22, F-23).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use countersign::Problem;
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::config::Limits;
use crate::limits::Room;
use crate::shutdown::{Phase, Stop};
use crate::supervisor;

/// The most bytes of a request's head: start line, header names and values.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most header lines.
const MAX_HEADERS: usize = 64;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// What an HTTP/2 client may send of one body before the server has read any of it, in bytes: the longest JSON.
const STREAM_WINDOW: u32 = 16 * 1024;
/// The same of all bodies of one connection together: the least that HTTP/2 allows (RFC 9113 section 6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;
/// How long to wait when the system grants no further connection (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections beyond the limit that are taken for those who ask how we are, and nothing else.
pub const RESERVE: usize = 16;
/// How long these may take to send their request's head.
const RESERVE_TIME: Duration = Duration::from_secs(2);
/// What may be asked on them.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
/// What everything else is answered with there.
const FULL: Problem = Problem::overloaded(Duration::from_secs(1));

/// The peer's address, for handlers that ask.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The routes, which may be replaced while requests come. A request keeps those that it began with.
#[derive(Clone, Debug)]
pub struct Site(Arc<RwLock<Router>>);

impl Site {
    /// These routes, to begin with.
    pub fn new(routes: Router) -> Self {
        Self(Arc::new(RwLock::new(routes)))
    }

    /// Puts others in their place.
    pub fn replace(&self, routes: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    fn routes(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves `site` until told to stop, and then until everybody has been answered, at most for the drain limit.
pub async fn serve(site: Site, listener: TcpListener, limits: Limits, stop: Stop) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut reserve = Reserve::default();
    let mut draining = pin!(left(&stop, limits.leave));
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
        let (site, watcher) = (site.clone(), open.watcher());
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let limits = Limits { header_time: limits.header_time.min(RESERVE_TIME), ..limits };
            reserve.take(&tokio::spawn(connection(stream, Peer(peer), site, limits, watcher, Scope::Health)));
            continue;
        };
        tokio::spawn(async move {
            connection(stream, Peer(peer), site, limits, watcher, Scope::Everything).await;
            drop(place);
        });
    }
    drop(listener);
    drain(open, limits.drain, &stop).await;
}

/// Waits until the end has been announced for long enough.
async fn left(stop: &Stop, announced: Duration) {
    stop.reached(Phase::Leave).await;
    supervisor::stopping();
    if stop.phase() == Phase::Leave && !announced.is_zero() {
        tracing::info!(event = "leaving", "/readyz answers 503 from now on");
        let _ = tokio::time::timeout(announced, stop.reached(Phase::Drain)).await;
    }
}

/// Connections beyond the limit. The oldest makes way for the next: who sends nothing keeps nobody out.
#[derive(Default)]
struct Reserve(VecDeque<AbortHandle>);

impl Reserve {
    fn take(&mut self, connection: &JoinHandle<()>) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= RESERVE
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection.abort_handle());
    }
}

/// What may be asked on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    /// How we are. Then it is closed.
    Health,
}

impl Scope {
    fn has(self, path: &str) -> bool {
        self == Self::Everything || HEALTH.contains(&path)
    }
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

async fn connection(stream: TcpStream, peer: Peer, site: Site, limits: Limits, watcher: Watcher, scope: Scope) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new(limits));
    let until_idle = Arc::clone(&activity);
    let room = Room::new(&limits);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let busy = Busy::new(Arc::clone(&activity));
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(room.clone());
        let answer = scope.has(request.uri().path()).then(|| site.routes().oneshot(request));
        async move {
            let answer: Result<Response, Infallible> = match answer {
                Some(answer) => answer.await,
                None => Ok(FULL.into_response()),
            };
            drop(busy);
            answer
        }
    });
    let mut builder = builder(limits, HeadTimer(Arc::clone(&until_idle)));
    if scope == Scope::Health {
        builder.http1().keep_alive(false);
    }
    let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                // The error may quote the peer's bytes; its kind is enough.
                let kind = error.downcast_ref::<hyper::Error>().map_or("i/o", kind);
                tracing::debug!(event = "connection_failed", kind);
            }
        }
        () = until_idle.idled_out() => tracing::debug!(event = "connection_idle"),
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

fn builder(limits: Limits, heads: HeadTimer) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(heads)
        .header_read_timeout(limits.header_time)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_time)
        .keep_alive_timeout(limits.header_time);
    builder
}

/// When a connection's time is over.
struct Activity {
    state: Mutex<State>,
    limits: Limits,
}

struct State {
    answering: usize,
    idle_at: Instant,
    head_by: Option<Instant>,
}

impl Activity {
    /// Before the first request, patience is the head's: a silent or dripping client leaves soon.
    fn new(limits: Limits) -> Self {
        let idle_at = Instant::now() + limits.header_time;
        Self { state: Mutex::new(State { answering: 0, idle_at, head_by: None }), limits }
    }

    /// Ends when the connection has carried no request for its time, or a head is overdue. It looks again when that may
    /// be, and not with each request: to set a timer and to wake a task costs about as much as a small answer.
    async fn idled_out(&self) {
        loop {
            let now = Instant::now();
            // Whatever happens meanwhile, no time is over before then.
            let later = now + self.limits.idle_time.min(self.limits.header_time);
            let end = self.state().end().unwrap_or(later);
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end.min(later)).await;
        }
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.state();
        state.answering = change(state.answering);
        state.idle_at = Instant::now() + self.limits.idle_time;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> Option<Instant> {
        let idle_at = (self.answering == 0).then_some(self.idle_at);
        idle_at.into_iter().chain(self.head_by).min()
    }
}

/// Hyper's timer for heads. It notes by when one is due, and leaves the waiting to [`Activity::idled_out`].
struct HeadTimer(Arc<Activity>);

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Timer::now(self) + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.0.state().head_by = Some(deadline.into());
        Box::pin(HeadDue(Arc::clone(&self.0)))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

/// Lasts until hyper has the head and drops it.
struct HeadDue(Arc<Activity>);

impl Future for HeadDue {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for HeadDue {}

impl Drop for HeadDue {
    fn drop(&mut self) {
        self.0.state().head_by = None;
    }
}

/// Counts a request as being answered until it is dropped.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: Arc<Activity>) -> Self {
        activity.change(|answering| answering.saturating_add(1));
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|answering| answering.saturating_sub(1));
    }
}
