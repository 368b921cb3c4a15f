//! Rows that litestar-auth 1.1.1 wrote to PostgreSQL, read and rotated by us in its profile: its answer, or a place in the
//! table of deliberate differences, with the reason.

#![cfg(feature = "postgres")]
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
use std::time::Duration;

use countersign::store::sql::{Database, DatabaseOptions, Migrator};
use countersign::strategy::Strategy;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Refusal};
use testbed::Postgres;
use uuid::Uuid;

use crate::fixture::original::{Difference, Users, file, judge, present, stored, strategy};
use crate::fixture::users::Account;

const DIFFERENCES: [Difference; 5] = [
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

/// The original's database as it left it, with our columns added.
struct Original {
    url: String,
    database: Database,
}

impl Original {
    async fn load() -> Self {
        let url = Postgres::shared().database();
        Postgres::execute(
            &url,
            &(file("peer.pg.schema.sql") + &file("peer.pg.data.sql")),
        );
        let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
        let database = Database::connect(&url, options).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        Self { url, database }
    }

    fn tokens(&self, table: &str) -> Vec<String> {
        let rows = Postgres::execute(
            &self.url,
            &format!("SELECT token FROM {table} ORDER BY token COLLATE \"C\""),
        );
        rows.lines().map(str::to_owned).collect()
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
    let stored = stored(vectors, table, case);
    let left = original
        .tokens(&format!("{table}_token"))
        .iter()
        .filter(|token| **token == stored)
        .count();
    let left = i64::try_from(left).unwrap();
    judge(&DIFFERENCES, case, &outcome, left)
}

async fn clean_up(secret: &str, case: &serde_json::Value) {
    for batch in [1, 1000] {
        let original = Original::load().await;
        let deleted = strategy(&original.database, secret, case)
            .cleanup_expired(batch, &mut |_| ())
            .await
            .unwrap();
        assert_eq!(case["expect"]["deleted"].as_u64(), Some(deleted), "{case}");
        for table in ["access_token", "refresh_token"] {
            let mut expected: Vec<_> = case["left"][table]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t.as_str().unwrap())
                .collect();
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
    assert_eq!(
        seen.len(),
        DIFFERENCES.len(),
        "every difference is one that still shows"
    );
}

/// The original goes on writing to the same tables: its statement names its three columns, and we read what it wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
    let row = &all["postgres"]["rows"]["access"][0];
    let (stored, raw, user) = (
        row["stored"].as_str().unwrap(),
        row["raw"].as_str().unwrap(),
        row["user_id"].as_str().unwrap(),
    );
    Postgres::execute(&original.url, "DELETE FROM access_token");
    let insert = format!(
        "INSERT INTO access_token (token, created_at, user_id) VALUES ('{stored}', '2026-01-15 11:59:00+00', '{user}')"
    );
    Postgres::execute(&original.url, &insert);
    let answer = strategy
        .read_token(Some(&PlainToken::new(raw)), &users)
        .await
        .unwrap();
    assert_eq!(
        answer
            .accepted()
            .map(|accepted| accepted.user.id.to_string()),
        Some(user.to_owned())
    );

    // And what we write, it can read: the digest, the moment, the user.
    let account = Account::of(user.parse::<Uuid>().unwrap());
    strategy.write_token(&account).await.unwrap();
    let ours = format!(
        "SELECT user_id, created_at = to_timestamp({}), expires_at IS NULL, length(token) FROM access_token WHERE token <> '{stored}'",
        all["reference_now"]
    );
    assert_eq!(
        Postgres::execute(&original.url, &ours),
        format!("{user}|t|t|64")
    );
}
