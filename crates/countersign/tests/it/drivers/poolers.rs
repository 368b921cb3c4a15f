//! Through a PgBouncer, whose connections to the server anybody may get next.

use std::time::Duration;

use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Dialect, Driver, Migrator, PostgresDriver,
    Script, SqlStore, Statement, UserTable,
};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::token::TokenStatus;
use countersign::user::UserKeyKind;
use countersign::{Secret, SystemEntropy};
use testbed::{PgBouncer, Postgres};

use crate::fixture::users::{Account, numbered_users};

use crate::drivers::place::{eventually, patient};

/// All that a session holds and another client of the pool would inherit.
const STATE: &str = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), \
     current_setting('TimeZone') = (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'), \
     current_setting('countersign.applied', true) IS NULL, \
     (SELECT count(*) FROM pg_prepared_statements), \
     (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), \
     (SELECT count(*) FROM pg_settings WHERE source = 'session' AND name NOT IN ('client_encoding', 'application_name'))";

const CLEAN: &str = "0|0|t|t|0|0|0";

async fn work(url: &str, timeout: Duration) {
    let database =
        Database::connect(url, DatabaseOptions::default().with_timeout(timeout)).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    let store = SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    );
    let secret = Secret::generate(&SystemEntropy).unwrap();
    let strategy = DatabaseTokenStrategy::builder(store)
        .token_hash_secret(&secret)
        .build()
        .unwrap();
    for id in 0..20 {
        let issued = strategy.write_token(&Account::of(id)).await.unwrap();
        let answer: TokenStatus<Account<i64>> = strategy
            .read_token(Some(&issued.token), &numbered_users)
            .await
            .unwrap();
        assert!(answer.accepted().is_some());
    }
    let script = [
        "CREATE TABLE IF NOT EXISTS note (n int)",
        "INSERT INTO note VALUES (?1)",
    ];
    let script = [&["SELECT 1"][..], &script].concat();
    database
        .run(&Script::new(Dialect::Postgres, &script), &[Value::Int(1)])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_nothing_leaks_to_others() {
    let url = Postgres::shared().database();
    let settings = [
        "pool_mode=transaction",
        "default_pool_size=1",
        "server_check_query=select 1",
    ];
    let pooler = PgBouncer::in_front_of(&url, &settings);
    work(&pooler.through(&url), Duration::from_secs(20)).await;
    // With a pool of one, this is the session that all of it ran in.
    assert_eq!(Postgres::execute(&pooler.through(&url), STATE), CLEAN);
}

/// Whoever waits for a lock on the server.
const WAITERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Both kinds of writes, and reads, give up on the server too when we have given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_passes_the_timeout_on() {
    let url = Postgres::shared().database();
    Postgres::execute(
        &url,
        "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'held')",
    );
    let pooler = PgBouncer::in_front_of(&url, &["pool_mode=transaction"]);
    let options = DatabaseOptions::default().with_timeout(Duration::from_millis(500));
    let driver = PostgresDriver::connect(&pooler.through(&url), &options).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE item")
        .await
        .unwrap();
    let rename = "UPDATE item SET name = 'new' WHERE id = ?1";
    let script = |steps: &[&str]| Script::new(Dialect::Postgres, steps);
    let unavailable = |kind: FailureKind| assert_eq!(kind, FailureKind::Unavailable);
    unavailable(
        driver
            .run(&script(&[rename]), &[Value::Int(1)])
            .await
            .unwrap_err()
            .kind(),
    );
    unavailable(
        driver
            .run(&script(&["SELECT 1", rename]), &[Value::Int(1)])
            .await
            .unwrap_err()
            .kind(),
    );
    let read = Statement::new(Dialect::Postgres, "SELECT name FROM item WHERE id = ?1");
    unavailable(
        driver
            .fetch(&read, &[Value::Int(1)])
            .await
            .unwrap_err()
            .kind(),
    );
    eventually("nobody waits on the server", || async {
        Postgres::execute(&url, WAITERS) == "0"
    })
    .await;
    client.batch_execute("COMMIT").await.unwrap();
    eventually("reads are answered", || async {
        driver.fetch(&read, &[Value::Int(1)]).await.is_ok()
    })
    .await;
    let name = Postgres::execute(&url, "SELECT name FROM item WHERE id = 1");
    assert_eq!(name, "held", "what was given up took no effect");
}

/// Statement mode allows no transaction: what is one statement works, a script of several says what it needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_statement_mode() {
    let url = Postgres::shared().database();
    Postgres::execute(&url, "CREATE TABLE item (id int PRIMARY KEY, name text)");
    let pooler = PgBouncer::in_front_of(&url, &["pool_mode=statement"]);
    let driver = PostgresDriver::connect(&pooler.through(&url), &patient()).unwrap();
    let script = |steps: &[&str]| Script::new(Dialect::Postgres, steps);
    let insert = script(&["INSERT INTO item VALUES (?1, ?2)"]);
    for id in 0..20 {
        assert!(
            driver
                .run(&insert, &[Value::Int(id), "one".into()])
                .await
                .unwrap()
                .took_effect()
        );
    }
    let read = Statement::new(Dialect::Postgres, "SELECT id FROM item WHERE name = ?1");
    assert_eq!(
        driver.fetch(&read, &["one".into()]).await.unwrap().len(),
        20
    );
    let twice = script(&["SELECT 1", "DELETE FROM item WHERE id = ?1"]);
    let failure = driver.run(&twice, &[Value::Int(1)]).await.unwrap_err();
    let cause = std::error::Error::source(&failure).unwrap().to_string();
    assert!(cause.contains("pool_mode = transaction"), "{cause}");
    assert_eq!(Postgres::execute(&url, "SELECT count(*) FROM item"), "20");
}

