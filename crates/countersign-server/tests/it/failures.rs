//! Counts of failed logins, where servers count and sweep at once.

use std::net::IpAddr;
use std::time::Duration;

use countersign::Secret;
use countersign::clock::{Clock, SystemClock};
use countersign::store::sql::{Database, DatabaseOptions};
use countersign_server::accounts::Throttle;
use countersign_server::address::Source;
use countersign_server::config::RateLimit;
use testbed::Postgres;

use crate::harness::{Place, SECRET, shared};

/// Holds what it counted in a transaction until something is in the table `go`.
const COUNTS_AND_WAITS: &str = "BEGIN; UPDATE login_failure SET failures = 1, window_ends = 9000000000000000000; \
     DO $$ BEGIN LOOP EXIT WHEN EXISTS (SELECT 1 FROM go); PERFORM pg_sleep(0.01); END LOOP; END $$; COMMIT;";

/// Waits until the database answers so, or the task is over.
fn until(url: &str, question: &str, is_over: impl Fn() -> bool) {
    let holds = || is_over() || Postgres::execute(url, question).trim() == "t";
    tokio::task::block_in_place(|| testbed::wait_until(question, holds));
}

/// A window that has ended is swept while another server starts a new one in its row: the new count stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_leaves_a_window_that_begins_meanwhile_on_postgres() {
    let url = Postgres::shared().database();
    drop(Place::new(shared(&url)).start());
    let options = DatabaseOptions::default().with_timeout(Duration::from_secs(50));
    let database = Database::connect(&url, options).unwrap();
    let secret = Secret::new("token_hash_secret", SECRET).unwrap();
    let limit = RateLimit {
        most: 5,
        window: Duration::from_mins(1),
    };
    let throttle = Throttle::new(database.driver(), &secret, Some(limit)).unwrap();
    let now = SystemClock.now();
    let source = Source {
        address: IpAddr::from([192, 0, 2, 1]),
        is_shared: false,
    };
    let attempt = throttle.attempt("ada@example.org", source);
    throttle.failed(&attempt, now).await.unwrap();
    Postgres::execute(&url, "CREATE TABLE go (id int)");

    let counting = url.clone();
    let counter =
        tokio::task::spawn_blocking(move || Postgres::execute(&counting, COUNTS_AND_WAITS));
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
         AND query LIKE '%pg_sleep(0.01)%' AND pid <> pg_backend_pid() AND state = 'active'";
    until(&url, waits, || false);
    let sweep = tokio::spawn(async move {
        throttle
            .sweep(now.saturating_add(Duration::from_hours(1)), 100)
            .await
    });
    let blocked = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '%DELETE FROM login_failure%' AND pid <> pg_backend_pid()";
    until(&url, blocked, || sweep.is_finished());
    Postgres::execute(&url, "INSERT INTO go VALUES (1)");
    counter.await.unwrap();

    assert_eq!(sweep.await.unwrap().unwrap(), 0);
    assert_eq!(
        Postgres::execute(&url, "SELECT count(*) FROM login_failure").trim(),
        "3"
    );
}
