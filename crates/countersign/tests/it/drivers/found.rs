//! Databases as they are found: other accounts, other formats, other tables, several hosts.

use std::error::Error;

use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::{
    Database, Dialect, Driver, Migration, MigrationSet, Migrator, Script, SetupError, Statement,
};
use countersign::user::UserKeyKind;
use testbed::{MariaDb, Postgres, free_port};

use crate::drivers::place::{Place, connect, on_both, patient};

on_both!(
    a_table_of_something_else_is_left_alone,
    a_missing_column_is_named,
    missing_rights_are_named
);

async fn answers(dialect: Dialect, url: &str) -> Result<(), (FailureKind, String, bool)> {
    let driver = connect(dialect, url, &patient());
    let one = driver
        .fetch(&Statement::new(dialect, "SELECT 1"), &[])
        .await;
    one.map(drop)
        .map_err(|failure| (failure.kind(), cause(&failure), failure.is_denied()))
}

fn cause(failure: &countersign::Failure) -> String {
    failure
        .source()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// `url` for another account.
fn account(url: &str, account: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{account}@{}", rest.rsplit_once('@').unwrap().1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_accounts_of_ed25519() {
    let server = MariaDb::dedicated();
    MariaDb::execute(
        server.url(),
        "INSTALL SONAME 'auth_ed25519'; CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('pass-word');
         GRANT ALL ON *.* TO modern@'%'",
    );
    let url = server.database();
    assert_eq!(
        answers(Dialect::Mysql, &account(&url, "modern:pass-word")).await,
        Ok(())
    );
    let (kind, cause, is_denied) = answers(Dialect::Mysql, &account(&url, "modern:wrong"))
        .await
        .unwrap_err();
    assert_eq!(kind, FailureKind::Unavailable);
    assert!(is_denied && cause.contains("1045"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_accounts_of_scram() {
    let server = Postgres::asking_for_passwords("modern", "pass-word");
    assert_eq!(
        answers(
            Dialect::Postgres,
            &account(server.url(), "modern:pass-word")
        )
        .await,
        Ok(())
    );
    let (kind, cause, is_denied) =
        answers(Dialect::Postgres, &account(server.url(), "modern:wrong"))
            .await
            .unwrap_err();
    assert_eq!(kind, FailureKind::Unavailable);
    assert!(is_denied && cause.contains("28P01"), "{cause}");
}

const WIDE: &str = "CREATE TABLE IF NOT EXISTS wide (\n    id BIGINT NOT NULL,\n    name VARCHAR(320) CHARACTER SET \
     utf8mb4 NOT NULL,\n    UNIQUE (name)\n) ENGINE=InnoDB;";
const SET: MigrationSet = MigrationSet {
    name: "wide",
    migrations: &[Migration {
        version: 1,
        name: "wide",
        sqlite: WIDE,
        postgres: WIDE,
        mysql: WIDE,
    }],
};

/// A log of statements, and rows in the older format: migrations and writes work all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_with_other_formats() {
    let settings = [
        "log-bin=log",
        "binlog-format=STATEMENT",
        "server-id=1",
        "innodb-default-row-format=compact",
    ];
    let server = MariaDb::with_settings(&settings);
    let database = Database::connect(&server.database(), patient()).unwrap();
    assert_eq!(
        Migrator::new(&database, UserKeyKind::Int)
            .add(SET)
            .run()
            .await
            .unwrap()
            .len(),
        6
    );
    let insert = Script::new(
        Dialect::Mysql,
        &["SELECT 1", "INSERT INTO wide VALUES (?1, ?2)"],
    );
    assert!(
        database
            .run(&insert, &[Value::Int(1), "wide".into()])
            .await
            .unwrap()
            .took_effect()
    );
}

async fn a_table_of_something_else_is_left_alone(place: Place) {
    place.execute("CREATE TABLE access_token (id int PRIMARY KEY, api_key varchar(40) NOT NULL)");
    let database = Database::connect(&place.url, patient()).unwrap();
    let error = Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap_err();
    let SetupError::Config(error) = error else {
        panic!("{error}")
    };
    assert!(
        error.to_string().contains("`access_token`") && error.to_string().contains("user_id"),
        "{error}"
    );
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'access_token' AND table_schema = ";
    let schema = if place.dialect == Dialect::Postgres {
        "current_schema()"
    } else {
        "database()"
    };
    assert_eq!(
        place.execute(&format!("{columns}{schema}")),
        "2",
        "it was altered"
    );
}

async fn a_missing_column_is_named(place: Place) {
    let driver = place.driver();
    let read = place.statement("SELECT item.fence FROM item WHERE id = ?1");
    let failure = driver.fetch(&read, &[Value::Int(1)]).await.unwrap_err();
    assert!(
        cause(&failure).contains("item.fence"),
        "{}",
        cause(&failure)
    );
}

async fn missing_rights_are_named(place: Place) {
    place.execute(match place.dialect {
        Dialect::Postgres => "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN",
        _ => {
            "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'x'; GRANT CREATE ON *.* TO reader@'%'"
        }
    });
    let driver = connect(place.dialect, &account(&place.url, "reader:x"), &patient());
    let read = place.statement("SELECT id FROM item WHERE id = ?1");
    let failure = driver.fetch(&read, &[Value::Int(1)]).await.unwrap_err();
    assert!(
        failure.is_denied() && cause(&failure).contains("item"),
        "{}",
        cause(&failure)
    );
}

/// The first host is gone, the second takes no writes, the third is used; and sockets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_hosts_and_sockets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let [standby, primary] = [Postgres::dedicated(), Postgres::with_socket(folder.path())];
    Postgres::execute(
        standby.url(),
        "ALTER SYSTEM SET default_transaction_read_only = on",
    );
    Postgres::execute(standby.url(), "SELECT pg_reload_conf()");
    let port = |url: &str| {
        url.rsplit_once(':')
            .unwrap()
            .1
            .split('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let hosts = [
        free_port().to_string(),
        port(standby.url()),
        port(primary.url()),
    ]
    .map(|port| format!("127.0.0.1:{port}"));
    let url = format!(
        "postgres://postgres@{}/postgres?target_session_attrs=read-write",
        hosts.join(",")
    );
    let driver = connect(Dialect::Postgres, &url, &patient());
    let script = ["CREATE TABLE item (id int)", "INSERT INTO item VALUES (1)"];
    let script = Script::new(Dialect::Postgres, &[&["SELECT 1"][..], &script].concat());
    driver.run(&script, &[]).await.unwrap();
    assert_eq!(
        Postgres::execute(primary.url(), "SELECT count(*) FROM item"),
        "1"
    );
    let socket = format!(
        "postgres://postgres@/postgres?host={}&port={}",
        folder.path().display(),
        port(primary.url())
    );
    assert_eq!(answers(Dialect::Postgres, &socket).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_hosts_and_sockets() {
    let [replica, primary] = [
        MariaDb::with_settings(&["read-only=1"]),
        MariaDb::dedicated(),
    ];
    MariaDb::execute(primary.url(), "CREATE DATABASE app");
    MariaDb::execute(replica.url(), "CREATE DATABASE app");
    let place = |url: &str| {
        url.rsplit_once('@')
            .unwrap()
            .1
            .split('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let hosts = [
        format!("127.0.0.1:{}", free_port()),
        place(replica.url()),
        place(primary.url()),
    ];
    let url = format!("mysql://test:test@{}/app?charset=utf8mb4", hosts.join(","));
    let driver = connect(Dialect::Mysql, &url, &patient());
    let script = Script::new(Dialect::Mysql, &["SELECT 1", "CREATE TABLE item (id int)"]);
    driver.run(&script, &[]).await.unwrap();
    assert_eq!(
        MariaDb::execute(primary.url(), "SELECT count(*) FROM app.item"),
        "0"
    );
    let socket = MariaDb::execute(primary.url(), "SELECT @@socket");
    assert_eq!(
        answers(
            Dialect::Mysql,
            &format!("mysql://test:test@/app?socket={socket}")
        )
        .await,
        Ok(())
    );
}
