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
    crate::stores::cases(
        DenylistSuite::new("PostgreSQL", || denylist(server.database())),
        only,
    )
    .run()
    .await
}

pub(crate) async fn mariadb_denylist(only: Option<&str>) -> SuiteReport {
    let server = MariaDb::shared();
    crate::stores::cases(
        DenylistSuite::new("MariaDB", || denylist(server.database())),
        only,
    )
    .run()
    .await
}

/// The same two, on pools of sqlx.
#[cfg(all(feature = "sqlx-postgres", feature = "sqlx-mysql"))]
pub(crate) mod by_sqlx {
    use countersign::store::sql::SqlxDriver;
    use countersign::store::sql::sqlx::{MySqlPool, PgPool};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    async fn migrated(
        database: impl Into<Database>,
        user_ids: UserKeyKind,
    ) -> Result<Database, SetupError> {
        let database = database.into();
        Migrator::new(&database, user_ids).run().await?;
        Ok(database)
    }

    async fn postgres(user_ids: UserKeyKind) -> Result<Database, SetupError> {
        let pool = PgPool::connect_lazy(&Postgres::shared().database()).unwrap();
        migrated(SqlxDriver::new(pool).timeout(TIMEOUT), user_ids).await
    }

    async fn mariadb(user_ids: UserKeyKind) -> Result<Database, SetupError> {
        let pool = MySqlPool::connect_lazy(&MariaDb::shared().database()).unwrap();
        migrated(SqlxDriver::new(pool).timeout(TIMEOUT), user_ids).await
    }

    fn store(database: &Database, user_ids: UserKeyKind) -> SqlStore {
        SqlStore::new(database.driver(), DatabaseTokenModels::bundled(user_ids))
    }

    pub(crate) async fn postgres_tokens() -> SuiteReport {
        TokenStoreSuite::new("sqlx, PostgreSQL", |user_ids| async move {
            Ok::<_, SetupError>(store(&postgres(user_ids).await?, user_ids))
        })
        .run()
        .await
    }

    pub(crate) async fn mariadb_tokens() -> SuiteReport {
        TokenStoreSuite::new("sqlx, MariaDB", |user_ids| async move {
            Ok::<_, SetupError>(store(&mariadb(user_ids).await?, user_ids))
        })
        .run()
        .await
    }

    pub(crate) async fn postgres_denylist() -> SuiteReport {
        DenylistSuite::new("sqlx, PostgreSQL", || async {
            Ok::<_, SetupError>(SqlDenylist::new(&postgres(UserKeyKind::Uuid).await?))
        })
        .run()
        .await
    }

    pub(crate) async fn mariadb_denylist() -> SuiteReport {
        DenylistSuite::new("sqlx, MariaDB", || async {
            Ok::<_, SetupError>(SqlDenylist::new(&mariadb(UserKeyKind::Uuid).await?))
        })
        .run()
        .await
    }
}

async fn denylist(url: String) -> Result<SqlDenylist, SetupError> {
    Ok(SqlDenylist::new(&migrated(url, UserKeyKind::Uuid).await?))
}
