//! The strategy for opaque tokens: random texts that are looked up in a store.
//!
//! [`DatabaseTokenStrategy`] is thin. It reads access tokens, and runs the shared session flow
//! (`strategy::sessions`) with the simplest [`Issuer`]: access tokens are in the store, so a
//! session that ends there needs no denial. `RedisTokenStrategy` is this strategy over another
//! store.

mod builder;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use builder::DatabaseTokenStrategyBuilder;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::store::sql::{Dialect, Driver, SqlStore};
use crate::store::{AccessRecord, EndedFence, JoinedUser, SessionRecord, TokenStore};
use crate::strategy::sessions::{Access, GoesOn, Grant, Issuer, IssuesFor, Named, Presented};
use crate::strategy::{RefreshableStrategy, SessionControl, Sessions, Strategy, TokenControl};
use crate::token::{
    Authenticated, Digest, EndOutcome, Invalidated, IssuedToken, PlainToken, TokenShape,
    TokenStatus,
};
use crate::user::{User, UserId, UserKey, UserManager};

/// Issues random tokens, and keeps their digests in a [`TokenStore`].
///
/// Choose it to revoke tokens at once: each request looks its token up, in one round trip if the
/// users live in the same database. The store contains HMAC-SHA-256 digests, so that a copy of the
/// database yields no valid token.
///
/// It works over every store: [`SqlStore`] for SQLite, PostgreSQL, MySQL and MariaDB, and
/// [`MemoryStore`](crate::store::MemoryStore) for tests. For Redis use `RedisTokenStrategy`.
///
/// Expired rows stay in the tables until they are swept: call
/// [`cleanup_expired`](Self::cleanup_expired) regularly, for example once an hour.
///
/// Build one with [`builder`](Self::builder). Clones share the store.
///
/// # Examples
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::strategy::Strategy;
/// use countersign::{Failure, Secret, SystemEntropy, User};
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
    /// Creates a strategy over sessions whose settings were checked already.
    #[cfg(feature = "axum")]
    pub(crate) const fn over(sessions: Sessions<S>) -> Self {
        Self { sessions }
    }

    /// Returns the session settings and the store behind this strategy.
    pub const fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// Deletes all expired tokens in batches, and returns the number of deleted rows.
    ///
    /// A batch deletes at most `batch` rows of each kind, and fewer if deleting takes long
    /// ([`SweepPace`](crate::store::SweepPace)), so that nobody waits long for a lock. `progress`
    /// is called after each batch with the number of rows deleted so far. The number includes
    /// fences that are not used any more.
    ///
    /// May be interrupted and called again at any time, also from several processes. In the
    /// `countersign` profile, rows without an expiry are kept, because litestar-auth wrote them and
    /// their lifetime is not known here. To delete these, call [`TokenStore::sweep`] with a limit.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked. The rows of earlier batches stay deleted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use countersign::store::MemoryStore;
    /// # use countersign::strategy::DatabaseTokenStrategy;
    /// # use countersign::{Secret, SystemEntropy};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
    /// #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
    /// #     .build()?;
    /// let deleted = strategy.cleanup_expired(1000, &mut |so_far| println!("{so_far}")).await?;
    /// assert_eq!(deleted, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cleanup_expired(
        &self,
        batch: u32,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, Failure> {
        self.sessions.sweep_all(batch, progress).await
    }

    /// Finds the record of an access token, under each digest that it may be stored under.
    async fn look_up(&self, token: &PlainToken) -> Result<Option<AccessRecord>, Failure> {
        for stored in self.sessions.stored_forms(token) {
            if let Some(record) = self.sessions.store().find_access(&stored).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Removes an access token of `owner` in every form in which it may be stored. Returns `true`
    /// if there was one.
    async fn remove(&self, token: &PlainToken, owner: &UserKey) -> Result<bool, Failure> {
        let mut removed = false;
        for stored in self.sessions.stored_forms(token) {
            removed |= self
                .sessions
                .store()
                .remove_access(&stored, Some(owner))
                .await?;
        }
        Ok(removed)
    }

    /// Returns the times of issue and expiry, or `None` if the token has expired or its row has no
    /// readable time of issue.
    fn live_times(&self, record: &AccessRecord) -> Option<(Timestamp, Timestamp)> {
        let created = record.created_at?;
        let end = record
            .expires_at
            .unwrap_or_else(|| created.saturating_add(self.sessions.lifetimes().access()));
        (end > self.sessions.now()).then_some((created, end))
    }
}

impl<D: Driver + Clone + 'static> DatabaseTokenStrategy<SqlStore<D>> {
    /// Returns the same strategy inside a transaction of the caller.
    ///
    /// What the returned strategy writes takes effect with the caller's commit, and is undone by
    /// the caller's rollback. The library never commits the caller's transaction. Hand a token to
    /// its holder only after the commit.
    ///
    /// `session` is a driver over the open transaction, such as `SqliteTransaction`,
    /// `PostgresSession`, `MysqlSession` or `SqlxSession` in [`store::sql`](crate::store::sql).
    ///
    /// One effect outlives a rollback: if a refresh token was reused, its session ends at once, on
    /// a connection of the store's own. SQLite is the exception, because the caller's transaction
    /// excludes all other writers. There the end of the session is part of the transaction.
    pub fn with_session<E: Driver>(&self, session: E) -> DatabaseTokenStrategy<SqlStore<E>> {
        let store = self.sessions.store();
        let alone = session.dialect() == Dialect::Sqlite;
        // A rollback must not revive the session of a stolen token. On SQLite a second writer would
        // wait for the caller, who waits for us.
        let outside = (!alone).then(|| Arc::new(store.clone()) as Arc<dyn TokenStore>);
        DatabaseTokenStrategy {
            sessions: self.sessions.within(store.within(session), outside),
        }
    }
}

