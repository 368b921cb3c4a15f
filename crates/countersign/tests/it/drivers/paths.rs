//! Ways to the database that forget connections in silence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::store::Value;
use countersign::store::sql::{DatabaseOptions, Dialect, Driver};
use testbed::{Gateway, MariaDb};
use tokio::task::JoinSet;

use crate::drivers::place::{Place, connect, eventually, on_both};

on_both!(
    idle_connections_that_were_forgotten,
    connections_that_fall_silent_in_use,
    connections_that_ended_and_did_not_say_so,
    transactions_that_had_not_begun
);

const TIMEOUT: Duration = Duration::from_millis(1200);
/// Longer than a connection may be idle before it is asked whether it still lives.
const IDLE: Duration = Duration::from_millis(6300);

/// A driver whose connections lead over a gateway, all of them in use before.
async fn driver(place: &Place) -> (Arc<dyn Driver>, Gateway) {
    let address = place
        .url
        .rsplit_once('@')
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap();
    let gateway = Gateway::to(address);
    let options = DatabaseOptions::default().with_timeout(TIMEOUT);
    let driver = connect(place.dialect, &gateway.through(&place.url), &options);
    eventually("all connections are in use", || async {
        at_once(place, &driver, 0).await == 0
    })
    .await;
    (driver, gateway)
}

async fn read(place: &Place, driver: &Arc<dyn Driver>) -> bool {
    driver
        .fetch(
            &place.statement("SELECT name FROM item WHERE id = ?1"),
            &[Value::Int(0)],
        )
        .await
        .is_ok()
}

async fn write(place: &Place, driver: &Arc<dyn Driver>, id: i64) -> bool {
    let delete = place.script(&["DELETE FROM item WHERE id = ?1"]);
    driver.run(&delete, &[Value::Int(id)]).await.is_ok()
}

/// How many of sixteen reads, writes and scripts at once fail.
async fn at_once(place: &Place, driver: &Arc<dyn Driver>, first: i64) -> usize {
    let mut crowd = JoinSet::new();
    for n in 0..16 {
        let (driver, dialect, url) = (Arc::clone(driver), place.dialect, place.url.clone());
        crowd.spawn(async move {
            let place = Place::at(dialect, url);
            match n % 3 {
                0 => read(&place, &driver).await,
                1 => write(&place, &driver, first + n).await,
                _ => {
                    let script = place.script(&["SELECT 1", "DELETE FROM item WHERE id = ?1"]);
                    driver.run(&script, &[Value::Int(first + n)]).await.is_ok()
                }
            }
        });
    }
    crowd
        .join_all()
        .await
        .into_iter()
        .filter(|went_well| !went_well)
        .count()
}

/// Nobody fails: a connection that was idle for long is asked first, and those that were idle as long go with it.
async fn idle_connections_that_were_forgotten(place: Place) {
    let (driver, gateway) = driver(&place).await;
    gateway.forget();
    let since = Instant::now();
    eventually("the connections have been idle", || async {
        since.elapsed() > IDLE
    })
    .await;
    assert_eq!(at_once(&place, &driver, 0).await, 0);
}

/// One caller may find out; the connections that have been silent as long are not tried.
async fn connections_that_fall_silent_in_use(place: Place) {
    let (driver, gateway) = driver(&place).await;
    gateway.forget();
    let mut failed = 0;
    for id in 0..12 {
        failed += usize::from(!write(&place, &driver, id).await);
        failed += usize::from(!read(&place, &driver).await);
    }
    assert!(failed <= 1, "{failed} of 24 failed");
}

/// A read isn't given a second connection that has ended, whether one asks or many do.
async fn connections_that_ended_and_did_not_say_so(place: Place) {
    let (driver, gateway) = driver(&place).await;
    for round in 0..8 {
        gateway.end();
        assert!(read(&place, &driver).await, "in round {round}");
        gateway.end();
        let mut readers = JoinSet::new();
        for _ in 0..16 {
            let (driver, place) = (
                Arc::clone(&driver),
                Place::at(place.dialect, place.url.clone()),
            );
            readers.spawn(async move { read(&place, &driver).await });
        }
        let failed = readers
            .join_all()
            .await
            .into_iter()
            .filter(|went_well| !went_well)
            .count();
        assert_eq!(failed, 0, "in round {round}");
    }
}

/// Steps that go together are asked for again, on a new connection, when the old one ended before they were begun.
async fn transactions_that_had_not_begun(place: Place) {
    let (driver, gateway) = driver(&place).await;
    for id in 1..=8 {
        gateway.end();
        let steps = [
            "INSERT INTO item VALUES (?1, 'one')",
            "INSERT INTO item VALUES (?2, 'two')",
        ];
        let outcome = driver
            .run(&place.script(&steps), &[Value::Int(id), Value::Int(-id)])
            .await;
        assert!(
            outcome.is_ok_and(|outcome| outcome.took_effect()),
            "in round {id}"
        );
    }
    assert_eq!(place.items().len(), 16);
}

/// A read is one round trip, however long ago the last one was: MariaDB counts pings among its commands of administration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_reads_are_not_preceded_by_a_ping() {
    let server = MariaDb::dedicated();
    let place = Place::at(Dialect::Mysql, server.database());
    place.execute("CREATE TABLE item (id int PRIMARY KEY, name varchar(40) NOT NULL)");
    let driver = place.driver();
    let pings = || {
        let asked = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'COM_ADMIN_COMMANDS'";
        place.execute(asked)
    };
    assert!(read(&place, &driver).await);
    let before = pings();
    for _ in 0..4 {
        let since = Instant::now();
        eventually("the connection has been idle", || async {
            since.elapsed() > Duration::from_millis(300)
        })
        .await;
        assert!(read(&place, &driver).await);
    }
    assert_eq!(pings(), before);
}
