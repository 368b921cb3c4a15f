//! The account table, in the same database as the tokens.
//!
//! The table `user` has the columns of litestar-auth's table and one more, so that a database of
//! litestar-auth can be adopted and used by both at the same time.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::store::{Row, Value, ValueError};
use countersign::{Failure, Timestamp, UserManager};
use uuid::Uuid;

use crate::accounts::account::{Account, COLUMNS};
use crate::accounts::email::Lookup;

/// The component that failures name.
const PART: &str = "account store";

/// The account table. Clones share one connection pool.
///
/// Every method is a single statement. Changes that also end sessions are made by
/// [`Changes`](crate::accounts::Changes). As the [`UserManager`] of the library it loads the
/// account of a token, in one query with the token where both are in this database.
#[derive(Clone)]
pub struct Accounts {
    driver: Arc<dyn Driver>,
    statements: Arc<Statements>,
    heeds_second_factors: bool,
}

struct Statements {
    by_id: Statement,
    by_address: Statement,
    list: Statement,
    insert: Script,
    enable: Script,
    renew_password: Script,
}

impl Accounts {
    /// Creates a handle for the accounts in this database. The tables must be up to date.
    ///
    /// Second factors are ignored until [`find_second_factors`](Self::find_second_factors) has been
    /// called.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        let statements = Arc::new(Statements::new(driver.dialect(), false));
        Self {
            driver,
            statements,
            heeds_second_factors: false,
        }
    }

    /// Returns `true` if accounts may have second factors that the logins must heed.
    pub const fn heeds_second_factors(&self) -> bool {
        self.heeds_second_factors
    }

    /// Looks for the column in which litestar-auth keeps second factors. If the table has it,
    /// logins heed second factors from then on.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached.
    pub async fn find_second_factors(&mut self) -> Result<(), Failure> {
        let dialect = self.driver.dialect();
        let column = Statement::new(dialect, second_factor_column(dialect));
        self.heeds_second_factors = !self.driver.fetch(&column, &[]).await?.is_empty();
        self.statements = Arc::new(Statements::new(dialect, self.heeds_second_factors));
        Ok(())
    }

    /// Returns the account with this email address.
    ///
    /// If several accounts match, the one under the first of [`Lookup::forms`] is returned.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached, or if a row can't be read.
    pub async fn by_address(&self, address: &Lookup) -> Result<Option<Account>, Failure> {
        Ok(self.for_login(address).await?.map(|(account, _)| account))
    }

    /// Returns the account with this email address like [`by_address`](Self::by_address), and
    /// `true` if it has a second factor.
    ///
    /// # Errors
    /// As for [`by_address`](Self::by_address).
    pub async fn for_login(&self, address: &Lookup) -> Result<Option<(Account, bool)>, Failure> {
        let params = address.forms().each_ref().map(|form| form.as_str().into());
        let rows = self
            .driver
            .fetch(&self.statements.by_address, &params)
            .await?;
        let found: Result<Vec<_>, ValueError> = rows
            .iter()
            .map(|row| Ok((Account::from_row(row)?, row.bool(COLUMNS.len())?)))
            .collect();
        let mut found = found.map_err(foreign)?;

        // An adopted table may have a collation that treats `á` as `a`. The index finds the
        // candidates, and their bytes decide.
        let at = address
            .forms()
            .iter()
            .find_map(|form| found.iter().position(|(account, _)| account.email == *form));
        Ok(at.map(|at| found.swap_remove(at)))
    }

    /// Returns the account with this id.
    ///
    /// # Errors
    /// As for [`by_address`](Self::by_address).
    pub async fn by_id(&self, id: Uuid) -> Result<Option<Account>, Failure> {
        let rows = self
            .driver
            .fetch(&self.statements.by_id, &[id.into()])
            .await?;
        rows.first()
            .map(Account::from_row)
            .transpose()
            .map_err(foreign)
    }

    /// Returns up to `limit` accounts, ordered by email address.
    ///
    /// `after` is the address of the last account on the page before, or an empty text for the
    /// first page.
    ///
    /// # Errors
    /// As for [`by_address`](Self::by_address).
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<Account>, Failure> {
        let rows = self
            .driver
            .fetch(
                &self.statements.list,
                &[after.into(), i64::from(limit).into()],
            )
            .await?;
        rows.iter()
            .map(|row| Account::from_row(row).map_err(foreign))
            .collect()
    }

    /// Adds an account. Returns `false` if the email address is taken.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The account may have been added; a second call
    /// returns `false` then.
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

    /// Enables an account. Does nothing if there is no such account.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The call can be repeated.
    pub async fn enable(&self, id: Uuid) -> Result<(), Failure> {
        self.changes(&self.statements.enable, &[id.into(), true.into()])
            .await
            .map(drop)
    }

    /// Replaces a hash by a newer one of the same password. Returns `false` without a change if the
    /// stored hash isn't `old` any more, because the password was changed meanwhile.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The old hash remains valid if nothing was
    /// written.
    pub async fn renew_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool, Failure> {
        self.changes(
            &self.statements.renew_password,
            &[id.into(), old.into(), new.into()],
        )
        .await
    }

    /// Runs a script. Returns `true` if its first statement changed a row.
    async fn changes(&self, script: &Script, params: &[Value]) -> Result<bool, Failure> {
        Ok(self.driver.run(script, params).await?.took_effect())
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("dialect", &self.driver.dialect())
            .finish_non_exhaustive()
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
    fn new(dialect: Dialect, has_second_factors: bool) -> Self {
        let second_factor = if has_second_factors {
            "totp_secret IS NOT NULL"
        } else {
            "1 = 0"
        };

        let user = dialect.quote("user");
        let columns = COLUMNS.join(", ");
        let select = format!("SELECT {columns} FROM {user}");
        let values =
            format!("{user} ({columns}, is_superuser) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
        let insert = match dialect {
            Dialect::Mysql => format!("INSERT IGNORE INTO {values}"),
            _ => format!("INSERT INTO {values} ON CONFLICT (email) DO NOTHING"),
        };
        let enable = format!("UPDATE {user} SET is_active = ?2 WHERE id = ?1");
        let renew_password = format!(
            "UPDATE {user} SET hashed_password = ?3 WHERE id = ?1 AND hashed_password = ?2"
        );

        Self {
            by_id: Statement::new(dialect, &format!("{select} WHERE id = ?1")),
            by_address: Statement::new(
                dialect,
                &format!(
                    "SELECT {columns}, {second_factor} FROM {user} WHERE email IN (?1, ?2, ?3)"
                ),
            ),
            list: Statement::new(
                dialect,
                &format!("{select} WHERE email > ?1 ORDER BY email LIMIT ?2"),
            ),
            insert: Script::new(dialect, &[&insert]),
            enable: Script::new(dialect, &[&enable]),
            renew_password: Script::new(dialect, &[&renew_password]),
        }
    }
}

/// Returns a query for the column in which litestar-auth keeps the secret of a second factor.
const fn second_factor_column(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "SELECT 1 FROM pragma_table_info('user') WHERE name = 'totp_secret'",
        Dialect::Postgres => {
            "SELECT 1 FROM pg_attribute WHERE attrelid = '\"user\"'::regclass AND attname = 'totp_secret' \
             AND NOT attisdropped"
        }
        Dialect::Mysql => {
            "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'user' \
             AND column_name = 'totp_secret'"
        }
    }
}

fn foreign(error: ValueError) -> Failure {
    Failure::internal(PART, error)
}
