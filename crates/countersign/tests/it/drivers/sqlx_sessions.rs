//! Inside the caller's sqlx transaction.

use countersign::error::FailureKind;
use countersign::store::sql::sqlx::{self, MySqlPool, PgPool};
use countersign::store::sql::{Dialect, Driver, SqlxSession};

use crate::drivers::place::Place;
use crate::drivers::sessions::{insert, refused_guard};

/// What a test does in a transaction of either database.
macro_rules! lives_and_dies {
    ($test:ident, $pool:ty, $dialect:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let place = Place::new($dialect);
            let pool = <$pool>::connect(&place.url).await.unwrap();
            for persistent in [true, false] {
                place.execute("DELETE FROM item");
                let mut transaction = pool.begin().await.unwrap();
                let session = SqlxSession::new(&mut transaction).persistent(persistent);
                insert(&session, 1).await;
                transaction.rollback().await.unwrap();
                assert!(place.items().is_empty());

                let mut transaction = pool.begin().await.unwrap();
                sqlx::query("INSERT INTO item VALUES (7, 'mine')")
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let session = SqlxSession::new(&mut transaction).persistent(persistent);
                insert(&session, 1).await;
                refused_guard(&session).await;
                let all = place.statement("SELECT id FROM item ORDER BY id");
                assert_eq!(session.fetch(&all, &[]).await.unwrap().len(), 2);
                assert!(
                    place.driver().fetch(&all, &[]).await.unwrap().is_empty(),
                    "others see nothing before the commit"
                );
                transaction.commit().await.unwrap();
                assert_eq!(place.items(), ["1:token", "7:mine"]);
            }
        }
    };
}

lives_and_dies!(
    postgres_tokens_live_and_die_with_an_sqlx_transaction,
    PgPool,
    Dialect::Postgres
);
lives_and_dies!(
    mariadb_tokens_live_and_die_with_an_sqlx_transaction,
    MySqlPool,
    Dialect::Mysql
);

/// MySQL would let the caller commit half of a script after an error in its middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_fails_in_an_sqlx_transaction_of_mariadb_leaves_nothing_of_itself() {
    let place = Place::new(Dialect::Mysql);
    place.execute("INSERT INTO item VALUES (1, 'old')");
    let pool = MySqlPool::connect(&place.url).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO item VALUES (7, 'mine')")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let script = place.script(&[
        "UPDATE item SET name = 'new' WHERE id = 1",
        "INSERT INTO item VALUES (1, 'again')",
    ]);
    let session = SqlxSession::new(&mut transaction);
    let failure = session.run(&script, &[]).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Internal);
    transaction.commit().await.unwrap();
    assert_eq!(place.items(), ["1:old", "7:mine"]);
}

/// The settings of a write are gone with it: the application's own are as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_mariadb_comes_back_with_its_own_settings() {
    let place = Place::new(Dialect::Mysql);
    let pool = sqlx::mysql::MySqlPoolOptions::new()
        .max_connections(1)
        .connect(&place.url)
        .await
        .unwrap();
    let settings = "SELECT CONCAT_WS(' ', @@SESSION.innodb_lock_wait_timeout, @@SESSION.tx_isolation, \
                    @@SESSION.max_statement_time)";
    sqlx::raw_sql("SET SESSION innodb_lock_wait_timeout = 17, SESSION max_statement_time = 9")
        .execute(&pool)
        .await
        .unwrap();
    let before: (String,) = sqlx::query_as(settings).fetch_one(&pool).await.unwrap();
    let driver = countersign::store::sql::SqlxDriver::new(pool.clone());
    insert(&driver, 1).await;
    refused_guard(&driver).await;
    let again = place.script(&["INSERT INTO item VALUES (1, 'again')"]);
    assert!(driver.run(&again, &[]).await.is_err());
    let after: (String,) = sqlx::query_as(settings).fetch_one(&pool).await.unwrap();
    assert_eq!(before, after);
    assert!(before.0.starts_with("17 "), "{}", before.0);
}
