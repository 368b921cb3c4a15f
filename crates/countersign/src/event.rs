//! The log events that more than one place writes, or that name a session or a credential.
//!
//! Names and fields are stable, and listed in `docs/LOGGING.md`. An event holds ids of sessions,
//! names of backends and reasons. It never holds a token, a secret, an email address or a user id,
//! and the functions here take nothing that could contain one.

use std::time::Duration;

use crate::error::{Failure, Refusal};
use crate::session::SessionId;

/// Logs one event of a session: a login, a refresh, or one of the ways in which it ends.
pub(crate) fn session(backend: &str, session: Option<SessionId>, what: &'static str) {
    tracing::info!(
        event = what,
        backend,
        session = session.map(tracing::field::display),
        "session event"
    );
}

/// Logs that a login was refused.
pub(crate) fn login_failed(backend: &str, reason: &'static str) {
    tracing::warn!(event = "login_failed", reason, backend, "login failed");
}

/// Logs that a credential was refused: the reason, the backend and the session.
///
/// It is no warning: a bad token is the client's business, and an expired one is everyday. What
/// calls for somebody's attention, such as a reused refresh token, has an event of its own.
pub(crate) fn refused(backend: Option<&str>, session: Option<SessionId>, refusal: Refusal) {
    let session = session.map(tracing::field::display);
    tracing::info!(
        event = "refused",
        reason = refusal.as_str(),
        backend,
        session,
        "credential refused"
    );
}

/// Logs that a cookie was refused because the request had no proof of its origin.
pub(crate) fn refused_cross_site(backend: &str) {
    tracing::info!(
        event = "refused",
        reason = "cross_site",
        backend,
        "credential refused"
    );
}

/// Logs a failure: the part that failed, its kind and its cause.
pub(crate) fn failed(failure: &Failure) {
    let cause = std::error::Error::source(failure).map(tracing::field::display);
    tracing::error!(event = "failed", part = failure.part(), kind = ?failure.kind(), cause, "the request can't be answered");
}

/// Logs that a refresh token was reused, and what became of its session.
pub(crate) fn refresh_token_reused(
    session: SessionId,
    cause: &'static str,
    since_exchange: Duration,
    outcome: &'static str,
) {
    tracing::warn!(
        event = "refresh_token_reused",
        session = %session,
        cause,
        since_exchange_ms = u64::try_from(since_exchange.as_millis()).unwrap_or(u64::MAX),
        outcome,
        "a refresh token was presented again after its rotation; its session is ended"
    );
}

/// Logs that a rotated refresh token was presented again in time, and answered again.
pub(crate) fn refresh_token_repeated(session: SessionId, cause: &'static str) {
    tracing::info!(
        event = "refresh_token_repeated",
        session = %session,
        cause,
        "a refresh token was presented again shortly after its rotation"
    );
}

/// Logs that a session ended because its user opened a new one beyond the limit.
pub(crate) fn session_evicted(session: SessionId) {
    tracing::info!(event = "session_evicted", session = %session, "the user's oldest session was ended to make room for a new one");
}

/// Logs that a stored record can't be read, so that its token is refused.
///
/// The record itself isn't logged: it may hold a user id, or the text of a token.
pub(crate) fn token_row_unreadable() {
    tracing::warn!(
        event = "token_row_unreadable",
        "the stored record of a token has an unknown format; the token is refused"
    );
}
