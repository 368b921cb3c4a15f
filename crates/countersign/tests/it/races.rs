//! Promises P1 and P2 on each database: the many that present one refresh token at once get one successor, all the same.

#![cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;

use countersign::store::sql::{DatabaseTokenModels, Driver, Migrator, Statement};
use countersign::strategy::{RefreshableStrategy, Strategy, TokenControl};
use countersign::token::Invalidated;
use countersign::user::UserKeyKind;
use countersign::{AuthError, PlainToken};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fixture::databases::{Kind, Place, strategy};
use crate::fixture::users::{Account, users};

const ROUNDS: usize = 100;
const RACERS: usize = 64;

/// What each racer came back with: the successor, or why there was none.
type Outcome = Result<PlainToken, AuthError>;

async fn race(place: &Place, refresh: &PlainToken, with_access: bool) -> Vec<Outcome> {
    // Two handles stand for two processes.
    let strategies = [strategy(&place.database()), strategy(&place.database())];
    let barrier = Arc::new(Barrier::new(RACERS));
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (strategy, barrier, refresh) = (
            strategies[racer % 2].clone(),
            Arc::clone(&barrier),
            refresh.clone(),
        );
        racers.spawn(async move {
            barrier.wait().await;
            Ok(if with_access {
                let refreshed = strategy.refresh_session(&refresh, &users).await?;
                refreshed.issued.refresh.expect("a refresh token").token
            } else {
                strategy
                    .rotate_refresh_token(&refresh, &users)
                    .await?
                    .issued
                    .token
            })
        });
    }
    racers.join_all().await
}

async fn one_successor(kind: Kind) {
    let place = Place::new(kind);
    let database = place.migrated().await;
    let strategy = strategy(&database);
    for round in 0..ROUNDS {
        let account = Account::new(round as u128);
        let pair = strategy.open_session(&account).await.unwrap();
        let refresh = pair.refresh.expect("a refresh token").token;
        let outcomes = race(&place, &refresh, round % 2 == 0).await;
        let winners: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| outcome.expect("every racer is answered"))
            .collect();
        assert_eq!(winners.len(), RACERS, "round {round} on {kind:?}");
        assert!(
            winners.iter().all(|winner| *winner == winners[0]),
            "round {round} on {kind:?}: two successors"
        );

        // The session goes on from the one successor, and from nothing else.
        let again = strategy.rotate_refresh_token(&refresh, &users).await;
        let again =
            again.unwrap_or_else(|error| panic!("round {round} on {kind:?}: a retry: {error}"));
        assert!(
            again.issued.token == winners[0],
            "round {round} on {kind:?}"
        );
        let next = strategy.rotate_refresh_token(&winners[0], &users).await;
        assert!(next.is_ok(), "round {round} on {kind:?}");
        assert!(
            strategy
                .read_token(Some(&pair.access.token), &users)
                .await
                .unwrap()
                .accepted()
                .is_some()
        );
        let count = async |table: &str| {
            let count = format!("SELECT count(*) FROM {table}");
            database
                .fetch(&Statement::new(database.dialect(), &count), &[])
                .await
                .unwrap()[0]
                .int(0)
                .unwrap()
                .unwrap()
        };
        let tokens = (count("access_token").await, count("refresh_token").await);
        let access = if round % 2 == 0 { 2 } else { 1 };
        assert_eq!(tokens, (access, 1), "no losing racer left a token behind");
        assert_eq!(
            strategy.invalidate_all(&account.key()).await.unwrap(),
            Invalidated::All(1)
        );
        assert_eq!(
            (count("access_token").await, count("refresh_token").await),
            (0, 0),
            "round {round} on {kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    one_successor(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    one_successor(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    one_successor(Kind::MariaDb).await;
}

/// Several processes start at once on an empty database: each finds the schema complete, and each migration was applied
/// by one of them.
async fn migrations_at_once(kind: Kind) {
    for _ in 0..5 {
        let place = Place::new(kind);
        let mut starters = JoinSet::new();
        let barrier = Arc::new(Barrier::new(8));
        for _ in 0..8 {
            let (database, barrier) = (place.database(), Arc::clone(&barrier));
            starters.spawn(async move {
                barrier.wait().await;
                let applied = Migrator::new(&database, UserKeyKind::Uuid)
                    .run()
                    .await
                    .unwrap();
                DatabaseTokenModels::bundled(UserKeyKind::Uuid)
                    .verify(&database)
                    .await
                    .unwrap();
                applied.len()
            });
        }
        let applied: usize = starters.join_all().await.into_iter().sum();
        assert_eq!(applied, 5, "of each migration one says that it was the one");
        let database = place.database();
        let count = Statement::new(
            database.dialect(),
            "SELECT count(*) FROM countersign_migration",
        );
        assert_eq!(
            database.fetch(&count, &[]).await.unwrap()[0]
                .int(0)
                .unwrap(),
            Some(5),
            "each is recorded once"
        );
        let left = Migrator::new(&database, UserKeyKind::Uuid)
            .pending()
            .await
            .unwrap();
        assert!(left.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_on_sqlite() {
    migrations_at_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_on_postgres() {
    migrations_at_once(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_on_mariadb() {
    migrations_at_once(Kind::MariaDb).await;
}
