//! Where tokens are kept.
//!
//! A [`TokenStore`] is persistence alone: few operations, each one atomic, on digests and on times that are passed in.
//! What a token is worth (lifetimes, account state, which reuse is theft) is the strategy's business.

mod consumed;
mod cursor;
mod memory;
mod pace;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod shared;
pub mod sql;

use async_trait::async_trait;

pub use crate::fence::Fence;
pub use crate::value::{Row, Value, ValueError};
pub use consumed::{Consumed, ConsumedToken, Salt};
pub use cursor::{NotACursor, SessionCursor};
pub use memory::MemoryStore;
pub use pace::SweepPace;
pub use record::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, JoinedUser, NewAccess, NewRefresh, Opened, Page,
    RefreshRecord, Rotate, Rotated, SessionPage, SessionRecord, SweepLimit, Swept, Used, UserSurvey,
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
/// - **What has ended stays ended.** A rotation changes a record and never makes one, and a token that asks for a
///   [`Fence`] is recorded only behind that one; both are decided in the step that writes (P4).
/// - **Everything of a user ends by one mark.** [`end_user`](TokenStore::end_user) takes as long for 100,000 sessions as
///   for one: from then on nothing is found that was recorded behind the fence that it replaced.
///   [`clear`](TokenStore::clear) and [`sweep`](TokenStore::sweep) remove what it left, a batch at a time.
/// - **No own clock.** Every time is an argument (P10).
///
/// - **One refresh token per session.** A session is opened by the refresh token that names it first, and ends as a whole.
///
/// The suite in [`testing`](crate::testing) checks these clauses against any implementation.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Records an access token, if the user's fence is the one it asks for. Returns whether it did.
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure>;

    /// The access token's record, live or expired.
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure>;

    /// Removes an access token. With an `owner`, only if it is that user's. `false` when there was none to remove.
    async fn remove_access(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure>;

    /// The user's fence: the one that stands, or `fresh`, which stands from then on.
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure>;

    /// Ends every session and token of a user that was recorded behind the user's fence, whichever that is, and puts
    /// another fence in its place: one atomic step, of the same cost for any number of them. A session that is kept is
    /// recorded behind the new fence from then on, with its tokens.
    ///
    /// The fence that was replaced is [unsettled](Self::unsettled) from then on, unless the caller says otherwise.
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure>;

    /// Returns the user's fences that [`end_user`](Self::end_user) replaced and nobody has settled.
    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure>;

    /// Notes that the signed tokens of these fences are denied.
    async fn settle(&self, user: &UserKey, fences: &[Fence], now: Timestamp) -> Result<(), Failure>;

    /// Removes some of what [`end_user`](Self::end_user) ended, and returns how much and whether there is more.
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure>;

    /// Looks at some of a user's sessions, from where an earlier call ended, at a cost that doesn't depend on how many there
    /// are. Returns how many of them can be refreshed at `now`, where one that states no end ages by `refresh_created`, when
    /// the latest of their signed access tokens ends, and where to go on.
    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure>;

    /// Looks at all of a user's sessions, part after part. Returns what [`survey_part`](Self::survey_part) said of them
    /// together.
    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        let mut survey = self.survey_part(user, limit, None).await?;
        while let Some(next) = survey.next.take() {
            survey.add(self.survey_part(user, limit, Some(&next)).await?);
        }
        Ok(survey)
    }

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

    /// Ends a session of `owner`, so that none of its tokens is found any more. `false` when that user has no such
    /// session.
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure>;

    /// A session of `owner` that has a refresh token, live or expired.
    async fn find_session(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure>;

    /// Returns a part of the list of a user's sessions that have a refresh token. Its cost is that of the part,
    /// whatever the length of the list. Whoever follows [`next`](SessionPage::next) to the end has seen every session
    /// that was there all the time; one that the store moves meanwhile may come twice.
    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure>;

    /// Returns a part of the list of those of a user's [`sessions`](Self::sessions) that were recorded behind no fence. A
    /// store that finds them without looking at the others does better than this one, which goes through all.
    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let mut found = self.sessions(user, page).await?;
        found.sessions.retain(|session| session.fence.is_none());
        Ok(found)
    }

    /// Notes when sessions were seen in use: those that are still there, and never an earlier moment than is noted.
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure>;

    /// Removes tokens that have expired or whose fence was replaced, at most `limit.rows` of each kind, and says whether
    /// more are left. A user's fence stays as long as a token that was recorded behind it. A store whose records leave by
    /// themselves once they have ended has nothing to do here.
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure>;

    /// What the text of a token of `user`, in `session` or outside of sessions, must carry for this store to find it;
    /// `None` when its digest is enough. Records are kept under the digest of that text, and asked for by it.
    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator>;

    /// Asks whether the store answers.
    async fn ping(&self) -> Result<(), Failure>;

    /// Whether what it acknowledged outlives this process.
    fn is_durable(&self) -> bool;
}
