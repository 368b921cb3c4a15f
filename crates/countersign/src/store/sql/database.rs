//! The database handle, and the choice of a driver by the scheme of a URL.
//!
//! A [`Database`] keeps the URL beside its driver. It needs the URL again for connections that have
//! other limits: those of [`Database::patient_driver`], and those that change tables.

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::{ConfigError, Failure};
use crate::net::UrlSource;
#[cfg(feature = "sqlite")]
use crate::store::sql::SqliteDriver;
#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
use crate::store::sql::ddl::Apart;
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::options::DatabaseOptions;
use crate::store::sql::{Dialect, Driver, Outcome, Script, SetupError, Statement};
use crate::value::{Row, Value};

/// The timeout of one step of a migration, and of other maintenance.
const MAINTENANCE_TIMEOUT: Duration = Duration::from_mins(10);

/// A handle on one database of any supported kind. Clones share its connections.
///
/// | URL | database |
/// |---|---|
/// | `sqlite:///absolute/path`, `sqlite://relative/path` | an SQLite file, created if missing |
/// | `sqlite::memory:` | a new SQLite database in memory, deleted with the last clone |
/// | `postgres://user:password@host:5432/name`, `postgresql://…` | PostgreSQL |
/// | `mysql://user:password@host:3306/name`, `mariadb://…` | MySQL or MariaDB |
///
/// The parameters of server URLs (TLS, several hosts, sockets, poolers) are described at
/// `PostgresDriver` and `MysqlDriver`.
///
/// An application that has an sqlx pool passes the pool instead: `Database::from(pool.clone())`.
/// `SqlxDriver` describes what holds then.
///
/// # Examples
///
/// An application may keep its own tables in the same database and use them through this handle's
/// [`Driver`]:
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

/// The way to reach the same database with other limits.
struct Way {
    address: Address,
    patient: Mutex<Option<Arc<dyn Driver>>>,
}

/// A URL, which contains a password and so is zeroized when dropped, or an application's pool.
enum Address {
    Url(Zeroizing<String>, Option<UrlSource>),
    #[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
    Pool(Arc<dyn Apart>),
}

impl Database {
    /// Creates a handle on the database at `url`.
    ///
    /// Only an SQLite file is opened at once. Connections to a server are made when they are
    /// needed, so this succeeds while the server is down. Call
    /// [`SqlStore::ping`](crate::store::TokenStore::ping) to see whether it answers.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url` if the scheme is unknown, if the feature
    /// for it isn't built in, if the URL has an unknown or unusable parameter, or if the SQLite
    /// file can't be opened. The error never shows the password.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings are made for one database, and given away with it"
    )]
    pub fn connect(url: &str, options: DatabaseOptions) -> Result<Self, ConfigError> {
        Self::over(url, &options, None)
    }

    /// Creates a handle like [`connect`](Self::connect) that reads the URL again from `source` when
    /// the server refuses the user or password.
    ///
    /// A password that is replaced while the process runs is then used without a restart. SQLite
    /// never calls `source`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Self::connect), for the URL that is given here. A
    /// later URL that can't be used is logged, and the one before stays in use.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings are made for one database, and given away with it"
    )]
    pub fn connect_renewing(
        url: &str,
        options: DatabaseOptions,
        source: UrlSource,
    ) -> Result<Self, ConfigError> {
        Self::over(url, &options, Some(source))
    }

    /// Creates the handle and its driver.
    fn over(
        url: &str,
        options: &DatabaseOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        let driver = open(url, options, source.clone())?;
        let address = Address::Url(Zeroizing::new(url.to_owned()), source);
        Ok(Self::with(driver, address))
    }

    /// Creates a handle on the database of an application's pool.
    #[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
    pub(super) fn beside_pool(driver: Arc<dyn Driver>, apart: Arc<dyn Apart>) -> Self {
        Self::with(driver, Address::Pool(apart))
    }

    /// Puts the parts of a handle together.
    fn with(driver: Arc<dyn Driver>, address: Address) -> Self {
        let way = Way {
            address,
            patient: Mutex::default(),
        };
        Self {
            driver,
            way: Arc::new(way),
        }
    }

    /// Returns the driver that runs statements on this database, to build a
    /// [`SqlStore`](crate::store::sql::SqlStore) on.
    pub fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver)
    }

    /// Returns a driver on the same database whose operations may take up to ten minutes.
    ///
    /// Use it for maintenance, such as queries over whole tables. It has a connection of its own,
    /// so long statements take none from requests. The first call creates it; later calls return
    /// the same one. For an SQLite database in memory, which has one connection only, this is
    /// [`driver`](Self::driver) with its usual timeout.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Database::connect).
    pub fn patient_driver(&self) -> Result<Arc<dyn Driver>, ConfigError> {
        if !self.driver.is_durable() {
            return Ok(self.driver());
        }

        let mut patient = self
            .way
            .patient
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = &*patient {
            return Ok(Arc::clone(driver));
        }

        let options = DatabaseOptions {
            timeout: MAINTENANCE_TIMEOUT,
            connections: 1,
        };
        let driver = match &self.way.address {
            Address::Url(url, source) => open(url, &options, source.clone())?,
            #[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
            Address::Pool(apart) => apart.patient(MAINTENANCE_TIMEOUT),
        };
        *patient = Some(Arc::clone(&driver));
        Ok(driver)
    }
}

