//! The server's connections: accepted within bounds, and closed without cutting off a request.
//!
//! [`serve`] accepts connections, and serves HTTP/1.1 and HTTP/2 on each of them. It enforces the
//! bounds of a connection: the number of connections, the size of a head and the time to send it,
//! the time between requests, and over HTTP/2 the number of streams and their windows. The bounds
//! of a single request are in [`crate::limits`].
//!
//! Beyond the limit on connections, a small reserve is accepted for health checks alone, so that a
//! busy server still tells that it lives. At a stop, the port is closed first, and requests in
//! progress are finished within the drain limit. How a stop is asked for is described in
//! [`crate::shutdown`].
//!
//! Timers of idle connections are the delicate part: `Activity` keeps one deadline per connection
//! instead of setting a timer for each request.

use std::collections::VecDeque;
use std::convert::Infallible;
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

use crate::address::Peer;
use crate::config::Limits;
use crate::limits::Room;
use crate::shutdown::{Phase, Stop};
use crate::supervisor;

/// The largest size of a request's head in bytes: start line, header names and values.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The largest number of header lines.
const MAX_HEADERS: usize = 64;
/// The largest number of concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// The flow-control window of an HTTP/2 stream, in bytes.
///
/// So much of a body may arrive before the server has read any of it. It is enough for the longest
/// JSON that the API expects.
const STREAM_WINDOW: u32 = 16 * 1024;
/// The flow-control window of an HTTP/2 connection, in bytes, shared by all its streams.
///
/// This is the smallest window that HTTP/2 allows for a connection (RFC 9113 section 6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;
/// The pause after the system refused to accept a connection, as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The number of connections beyond the limit that are accepted for health checks.
pub const RESERVE: usize = 16;
/// The longest time that a client of the reserve may take to send the head of its request.
const RESERVE_TIME: Duration = Duration::from_secs(2);
/// The paths that are answered on connections of the reserve.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
/// The answer to all other paths on connections of the reserve.
const FULL: Problem = Problem::overloaded(Duration::from_secs(1));

/// The current routes, which a reload may replace while requests arrive.
///
/// Each request takes the routes that are current when it begins, and keeps them. Clones share the
/// same routes.
#[derive(Clone, Debug)]
pub struct Site(Arc<RwLock<Router>>);

impl Site {
    /// Creates a site that begins with these routes.
    pub fn new(routes: Router) -> Self {
        Self(Arc::new(RwLock::new(routes)))
    }

    /// Replaces the routes for all requests that begin from now on, on open connections too.
    pub fn replace(&self, routes: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Returns the current routes.
    fn routes(&self) -> Router {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Accepts connections on `listener` and serves `site` on them until `stop` ends the server.
///
/// When the stop is announced ([`Phase::Leave`]), connections are accepted for another
/// `limits.leave`. Then the port is closed, and this function waits until all requests in progress
/// are answered. It returns earlier if `limits.drain` has passed or [`Phase::Now`] is reached.
/// Connections that are still open then end with the runtime.
///
/// A connection that can't be accepted is logged (`accept_failed`) and doesn't end the server.
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
                if has_ended(&mut draining, ACCEPT_PAUSE).await {
                    break;
                }
                continue;
            }
        };

