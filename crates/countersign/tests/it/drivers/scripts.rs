//! Scripts: whole or not at all, with the guard first.

use std::sync::Arc;

use countersign::Failure;
use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::{DatabaseOptions, Dialect, Driver, Outcome};
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};

use crate::drivers::place::{
    Place, eventually, on_both, on_both_by_sqlx, through_pgbouncer, through_pgbouncer_by_sqlx,
};

on_both!(
    a_guard_that_finds_nothing_stops_the_script,
    a_step_that_fails_undoes_those_before_it,
    violations_are_failures_that_quote_nothing,
    an_update_counts_what_it_found,
    one_of_many_wins,
    deadlocks_are_run_again,
    a_dropped_script_leaves_nothing_behind,
    blocked_writes_hold_up_no_read,
    a_write_that_waits_too_long_is_unavailable,
    a_write_whose_connection_breaks_is_not_repeated,
    a_read_whose_connection_breaks_is_asked_again,
    many_callers_share_one_connection,
);

on_both_by_sqlx!(
    a_guard_that_finds_nothing_stops_the_script,
    a_step_that_fails_undoes_those_before_it,
    violations_are_failures_that_quote_nothing,
    an_update_counts_what_it_found,
    one_of_many_wins,
    deadlocks_are_run_again,
    a_dropped_script_leaves_nothing_behind,
    blocked_writes_hold_up_no_read,
    a_write_that_waits_too_long_is_unavailable,
    a_write_whose_connection_breaks_takes_effect_once,
    a_read_whose_connection_breaks_is_asked_again,
    many_callers_share_one_connection,
);

through_pgbouncer_by_sqlx!(
    a_guard_that_finds_nothing_stops_the_script,
    a_step_that_fails_undoes_those_before_it,
    violations_are_failures_that_quote_nothing,
    one_of_many_wins,
    blocked_writes_hold_up_no_read,
    a_write_that_waits_too_long_is_unavailable,
    many_callers_share_one_connection,
);

through_pgbouncer!(
    a_guard_that_finds_nothing_stops_the_script,
    a_step_that_fails_undoes_those_before_it,
    violations_are_failures_that_quote_nothing,
    one_of_many_wins,
    deadlocks_are_run_again,
    a_dropped_script_leaves_nothing_behind,
    blocked_writes_hold_up_no_read,
    a_write_that_waits_too_long_is_unavailable,
    a_write_that_is_cancelled_is_run_again,
    many_callers_share_one_connection,
);

async fn a_guard_that_finds_nothing_stops_the_script(place: Place) {
    let driver = place.driver();
    let rename = place.script(&[
        "UPDATE item SET name = ?2 WHERE id = ?1",
        "INSERT INTO item VALUES (?3, ?2)",
    ]);
    let params = [Value::Int(1), "new".into(), Value::Int(2)];
    let outcome = driver.run(&rename, &params).await.unwrap();
    assert_eq!(
        (outcome.affected.clone(), outcome.took_effect()),
        (vec![0], false)
    );
    assert_eq!(place.items(), [""; 0]);
    place.execute("INSERT INTO item VALUES (1, 'old')");
    assert_eq!(driver.run(&rename, &params).await.unwrap().affected, [1, 1]);
    assert_eq!(place.items(), ["1:new", "2:new"]);
}

async fn a_step_that_fails_undoes_those_before_it(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'old')");
    let driver = place.driver();
    let script = place.script(&[
        "UPDATE item SET name = 'new' WHERE id = ?1",
        "INSERT INTO item VALUES (?1, 'again')",
    ]);
    for _ in 0..10 {
        let failure = driver.run(&script, &[Value::Int(1)]).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Internal);
    }
    assert_eq!(place.items(), ["1:old"]);
    // The connections that failed are clean: what follows on them is committed.
    let single = place.script(&["INSERT INTO item VALUES (?1, 'next')"]);
    for id in 2..12 {
        driver.run(&single, &[Value::Int(id)]).await.unwrap();
    }
    assert_eq!(place.items().len(), 11);
}

