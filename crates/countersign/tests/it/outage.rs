//! The database goes away and comes back (SECURITY rows F-03, F-12, F-14, F-15, F-17; promises P6 and P11).

#![cfg(all(
    feature = "postgres",
    feature = "mysql",
    feature = "sqlx-postgres",
    feature = "sqlx-mysql"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::error::FailureKind;
use countersign::store::sql::{Database, DatabaseOptions, Migrator, SqlStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::user::UserKeyKind;
use countersign::{AuthError, PlainToken};
use testbed::{MariaDb, Postgres};
use tokio::task::JoinSet;

use crate::fixture::databases::{by_sqlx, strategy};
use crate::fixture::eventually;
use crate::fixture::users::{Account, users};

/// What can happen to a server.
trait Server: Send + Sync {
    fn create(&self) -> String;
    fn kill(&self);
    fn stop(&self);
    fn start(&self);
    fn freeze(&self);
    fn thaw(&self);
}

macro_rules! server {
    ($server:ty) => {
        impl Server for $server {
            fn create(&self) -> String {
                self.database()
            }
            fn kill(&self) {
                Self::kill(self);
            }
            fn stop(&self) {
                Self::stop(self);
            }
            fn start(&self) {
                Self::start(self);
            }
            fn freeze(&self) {
                Self::freeze(self);
            }
            fn thaw(&self) {
                Self::thaw(self);
            }
        }
    };
}

server!(Postgres);
server!(MariaDb);

/// Two strategies on a database of `server`: one with the default timeout, and one that a busy machine keeps from nothing.
async fn set_up(server: &dyn Server, open: Open) -> [DatabaseTokenStrategy<SqlStore>; 2] {
    both(&server.create(), DatabaseOptions::default(), open).await
}

/// How a handle on a database is made.
type Open = fn(&str, &DatabaseOptions) -> Database;

fn by_itself(url: &str, options: &DatabaseOptions) -> Database {
    Database::connect(url, options.clone()).unwrap()
}

async fn both(
    url: &str,
    options: DatabaseOptions,
    open: Open,
) -> [DatabaseTokenStrategy<SqlStore>; 2] {
    let patient = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
    let databases = [options, patient].map(|options| open(url, &options));
    Migrator::new(&databases[1], UserKeyKind::Uuid)
        .run()
        .await
        .unwrap();
    databases.each_ref().map(strategy)
}

fn unavailable<T>(result: Result<T, impl Into<AuthError>>) -> bool {
    let error = result.map_err(Into::into).err();
    matches!(error, Some(AuthError::Failed(failure)) if failure.kind() == FailureKind::Unavailable)
}

async fn is_good(strategy: &DatabaseTokenStrategy<SqlStore>, token: &PlainToken) -> bool {
    let answer: Result<countersign::token::TokenStatus<Account>, _> =
        strategy.read_token(Some(token), &users).await;
    answer.is_ok_and(|answer| answer.accepted().is_some())
}

type Step = fn(&dyn Server);

/// While it is away every question stays open, and afterwards the same strategy answers, with every token still good.
async fn away_and_back(server: &dyn Server, open: Open) {
    let [strategy, patient] = set_up(server, open).await;
    let account = Account::new(1);
    let pair = patient.open_session(&account).await.unwrap();
    let refresh = pair.refresh.expect("a refresh token").token;
    eventually("the database answers at first", || {
        is_good(&strategy, &pair.access.token)
    })
    .await;
    let outages: [(Step, Step); 3] = [
        (|server| server.kill(), |server| server.start()),
        (|server| server.stop(), |server| server.start()),
        (|server| server.freeze(), |server| server.thaw()),
    ];
    for (leave, come_back) in outages {
        leave(server);
        let read: Result<countersign::token::TokenStatus<Account>, _> =
            strategy.read_token(Some(&pair.access.token), &users).await;
        assert!(unavailable(read));
        assert!(unavailable(strategy.write_token(&account).await));
        assert!(unavailable(
            strategy.rotate_refresh_token(&refresh, &users).await
        ));
        assert!(unavailable(strategy.open_session(&account).await));
        assert!(unavailable(
            strategy.destroy_token(&pair.access.token, &account).await
        ));
        come_back(server);
        eventually("the database answers again", || {
            is_good(&strategy, &pair.access.token)
        })
        .await;
        eventually("writes are taken again", || async {
            strategy.write_token(&account).await.is_ok()
        })
        .await;
    }
    let rotated = patient.rotate_refresh_token(&refresh, &users).await;
    assert!(rotated.is_ok(), "the refresh token survived it all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_away_and_back() {
    away_and_back(&Postgres::dedicated(), by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_away_and_back() {
    away_and_back(&MariaDb::dedicated(), by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_with_postgres_away_and_back() {
    away_and_back(&Postgres::dedicated(), by_sqlx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_with_mariadb_away_and_back() {
    away_and_back(&MariaDb::dedicated(), by_sqlx).await;
}

/// SIGKILL in the middle of logins and rotations: what was acknowledged is good, what was consumed stays consumed, with
/// the successor that it had.
async fn killed_under_load(server: &dyn Server, open: Open) {
    let [strategy, patient] = set_up(server, open).await;
    let kept: Arc<Mutex<Vec<PlainToken>>> = Arc::default();
    let consumed: Arc<Mutex<Vec<(PlainToken, PlainToken)>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let (strategy, kept, consumed, stop) = (
            strategy.clone(),
            Arc::clone(&kept),
            Arc::clone(&consumed),
            Arc::clone(&stop),
        );
        clients.spawn(async move {
            let account = Account::new(client);
            while !stop.load(Ordering::Relaxed) {
                let Ok(pair) = strategy.open_session(&account).await else {
                    continue;
                };
                kept.lock().unwrap().push(pair.access.token);
                let refresh = pair.refresh.expect("a refresh token").token;
                let issued = match strategy.refresh_session(&refresh, &users).await {
                    Ok(refreshed) => refreshed.issued,
                    Err(AuthError::Failed(_)) => continue,
                    Err(refused) => panic!("a fresh refresh token was {refused}"),
                };
                consumed
                    .lock()
                    .unwrap()
                    .push((refresh, issued.refresh.expect("a refresh token").token));
                kept.lock().unwrap().push(issued.access.token);
            }
        });
    }
    for _ in 0..5 {
        let enough = kept.lock().unwrap().len() + 200;
        eventually("tokens are issued", || async {
            kept.lock().unwrap().len() > enough
        })
        .await;
        server.kill();
        server.start();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let (kept, consumed) = (
        kept.lock().unwrap().clone(),
        consumed.lock().unwrap().clone(),
    );
    eventually("the database answers again", || {
        is_good(&strategy, &kept[0])
    })
    .await;
    for token in &kept {
        assert!(
            is_good(&patient, token).await,
            "an acknowledged token of {} is lost",
            kept.len()
        );
    }
    for (token, successor) in &consumed {
        let again = patient.rotate_refresh_token(token, &users).await;
        let again = again
            .unwrap_or_else(|error| panic!("a session of {} is lost: {error}", consumed.len()));
        assert!(
            again.issued.token == *successor,
            "a consumed token of {} has another successor",
            consumed.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_under_load() {
    killed_under_load(&Postgres::dedicated(), by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_killed_under_load() {
    killed_under_load(&MariaDb::dedicated(), by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_with_postgres_killed_under_load() {
    killed_under_load(&Postgres::dedicated(), by_sqlx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_with_mariadb_killed_under_load() {
    killed_under_load(&MariaDb::dedicated(), by_sqlx).await;
}

/// 500 callers and one connection: each is answered truly, or told that the question stays open.
async fn crowd(url: &str) {
    let options = DatabaseOptions::default().with_connections(1);
    let [strategy, patient] = both(url, options, by_itself).await;
    let token = patient.write_token(&Account::new(1)).await.unwrap().token;
    let mut crowd = JoinSet::new();
    for caller in 0..500 {
        let (strategy, token) = (strategy.clone(), token.clone());
        crowd.spawn(async move {
            if caller % 5 == 0 {
                return strategy.write_token(&Account::new(2)).await.map(|_| true);
            }
            let answer: countersign::token::TokenStatus<Account> =
                strategy.read_token(Some(&token), &users).await?;
            Ok(answer.accepted().is_some())
        });
    }
    for result in crowd.join_all().await {
        match result {
            Ok(good) => assert!(good, "a good token was refused because of the crowd"),
            Err(failure) => assert_eq!(failure.kind(), FailureKind::Unavailable),
        }
    }
    eventually("a single caller is answered", || is_good(&strategy, &token)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_crowd() {
    crowd(&Postgres::shared().database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_crowd() {
    crowd(&MariaDb::shared().database()).await;
}

/// A server that isn't there yet doesn't stop a start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_at_start_on_postgres_and_mariadb() {
    let postgres = Postgres::dedicated();
    let mariadb = MariaDb::dedicated();
    let servers: [&dyn Server; 2] = [&postgres, &mariadb];
    for server in servers {
        let url = server.create();
        server.stop();
        let database = Database::connect(&url, DatabaseOptions::default()).unwrap();
        let strategy = strategy(&database);
        assert!(unavailable(strategy.write_token(&Account::new(1)).await));
        server.start();
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        eventually("writes are taken", || async {
            strategy.write_token(&Account::new(1)).await.is_ok()
        })
        .await;
    }
}
