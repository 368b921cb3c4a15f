//! On PostgreSQL.

use testbed::{Postgres, wait_until};

use super::ground::{MIGRATIONS, Migrate, adopted_postgres, client};
use crate::harness::Place;

/// The indexes that are there and not whole.
const UNFINISHED: &str = "SELECT coalesce(string_agg(indexrelid::regclass::text, ','), '') FROM pg_index WHERE NOT indisvalid";

/// What `countersign migrate` makes of the original's tables, in any way.
fn schema(url: &str) -> String {
    let columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
         WHERE table_schema = 'public' ORDER BY 1, 2";
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1";
    [columns, indexes]
        .map(|question| Postgres::execute(url, question))
        .concat()
}

/// Goes on until all is applied, and checks that nothing is missing and nothing is left over.
fn finish(place: &Place, url: &str) {
    Migrate::start(place).applied();
    is_whole(place, url);
}

fn is_whole(place: &Place, url: &str) {
    assert_eq!(Postgres::execute(url, UNFINISHED), "");
    let (elsewhere, other) = adopted_postgres(1);
    Migrate::start(&elsewhere).applied();
    assert_eq!(schema(url), schema(&other));
    assert_eq!(Migrate::start(place).applied(), Vec::<String>::new());
    assert_eq!(
        Postgres::execute(url, "SELECT count(*) FROM countersign_migration"),
        MIGRATIONS.to_string()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_readers_go_by_a_change_that_waits() {
    let (place, url) = adopted_postgres(1000);
    let holder = client(&url).await;
    let pid: i32 = holder
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    holder
        .batch_execute("BEGIN; SELECT count(*) FROM refresh_token")
        .await
        .unwrap();
    let mut migrate = Migrate::start(&place);
    let waits = migrate.waits_for_lock("refresh_token");
    assert!(
        waits["held_by"]
            .as_str()
            .unwrap()
            .contains(&format!("process {pid} (idle in transaction")),
        "{waits}"
    );
    let reader = client(&url).await;
    for _ in 0..50 {
        reader
            .query("SELECT token FROM refresh_token LIMIT 1", &[])
            .await
            .unwrap();
        reader
            .execute(
                "UPDATE refresh_token SET created_at = now() WHERE token = ''",
                &[],
            )
            .await
            .unwrap();
    }
    migrate.is_still_at_work();
    // Between two attempts nobody stands in the queue.
    let queue =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'refresh_token'::regclass";
    wait_until("the queue is left", || {
        Postgres::execute(&url, queue) == "0"
    });
    migrate.is_still_at_work();
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(migrate.applied().len(), MIGRATIONS);
    is_whole(&place, &url);
}

/// A snapshot keeps an index from being finished, so that there is time to look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_readers_and_writers_go_on_while_an_index_is_built() {
    let (place, url) = adopted_postgres(1000);
    let snapshot = client(&url).await;
    snapshot
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await
        .unwrap();
    let mut migrate = Migrate::start(&place);
    let builds = migrate.tells("what it builds", |told| told["event"] == "builds");
    assert_eq!(builds["migration"], "countersign/1 tokens");
    assert!(
        builds["phase"]
            .as_str()
            .unwrap()
            .contains("waiting for old snapshots"),
        "{builds}"
    );
    let other = client(&url).await;
    let insert = "INSERT INTO access_token (token, user_id) SELECT 'new', id FROM \"user\" LIMIT 1";
    assert_eq!(other.execute(insert, &[]).await.unwrap(), 1);
    assert_eq!(
        other
            .query("SELECT token FROM access_token WHERE token = 'new'", &[])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        other
            .execute("DELETE FROM access_token WHERE token = 'new'", &[])
            .await
            .unwrap(),
        1
    );
    assert_ne!(Postgres::execute(&url, UNFINISHED), "");
    migrate.is_still_at_work();
    snapshot.batch_execute("COMMIT").await.unwrap();
    assert_eq!(migrate.applied().len(), MIGRATIONS);
    is_whole(&place, &url);
}

/// Killed while it waits for a table, and while it builds an index; with the process of PostgreSQL that built it, and
/// without, so that it goes on building for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_it_goes_on_where_it_stopped() {
    let (place, url) = adopted_postgres(1000);
    let holder = client(&url).await;
    let hold = async |statement: &str| holder.batch_execute(statement).await.unwrap();
    for table in ["access_token", "refresh_token"] {
        hold(&format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE")).await;
        let mut migrate = Migrate::start(&place);
        migrate.waits_for_lock(table);
        migrate.kill();
        hold("COMMIT").await;
    }
    // What was done before stays done.
    assert_ne!(
        Postgres::execute(&url, "SELECT to_regclass('ix_access_token_expires_at')"),
        ""
    );
    Postgres::execute(&url, "DROP INDEX ix_access_token_expires_at");

    let unfinished = || Postgres::execute(&url, UNFINISHED);
    hold("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let mut migrate = Migrate::start(&place);
    migrate.tells("what it builds", |told| told["event"] == "builds");
    assert_eq!(unfinished(), "ix_access_token_expires_at");
    migrate.kill();
    // The building goes on, and the next one waits for that.
    let mut second = Migrate::start(&place);
    let waits = second.waits_for_lock("access_token");
    assert!(
        waits["held_by"]
            .as_str()
            .unwrap()
            .contains("builds an index"),
        "{waits}"
    );
    second.kill();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()";
    Postgres::execute(&url, end);
    let building =
        "SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()";
    wait_until("nobody builds", || Postgres::execute(&url, building) == "0");
    assert_eq!(unfinished(), "ix_access_token_expires_at");
    // What was left is no use to anybody: it goes away, and is made anew.
    let mut third = Migrate::start(&place);
    let drops = |told: &serde_json::Value| {
        told["statement"]
            .as_str()
            .is_some_and(|text| text.starts_with("DROP INDEX"))
    };
    third.tells("what it drops", drops);
    third.tells("what it builds", |told| told["event"] == "builds");
    hold("COMMIT").await;
    assert_eq!(third.applied().len(), MIGRATIONS);
    is_whole(&place, &url);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_two_that_migrate_take_turns() {
    let (place, url) = adopted_postgres(1000);
    let snapshot = client(&url).await;
    snapshot
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await
        .unwrap();
    let mut first = Migrate::start(&place);
    first.tells("what it builds", |told| told["event"] == "builds");
    let mut second = Migrate::start(&place.sibling());
    second.tells("that it waits", |told| told["event"] == "waits_for_turn");
    assert!(
        second
            .told()
            .iter()
            .all(|told| told["event"] == "waits_for_turn"),
        "{:?}",
        second.told()
    );
    snapshot.batch_execute("COMMIT").await.unwrap();
    // Whoever waits for a turn holds no snapshot, for which the index would wait in turn.
    let (first, second) = (first.applied(), second.applied());
    let all: std::collections::BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(
        (first.len() + second.len(), all.len()),
        (MIGRATIONS, MIGRATIONS),
        "{first:?} {second:?}"
    );
    is_whole(&place, &url);
}

/// An index that can't be made is said so, and nothing is left of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_an_index_that_fails_leaves_nothing() {
    let (place, url) = adopted_postgres(1000);
    Postgres::execute(
        &url,
        "DROP INDEX ix_user_email; UPDATE \"user\" SET email = 'a@example.org' WHERE email LIKE '1%'",
    );
    let output = place.run(&["migrate"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("23505") && said.contains("countersign-server/1 user"),
        "{said}"
    );
    assert_eq!(Postgres::execute(&url, UNFINISHED), "");
    Postgres::execute(&url, "UPDATE \"user\" SET email = id::text");
    finish(&place, &url);
}

/// Through a pooler that gives each transaction another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tables_with_rows_are_adopted_through_pgbouncer() {
    let (_, url) = adopted_postgres(1000);
    let pooler =
        testbed::PgBouncer::in_front_of(&url, &["pool_mode=transaction", "default_pool_size=4"]);
    let place = Place::new(crate::harness::shared(&pooler.through(&url)));
    let mut migrate = Migrate::start(&place);
    migrate.tells("an index that is built beside others", |told| {
        told["statement"]
            .as_str()
            .is_some_and(|text| text.starts_with("CREATE INDEX CONCURRENTLY"))
    });
    assert_eq!(migrate.applied().len(), MIGRATIONS);
    is_whole(&place, &url);
    let left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("the turn is given back", || {
        Postgres::execute(&url, left) == "0"
    });
}