async fn violations_are_failures_that_quote_nothing(place: Place) {
    place.execute("ALTER TABLE item ADD UNIQUE (name); INSERT INTO item VALUES (1, 'hush-hush')");
    let driver = place.driver();
    let insert = place.script(&["INSERT INTO item VALUES (?1, ?2)"]);
    for name in [
        Value::from("hush-hush"),
        Value::Null,
        "hush-hush".repeat(10).into(),
    ] {
        let failure = driver
            .run(&insert, &[Value::Int(2), name])
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Internal);
        let told = format!(
            "{failure} {failure:?} {:?}",
            std::error::Error::source(&failure)
        );
        assert!(!told.contains("hush"), "{told}");
    }
    let broken = place.statement("SELECT nothing FROM nowhere");
    assert_eq!(
        driver.fetch(&broken, &[]).await.unwrap_err().kind(),
        FailureKind::Internal
    );
}

async fn an_update_counts_what_it_found(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'same')");
    let script = place.script(&["UPDATE item SET name = 'same' WHERE id = 1"]);
    assert_eq!(
        place.driver().run(&script, &[]).await.unwrap().affected,
        [1]
    );
}

async fn one_of_many_wins(place: Place) {
    let drivers = [place.driver(), place.driver()];
    let single = place.script(&["UPDATE item SET id = ?2, name = ?3 WHERE id = ?1"]);
    let double = place.script(&[
        "DELETE FROM item WHERE id = ?1",
        "INSERT INTO item VALUES (?2, ?3)",
    ]);
    for round in 0..10_i64 {
        for script in [&single, &double] {
            place.execute("DELETE FROM item; INSERT INTO item VALUES (0, 'parent')");
            let barrier = Arc::new(Barrier::new(64));
            let mut racers = JoinSet::new();
            for racer in 1..=64_i64 {
                let (driver, script) = (
                    Arc::clone(&drivers[usize::from(racer % 2 == 0)]),
                    script.clone(),
                );
                let barrier = Arc::clone(&barrier);
                racers.spawn(async move {
                    barrier.wait().await;
                    let params = [Value::Int(0), Value::Int(racer), Value::from("child")];
                    driver
                        .run(&script, &params)
                        .await
                        .map(|outcome| (racer, outcome.took_effect()))
                });
            }
            let results: Result<Vec<_>, Failure> = racers.join_all().await.into_iter().collect();
            let winners: Vec<i64> = results
                .unwrap()
                .into_iter()
                .filter(|(_, won)| *won)
                .map(|(racer, _)| racer)
                .collect();
            assert_eq!(
                place.items(),
                [format!("{}:child", winners[0])],
                "round {round}"
            );
            assert_eq!(winners.len(), 1, "round {round}");
        }
    }
}

async fn deadlocks_are_run_again(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'a'), (2, 'b')");
    let driver = place.driver();
    let forth = place.script(&[
        "UPDATE item SET name = 'x' WHERE id = 1",
        "UPDATE item SET name = 'x' WHERE id = 2",
    ]);
    let back = place.script(&[
        "UPDATE item SET name = 'y' WHERE id = 2",
        "UPDATE item SET name = 'y' WHERE id = 1",
    ]);
    let rounds = if place.dialect == Dialect::Postgres {
        4
    } else {
        200
    };
    let mut pairs = JoinSet::new();
    for script in [forth, back] {
        let driver = Arc::clone(&driver);
        pairs.spawn(async move {
            // PostgreSQL looks for deadlocks after a second, so a few must do.
            for _ in 0..rounds {
                driver.run(&script, &[]).await.unwrap();
            }
        });
    }
    pairs.join_all().await;
    assert!(
        [["1:x", "2:x"], ["1:y", "2:y"]]
            .iter()
            .any(|whole| place.items() == *whole),
        "{:?}",
        place.items()
    );
}

/// The connections that wait, for a lock or because they were told to sleep.
fn waiters(place: &Place) -> String {
    place.execute(match place.dialect {
        Dialect::Postgres => {
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
             AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')"
        }
        // InnoDB's own list of waiters stands still while it is asked often. Item 1 is locked: who works on it, waits.
        _ => {
            "SELECT id FROM information_schema.processlist WHERE db = database() AND command <> 'Sleep' \
             AND info LIKE '%item%id = 1%' AND id <> connection_id()"
        }
    })
}

/// A step that takes longer than any test, and touches item 1 then.
fn endless(place: &Place) -> &'static str {
    match place.dialect {
        Dialect::Postgres => {
            "UPDATE item SET name = 'touched' WHERE id = 1 AND pg_sleep(120) IS NOT NULL"
        }
        _ => "UPDATE item SET name = 'touched' WHERE id = 1 AND SLEEP(120) = 0",
    }
}

