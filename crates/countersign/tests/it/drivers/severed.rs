//! All connections are ended at one instant, as whoever rotates a password does it: reads go on without one that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use countersign::store::Value;
use countersign::store::sql::{DatabaseOptions, Dialect, Driver, Statement};
use tokio::task::JoinSet;

use crate::drivers::place::{Place, eventually, on_both, on_both_by_sqlx, through_pgbouncer};

const CALLERS: usize = 64;
const ROUNDS: usize = 20;

impl Place {
    /// Ends all connections to the database but the one that says so.
    fn sever(&self) {
        self.execute(match self.dialect {
            Dialect::Postgres => {
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()"
            }
            _ => {
                "DELIMITER //\n\
                 BEGIN NOT ATOMIC\n\
                 DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;\n\
                 FOR other IN (SELECT id FROM information_schema.processlist \
                 WHERE db = DATABASE() AND id <> CONNECTION_ID()) DO KILL CONNECTION other.id; END FOR;\n\
                 END//"
            }
        });
    }
}

async fn no_read_fails_when_all_connections_end(place: Place) {
    place.execute("INSERT INTO item VALUES (7, 'seven')");
    let options = DatabaseOptions::default()
        .with_timeout(Duration::from_secs(20))
        .with_connections(CALLERS / 2);
    let (driver, read) = (
        place.driver_with(&options),
        place.statement("SELECT name FROM item WHERE id = ?1"),
    );
    let callers: Vec<_> = (0..CALLERS).map(|_| Caller::default()).collect();
    let mut tasks = JoinSet::new();
    for caller in &callers {
        tasks.spawn(caller.clone().read(Arc::clone(&driver), read.clone()));
    }
    for _ in 0..ROUNDS {
        // Whoever has been answered twice has been answered after the last instant.
        all_answered(&callers, 2).await;
        place.sever();
    }
    all_answered(&callers, 2).await;
    for caller in &callers {
        caller.over.store(true, SeqCst);
    }
    let failures = tasks.join_all().await.concat();
    assert!(
        failures.is_empty(),
        "{} reads failed: {:?}",
        failures.len(),
        failures.first()
    );
}

async fn all_answered(callers: &[Caller], times: usize) {
    let answered = || callers.iter().map(|caller| caller.answered.load(SeqCst));
    let before: Vec<usize> = answered().collect();
    eventually("every caller is answered", || async {
        answered()
            .zip(&before)
            .all(|(now, before)| now >= before + times)
    })
    .await;
}

/// One who reads all the time.
#[derive(Clone, Default)]
struct Caller {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Caller {
    async fn read(self, driver: Arc<dyn Driver>, read: Statement) -> Vec<String> {
        let mut failures = Vec::new();
        while !self.over.load(SeqCst) {
            match driver.fetch(&read, &[Value::Int(7)]).await {
                Ok(rows) => assert_eq!(rows[0].text(0).unwrap(), Some("seven")),
                Err(failure) => failures.push(format!("{failure:?}")),
            }
            self.answered.fetch_add(1, SeqCst);
        }
        failures
    }
}

on_both!(no_read_fails_when_all_connections_end);
through_pgbouncer!(no_read_fails_when_all_connections_end);
on_both_by_sqlx!(no_read_fails_when_all_connections_end);
