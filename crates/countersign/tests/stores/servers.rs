//! PostgreSQL and MariaDB, each case in a database of its own.

use std::time::Duration;

use countersign::UserKeyKind;
use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SetupError, SqlStore};
use countersign::testing::TokenStoreSuite;
use testbed::{MariaDb, Postgres};

async fn migrated(url: String, user_ids: UserKeyKind) -> Result<Database, SetupError> {
    let options = DatabaseOptions { timeout: Duration::from_secs(30), ..DatabaseOptions::default() };
    let database = Database::connect(&url, options)?;
    Migrator::new(&database, user_ids).run().await?;
    Ok(database)
}

async fn store(url: String, user_ids: UserKeyKind) -> Result<SqlStore, SetupError> {
    let database = migrated(url, user_ids).await?;
    Ok(SqlStore::new(database.driver(), DatabaseTokenModels::bundled(user_ids)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_keeps_tokens_by_the_contract() {
    let server = Postgres::shared();
    let suite = TokenStoreSuite::new("PostgreSQL", |user_ids| store(server.database(), user_ids));
    crate::all_passed(vec![suite.run().await]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mariadb_keeps_tokens_by_the_contract() {
    let server = MariaDb::shared();
    let suite = TokenStoreSuite::new("MariaDB", |user_ids| store(server.database(), user_ids));
    crate::all_passed(vec![suite.run().await]);
}
