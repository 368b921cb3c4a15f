use countersign::denylist::SqlDenylist;
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Migrator, SetupError, SqlStore,
};
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};
use countersign::user::UserKeyKind;
use tempfile::TempDir;

pub(crate) async fn tokens_in_a_file() -> SuiteReport {
    let dir = TempDir::new().unwrap();
    let path = |number: u64| dir.path().join(format!("{number}.sqlite"));
    let files = std::sync::atomic::AtomicU64::new(0);
    let fresh = |user_ids| {
        let file = path(files.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        async move { store(&format!("sqlite://{}", file.display()), user_ids).await }
    };
    TokenStoreSuite::new("sqlite file", fresh).run().await
}

pub(crate) async fn tokens_in_memory() -> SuiteReport {
    TokenStoreSuite::new("sqlite memory", |user_ids| {
        store("sqlite::memory:", user_ids)
    })
    .run()
    .await
}

pub(crate) async fn denylist(only: Option<&str>) -> SuiteReport {
    let fresh = || async {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
        Migrator::new(&database, UserKeyKind::Uuid).run().await?;
        Ok::<_, SetupError>(SqlDenylist::new(&database))
    };
    crate::stores::cases(DenylistSuite::new("sqlite", fresh), only)
        .run()
        .await
}

async fn store(url: &str, user_ids: UserKeyKind) -> Result<SqlStore, SetupError> {
    let database = Database::connect(url, DatabaseOptions::default())?;
    Migrator::new(&database, user_ids).run().await?;
    Ok(SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(user_ids),
    ))
}
