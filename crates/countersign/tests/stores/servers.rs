//! PostgreSQL and MariaDB, each case in a database of its own.

use std::time::Duration;

use countersign::denylist::SqlDenylist;
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Migrator, SetupError, SqlStore,
};
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};
use countersign::user::UserKeyKind;
use testbed::{MariaDb, Postgres};

async fn migrated(url: String, user_ids: UserKeyKind) -> Result<Database, SetupError> {
    let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
    let database = Database::connect(&url, options)?;
    Migrator::new(&database, user_ids).run().await?;
    Ok(database)
}

async fn store(url: String, user_ids: UserKeyKind) -> Result<SqlStore, SetupError> {
    let database = migrated(url, user_ids).await?;
    Ok(SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(user_ids),
    ))
}

pub(crate) async fn postgres_tokens() -> SuiteReport {
    let server = Postgres::shared();
    TokenStoreSuite::new("PostgreSQL", |user_ids| store(server.database(), user_ids))
        .run()
        .await
}

pub(crate) async fn mariadb_tokens() -> SuiteReport {
    let server = MariaDb::shared();
    TokenStoreSuite::new("MariaDB", |user_ids| store(server.database(), user_ids))
        .run()
        .await
}

pub(crate) async fn postgres_denylist(only: Option<&str>) -> SuiteReport {
    let server = Postgres::shared();
    crate::cases(
        DenylistSuite::new("PostgreSQL", || denylist(server.database())),
        only,
    )
    .run()
    .await
}

pub(crate) async fn mariadb_denylist(only: Option<&str>) -> SuiteReport {
    let server = MariaDb::shared();
    crate::cases(
        DenylistSuite::new("MariaDB", || denylist(server.database())),
        only,
    )
    .run()
    .await
}

async fn denylist(url: String) -> Result<SqlDenylist, SetupError> {
    Ok(SqlDenylist::new(&migrated(url, UserKeyKind::Uuid).await?))
}