impl Database {
    /// Opens a session that changes tables. It has connections of its own and the long timeout.
    pub(super) async fn ddl(&self) -> Result<Box<dyn DdlSession>, SetupError> {
        let options = DatabaseOptions {
            timeout: MAINTENANCE_TIMEOUT,
            connections: 1,
        };

        match &self.way.address {
            Address::Url(url, source) => {
                ddl(self.driver.dialect(), url, &options, source.clone()).await
            }
            #[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
            Address::Pool(apart) => Ok(apart.ddl().await?),
        }
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

/// The new handle shares the connections of the other.
impl From<&Self> for Database {
    fn from(database: &Self) -> Self {
        database.clone()
    }
}

/// The output leaves the URL out, since it may contain a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("dialect", &self.driver.dialect())
            .finish_non_exhaustive()
    }
}

/// Creates the driver for the scheme of `url`.
fn open(
    url: &str,
    options: &DatabaseOptions,
    source: Option<UrlSource>,
) -> Result<Arc<dyn Driver>, ConfigError> {
    match url
        .split_once(':')
        .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest))
    {
        Some((scheme, rest)) => match scheme.as_str() {
            "sqlite" => sqlite(rest, options),
            "postgres" | "postgresql" => postgres(url, options, source),
            "mysql" | "mariadb" => mysql(url, options, source),
            _ => Err(refused("has an unknown scheme", SCHEMES)),
        },
        None => Err(refused("is not a valid URL", SCHEMES)),
    }
}

/// Opens a session that changes tables of a server. SQLite has none: it changes tables inside its
/// transactions.
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    allow(
        unused_variables,
        clippy::unused_async,
        reason = "no server is built in"
    )
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
        _ => Err(Failure::internal(
            "migrations",
            "this database has no separate sessions for schema changes",
        )
        .into()),
    }
}

/// The cure for a URL with an unknown scheme.
const SCHEMES: &str = "use a URL that starts with sqlite://, postgres:// or mysql://";

/// Returns the error for an unusable URL, without quoting it.
fn refused(problem: &'static str, cure: &'static str) -> ConfigError {
    ConfigError::new("database_url", problem, cure)
}

/// Creates the driver for what follows `sqlite:` in a URL.
#[cfg(feature = "sqlite")]
fn sqlite(rest: &str, options: &DatabaseOptions) -> Result<Arc<dyn Driver>, ConfigError> {
    if rest == ":memory:" || rest == "//:memory:" {
        return Ok(Arc::new(SqliteDriver::in_memory(options)?));
    }

    match rest.strip_prefix("//") {
        None | Some("") => Err(refused(
            "has no path",
            "write it as sqlite:///absolute/path or sqlite://relative/path",
        )),
        Some(path) if path.contains('?') => Err(refused(
            "has parameters",
            "use sqlite:// followed by a path, without parameters",
        )),
        Some(path) => Ok(Arc::new(SqliteDriver::open(Path::new(path), options)?)),
    }
}

/// Refuses a URL of SQLite, which this build has no driver for.
#[cfg(not(feature = "sqlite"))]
fn sqlite(_rest: &str, _options: &DatabaseOptions) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused(
        "requires SQLite, which is not compiled in",
        "enable the feature `sqlite`",
    ))
}

/// Creates the driver for a URL of PostgreSQL.
#[cfg(feature = "postgres")]
fn postgres(
    url: &str,
    options: &DatabaseOptions,
    source: Option<UrlSource>,
) -> Result<Arc<dyn Driver>, ConfigError> {
    Ok(Arc::new(crate::store::sql::PostgresDriver::renewing(
        url, options, source,
    )?))
}

/// Refuses a URL of PostgreSQL, which this build has no driver for.
#[cfg(not(feature = "postgres"))]
fn postgres(
    _: &str,
    _: &DatabaseOptions,
    _: Option<UrlSource>,
) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused(
        "requires PostgreSQL, which is not compiled in",
        "enable the feature `postgres`",
    ))
}

/// Creates the driver for a URL of MySQL.
#[cfg(feature = "mysql")]
fn mysql(
    url: &str,
    options: &DatabaseOptions,
    source: Option<UrlSource>,
) -> Result<Arc<dyn Driver>, ConfigError> {
    Ok(Arc::new(crate::store::sql::MysqlDriver::renewing(
        url, options, source,
    )?))
}

/// Refuses a URL of MySQL, which this build has no driver for.
#[cfg(not(feature = "mysql"))]
fn mysql(
    _: &str,
    _: &DatabaseOptions,
    _: Option<UrlSource>,
) -> Result<Arc<dyn Driver>, ConfigError> {
    Err(refused(
        "requires MySQL, which is not compiled in",
        "enable the feature `mysql`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_and_never_the_password() {
        let wrong = [
            "",
            "nonsense",
            "sqlite://",
            "sqlite:file",
            "oracle://u:hunter2@h/db",
            "sqlite://a?mode=ro",
        ];
        for url in wrong {
            let error = Database::connect(url, DatabaseOptions::default()).unwrap_err();
            assert_eq!(error.setting(), "database_url", "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
