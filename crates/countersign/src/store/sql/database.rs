//! How a database is reached.

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::{ConfigError, Failure};
use crate::renewing::UrlSource;
#[cfg(feature = "sqlite")]
use crate::store::sql::SqliteDriver;
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::{Dialect, Driver, Outcome, Script, SetupError, Statement};
use crate::value::{Row, Value};

/// How long a step of a migration may take.
const MAINTENANCE_TIMEOUT: Duration = Duration::from_mins(10);

/// Settings of a database handle.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// How long one operation may take, waiting for a connection included; then the database counts as unavailable.
    pub timeout: Duration,
    /// How many connections are kept for reads, and as many for writes.
    pub connections: usize,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1), connections: 4 }
    }
}

/// A handle on one database, whichever it is. Clones share its connections.
///
/// | URL | database |
/// |---|---|
/// | `sqlite:///absolute/path`, `sqlite://relative/path` | an SQLite file, made when there is none |
/// | `sqlite::memory:` | a new SQLite database in memory, gone with the last clone |
/// | `postgres://user:password@host:5432/name`, `postgresql://…` | PostgreSQL |
/// | `mysql://user:password@host:3306/name`, `mariadb://…` | MySQL or MariaDB |
///
/// An application may keep its own tables in the same database and speak to it through this handle's [`Driver`]:
///
/// ```
/// use countersign::store::Value;
/// use countersign::store::sql::{Database, DatabaseOptions, Driver, Statement};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// let sum = Statement::new(database.dialect(), "SELECT ?1 + ?2");
/// let rows = database.fetch(&sum, &[Value::Int(3), Value::Int(4)]).await?;
/// assert_eq!(rows[0].int(0)?, Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    driver: Arc<dyn Driver>,
    way: Arc<Way>,
}

/// How to reach the same database with more patience. The URL holds a password.
struct Way {
    url: Zeroizing<String>,
    source: Option<UrlSource>,
    patient: Mutex<Option<Arc<dyn Driver>>>,
}

impl Database {
    /// Prepares to talk to the database at `url`. Only an SQLite file is opened at once: a server that is down doesn't
    /// stop a start.
    ///
    /// # Errors
    /// [`ConfigError`] that names `database_url` when the scheme is unknown, its feature isn't built in, or the file
    /// can't be opened. It never shows the password.
    #[expect(clippy::needless_pass_by_value, reason = "settings are made for one database, and given away with it")]
    pub fn connect(url: &str, options: DatabaseOptions) -> Result<Self, ConfigError> {
        Self::over(url, &options, None)
    }

    /// Prepares like [`connect`](Self::connect), and reads the URL again from `source` when the server refuses user or
    /// password: a password that is replaced while we run is then used without a restart. It makes no difference for SQLite.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    #[expect(clippy::needless_pass_by_value, reason = "settings are made for one database, and given away with it")]
    pub fn connect_renewing(url: &str, options: DatabaseOptions, source: UrlSource) -> Result<Self, ConfigError> {
        Self::over(url, &options, Some(source))
    }

    fn over(url: &str, options: &DatabaseOptions, source: Option<UrlSource>) -> Result<Self, ConfigError> {
        let driver = open(url, options, source.clone())?;
        let way = Way { url: Zeroizing::new(url.to_owned()), source, patient: Mutex::default() };
        Ok(Self { driver, way: Arc::new(way) })
    }

    /// What runs statements on this database.
    pub fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver)
    }

    /// Runs statements that may take long: a migration of large tables, a vacuum. It waits for up to ten minutes.
    ///
    /// # Errors
    /// As [`connect`](Database::connect).
    pub fn patient_driver(&self) -> Result<Arc<dyn Driver>, ConfigError> {
        if !self.driver.is_durable() {
            return Ok(self.driver());
        }
        let mut patient = self.way.patient.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = &*patient {
            return Ok(Arc::clone(driver));
        }
        let options = DatabaseOptions { timeout: MAINTENANCE_TIMEOUT, connections: 1 };
        let driver = open(&self.way.url, &options, self.way.source.clone())?;
        *patient = Some(Arc::clone(&driver));
        Ok(driver)
    }
}

