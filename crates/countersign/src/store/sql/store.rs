//! The SQL implementation of [`TokenStore`]: each operation is one statement or one script.
//!
//! The texts are in `statements`, per dialect. This file binds parameters to them, in the order
//! that `Statements` documents, and reads rows back. Lists of sessions are in `list`, account
//! changes in `account`, surveys and sweeps in `maintenance`. A row that holds something unreadable
//! is treated as absent or expired, never as valid.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::sql::rows::{
    counts, ended_fence, fence, kept, opened, owner, refresh_record, session_record, times,
};
use crate::store::sql::statements::{NOTED, Removal, Statements};
use crate::store::sql::{DatabaseTokenModels, Dialect, Driver, Outcome, Script};
use crate::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, JoinedUser, NewAccess,
    NewRefresh, Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest,
    SessionCursor, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;
use crate::value::{Row, Value};

/// The part that failures of this store name.
const PART: &str = "token store";

/// A [`TokenStore`] in SQL tables, over any [`Driver`].
///
/// Clones are cheap: they share the statements, and the connections if the driver does. The tables
/// must exist; a [`Migrator`](crate::store::sql::Migrator) creates the bundled ones.
///
/// # Cost
///
/// A check of an access token is one statement, which also reads the user's row if
/// [`DatabaseTokenModels::join_users`] is set. A login, a rotation and a logout are one transaction
/// each, on PostgreSQL one or two statements without an explicit transaction. Ending all sessions
/// of a user is one short transaction, regardless of their number. Uses of sessions are noted for
/// up to 32 of them in one statement. Every look-up is served by an index of the bundled tables.
///
/// # Sweeping
///
/// Nothing leaves the tables by itself. Expired rows and rows of ended sessions stay, without being
/// valid, until [`sweep`](TokenStore::sweep) deletes them. It deletes bounded batches, so it may
/// run beside requests. Call it regularly: through
/// [`cleanup_expired`](crate::strategy::DatabaseTokenStrategy::cleanup_expired), for example.
///
/// # Rows of litestar-auth
///
/// litestar-auth may go on using the same tables. Rows that it wrote have no expiry and no session;
/// they age by `created_at`, as the [`SweepLimit`] and the strategy say.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::TokenStore;
/// use countersign::store::sql::{
///     Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// Migrator::new(&database, UserKeyKind::Int).run().await?;
/// let store = SqlStore::new(database.driver(), DatabaseTokenModels::bundled(UserKeyKind::Int));
/// store.ping().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqlStore<D = Arc<dyn Driver>> {
    pub(super) driver: D,
    pub(super) dialect: Dialect,
    models: Arc<DatabaseTokenModels>,
    pub(super) statements: Arc<Statements>,
}

impl<D: Driver> SqlStore<D> {
    /// Creates a store in the tables that `models` names.
    ///
    /// This doesn't look at the database. Call [`DatabaseTokenModels::verify`] first to find
    /// missing tables and columns at startup.
    pub fn new(driver: D, models: DatabaseTokenModels) -> Self {
        let dialect = driver.dialect();
        let statements = Arc::new(Statements::new(dialect, &models));
        Self {
            driver,
            dialect,
            models: Arc::new(models),
            statements,
        }
    }

    /// Returns a store in the same tables that runs its statements in `session`, a transaction of
    /// the caller.
    ///
    /// What it writes becomes valid with the caller's commit. A strategy is joined to a transaction
    /// by [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session), which calls this.
    pub fn within<E: Driver>(&self, session: E) -> SqlStore<E> {
        let dialect = session.dialect();
        let statements = if dialect == self.dialect {
            Arc::clone(&self.statements)
        } else {
            Arc::new(Statements::new(dialect, &self.models))
        };

        SqlStore {
            driver: session,
            dialect,
            models: Arc::clone(&self.models),
            statements,
        }
    }

    /// Returns the names of the tables and columns.
    pub fn models(&self) -> &DatabaseTokenModels {
        &self.models
    }

    /// Returns the row of a token, if there is one.
    async fn find(
        &self,
        statement: &super::Statement,
        token: &StoredToken,
    ) -> Result<Option<Row>, Failure> {
        let rows = self
            .driver
            .fetch(statement, &[token.as_str().into()])
            .await?;

        // A column whose collation folds case or ignores trailing spaces matches texts that differ
        // from the parameter. Only the exact text is the token.
        Ok(rows.into_iter().find(|row| {
            row.text(0)
                .is_ok_and(|stored| stored == Some(token.as_str()))
        }))
    }

