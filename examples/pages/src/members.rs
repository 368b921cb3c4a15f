//! The members: a table of names and hashed passwords, in the database of the tokens.

use std::fmt;
use std::time::Duration;

use countersign::axum::{LoginAttempt, LoginVerdict};
use countersign::store::sql::{
    Database, DatabaseOptions, Driver, Migration, MigrationSet, Migrator, Script, SetupError,
    Statement,
};
use countersign::store::{Row, Value, ValueError};
use countersign::{Failure, User, UserId, Users};

use crate::passwords::Passwords;

/// The time after which to try again when too many passwords are being hashed.
pub(crate) const BUSY: Duration = Duration::from_secs(1);

/// A member of the site.
#[derive(Clone)]
pub struct Member {
    id: i64,
    /// The name, which is unique. Members log in with it.
    pub(crate) name: String,
    password_hash: String,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }

    /// A login is refused if the password was changed while it was being checked.
    fn password_hash(&self) -> Option<&str> {
        Some(&self.password_hash)
    }
}

/// Leaves name and hash out: what is logged by accident must not hold them.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

const MIGRATIONS: MigrationSet = MigrationSet {
    name: "members",
    migrations: &[Migration {
        version: 1,
        name: "members",
        sqlite: "CREATE TABLE member (id INTEGER PRIMARY KEY, name VARCHAR(32) UNIQUE NOT NULL, \
                 password_hash VARCHAR(255) NOT NULL);",
        postgres: "CREATE TABLE member (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                   name VARCHAR(32) UNIQUE NOT NULL, password_hash VARCHAR(255) NOT NULL);",
        mysql: "CREATE TABLE member (id BIGINT AUTO_INCREMENT PRIMARY KEY, \
                name VARCHAR(32) UNIQUE NOT NULL, password_hash VARCHAR(255) NOT NULL);",
    }],
};

const SELECT_BY_ID: &str = "SELECT id, name, password_hash FROM member WHERE id = ?1";
const SELECT_BY_NAME: &str = "SELECT id, name, password_hash FROM member WHERE name = ?1";

/// The members of the site. Clones share the database.
#[derive(Clone, Debug)]
pub struct Members {
    database: Database,
    passwords: Passwords,
}

impl Members {
    /// Opens the database at `url`, such as `sqlite://pages.db`, and creates the tables.
    ///
    /// # Errors
    ///
    /// Returns a [`SetupError`] if the database can't be used.
    pub async fn open(url: &str) -> Result<Self, SetupError> {
        let database = Database::connect(url, DatabaseOptions::default())?;
        let migrator = Migrator::new(&database, i64::KIND).add(MIGRATIONS);
        migrator.run().await?;
        let passwords = Passwords::new()?;
        Ok(Self {
            database,
            passwords,
        })
    }

    /// Returns the database, which keeps the tokens too.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Adds a member.
    pub(crate) async fn add(&self, name: &str, password: &str) -> Result<Added, Failure> {
        let Some(hash) = self.passwords.hash(password).await? else {
            return Ok(Added::Busy);
        };
        // One statement, so of two who want a name at the same time one gets it.
        let insert = "INSERT INTO member (name, password_hash) VALUES (?1, ?2) \
                      ON CONFLICT (name) DO NOTHING RETURNING id, name, password_hash";
        let insert = Script::new(self.database.dialect(), &[insert]);
        let values = [name.into(), hash.into()];
        let inserted = self.database.run(&insert, &values).await?;
        let member = inserted.rows.first().map(read).transpose()?;
        Ok(member.map_or(Added::NameTaken, |member| Added::Done(member.id)))
    }

    /// Returns the member that `select` finds with this value.
    async fn find_one(
        &self,
        select: &'static str,
        value: Value,
    ) -> Result<Option<Member>, Failure> {
        let select = Statement::new(self.database.dialect(), select);
        let rows = self.database.fetch(&select, &[value]).await?;
        rows.first().map(read).transpose()
    }
}

/// The outcome of a wish to become a member.
pub(crate) enum Added {
    /// The new member's id.
    Done(i64),
    /// Another member has the name.
    NameTaken,
    /// Too many passwords are being hashed.
    Busy,
}

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        self.find_one(SELECT_BY_ID, Value::Int(*id)).await
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let found = match name(login.identifier()) {
            Some(name) => self.find_one(SELECT_BY_NAME, name.into()).await?,
            None => None,
        };
        // An unknown name takes as long as a wrong password: the time doesn't tell who is a member.
        let hash = found.as_ref().map(|member| &*member.password_hash);
        let is_right = self.passwords.is_right(login.password(), hash).await?;
        Ok(match (is_right, found) {
            (None, _) => LoginVerdict::Overloaded { retry_after: BUSY },
            (Some(true), Some(member)) => LoginVerdict::Accepted(member),
            _ => LoginVerdict::Rejected,
        })
    }
}

/// Returns the name as it is stored, or `None` if no member can have it.
pub(crate) fn name(typed: &str) -> Option<String> {
    let name = typed.trim().to_ascii_lowercase();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ((2..=32).contains(&name.len()) && name.bytes().all(is_allowed)).then_some(name)
}

fn read(row: &Row) -> Result<Member, Failure> {
    Ok(Member {
        id: filled(row.int(0))?,
        name: filled(row.text(1))?.to_owned(),
        password_hash: filled(row.text(2))?.to_owned(),
    })
}

/// Returns the value of a column. A row that doesn't hold what the table says is a failure.
fn filled<T>(column: Result<Option<T>, ValueError>) -> Result<T, Failure> {
    let value = column.map_err(|error| Failure::internal("members table", error))?;
    value.ok_or_else(|| Failure::internal("members table", "a column is empty"))
}
