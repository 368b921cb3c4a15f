//! Migrations beside strangers.

use std::time::Duration;

use countersign::store::sql::{Database, DatabaseOptions, Dialect, Migrator, SetupError};
use countersign::user::UserKeyKind;
use mysql_async::prelude::Queryable;

use crate::drivers::place::{Place, eventually, on_both, on_both_by_sqlx, patient};

on_both!(a_lock_that_nobody_gives_up_is_named);
on_both_by_sqlx!(a_lock_that_nobody_gives_up_is_named);

/// For how many milliseconds a session has waited for the lock of migrations, if one does.
const WAITED: &str = "SELECT CAST(time_ms AS SIGNED) FROM information_schema.processlist \
     WHERE db = database() AND state = 'User lock'";

/// Whoever doesn't get the lock doesn't go ahead without it, however long that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_migrations_wait_for_their_lock() {
    let place = Place::new(Dialect::Mysql);
    let mut stranger = mysql_async::Conn::from_url(&place.url).await.unwrap();
    stranger
        .query_drop("SELECT GET_LOCK('countersign_migration', 60)")
        .await
        .unwrap();
    let database = Database::connect(&place.url, patient()).unwrap();
    let migrator = Migrator::new(&database, UserKeyKind::Int);
    let run = tokio::spawn({
        let migrator = migrator.clone();
        async move { migrator.run().await }
    });
    // It waits, gives up, and asks anew: somebody who has waited for less than before.
    let mut longest = 0;
    eventually("the lock is asked for a second time", || {
        let waited: i64 = place
            .execute(WAITED)
            .lines()
            .next()
            .and_then(|ms| ms.trim().parse().ok())
            .unwrap_or(-1);
        let again = longest > 1000 && (0..longest).contains(&waited);
        longest = longest.max(waited);
        async move { again }
    })
    .await;
    assert!(!run.is_finished());
    assert_eq!(
        place.execute("SHOW TABLES LIKE 'access_token'"),
        "",
        "it went ahead without the lock"
    );
    stranger
        .query_drop("SELECT RELEASE_LOCK('countersign_migration')")
        .await
        .unwrap();
    assert_eq!(run.await.unwrap().unwrap().len(), 5);
    assert!(migrator.pending().await.unwrap().is_empty());
}

/// A server that stays keeps nobody from bringing another database of the same server up to date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_migrations_give_their_lock_back() {
    let place = Place::new(Dialect::Mysql);
    let database = Database::connect(&place.url, patient()).unwrap();
    assert_eq!(
        Migrator::new(&database, UserKeyKind::Int)
            .run()
            .await
            .unwrap()
            .len(),
        5
    );
    let held = "SELECT COUNT(*) FROM information_schema.processlist \
                WHERE db = database() AND id = IS_USED_LOCK('countersign_migration')";
    assert_eq!(place.execute(held).trim(), "0", "the lock is still held");
    drop(database);
}

/// Whoever can't have a table within the patience says which, and who has it.
async fn a_lock_that_nobody_gives_up_is_named(place: Place) {
    let columns = "token varchar(255) PRIMARY KEY, created_at timestamp, user_id bigint NOT NULL";
    place.execute(&format!("CREATE TABLE access_token ({columns})"));
    place.execute("INSERT INTO access_token VALUES ('one', now(), 1)");
    let database = place.database_with(&DatabaseOptions::default());
    let migrator = Migrator::new(&database, UserKeyKind::Int).patience(Duration::ZERO);
    let cause = if place.dialect == Dialect::Postgres {
        let (holder, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        holder
            .batch_execute("BEGIN; SELECT * FROM access_token")
            .await
            .unwrap();
        refusal(&migrator).await
    } else {
        let mut holder = mysql_async::Conn::from_url(&place.url).await.unwrap();
        holder.query_drop("BEGIN").await.unwrap();
        holder
            .query_drop("SELECT * FROM access_token")
            .await
            .unwrap();
        refusal(&migrator).await
    };
    assert!(cause.contains("the table access_token"), "{cause}");
    let by = if place.dialect == Dialect::Postgres {
        "blocked by process"
    } else {
        "blocked by perhaps connection"
    };
    assert!(cause.contains(by), "{cause}");
    assert_eq!(
        migrator
            .patience(Duration::from_mins(5))
            .run()
            .await
            .unwrap()
            .len(),
        5
    );
}

/// Why a migration gave up. On MariaDB the turn is one for the whole server, and other tests have it too.
async fn refusal(migrator: &Migrator) -> String {
    loop {
        let SetupError::Store(failure) = migrator.run().await.unwrap_err() else {
            panic!("the store's failure is told")
        };
        let cause = std::error::Error::source(&failure)
            .and_then(std::error::Error::source)
            .unwrap()
            .to_string();
        if !cause.contains("another process") {
            return cause;
        }
    }
}
