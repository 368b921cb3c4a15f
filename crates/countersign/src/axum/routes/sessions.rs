//! `GET /sessions`, `DELETE /sessions/{id}` and `POST /sessions/revoke-others`.
//!
//! An authenticator may have several strategies, each with sessions of its own. The list goes
//! through them one after the other, so a cursor names the strategy's number and the place in its
//! list.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::axum::routes::logout::logged_out;
use crate::axum::routes::shared::{Shared, no_store, unanswered};
use crate::session::SessionId;
use crate::store::{Page, SessionCursor, SessionRecord};
use crate::token::EndOutcome;
use crate::tower::Problem;
use crate::user::User;

/// The default number of sessions on a page.
const LIMIT: u32 = 100;
/// The most sessions that may be asked for at once.
const MOST: u32 = 1000;

/// The answer to `GET /sessions`.
#[derive(Serialize)]
struct Listed {
    sessions: Vec<Session>,
    next: Option<String>,
}

/// A session as its owner is shown it. Times are RFC 3339 in UTC.
#[derive(Serialize)]
pub(super) struct Session {
    id: String,
    created_at: Option<String>,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    current: bool,
    client: Client,
}

/// The client of a login, as it described itself.
#[derive(Serialize)]
struct Client {
    ip: Option<String>,
    user_agent: Option<String>,
    label: Option<String>,
}

/// The answer to `POST /sessions/revoke-others`.
#[derive(Serialize)]
struct Ended {
    revoked: u64,
}

/// Answers with a page of the user's live sessions. Within a page the one used last comes first.
pub(super) async fn list<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let authenticated = shared.authenticate(&parts).await?;
    let Asked {
        backend: first,
        page,
    } = Asked::parse(query)?;
    let mut backends = shared.distinct_backends().skip(first);
    let Some(backend) = backends.next() else {
        return Err(Problem::REQUEST_QUERY_INVALID);
    };

    let found = backend
        .sessions_of(authenticated.user.id(), &page)
        .await
        .map_err(unanswered)?;
    let next = match found.next {
        Some(next) => Some(place(first, Some(&next))),
        None => backends
            .next()
            .map(|_| place(first.saturating_add(1), None)),
    };
    json(&Listed {
        sessions: shown_newest_first(found.sessions, authenticated.session_id),
        next,
    })
}

/// Returns sessions as their owner is shown them, the one used last first.
pub(super) fn shown_newest_first(
    mut sessions: Vec<SessionRecord>,
    current: Option<SessionId>,
) -> Vec<Session> {
    sessions.sort_by_key(|record| std::cmp::Reverse(record.used_at.max(record.refreshed_at)));
    sessions
        .iter()
        .map(|record| shown(record, current))
        .collect()
}

/// The page that is asked for: the number of a backend, and a part of its list.
struct Asked {
    backend: usize,
    page: Page,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut asked = Self {
            backend: 0,
            page: Page {
                after: None,
                limit: LIMIT,
            },
        };

        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => asked.page.limit = limit(value).ok_or(Problem::REQUEST_QUERY_INVALID)?,
                "after" => {
                    (asked.backend, asked.page.after) =
                        after(value).ok_or(Problem::REQUEST_QUERY_INVALID)?;
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}

fn limit(text: &str) -> Option<u32> {
    text.parse().ok().filter(|limit| (1..=MOST).contains(limit))
}

/// Returns a cursor into the list of all backends' sessions: the backend's number, and the cursor
/// in its own list.
fn place(backend: usize, after: Option<&SessionCursor>) -> String {
    format!(
        "{backend}_{}",
        after.map(SessionCursor::as_str).unwrap_or_default()
    )
}

/// Parses a cursor that [`place`] has made.
fn after(text: &str) -> Option<(usize, Option<SessionCursor>)> {
    let (backend, cursor) = text.split_once('_')?;
    let cursor = if cursor.is_empty() {
        None
    } else {
        Some(cursor.parse().ok()?)
    };
    Some((backend.parse().ok()?, cursor))
}

/// Ends one of the user's sessions. Another user's session is answered as if it didn't exist.
pub(super) async fn end<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    session: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let authenticated = shared.authenticate(&parts).await?;
    // A malformed id is answered like an unknown one.
    let session: Option<SessionId> = session.ok().and_then(|Path(session)| session.parse().ok());
    let session = session.ok_or(Problem::SESSION_NOT_FOUND)?;
    let mut ended = EndOutcome::AlreadyEnded;
    for backend in shared.distinct_backends() {
        if backend
            .end_session(session, authenticated.user.id())
            .await
            .map_err(unanswered)?
            == EndOutcome::Ended
        {
            ended = EndOutcome::Ended;
        }
    }

    match ended {
        EndOutcome::AlreadyEnded => Err(Problem::SESSION_NOT_FOUND),
        EndOutcome::Ended if authenticated.session_id == Some(session) => shared
            .backend_of(&authenticated)
            .map(|backend| logged_out(&[backend]))
            .ok_or(Problem::INTERNAL),
        EndOutcome::Ended => Ok((StatusCode::NO_CONTENT, no_store()).into_response()),
    }
}

/// Ends every session of the user except the one that asks.
pub(super) async fn end_others<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let authenticated = shared.authenticate(&parts).await?;
    let mut revoked: u64 = 0;
    for backend in shared.distinct_backends() {
        let ended = backend
            .end_other_sessions(authenticated.user.id(), authenticated.session_id)
            .await;
        revoked = revoked.saturating_add(ended.map_err(unanswered)?);
    }
    json(&Ended { revoked })
}

/// Returns a session as its owner is shown it.
fn shown(record: &SessionRecord, current: Option<SessionId>) -> Session {
    let client = &record.client;

    Session {
        id: record.id.to_string(),
        created_at: record
            .opened_at
            .or(record.refreshed_at)
            .map(|moment| moment.to_string()),
        last_used_at: record
            .used_at
            .max(record.refreshed_at)
            .map(|moment| moment.to_string()),
        expires_at: record.expires_at.map(|moment| moment.to_string()),
        current: current == Some(record.id),
        client: Client {
            ip: client.ip().map(|ip| ip.to_string()),
            user_agent: client.user_agent().map(str::to_owned),
            label: client.label().map(str::to_owned),
        },
    }
}

/// Returns an answer with a JSON body.
fn json(body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|_| Problem::INTERNAL)?;
    let mut headers = no_store();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok((StatusCode::OK, headers, body).into_response())
}
