//! The arguments and answers of a [`TokenStore`](crate::store::TokenStore).
//!
//! Records that grow with the protocol are `#[non_exhaustive]`: they have a `new` with what is
//! always there (see `create`), and public fields for the rest. Within the crate they are written as literals, so
//! that the compiler shows each place that a new field concerns.
//!
//! Each struct is plain data that a strategy fills and a store writes, or the other way round.
//! Times are UTC in whole microseconds. A missing `expires_at` means that the token ages by its
//! time of issue, as rows of litestar-auth do.

use crate::clock::Timestamp;
use crate::session::{ClientInfo, SessionId};
use crate::store::{Consumed, Fence, Row, SessionCursor};
use crate::token::{Digest, StoredToken};
use crate::user::UserKey;

/// An access token to be recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewAccess {
    /// The token's digest.
    pub digest: Digest,
    /// The user that the token belongs to.
    pub user: UserKey,
    /// The session that the token belongs to, or `None` for a token without one.
    pub session: Option<SessionId>,
    /// The time of issue.
    pub created_at: Timestamp,
    /// The end of the token's life. With `None` it ages by `created_at`, as rows of litestar-auth
    /// do.
    pub expires_at: Option<Timestamp>,
    /// The fence that the token must be recorded behind: it is recorded only if this is the user's
    /// current fence. `None` asks for no fence.
    ///
    /// For a token that comes with a [`RotateRequest`] or a [`NewRefresh`] this field is ignored;
    /// it is recorded behind the fence of its session.
    pub fence: Option<Fence>,
}

/// A refresh token to be recorded, with the session that it opens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewRefresh {
    /// The token's digest.
    pub digest: Digest,
    /// The digest of the family: of the bytes that all refresh tokens of the session have in
    /// common.
    pub family: Digest,
    /// The user that the token belongs to.
    pub user: UserKey,
    /// The session that the token opens. `None` records a token without a session, as rows of
    /// litestar-auth are.
    pub session: Option<SessionId>,
    /// The time of issue, which is the login's.
    pub created_at: Timestamp,
    /// The end of the token if it isn't used, which is the session's idle timeout. With `None` it
    /// ages by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// The absolute expiry of the session. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// The latest end of a signed access token of the session. Such tokens are in no store, so this
    /// is how long a logout must keep them denied. `None` if there are none.
    pub access_expires_at: Option<Timestamp>,
    /// The client that the login came from.
    pub client: ClientInfo,
    /// The user's fence as the login has read it: the token is recorded only if it is still
    /// current. `None` asks for no fence.
    pub fence: Option<Fence>,
}

/// The answer of a store that was asked to record a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a store answers one of two")]
pub enum Opened {
    /// The token is recorded, with everything that came with it.
    Done,
    /// The user's fence has changed since it was read, or there is none. Nothing was written.
    Fenced,
}

/// The record of an access token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessRecord {
    /// The user that the token belongs to.
    pub user: UserKey,
    /// The session that the token belongs to, or `None` for a token without one.
    pub session: Option<SessionId>,
    /// The time of issue. `None` if the row holds a value that isn't a time; the token counts as
    /// expired then.
    pub created_at: Option<Timestamp>,
    /// The end of the token's life. With `None` it ages by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// The user's own row, if the store read it in the same round trip.
    pub joined_user: JoinedUser,
}

/// The user's row, read in the same round trip as the token.
///
/// [`UserManager::read_joined`](crate::UserManager::read_joined) makes a user of it.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a user manager has to decide on each case"
)]
pub enum JoinedUser {
    /// The store doesn't read users.
    NotJoined,
    /// The user doesn't exist any more.
    Absent,
    /// The user's columns, in the order in which they were configured.
    Row(Row),
}

