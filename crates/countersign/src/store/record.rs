//! What goes into a store and comes out of it.

use std::time::Duration;

use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::policy::Lifetimes;
use crate::store::{Consumed, Fence, Row, SessionCursor};
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
    /// The user's fence that the token is recorded behind; `None` asks for none. A token that a [`Rotate`] or a
    /// [`NewRefresh`] brings along is recorded behind the fence of its session, whatever this says.
    pub fence: Option<Fence>,
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
    /// Absolute expiry of the session. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// When the latest access token of the session ends that isn't in the store, because it is signed.
    pub access_expires_at: Option<Timestamp>,
    /// What the login came from.
    pub client: Client,
    /// The user's fence as it was when the login began: the token is recorded only if it still is. `None` asks for no
    /// fence.
    pub fence: Option<Fence>,
}

/// What came of recording a token.
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
    /// Absolute expiry of the session. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// When the latest signed access token of the session ends, as far as that was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// The user's fence that the session was recorded behind; `None` when it was recorded behind none.
    pub fence: Option<Fence>,
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
    /// When the signed access token ends that is issued with the successor. What is recorded never moves back.
    pub access_expires_at: Option<Timestamp>,
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
    /// Its absolute expiry. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// When its latest signed access token ends, as far as that was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// The digest of its current refresh token; `None` when that is stored as anything else.
    pub current: Option<Digest>,
    /// The refresh tokens that were exchanged last.
    pub consumed: Consumed,
    /// The user's fence that it was recorded behind; `None` when it was recorded behind none.
    pub fence: Option<Fence>,
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

/// Which part of a list of sessions is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where the part before ended; `None` starts at the beginning.
    pub after: Option<SessionCursor>,
    /// The most sessions to return.
    pub limit: u32,
}

/// A part of a list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions: at most as many as were asked for. There may be fewer, or none, although more follow.
    pub sessions: Vec<SessionRecord>,
    /// Where the next part begins; `None` at the end of the list.
    pub next: Option<SessionCursor>,
}

impl SessionPage {
    /// The first `limit` of these sessions, which are in the order of their ids and end with the list, or go on beyond
    /// the limit.
    pub(crate) fn of_ordered(mut sessions: Vec<SessionRecord>, limit: u32) -> Self {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let last = sessions.last().filter(|_| more);
        let next = last.and_then(|last| last.id.to_string().parse().ok());
        Self { sessions, next }
    }
}

/// The end of everything that a user has.
#[derive(Clone, Debug)]
pub struct EndUser {
    /// Whose sessions and tokens end.
    pub user: UserKey,
    /// The fence that takes the place of the user's, whichever that is.
    pub fence: Fence,
    /// The session that goes on, recorded behind the new fence; `None` ends them all.
    pub kept: Option<SessionId>,
    /// Whether nothing is left to be done for the fence that is replaced: no signed token carries it.
    pub settled: bool,
    /// The present moment.
    pub now: Timestamp,
}

/// A fence that was replaced, and whose signed tokens may not be denied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedFence {
    /// The fence.
    pub fence: Fence,
    /// The session that went on.
    pub kept: Option<SessionId>,
}

/// Which rows of a user a [`clear`](crate::store::TokenStore::clear) removes.
#[derive(Clone, Debug)]
pub struct ClearUser {
    /// Whose.
    pub user: UserKey,
    /// Removes tokens that were recorded behind no fence, which an [`EndUser`] doesn't reach, and none else; without it,
    /// what an [`EndUser`] ended.
    pub unfenced: bool,
    /// The session whose tokens behind no fence stay.
    pub kept: Option<SessionId>,
    /// The most rows of each kind to remove.
    pub rows: u32,
}

/// What a [`clear`](crate::store::TokenStore::clear) removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Tokens removed.
    pub removed: u64,
    /// Whether there may be more to remove.
    pub more: bool,
}

/// What a store knows of all that a user has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSurvey {
    /// The sessions that can be refreshed.
    pub sessions: u64,
    /// When the latest of their signed access tokens ends, as far as that was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// Where the next part begins, if there may be more.
    pub next: Option<SessionCursor>,
}

impl UserSurvey {
    /// Adds the part that follows.
    pub fn add(&mut self, part: Self) {
        self.sessions = self.sessions.saturating_add(part.sessions);
        self.access_expires_at = self.access_expires_at.max(part.access_expires_at);
        self.next = part.next;
    }
}
