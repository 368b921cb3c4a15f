//! Rows that litestar-auth 1.1.1 wrote to PostgreSQL, read and rotated by us in its profile: its answer, or a place in the
//! table of deliberate differences, with the reason.

#![cfg(feature = "postgres")]
#![allow(
    clippy::cast_possible_wrap,
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
use testbed::Postgres;
use uuid::Uuid;

/// What we do otherwise on purpose: the operation, the row, whether legacy rows are accepted (`None`: either), our
/// refusal, how many rows are left, and why.
type Difference = (&'static str, &'static str, Option<bool>, Refusal, i64, &'static str);

const DIFFERENCES: [Difference; 5] = [
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

/// The original's database as it left it, with our columns added.
struct Original {
    url: String,
    database: Database,
}

impl Original {
    async fn load() -> Self {
        let url = Postgres::shared().database();
        Postgres::execute(&url, &(file("peer.pg.schema.sql") + &file("peer.pg.data.sql")));
        let database = Database::connect(&url, DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).run().await.unwrap();
        Self { url, database }
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

    fn tokens(&self, table: &str) -> Vec<String> {
        let rows = Postgres::execute(&self.url, &format!("SELECT token FROM {table} ORDER BY token COLLATE \"C\""));
        rows.lines().map(str::to_owned).collect()
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
    let (table, outcome) = if op == "db_read" {
        let outcome = match strategy.read_token(Some(&token), &users).await.unwrap() {
            Answer::Accepted(accepted) => Ok((accepted.user.id, None)),
            Answer::Refused(refusal) => Err(refusal),
            Answer::NotOffered => panic!("it was offered"),
        };
        ("access", outcome)
    } else {
        (
            "refresh",
            match strategy.rotate_refresh_token(&token, &users).await.unwrap() {
                Rotation::Rotated { user, issued } => Ok((user.id, Some(issued.token.expose().len()))),
                Rotation::Refused(refusal) => Err(refusal),
            },
        )
    };
    let stored = stored(vectors, table, case);
    let left = original.tokens(&format!("{table}_token")).iter().filter(|token| **token == stored).count();
    let left = i64::try_from(left).unwrap();
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

async fn clean_up(secret: &str, case: &serde_json::Value) {
    for batch in [1, 1000] {
        let original = Original::load().await;
        let deleted = original.strategy(secret, case).cleanup_expired(batch, &mut |_| ()).await.unwrap();
        assert_eq!(case["expect"]["deleted"].as_u64(), Some(deleted), "{case}");
        for table in ["access_token", "refresh_token"] {
            let mut expected: Vec<_> =
                case["left"][table].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            expected.sort_unstable();
            assert_eq!(original.tokens(table), expected, "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_on_the_originals_rows() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let (vectors, secret) = (&all["postgres"], all["hash_secret"].as_str().unwrap());
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 30);
    let mut seen = BTreeSet::new();
    for case in cases {
        match case["op"].as_str().unwrap() {
            "db_cleanup" => clean_up(secret, case).await,
            _ => seen.extend(check(vectors, secret, case).await),
        }
    }
    assert_eq!(seen.len(), DIFFERENCES.len(), "every difference is one that still shows");
}

/// The original goes on writing to the same tables: its statement names its three columns, and we read what it wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_can_go_on_writing() {
    let all: serde_json::Value = serde_json::from_str(&file("vectors.json")).unwrap();
    let original = Original::load().await;
    let case = serde_json::json!({ "now": all["reference_now"] });
    let strategy = original.strategy(all["hash_secret"].as_str().unwrap(), &case);
    let users = Users(original.database.clone());
    let row = &all["postgres"]["rows"]["access"][0];
    let (stored, raw, user) =
        (row["stored"].as_str().unwrap(), row["raw"].as_str().unwrap(), row["user_id"].as_str().unwrap());
    Postgres::execute(&original.url, "DELETE FROM access_token");
    let insert = format!(
        "INSERT INTO access_token (token, created_at, user_id) VALUES ('{stored}', '2026-01-15 11:59:00+00', '{user}')"
    );
    Postgres::execute(&original.url, &insert);
    let answer = strategy.read_token(Some(&PlainToken::new(raw)), &users).await.unwrap();
    assert_eq!(answer.accepted().map(|accepted| accepted.user.id.to_string()), Some(user.to_owned()));

    // And what we write, it can read: the digest, the moment, the user.
    let account = Account { id: user.parse().unwrap(), active: true };
    strategy.write_token(&account).await.unwrap();
    let ours = format!(
        "SELECT user_id, created_at = to_timestamp({}), expires_at IS NULL, length(token) FROM access_token WHERE token <> '{stored}'",
        all["reference_now"]
    );
    assert_eq!(Postgres::execute(&original.url, &ours), format!("{user}|t|t|64"));
}