impl Database {
    /// A session for changes of tables.
    pub(super) async fn ddl(&self) -> Result<Box<dyn DdlSession>, SetupError> {
        let options = DatabaseOptions { timeout: MAINTENANCE_TIMEOUT, connections: 1 };
        ddl(self.driver.dialect(), &self.way.url, &options, self.way.source.clone()).await
    }
}

#[async_trait]
impl Driver for Database {
    fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.driver.fetch(statement, params).await
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.driver.run(script, params).await
    }

    fn is_durable(&self) -> bool {
        self.driver.is_durable()
    }
}

/// Leaves the URL out: it may hold a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("dialect", &self.driver.dialect()).finish_non_exhaustive()
    }
}

fn open(url: &str, options: &DatabaseOptions, source: Option<UrlSource>) -> Result<Arc<dyn Driver>, ConfigError> {
    match url.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
        Some((scheme, rest)) => match scheme.as_str() {
            "sqlite" => sqlite(rest, options),
            "postgres" | "postgresql" => postgres(url, options, source),
            "mysql" | "mariadb" => mysql(url, options, source),
            _ => Err(refused("has an unknown scheme", SCHEMES)),
        },
        None => Err(refused("is no URL", SCHEMES)),
    }
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    allow(unused_variables, clippy::unused_async, reason = "no server is built in")
)]
async fn ddl(
    dialect: Dialect,
    url: &str,
    options: &DatabaseOptions,
    source: Option<UrlSource>,
) -> Result<Box<dyn DdlSession>, SetupError> {
    match dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let driver = crate::store::sql::PostgresDriver::renewing(url, options, source)?;
            Ok(Box::new(driver.ddl().await?))
        }
        #[cfg(feature = "mysql")]
        Dialect::Mysql => {
            let driver = crate::store::sql::MysqlDriver::renewing(url, options, source)?;
            Ok(Box::new(driver.ddl().await?))
        }
        _ => Err(Failure::internal("migrations", "this database has no sessions for changes of tables").into()),
    }
}

const SCHEMES: &str = "begin it with sqlite://, postgres:// or mysql://";

fn refused(problem: &'static str, cure: &'static str) -> ConfigError {
    ConfigError::new("database_url", problem, cure)
}

#[cfg(feature = "sqlite")]
fn sqlite(rest: &str, options: &DatabaseOptions) -> Result<Arc<dyn Driver>, ConfigError> {
    if rest == ":memory:" || rest == "//:memory:" {
        return Ok(Arc::new(SqliteDriver::in_memory(options)?));
    }
    match rest.strip_prefix("//") {
        None | Some("") => Err(refused("has no path", "write it as sqlite:///absolute/path or sqlite://relative/path")),
        Some(path) if path.contains('?') => Err(refused("has parameters", "SQLite takes a path alone")),
        Some(path) => Ok(Arc::new(SqliteDriver::open(Path::new(path), options)?)),
    }
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_rest: &str, _options: &DatabaseOptions) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused("names SQLite, which isn't built in", "build with the feature `sqlite`"))
}

#[cfg(feature = "postgres")]
fn postgres(url: &str, options: &DatabaseOptions, source: Option<UrlSource>) -> Result<Arc<dyn Driver>, ConfigError> {
    Ok(Arc::new(crate::store::sql::PostgresDriver::renewing(url, options, source)?))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str, _: &DatabaseOptions, _: Option<UrlSource>) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused("names PostgreSQL, which isn't built in", "build with the feature `postgres`"))
}

#[cfg(feature = "mysql")]
fn mysql(url: &str, options: &DatabaseOptions, source: Option<UrlSource>) -> Result<Arc<dyn Driver>, ConfigError> {
    Ok(Arc::new(crate::store::sql::MysqlDriver::renewing(url, options, source)?))
}

#[cfg(not(feature = "mysql"))]
fn mysql(_: &str, _: &DatabaseOptions, _: Option<UrlSource>) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused("names MySQL, which isn't built in", "build with the feature `mysql`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_and_never_the_password() {
        let wrong = ["", "nonsense", "sqlite://", "sqlite:file", "oracle://u:hunter2@h/db", "sqlite://a?mode=ro"];
        for url in wrong {
            let error = Database::connect(url, DatabaseOptions::default()).unwrap_err();
            assert_eq!(error.setting(), "database_url", "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
