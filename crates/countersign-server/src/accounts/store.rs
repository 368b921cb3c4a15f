//! Accounts in the same database as the tokens.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::store::{Row, Value, ValueError};
use countersign::{Failure, Timestamp, UserManager};
use uuid::Uuid;

use crate::accounts::account::{Account, COLUMNS};
use crate::accounts::email::Email;

/// The part that failures name.
const PART: &str = "account store";

/// Reads and writes accounts. Every operation is one statement. What ends sessions as well is
/// [`Changes`](crate::accounts::Changes)' business.
#[derive(Clone)]
pub struct Accounts {
    driver: Arc<dyn Driver>,
    statements: Arc<Statements>,
}

struct Statements {
    by_id: Statement,
    by_email: Statement,
    list: Statement,
    insert: Script,
    enable: Script,
    renew_password: Script,
}

impl Accounts {
    /// Accounts in this database, whose tables must be up to date.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        let statements = Arc::new(Statements::new(driver.dialect()));
        Self { driver, statements }
    }

    /// The account with this email address.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked; so for every method here.
    pub async fn by_email(&self, email: &Email) -> Result<Option<Account>, Failure> {
        self.one(&self.statements.by_email, email.as_str().into()).await
    }

    /// The account with this id.
    ///
    /// # Errors
    /// As for [`by_email`](Self::by_email).
    pub async fn by_id(&self, id: Uuid) -> Result<Option<Account>, Failure> {
        self.one(&self.statements.by_id, id.into()).await
    }

    /// Accounts ordered by email address, from after `after` on.
    ///
    /// # Errors
    /// As for [`by_email`](Self::by_email).
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<Account>, Failure> {
        let rows = self.driver.fetch(&self.statements.list, &[after.into(), i64::from(limit).into()]).await?;
        rows.iter().map(|row| Account::from_row(row).map_err(foreign)).collect()
    }

    /// Adds an account; `false` when the email address is taken.
    ///
    /// # Errors
    /// As for [`by_email`](Self::by_email).
    pub async fn insert(&self, account: &Account) -> Result<bool, Failure> {
        let params = [
            account.id.into(),
            account.email.as_str().into(),
            account.hashed_password.as_str().into(),
            account.is_active.into(),
            account.is_verified.into(),
            account.created_at.map(Timestamp::as_micros).into(),
            false.into(),
        ];
        self.changes(&self.statements.insert, &params).await
    }

    /// Switches an account on.
    ///
    /// # Errors
    /// As for [`by_email`](Self::by_email).
    pub async fn enable(&self, id: Uuid) -> Result<(), Failure> {
        self.changes(&self.statements.enable, &[id.into(), true.into()]).await.map(drop)
    }

    /// Replaces a hash by a newer one of the same password, unless the password was changed meanwhile.
    ///
    /// # Errors
    /// As for [`by_email`](Self::by_email).
    pub async fn renew_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool, Failure> {
        self.changes(&self.statements.renew_password, &[id.into(), old.into(), new.into()]).await
    }

    async fn one(&self, statement: &Statement, key: Value) -> Result<Option<Account>, Failure> {
        let rows = self.driver.fetch(statement, &[key]).await?;
        rows.first().map(Account::from_row).transpose().map_err(foreign)
    }

    async fn changes(&self, script: &Script, params: &[Value]) -> Result<bool, Failure> {
        Ok(self.driver.run(script, params).await?.took_effect())
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("dialect", &self.driver.dialect()).finish_non_exhaustive()
    }
}

#[async_trait]
impl UserManager<Account> for Accounts {
    async fn get(&self, id: &Uuid) -> Result<Option<Account>, Failure> {
        self.by_id(*id).await
    }

    fn read_joined(&self, row: &Row) -> Option<Result<Account, Failure>> {
        Some(Account::from_row(row).map_err(foreign))
    }
}

impl Statements {
    fn new(dialect: Dialect) -> Self {
        let user = dialect.quote("user");
        let columns = COLUMNS.join(", ");
        let read = |rest: &str| Statement::new(dialect, &format!("SELECT {columns} FROM {user} {rest}"));
        let write = |text: String| Script::new(dialect, &[&text]);
        let values = format!("{user} ({columns}, is_superuser) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
        Self {
            by_id: read("WHERE id = ?1"),
            by_email: read("WHERE email = ?1"),
            list: read("WHERE email > ?1 ORDER BY email LIMIT ?2"),
            insert: write(match dialect {
                Dialect::Mysql => format!("INSERT IGNORE INTO {values}"),
                _ => format!("INSERT INTO {values} ON CONFLICT (email) DO NOTHING"),
            }),
            enable: write(format!("UPDATE {user} SET is_active = ?2 WHERE id = ?1")),
            renew_password: write(format!(
                "UPDATE {user} SET hashed_password = ?3 WHERE id = ?1 AND hashed_password = ?2"
            )),
        }
    }
}

fn foreign(error: ValueError) -> Failure {
    Failure::internal(PART, error)
}
