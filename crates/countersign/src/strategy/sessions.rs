//! Sessions: opened by a login, kept alive by exchanging refresh tokens, ended by logout. The policy is the same
//! whether access tokens are opaque or signed, so each strategy that refreshes holds one [`Sessions`], and says as an
//! [`Issuer`] in what it differs. The flows stand once: [`flow`] opens and refreshes, [`ending`] ends.

mod count;
mod ending;
mod exchange;
mod flow;
mod issue;
mod issuer;
mod open;
mod reuse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::SessionId;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::{ConfigError, Failure, Refusal};
use crate::policy::{Lifetimes, ReusePolicy, SessionCap};
use crate::profile::Profile;
use crate::store::{Page, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore};
use crate::token::{DigestKeyRing, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
use crate::user::UserKey;

#[cfg(feature = "jwt")]
pub(super) use ending::IN_FLIGHT;
pub(super) use exchange::Standing;
pub(super) use flow::unrefused;
pub(super) use issuer::{Access, GoesOn, Issuer, IssuesFor, Named, Presented};
pub(super) use open::Grant;
pub use open::{Login, LoginFence};
pub use reuse::ReuseCause;

/// The page's default for `token_bytes`.
const DEFAULT_TOKEN_BYTES: usize = 32;

/// The settings of sessions, and the [`TokenStore`] that has them: what opaque and signed tokens have in common.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use countersign::store::{MemoryStore, TokenStore};
/// use countersign::strategy::Sessions;
/// use countersign::{DigestKeyRing, Lifetimes, ReusePolicy, Secret, SystemEntropy};
///
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), Duration::from_secs(86_400))?;
/// let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
/// let sessions = Sessions::new(store, digests, lifetimes).with_reuse(ReusePolicy::strict());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sessions<S = Arc<dyn TokenStore>> {
    store: S,
    digests: DigestKeyRing,
    format: TokenFormat,
    lifetimes: Lifetimes,
    reuse: ReusePolicy,
    cap: Option<SessionCap>,
    /// Where sessions end that may not come back with a rollback of the caller's transaction.
    outside: Option<Arc<dyn TokenStore>>,
    profile: Profile,
    legacy_plaintext: bool,
    /// How long exchanged tokens are remembered beyond their window.
    remembered_for: Option<Duration>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<S: TokenStore> Sessions<S> {
    /// Sessions in `store`, with tokens of 32 random bytes, our own formats, and the system's clock and generator.
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

    /// Writes the formats of `profile`, with `token_bytes` random bytes in each token.
    ///
    /// # Errors
    /// [`ConfigError`] that names `token_bytes` outside 16 to 128.
    pub fn with_format(mut self, profile: Profile, token_bytes: usize) -> Result<Self, ConfigError> {
        self.format = TokenFormat::new(profile, token_bytes)?;
        self.profile = profile;
        Ok(self)
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes randomness from `entropy`.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Also accepts refresh tokens that an earlier system stored as they are. For the time of a migration only.
    #[must_use]
    pub(crate) const fn with_legacy_plaintext(mut self) -> Self {
        self.legacy_plaintext = true;
        self
    }

    /// Remembers exchanged tokens for that time, [as many as are kept](crate::store::Consumed::MOST): so long live the
    /// access tokens that went with them, which their session's end has to deny.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub(super) const fn remembering(mut self, time: Duration) -> Self {
        self.remembered_for = Some(time);
        self
    }

    /// Judges presented refresh tokens by `reuse`.
    #[must_use]
    pub const fn with_reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Lets no user have more sessions than `cap` says; `None` lets them have any number.
    #[must_use]
    pub const fn with_cap(mut self, cap: Option<SessionCap>) -> Self {
        self.cap = cap;
        self
    }

    /// A session of `owner` that hasn't ended, with the end that it comes to.
    pub(super) async fn get(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        let found = self.store.find_session(session, owner).await?;
        Ok(found.and_then(|record| self.live(record, self.now())))
    }

    /// Part of the list of a user's sessions, those left out that have ended by age.
    pub(super) async fn live_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let now = self.now();
        let found = self.store.sessions(user, page).await?;
        let sessions = found.sessions.into_iter().filter_map(|record| self.live(record, now)).collect();
        Ok(SessionPage { sessions, next: found.next })
    }

    /// Removes at most `rows` expired tokens of each kind. In our own profile, rows that state no end are litestar-auth's, and how
    /// long those live isn't known here: they stay. Remove them with [`TokenStore::sweep`], which is told.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn sweep(&self, rows: u32) -> Result<Swept, Failure> {
        let mut limit = self.limit(rows);
        if self.profile != Profile::LitestarAuth {
            let never = Timestamp::from_unix_seconds(0);
            (limit.access_created, limit.refresh_created) = (never, never);
        }
        self.store.sweep(&limit).await
    }

    pub(super) fn limit(&self, rows: u32) -> SweepLimit {
        SweepLimit::new(self.now(), &self.lifetimes, rows)
    }

    /// Every form in which a store may hold `token`, the likeliest first.
    pub(super) fn stored_forms<'a>(&'a self, token: &'a PlainToken) -> impl Iterator<Item = StoredToken> + Send + 'a {
        let legacy = self.legacy_plaintext.then(|| StoredToken::legacy_plaintext(token)).flatten();
        self.digests.candidates(token).map(StoredToken::from).chain(legacy)
    }

    pub(super) const fn access_shape(&self) -> TokenShape {
        self.format.access_shape()
    }

    pub(super) fn check_access(&self, token: &PlainToken) -> Result<(), Refusal> {
        self.format.check(TokenKind::Access, token)
    }

    /// The record, with the end that it comes to, if that is after `now`.
    fn live(&self, record: SessionRecord, now: Timestamp) -> Option<SessionRecord> {
        let end = self.end_of_life(record.refreshed_at?, record.expires_at, record.session_expires_at);
        (end > now).then_some(SessionRecord { expires_at: Some(end), ..record })
    }

    fn end_of_life(&self, issued: Timestamp, end: Option<Timestamp>, session_end: Option<Timestamp>) -> Timestamp {
        let end = end.unwrap_or_else(|| issued.saturating_add(self.lifetimes.refresh()));
        end.min(session_end.unwrap_or(Timestamp::MAX))
    }
}

impl<S> Sessions<S> {
    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The secrets that digest refresh tokens.
    #[cfg(feature = "jwt")]
    pub(super) const fn digests(&self) -> &DigestKeyRing {
        &self.digests
    }

    /// The lifetimes of tokens and sessions.
    pub const fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// The present moment, by the clock that was passed in.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same policy over another store: a transaction of the caller's, beside which `outside` can be written to.
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