    /// Runs a script.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.driver.run(script, params).await
    }

    /// Runs a removal, and returns the number of rows that were deleted.
    async fn remove(&self, removal: &Removal, params: &[Value]) -> Result<u64, Failure> {
        let mut removed = counts::<2>(&self.run(&removal.script, params).await?)
            .iter()
            .sum();
        if let Some(again) = &removal.again {
            removed += self.run(again, params).await?.affected.iter().sum::<u64>();
        }
        Ok(removed)
    }

    /// Returns the user's current fence, if there is one.
    async fn standing_fence(&self, user: &UserKey) -> Result<Option<Fence>, Failure> {
        let rows = self
            .driver
            .fetch(&self.statements.fence, &[self.key(user)?])
            .await?;
        Ok(rows.first().map(fence))
    }

    /// Returns the user's id as a parameter.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] of kind [`Internal`](crate::error::FailureKind::Internal) if the id is
    /// of another kind than the tables hold.
    pub(super) fn key(&self, user: &UserKey) -> Result<Value, Failure> {
        if user.kind() == self.models.user_id {
            Ok(Value::from(user))
        } else {
            Err(Failure::internal(
                PART,
                "the user id has a different type than the tables",
            ))
        }
    }

    /// Returns the five parameters of an access token that every insert begins with.
    fn access_params(&self, access: &NewAccess) -> Result<[Value; 5], Failure> {
        Ok([
            access.digest.as_str().into(),
            access.created_at.into(),
            self.key(&access.user)?,
            access.session.map(|session| session.to_string()).into(),
            access.expires_at.map(Timestamp::as_micros).into(),
        ])
    }
}

#[async_trait]
impl<D: Driver> TokenStore for SqlStore<D> {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        let mut params = self.access_params(access)?.to_vec();
        params.push(access.fence.map(Fence::to_text).into());

        let opening = &self.statements.insert_access;
        let script = if access.fence.is_some() {
            &opening.fenced
        } else {
            &opening.free
        };
        if access.fence.is_some() {
            params.push(access.created_at.as_micros().into());
        }
        Ok(opened(&self.run(script, &params).await?))
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        let Some(row) = self.find(&self.statements.find_access, token).await? else {
            return Ok(None);
        };
        let Some((user, session)) = owner(self.models.user_id, &row) else {
            return Ok(None);
        };
        let (created_at, expires_at) = times(&row, 3, &[4]);
        let joined_user = match (&self.models.users, row.value(5)) {
            (None, _) => JoinedUser::NotJoined,
            (Some(_), Value::Null) => JoinedUser::Absent,
            (Some(_), _) => JoinedUser::Row(row.skip(6)),
        };

        Ok(Some(AccessRecord {
            user,
            session,
            created_at,
            expires_at: expires_at.first().copied().flatten(),
            joined_user,
        }))
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let outcome = match owner {
            None => {
                self.run(&self.statements.remove_access, &[token.as_str().into()])
                    .await?
            }
            Some(owner) => {
                self.run(
                    &self.statements.remove_own_access,
                    &[token.as_str().into(), self.key(owner)?],
                )
                .await?
            }
        };

        Ok(outcome.took_effect())
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        if let Some(fence) = self.standing_fence(user).await? {
            return Ok(fence);
        }

        // Two callers may insert at once, and only one row is kept. Reading again gives both the
        // same fence.
        let params = [
            self.key(user)?,
            fresh.to_text().into(),
            now.as_micros().into(),
        ];
        self.run(&self.statements.found_fence, &params).await?;

        self.standing_fence(user)
            .await?
            .ok_or_else(|| Failure::internal(PART, "a recorded fence is missing"))
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        let endings = &self.statements.endings;
        let script = if end.kept.is_some() {
            &endings.end_but_one
        } else {
            &endings.end
        };
        self.run(script, &self.ending_params(end)?)
            .await
            .map(|_| ())
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        let mut rows = self
            .driver
            .fetch(&self.statements.endings.unsettled, &[self.key(user)?])
            .await?;
        // Here and not in the database, which has no index for it: there are 16 at most.
        rows.sort_by_key(|row| row.int(2).ok().flatten());
        Ok(rows.iter().filter_map(ended_fence).collect())
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        for fence in fences {
            let params = [
                fence.to_text().into(),
                now.as_micros().into(),
                self.key(user)?,
            ];
            self.run(&self.statements.endings.settle, &params).await?;
        }
        Ok(())
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        let endings = &self.statements.endings;
        let params = [
            self.key(&clear.user)?,
            i64::from(clear.rows).into(),
            kept(clear.kept),
        ];
        let (script, given) = if clear.unfenced {
            (&endings.clear_unfenced, 3)
        } else {
            (&endings.clear, 2)
        };