fn is_blocked(place: &Place) -> bool {
    !waiters(place).is_empty()
}

/// Holds the lock on item 1 until it is dropped.
async fn lock_item(place: &Place) -> Box<dyn std::any::Any + Send> {
    match place.dialect {
        Dialect::Postgres => {
            let (client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
                .batch_execute("BEGIN; SELECT * FROM item WHERE id = 1 FOR UPDATE")
                .await
                .unwrap();
            Box::new(client)
        }
        _ => {
            use mysql_async::prelude::Queryable;
            let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();
            connection.query_drop("BEGIN").await.unwrap();
            connection
                .query_drop("SELECT * FROM item WHERE id = 1 FOR UPDATE")
                .await
                .unwrap();
            Box::new(connection)
        }
    }
}

async fn a_dropped_script_leaves_nothing_behind(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'held'), (2, 'free')");
    let driver = place.driver();
    let script = place.script(&[
        "UPDATE item SET name = 'touched' WHERE id = 2",
        endless(&place),
    ]);
    let task = tokio::spawn({
        let (driver, script) = (Arc::clone(&driver), script.clone());
        async move { driver.run(&script, &[]).await }
    });
    // The first step is done, the second waits: now the caller goes away.
    eventually("the second step runs", || async { is_blocked(&place) }).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // If its transaction were still open, this would wait for the lock of item 2, and find it touched.
    let check = place.script(&["UPDATE item SET name = 'checked' WHERE id = 2 AND name = 'free'"]);
    assert!(driver.run(&check, &[]).await.unwrap().took_effect());
    assert_eq!(place.items(), ["1:held", "2:checked"]);
}

/// A write that renames item 1, started.
fn rename(driver: &Arc<dyn Driver>, place: &Place) -> JoinHandle<Result<Outcome, Failure>> {
    let (driver, write) = (
        Arc::clone(driver),
        place.script(&["UPDATE item SET name = 'new' WHERE id = 1"]),
    );
    tokio::spawn(async move { driver.run(&write, &[]).await })
}

async fn blocked_writes_hold_up_no_read(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'held')");
    let driver = place.driver();
    let lock = lock_item(&place).await;
    let writes: Vec<_> = (0..8).map(|_| rename(&driver, &place)).collect();
    let read = place.statement("SELECT name FROM item WHERE id = 1");
    for _ in 0..20 {
        assert_eq!(
            driver.fetch(&read, &[]).await.unwrap()[0].text(0).unwrap(),
            Some("held")
        );
    }
    assert!(
        writes.iter().all(|write| !write.is_finished()),
        "the reads overtook the writes"
    );
    drop(lock);
    for write in writes {
        assert!(write.await.unwrap().unwrap().took_effect());
    }
}

async fn a_write_that_waits_too_long_is_unavailable(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'held')");
    let driver = place.driver_with(&DatabaseOptions::default());
    let lock = lock_item(&place).await;
    let failure = rename(&driver, &place).await.unwrap().unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unavailable);
    drop(lock);
    eventually("the lock is gone", || async {
        rename(&driver, &place).await.unwrap().is_ok()
    })
    .await;
    assert_eq!(place.items(), ["1:new"]);
}

/// PostgreSQL may say of a wait for a lock that the statement was cancelled, as it does after `pg_cancel_backend`: the write is run
/// again.
async fn a_write_that_is_cancelled_is_run_again(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'old'), (2, 'slow')");
    let driver = place.driver();
    let (single, double) = (
        "UPDATE item SET name = name || '!' WHERE id = 1 \
         AND pg_sleep(CASE WHEN EXISTS (SELECT 1 FROM item WHERE id = 2) THEN 120 ELSE 0 END) IS NOT NULL",
        "INSERT INTO item VALUES (3, 'whole')",
    );
    for steps in [&[single][..], &[single, double]] {
        let (writer, script) = (Arc::clone(&driver), place.script(steps));
        let write = tokio::spawn(async move { writer.run(&script, &[]).await });
        eventually("the write is under way", || async { is_blocked(&place) }).await;
        place.execute("DELETE FROM item WHERE id = 2");
        place.execute(&format!("SELECT pg_cancel_backend({})", waiters(&place)));
        assert!(write.await.unwrap().unwrap().took_effect());
        place.execute("INSERT INTO item VALUES (2, 'slow')");
    }
    assert_eq!(place.items(), ["1:old!!", "2:slow", "3:whole"]);
}