/// A pooler that is killed and comes back, as any outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_killed_and_back() {
    let url = Postgres::shared().database();
    let pooler = PgBouncer::in_front_of(&url, &["pool_mode=transaction"]);
    let driver = PostgresDriver::connect(&pooler.through(&url), &patient()).unwrap();
    let read = Statement::new(Dialect::Postgres, "SELECT 1");
    driver.fetch(&read, &[]).await.unwrap();
    pooler.kill();
    assert_eq!(
        driver.fetch(&read, &[]).await.unwrap_err().kind(),
        FailureKind::Unavailable
    );
    pooler.start();
    eventually("it answers again", || async {
        driver.fetch(&read, &[]).await.is_ok()
    })
    .await;
}

/// A table whose columns change their types under a server that runs: the types are asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_columns_that_change() {
    let url = Postgres::shared().database();
    Postgres::execute(
        &url,
        "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'one')",
    );
    let through = PgBouncer::shared().through(&url);
    let driver = PostgresDriver::connect(&through, &patient()).unwrap();
    let read = Statement::new(Dialect::Postgres, "SELECT name FROM item WHERE id = ?1");
    assert_eq!(
        driver.fetch(&read, &[Value::Int(1)]).await.unwrap().len(),
        1
    );
    Postgres::execute(&url, "ALTER TABLE item ALTER id TYPE text");
    assert_eq!(
        driver
            .fetch(&read, &[Value::from("1")])
            .await
            .unwrap()
            .len(),
        1
    );
}

/// Columns of types that are no part of PostgreSQL can be written and looked for; one that is read has to be cast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_types_of_the_applications_own() {
    let url = Postgres::shared().database();
    Postgres::execute(
        &url,
        "CREATE TYPE mood AS ENUM ('calm', 'cross'); CREATE DOMAIN short AS varchar(5); CREATE DOMAIN tiny AS short;
         CREATE TABLE person (m mood, t tiny, n int)",
    );
    let driver = PostgresDriver::connect(&PgBouncer::shared().through(&url), &patient()).unwrap();
    let insert = Script::new(
        Dialect::Postgres,
        &["INSERT INTO person VALUES (?1, ?2, ?3)"],
    );
    driver
        .run(&insert, &["calm".into(), "abc".into(), Value::Int(7)])
        .await
        .unwrap();
    let find = |columns: &str| {
        let text = format!("SELECT {columns} FROM person WHERE m = ?1 AND t = ?2");
        Statement::new(Dialect::Postgres, &text)
    };
    let params = ["calm".into(), "abc".into()];
    let rows = driver.fetch(&find("t, n, m::text"), &params).await.unwrap();
    assert_eq!(
        (rows[0].text(0).unwrap(), rows[0].int(1).unwrap()),
        (Some("abc"), Some(7))
    );
    assert_eq!(rows[0].text(2).unwrap(), Some("calm"));
    let failure = driver.fetch(&find("m"), &params).await.unwrap_err();
    let cause = std::error::Error::source(&failure).unwrap().to_string();
    assert!(cause.contains("cast"), "{cause}");
}

/// Users who are read along with a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_joined_users() {
    let url = Postgres::shared().database();
    let through = format!("{}?pgbouncer=true", PgBouncer::shared().through(&url));
    let database = Database::connect(&through, patient()).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    Postgres::execute(
        &url,
        "CREATE TABLE member (id bigint PRIMARY KEY, name text); INSERT INTO member VALUES (7, 'm')",
    );
    let users = UserTable {
        table: "member".into(),
        id: "id".into(),
        columns: vec!["name".into()],
    };
    let models = DatabaseTokenModels::bundled(UserKeyKind::Int)
        .join_users(users)
        .unwrap();
    models.verify(&database).await.unwrap();
    work(&through, Duration::from_secs(20)).await;
}
