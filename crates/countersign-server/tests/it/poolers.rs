//! Several servers on one PgBouncer: as many connections to the database as it likes, exchanged as it likes.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use reqwest::StatusCode;
use testbed::{PgBouncer, Postgres};

use crate::harness::{Place, Server, Tokens, shared};

const ACCOUNTS: usize = 12;

/// How many requests are made in all. `COUNTERSIGN_TEST_POOLER_REQUESTS=30000` makes as many as one likes.
fn requests() -> usize {
    std::env::var("COUNTERSIGN_TEST_POOLER_REQUESTS").map_or(1500, |number| number.parse().unwrap())
}

/// What was answered.
#[derive(Debug, Default)]
struct Tally {
    asked: AtomicUsize,
    good_refused: AtomicUsize,
    bad_accepted: AtomicUsize,
    failed: AtomicUsize,
    unavailable: AtomicUsize,
}

impl Tally {
    fn note(&self, status: StatusCode, is_good: bool) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let wrong = match status {
            StatusCode::SERVICE_UNAVAILABLE => &self.unavailable,
            status if status.is_server_error() => &self.failed,
            status if is_good && !status.is_success() => &self.good_refused,
            status if !is_good && status != StatusCode::UNAUTHORIZED => &self.bad_accepted,
            _ => return,
        };
        wrong.fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> [usize; 4] {
        [
            &self.good_refused,
            &self.bad_accepted,
            &self.failed,
            &self.unavailable,
        ]
        .map(|count| count.load(Ordering::Relaxed))
    }
}

/// One account's life on two servers: reads, refreshes, an earlier access token of another session, and a token that
/// was never issued.
async fn live(servers: [&Server; 2], tokens: &mut Tokens, requests: usize, tally: &Tally) {
    let forged = {
        let mut forged = tokens.access.clone().into_bytes();
        forged[40] = if forged[40] == b'x' { b'y' } else { b'x' };
        String::from_utf8(forged).unwrap()
    };
    for turn in 0..requests {
        let server = servers[turn % 2];
        match turn % 7 {
            3 => {
                let reply = server.refresh(&tokens.refresh).await;
                tally.note(reply.status, true);
                if reply.status.is_success() {
                    *tokens = Tokens::of(&reply);
                }
            }
            5 => tally.note(server.me(&forged).await.status, false),
            6 => tally.note(
                server.get("/auth/sessions", &tokens.access).await.status,
                true,
            ),
            _ => tally.note(server.me(&tokens.access).await.status, true),
        }
    }
}

/// Three servers; one is stopped and started again while the two others answer, each in its turn.
async fn mixed(pooler: &PgBouncer, url: &str) {
    let settings = shared(&pooler.through(url));
    let place = Place::new(settings).with("LOGIN_LIMIT", "off");
    let mut servers = vec![
        place.start(),
        place.sibling().start(),
        place.sibling().start(),
    ];
    let mut tokens = Vec::new();
    for account in 0..ACCOUNTS {
        tokens.push(
            servers[account % 3]
                .newcomer(&format!("user{account}@example.org"))
                .await,
        );
    }
    let tally = Tally::default();
    for _ in 0..3 {
        let resting = servers.remove(0);
        let again = place.sibling();
        let restart = tokio::task::spawn_blocking(move || {
            resting.stop();
            again.start()
        });
        let each = requests().div_ceil(3 * ACCOUNTS);
        join_all(
            tokens
                .iter_mut()
                .map(|tokens| live([&servers[0], &servers[1]], tokens, each, &tally)),
        )
        .await;
        servers.push(restart.await.unwrap());
    }
    let asked = tally.asked.load(Ordering::Relaxed);
    assert!(asked >= requests());
    assert_eq!(
        tally.all(),
        [0; 4],
        "of {asked}: good tokens refused, bad ones accepted, answers of 500, of 503"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_on_one_pgbouncer_in_transaction_mode() {
    let database = Postgres::shared().database();
    let settings = [
        "pool_mode=transaction",
        "default_pool_size=6",
        "server_lifetime=1",
    ];
    mixed(
        &PgBouncer::in_front_of(Postgres::shared().url(), &settings),
        &database,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_on_one_pgbouncer_in_session_mode() {
    let database = Postgres::shared().database();
    let settings = [
        "pool_mode=session",
        "default_pool_size=60",
        "server_lifetime=1",
    ];
    mixed(
        &PgBouncer::in_front_of(Postgres::shared().url(), &settings),
        &database,
    )
    .await;
}