/// The record of a session's refresh token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RefreshRecord {
    /// The digest of the current token, or `None` if the token is stored in another form.
    pub digest: Option<Digest>,
    /// The tokens that were exchanged last, the latest at the end.
    pub consumed: Consumed,
    /// The user that the token belongs to.
    pub user: UserKey,
    /// The session that the token belongs to, or `None` for a token without one.
    pub session: Option<SessionId>,
    /// The time of issue of the current token. `None` if the row holds a value that isn't a time;
    /// the token counts as expired then.
    pub created_at: Option<Timestamp>,
    /// The end of the token if it isn't used. With `None` it ages by `created_at`.
    pub expires_at: Option<Timestamp>,
    /// The absolute expiry of the session. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// The latest end of a signed access token of the session, as far as it was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// The user's fence that the session was recorded behind, or `None` if it was recorded behind
    /// none.
    pub fence: Option<Fence>,
}

/// An exchange of a refresh token for its successor.
///
/// [`TokenStore::rotate`](crate::store::TokenStore::rotate) says what each value replaces in the
/// record and what it doesn't.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RotateRequest {
    /// The token that was presented.
    pub presented: StoredToken,
    /// The successor's digest.
    pub successor: Digest,
    /// The digest of the family that the successor belongs to. It replaces the recorded one.
    pub family: Digest,
    /// The exchanged tokens to remember from now on, the presented one at the end. They replace the
    /// recorded ones.
    pub consumed: Consumed,
    /// The session for a presented token that has none. A recorded session is kept, whatever this
    /// says.
    pub session: SessionId,
    /// The successor's time of issue.
    pub created_at: Timestamp,
    /// The end of the successor if it isn't used.
    pub expires_at: Option<Timestamp>,
    /// The absolute expiry for a session whose record has none. A recorded expiry never moves.
    pub session_expires_at: Option<Timestamp>,
    /// The end of the signed access token that is issued with the successor. The recorded value
    /// never moves back.
    pub access_expires_at: Option<Timestamp>,
    /// The opaque access token that is issued with the successor, if there is one.
    pub access: Option<NewAccess>,
}

/// The answer of a store to a [`RotateRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store answers one of two")]
pub enum RotateOutcome {
    /// The successor is recorded: this caller has exchanged the token.
    Done,
    /// The presented token wasn't there any more. Nothing was written.
    Gone,
}

/// The records that a sweep may delete, and how many of them.
///
/// All bounds are inclusive: a record at the very moment of a bound may be deleted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SweepLimit {
    /// The present time. Tokens whose `expires_at` is at or before it have expired.
    pub now: Timestamp,
    /// The cutoff for access tokens without `expires_at`: they have expired if created at or before
    /// it.
    pub access_created: Timestamp,
    /// The cutoff for refresh tokens without `expires_at`: they have expired if created at or
    /// before it.
    pub refresh_created: Timestamp,
    /// The cutoff for fences: they may be deleted if last used at or before it.
    pub fence_used: Timestamp,
    /// The maximum number of rows of each kind to delete in one call.
    pub rows: u32,
}

/// The numbers of records that a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// The number of access tokens deleted.
    pub access: u64,
    /// The number of refresh tokens deleted.
    pub refresh: u64,
    /// The number of fences deleted.
    pub fences: u64,
    /// `true` if another call may find more to delete.
    pub more: bool,
}

/// A session as device lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The id of the session.
    pub id: SessionId,
    /// The time of the login, or `None` if it isn't known.
    pub opened_at: Option<Timestamp>,
    /// The time of the latest authentication: the login's, or that of a later
    /// [`Reauthentication`](crate::store::Reauthentication). `None` if it isn't known.
    pub authenticated_at: Option<Timestamp>,
    /// The time of issue of the current refresh token: the login's or the latest rotation's.
    pub refreshed_at: Option<Timestamp>,
    /// The time at which a token of the session was last seen in use, as far as it was recorded.
    pub used_at: Option<Timestamp>,
    /// The end of the session if it isn't refreshed. With `None` it ages by `refreshed_at`.
    pub expires_at: Option<Timestamp>,
    /// The absolute expiry of the session. Refreshing never extends it.
    pub session_expires_at: Option<Timestamp>,
    /// The latest end of a signed access token of the session, as far as it was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// The digest of the current refresh token, or `None` if the token is stored in another form.
    pub current: Option<Digest>,
    /// The refresh tokens that were exchanged last, the latest at the end.
    pub consumed: Consumed,
    /// The user's fence that the session was recorded behind, or `None` if it was recorded behind
    /// none.
    pub fence: Option<Fence>,
    /// The client that the login came from.
    pub client: ClientInfo,
}

