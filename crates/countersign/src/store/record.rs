//! What goes into a store and comes out of it.

use std::time::Duration;

use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::policy::Lifetimes;
use crate::store::{Consumed, Fence, Row};
use crate::token::{Digest, StoredToken};
use crate::user::UserKey;

/// An access token to be recorded.
#[derive(Clone, Debug)]
pub struct NewAccess {
    /// The token's digest.
    pub digest: Digest,
    /// Whose it is.
    pub user: UserKey,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends; `None` leaves it to age by `created_at`, as the original's rows do.
    pub expires_at: Option<Timestamp>,
}

/// A refresh token to be recorded.
#[derive(Clone, Debug)]
pub struct NewRefresh {
    /// The token's digest.
    pub digest: Digest,
    /// The digest of its family: of what all refresh tokens of its session have in common.
    pub family: Digest,
    /// Whose it is.
    pub user: UserKey,
    /// The session that it opens.
    pub session: Option<SessionId>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends if it isn't used; `None` leaves it to age by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// When the session ends whatever happens.
    pub session_expires_at: Option<Timestamp>,
    /// What the login came from.
    pub client: Client,
    /// The user's fence as it was when the login began: the token is recorded only if it still is. `None` asks for no
    /// fence.
    pub fence: Option<Fence>,
}

/// What came of recording a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Opened {
    /// It is recorded, with everything that belongs to it.
    Done,
    /// The user's fence is another by now; nothing was written.
    Fenced,
}

/// What a store knows of an access token.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Whose it is.
    pub user: UserKey,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// When it was issued; `None` when the row holds something that is no time, and the token is then expired.
    pub created_at: Option<Timestamp>,
    /// When it ends; `None` when it ages by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// The user's own row, if the store reads it along.
    pub joined_user: JoinedUser,
}

/// The user's row, read in the same round trip as the token.
#[derive(Clone, Debug)]
pub enum JoinedUser {
    /// This store doesn't read users.
    NotJoined,
    /// The user's row is gone.
    Absent,
    /// The user's columns, in the order in which they were configured.
    Row(Row),
}

/// What a store knows of a session's refresh token.
#[derive(Clone, Debug)]
pub struct RefreshRecord {
    /// The digest of the token that is good now; `None` when it is stored as anything else.
    pub digest: Option<Digest>,
    /// The tokens that were exchanged last, the latest at the end.
    pub consumed: Consumed,
    /// Whose it is.
    pub user: UserKey,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// When it was issued; `None` when the row holds something that is no time, and the token is then expired.
    pub created_at: Option<Timestamp>,
    /// When it ends if it isn't used; `None` when it ages by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// When the session ends whatever happens.
    pub session_expires_at: Option<Timestamp>,
}

/// An exchange of a refresh token for its successor.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The token that was presented.
    pub presented: StoredToken,
    /// The successor's digest.
    pub successor: Digest,
    /// The digest of the family that the successor belongs to.
    pub family: Digest,
    /// What is known of exchanged tokens from now on, the presented one at the end.
    pub consumed: Consumed,
    /// The session that the successor belongs to: the presented token's own, or a new one when it had none.
    pub session: SessionId,
    /// When the successor was issued.
    pub created_at: Timestamp,
    /// When the successor ends if it isn't used.
    pub expires_at: Option<Timestamp>,
    /// When the session ends whatever happens, for a presented token whose record doesn't say: an end that is recorded
    /// already never moves.
    pub session_expires_at: Option<Timestamp>,
    /// The access token that is issued with the successor.
    pub access: Option<NewAccess>,
}

/// What came of a [`Rotate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This caller was the one.
    Done,
    /// The presented token wasn't there any more; nothing was written.
    Gone,
}

/// Which rows a sweep may remove.
#[derive(Clone, Copy, Debug)]
pub struct SweepLimit {
    /// Rows whose `expires_at` isn't after this are expired.
    pub now: Timestamp,
    /// Access tokens without `expires_at` are expired when created at or before this.
    pub access_created: Timestamp,
    /// Refresh tokens without `expires_at` are expired when created at or before this.
    pub refresh_created: Timestamp,
    /// Fences that nobody has used since this are removed as well.
    pub fence_used: Timestamp,
    /// The most rows of each kind to remove in one call.
    pub rows: u32,
}

/// How long a fence is kept that nobody uses: much longer than a login may take.
const FENCE_KEPT: Duration = Duration::from_hours(24);

impl SweepLimit {
    /// What has expired at `now`, where tokens that state no end age by `lifetimes`: at most `rows` of each kind.
    pub fn new(now: Timestamp, lifetimes: &Lifetimes, rows: u32) -> Self {
        Self {
            now,
            access_created: now.saturating_sub(lifetimes.access()),
            refresh_created: now.saturating_sub(lifetimes.refresh()),
            fence_used: now.saturating_sub(FENCE_KEPT),
            rows,
        }
    }
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Access tokens removed.
    pub access: u64,
    /// Refresh tokens removed.
    pub refresh: u64,
    /// Fences removed.
    pub fences: u64,
    /// Whether expired rows are left for another call.
    pub more: bool,
}

/// A session as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// When it was opened; `None` when that isn't known.
    pub opened_at: Option<Timestamp>,
    /// When its refresh token was issued: at login or at the latest rotation.
    pub refreshed_at: Option<Timestamp>,
    /// When one of its tokens was last seen in use, as far as that was noted.
    pub used_at: Option<Timestamp>,
    /// When it ends if it isn't refreshed; `None` when it ages by `refreshed_at`.
    pub expires_at: Option<Timestamp>,
    /// When it ends whatever happens.
    pub session_expires_at: Option<Timestamp>,
    /// What its login came from.
    pub client: Client,
}

/// A session that was seen in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserKey,
    /// When.
    pub at: Timestamp,
}

/// A piece of a list of sessions, ordered by id.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Starts after this id; `None` starts at the first.
    pub after: Option<SessionId>,
    /// The most to return.
    pub limit: u32,
}
