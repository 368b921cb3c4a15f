//! Opaque tokens, looked up in a store: `DatabaseTokenStrategy` of the strategies page.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

pub use builder::DatabaseTokenStrategyBuilder;

use crate::answer::{Answer, Authenticated, Destroyed, Invalidated, IssuedToken, Rotation, SessionId, TokenPair};
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::store::sql::{Dialect, Driver, SqlStore};
use crate::store::{AccessRecord, JoinedUser, SessionRecord, SweepPace, TokenStore};
use crate::strategy::sessions::{evicted, one_too_many};
use crate::strategy::{Found, Grant, Login, LoginFence, RefreshableStrategy, Rejected, Sessions, Strategy};
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserId, UserKey, UserManager};

/// Issues random tokens and keeps their digests in a [`TokenStore`].
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::{Failure, Secret, Strategy, SystemEntropy, User};
///
/// struct Account { id: i64 }
/// impl User for Account {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .build()?;
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
///
/// let issued = strategy.write_token(&Account { id: 7 }).await?;
/// let answer = strategy.read_token(Some(&issued.token), &users).await?;
/// assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DatabaseTokenStrategy<S = Arc<dyn TokenStore>> {
    sessions: Sessions<S>,
}

impl<S: TokenStore> DatabaseTokenStrategy<S> {
    /// Starts building a strategy over `store`.
    pub fn builder(store: S) -> DatabaseTokenStrategyBuilder<S> {
        DatabaseTokenStrategyBuilder::new(store)
    }

    /// The sessions behind the refresh tokens.
    pub const fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// Removes expired tokens in batches of at most `batch` rows of each kind, and of fewer where they take long
    /// ([`SweepPace`]), so that nobody waits long for a lock; how many there were, unused fences among them. `progress` is
    /// told the count so far after each batch. It may be interrupted and called again at any time (the strategies page:
    /// `cleanup_expired_tokens`).
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked. What was removed before stays removed.
    pub async fn cleanup_expired(&self, batch: u32, progress: &mut (dyn FnMut(u64) + Send)) -> Result<u64, Failure> {
        let mut removed: u64 = 0;
        let mut pace = SweepPace::new(batch);
        loop {
            let start = Instant::now();
            let swept = self.sessions.sweep(pace.rows()).await?;
            let took = start.elapsed();
            pace.learn(took);
            removed = removed.saturating_add(swept.access).saturating_add(swept.refresh).saturating_add(swept.fences);
            progress(removed);
            if !swept.more {
                return Ok(removed);
            }
            SweepPace::rest(took).await;
        }
    }

