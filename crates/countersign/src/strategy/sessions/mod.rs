//! Sessions: opened by a login, kept alive by rotation of the refresh token, ended by logout.
//!
//! The rules are the same for opaque and for signed access tokens, so they are written once, here.
//! Each strategy with sessions holds one [`Sessions`], and implements [`Issuer`] for its
//! differences.
//!
//! - [`flow`] opens and refreshes sessions, and keeps the limit on their number.
//! - [`exchange`] finds a refresh token, judges it (current, retry or reuse) and rotates it.
//! - [`ending`] ends one session, or everything that a user has.
//! - [`open`] and [`issue`] make tokens and their records.
//! - [`reuse`] names and reports the causes of a repeated presentation.
//!
//! Two rules hold everywhere. The statement that writes decides a race, never an earlier read. And
//! where access tokens are signed, the order of denying and removing leaves, after a crash in
//! between, something that can be found and ended again.

mod count;
mod ending;
mod exchange;
mod flow;
mod grant;
mod issue;
mod issuer;
mod login;
mod open;
mod recent;
mod reuse;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::{ConfigError, Failure, Refusal};
use crate::profile::Profile;
use crate::session::{Lifetimes, ReusePolicy, SessionId, SessionLimit};
use crate::store::{Page, SessionPage, SessionRecord, SweepLimit, SweepPace, Swept, TokenStore};
use crate::token::{DigestKeyRing, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
use crate::user::UserKey;

pub(super) use exchange::Standing;
pub(super) use grant::{Access, Grant};
#[cfg(feature = "jwt")]
pub(super) use issuer::IN_FLIGHT;
pub(super) use issuer::{GoesOn, Issuer, IssuesFor, Named, Presented};
pub(super) use login::unrefused;
pub use login::{Login, LoginFence};
pub use reuse::ReuseCause;

/// The default number of random bytes in a token.
const DEFAULT_TOKEN_BYTES: usize = 32;

/// The settings of sessions, and the [`TokenStore`] that holds them.
///
/// Create one to give refresh tokens to `JwtStrategy` (`JwtStrategyBuilder::sessions`). The
/// builders of the other strategies create theirs from their settings; their `sessions` methods
/// return it.
///
/// The decisions, in order:
///
/// 1. *Store*, *digest keys* and *lifetimes*: [`Sessions::new`] takes them. The secret of the
///    digest keys must not be the signing secret.
/// 2. *Reuse*: [`with_reuse`](Self::with_reuse). Defaults to a grace window of 10 seconds.
/// 3. *Sessions per user*: [`with_limit`](Self::with_limit). Defaults to no limit.
///
/// Expired sessions stay in the store until [`sweep`](Self::sweep) deletes them. Call it regularly.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use countersign::store::{MemoryStore, TokenStore};
/// use countersign::strategy::Sessions;
/// use countersign::token::DigestKeyRing;
/// use countersign::{Lifetimes, ReusePolicy, Secret, SystemEntropy};
///
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), Duration::from_secs(86_400))?;
/// let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
/// let sessions = Sessions::new(store, digests, lifetimes).with_reuse(ReusePolicy::strict());
/// assert_eq!(sessions.lifetimes().access(), Duration::from_secs(900));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sessions<S = Arc<dyn TokenStore>> {
    store: S,
    digests: DigestKeyRing,
    format: TokenFormat,
    lifetimes: Lifetimes,
    reuse: ReusePolicy,
    cap: Option<SessionLimit>,
    /// The store outside of the caller's transaction, for an end of session that no rollback may
    /// undo. `None` outside of a transaction, and on SQLite.
    outside: Option<Arc<dyn TokenStore>>,
    profile: Profile,
    legacy_plaintext: bool,
    /// The time for which rotated tokens are remembered beyond the grace window. `None` remembers
    /// them no longer than the window.
    remembered_for: Option<Duration>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<S: TokenStore> Sessions<S> {
    /// Creates sessions in `store`.
    ///
    /// Tokens have 32 random bytes and the formats of the `countersign` profile. Clock and
    /// randomness are those of the system. There is no limit on sessions per user.
    pub fn new(store: S, digests: DigestKeyRing, lifetimes: Lifetimes) -> Self {
        Self {
            store,
            digests,
            format: TokenFormat::standard(Profile::default(), DEFAULT_TOKEN_BYTES),
            lifetimes,
            reuse: ReusePolicy::default(),
            cap: None,
            outside: None,
            profile: Profile::default(),
            legacy_plaintext: false,
            remembered_for: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Sets the profile and the number of random bytes in a token. Defaults to the `countersign`
    /// profile and 32 bytes.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `token_bytes` if the number is not from 16 to 128.
    pub fn with_format(
        mut self,
        profile: Profile,
        token_bytes: usize,
    ) -> Result<Self, ConfigError> {
        self.format = TokenFormat::new(profile, token_bytes)?;
        self.profile = profile;
        Ok(self)
    }

    /// Sets the clock. Defaults to the system clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of randomness. Defaults to the generator of the operating system.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Also accepts tokens that an earlier system stored as plain text. For the time of a migration
    /// only.
    #[must_use]
    pub(crate) const fn with_legacy_plaintext(mut self) -> Self {
        self.legacy_plaintext = true;
        self
    }

    /// Remembers rotated tokens for `time`, up to [`Consumed::MOST`](crate::store::Consumed::MOST)
    /// of them.
    ///
    /// For the `litestar-auth` profile of signed tokens. The ids of access tokens are derived from
    /// refresh tokens, and the end of a session has to deny all ids that can still be valid.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub(super) const fn remembering(mut self, time: Duration) -> Self {
        self.remembered_for = Some(time);
        self
    }

    /// Sets the policy for refresh tokens that are presented again after their rotation. Defaults
    /// to a grace window of 10 seconds.
    #[must_use]
    pub const fn with_reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Sets the limit on live sessions of one user. Defaults to `None`, which is no limit.
    #[must_use]
    pub const fn with_limit(mut self, cap: Option<SessionLimit>) -> Self {
        self.cap = cap;
        self
    }

    /// Returns a live session of `owner`, with its expiry filled in.
    pub(super) async fn get(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let found = self.store.find_session(session, owner).await?;
        Ok(found.and_then(|record| self.live(record, self.now())))
    }

    /// Returns a page of the live sessions of a user. Expired ones are left out.
    pub(super) async fn live_sessions(
        &self,
        user: &UserKey,
        page: &Page,
    ) -> Result<SessionPage, Failure> {
        let now = self.now();
        let found = self.store.sessions(user, page).await?;
        let sessions = found
            .sessions
            .into_iter()
            .filter_map(|record| self.live(record, now))
            .collect();
        Ok(SessionPage {
            sessions,
            next: found.next,
        })
    }

    /// Deletes at most `rows` expired tokens of each kind, and returns what was deleted.
    ///
    /// Call it again while [`Swept::more`] is `true`.
    /// [`cleanup_expired`](super::DatabaseTokenStrategy::cleanup_expired) of
    /// `DatabaseTokenStrategy` does that, with breaks for other writers.
    ///
    /// In the `countersign` profile, rows without an expiry are kept, because litestar-auth wrote
    /// them and their lifetime is not known here. To delete these, call [`TokenStore::sweep`] with
    /// a limit.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked. It may be called again at any time.
    pub async fn sweep(&self, rows: u32) -> Result<Swept, Failure> {
        let mut limit = self.limit(rows);
        if self.profile != Profile::LitestarAuth {
            let never = Timestamp::from_unix_seconds(0);
            (limit.access_created, limit.refresh_created) = (never, never);
        }
        self.store.sweep(&limit).await
    }

    /// Sweeps in batches until nothing is left, and returns the number of deleted rows. Calls
    /// `progress` after each batch with the number so far.
    pub(crate) async fn sweep_all(
        &self,
        batch: u32,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, Failure> {
        let mut removed: u64 = 0;
        let mut pace = SweepPace::new(batch);
        loop {
            let start = Instant::now();
            let swept = self.sweep(pace.rows()).await?;
            let took = start.elapsed();
            pace.learn(took);
            removed = removed
                .saturating_add(swept.access)
                .saturating_add(swept.refresh)
                .saturating_add(swept.fences);
            progress(removed);
            if !swept.more {
                return Ok(removed);
            }

            // Other writers get as much time as the batch took.
            SweepPace::rest(took).await;
        }
    }

    /// Returns the limit for a sweep or a survey of at most `rows` rows at the present time.
    pub(super) fn limit(&self, rows: u32) -> SweepLimit {
        SweepLimit::new(self.now(), &self.lifetimes, rows)
    }

    /// Returns every form in which a store may hold `token`, the most likely one first.
    pub(super) fn stored_forms<'a>(
        &'a self,
        token: &'a PlainToken,
    ) -> impl Iterator<Item = StoredToken> + Send + 'a {
        let legacy = self
            .legacy_plaintext
            .then(|| StoredToken::legacy_plaintext(token))
            .flatten();
        self.digests
            .candidates(token)
            .map(StoredToken::from)
            .chain(legacy)
    }

    /// Returns the form of opaque access tokens.
    pub(super) const fn access_shape(&self) -> TokenShape {
        self.format.access_shape()
    }

    /// Checks the form of an access token, without asking the store.
    pub(super) fn check_access(&self, token: &PlainToken) -> Result<(), Refusal> {
        self.format.check(TokenKind::Access, token)
    }

    /// Returns the record with its expiry filled in, or `None` if the session has expired at `now`.
    fn live(&self, record: SessionRecord, now: Timestamp) -> Option<SessionRecord> {
        let end = self.end_of_life(
            record.refreshed_at?,
            record.expires_at,
            record.session_expires_at,
        );
        (end > now).then_some(SessionRecord {
            expires_at: Some(end),
            ..record
        })
    }

    /// Returns the expiry of a refresh token: the stored one or, for a row without any, the idle
    /// timeout after its issue; and never later than the session.
    fn end_of_life(
        &self,
        issued: Timestamp,
        end: Option<Timestamp>,
        session_end: Option<Timestamp>,
    ) -> Timestamp {
        let end = end.unwrap_or_else(|| issued.saturating_add(self.lifetimes.refresh()));
        end.min(session_end.unwrap_or(Timestamp::MAX))
    }
}

impl<S> Sessions<S> {
    /// Returns the store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the key ring that digests refresh tokens.
    #[cfg(feature = "jwt")]
    pub(super) const fn digests(&self) -> &DigestKeyRing {
        &self.digests
    }

    /// Returns the lifetimes of tokens and sessions.
    pub const fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Returns the present time, by the clock of these sessions.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the same rules over another store: a transaction of the caller. `outside` is the
    /// store beside that transaction.
    pub(crate) fn within<T>(&self, store: T, outside: Option<Arc<dyn TokenStore>>) -> Sessions<T> {
        Sessions {
            outside,
            store,
            digests: self.digests.clone(),
            format: self.format,
            lifetimes: self.lifetimes,
            reuse: self.reuse,
            cap: self.cap,
            profile: self.profile,
            legacy_plaintext: self.legacy_plaintext,
            remembered_for: self.remembered_for,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("digests", &self.digests)
            .field("format", &self.format)
            .field("lifetimes", &self.lifetimes)
            .field("reuse", &self.reuse)
            .field("cap", &self.cap)
            .field("legacy_plaintext", &self.legacy_plaintext)
            .finish_non_exhaustive()
    }
}
