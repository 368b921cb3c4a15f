//! Bounds around every route: body size, body time, answer time; and the line that tells of the request (SECURITY rows
//! D-01 and D-02).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign::Problem;
use countersign::axum::ClientAddress;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use ipnet::IpNet;

use crate::address;
use crate::config::Limits;
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
    pub trusted_proxies: Arc<[IpNet]>,
}

/// The routes that end sessions by the head of a request. A body that can't be taken keeps nobody from logging out.
const LOGOUTS: [&str; 3] = ["/auth/logout", "/auth/logout/all", "/auth/cookie/logout"];

/// Answers within bounds, and leaves a line at `debug`.
pub async fn bound(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let client = address::client(peer.ip(), request.headers(), &bounds.trusted_proxies);
        request.extensions_mut().insert(ClientAddress(client));
    }
    let (parts, body) = request.into_parts();
    let response = match collect(&parts.headers, body, &bounds.limits).await {
        Ok(body) => answer(&bounds, Request::from_parts(parts, body), next).await,
        Err(problem) if route.as_ref().is_some_and(|route| LOGOUTS.contains(&route.as_str())) => {
            let response = answer(&bounds, Request::from_parts(parts, unreadable()), next).await;
            if response.status().is_client_error() { problem.into_response() } else { response }
        }
        Err(problem) => problem.into_response(),
    };
    tracing::debug!(
        event = "request",
        %method,
        route = route.as_ref().map_or("-", MatchedPath::as_str),
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
    response
}

async fn answer(bounds: &Bounds, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(bounds.limits.request_time, next.run(request)).await;
    answer.unwrap_or_else(|_| ANSWER_TOO_SLOW.into_response())
}

/// The whole body. Bodies here are small, so they are read before anything is done with them.
async fn collect(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Body, Problem> {
    if announced(headers).is_some_and(|length| length > limits.body as u128) {
        return Err(Problem::REQUEST_TOO_LARGE);
    }
    if body.is_end_stream() {
        return Ok(body);
    }
    let reading = Limited::new(body, limits.body).collect();
    match tokio::time::timeout(limits.body_time, reading).await {
        Ok(Ok(whole)) => Ok(Body::from(whole.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::REQUEST_TOO_LARGE),
        Ok(Err(_)) => Err(BODY_CUT_OFF),
        Err(_) => Err(BODY_TOO_SLOW),
    }
}

/// A body that fails as soon as it is read.
fn unreadable() -> Body {
    Body::new(Limited::new(Full::from("x"), 0))
}

fn announced(headers: &HeaderMap) -> Option<u128> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
