//! Sessions: opened by a login, kept alive by exchanging refresh tokens, ended by logout. The policy is the same
//! whether access tokens are opaque or signed, so each strategy that refreshes holds one [`Sessions`].

use std::fmt;
use std::sync::Arc;

use crate::answer::{Destroyed, IssuedToken, SessionId, TokenPair};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::{ConfigError, Failure, Refusal};
use crate::policy::Lifetimes;
use crate::profile::Profile;
use crate::store::{NewAccess, NewRefresh, Page, RefreshRecord, Rotate, Rotated, SweepLimit, Swept, TokenStore};
use crate::token::{DigestKeyRing, Locator, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
use crate::user::UserKey;

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
/// use countersign::strategy::Sessions;
/// use countersign::{DigestKeyRing, Lifetimes, Secret, SystemEntropy, UserKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), Duration::from_secs(86_400))?;
/// let sessions = Sessions::new(MemoryStore::new(), digests, lifetimes);
///
/// let grant = sessions.begin(UserKey::Int(7))?;
/// let first = sessions.open(&grant).await?;
/// let found = sessions.find(&first.token).await?.expect("it was just issued");
/// let second = sessions.rotate(&found).await?.expect("nobody else has used it");
/// assert_eq!(second.session_id, first.session_id);
/// assert!(sessions.find(&first.token).await?.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions<S = Arc<dyn TokenStore>> {
    store: S,
    digests: DigestKeyRing,
    format: TokenFormat,
    lifetimes: Lifetimes,
    profile: Profile,
    legacy_plaintext: bool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What the tokens about to be issued have in common. Nothing is written yet, so a signed access token can be made
/// from it before its refresh token is recorded.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose session it is.
    pub user: UserKey,
    /// The session.
    pub session: SessionId,
    /// What the tokens' text says of where the store keeps them.
    pub locator: Option<Locator>,
    /// When the session ends whatever happens.
    pub session_end: Option<Timestamp>,
    /// When the tokens are issued.
    pub issued_at: Timestamp,
}

/// A refresh token that is good, as far as its record tells: not yet exchanged.
#[derive(Clone, Debug)]
pub struct Found {
    presented: StoredToken,
    grant: Grant,
}

impl Found {
    /// What its successor is issued under: the token's own session, or the one it gets now if it had none.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whose it is.
    pub const fn user(&self) -> &UserKey {
        &self.grant.user
    }
}

