//! The database: opening it, and bringing its tables up to date.
//!
//! The tables are those of the library and the server's own set of migrations, [`ACCOUNTS`].
//! Migrations that have landed never change; add a new one at the end of the list, with one file
//! for each dialect.

use std::path::Path;

use countersign::Failure;
use countersign::store::sql::{
    Applied, Database, DatabaseOptions, Migration, MigrationSet, Migrator, Planned, Progress,
    SetupError,
};
use countersign::user::UserKeyKind;

use crate::config::{Config, DatabaseUrl, Store};
use crate::data_dir::DataDir;
use crate::error::Error;
use crate::foundation::named::database_store;
use crate::foundation::progress::logged;
use crate::foundation::renamed;

/// The server's own migrations: accounts, counts of failed logins, and the record of the
/// deployment.
pub(crate) const ACCOUNTS: MigrationSet = MigrationSet {
    name: "countersign-server",
    migrations: &[
        Migration {
            version: 1,
            name: "user",
            sqlite: include_str!("../../migrations/sqlite/0001_user.sql"),
            postgres: include_str!("../../migrations/postgres/0001_user.sql"),
            mysql: include_str!("../../migrations/mysql/0001_user.sql"),
        },
        Migration {
            version: 2,
            name: "login_failure",
            sqlite: include_str!("../../migrations/sqlite/0002_login_failure.sql"),
            postgres: include_str!("../../migrations/postgres/0002_login_failure.sql"),
            mysql: include_str!("../../migrations/mysql/0002_login_failure.sql"),
        },
        Migration {
            version: 3,
            name: "deployment",
            sqlite: include_str!("../../migrations/sqlite/0003_deployment.sql"),
            postgres: include_str!("../../migrations/postgres/0003_deployment.sql"),
            mysql: include_str!("../../migrations/mysql/0003_deployment.sql"),
        },
    ],
};

/// Returns a handle on the configured database. Nothing is connected yet.
///
/// An SQLite file in the data directory has that directory created first. If the URL was read from
/// a file, the file is read again when the database refuses the password.
///
/// # Errors
/// Returns [`Error::Config`], which names the database's setting, if the URL can't work, and
/// [`Error::Io`] if the data directory can't be created.
pub(crate) fn connect(store: &Store) -> Result<Database, Error> {
    let options = DatabaseOptions::default()
        .with_timeout(store.timeout)
        .with_connections(store.connections);

    let database = match &store.database {
        DatabaseUrl::Sqlite(path) => {
            if path.parent() == Some(&store.data_dir) {
                DataDir::at(&store.data_dir).make()?;
            }
            Database::connect(&sqlite_url(path), options)
        }
        DatabaseUrl::Shared(url) => match store.database_source.clone() {
            Some(source) => Database::connect_renewing(url, options, source),
            None => Database::connect(url, options),
        },
    };

    Ok(database.map_err(|error| renamed(&store.database_spelled, &error))?)
}

/// Returns the URL of an SQLite file.
fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// Returns the error for a failure of the database.
pub(crate) fn unreachable(store: &Store, failure: Failure) -> Error {
    database_store(store).failed(failure)
}

/// Returns the migrator of all tables, with those of the library first.
pub(crate) fn migrator(database: &Database) -> Migrator {
    Migrator::new(database, UserKeyKind::Uuid).add(ACCOUNTS)
}

/// Brings the tables up to date, logs what takes long, and returns the migrations that were
/// applied.
///
/// Several processes may call this at once. One of them migrates, and the others wait for it.
///
/// # Errors
/// Returns [`Error::Config`] or [`Error::Store`], which name the database's setting. A migration
/// that failed is tried again at the next call.
pub(crate) async fn bring_up_to_date(
    database: &Database,
    config: &Config,
) -> Result<Vec<Applied>, Error> {
    bring_up_to_date_telling(database, config, logged()).await
}

/// Brings the tables up to date, and reports the progress to `tell`.
///
/// # Errors
/// Returns the errors of [`bring_up_to_date`].
pub(crate) async fn bring_up_to_date_telling(
    database: &Database,
    config: &Config,
    tell: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Vec<Applied>, Error> {
    migrator(database)
        .watched_by(tell)
        .run()
        .await
        .map_err(|error| setup_failed(config, error))
}

/// Returns the statements that would bring the tables up to date, without changing anything.
///
/// # Errors
/// Returns the errors of [`bring_up_to_date`].
pub(crate) async fn planned(database: &Database, config: &Config) -> Result<Vec<Planned>, Error> {
    migrator(database)
        .plan()
        .await
        .map_err(|error| setup_failed(config, error))
}

/// Translates an error of the migrator into one that names the setting.
fn setup_failed(config: &Config, error: SetupError) -> Error {
    match error {
        SetupError::Config(error) => Error::Config(renamed(&config.store.database_spelled, &error)),
        SetupError::Store(failure) => unreachable(&config.store, failure),
        _ => Error::Refused("the database could not be migrated".to_owned()),
    }
}