        let outcome = self
            .run(script, params.get(..given).unwrap_or_default())
            .await?;
        let removed = counts::<2>(&outcome)
            .into_iter()
            .fold(0, u64::saturating_add);

        // A statement that waited for a rotation doesn't see the access token which that rotation
        // recorded; the next statement does. So "no more" is only said after a call that found
        // nothing.
        Ok(Cleared {
            removed,
            more: removed > 0,
        })
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.survey(user, limit, after).await
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let client = &refresh.client;
        let mut params = vec![
            refresh.digest.as_str().into(),
            refresh.created_at.into(),
            self.key(&refresh.user)?,
            refresh.session.map(|session| session.to_string()).into(),
            refresh.expires_at.map(Timestamp::as_micros).into(),
            refresh.session_expires_at.map(Timestamp::as_micros).into(),
            refresh.family.as_str().into(),
            refresh.created_at.as_micros().into(),
            client.user_agent().into(),
            client.ip().map(|ip| ip.to_string()).into(),
            client.label().into(),
            refresh.access_expires_at.map(Timestamp::as_micros).into(),
            refresh.fence.map(Fence::to_text).into(),
        ];

        let opening = if access.is_some() {
            &self.statements.insert_both
        } else {
            &self.statements.insert_refresh
        };
        let script = if refresh.fence.is_some() {
            &opening.fenced
        } else {
            &opening.free
        };

        if let Some(access) = access {
            params.extend(self.access_params(access)?);
        }
        Ok(opened(&self.run(script, &params).await?))
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        Ok(self
            .find(&self.statements.find_refresh, token)
            .await?
            .and_then(|row| refresh_record(self.models.user_id, &row)))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let rows = self
            .driver
            .fetch(&self.statements.find_family, &[family.as_str().into()])
            .await?;
        Ok(rows
            .first()
            .and_then(|row| refresh_record(self.models.user_id, row)))
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let mut params = vec![
            rotate.presented.as_str().into(),
            rotate.successor.as_str().into(),
            rotate.created_at.into(),
            rotate.expires_at.map(Timestamp::as_micros).into(),
            rotate.session.to_string().into(),
            rotate.session_expires_at.map(Timestamp::as_micros).into(),
            rotate.family.as_str().into(),
            rotate.consumed.to_text().into(),
            rotate.access_expires_at.map(Timestamp::as_micros).into(),
        ];

        let script = match &rotate.access {
            None => &self.statements.rotate,
            Some(access) => {
                params.extend(self.access_params(access)?);
                &self.statements.rotate_both
            }
        };

        let outcome = self.run(script, &params).await?;
        Ok(if outcome.took_effect() {
            RotateOutcome::Done
        } else {
            RotateOutcome::Gone
        })
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let outcome = match owner {
            None => {
                self.run(&self.statements.remove_refresh, &[token.as_str().into()])
                    .await?
            }
            Some(owner) => {
                self.run(
                    &self.statements.remove_own_refresh,
                    &[token.as_str().into(), self.key(owner)?],
                )
                .await?
            }
        };

        Ok(outcome.took_effect())
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let params = [session.to_string().into(), self.key(owner)?];
        Ok(self.remove(&self.statements.end_session, &params).await? > 0)
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let params = [session.to_string().into(), self.key(owner)?];
        let rows = self
            .driver
            .fetch(&self.statements.find_session, &params)
            .await?;
        Ok(rows.first().and_then(session_record))
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.page(user, page).await
    }

    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.unfenced_page(user, page).await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        for used in used.chunks(NOTED) {
            let Some(last) = used.last() else { continue };

            // Repeating the last entry fills up the statement, so that one prepared text serves all
            // lengths.
            let filled = used.iter().chain(std::iter::repeat(last)).take(NOTED);
            let params: Vec<Value> = filled
                .flat_map(|used| [used.session.to_string().into(), used.at.as_micros().into()])
                .collect();
            self.run(&self.statements.note_use, &params).await?;
        }
        Ok(())
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let params = [
            again.session.to_string().into(),
            self.key(&again.user)?,
            again.at.as_micros().into(),
            again.fence.map(Fence::to_text).unwrap_or_default().into(),
        ];
        let script = &self.statements.reauthenticate;
        Ok(self.run(script, &params).await?.took_effect())
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        self.sweep_batch(limit).await
    }

    fn locator(&self, _user: &UserKey, _session: Option<SessionId>) -> Option<Locator> {
        None
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.driver
            .fetch(&self.statements.ping, &[])
            .await
            .map(|_| ())
    }

    fn is_durable(&self) -> bool {
        self.driver.is_durable()
    }
}

impl<D> fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("dialect", &self.dialect)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}