impl<S: TokenStore> Sessions<S> {
    /// Sessions in `store`, with tokens of 32 random bytes, our own formats, and the system's clock and generator.
    pub fn new(store: S, digests: DigestKeyRing, lifetimes: Lifetimes) -> Self {
        Self {
            store,
            digests,
            format: TokenFormat::standard(Profile::default(), DEFAULT_TOKEN_BYTES),
            lifetimes,
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

    /// The grant of a new session of `user`, from now on.
    ///
    /// # Errors
    /// [`Failure`] when the entropy source can't deliver.
    pub fn begin(&self, user: UserKey) -> Result<Grant, Failure> {
        let issued_at = self.clock.now();
        let session = SessionId::generate(&*self.entropy)?;
        let locator = self.store.locator(&user, Some(session));
        Ok(Grant { user, session, locator, session_end: self.lifetimes.session_end(issued_at), issued_at })
    }

    /// Opens the session: records its first refresh token.
    ///
    /// # Errors
    /// [`Failure`] when it could not be stored; it doesn't exist then.
    pub async fn open(&self, grant: &Grant) -> Result<IssuedToken, Failure> {
        let (refresh, record) = self.new_refresh(grant)?;
        self.store.insert_refresh(&record, None).await?;
        Ok(refresh)
    }

    /// Opens the session with an opaque access token that is recorded in the same step.
    ///
    /// # Errors
    /// [`Failure`] when they could not be stored; neither exists then.
    pub async fn open_with_access(&self, grant: &Grant) -> Result<TokenPair, Failure> {
        let (refresh, record) = self.new_refresh(grant)?;
        let (access, access_record) = self.new_access(grant)?;
        self.store.insert_refresh(&record, Some(&access_record)).await?;
        Ok(TokenPair { access, refresh: Some(refresh), issued_at: grant.issued_at })
    }

    /// Looks a refresh token up and judges its age. Writes nothing.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn find(&self, token: &PlainToken) -> Result<Result<Found, Refusal>, Failure> {
        if let Err(refusal) = self.format.check(TokenKind::Refresh, token) {
            return Ok(Err(refusal));
        }
        let Some((presented, record)) = self.look_up(token).await? else { return Ok(Err(Refusal::Unknown)) };
        let now = self.clock.now();
        if self.has_ended(&record, now) {
            return Ok(Err(Refusal::Expired));
        }
        let session = match record.session {
            Some(session) => session,
            None => SessionId::generate(&*self.entropy)?,
        };
        let session_end = record.session_expires_at.or_else(|| self.lifetimes.session_end(now));
        // The successor stays where the presented token is, whichever key named the place.
        let locator = match presented.locator() {
            Some(locator) => Some(locator.with_session(Some(session))),
            None => self.store.locator(&record.user, Some(session)),
        };
        Ok(Ok(Found { presented, grant: Grant { user: record.user, session, locator, session_end, issued_at: now } }))
    }

    /// Exchanges a refresh token for its successor. However many callers found the same token, one is answered with
    /// a successor and the others with [`Refusal::Consumed`] (promise P1).
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked. The exchange may have taken place then.
    pub async fn rotate(&self, found: &Found) -> Result<Result<IssuedToken, Refusal>, Failure> {
        let (refresh, record) = self.new_refresh(&found.grant)?;
        Ok(self.exchange(found, record, None).await?.map(|()| refresh))
    }

    /// Like [`rotate`](Sessions::rotate), with an opaque access token that is recorded in the same step.
    ///
    /// # Errors
    /// As [`rotate`](Sessions::rotate).
    pub async fn rotate_with_access(&self, found: &Found) -> Result<Result<TokenPair, Refusal>, Failure> {
        let (refresh, record) = self.new_refresh(&found.grant)?;
        let (access, access_record) = self.new_access(&found.grant)?;
        let pair = TokenPair { access, refresh: Some(refresh), issued_at: found.grant.issued_at };
        Ok(self.exchange(found, record, Some(access_record)).await?.map(|()| pair))
    }

    /// Ends a session of `owner`, its access tokens included.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end(&self, session: SessionId, owner: &UserKey) -> Result<Destroyed, Failure> {
        Ok(destroyed(self.store.end_session(session, owner).await?))
    }

