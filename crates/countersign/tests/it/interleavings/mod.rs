//! Logout racing refresh, and "log out everywhere" racing login, in random interleavings on every store (promise P4);
//! and what a session that is refreshed for ever leaves behind (promise P9).
//!
//! `COUNTERSIGN_TEST_INTERLEAVINGS` says how many interleavings each store gets.

#![cfg(all(feature = "sqlite", feature = "jwt"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]

mod dice;
mod growth;
mod login;
mod logout;
mod site;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::interleavings::dice::Dice;
use crate::interleavings::site::{Process, Site};
use crate::interleavings::tally::{Seen, Tally};

/// As many as run at the same time.
const AT_ONCE: usize = 32;

/// Enough for every kind of plot on every store, in a few seconds each.
const FEW: u64 = 400;

fn interleavings() -> u64 {
    std::env::var("COUNTERSIGN_TEST_INTERLEAVINGS")
        .map_or(FEW, |text| text.parse().expect("a number"))
}

async fn survive(site: Site) {
    let (most, next) = (interleavings(), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (processes, next) = (site.processes.clone(), Arc::clone(&next));
        crowd.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    return tally;
                }
                tally.add(number, &play(&processes, number).await);
            }
        });
    }
    let tallies = crowd.join_all().await;
    tallies
        .into_iter()
        .fold(Tally::default(), Tally::with)
        .hold(site.name, start.elapsed());
}

/// One interleaving: three times in four a logout beside refreshes, else "log out everywhere" beside a login.
async fn play(processes: &[Process], number: u64) -> Seen {
    let dice = Dice::new(number);
    if number % 4 == 3 {
        login::play(processes, number, dice).await
    } else {
        logout::play(processes, number, dice).await
    }
}

macro_rules! mount {
    ($($name:ident: $site:expr,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            crate::interleavings::survive($site.await).await;
        })+
    };
}

mod what_has_ended_stays_ended {
    use crate::fixture::databases::Kind;
    use crate::interleavings::site::Site;

    mount! {
        memory: Site::memory(),
        sqlite: Site::sql("SQLite", Kind::Sqlite),
        signed_on_sqlite: Site::signed("SQLite, signed", Kind::Sqlite),
    }

    #[cfg(feature = "postgres")]
    mount! {
        postgres: Site::sql("PostgreSQL", Kind::Postgres),
        signed_on_postgres: Site::signed("PostgreSQL, signed", Kind::Postgres),
    }

    #[cfg(feature = "mysql")]
    mount! {
        mariadb: Site::sql("MariaDB", Kind::MariaDb),
        signed_on_mariadb: Site::signed("MariaDB, signed", Kind::MariaDb),
    }

    #[cfg(feature = "redis")]
    mount! {
        redis: Site::redis("Redis", testbed::Redis::shared().url()),
        redis_cluster: Site::redis("Redis Cluster", &testbed::RedisCluster::shared().url()),
    }
}