/// A session that was seen in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a request whose every field a store must heed"
)]
pub struct Used {
    /// The id of the session.
    pub session: SessionId,
    /// The user that the session belongs to.
    pub user: UserKey,
    /// The time at which it was seen in use.
    pub at: Timestamp,
}

/// A request for a part of a list of sessions.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a request whose every field a store must heed"
)]
pub struct Page {
    /// The [`next`](SessionPage::next) of the part before. `None` starts at the beginning.
    pub after: Option<SessionCursor>,
    /// The maximum number of sessions to return. 0 counts as 1, and a store may return fewer.
    pub limit: u32,
}

/// A part of a list of sessions.
///
/// # Examples
///
/// ```
/// use countersign::store::{MemoryStore, Page, TokenStore};
/// use countersign::{Failure, UserKey};
///
/// async fn count(store: &dyn TokenStore, user: &UserKey) -> Result<usize, Failure> {
///     let (mut page, mut sessions) = (Page { after: None, limit: 100 }, 0);
///     loop {
///         let part = store.sessions(user, &page).await?;
///         sessions += part.sessions.len();
///         match part.next {
///             Some(next) => page.after = Some(next),
///             None => return Ok(sessions),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Failure> {
/// assert_eq!(count(&MemoryStore::new(), &UserKey::Int(7)).await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPage {
    /// The sessions, at most as many as were asked for. There may be fewer, or none, although more
    /// follow.
    pub sessions: Vec<SessionRecord>,
    /// The cursor of the next part, or `None` at the end of the list.
    pub next: Option<SessionCursor>,
}

/// A request to end all sessions and tokens of a user: "log out everywhere".
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a request whose every field a store must heed"
)]
pub struct EndUser {
    /// The user whose sessions and tokens end.
    pub user: UserKey,
    /// The fence that replaces the user's current one. It must be new and random.
    pub fence: Fence,
    /// The session that goes on, recorded behind the new fence. `None` ends them all.
    pub kept: Option<SessionId>,
    /// `true` if no signed token carries the replaced fence, so that there is nothing to deny.
    pub settled: bool,
    /// The present time.
    pub now: Timestamp,
}

/// A replaced fence whose signed tokens may not be denied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a request whose every field a store must heed"
)]
pub struct EndedFence {
    /// The fence.
    pub fence: Fence,
    /// The session that went on when the fence was replaced, if one did.
    pub kept: Option<SessionId>,
}

/// A request to delete rows of a user, for [`clear`](crate::store::TokenStore::clear).
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a request whose every field a store must heed"
)]
pub struct ClearUser {
    /// The user whose rows are deleted.
    pub user: UserKey,
    /// `true` to end the tokens that were recorded behind no fence, which an [`EndUser`] doesn't
    /// reach, and no others. `false` to delete what an [`EndUser`] has ended.
    pub unfenced: bool,
    /// The session whose tokens behind no fence stay. It matters only if `unfenced` is `true`.
    pub kept: Option<SessionId>,
    /// The maximum number of rows of each kind to delete in one call.
    pub rows: u32,
}

/// The number of tokens that a [`clear`](crate::store::TokenStore::clear) deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// The number of tokens deleted.
    pub removed: u64,
    /// `true` if another call may find more to delete.
    pub more: bool,
}

/// The number of a user's sessions, and how long their signed tokens live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserSurvey {
    /// The number of sessions that can be refreshed.
    pub sessions: u64,
    /// The latest end of a signed access token of these sessions, as far as it was recorded.
    pub access_expires_at: Option<Timestamp>,
    /// The cursor of the next part, or `None` at the end.
    pub next: Option<SessionCursor>,
}
