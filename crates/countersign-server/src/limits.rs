//! Bounds around every route: body size, body time, answer time; and the line that tells of the request (SECURITY rows
//! D-01 and D-02).

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

use crate::address::Proxies;
use crate::config::Limits;
use crate::routes::is_check;
use crate::serve::Peer;

const RETRY_AFTER: Duration = Duration::from_secs(1);

const BODY_TOO_SLOW: Problem =
    Problem::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_BODY_TIMEOUT", "The body did not arrive in time.");

const BODY_CUT_OFF: Problem =
    Problem::new(StatusCode::BAD_REQUEST, "REQUEST_BODY_INCOMPLETE", "The body did not arrive whole.");

const ANSWER_TOO_SLOW: Problem =
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "REQUEST_TIMEOUT", "This took too long. Try again.")
        .retry_after(RETRY_AFTER);

/// What the bounds need to know.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The bounds.
    pub limits: Limits,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<Proxies>,
}

/// The routes that end sessions by the head of a request. A body that can't be taken keeps nobody from logging out.
const LOGOUTS: [&str; 3] = ["/auth/logout", "/auth/logout/all", "/auth/cookie/logout"];

/// Answers within bounds, and leaves a line at `debug`.
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
        // The place in the room is kept until the answer is there.
        Ok((body, _held)) => answer(&bounds, Request::from_parts(parts, body), next).await,
        Err(problem) if route.as_ref().is_some_and(is_logout) => {
            let response = answer(&bounds, Request::from_parts(parts, unreadable()), next).await;
            if response.status().is_client_error() { problem.into_response() } else { response }
        }
        Err(problem) => problem.into_response(),
    };
    told(response, &method, route.as_ref(), started)
}

/// Leaves a line about the answer.
fn told(response: Response, method: &Method, route: Option<&MatchedPath>, started: Instant) -> Response {
    tracing::debug!(
        event = "request",
        %method,
        route = route.map_or("-", MatchedPath::as_str),
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
    response
}

/// Whether `route` is one of [`LOGOUTS`], below whichever path.
fn is_logout(route: &MatchedPath) -> bool {
    LOGOUTS.iter().any(|logout| route.as_str().ends_with(logout))
}

/// Reads a body that is meant for somebody else, and forgets it: a proxy that is still sending one may not hear the answer.
async fn discard(mut body: Body, limits: &Limits) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(limits.body_time, reading).await;
}

async fn answer(bounds: &Bounds, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(bounds.limits.request_time, next.run(request)).await;
    answer.unwrap_or_else(|_| ANSWER_TOO_SLOW.into_response())
}

/// How many of the longest bodies one connection may hold at once.
const BODIES: usize = 2;

/// The bytes of request bodies that one connection may hold at once, from their arrival to the answer. Over HTTP/2 a
/// stranger may have many requests under way on one connection; over HTTP/1 there is one.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Bytes that are held, until it is dropped.
type Held = Option<OwnedSemaphorePermit>;

impl Room {
    /// Room for one connection, where `limits` bound a body.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(limits.body.saturating_mul(BODIES).min(Semaphore::MAX_PERMITS))))
    }

    /// Makes room for more bytes, at once or not at all: requests that waited for each other would wait for ever.
    fn take(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| Problem::REQUEST_TOO_LARGE)?;
        let more = Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| Problem::overloaded(RETRY_AFTER))?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// The whole body, and its place in the room. Bodies here are small, so they are read before anything is done with them.
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
    tokio::time::timeout(limits.body_time, reading).await.unwrap_or(Err(BODY_TOO_SLOW))
}

async fn read(mut body: Limited<Body>, room: Option<&Room>) -> Result<(Body, Held), Problem> {
    let mut whole = BytesMut::new();
    let mut held = None;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| if error.is::<LengthLimitError>() { Problem::REQUEST_TOO_LARGE } else { BODY_CUT_OFF })?;
        let Ok(data) = frame.into_data() else { continue };
        if let Some(room) = room {
            room.take(&mut held, data.len())?;
        }
        // A copy, so that the buffer that the bytes were received in is free for others.
        whole.extend_from_slice(&data);
    }
    Ok((Body::from(whole.freeze()), held))
}

/// A body that fails as soon as it is read.
fn unreadable() -> Body {
    Body::new(Limited::new(Full::from("x"), 0))
}

fn announced(headers: &HeaderMap) -> Option<u128> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