    async fn look_up(&self, token: &PlainToken) -> Result<Option<AccessRecord>, Failure> {
        for stored in self.sessions.stored_forms(token) {
            if let Some(record) = self.sessions.store().find_access(&stored).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// When the token was issued and when it ends; `None` when it has ended, or when its row holds no time.
    fn live_times(&self, record: &AccessRecord) -> Option<(Timestamp, Timestamp)> {
        let created = record.created_at?;
        let end = record.expires_at.unwrap_or_else(|| created.saturating_add(self.sessions.lifetimes().access()));
        (end > self.sessions.now()).then_some((created, end))
    }

    async fn find<U: User>(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Result<(Found, U), Refusal>, Failure> {
        let found = match self.sessions.find(token).await? {
            Ok(found) => found,
            Err(rejected) => return Ok(Err(self.refuse(rejected).await?)),
        };
        let Some(id) = U::Id::from_key(found.user().clone()) else { return Ok(Err(Refusal::Subject)) };
        Ok(match users.get(&id).await? {
            None => Err(Refusal::UserUnknown),
            Some(user) if !user.is_active() => Err(Refusal::UserInactive),
            Some(user) => Ok((found, user)),
        })
    }

    async fn refuse(&self, rejected: Rejected) -> Result<Refusal, Failure> {
        if let Some(reuse) = &rejected.reuse {
            self.sessions.end_reused(reuse).await?;
        }
        Ok(rejected.refusal)
    }

    /// Ends the sessions that are too many beside a new one.
    async fn keep_cap(&self, grant: &Grant) -> Result<Result<(), Refusal>, Failure> {
        let surplus = match self.sessions.surplus(grant).await? {
            Ok(surplus) => surplus,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for session in surplus {
            self.sessions.end(session, &grant.user).await?;
            evicted(session);
        }
        Ok(Ok(()))
    }
}

impl<D: Driver + Clone + 'static> DatabaseTokenStrategy<SqlStore<D>> {
    /// The same strategy inside a transaction of the caller's: what it writes takes effect with the caller's commit,
    /// and is gone after the caller's rollback (promise P12, the strategies page: `with_session`).
    ///
    /// The end of a session whose refresh token was reused outlives a rollback: it takes effect at once, on a connection of the
    /// store's own (P3). Not so on SQLite, where the caller's transaction keeps every other writer out: there it is part of
    /// that.
    pub fn with_session<E: Driver>(&self, session: E) -> DatabaseTokenStrategy<SqlStore<E>> {
        let store = self.sessions.store();
        let alone = session.dialect() == Dialect::Sqlite;
        let outside = (!alone).then(|| Arc::new(store.clone()) as Arc<dyn TokenStore>);
        DatabaseTokenStrategy { sessions: self.sessions.within(store.within(session), outside) }
    }
}

#[async_trait]
impl<U: User, S: TokenStore> Strategy<U> for DatabaseTokenStrategy<S> {
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        let Some(token) = token else { return Ok(Answer::NotOffered) };
        if let Err(refusal) = self.sessions.check_access(token) {
            return Ok(Answer::Refused(refusal));
        }
        let Some(record) = self.look_up(token).await? else { return Ok(Answer::Refused(Refusal::Unknown)) };
        let Some((issued_at, expires_at)) = self.live_times(&record) else {
            return Ok(Answer::Refused(Refusal::Expired));
        };
        let session = record.session;
        Ok(match user_of(record, users).await? {
            Ok(user) => Answer::Accepted(Authenticated::new(user, session, issued_at, expires_at)),
            Err(refusal) => Answer::Refused(refusal),
        })
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let (issued, record) = self.sessions.loose_access(&user.id().to_key())?;
        self.sessions.store().insert_access(&record).await?;
        Ok(issued)
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure> {
        if self.sessions.check_access(token).is_err() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        let owner = user.id().to_key();
        let mut destroyed = Destroyed::AlreadyInvalid;
        for stored in self.sessions.stored_forms(token) {
            if self.sessions.store().remove_access(&stored, Some(&owner)).await? {
                destroyed = Destroyed::Revoked;
            }
        }
        Ok(destroyed)
    }

    async fn invalidate_all(&self, user: &U::Id) -> Result<Invalidated, Failure> {
        Ok(Invalidated::All(self.sessions.invalidate(&user.to_key()).await?))
    }

    fn revocation_is_durable(&self) -> bool {
        self.sessions.store().is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        self.sessions.access_shape()
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        Some(self)
    }
}

#[async_trait]
impl<U: User, S: TokenStore> RefreshableStrategy<U> for DatabaseTokenStrategy<S> {
    async fn login_fence(&self, user: &U::Id) -> Result<LoginFence, Failure> {
        self.sessions.fence(&user.to_key()).await
    }

    async fn log_in(&self, user: &U, login: &Login) -> Result<Result<TokenPair, Refusal>, Failure> {
        let grant = self.sessions.begin(user.id().to_key())?;
        let pair = match self.sessions.open_with_access(&grant, login).await? {
            Ok(pair) => pair,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(self.keep_cap(&grant).await?.map(|()| pair))
    }

    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, TokenPair>, Failure> {
        let (found, user) = match self.find(token, users).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Rotation::Refused(refusal)),
        };
        Ok(match self.sessions.rotate_with_access(&found).await? {
            Ok(issued) => Rotation::Rotated { user, issued },
            Err(rejected) => Rotation::Refused(self.refuse(rejected).await?),
        })
    }

    async fn session(&self, session: SessionId, user: &U::Id) -> Result<Option<SessionRecord>, Failure> {
        self.sessions.get(session, &user.to_key()).await
    }

    async fn sessions_of(&self, user: &U::Id) -> Result<Vec<SessionRecord>, Failure> {
        self.sessions.live_sessions(&user.to_key()).await
    }

    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let grant = self.sessions.begin(user.id().to_key())?;
        let refresh = self.sessions.open(&grant, &Login::default()).await?.map_err(|_| one_too_many())?;
        self.keep_cap(&grant).await?.map_err(|_| one_too_many())?;
        Ok(refresh)
    }

    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, IssuedToken>, Failure> {
        let (found, user) = match self.find(token, users).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Rotation::Refused(refusal)),
        };
        Ok(match self.sessions.rotate(&found).await? {
            Ok(issued) => Rotation::Rotated { user, issued },
            Err(rejected) => Rotation::Refused(self.refuse(rejected).await?),
        })
    }

    async fn end_session_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        self.sessions.end_of(refresh).await
    }

    async fn end_session_of_stale(&self, access: &PlainToken) -> Result<Option<Destroyed>, Failure> {
        if self.sessions.check_access(access).is_err() {
            return Ok(None);
        }
        let Some(record) = self.look_up(access).await? else { return Ok(None) };
        match record.session.filter(|_| self.live_times(&record).is_none()) {
            Some(session) => self.sessions.end(session, &record.user).await.map(Some),
            None => Ok(None),
        }
    }

    async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure> {
        self.sessions.end(session, &user.to_key()).await
    }

    async fn end_other_sessions(&self, user: &U::Id, kept: Option<SessionId>) -> Result<u64, Failure> {
        let user = user.to_key();
        self.sessions.overtake(&user).await?;
        let mut ended: u64 = 0;
        for session in self.sessions.live_sessions(&user).await? {
            if Some(session.id) != kept {
                ended =
                    ended.saturating_add(u64::from(self.sessions.end(session.id, &user).await? == Destroyed::Revoked));
            }
        }
        Ok(ended)
    }
}

async fn user_of<U: User>(record: AccessRecord, users: &dyn UserManager<U>) -> Result<Result<U, Refusal>, Failure> {
    match record.joined_user {
        JoinedUser::Absent => return Ok(Err(Refusal::UserUnknown)),
        JoinedUser::Row(row) => {
            if let Some(user) = users.read_joined(&row) {
                return user.map(Ok);
            }
        }
        JoinedUser::NotJoined => {}
    }
    get(record.user, users).await
}

async fn get<U: User>(key: UserKey, users: &dyn UserManager<U>) -> Result<Result<U, Refusal>, Failure> {
    let Some(id) = U::Id::from_key(key) else { return Ok(Err(Refusal::Subject)) };
    Ok(users.get(&id).await?.ok_or(Refusal::UserUnknown))
}

impl<S> fmt::Debug for DatabaseTokenStrategy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DatabaseTokenStrategy").field(&self.sessions).finish()
    }
}
