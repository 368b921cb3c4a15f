//! Databases that are killed, stopped or silent (SECURITY rows F-03, F-12, F-14, F-15).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::{DatabaseOptions, Dialect, Driver, Script, Statement};
use testbed::{MariaDb, Postgres, free_port};
use tokio::task::JoinSet;

use crate::drivers::place::{connect, eventually, patient};

/// A server of the test's own.
enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

macro_rules! each {
    ($server:expr, $own:ident => $call:expr) => {
        match $server {
            Server::Postgres($own) => $call,
            Server::MariaDb($own) => $call,
        }
    };
}

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name varchar(40) NOT NULL)";

impl Server {
    /// With two handles on a database of its: one whose operations end soon, and a patient one.
    fn new(dialect: Dialect) -> (Self, Arc<dyn Driver>, Arc<dyn Driver>) {
        let (server, url) = if dialect == Dialect::Postgres {
            let server = Postgres::dedicated();
            let url = server.database();
            Postgres::execute(&url, TABLE);
            (Self::Postgres(server), url)
        } else {
            let server = MariaDb::dedicated();
            let url = server.database();
            MariaDb::execute(&url, TABLE);
            (Self::MariaDb(server), url)
        };
        let driver = connect(dialect, &url, &DatabaseOptions::default());
        (server, driver, connect(dialect, &url, &patient()))
    }
}

async fn read(driver: &dyn Driver) -> Result<usize, FailureKind> {
    let read = Statement::new(driver.dialect(), "SELECT id FROM item");
    driver
        .fetch(&read, &[])
        .await
        .map(|rows| rows.len())
        .map_err(|failure| failure.kind())
}

async fn write(driver: &dyn Driver, id: i64) -> Result<(), FailureKind> {
    let insert = Script::new(driver.dialect(), &["INSERT INTO item VALUES (?1, 'token')"]);
    let result = driver.run(&insert, &[Value::Int(id)]).await;
    result
        .map(|outcome| assert!(outcome.took_effect()))
        .map_err(|failure| failure.kind())
}

async fn pair(driver: &dyn Driver, id: i64) -> Result<(), FailureKind> {
    let steps = [
        "INSERT INTO item VALUES (?1, 'one')",
        "INSERT INTO item VALUES (?2, 'two')",
    ];
    let insert = Script::new(driver.dialect(), &steps);
    let result = driver
        .run(&insert, &[Value::Int(id), Value::Int(-id)])
        .await;
    result
        .map(|outcome| assert!(outcome.took_effect()))
        .map_err(|failure| failure.kind())
}

/// Down in any way: unavailable. Up again: the same handle answers.
async fn comes_back(dialect: Dialect) {
    let (server, driver, patient) = Server::new(dialect);
    write(&*patient, 1).await.unwrap();
    pair(&*patient, 2).await.unwrap();
    eventually("it answers at first", || async {
        read(&*driver).await == Ok(3)
    })
    .await;
    for stop in ["kill", "stop", "freeze"] {
        match stop {
            "kill" => each!(&server, own => own.kill()),
            "stop" => each!(&server, own => own.stop()),
            _ => each!(&server, own => own.freeze()),
        }
        for _ in 0..3 {
            assert_eq!(
                read(&*driver).await,
                Err(FailureKind::Unavailable),
                "{stop}"
            );
            assert_eq!(
                write(&*driver, 100).await,
                Err(FailureKind::Unavailable),
                "{stop}"
            );
            assert_eq!(
                pair(&*driver, 200).await,
                Err(FailureKind::Unavailable),
                "{stop}"
            );
        }
        match stop {
            "freeze" => each!(&server, own => own.thaw()),
            _ => each!(&server, own => own.start()),
        }
        eventually("reads are answered again", || async {
            read(&*driver).await.is_ok()
        })
        .await;
        let delete = Script::new(dialect, &["DELETE FROM item WHERE id IN (100, 200, -200)"]);
        eventually("writes are taken again", || async {
            driver.run(&delete, &[]).await.is_ok()
        })
        .await;
        eventually("nothing of the outage is left", || async {
            driver.run(&delete, &[]).await.is_ok() && read(&*driver).await == Ok(3)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_comes_back() {
    comes_back(Dialect::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_comes_back() {
    comes_back(Dialect::Mysql).await;
}

/// After a restart that nobody noticed, the first write already goes through: it is sent on no dead connection.
async fn first_operation_after_a_restart(dialect: Dialect) {
    let (server, _, driver) = Server::new(dialect);
    for id in 0..8 {
        write(&*driver, id).await.unwrap();
        read(&*driver).await.unwrap();
    }
    each!(&server, own => own.restart());
    for id in 8..16 {
        assert_eq!(write(&*driver, id).await, Ok(()));
    }
    each!(&server, own => own.restart());
    assert_eq!(read(&*driver).await, Ok(16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_restart_goes_unnoticed() {
    first_operation_after_a_restart(Dialect::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_restart_goes_unnoticed() {
    first_operation_after_a_restart(Dialect::Mysql).await;
}

/// SIGKILL under a load of writes, five times: every write that was acknowledged is found, pairs are whole.
async fn keeps_what_it_acknowledged(dialect: Dialect) {
    let (server, driver, patient) = Server::new(dialect);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8_i64 {
        let (driver, acknowledged, stop) = (
            Arc::clone(&driver),
            Arc::clone(&acknowledged),
            Arc::clone(&stop),
        );
        writers.spawn(async move {
            let mut id = 1 + writer * 1_000_000;
            while !stop.load(Ordering::Relaxed) {
                id += 1;
                let result = if id % 2 == 0 {
                    write(&*driver, id).await
                } else {
                    pair(&*driver, id).await
                };
                match result {
                    Ok(()) => drop(acknowledged.lock().unwrap().insert(id)),
                    Err(kind) => assert_eq!(kind, FailureKind::Unavailable),
                }
            }
        });
    }
    for round in 1..=5 {
        let enough = acknowledged.lock().unwrap().len() + 200;
        eventually("writes are acknowledged", || async {
            acknowledged.lock().unwrap().len() > enough
        })
        .await;
        each!(&server, own => own.kill());
        each!(&server, own => own.start());
        assert!(round > 0);
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    eventually("the database answers", || async {
        read(&*driver).await.is_ok()
    })
    .await;
    let rows = patient
        .fetch(&Statement::new(dialect, "SELECT id FROM item"), &[])
        .await
        .unwrap();
    let found: BTreeSet<i64> = rows
        .iter()
        .map(|row| row.int(0).unwrap().unwrap())
        .collect();
    let lost: Vec<i64> = acknowledged
        .lock()
        .unwrap()
        .difference(&found)
        .copied()
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        acknowledged.lock().unwrap().len()
    );
    let halves: Vec<&i64> = found
        .iter()
        .filter(|id| *id % 2 != 0 && !found.contains(&-**id))
        .collect();
    assert!(halves.is_empty(), "half of a pair: {halves:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_what_it_acknowledged() {
    keeps_what_it_acknowledged(Dialect::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_keeps_what_it_acknowledged() {
    keeps_what_it_acknowledged(Dialect::Mysql).await;
}

/// A database that is down doesn't stop a start, and answers once it is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_home() {
    for (dialect, scheme) in [(Dialect::Postgres, "postgres"), (Dialect::Mysql, "mysql")] {
        let url = format!("{scheme}://test:test@127.0.0.1:{}/nobody", free_port());
        let driver = connect(dialect, &url, &DatabaseOptions::default());
        assert_eq!(read(&*driver).await, Err(FailureKind::Unavailable));
    }
}