#[async_trait]
impl<U: User, S: TokenStore> Strategy<U> for DatabaseTokenStrategy<S> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        let Some(token) = token else {
            return Ok(TokenStatus::NotOffered);
        };
        if let Err(refusal) = self.sessions.check_access(token) {
            return Ok(TokenStatus::Refused(refusal));
        }
        let Some(record) = self.look_up(token).await? else {
            return Ok(TokenStatus::Refused(Refusal::Unknown));
        };
        let Some((issued_at, expires_at)) = self.live_times(&record) else {
            return Ok(TokenStatus::Refused(Refusal::Expired));
        };

        let session = record.session;
        Ok(match user_of(record, users).await? {
            Ok(user) => {
                TokenStatus::Accepted(Authenticated::new(user, session, issued_at, expires_at))
            }
            Err(refusal) => TokenStatus::Refused(refusal),
        })
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        self.sessions.write_access(&user.id().to_key()).await
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        if self.sessions.check_access(token).is_err() {
            return Ok(EndOutcome::AlreadyEnded);
        }
        let removed = self.remove(token, &user.id().to_key()).await?;
        Ok(if removed {
            EndOutcome::Ended
        } else {
            EndOutcome::AlreadyEnded
        })
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

/// Access tokens are in the store and end there, so nothing has to be denied.
#[async_trait]
impl<S: TokenStore> Issuer for DatabaseTokenStrategy<S> {
    type Store = S;

    const SIGNED: bool = false;

    fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    async fn named_by(&self, access: &PlainToken) -> Result<Presented, AuthError> {
        self.sessions.check_access(access)?;
        let Some(record) = self.look_up(access).await? else {
            return Ok(Presented::Gone);
        };
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

    async fn deny_fences(
        &self,
        _: &[EndedFence],
        _: GoesOn,
        _: Option<Timestamp>,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

impl<U: User, S: TokenStore> IssuesFor<U> for DatabaseTokenStrategy<S> {
    fn access(&self, _: &U, _: &Grant, _: &Digest) -> Result<Access, Failure> {
        Ok(Access::Opaque)
    }
}

/// Returns the user of an access token, from the row that the store joined if there is one. This
/// saves the second look-up.
async fn user_of<U: User>(
    record: AccessRecord,
    users: &dyn UserManager<U>,
) -> Result<Result<U, Refusal>, Failure> {
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

/// Looks a user up by the key in a record.
async fn get<U: User>(
    key: UserKey,
    users: &dyn UserManager<U>,
) -> Result<Result<U, Refusal>, Failure> {
    let Some(id) = U::Id::from_key(key) else {
        return Ok(Err(Refusal::Subject));
    };
    Ok(users.get(&id).await?.ok_or(Refusal::UserUnknown))
}

impl<S> fmt::Debug for DatabaseTokenStrategy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DatabaseTokenStrategy")
            .field(&self.sessions)
            .finish()
    }
}
