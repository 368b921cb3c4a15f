//! The page that lists a member's sessions, and its forms that end them.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use countersign::axum::CurrentUser;
use countersign::store::{Page as Part, SessionRecord};
use countersign::{AuthenticationBackend, Failure, Problem, SessionId, Timestamp, User};

use crate::page::Page;
use crate::{MOST_SESSIONS, Member, Site};

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions {
    member: Option<String>,
    devices: Vec<Device>,
}

/// A session, as its owner knows it. The client describes itself, so nothing of it is certain.
struct Device {
    id: String,
    is_current: bool,
    client: String,
    address: Option<String>,
    opened: String,
    used: String,
}

/// Shows the list.
pub(crate) async fn show(
    member: CurrentUser<Member>,
    State(site): State<Site>,
) -> Result<impl IntoResponse, Problem> {
    let mut sessions = sessions_of(&site, &member.user).await?;
    // The one used last comes first.
    sessions.sort_by_key(|session| std::cmp::Reverse(last_use(session)));
    let devices = sessions
        .iter()
        .map(|session| Device::of(session, member.session_id));
    Ok(Page(Sessions {
        member: Some(member.user.name.clone()),
        devices: devices.collect(),
    }))
}

/// Ends one session of the member. That of another member is never ended.
pub(crate) async fn end(
    member: CurrentUser<Member>,
    State(site): State<Site>,
    Path(session): Path<String>,
) -> Result<Redirect, Problem> {
    let session: SessionId = session.parse().map_err(|_| Problem::SESSION_NOT_FOUND)?;
    let ended = backend(&site)?.end_session(session, member.user.id()).await;
    // One that has ended already is what the member wants, too.
    ended?;
    Ok(Redirect::to("/sessions"))
}

/// Ends all sessions of the member but the one that asks.
pub(crate) async fn end_others(
    member: CurrentUser<Member>,
    State(site): State<Site>,
) -> Result<Redirect, Problem> {
    let backend = backend(&site)?;
    let ended = backend.end_other_sessions(member.user.id(), member.session_id);
    ended.await?;
    Ok(Redirect::to("/sessions"))
}

/// Returns all sessions of a member.
async fn sessions_of(site: &Site, member: &Member) -> Result<Vec<SessionRecord>, Failure> {
    let backend = backend(site)?;
    let mut sessions = Vec::new();
    let mut part = Part {
        after: None,
        limit: MOST_SESSIONS.get(),
    };
    loop {
        let found = backend.sessions_of(member.id(), &part).await?;
        sessions.extend(found.sessions);
        // A part may be short although more follow. Only a missing cursor ends the list.
        match found.next {
            Some(next) => part.after = Some(next),
            None => return Ok(sessions),
        }
    }
}

/// Returns the one backend of this site, which has the sessions.
fn backend(site: &Site) -> Result<&AuthenticationBackend<Member>, Failure> {
    let backends = site.auth.authenticator().backends();
    let first = backends.first();
    first.ok_or_else(|| Failure::internal("authenticator", "it has no backend"))
}

impl Device {
    fn of(session: &SessionRecord, current: Option<SessionId>) -> Self {
        let client = session.client.user_agent().unwrap_or("Unknown browser");
        Self {
            id: session.id.to_string(),
            is_current: current == Some(session.id),
            client: client.to_owned(),
            address: session.client.ip().map(|address| address.to_string()),
            opened: shown(session.opened_at),
            used: shown(last_use(session)),
        }
    }
}

fn last_use(session: &SessionRecord) -> Option<Timestamp> {
    session.used_at.max(session.refreshed_at)
}

/// Returns a time for people, in UTC.
fn shown(time: Option<Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::from_microsecond(time.as_micros()).ok());
    time.map_or_else(
        || "at an unknown time".to_owned(),
        |time| time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
    )
}
