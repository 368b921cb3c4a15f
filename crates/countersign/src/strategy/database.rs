//! Opaque tokens, looked up in a store: `DatabaseTokenStrategy` of the strategies page.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

pub use builder::DatabaseTokenStrategyBuilder;

use crate::answer::{Answer, Authenticated, Destroyed, Invalidated, IssuedToken};
use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::store::sql::{Dialect, Driver, SqlStore};
use crate::store::{AccessRecord, EndedFence, JoinedUser, SessionRecord, SweepPace, TokenStore};
use crate::strategy::sessions::{Access, GoesOn, Grant, Issuer, IssuesFor, Named, Presented};
use crate::strategy::{RefreshableStrategy, SessionControl, Sessions, Strategy, TokenControl};
use crate::token::{Digest, PlainToken, TokenShape};
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
    /// `cleanup_expired_tokens`). Rows that state no end stay in our own profile: they are [litestar-auth's](Sessions::sweep).
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

    /// Removes an access token of `owner`, in whatever form it is stored.
    async fn remove(&self, token: &PlainToken, owner: &UserKey) -> Result<bool, Failure> {
        let mut removed = false;
        for stored in self.sessions.stored_forms(token) {
            removed |= self.sessions.store().remove_access(&stored, Some(owner)).await?;
        }
        Ok(removed)
    }

    /// When the token was issued and when it ends; `None` when it has ended, or when its row holds no time.
    fn live_times(&self, record: &AccessRecord) -> Option<(Timestamp, Timestamp)> {
        let created = record.created_at?;
        let end = record.expires_at.unwrap_or_else(|| created.saturating_add(self.sessions.lifetimes().access()));
        (end > self.sessions.now()).then_some((created, end))
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
        self.sessions.write_access(&user.id().to_key()).await
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure> {
        if self.sessions.check_access(token).is_err() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        let removed = self.remove(token, &user.id().to_key()).await?;
        Ok(if removed { Destroyed::Revoked } else { Destroyed::AlreadyInvalid })
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        Some(self)
    }
}

#[async_trait]
impl<S: TokenStore> TokenControl for DatabaseTokenStrategy<S> {
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure> {
        self.end_sessions(user, None).await.map(Invalidated::All)
    }

    fn revocation_is_durable(&self) -> bool {
        self.sessions.store().is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        self.sessions.access_shape()
    }
}

/// Access tokens are in the store, and end there.
#[async_trait]
impl<S: TokenStore> Issuer for DatabaseTokenStrategy<S> {
    type Store = S;

    const SIGNED: bool = false;

    fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    async fn named_by(&self, access: &PlainToken) -> Result<Presented, AuthError> {
        self.sessions.check_access(access)?;
        let Some(record) = self.look_up(access).await? else { return Ok(Presented::Gone) };
        let times = self.live_times(&record);
        Ok(Presented::Known(Named {
            user: record.user,
            session: record.session,
            expires_at: times.map_or_else(|| self.sessions.now(), |(_, end)| end),
            is_good: times.is_some(),
        }))
    }

    async fn revoke(&self, access: &PlainToken, named: &Named) -> Result<(), Failure> {
        self.remove(access, &named.user).await.map(drop)
    }

    async fn deny_session(&self, _: &SessionRecord, _: Option<Timestamp>) -> Result<(), Failure> {
        Ok(())
    }

    async fn deny_fences(&self, _: &[EndedFence], _: GoesOn, _: Option<Timestamp>) -> Result<(), Failure> {
        Ok(())
    }
}

impl<U: User, S: TokenStore> IssuesFor<U> for DatabaseTokenStrategy<S> {
    fn access(&self, _: &U, _: &Grant, _: &Digest) -> Result<Access, Failure> {
        Ok(Access::Opaque)
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