mod postgres_alone {
    use countersign::store::sql::Dialect;

    use crate::drivers::place::Place;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_that_is_cancelled_is_run_again() {
        super::a_write_that_is_cancelled_is_run_again(Place::new(Dialect::Postgres)).await;
    }
}

/// Breaks the connection of the one who waits for a lock; whether somebody waits on another connection afterwards.
fn cut_waiter(place: &Place) -> impl Fn() -> bool + use<'_> {
    let waiter = waiters(place);
    place.execute(&match place.dialect {
        Dialect::Postgres => format!("SELECT pg_terminate_backend({waiter})"),
        _ => format!("KILL CONNECTION {waiter}"),
    });
    move || {
        let now = waiters(place);
        !now.is_empty() && now != waiter
    }
}

/// Nobody knows whether it took effect before the connection broke, so the caller must be told.
async fn a_write_whose_connection_breaks_is_not_repeated(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'held')");
    let driver = place.driver();
    let (writer, script) = (Arc::clone(&driver), place.script(&[endless(&place)]));
    let write = tokio::spawn(async move { writer.run(&script, &[]).await });
    eventually("the write is under way", || async { is_blocked(&place) }).await;
    let waits_anew = cut_waiter(&place);
    eventually("it has failed, or waits anew", || async {
        write.is_finished() || waits_anew()
    })
    .await;
    assert_eq!(
        write.await.unwrap().unwrap_err().kind(),
        FailureKind::Unavailable
    );
    assert_eq!(place.items(), ["1:held"]);
}

/// The commit wasn't sent yet, so nothing was done, and it is done on another connection.
async fn a_write_whose_connection_breaks_takes_effect_once(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'a')");
    // The second step is slow while this table is there. A row would be locked by the step.
    place.execute("CREATE TABLE slow (id int)");
    let driver = place.driver();
    let slow = match place.dialect {
        Dialect::Postgres => {
            "UPDATE item SET name = concat(name, '+') WHERE id = 1 \
             AND pg_sleep(CASE WHEN to_regclass('slow') IS NULL THEN 0 ELSE 120 END) IS NOT NULL"
        }
        _ => {
            "UPDATE item SET name = concat(name, '+') WHERE id = 1 \
             AND SLEEP(IF((SELECT count(*) FROM information_schema.tables \
             WHERE table_schema = database() AND table_name = 'slow') > 0, 120, 0)) = 0"
        }
    };
    let script = place.script(&[
        "UPDATE item SET name = concat(name, '!') WHERE id IN (1)",
        slow,
    ]);
    let writer = Arc::clone(&driver);
    let write = tokio::spawn(async move { writer.run(&script, &[]).await });
    eventually("the second step is under way", || async {
        is_blocked(&place)
    })
    .await;
    place.execute("DROP TABLE slow");
    let _ = cut_waiter(&place);
    assert!(write.await.unwrap().unwrap().took_effect());
    assert_eq!(place.items(), ["1:a!+"]);
}

async fn a_read_whose_connection_breaks_is_asked_again(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'held')");
    let driver = place.driver();
    let lock = lock_item(&place).await;
    let (reader, read) = (
        Arc::clone(&driver),
        place.statement("SELECT name FROM item WHERE id = 1 FOR UPDATE"),
    );
    let read = tokio::spawn(async move { reader.fetch(&read, &[]).await });
    eventually("the read waits for the lock", || async {
        is_blocked(&place)
    })
    .await;
    let waits_anew = cut_waiter(&place);
    eventually("the read waits on another connection", || async {
        waits_anew()
    })
    .await;
    drop(lock);
    assert_eq!(
        read.await.unwrap().unwrap()[0].text(0).unwrap(),
        Some("held")
    );
}

async fn many_callers_share_one_connection(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'there')");
    let driver = place.driver_with(&DatabaseOptions::default().with_connections(1));
    let mut callers = JoinSet::new();
    for _ in 0..500 {
        let (driver, read) = (
            Arc::clone(&driver),
            place.statement("SELECT name FROM item WHERE id = ?1"),
        );
        callers.spawn(async move { driver.fetch(&read, &[Value::Int(1)]).await });
    }
    for result in callers.join_all().await {
        match result {
            Ok(rows) => assert_eq!(rows[0].text(0).unwrap(), Some("there")),
            Err(failure) => assert_eq!(failure.kind(), FailureKind::Unavailable),
        }
    }
}
