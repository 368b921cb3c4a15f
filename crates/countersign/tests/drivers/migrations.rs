//! Migrations beside strangers.

use countersign::UserKeyKind;
use countersign::store::sql::{Database, Dialect, Migrator};
use mysql_async::prelude::Queryable;

use crate::place::{Place, eventually, patient};

/// For how many milliseconds a session has waited for the lock of migrations, if one does.
const WAITED: &str = "SELECT CAST(time_ms AS SIGNED) FROM information_schema.processlist \
     WHERE db = database() AND state = 'User lock'";

/// Whoever doesn't get the lock doesn't go ahead without it, however long that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_migrations_wait_for_their_lock() {
    let place = Place::new(Dialect::Mysql);
    let mut stranger = mysql_async::Conn::from_url(&place.url).await.unwrap();
    stranger.query_drop("SELECT GET_LOCK('countersign_migration', 60)").await.unwrap();
    let database = Database::connect(&place.url, patient()).unwrap();
    let migrator = Migrator::new(&database, UserKeyKind::Int);
    let run = tokio::spawn({
        let migrator = migrator.clone();
        async move { migrator.run().await }
    });
    // It waits, gives up, and asks anew: somebody who has waited for less than before.
    let mut longest = 0;
    eventually("the lock is asked for a second time", || {
        let waited: i64 = place.execute(WAITED).lines().next().and_then(|ms| ms.trim().parse().ok()).unwrap_or(-1);
        let again = longest > 1000 && (0..longest).contains(&waited);
        longest = longest.max(waited);
        async move { again }
    })
    .await;
    assert!(!run.is_finished());
    assert_eq!(place.execute("SHOW TABLES LIKE 'access_token'"), "", "it went ahead without the lock");
    stranger.query_drop("SELECT RELEASE_LOCK('countersign_migration')").await.unwrap();
    assert_eq!(run.await.unwrap().unwrap().len(), 4);
    assert!(migrator.pending().await.unwrap().is_empty());
}

/// A server that stays keeps nobody from bringing another database of the same server up to date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_migrations_give_their_lock_back() {
    let place = Place::new(Dialect::Mysql);
    let database = Database::connect(&place.url, patient()).unwrap();
    assert_eq!(Migrator::new(&database, UserKeyKind::Int).run().await.unwrap().len(), 4);
    let held = "SELECT COUNT(*) FROM information_schema.processlist \
                WHERE db = database() AND id = IS_USED_LOCK('countersign_migration')";
    assert_eq!(place.execute(held).trim(), "0", "the lock is still held");
    drop(database);
}
