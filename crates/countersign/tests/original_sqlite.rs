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
use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Driver, Migrator, SqlStore, Statement, UserTable,
};
use countersign::store::{Row, Value};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::{
    Answer, Clock, Failure, PlainToken, Profile, RefreshableStrategy, Refusal, Rotation, Secret, Strategy, Timestamp,
    User, UserKeyKind, UserManager,
};
use tempfile::TempDir;
use uuid::Uuid;

/// What we do otherwise on purpose: the operation, the row, whether legacy rows are accepted (`None`: either), our
/// refusal, how many rows are left, and why.
type Difference = (&'static str, &'static str, Option<bool>, Refusal, i64, &'static str);

const DIFFERENCES: [Difference; 7] = [
    ("db_read", "format-garbage", None, Refusal::Expired, 1, "a row that holds no time is no reason to fail"),
    ("db_read", "format-empty", None, Refusal::Expired, 1, "as above"),
    ("db_rotate", "valid-inactive-user", None, Refusal::UserInactive, 1, "an inactive user's session isn't continued"),
    ("db_rotate", "expired", None, Refusal::Expired, 1, "an expired row leaves with the next cleanup, not by a read"),
    ("db_rotate", "exactly-max-age", None, Refusal::Expired, 1, "as above"),
    ("db_rotate", "legacy-expired", Some(true), Refusal::Expired, 1, "as above"),
    (
        "db_rotate",
        "digest-presented-as-token",
        Some(true),
        Refusal::Unknown,
        1,
        "a leaked table would be a set of keys",
    ),
];

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[derive(Debug)]
struct Account {
    id: Uuid,
    active: bool,
}

impl User for Account {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn is_active(&self) -> bool {
        self.active
    }
}

/// The original's table of users.
struct Users(Database);

#[async_trait]
impl UserManager<Account> for Users {
    async fn get(&self, id: &Uuid) -> Result<Option<Account>, Failure> {
        let find = Statement::new(self.0.dialect(), "SELECT is_active FROM \"user\" WHERE id = ?1");
        let rows = self.0.fetch(&find, &[Value::Uuid(*id)]).await?;
        Ok(rows.first().map(|row| Account { id: *id, active: row.bool(0).unwrap() }))
    }

    fn read_joined(&self, row: &Row) -> Option<Result<Account, Failure>> {
        Some(Ok(Account { id: row.uuid(0).unwrap().unwrap(), active: row.bool(1).unwrap() }))
    }
}

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
        rusqlite::Connection::open(&path).unwrap().execute_batch(&dump).unwrap();
        let url = format!("sqlite://{}", path.display());
        let database = Database::connect(&url, DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).run().await.unwrap();
        DatabaseTokenModels::bundled(UserKeyKind::Uuid).verify(&database).await.unwrap();
        Self { folder, database }
    }

    fn strategy(&self, secret: &str, case: &serde_json::Value) -> DatabaseTokenStrategy<SqlStore> {
        let users = UserTable { table: "user".into(), id: "id".into(), columns: vec!["id".into(), "is_active".into()] };
        let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid).join_users(users).unwrap();
        let now = Timestamp::from_micros((case["now"].as_f64().unwrap() * 1e6).round() as i64);
        DatabaseTokenStrategy::builder(SqlStore::new(self.database.driver(), models))
            .token_hash_secret(&Secret::new("token_hash_secret", secret).unwrap())
            .accept_legacy_plaintext_tokens(case["accept_legacy"].as_bool().unwrap_or(false))
            .profile(Profile::LitestarAuth)
            .clock(Arc::new(At(now)))
            .build()
            .unwrap()
    }

    fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("peer.sqlite3")).unwrap()
    }

    fn count(&self, table: &str, token: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}_token WHERE token = ?1");
        self.connection().query_row(&count, [token], |row| row.get(0)).unwrap()
    }
}

/// How the file says that a row is stored.
fn stored(vectors: &serde_json::Value, table: &str, case: &serde_json::Value) -> String {
    let rows = vectors["rows"][table].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == case["row"]);
    row.map_or_else(|| case["token"].as_str().unwrap().to_owned(), |row| row["stored"].as_str().unwrap().to_owned())
}

/// Checks one case; which difference it showed, if any.
async fn check(vectors: &serde_json::Value, secret: &str, case: &serde_json::Value) -> Option<usize> {
    let original = Original::load().await;
    let strategy = original.strategy(secret, case);
    let users = Users(original.database.clone());
    let token = PlainToken::new(case["token"].as_str().unwrap());
    let op = case["op"].as_str().unwrap();
    let (table, outcome) = match op {
        "db_read" => match strategy.read_token(Some(&token), &users).await.unwrap() {
            Answer::Accepted(accepted) => ("access", Ok((accepted.user.id, None))),
            Answer::Refused(refusal) => ("access", Err(refusal)),
            Answer::NotOffered => panic!("it was offered"),
        },
        "db_rotate" => match strategy.rotate_refresh_token(&token, &users).await.unwrap() {
            Rotation::Rotated { user, issued } => ("refresh", Ok((user.id, Some(issued.token.expose().len())))),
            Rotation::Refused(refusal) => ("refresh", Err(refusal)),
        },
        _ => panic!("unknown operation {op}"),
    };
    let left = original.count(table, &stored(vectors, table, case));
    let difference = DIFFERENCES.iter().position(|(difference, row, legacy, ..)| {
        op == *difference && case["row"] == *row && legacy.is_none_or(|legacy| case["accept_legacy"] == legacy)
    });
    if let Some(index) = difference {
        let (_, _, _, refusal, rows, why) = DIFFERENCES[index];
        assert_eq!((outcome, left), (Err(refusal), rows), "{case}: {why}");
        return difference;
    }
    let expected = case["expect"]["id"].as_str().map(|id| id.parse::<Uuid>().unwrap());
    assert_eq!(outcome.as_ref().ok().map(|(id, _)| *id), expected, "{case}: {outcome:?}");
    if let Ok((_, Some(length))) = outcome {
        assert_eq!(Some(length as u64), case["expect"]["new_token_length"].as_u64(), "{case}");
    }
    assert_eq!(case["row_left_after"].as_i64(), Some(left), "{case}");
    None
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
    assert_eq!(seen.len(), DIFFERENCES.len(), "every difference is one that still shows");
}

/// A sweep compares texts, which may be spelled otherwise than ours: no live row goes, whatever its spelling; what no
/// reader takes for a time goes.
#[tokio::test]
async fn cleaning_up_takes_no_live_row() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let original = Original::load().await;
    let case = serde_json::json!({ "now": all["reference_now"] });
    let strategy = original.strategy(all["hash_secret"].as_str().unwrap(), &case);
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
        if strategy.read_token(Some(&token), &users).await.unwrap().accepted().is_some() {
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
    let strategy = original.strategy(all["hash_secret"].as_str().unwrap(), &case);
    let users = Users(original.database.clone());
    let row = &all["sqlite"]["rows"]["access"][0];
    let (stored, user) = (row["stored"].as_str().unwrap(), row["user_id"].as_str().unwrap().parse::<Uuid>().unwrap());
    let connection = original.connection();
    connection.execute("DELETE FROM access_token", []).unwrap();
    let insert = "INSERT INTO access_token (token, created_at, user_id) VALUES (?1, '2026-01-15 11:59:00', ?2)";
    connection.execute(insert, (stored, user.as_bytes())).unwrap();
    let token = PlainToken::new(row["raw"].as_str().unwrap());
    let answer = strategy.read_token(Some(&token), &users).await.unwrap();
    assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(user));
}
