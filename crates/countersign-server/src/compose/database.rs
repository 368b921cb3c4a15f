//! The database: opened, and its tables brought up to date.

use std::path::Path;

use countersign::store::sql::{Applied, Database, DatabaseOptions, Migration, MigrationSet, Migrator, SetupError};
use countersign::{ConfigError, UserKeyKind};

use crate::compose::renamed;
use crate::config::{Config, DatabaseUrl};
use crate::data_dir::DataDir;
use crate::error::Error;

/// The server's own tables, beside those of the library.
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
    ],
};

/// Brings the tables up to date; the names of what was applied.
///
/// # Errors
/// [`Error`] that names the database's setting, or the store that doesn't answer.
pub async fn migrate(config: &Config) -> Result<Vec<String>, Error> {
    DataDir::open(&config.store.data_dir)?;
    let applied = bring_up_to_date(&connect(config)?, config).await?;
    Ok(applied.iter().map(|step| format!("{}/{} {}", step.set, step.version, step.name)).collect())
}

pub(super) fn connect(config: &Config) -> Result<Database, Error> {
    let options = DatabaseOptions { timeout: config.store.timeout, connections: config.store.connections };
    let named = |error: ConfigError| renamed(&config.store.database_spelled, &error);
    let database = match &config.store.database {
        DatabaseUrl::Sqlite(path) => Database::connect(&sqlite_url(path), options),
        DatabaseUrl::Shared(url) => Database::connect(url, options),
    };
    Ok(database.map_err(named)?)
}

fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

pub(super) async fn bring_up_to_date(database: &Database, config: &Config) -> Result<Vec<Applied>, Error> {
    let migrator = Migrator::new(database, UserKeyKind::Uuid).add(ACCOUNTS);
    migrator.run().await.map_err(|error| match error {
        SetupError::Config(error) => Error::Config(renamed(&config.store.database_spelled, &error)),
        SetupError::Store(failure) => Error::Store {
            setting: config.store.database_spelled.clone(),
            store: format!("the database at {}", config.store.shown()),
            failure,
        },
        _ => Error::Refused("the tables could not be brought up to date".to_owned()),
    })
}