    /// Ends the session that a refresh token belongs to, expired or not.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        if self.format.check(TokenKind::Refresh, refresh).is_err() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        match self.look_up(refresh).await? {
            None => Ok(Destroyed::AlreadyInvalid),
            Some((_, RefreshRecord { session: Some(session), user, .. })) => self.end(session, &user).await,
            Some((stored, _)) => Ok(destroyed(self.store.remove_refresh(&stored, None).await?)),
        }
    }

    /// The session that a refresh token belongs to and whose it is, expired or not; `None` when the token is unknown or
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
    pub async fn of_user(&self, user: &UserKey, page: Page) -> Result<Vec<SessionId>, Failure> {
        self.store.sessions(user, page).await
    }

    /// Ends every session of a user and removes every token; how many tokens there were.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn invalidate(&self, user: &UserKey) -> Result<u64, Failure> {
        self.store.remove_user(user).await
    }

    /// Removes at most `rows` expired tokens of each kind.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn sweep(&self, rows: u32) -> Result<Swept, Failure> {
        let now = self.clock.now();
        let limit = SweepLimit {
            now,
            access_created: now.saturating_sub(self.lifetimes.access()),
            refresh_created: now.saturating_sub(self.lifetimes.refresh()),
            rows,
        };
        self.store.sweep(&limit).await
    }

    async fn look_up(&self, token: &PlainToken) -> Result<Option<(StoredToken, RefreshRecord)>, Failure> {
        for stored in self.stored_forms(token) {
            if let Some(record) = self.store.find_refresh(&stored).await? {
                return Ok(Some((stored, record)));
            }
        }
        Ok(None)
    }

    async fn exchange(
        &self,
        found: &Found,
        successor: NewRefresh,
        access: Option<NewAccess>,
    ) -> Result<Result<(), Refusal>, Failure> {
        let rotate = Rotate {
            presented: found.presented.clone(),
            successor: successor.digest,
            session: found.grant.session,
            created_at: found.grant.issued_at,
            expires_at: successor.expires_at,
            session_expires_at: found.grant.session_end,
            access,
        };
        Ok(match self.store.rotate(&rotate).await? {
            Rotated::Done => Ok(()),
            Rotated::Gone => Err(Refusal::Consumed),
        })
    }

    fn has_ended(&self, record: &RefreshRecord, now: Timestamp) -> bool {
        let Some(created_at) = record.created_at else { return true };
        let end = record.expires_at.unwrap_or_else(|| created_at.saturating_add(self.lifetimes.refresh()));
        end.min(record.session_expires_at.unwrap_or(Timestamp::MAX)) <= now
    }

    fn new_refresh(&self, grant: &Grant) -> Result<(IssuedToken, NewRefresh), Failure> {
        let token = self.format.generate(TokenKind::Refresh, grant.locator, &*self.entropy)?;
        let expires_at = self.lifetimes.refresh_end(grant.issued_at, grant.session_end);
        let record = NewRefresh {
            digest: self.digests.digest(&token),
            user: grant.user.clone(),
            session: Some(grant.session),
            created_at: grant.issued_at,
            expires_at: self.stored_end(expires_at, grant.issued_at.saturating_add(self.lifetimes.refresh())),
            session_expires_at: grant.session_end,
        };
        Ok((IssuedToken { token, issued_at: grant.issued_at, expires_at, session_id: Some(grant.session) }, record))
    }

    fn new_access(&self, grant: &Grant) -> Result<(IssuedToken, NewAccess), Failure> {
        let session = (grant.session, grant.session_end);
        self.access_token(&grant.user, grant.locator, Some(session), grant.issued_at)
    }

    /// An access token of `user` that belongs to no session, and its record.
    pub(super) fn loose_access(&self, user: &UserKey) -> Result<(IssuedToken, NewAccess), Failure> {
        self.access_token(user, self.store.locator(user, None), None, self.now())
    }

    fn access_token(
        &self,
        user: &UserKey,
        locator: Option<Locator>,
        session: Option<(SessionId, Option<Timestamp>)>,
        issued_at: Timestamp,
    ) -> Result<(IssuedToken, NewAccess), Failure> {
        let token = self.format.generate(TokenKind::Access, locator, &*self.entropy)?;
        let (session, session_end) = session.map_or((None, None), |(session, end)| (Some(session), end));
        let expires_at = self.lifetimes.access_end(issued_at, session_end);
        let record = NewAccess {
            digest: self.digests.digest(&token),
            user: user.clone(),
            session,
            created_at: issued_at,
            expires_at: self.stored_end(expires_at, issued_at.saturating_add(self.lifetimes.access())),
        };
        Ok((IssuedToken { token, issued_at, expires_at, session_id: session }, record))
    }

    /// The original stores no end: its rows age by `created_at`, so that a changed setting ages them anew. We leave it
    /// out as well where the age alone gives the same end.
    fn stored_end(&self, end: Timestamp, by_age: Timestamp) -> Option<Timestamp> {
        (self.profile == Profile::Countersign || end != by_age).then_some(end)
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

    /// The same policy over another store.
    pub(crate) fn over<T>(&self, store: T) -> Sessions<T> {
        Sessions {
            store,
            digests: self.digests.clone(),
            format: self.format,
            lifetimes: self.lifetimes,
            profile: self.profile,
            legacy_plaintext: self.legacy_plaintext,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
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
            .field("legacy_plaintext", &self.legacy_plaintext)
            .finish_non_exhaustive()
    }
}
