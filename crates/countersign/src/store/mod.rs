//! Token storage: the [`TokenStore`] trait and its implementations.
//!
//! A store is persistence alone. It offers a few operations, each of them atomic, that take digests
//! and the present time as arguments. Policy belongs to the [strategies](crate::strategy):
//! lifetimes, the state of the account, reuse detection.
//!
//! # Which store to use
//!
//! | store | keeps tokens in | for |
//! |---|---|---|
//! | [`SqlStore`](sql::SqlStore) | SQLite, PostgreSQL, MySQL or MariaDB | most services |
//! | `RedisTokenStore` (feature `redis`) | Redis or Valkey | services that run Redis already |
//! | [`MemoryStore`] | memory | tests, and services that may forget all logins |
//!
//! [`Observed`] wraps any of them, and reports each operation as a `tracing` span.
//!
//! # Where to start
//!
//! Users of the library create a store and give it to a strategy; few of them call its methods.
//! Authors of another store read [`TokenStore`], which states the contract, and run
//! `testing::TokenStoreSuite` (feature `testing`), which checks it. The arguments and answers of
//! the methods are the structs and enums of this module, such as [`NewRefresh`], [`RotateRequest`]
//! and [`SessionPage`].

mod consumed;
mod create;
mod cursor;
mod memory;
mod observed;
mod pace;
mod reauthentication;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod shared;
pub mod sql;

use async_trait::async_trait;

pub use crate::session::fence::Fence;
pub use crate::value::{Row, Value, ValueError};
pub use consumed::{Consumed, ConsumedToken, Salt};
pub use cursor::{NotACursor, SessionCursor};
pub use memory::MemoryStore;
pub use observed::Observed;
pub use pace::SweepPace;
pub use reauthentication::Reauthentication;
pub use record::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, JoinedUser, NewAccess, NewRefresh,
    Opened, Page, RefreshRecord, RotateOutcome, RotateRequest, SessionPage, SessionRecord,
    SweepLimit, Swept, Used, UserSurvey,
};

#[cfg(feature = "redis")]
pub use redis::{OriginalTokens, RedisTokenStore, Scan, ScanStep};

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

/// The number of sessions that the default of [`TokenStore::survey_part`] reads at once.
const SURVEYED: u32 = 100;

