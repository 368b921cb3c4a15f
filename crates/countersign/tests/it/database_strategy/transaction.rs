//! On SQLite alone: the caller's transaction, and times as the original's writers spell them. PostgreSQL and MariaDB
//! join transactions in tests/it/with_session.rs; every other spelling of a time is in tests/it/original_sqlite.rs.

use std::sync::Arc;

use countersign::store::sql::{DatabaseTokenModels, SqlStore, SqliteTransaction};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::testing::ManualClock;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Profile, Refusal};
use rusqlite::Connection;
use uuid::Uuid;

use crate::database_strategy::ground::{ACCESS, SECRET, TICK, digest, refresh_of, secret};
use crate::fixture::databases::{Kind, Place};
use crate::fixture::users::{Account, users};

struct Shop {
    place: Place,
    tokens: DatabaseTokenStrategy<SqlStore>,
    clock: Arc<ManualClock>,
}

impl Shop {
    async fn open() -> Self {
        let place = Place::new(Kind::Sqlite);
        let database = place.migrated().await;
        let clock = Arc::<ManualClock>::default();
        let store = SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        );
        let tokens = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(&secret(SECRET))
            .max_age(ACCESS)
            .profile(Profile::LitestarAuth)
            .accept_legacy_plaintext_tokens(true)
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            place,
            tokens,
            clock,
        }
    }

    fn connection(&self) -> Connection {
        Connection::open(self.place.url.strip_prefix("sqlite://").unwrap()).unwrap()
    }

    async fn is_good(&self, token: &PlainToken) -> bool {
        let answer = self.tokens.read_token(Some(token), &users).await.unwrap();
        answer
            .accepted()
            .is_some_and(|accepted| accepted.user == Account::new(7))
    }
}

/// Conformance cases 026 and 027; and nothing of the caller's is committed or lost by us.
#[tokio::test]
async fn tokens_live_and_die_with_the_callers_transaction() {
    let shop = Shop::open().await;
    let mut connection = shop.connection();
    connection
        .execute("CREATE TABLE audit (line TEXT)", [])
        .unwrap();
    let standing = shop.tokens.open_session(&Account::new(7)).await.unwrap();
    for commit in [false, true] {
        let transaction = SqliteTransaction::begin(&mut connection).unwrap();
        transaction
            .with(|own| own.execute("INSERT INTO audit VALUES ('login')", []))
            .unwrap();
        let inside = shop.tokens.with_session(&transaction);
        let pair = inside.open_session(&Account::new(7)).await.unwrap();
        inside
            .destroy_token(&standing.access.token, &Account::new(7))
            .await
            .unwrap();
        let seen = inside
            .read_token(Some(&pair.access.token), &users)
            .await
            .unwrap();
        assert!(
            seen.accepted().is_some(),
            "the transaction sees its own work"
        );
        assert!(
            !shop.is_good(&pair.access.token).await,
            "case 027: nobody else does"
        );
        assert!(shop.is_good(&standing.access.token).await);
        if commit {
            transaction.commit()
        } else {
            transaction.rollback()
        }
        .unwrap();
        assert_eq!(shop.is_good(&pair.access.token).await, commit, "case 026");
        assert_eq!(shop.is_good(&standing.access.token).await, !commit);
        let rotated = shop
            .tokens
            .rotate_refresh_token(refresh_of(&pair), &users)
            .await;
        let rotated = rotated
            .map(|rotated| rotated.user)
            .map_err(crate::database_strategy::ground::refusal);
        assert_eq!(
            rotated,
            if commit {
                Ok(Account::new(7))
            } else {
                Err(Refusal::Unknown)
            }
        );
    }
    let lines: i64 = connection
        .query_row("SELECT count(*) FROM audit", [], |row| row.get(0))
        .unwrap();
    assert_eq!(lines, 1, "the caller's own work went the caller's way");
}

/// Case 068 goes on: joining a transaction is no second warning.
#[tokio::test]
async fn joining_a_transaction_warns_of_nothing() {
    crate::fixture::log::listen();
    let shop = Shop::open().await;
    let warnings = || {
        crate::fixture::log::of_this_thread()
            .iter()
            .filter(|line| line.contains("WARN"))
            .count()
    };
    assert_eq!(warnings(), 1);
    let mut connection = shop.connection();
    let transaction = SqliteTransaction::begin(&mut connection).unwrap();
    for _ in 0..3 {
        shop.tokens
            .with_session(&transaction)
            .write_token(&Account::new(7))
            .await
            .unwrap();
    }
    assert_eq!(warnings(), 1);
}

/// Conformance case 019: noon in UTC is 14:00 two hours east of it.
#[tokio::test]
async fn a_time_with_an_offset_is_brought_to_utc() {
    let shop = Shop::open().await;
    let token = PlainToken::new("access-of-the-original");
    let insert = "INSERT INTO access_token (token, created_at, user_id) VALUES (?1, '2026-01-15 14:00:00+02:00', ?2)";
    shop.connection()
        .execute(
            insert,
            (digest(&token).as_str(), Uuid::from_u128(7).as_bytes()),
        )
        .unwrap();
    assert!(shop.is_good(&token).await);
    shop.clock.advance(ACCESS - TICK);
    assert!(shop.is_good(&token).await);
    shop.clock.advance(TICK);
    assert!(!shop.is_good(&token).await);
}
