//! SIGKILL to Redis in the middle of logins, refreshes and logouts.

use testbed::Redis;

use crate::redis_faults::ground::{Ground, LONG, connect, eventually, left};
use crate::redis_faults::load::{Load, Manner};

const ROUNDS: usize = 5;

/// A server that syncs before it answers keeps all that it acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_under_load_keeps_what_it_acknowledged() {
    let server = Redis::dedicated();
    let prefix = server.prefix();
    let ground = Ground::new(&connect(server.url(), LONG), &prefix);
    let mut load = Load::start(
        &ground,
        Manner {
            clients: 8,
            accounts: 8,
            keeps: true,
        },
    );
    for _ in 0..ROUNDS {
        load.turns(100).await;
        let before = load.failures();
        server.kill();
        eventually("the load meets the outage", || {
            std::future::ready(load.failures() > before)
        })
        .await;
        server.start();
    }
    load.turns(100).await;
    let outcome = load.stop().await;
    outcome.holds().await;
    outcome.ends().await;
    assert!(
        left(&server, "*").is_empty(),
        "something of {} tokens is left",
        outcome.tokens()
    );
}
