//! How long others wait while large tables are adopted: `COUNTERSIGN_TEST_ADOPTED_ROWS=3000000` measures it at that size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testbed::Postgres;

use super::ground::{MIGRATIONS, Migrate, adopted_postgres, client};

/// What the original asks for a request, a login and a logout.
const READS: [&str; 3] = [
    "SELECT a.user_id, u.email FROM access_token a JOIN \"user\" u ON u.id = a.user_id \
     WHERE a.token = md5('7') || md5('access_token7')",
    "SELECT user_id FROM refresh_token WHERE token = md5('8') || md5('refresh_token8')",
    "SELECT id FROM \"user\" WHERE email = '5@example.org'",
];
const WRITES: [&str; 3] = [
    "INSERT INTO access_token (token, user_id) SELECT md5(random()::text) || '-', id FROM \"user\" LIMIT 1",
    "UPDATE refresh_token SET created_at = now() WHERE token = md5('9') || md5('refresh_token9')",
    "DELETE FROM access_token WHERE token = md5('x') || md5('y')",
];

/// Asks again and again until told to stop: how often, and the longest time that one took.
async fn ask(url: String, statements: [&'static str; 3], stop: Arc<AtomicBool>) -> (u64, Duration) {
    let client = client(&url).await;
    let (mut count, mut longest) = (0, Duration::ZERO);
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    while !stop.load(Ordering::Relaxed) {
        for statement in statements {
            let start = Instant::now();
            client.execute(statement, &[]).await.unwrap();
            longest = longest.max(start.elapsed());
            count += 1;
        }
        pace.tick().await;
    }
    (count, longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_others_work_while_large_tables_are_adopted() {
    let rows =
        std::env::var("COUNTERSIGN_TEST_ADOPTED_ROWS").map_or(20_000, |rows| rows.parse().unwrap());
    let (place, url) = adopted_postgres(rows);
    let stop = Arc::new(AtomicBool::new(false));
    let start = |statements| tokio::spawn(ask(url.clone(), statements, Arc::clone(&stop)));
    let others = [start(READS), start(READS), start(WRITES), start(WRITES)];
    let began = Instant::now();
    let migrate = Migrate::start(&place);
    let applied = tokio::task::spawn_blocking(move || migrate.applied())
        .await
        .unwrap();
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(applied.len(), MIGRATIONS);
    for (other, who) in others
        .into_iter()
        .zip(["reader", "reader", "writer", "writer"])
    {
        let (count, longest) = other.await.unwrap();
        println!(
            "{rows} rows each, adopted in {took:.1?}: a {who} asked {count} times, and waited {longest:.0?} at most"
        );
        assert!(count > 0);
    }
    // None of the original's rows is lost.
    assert_eq!(
        Postgres::execute(&url, "SELECT count(*) FROM refresh_token"),
        rows.to_string()
    );
    let theirs = "SELECT count(*) FROM access_token WHERE token NOT LIKE '%-'";
    assert_eq!(Postgres::execute(&url, theirs), rows.to_string());
}