        let (site, watcher) = (site.clone(), open.watcher());
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // The limit is reached. The reserve gets a shorter time for the head, because its few
            // places must become free again soon.
            let limits = Limits {
                header_time: limits.header_time.min(RESERVE_TIME),
                ..limits
            };
            reserve.take(&tokio::spawn(connection(
                stream,
                Peer(peer),
                site,
                limits,
                watcher,
                Scope::Health,
            )));
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

/// Waits until a stop has been asked for, and announced for long enough.
async fn left(stop: &Stop, announced: Duration) {
    stop.reached(Phase::Leave).await;
    supervisor::stopping();
    if stop.phase() == Phase::Leave && !announced.is_zero() {
        tracing::info!(event = "leaving", "shutting down: /readyz now answers 503");
        let _ = tokio::time::timeout(announced, stop.reached(Phase::Drain)).await;
    }
}

/// The connections beyond the limit.
///
/// If the reserve is full too, a new connection replaces the oldest one, so that clients that send
/// nothing can't keep health checks out.
#[derive(Default)]
struct Reserve(VecDeque<AbortHandle>);

impl Reserve {
    /// Adds a connection, and closes the oldest one if there are too many.
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

/// The paths that are served on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All paths.
    Everything,
    /// The health checks alone. The connection is closed after one answer.
    Health,
}

impl Scope {
    /// Returns `true` if requests for `path` are served.
    ///
    /// Health checks may also be asked for below the path of `public_url`. Whatever else ends like
    /// them is answered by the routes, which know no such path.
    fn has(self, path: &str) -> bool {
        self == Self::Everything || HEALTH.iter().any(|health| path.ends_with(health))
    }
}

/// Waits for `draining`, at most for `pause`. Returns `true` if it has ended, after which it must
/// not be waited for again.
async fn has_ended(draining: &mut (impl Future<Output = ()> + Unpin), pause: Duration) -> bool {
    tokio::time::timeout(pause, draining).await.is_ok()
}

/// Asks all connections to end, and waits for them within the limit.
///
/// A connection without a request ends at once, and one with a request after its answer.
async fn drain(open: GracefulShutdown, limit: Duration, stop: &Stop) {
    let count = open.count();
    tracing::info!(event = "draining", connections = count);
    tokio::select! {
        () = open.shutdown() => tracing::info!(event = "drained"),
        _ = tokio::time::timeout(limit, std::future::pending::<()>()) => tracing::warn!(event = "drain_limit_reached"),
        () = stop.reached(Phase::Now) => tracing::warn!(event = "stopped_at_once"),
    }
}

/// Serves one connection until it ends, is idle for too long, or is asked to end by the drain.
///
/// The kind of HTTP is recognised by the first bytes. Each request gets its [`Peer`] and the
/// [`Room`] of the connection as extensions.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    site: Site,
    limits: Limits,
    watcher: Watcher,
    scope: Scope,
) {
    // Answers are small: Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);

    let activity = Arc::new(Activity::new(limits));
    let until_idle = Arc::clone(&activity);
    let room = Room::new(&limits);

    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let busy = Busy::new(Arc::clone(&activity));
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(room.clone());
        let answer = scope
            .has(request.uri().path())
            .then(|| site.routes().oneshot(request));
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
    let connection = watcher.watch(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned(),
    );

    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                // The error's text may quote bytes of the peer, so only its kind is logged.
                let kind = error.downcast_ref::<hyper::Error>().map_or("i/o", kind);
                tracing::debug!(event = "connection_failed", kind);
            }
        }
        () = until_idle.idled_out() => tracing::debug!(event = "connection_idle"),
    }
}

/// Returns a word for the log that tells why a connection failed, without any of the peer's bytes.
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

/// Returns the settings of a connection in Hyper's form.
///
/// Heads over HTTP/1 are timed by `heads`. HTTP/2 has no such timer in Hyper. There the server
/// sends pings, and a client that doesn't answer them is disconnected.
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

/// The activity of one connection, from which its deadline follows.
///
/// Two deadlines end a connection: it was idle for too long, or the head of a request is overdue.
/// One task per connection waits for the earlier one ([`idled_out`](Self::idled_out)).
struct Activity {
    state: Mutex<State>,
    limits: Limits,
}

/// The mutable part of [`Activity`].
struct State {
    /// The number of requests that are being answered. While it isn't zero, the connection isn't
    /// idle.
    answering: usize,
    /// The moment at which the connection has been idle for too long.
    idle_at: Instant,
    /// The moment by which the head that Hyper is reading must be there.
    head_by: Option<Instant>,
}

impl Activity {
    /// Creates the state of a new connection.
    ///
    /// Until the first request, the time for a head counts as the idle time, so that clients that
    /// send nothing, or send slowly, leave soon.
    fn new(limits: Limits) -> Self {
        let idle_at = Instant::now() + limits.header_time;
        Self {
            state: Mutex::new(State {
                answering: 0,
                idle_at,
                head_by: None,
            }),
            limits,
        }
    }

    /// Waits until the connection has been idle for too long, or a head is overdue.
    ///
    /// It doesn't set a timer for each request. It sleeps until the earliest moment at which the
    /// connection could have to end, and then looks again. Setting a timer and waking a task for
    /// each request would cost about as much as a small answer.
    async fn idled_out(&self) {
        loop {
            let now = Instant::now();
            // No deadline that is set while this sleeps can be earlier than that: each lies at
            // least the shorter of the two limits after the moment at which it is set.
            let later = now + self.limits.idle_time.min(self.limits.header_time);
            let end = self.state().end().unwrap_or(later);
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end.min(later)).await;
        }
    }

    /// Changes the number of requests that are being answered, and restarts the idle time.
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
    /// Returns the earlier of the two deadlines, or `None` while neither applies.
    fn end(&self) -> Option<Instant> {
        let idle_at = (self.answering == 0).then_some(self.idle_at);
        idle_at.into_iter().chain(self.head_by).min()
    }
}

/// The timer that Hyper uses for heads. It only notes the deadline in [`Activity`].
///
/// The waiting itself is left to [`Activity::idled_out`], so that a connection needs one timer.
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

/// A sleep that never ends. Hyper drops it as soon as the head is there.
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

/// A guard that counts a request as being answered until it is dropped.
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
