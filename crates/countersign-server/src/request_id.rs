//! The id of a request: in a span around it, so in each of its log lines, and in the answer.
//!
//! [`identify`] is the outermost layer. It takes the id from `X-Request-Id` if a trusted proxy sent
//! a well-formed one, and otherwise generates one. So the lines of one request can be found by the
//! id that the proxy logged, or that a client reports.
//!
//! tower-http's layers for request ids aren't used: they take any value from any client.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use countersign::SystemEntropy;
use countersign::entropy::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{Instrument, Span};

use crate::address::{Peer, Proxies};

/// The name of the header, in requests and in answers.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The largest length of an id that is taken from a proxy. A UUID has 36 characters.
const LONGEST: usize = 128;

/// The state of [`identify`].
#[derive(Clone, Debug)]
pub struct RequestIds {
    proxies: Arc<Proxies>,
    health: Arc<[String]>,
}

impl RequestIds {
    /// Creates the state from the trusted proxies. Health checks are at the root and below `path`,
    /// the path of the public URL.
    pub fn new(proxies: Arc<Proxies>, path: &str) -> Self {
        let health = ["/healthz", "/readyz"]
            .iter()
            .flat_map(|health| [(*health).to_owned(), format!("{path}{health}")])
            .collect();
        Self { proxies, health }
    }

    /// Returns the id that a trusted proxy gave this request, if it did.
    fn given(&self, request: &Request) -> Option<HeaderValue> {
        let Peer(peer) = request.extensions().get()?;
        if !self.proxies.trusts(peer.ip()) {
            return None;
        }
        well_formed(request.headers()).cloned()
    }

    /// Returns the span of a request.
    ///
    /// Its level is that of errors, so that it is in every line of the request, whatever level is
    /// logged. Health checks come all the time and say little: their span is there at `debug`.
    fn span(&self, request: &Request, id: &str) -> Span {
        let path = request.uri().path();
        if self.health.iter().any(|health| health == path) {
            tracing::debug_span!("request", id)
        } else {
            tracing::error_span!("request", id)
        }
    }
}

/// Runs the request in a span with its id, and adds the id to the answer.
pub async fn identify(State(ids): State<RequestIds>, request: Request, next: Next) -> Response {
    let id = ids.given(&request).or_else(generated);
    let text = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or("-");
    let span = ids.span(&request, text);
    let mut response = next.run(request).instrument(span).await;
    if let Some(id) = id {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// Returns a random id: 32 hexadecimal digits. Returns `None` if the system has no random numbers,
/// which is no reason to refuse a request here.
fn generated() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes).ok()?;
    HeaderValue::try_from(format!("{:032x}", u128::from_be_bytes(bytes))).ok()
}

/// Returns the only id of a request, if it has at most 128 characters and all of them are letters,
/// digits, or one of `-_.:=+/@`.
///
/// These are in all common kinds of ids, and need no quoting in a log line.
fn well_formed(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let bytes = id.as_bytes();
    let is_well_formed =
        (1..=LONGEST).contains(&bytes.len()) && bytes.iter().copied().all(is_allowed);
    is_well_formed.then_some(id)
}

/// Returns `true` for the bytes that an id may have.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(&byte)
}
