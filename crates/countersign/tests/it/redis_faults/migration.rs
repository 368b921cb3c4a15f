//! Slots that move to another master under load: nobody notices.

use std::sync::Arc;

use testbed::RedisCluster;

use crate::fixture::users::Account;
use crate::redis_faults::entry::key_of;
use crate::redis_faults::ground::{Ground, LONG, connect};
use crate::redis_faults::load::{Load, Manner};

const MOVES: usize = 12;

/// Moves the key's slot from master to master, with some work between the moves.
async fn moves(cluster: &Arc<RedisCluster>, key: &str, load: &mut Load) {
    let (slot, masters) = (cluster.slot_of_key(key), cluster.masters());
    for _ in 0..MOVES {
        load.turns(10).await;
        let from = cluster.node_of_key(key);
        let place = masters.iter().position(|master| *master == from).unwrap();
        let to = masters[(place + 1) % masters.len()];
        let cluster = Arc::clone(cluster);
        tokio::task::spawn_blocking(move || cluster.migrate_slot(slot, from, to))
            .await
            .unwrap();
    }
    load.turns(10).await;
    assert_eq!(load.failures(), 0, "a caller was told of a slot that moves");
}

/// The one key of a user who is busy on many devices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_slot_of_one_user_moves_under_load() {
    let cluster = Arc::new(RedisCluster::dedicated());
    let prefix = cluster.prefix();
    let ground = Ground::new(&connect(&cluster.url(), LONG), &prefix);
    let mut load = Load::start(
        &ground,
        Manner {
            clients: 6,
            accounts: 1,
            keeps: true,
        },
    );
    moves(
        &cluster,
        &key_of(&prefix, &Account::new(0).key()),
        &mut load,
    )
    .await;
    let outcome = load.stop().await;
    assert_eq!(
        outcome.failures(),
        0,
        "a caller was told of a slot that moves"
    );
    outcome.holds().await;
    outcome.ends().await;
}

/// All keys in one slot, by a prefix with a part in braces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_slot_of_all_users_moves_under_load() {
    let cluster = Arc::new(RedisCluster::dedicated());
    let prefix = format!("{{{}}}:", cluster.prefix());
    let ground = Ground::new(&connect(&cluster.url(), LONG), &prefix);
    let mut load = Load::start(
        &ground,
        Manner {
            clients: 8,
            accounts: 8,
            keeps: true,
        },
    );
    moves(&cluster, &prefix, &mut load).await;
    let outcome = load.stop().await;
    assert_eq!(
        outcome.failures(),
        0,
        "a caller was told of a slot that moves"
    );
    outcome.holds().await;
    outcome.ends().await;
}
