//! The bounds of a single request: the size of its body, the time to receive it, and the time to
//! answer.
//!
//! [`bound`] is the middleware around every route. It reads the whole body before the handler runs,
//! because all bodies here are small. So handlers never wait for a slow client, and the memory of a
//! connection is bounded by its [`Room`]. The middleware also tells the library the client's
//! address and logs one line per request at `debug`.
//!
//! The bounds of connections are in [`crate::serve`]. A bound that is exceeded is answered with a
//! problem body:
//!
//! | exceeded | answer |
//! |---|---|
//! | size of the body | 413 `REQUEST_TOO_LARGE` |
//! | time to receive the body | 408 `REQUEST_BODY_TIMEOUT` |
//! | time to answer | 503 `REQUEST_TIMEOUT` |
//! | room of the connection | 503, with `Retry-After` |

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use countersign::Problem;
use countersign::axum::ClientAddress;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::address::{Peer, Proxies};
use crate::config::Limits;
use crate::routes::is_check;

/// The pause that clients are asked for after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const BODY_TOO_SLOW: Problem = Problem::new(
    StatusCode::REQUEST_TIMEOUT,
    "REQUEST_BODY_TIMEOUT",
    "The request body was not received in time.",
);

const BODY_CUT_OFF: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "REQUEST_BODY_INCOMPLETE",
    "The request body is incomplete.",
);

const ANSWER_TOO_SLOW: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "REQUEST_TIMEOUT",
    "The request took too long. Try again.",
)
.retry_after(RETRY_AFTER);

/// The state of [`bound`].
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The limits of the configuration.
    pub limits: Limits,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Arc<Proxies>,
}

/// The routes that end sessions by the head of a request alone.
///
/// A logout must not fail because its body is too large, too slow or cut off.
const LOGOUTS: [&str; 3] = ["/auth/logout", "/auth/logout/all", "/auth/cookie/logout"];

/// Reads the request's body, runs the handler, and returns the answer, all within the configured
/// bounds.
///
/// The bounds are those of the [module](self). The handler gets the client's address as an
/// extension ([`ClientAddress`]), which is found from the peer and the trusted proxies. Two kinds
/// of routes are treated specially:
///
/// - `/check`: a forward-auth proxy may pass on the body of the request that it asks about. The
///   body is read and dropped, and the answer doesn't depend on it.
/// - Logouts: if the body can't be read, the handler runs all the same, with a body that fails when
///   it is read. The error of the body is returned only if the handler can't end a session without
///   it.
pub async fn bound(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();

    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let client = bounds.proxies.client(peer.ip(), request.headers());
        request.extensions_mut().insert(ClientAddress(client));
    }

    let (parts, body) = request.into_parts();
    if route.as_ref().is_some_and(is_check) {
        discard(body, &bounds.limits).await;
        let response = answer(&bounds, Request::from_parts(parts, Body::empty()), next).await;
        return told(response, &method, route.as_ref(), started);
    }

    let room = parts.extensions.get::<Room>().cloned();
    let response = match collect(&parts.headers, body, &bounds.limits, room.as_ref()).await {
        // `_held` lives until the answer is there, because the handler has the body until then.
        Ok((body, _held)) => answer(&bounds, Request::from_parts(parts, body), next).await,
        Err(problem) if route.as_ref().is_some_and(is_logout) => {
            let response = answer(&bounds, Request::from_parts(parts, unreadable()), next).await;
            if response.status().is_client_error() {
                problem.into_response()
            } else {
                response
            }
        }
        Err(problem) => problem.into_response(),
    };

    told(response, &method, route.as_ref(), started)
}

/// Logs the answer, and returns it.
fn told(
    response: Response,
    method: &Method,
    route: Option<&MatchedPath>,
    started: Instant,
) -> Response {
    tracing::debug!(
        event = "request",
        %method,
        route = route.map_or("-", MatchedPath::as_str),
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
    response
}

/// Returns `true` if `route` is one of [`LOGOUTS`], at the root or below the public URL's path.
fn is_logout(route: &MatchedPath) -> bool {
    LOGOUTS
        .iter()
        .any(|logout| route.as_str().ends_with(logout))
}

/// Reads and drops a body, for at most the time that a body may take.
///
/// A proxy that is still sending a body may not read the answer before it has sent everything.
async fn discard(mut body: Body, limits: &Limits) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(limits.body_time, reading).await;
}

/// Runs the handler, and answers with 503 if it takes too long.
async fn answer(bounds: &Bounds, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(bounds.limits.request_time, next.run(request)).await;
    answer.unwrap_or_else(|_| ANSWER_TOO_SLOW.into_response())
}

/// The room of one connection, as a multiple of the longest allowed body.
const BODIES: usize = 2;

/// The memory for request bodies that one connection may hold at once.
///
/// Bytes count from their arrival until the request is answered. Over HTTP/2 a client may have many
/// requests in progress on one connection, whose bodies share the room. Over HTTP/1 there is one
/// request at a time. Clones share the same room.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// The bytes of one request, given back to the room when this is dropped.
type Held = Option<OwnedSemaphorePermit>;

impl Room {
    /// Creates the room for one connection: twice the longest body that `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(
            limits
                .body
                .saturating_mul(BODIES)
                .min(Semaphore::MAX_PERMITS),
        )))
    }

    /// Takes `bytes` out of the room and adds them to `held`, or fails at once.
    ///
    /// It never waits: two requests that each hold a part of the room and wait for more would wait
    /// for each other for ever.
    fn take(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| Problem::REQUEST_TOO_LARGE)?;
        let more = Arc::clone(&self.0)
            .try_acquire_many_owned(bytes)
            .map_err(|_| Problem::overloaded(RETRY_AFTER))?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// Reads the whole body. Returns it with the bytes that it holds in `room`.
async fn collect(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    room: Option<&Room>,
) -> Result<(Body, Held), Problem> {
    if announced(headers).is_some_and(|length| length > limits.body as u128) {
        return Err(Problem::REQUEST_TOO_LARGE);
    }
    if body.is_end_stream() {
        return Ok((body, None));
    }
    let reading = read(Limited::new(body, limits.body), room);
    tokio::time::timeout(limits.body_time, reading)
        .await
        .unwrap_or(Err(BODY_TOO_SLOW))
}

/// Reads the frames of a body into one buffer, and drops trailers.
async fn read(mut body: Limited<Body>, room: Option<&Room>) -> Result<(Body, Held), Problem> {
    let mut whole = BytesMut::new();
    let mut held = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Problem::REQUEST_TOO_LARGE
            } else {
                BODY_CUT_OFF
            }
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };

        if let Some(room) = room {
            room.take(&mut held, data.len())?;
        }
        // Copied, so that the buffer of the connection is free for the next frame. A slice of it
        // would keep the whole buffer alive.
        whole.extend_from_slice(&data);
    }

    Ok((Body::from(whole.freeze()), held))
}

/// Returns a body that fails as soon as it is read.
fn unreadable() -> Body {
    Body::new(Limited::new(Full::from("x"), 0))
}

/// Returns the value of `Content-Length`, if there is one that can be read.
fn announced(headers: &HeaderMap) -> Option<u128> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