/// A store of access tokens, refresh tokens and sessions.
///
/// This trait is for people who write a store. To use one, create a [`MemoryStore`], an
/// [`SqlStore`](sql::SqlStore) or a `RedisTokenStore`, and pass it to a strategy such as
/// [`DatabaseTokenStrategy`](crate::strategy::DatabaseTokenStrategy). `TokenStore` is implemented
/// for `Arc<S>`, `Box<S>` and `&S`, so strategies, sweepers and a
/// [`UseRecorder`](crate::auth::UseRecorder) can share one store.
///
/// # What a store keeps
///
/// - **Access tokens.** Each has a digest, a user, a time of issue and, as a rule, an end and a
///   session.
/// - **Refresh tokens.** A refresh token with a session id *is* the session: a session has exactly
///   one refresh token at a time, and [`rotate`](Self::rotate) replaces that in place. The family,
///   a digest that all refresh tokens of a session share, finds the session by any of them.
/// - **A [`Fence`] for each user.** It is a random value. A login reads it first, and its tokens
///   are *recorded behind* it. "Log out everywhere" replaces it: everything that was recorded
///   behind the old value has ended then, without a write for each session.
/// - **Ended fences.** Signed access tokens carry the fence and are in no store, so their
///   revocation needs the denylist. A replaced fence stays [unsettled](Self::unsettled) until its
///   signed tokens are denied.
///
/// # Contract
///
/// Every implementation guarantees the following. `testing::TokenStoreSuite` (feature `testing`)
/// checks a store against it, clause by clause.
///
/// - **Methods are atomic.** A method that decides something takes effect as a whole or not at all,
///   also if the process or the database stops in the middle, and also if the caller drops the
///   future. A dropped call may still take effect afterwards. Only [`settle`](Self::settle),
///   [`note_use`](Self::note_use), [`clear`](Self::clear) and [`sweep`](Self::sweep) may stop
///   half-way; each states what that leaves.
/// - **The guard is in the write.** Whether an insertion, a rotation or a removal takes place is
///   decided by the step that writes, not by an earlier read. However many callers present the same
///   refresh token at once, from any number of processes, [`rotate`](Self::rotate) succeeds for
///   exactly one.
/// - **A taken digest is refused.** A record is never overwritten. An insertion or a rotation that
///   brings a digest which is recorded already fails, and changes nothing. Only a repetition of the
///   same call may succeed, as described below. Access tokens and refresh tokens are separate: one
///   digest may be recorded as both, and neither is ever taken for the other.
/// - **Acknowledged means durable**, as far as the database itself keeps what it acknowledged (see
///   [`is_durable`](Self::is_durable)).
/// - **Absence is an answer.** `None`, `false` and `0` mean that the store was asked and has no
///   such record. An error means that it could not be asked, and is never used for an unknown
///   token.
/// - **Reads don't write and don't judge.** An expired record is returned as it is, and a rotation
///   accepts it; the strategy compares times. Only a store whose records expire by themselves may
///   have dropped it.
/// - **What has ended stays ended.** A rotation, a note of use or a change of fence updates records
///   and never creates a session. A record whose fence was replaced isn't found by any method.
/// - **Bounds are inclusive.** A record has ended at the very moment of its `expires_at`, and a
///   record without one at the very moment of the cutoff (`access_created`, `refresh_created`).
///   With an end that lies one microsecond later it is still live.
/// - **There is no clock.** Each time is an argument. Times are kept to the microsecond, and an
///   absent time comes back as `None`.
/// - **Texts are compared byte by byte.** No lookup folds case, trims spaces or expands wildcards,
///   and any text may be asked for. User ids are compared with their kind; a store that can hold
///   ids of one kind only fails for others.
/// - **Cost is bounded.** [`end_user`](Self::end_user) costs the same for one session and for
///   100,000. Parts of a list, of a survey, of [`clear`](Self::clear) and of [`sweep`](Self::sweep)
///   cost what the part costs, however much the user has.
#[doc = ""]
#[doc = include_str!("implementing.md")]
///
/// # Examples
///
/// ```
/// use countersign::store::{EndUser, Fence, MemoryStore, NewAccess, Opened, TokenStore};
/// use countersign::clock::{Clock, SystemClock};
/// use countersign::token::DigestKeyRing;
/// use countersign::{PlainToken, Secret};
/// use countersign::{SystemEntropy, UserKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let (user, now) = (UserKey::Int(7), SystemClock.now());
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let digest = digests.digest(&PlainToken::new("csa_wZ5…"));
///
/// // A login: read the fence, then record the token behind it.
/// let fence = store.fence(&user, Fence::generate(&SystemEntropy)?, now).await?;
/// let access = NewAccess::new(digest.clone(), user.clone(), now).with_fence(fence);
/// assert_eq!(store.insert_access(&access).await?, Opened::Done);
/// assert!(store.find_access(&digest.clone().into()).await?.is_some());
///
/// // "Log out everywhere": the token has ended, and a login that began before isn't recorded.
/// let fence = Fence::generate(&SystemEntropy)?;
/// store.end_user(&EndUser { user, fence, kept: None, settled: true, now }).await?;
/// assert!(store.find_access(&digest.into()).await?.is_none());
/// assert_eq!(store.insert_access(&access).await?, Opened::Fenced);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Records an access token, and returns whether the user's fence allowed it.
    ///
    /// If `access.fence` is `Some`, the token is recorded only if this value is the user's current
    /// fence; the comparison and the insertion are one atomic step. A token that is let in behind a
    /// fence counts as a use of the fence at `access.created_at`, so that [`sweep`](Self::sweep)
    /// keeps the fence. If `access.fence` is `None`, the token is recorded in any case, behind no
    /// fence or, as the store prefers, behind the current one.
    ///
    /// Returns [`Opened::Done`] if the token is recorded, and [`Opened::Fenced`] if another fence
    /// is current or the user has none; nothing is recorded then. The answer is about the fence
    /// alone: whether the session exists isn't checked.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the digest is recorded as an access token already
    /// ([`FailureKind::Internal`](crate::error::FailureKind::Internal)), or if the store can't be
    /// asked. Don't hand the token out after an error: the token may not be recorded.
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure>;

    /// Returns the record of an access token, whether live or expired.
    ///
    /// Returns `None` if the token was never recorded or was removed, if its session has ended, or
    /// if the fence that it was recorded behind was replaced. A store that can read the user's row
    /// in the same round trip returns it in [`joined_user`](AccessRecord::joined_user).
    ///
    /// This is on the path of each request: it writes nothing, and should be one round trip.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. The token is then neither valid nor invalid.
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure>;

    /// Deletes an access token and returns `true` if there was one to delete.
    ///
    /// With an `owner`, deletes the token only if it belongs to that user. Other tokens of the
    /// session stay; to end the session, call [`end_session`](Self::end_session).
    ///
    /// Returns `false` if the token is unknown or belongs to another user. Of several callers at
    /// once, one gets `true`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. The token may still be valid; repeat the call.
    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure>;

    /// Returns the user's current fence. If the user has none, stores `fresh` and returns it.
    ///
    /// Callers that come at once all get the same value, whichever of them offered it. A login
    /// calls this before it loads the account, and records its tokens behind the answer. `now`
    /// counts as the first use of a new fence. Asking for one that exists need not count as its
    /// use.
    ///
    /// A fence stays until a [`sweep`](Self::sweep) deletes it for lack of use. A store whose
    /// records expire by themselves keeps it for at least 24 hours after it was asked for. If a
    /// fence is lost earlier, logins that have read it are refused with [`Opened::Fenced`]; nothing
    /// becomes valid.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked or can't store `fresh`. The login can't go on
    /// without a fence.
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure>;

    /// Ends everything that was recorded behind the user's current fence, and makes `end.fence` the
    /// current one.
    ///
    /// This is "log out everywhere". It is one atomic step whose cost doesn't depend on the number
    /// of sessions: from then on, no method finds a token or session that was recorded behind the
    /// old fence, and no login that read the old fence is recorded. Records may stay in the
    /// database until [`clear`](Self::clear) or [`sweep`](Self::sweep) deletes them.
    ///
    /// - The session `end.kept` goes on with its refresh token and all its access tokens, and is
    ///   recorded behind the new fence. That holds also beside a rotation of that session. It
    ///   revives nothing: a session that has ended already, that belongs to another user or that is
    ///   recorded behind no fence isn't changed.
    /// - Tokens that were recorded behind no fence are not reached. Call [`clear`](Self::clear)
    ///   with [`unfenced`](ClearUser::unfenced) for these.
    /// - The old fence is [unsettled](Self::unsettled) from then on, with the session that was
    ///   kept, unless `end.settled` is `true`.
    /// - A user without a fence gets `end.fence`. No fence was replaced then, and none is
    ///   unsettled.
    ///
    /// Of several calls at once, each replaces one fence: the next call ends what the one before
    /// has kept, and no replaced fence is forgotten. A repetition with the same `end.fence` must
    /// change nothing if the first call took effect.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked, or if it has no room for another unsettled fence.
    /// Strategies settle a user's fences when 16 are unsettled; a store may refuse more than a
    /// number well above that (64 on Redis), and then changes nothing. Don't acknowledge a logout
    /// after an error: repeat the call.
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure>;

    /// Returns the fences of a user that [`end_user`](Self::end_user) replaced and nobody has
    /// settled.
    ///
    /// Each comes with the session that was kept then. They are in the order in which they were
    /// replaced, if the store knows it. Fences that were settled when they were replaced, and the
    /// current fence, are not among them. The list is empty for a user without any.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked.
    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure>;

    /// Marks replaced fences as settled: the denylist refuses their signed tokens from now on.
    ///
    /// Settled fences leave the list of [`unsettled`](Self::unsettled) for good. A fence that isn't
    /// unsettled, is current, is unknown or belongs to another user is ignored, and an empty slice
    /// does nothing. `now` is the time of settling, for stores that record it.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. Some of the fences may be settled then; the others
    /// stay in the list, so repeat the call.
    async fn settle(&self, user: &UserKey, fences: &[Fence], now: Timestamp)
    -> Result<(), Failure>;

    /// Deletes a part of what [`end_user`](Self::end_user) has ended, or of what it doesn't reach.
    ///
    /// - With [`unfenced`](ClearUser::unfenced) `false`, deletes tokens of the user whose fence was
    ///   replaced. Nothing changes for anybody, since no method finds these; `kept` doesn't matter.
    /// - With [`unfenced`](ClearUser::unfenced) `true`, *ends* the tokens of the user that were
    ///   recorded behind no fence, except those of the session `kept`. A rotation at the same time
    ///   leaves nothing behind: neither the successor nor its access token. A store may end all of
    ///   them by one mark and delete them later.
    ///
    /// A call deletes at most `clear.rows` tokens of each kind. It never deletes what is recorded
    /// behind the current fence.
    ///
    /// Returns how many tokens were deleted, and [`more`](Cleared::more). While `more` is `true`,
    /// call again. It may be `true` although nothing is left, but not for ever; the call after a
    /// `false` deletes nothing.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. What was deleted before stays deleted; repeat the
    /// call.
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure>;

    /// Counts a part of the user's sessions that can be refreshed, from where an earlier part
    /// ended.
    ///
    /// The cost of a call doesn't depend on the number of sessions. `after` is
    /// [`next`](UserSurvey::next) of the part before; `None` starts at the beginning. A cursor that
    /// isn't one of this store's gives an empty survey or another part of the same user's sessions,
    /// and never an error.
    ///
    /// A session counts if it has ended neither by its fence nor by its age: its `expires_at` is
    /// after `limit.now`, or it has none and its refresh token was issued after
    /// `limit.refresh_created`. The other fields of `limit` don't matter. Refresh tokens without a
    /// session don't count. The answer also has the latest end of a signed access token of the
    /// sessions that count.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. Ask for the same part again, or start anew.
    ///
    /// # Default
    ///
    /// Reads a page of [`sessions`](Self::sessions) and counts. A session that the store moves
    /// between two pages may count twice then.
    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let page = Page {
            after: after.cloned(),
            limit: SURVEYED,
        };
        let part = self.sessions(user, &page).await?;
        Ok(UserSurvey::of(&part.sessions, limit, part.next))
    }

    /// Counts all of the user's sessions that can be refreshed.
    ///
    /// Asks for [part](Self::survey_part) after part and adds them up; [`next`](UserSurvey::next)
    /// is `None` in the answer. There is no need to implement it.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked for one of the parts.
    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        let mut survey = self.survey_part(user, limit, None).await?;
        while let Some(next) = survey.next.take() {
            survey.add(self.survey_part(user, limit, Some(&next)).await?);
        }
        Ok(survey)
    }

    /// Records a refresh token and, in the same atomic step, the access token that is issued with
    /// it.
    ///
    /// This opens the session that `refresh.session` names. If `refresh.fence` is `Some`, both are
    /// recorded only if this value is the user's current fence, as in
    /// [`insert_access`](Self::insert_access). A session that is let in behind a fence counts as a
    /// use of the fence at `refresh.created_at`. The access token is recorded behind the same
    /// fence, whatever `access.fence` says.
    ///
    /// Returns [`Opened::Done`] if everything is recorded, and [`Opened::Fenced`] if another fence
    /// is current or the user has none; nothing is recorded then, and the login must be refused.
    ///
    /// # Errors
    ///
    /// [`Failure`] if either digest is recorded already in its kind
    /// ([`FailureKind::Internal`](crate::error::FailureKind::Internal)), or if the store can't be
    /// asked. Both tokens are recorded or neither is. Don't hand them out after an error.
    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure>;

    /// Returns the record of a refresh token, whether live or expired.
    ///
    /// The token is found if it is the current one of its session, or if it belongs to no session.
    ///
    /// Returns `None` if the token is unknown, was exchanged for a successor, was removed, or
    /// belongs to a session that has ended. To find the session of a token that was exchanged, call
    /// [`find_family`](Self::find_family).
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked.
    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure>;

    /// Returns the record of the current refresh token of a family, whether live or expired.
    ///
    /// A family is what all refresh tokens of a session have in common. The answer's
    /// [`digest`](RefreshRecord::digest) and [`consumed`](RefreshRecord::consumed) tell if a
    /// presented token is current, has just been exchanged or was exchanged long ago; reuse
    /// detection rests on this.
    ///
    /// Returns `None` if the family is unknown or its session has ended. After a rotation that
    /// brought another family, the earlier one is unknown.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked.
    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure>;

    /// Replaces a refresh token by its successor, and records the access token that is issued with
    /// it.
    ///
    /// All of it is one atomic step, guarded by the presence of the presented token: of any number
    /// of callers that present the same token, one gets [`RotateOutcome::Done`], and the others get
    /// [`RotateOutcome::Gone`] and write nothing. If [`end_session`](Self::end_session),
    /// [`end_user`](Self::end_user) or [`clear`](Self::clear) ends the session at the same time,
    /// nothing of it is left, whichever comes first.
    ///
    /// In the record, a rotation
    ///
    /// - replaces the digest, the family, the list of consumed tokens, `created_at` and
    ///   `expires_at`, the last also by `None`;
    /// - keeps the session. `rotate.session` is used only if the presented token has no session,
    ///   and is ignored otherwise;
    /// - keeps `session_expires_at`. The value of `rotate` is used only if none is recorded;
    /// - keeps the later of the two `access_expires_at`;
    /// - keeps the user, the fence, the client, the time of login and the last use.
    ///
    /// The access token is recorded behind the fence of the session. Access tokens that were issued
    /// earlier stay. An expired token is rotated like any other.
    ///
    /// Returns [`RotateOutcome::Gone`] if the presented token isn't there any more: it was
    /// exchanged or removed, or its session has ended.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the successor's digest or the access token's is recorded already
    /// ([`FailureKind::Internal`](crate::error::FailureKind::Internal)), or if the store can't be
    /// asked. The presented token is still current or the rotation is complete. The caller looks
    /// the session up again before it decides.
    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure>;

    /// Deletes a refresh token that has no session, and returns `true` if there was one to delete.
    ///
    /// Only tokens that litestar-auth has recorded have none. A session's refresh token is never
    /// deleted alone: use [`end_session`](Self::end_session). With an `owner`, deletes the token
    /// only if it belongs to that user.
    ///
    /// Returns `false` if the token is unknown, has a session, or belongs to another user.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. The token may still be valid; repeat the call.
    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure>;

    /// Ends a session of `owner` with all its tokens, and returns `true` if that user had such a
    /// session.
    ///
    /// Its refresh token and every access token are gone, those included that were issued before
    /// rotations or by a rotation at the same time. Other sessions and tokens without a session
    /// stay.
    ///
    /// Returns `false` if the session is unknown, has ended, or belongs to another user. Of several
    /// callers at once, one gets `true`: strategies rely on that to report reuse once.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. The session may still be live; repeat the call.
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure>;

    /// Returns a session of `owner` that has a refresh token, whether live or expired.
    ///
    /// Returns `None` if the session is unknown, has ended, has access tokens alone, or belongs to
    /// another user.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked.
    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure>;

    /// Returns a part of the list of the user's sessions that have a refresh token, whether live or
    /// expired.
    ///
    /// A part has at most [`page.limit`](Page::limit) sessions. It may have fewer, or none,
    /// although more follow; only [`next`](SessionPage::next) tells. A limit of 0 counts as 1. The
    /// order is the store's own. The cost of a call doesn't depend on the length of the list.
    ///
    /// A caller that follows `next` to the end sees every session that was there all the time.
    /// Sessions that are opened or ended meanwhile may be missing or present, and a session that
    /// the store moves meanwhile may come twice. The list must come to an end.
    ///
    /// A cursor may come from a stranger: any [`SessionCursor`] is answered with sessions of `user`
    /// or with an empty page, and never with an error.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. Ask for the same part again.
    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure>;

    /// Returns a part of the list of the user's [`sessions`](Self::sessions) that were recorded
    /// behind no fence.
    ///
    /// [`end_user`](Self::end_user) doesn't reach these, so the denylist has to know them one by
    /// one. The rules for parts and cursors are those of [`sessions`](Self::sessions).
    ///
    /// The default implementation drops the other sessions from a page of
    /// [`sessions`](Self::sessions), so the caller goes through the whole list. A store that finds
    /// these sessions by an index should implement it.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. Ask for the same part again.
    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let mut found = self.sessions(user, page).await?;
        found.sessions.retain(|session| session.fence.is_none());
        Ok(found)
    }

    /// Records when sessions were last seen in use.
    ///
    /// A later time replaces an earlier one, and never the other way round. A session that isn't
    /// there any more is ignored: noting its use doesn't bring it back. `used` should name a
    /// session once; of two times for the same session, either may be recorded. An empty slice does
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. Some of the uses may be recorded then; repeating
    /// the call is harmless.
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure>;

    /// Records a [`Reauthentication`], and returns `true` if the session is there. A repetition
    /// has the effect of one call.
    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure>;

    /// Deletes a batch of tokens that have expired or whose fence was replaced, and of fences that
    /// nobody uses.
    ///
    /// - A token has expired if its `expires_at` is at or before `limit.now`. A token without one
    ///   has expired if it was created at or before `limit.access_created` or
    ///   `limit.refresh_created`, by its kind.
    /// - A fence is deleted if its last use is at or before `limit.fence_used` and its user has no
    ///   token left. A fence that a token is recorded behind stays: [`end_user`](Self::end_user)
    ///   must still find it.
    /// - An unsettled fence stays at least until `limit.fence_used` passes the moment of its end.
    ///
    /// Deletes at most `limit.rows` expired tokens of each kind and as many fences. A store that
    /// keeps ended tokens may delete as many of these besides. A fence that is used at the same
    /// time stays. Of several sweepers at once, each counts only what it has deleted itself.
    ///
    /// Returns the numbers, and [`more`](Swept::more). While `more` is `true`, call again; it is
    /// never `false` while something is left, and doesn't stay `true` for ever. A store whose
    /// records expire by themselves does nothing and returns [`Swept::default`]; the suite must be
    /// told so (`self_expiring`).
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store can't be asked. What was deleted before stays deleted; the next
    /// sweep goes on.
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure>;

    /// Returns the location that the text of a new token of `user` must carry for this store to
    /// find it.
    ///
    /// Returns `None` if the store finds tokens by their digest alone. `session` is the token's
    /// session, or `None` for a token without one.
    ///
    /// A strategy puts the locator into the token's text and digests the whole text. The [`Digest`]
    /// keeps it, so the store gets it back from [`Digest::locator`] and [`StoredToken::locator`] in
    /// every call. A store that returns locators refuses to record a digest without a fitting one,
    /// and doesn't find a token whose text has none.
    /// The default returns `None`.
    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        let _ = (user, session);
        None
    }

    /// Asks the store for an answer, to see that it can be reached.
    ///
    /// It reads and writes no record. Readiness checks call it.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the store doesn't answer.
    async fn ping(&self) -> Result<(), Failure>;

    /// Returns `true` if what the store acknowledged outlives this process.
    ///
    /// It is `false` for a store in memory. It says nothing about the settings of the database
    /// itself, such as the persistence of a Redis server.
    fn is_durable(&self) -> bool;
}
