//! The reading of rows and outcomes, and the parameter for a kept session.
//!
//! A row that holds something unreadable is treated as absent or expired, never as valid.

use crate::clock::Timestamp;
use crate::event;
use crate::session::{ClientInfo, SessionId};
use crate::store::sql::Outcome;
use crate::store::{Consumed, EndedFence, Fence, Opened, RefreshRecord, SessionRecord};
use crate::token::Digest;
use crate::user::{UserKey, UserKeyKind};
use crate::value::{Row, Value};

/// The placeholder for "no session is kept" in parameters. No row has it as its session id.
pub(super) const NO_SESSION: &str = "-";

/// Returns the record in a row of the refresh tokens' table, `None` if the row can't be read.
pub(super) fn refresh_record(user_id: UserKeyKind, row: &Row) -> Option<RefreshRecord> {
    let (user, session) = owner(user_id, row)?;
    let (created_at, ends) = times(row, 3, &[4, 5]);
    let [expires_at, session_expires_at] = [0, 1].map(|at| ends.get(at).copied().flatten());

    Some(RefreshRecord {
        access_expires_at: time(row, 7),
        fence: text(row, 8).and_then(Fence::parse),
        digest: text(row, 0).and_then(Digest::parse),
        consumed: text(row, 6).and_then(Consumed::parse).unwrap_or_default(),
        user,
        session,
        created_at,
        expires_at,
        session_expires_at,
    })
}

/// Returns the session in a row of the refresh tokens' table, or `None` if its id can't be read.
pub(super) fn session_record(row: &Row) -> Option<SessionRecord> {
    let mut client = ClientInfo::new()
        .with_user_agent(text(row, 6).unwrap_or_default())
        .with_label(text(row, 8).unwrap_or_default());
    if let Some(ip) = text(row, 7).and_then(|ip| ip.parse().ok()) {
        client = client.with_ip(ip);
    }

    Some(SessionRecord {
        id: SessionId::canonical(text(row, 0)?)?,
        opened_at: time(row, 1),
        authenticated_at: time(row, 13).max(time(row, 1)),
        refreshed_at: time(row, 2),
        used_at: time(row, 3),
        expires_at: time(row, 4),
        session_expires_at: time(row, 5),
        access_expires_at: time(row, 9),
        current: text(row, 10).and_then(Digest::parse),
        consumed: text(row, 11).and_then(Consumed::parse).unwrap_or_default(),
        fence: text(row, 12).and_then(Fence::parse),
        client,
    })
}

/// Returns the user and the session of a row. Returns `None`, and logs a warning, if either
/// can't be read.
pub(super) fn owner(user_id: UserKeyKind, row: &Row) -> Option<(UserKey, Option<SessionId>)> {
    let user = match user_id {
        UserKeyKind::Uuid => row.uuid(1).ok().flatten().map(UserKey::Uuid),
        UserKeyKind::Int => int(row, 1).map(UserKey::Int),
        UserKeyKind::Text => text(row, 1).map(|id| UserKey::Text(id.to_owned())),
    };
    let session = match row.text(2) {
        Ok(None) => Some(None),
        Ok(Some(text)) => SessionId::canonical(text).map(Some),
        Err(_) => None,
    };

    if user.is_none() || session.is_none() {
        event::token_row_unreadable();
    }
    Some((user?, session?))
}

/// Returns the integer in a column, or `None` if there is none that can be read.
pub(super) fn int(row: &Row, column: usize) -> Option<i64> {
    row.int(column).ok().flatten()
}

/// Returns the text in a column, or `None` if there is none that can be read.
fn text(row: &Row, column: usize) -> Option<&str> {
    row.text(column).ok().flatten()
}

/// Returns the time in a column, or `None` if there is none that can be read.
fn time(row: &Row, column: usize) -> Option<Timestamp> {
    row.time(column).ok().flatten()
}

/// Reads the user's current fence. A stored text that isn't a fence is read as the all-zero fence,
/// so that no login is recorded with it.
pub(super) fn fence(row: &Row) -> Fence {
    text(row, 0).and_then(Fence::parse).unwrap_or_default()
}

/// Reads a replaced fence and the session that was kept. Returns `None` if it isn't a fence.
pub(super) fn ended_fence(row: &Row) -> Option<EndedFence> {
    let fence = text(row, 0).and_then(Fence::parse)?;
    let kept = text(row, 1);
    Some(EndedFence {
        fence,
        kept: kept.and_then(|session| session.parse().ok()),
    })
}

/// Reads the outcome of recording a token: its guard is the user's fence.
pub(super) fn opened(outcome: &Outcome) -> Opened {
    if outcome.took_effect() {
        Opened::Done
    } else {
        Opened::Fenced
    }
}

/// Returns the parameter for the session that is kept, [`NO_SESSION`] if none is.
pub(super) fn kept(session: Option<SessionId>) -> Value {
    session
        .map_or_else(|| NO_SESSION.to_owned(), |session| session.to_string())
        .into()
}

/// Returns the numbers of deleted rows: PostgreSQL's one statement returns them as a row, scripts
/// count them step by step, after their guard.
pub(super) fn counts<const KINDS: usize>(outcome: &Outcome) -> [u64; KINDS] {
    std::array::from_fn(|kind| match outcome.rows.first() {
        Some(row) => int(row, kind)
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0),
        None => outcome.affected.get(kind + 1).copied().unwrap_or(0),
    })
}

/// Returns the time of issue and the expiry times of a row. If any of them can't be read as a time,
/// all are left out, and the token counts as expired.
pub(super) fn times(
    row: &Row,
    created_at: usize,
    ends: &[usize],
) -> (Option<Timestamp>, Vec<Option<Timestamp>>) {
    let ends: Result<Vec<_>, _> = ends.iter().map(|column| row.time(*column)).collect();
    match (row.time(created_at), ends) {
        (Ok(created_at), Ok(ends)) => (created_at, ends),
        _ => (None, Vec::new()),
    }
}
