//! The queries on the table `member`, and the changes that end sessions.

use countersign::axum::{LoginAttempt, LoginVerdict};
use countersign::store::sql::{Database, DatabaseTokenModels, SqlStore, SqlxSession};
use countersign::strategy::{DatabaseTokenStrategy, SessionControl};
use countersign::{ConfigError, Failure, Secret, UserId, Users};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::email::Email;
use crate::error::{EMAIL_INVALID, EMAIL_TAKEN, Error, MEMBER_NOT_FOUND, failure};
use crate::member::Member;
use crate::passwords::{DECOY, HashError, Passwords, RETRY_AFTER};

/// The members of the application. Clones share everything.
#[derive(Clone, Debug)]
pub struct Members {
    pool: PgPool,
    passwords: Passwords,
    /// A second strategy over the tokens of `Auth`, which can join a transaction.
    tokens: DatabaseTokenStrategy<SqlStore>,
}

impl Members {
    /// Creates the members over a pool. `secret` is the one that tokens are digested with.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the secret can't be used.
    pub fn new(pool: PgPool, secret: &Secret) -> Result<Self, ConfigError> {
        let models = DatabaseTokenModels::bundled(Uuid::KIND);
        let store = SqlStore::new(Database::from(pool.clone()).driver(), models);
        let tokens = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(secret)
            .build()?;
        Ok(Self {
            pool,
            passwords: Passwords::new(),
            tokens,
        })
    }

    /// Returns the pool.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Adds a member, and returns the id.
    pub(crate) async fn register(&self, email: &str, password: String) -> Result<Uuid, Error> {
        let email = Email::parse(email).ok_or(EMAIL_INVALID)?;
        let hash = self.passwords.hash(password).await?;
        // The constraint decides, and not a query before: two requests may come at once.
        sqlx::query_scalar("INSERT INTO member (email, password_hash) VALUES ($1, $2) RETURNING id")
            .bind(email.as_str())
            .bind(hash)
            .fetch_one(&self.pool)
            .await
            .map_err(taken)
    }

    /// Gives a member another email address.
    ///
    /// Returns `false` if the account is disabled, or if the password isn't the one that `member`
    /// had: both may have happened between the head of the request and its body. Nothing is changed
    /// then.
    pub(crate) async fn change_email(&self, member: &Member, email: &str) -> Result<bool, Error> {
        let email = Email::parse(email).ok_or(EMAIL_INVALID)?;
        let changed = sqlx::query(
            "UPDATE member SET email = $3 WHERE id = $1 AND password_hash = $2 AND is_active",
        )
        .bind(member.id)
        .bind(&member.password_hash)
        .bind(email.as_str())
        .execute(&self.pool)
        .await
        .map_err(taken)?;
        Ok(changed.rows_affected() > 0)
    }

    /// Gives a member another password, and ends all sessions: both, or neither.
    ///
    /// Returns `false` if the account is disabled, or if the password isn't the one that `member`
    /// had. Nothing is changed then.
    pub(crate) async fn change_password(
        &self,
        member: &Member,
        password: String,
    ) -> Result<bool, Error> {
        // Before the transaction, which would hold a connection all the while.
        let hash = self.passwords.hash(password).await?;
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query(
            "UPDATE member SET password_hash = $3 \
             WHERE id = $1 AND password_hash = $2 AND is_active",
        )
        .bind(member.id)
        .bind(&member.password_hash)
        .bind(hash)
        .execute(&mut *transaction)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        self.end_sessions(&mut transaction, member.id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Enables or disables an account, and returns the member as it is now. Disabling ends all
    /// sessions.
    ///
    /// Returns `None` if `admin` has lost the role, is disabled, or has another password by now.
    /// Nothing is changed then.
    pub(crate) async fn set_active(
        &self,
        admin: &Member,
        id: Uuid,
        is_active: bool,
    ) -> Result<Option<Member>, Error> {
        let mut transaction = self.pool.begin().await?;
        if !is_still_admin(&mut transaction, admin).await? {
            return Ok(None);
        }
        let member = sqlx::query_as(
            "UPDATE member SET is_active = $2 WHERE id = $1 \
             RETURNING id, email, password_hash, role, is_active",
        )
        .bind(id)
        .bind(is_active)
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(MEMBER_NOT_FOUND)?;
        if !is_active {
            // Tokens of a disabled account are refused in any case. This is for the day on which it
            // is enabled: the tokens of before must not be good again.
            self.end_sessions(&mut transaction, id).await?;
        }
        transaction.commit().await?;
        Ok(Some(member))
    }

    /// Ends all sessions of a member within a transaction: they end with its commit, or not at all.
    ///
    /// A login that is under way with the old password is refused as well.
    async fn end_sessions(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        id: Uuid,
    ) -> Result<(), Failure> {
        let inside = self.tokens.with_session(SqlxSession::new(transaction));
        inside.end_sessions(&id.to_key(), None).await?;
        Ok(())
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Member>, Failure> {
        sqlx::query_as(
            "SELECT id, email, password_hash, role, is_active FROM member WHERE email = $1",
        )
        .bind(email.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failure)
    }
}

/// Returns `true` if a member is an admin, with the password that `member` had. Nobody can change
/// that before the transaction ends.
async fn is_still_admin(
    transaction: &mut Transaction<'_, Postgres>,
    member: &Member,
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(
        "SELECT 1 FROM member WHERE id = $1 AND password_hash = $2 AND role = 'admin' \
         AND is_active FOR UPDATE",
    )
    .bind(member.id)
    .bind(&member.password_hash)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(row.is_some())
}

/// Returns the error of a statement that writes an email address.
fn taken(error: sqlx::Error) -> Error {
    match error.as_database_error() {
        Some(refused) if refused.is_unique_violation() => EMAIL_TAKEN.into(),
        _ => error.into(),
    }
}

/// All that countersign asks about members.
impl Users for Members {
    type User = Member;

    async fn find(&self, id: &Uuid) -> Result<Option<Member>, Failure> {
        sqlx::query_as("SELECT id, email, password_hash, role, is_active FROM member WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(failure)
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let found = match Email::parse(login.identifier()) {
            Some(email) => self.find_by_email(&email).await?,
            None => None,
        };
        let hash = found.as_ref().map_or(DECOY, |found| &found.password_hash);
        match self.passwords.is_right(login.password(), hash).await {
            Ok(true) => Ok(found.into()),
            Ok(false) => Ok(LoginVerdict::Rejected),
            Err(HashError::Busy) => Ok(LoginVerdict::Overloaded {
                retry_after: RETRY_AFTER,
            }),
            Err(HashError::Failed(failure)) => Err(failure),
        }
    }
}
