//! Rows that litestar-auth 1.1.1 wrote to SQLite, in every spelling of a time that it can read, read and rotated by us in
//! its profile: its answer, or a place in the table of deliberate differences, with the reason.

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeSet;

use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator};
use countersign::strategy::Strategy;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Refusal};
use tempfile::TempDir;
use uuid::Uuid;

use crate::fixture::original::{Difference, Users, file, judge, present, stored, strategy};

const DIFFERENCES: [Difference; 7] = [
    (
        "db_read",
        "format-garbage",
        None,
        Refusal::Expired,
        1,
        "a row that holds no time is no reason to fail",
    ),
    (
        "db_read",
        "format-empty",
        None,
        Refusal::Expired,
        1,
        "as above",
    ),
    (
        "db_rotate",
        "valid-inactive-user",
        None,
        Refusal::UserInactive,
        1,
        "an inactive user's session isn't continued",
    ),
    (
        "db_rotate",
        "expired",
        None,
        Refusal::Expired,
        1,
        "an expired row leaves with the next cleanup, not by a read",
    ),
    (
        "db_rotate",
        "exactly-max-age",
        None,
        Refusal::Expired,
        1,
        "as above",
    ),
    (
        "db_rotate",
        "legacy-expired",
        Some(true),
        Refusal::Expired,
        1,
        "as above",
    ),
    (
        "db_rotate",
        "digest-presented-as-token",
        Some(true),
        Refusal::Unknown,
        1,
        "a leaked table would be a set of keys",
    ),
];

/// The original's database file as it left it, with our columns added.
struct Original {
    folder: TempDir,
    database: Database,
}

impl Original {
    async fn load() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.sqlite3");
        // A dump names tables before it makes them.
        let dump = format!("PRAGMA foreign_keys = OFF; {}", file("peer.sqlite.sql"));
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(&dump)
            .unwrap();
        let url = format!("sqlite://{}", path.display());
        let database = Database::connect(&url, DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        DatabaseTokenModels::bundled(UserKeyKind::Uuid)
            .verify(&database)
            .await
            .unwrap();
        Self { folder, database }
    }

    fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("peer.sqlite3")).unwrap()
    }

    fn count(&self, table: &str, token: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}_token WHERE token = ?1");
        self.connection()
            .query_row(&count, [token], |row| row.get(0))
            .unwrap()
    }
}

/// Checks one case; which difference it showed, if any.
async fn check(
    vectors: &serde_json::Value,
    secret: &str,
    case: &serde_json::Value,
) -> Option<usize> {
    let original = Original::load().await;
    let (table, outcome) = present(&original.database, secret, case).await;
    let left = original.count(table, &stored(vectors, table, case));
    judge(&DIFFERENCES, case, &outcome, left)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_on_the_originals_rows() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let (vectors, secret) = (&all["sqlite"], all["hash_secret"].as_str().unwrap());
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 42);
    let mut seen = BTreeSet::new();
    for case in cases {
        seen.extend(check(vectors, secret, case).await);
    }
    assert_eq!(
        seen.len(),
        DIFFERENCES.len(),
        "every difference is one that still shows"
    );
}

/// A sweep compares texts, which may be spelled otherwise than ours: no live row goes, whatever its spelling; what no
/// reader takes for a time goes.
#[tokio::test]
async fn cleaning_up_takes_no_live_row() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let original = Original::load().await;
    let case = serde_json::json!({ "now": all["reference_now"] });
    let strategy = strategy(
        &original.database,
        all["hash_secret"].as_str().unwrap(),
        &case,
    );
    let users = Users(original.database.clone());
    original.connection().execute_batch(
        "UPDATE access_token SET created_at = '2026-01-15 08:50:00-03:00' WHERE created_at = '2026-01-15 14:50:00+03:00';
         INSERT INTO access_token (token, created_at, expires_at, user_id) SELECT v.*, (SELECT id FROM user LIMIT 1) FROM (
         VALUES ('g1', 'yesterday', NULL), ('g2', x'00', NULL), ('g3', '', NULL), ('g4', '15/01/2026 11:50', NULL),
         ('g5', '2026-01-01 some-time', NULL), ('g6', '2026-01-15 11:50:00', 'tomorrow'),
         ('g7', '31/12/2026 11:50', NULL), ('live1', 1768478400000000, NULL), ('live2', '20260115T115000Z', NULL),
         ('live3', '2026-01-15 08:50:00-0300', NULL)) v;",
    ).unwrap();
    let rows = all["sqlite"]["rows"]["access"].as_array().unwrap();
    let mut live = vec!["live1", "live2", "live3"];
    for row in rows {
        let token = PlainToken::new(row["raw"].as_str().unwrap());
        if strategy
            .read_token(Some(&token), &users)
            .await
            .unwrap()
            .accepted()
            .is_some()
        {
            live.push(row["stored"].as_str().unwrap());
        }
    }
    assert!(live.len() >= 10, "only {} rows are live", live.len());
    let removed = strategy.cleanup_expired(1, &mut |_| ()).await.unwrap();
    assert!(removed > 0);
    for stored in live {
        assert_eq!(original.count("access", stored), 1, "{stored} is gone");
    }
    for garbage in ["g1", "g2", "g3", "g4", "g5", "g6", "g7"] {
        assert_eq!(original.count("access", garbage), 0, "{garbage} is left");
    }
}

/// The original's own statements go on working on the migrated tables, and we read what they write.
#[tokio::test]
async fn the_original_can_go_on_writing() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let original = Original::load().await;
    let case = serde_json::json!({ "now": all["reference_now"] });
    let strategy = strategy(
        &original.database,
        all["hash_secret"].as_str().unwrap(),
        &case,
    );
    let users = Users(original.database.clone());
    let row = &all["sqlite"]["rows"]["access"][0];
    let (stored, user) = (
        row["stored"].as_str().unwrap(),
        row["user_id"].as_str().unwrap().parse::<Uuid>().unwrap(),
    );
    let connection = original.connection();
    connection.execute("DELETE FROM access_token", []).unwrap();
    let insert = "INSERT INTO access_token (token, created_at, user_id) VALUES (?1, '2026-01-15 11:59:00', ?2)";
    connection
        .execute(insert, (stored, user.as_bytes()))
        .unwrap();
    let token = PlainToken::new(row["raw"].as_str().unwrap());
    let answer = strategy.read_token(Some(&token), &users).await.unwrap();
    assert_eq!(
        answer.accepted().map(|accepted| accepted.user.id),
        Some(user)
    );
}
