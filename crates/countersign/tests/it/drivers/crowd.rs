//! A user of whom many rows are left: of sessions that have ended, and that nobody has removed yet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Dialect, Migrator, SqlStore,
};
use countersign::store::{Page, SweepLimit, TokenStore};
use countersign::user::UserKeyKind;
use countersign::{SessionId, Timestamp, UserKey};

use crate::drivers::place::{Place, on_both};

/// More than one page looks at.
const ENDED: u32 = 30_000;

/// A session behind no fence, after all others in the order of the list.
const LIVE: &str = "ffffffff-0000-4000-8000-000000000000";

/// The rows, as each database counts.
fn numbers(dialect: Dialect) -> (String, &'static str) {
    match dialect {
        Dialect::Sqlite => (
            format!(
                "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ENDED}) SELECT n FROM c)"
            ),
            "printf('%08x', n)",
        ),
        Dialect::Postgres => (
            format!("generate_series(1, {ENDED})"),
            "lpad(to_hex(n), 8, '0')",
        ),
        Dialect::Mysql => (
            format!("(SELECT seq AS n FROM seq_1_to_{ENDED})"),
            "LPAD(LOWER(HEX(n)), 8, '0')",
        ),
    }
}

async fn database(url: &str) -> SqlStore {
    let database = Database::connect(url, DatabaseOptions::default()).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    )
}

fn fill(dialect: Dialect) -> [String; 3] {
    let (rows, prefix) = numbers(dialect);
    let tail = "'-0000-4000-8000-000000000000'";
    let id = if dialect == Dialect::Mysql {
        format!("CONCAT({prefix}, {tail})")
    } else {
        format!("{prefix} || {tail}")
    };
    [
        "INSERT INTO ended_fence (fence, user_id, ended_at, settled_at) VALUES ('f', 1, 1, 1)"
            .to_owned(),
        format!(
            "INSERT INTO refresh_token (token, user_id, session_id, fence) SELECT {id}, 1, {id}, 'f' FROM {rows} AS numbers{}",
            if dialect == Dialect::Postgres {
                "(n)"
            } else {
                ""
            }
        ),
        format!(
            "INSERT INTO refresh_token (token, user_id, session_id) VALUES ('live', 1, '{LIVE}')"
        ),
    ]
}

/// A page goes on beyond rows that have ended, and looks at no more of them than it can in a short time.
async fn pages_go_on(store: &SqlStore) {
    let (user, live): (_, SessionId) = (UserKey::Int(1), LIVE.parse().unwrap());
    let mut page = Page {
        after: None,
        limit: 10,
    };
    let first = store.sessions(&user, &page).await.unwrap();
    assert_eq!(first.sessions, []);
    assert!(first.next.is_some(), "one page looked at all of them");

    let mut seen = Vec::new();
    page.after = first.next;
    while page.after.is_some() {
        let next = store.sessions(&user, &page).await.unwrap();
        seen.extend(next.sessions.into_iter().map(|found| found.id));
        page.after = next.next;
    }
    assert_eq!(seen, [live]);

    let unfenced = store
        .unfenced_sessions(
            &user,
            &Page {
                after: None,
                limit: 10,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        unfenced
            .sessions
            .iter()
            .map(|found| found.id)
            .collect::<Vec<_>>(),
        [live]
    );
    assert_eq!(unfenced.next, None);
}

async fn what_has_ended_is_passed_over_piece_by_piece(place: Place) {
    let store = database(&place.url).await;
    for statement in fill(place.dialect) {
        place.execute(&statement);
    }
    pages_go_on(&store).await;
}

on_both!(what_has_ended_is_passed_over_piece_by_piece);

/// A store in a file of that directory, with the crowd.
async fn on_sqlite(directory: &Path) -> SqlStore {
    let path = directory.join("tokens.db");
    let store = database(&format!("sqlite://{}", path.display())).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    for statement in fill(Dialect::Sqlite) {
        connection.execute(&statement, ()).unwrap();
    }
    store
}

#[tokio::test]
async fn on_sqlite_what_has_ended_is_passed_over_piece_by_piece() {
    let directory = tempfile::tempdir().unwrap();
    pages_go_on(&on_sqlite(directory.path()).await).await;
}

/// Reads of SQLite run on the thread of their caller: a walk of many lets the other tasks of that thread go on in between.
#[tokio::test]
async fn on_sqlite_others_go_on_beside_a_walk() {
    let directory = tempfile::tempdir().unwrap();
    let store = on_sqlite(directory.path()).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    });
    let long_ago = Timestamp::from_micros(0);
    let limit = SweepLimit::at(long_ago, 1);
    store.survey(&UserKey::Int(1), &limit).await.unwrap();
    assert!(
        turns.load(Ordering::SeqCst) > 3,
        "the walk kept the thread to itself"
    );
    other.abort();
}

/// MariaDB has no index of some rows alone: without one that names the fence, an ending looks at all rows of the user.
#[tokio::test]
async fn mariadb_finds_rows_by_their_fence() {
    let place = Place::new(Dialect::Mysql);
    drop(database(&place.url).await);
    for statement in fill(Dialect::Mysql) {
        place.execute(&statement);
    }
    place.execute("ANALYZE TABLE refresh_token");
    for condition in ["fence IS NULL", "fence = 'other'"] {
        let plan = place.execute(&format!(
            "EXPLAIN DELETE FROM refresh_token WHERE user_id = 1 AND {condition} AND COALESCE(session_id, '') <> '-' LIMIT 100"
        ));
        assert!(
            plan.contains("ix_refresh_token_fence"),
            "{condition}: {plan}"
        );
    }
}
