//! Where tokens are kept.
//!
//! A [`TokenStore`] is persistence alone: few operations, each one atomic, on digests and on times that are passed in.
//! What a token is worth (lifetimes, account state, which reuse is theft) is the strategy's business.

mod consumed;
mod fence;
mod memory;
mod pace;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod shared;
pub mod sql;

use async_trait::async_trait;

pub use crate::value::{Row, Value, ValueError};
pub use consumed::{Consumed, ConsumedToken, Salt};
pub use fence::Fence;
pub use memory::MemoryStore;
pub use pace::SweepPace;
pub use record::{
    AccessRecord, JoinedUser, NewAccess, NewRefresh, Opened, Page, RefreshRecord, Rotate, Rotated, SessionRecord,
    SweepLimit, Swept, Used,
};

#[cfg(feature = "redis")]
pub use redis::{OriginalTokens, RedisTokenStore, Scan, ScanStep};

use crate::answer::SessionId;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

/// Keeps tokens. What every store promises:
///
/// - **Atomic.** Each method takes effect whole or not at all, also when the process or the store dies in its middle.
/// - **The guard is in the write.** [`rotate`](TokenStore::rotate) succeeds for one caller per token, however many
///   call at once from however many processes; the statement that writes decides, not an earlier read (promise P1).
/// - **Acknowledged is durable**, as far as the store itself keeps what it acknowledged (P11, P12). An error means
///   "nothing happened" or "unknown", and every method may be called again after one.
/// - **Absent is a value.** `None`, `false` and `0` are answers; an error means the store could not be asked (P6).
/// - **Reads never write** (P8), and never judge: an expired row is returned as it is.
/// - **What has ended stays ended.** A rotation changes a record and never makes one, and a refresh token that asks for a
///   [`Fence`] is recorded only behind that one; both are decided in the step that writes (P4).
/// - **No own clock.** Every time is an argument (P10).
///
/// - **One refresh token per session.** A session is opened by the refresh token that names it first, and ends as a whole.
///
/// The suite in [`testing`](crate::testing) checks these clauses against any implementation.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Records an access token.
    async fn insert_access(&self, access: &NewAccess) -> Result<(), Failure>;

    /// The access token's record, live or expired.
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure>;

    /// Removes an access token. With an `owner`, only if it is that user's. `false` when there was none to remove.
    async fn remove_access(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure>;

    /// The user's fence: the one that stands, or `fresh`, which stands from then on.
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure>;

    /// Puts another fence in the place of the user's, so that no login that read the one before is recorded.
    async fn raise_fence(&self, user: &UserKey, fence: Fence, now: Timestamp) -> Result<(), Failure>;

    /// Records a refresh token and, in the same atomic step, the access token issued with it: if the user's fence is the
    /// one it asks for.
    async fn insert_refresh(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Result<Opened, Failure>;

    /// The refresh token's record, live or expired.
    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure>;

    /// The record of the one refresh token of a family that isn't consumed yet, live or expired.
    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure>;

    /// Puts a successor in the place of a refresh token and records the access token issued with it, if the refresh
    /// token is still there: all of it for exactly one caller, nothing for the others.
    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, Failure>;

    /// Removes a refresh token that belongs to no session (rows of the original have none). With an `owner`, only if
    /// it is that user's.
    async fn remove_refresh(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure>;

    /// Removes every refresh token of a user that belongs to no session, those included that had ended; how many there were.
    async fn remove_loose(&self, user: &UserKey) -> Result<u64, Failure>;

    /// Ends a session of `owner`, so that none of its tokens is found any more. `false` when that user has no such
    /// session.
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure>;

    /// A session of `owner` that has a refresh token, live or expired.
    async fn find_session(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure>;

    /// The sessions of a user that have a refresh token, in the order of their ids, from after `page.after` on.
    async fn sessions(&self, user: &UserKey, page: Page) -> Result<Vec<SessionRecord>, Failure>;

    /// Notes when sessions were seen in use: those that are still there, and never an earlier moment than is noted.
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure>;

    /// Removes every token of a user; how many there were, those included that had ended and were still kept. The fence
    /// stays.
    async fn remove_user(&self, user: &UserKey) -> Result<u64, Failure>;

    /// Removes expired tokens, at most `limit.rows` of each kind, and says whether more are left. A store whose records
    /// leave by themselves once they have ended has nothing to do here.
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure>;

    /// What the text of a token of `user`, in `session` or outside of sessions, must carry for this store to find it;
    /// `None` when its digest is enough. Records are kept under the digest of that text, and asked for by it.
    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator>;

    /// Asks whether the store answers.
    async fn ping(&self) -> Result<(), Failure>;

    /// Whether what it acknowledged outlives this process.
    fn is_durable(&self) -> bool;
}
