//! On MariaDB.

use testbed::MariaDb;
use testbed::mysql_async::{self, prelude::Queryable};

use super::ground::{MIGRATIONS, Migrate, adopted_mariadb};

const COLUMNS: &str = "SELECT table_name, column_name, column_type, collation_name FROM information_schema.columns \
     WHERE table_schema = database() ORDER BY 1, 2; SELECT table_name, index_name, column_name, seq_in_index \
     FROM information_schema.statistics WHERE table_schema = database() ORDER BY 1, 2, 4";

fn is_whole(url: &str) {
    let (elsewhere, other) = adopted_mariadb();
    Migrate::start(&elsewhere).applied();
    assert_eq!(
        MariaDb::execute(url, COLUMNS),
        MariaDb::execute(&other, COLUMNS)
    );
    assert_eq!(
        MariaDb::execute(url, "SELECT count(*) FROM countersign_migration"),
        MIGRATIONS.to_string()
    );
    assert_eq!(
        MariaDb::execute(url, "SELECT count(*) FROM access_token"),
        "2000"
    );
}

async fn connect(url: &str) -> mysql_async::Conn {
    mysql_async::Conn::from_url(url).await.unwrap()
}

/// An open transaction that has read a table keeps its definition. Nobody else waits for it meanwhile, and whoever is killed
/// there has done what it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_readers_go_by_a_change_that_waits() {
    let (place, url) = adopted_mariadb();
    let mut holder = connect(&url).await;
    let mut reader = connect(&url).await;
    for table in ["access_token", "refresh_token"] {
        holder
            .query_drop(format!("BEGIN; SELECT count(*) FROM {table}"))
            .await
            .unwrap();
        let mut migrate = Migrate::start(&place);
        migrate.waits_for_lock(table);
        for _ in 0..10 {
            let found: Option<String> = reader
                .query_first(format!("SELECT token FROM {table} LIMIT 1"))
                .await
                .unwrap();
            assert!(found.is_some());
            reader
                .query_drop(format!("DELETE FROM {table} WHERE token = 'x'"))
                .await
                .unwrap();
        }
        migrate.is_still_at_work();
        migrate.kill();
        holder.query_drop("COMMIT").await.unwrap();
    }
    let mut first = Migrate::start(&place);
    first.tells("a statement", |told| !told["event"].is_null());
    let second = Migrate::start(&place.sibling());
    let (first, second) = (first.applied(), second.applied());
    let all: std::collections::BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(
        (first.len() + second.len(), all.len()),
        (MIGRATIONS, MIGRATIONS),
        "{first:?} {second:?}"
    );
    is_whole(&url);
}

/// What the database can do beside writers, it is told to do so; what it can't is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_changes_tables_in_the_way_that_disturbs_least() {
    let (place, url) = adopted_mariadb();
    let mut migrate = Migrate::start(&place);
    let runs = |end: &'static str| {
        move |told: &serde_json::Value| {
            told["statement"]
                .as_str()
                .is_some_and(|text| text.ends_with(end))
        }
    };
    migrate.tells("the change of a collation", |told| {
        told["event"] == "writers_wait"
    });
    migrate.tells(
        "a column",
        runs("ADD COLUMN expires_at BIGINT, ALGORITHM=INSTANT"),
    );
    migrate.tells("an index", runs("ON access_token (session_id) LOCK=NONE"));
    assert_eq!(migrate.applied().len(), MIGRATIONS);
    is_whole(&url);
}
