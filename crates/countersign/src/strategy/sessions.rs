//! Sessions: opened by a login, kept alive by exchanging refresh tokens, ended by logout. The policy is the same
//! whether access tokens are opaque or signed, so each strategy that refreshes holds one [`Sessions`].

mod exchange;
mod issue;
mod open;
mod reuse;

use std::fmt;
use std::sync::Arc;

use crate::answer::{Destroyed, SessionId};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::{ConfigError, Failure, Refusal};
use crate::policy::{Lifetimes, ReusePolicy, SessionCap};
use crate::profile::Profile;
use crate::store::{Fence, Page, RefreshRecord, SessionRecord, SweepLimit, Swept, TokenStore};
use crate::token::{DigestKeyRing, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
use crate::user::UserKey;

pub use exchange::Found;
use exchange::Standing;
pub use open::{Grant, Login, LoginFence};
pub use reuse::{Rejected, Reuse, ReuseCause};

/// The page's default for `token_bytes`.
const DEFAULT_TOKEN_BYTES: usize = 32;

/// Opens, continues and ends sessions in a [`TokenStore`].
///
/// It looks up no users. A strategy does that between [`find`](Sessions::find) and [`rotate`](Sessions::rotate), so
/// that a refused user costs no write.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use countersign::store::MemoryStore;
/// use countersign::strategy::{Login, Sessions};
/// use countersign::{DigestKeyRing, Lifetimes, Secret, SystemEntropy, UserKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), Duration::from_secs(86_400))?;
/// let sessions = Sessions::new(MemoryStore::new(), digests, lifetimes);
///
/// let grant = sessions.begin(UserKey::Int(7))?;
/// let first = sessions.open(&grant, &Login::default()).await?.expect("nobody was logged out meanwhile");
/// let found = sessions.find(&first.token).await?.expect("it was just issued");
/// let second = sessions.rotate(&found).await?.expect("nobody else has used it");
/// assert_eq!(second.session_id, first.session_id);
///
/// let retry = sessions.find(&first.token).await?.expect("its answer may have been lost");
/// assert!(sessions.rotate(&retry).await?.expect("it was just exchanged").token == second.token);
/// # Ok(())
/// # }
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

    /// Ends a session of `owner`, its access tokens included.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end(&self, session: SessionId, owner: &UserKey) -> Result<Destroyed, Failure> {
        Ok(destroyed(self.store.end_session(session, owner).await?))
    }

    /// Ends the session that a refresh token belongs to, whether it has expired or been exchanged or not.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        if self.format.check(TokenKind::Refresh, refresh).is_err() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        match self.look_up(refresh).await? {
            Some((_, RefreshRecord { session: Some(session), user, .. })) => self.end(session, &user).await,
            Some((Standing::Current(stored), _)) => Ok(destroyed(self.store.remove_refresh(&stored, None).await?)),
            None | Some(_) => Ok(Destroyed::AlreadyInvalid),
        }
    }

    /// The session that a refresh token belongs to and whose it is, expired, exchanged or neither; `None` when the token is unknown or
    /// belongs to none.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn session_of(&self, refresh: &PlainToken) -> Result<Option<(SessionId, UserKey)>, Failure> {
        if self.format.check(TokenKind::Refresh, refresh).is_err() {
            return Ok(None);
        }
        Ok(self.look_up(refresh).await?.and_then(|(_, record)| Some((record.session?, record.user))))
    }

    /// The sessions of a user.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn of_user(&self, user: &UserKey, page: Page) -> Result<Vec<SessionRecord>, Failure> {
        self.store.sessions(user, page).await
    }

    /// A session of `owner` that hasn't ended, with the end that it comes to.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn get(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        let found = self.store.find_session(session, owner).await?;
        Ok(found.and_then(|record| self.live(record, self.now())))
    }

    /// Ends every session of a user and removes every token; how many tokens there were. Logins that are under way are
    /// overtaken: none of them is recorded any more (promise P4).
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn invalidate(&self, user: &UserKey) -> Result<u64, Failure> {
        self.overtake(user).await?;
        self.store.remove_user(user).await
    }

    /// Lets no login of the user be recorded that is under way, and leaves sessions as they are.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn overtake(&self, user: &UserKey) -> Result<(), Failure> {
        self.store.raise_fence(user, Fence::generate(&*self.entropy)?, self.now()).await
    }

    /// Removes at most `rows` expired tokens of each kind.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn sweep(&self, rows: u32) -> Result<Swept, Failure> {
        self.store.sweep(&SweepLimit::new(self.now(), &self.lifetimes, rows)).await
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
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

/// A session that ended for a newer one.
pub(super) fn evicted(session: SessionId) {
    tracing::info!(event = "session_evicted", session = %session, "the user's oldest session ended for a new one");
}

/// A login for which nobody is there to be told that it is refused.
pub(super) const fn one_too_many() -> Failure {
    Failure::full("list of sessions")
}

const fn destroyed(any: bool) -> Destroyed {
    if any { Destroyed::Revoked } else { Destroyed::AlreadyInvalid }
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
