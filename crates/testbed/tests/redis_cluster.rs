//! The Redis Cluster of the tests, tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::thread;

use testbed::{RedisCluster, wait_until};

#[test]
fn redis_cluster_takes_a_key_at_its_node_and_routes_to_it() {
    let cluster = RedisCluster::shared();
    assert_eq!((cluster.urls().len(), cluster.masters().len()), (6, 3));
    let prefix = cluster.prefix();
    let mut owners = BTreeSet::new();
    for n in 0..20 {
        let key = format!("{prefix}{n}");
        let owner = cluster.node_of_key(&key);
        assert_eq!(cluster.command(owner, &["SET", &key, "42"]), "OK");
        assert_eq!(cluster.route(&["GET", &key]), "42");
        owners.insert(owner);
    }
    assert_eq!(
        owners.into_iter().collect::<Vec<_>>(),
        cluster.masters(),
        "the keys are spread"
    );
}

#[test]
#[should_panic(expected = "MOVED")]
fn redis_cluster_panics_at_a_redirection() {
    let cluster = RedisCluster::shared();
    let key = cluster.prefix();
    let stranger = cluster
        .masters()
        .into_iter()
        .find(|&node| node != cluster.node_of_key(&key))
        .unwrap();
    cluster.command(stranger, &["GET", &key]);
}

#[test]
fn redis_cluster_replaces_a_dead_master_and_takes_it_back() {
    let cluster = RedisCluster::dedicated();
    cluster.route(&["SET", "k", "42"]);
    let dead = cluster.node_of_key("k");
    cluster.kill(dead);
    let heir = cluster.node_of_key("k");
    assert_ne!(heir, dead);
    cluster.wait_until_ok();
    assert_eq!(cluster.route(&["GET", "k"]), "42");
    cluster.start(dead);
    cluster.wait_until_ok();
    assert!(!cluster.masters().contains(&dead), "it is a replica now");

    assert_eq!(cluster.fail_over(heir), dead, "it is the only replica");
    assert_eq!(cluster.node_of_key("k"), dead);
    cluster.wait_until_ok();
    assert_eq!(cluster.route(&["GET", "k"]), "42");
}

#[test]
fn redis_cluster_replaces_a_frozen_master() {
    let cluster = RedisCluster::dedicated();
    let frozen = cluster.node_of_key("k");
    cluster.freeze(frozen);
    cluster.wait_until_ok();
    assert_ne!(cluster.node_of_key("k"), frozen);
    cluster.thaw(frozen);
    wait_until("the old master has heard of it", || {
        !cluster.masters().contains(&frozen)
    });
    cluster.wait_until_ok();
}

#[test]
fn redis_cluster_moves_a_slot_while_clients_write_to_it() {
    let cluster = RedisCluster::dedicated();
    let slot = cluster.slot_of_key("tag");
    let from = cluster.node_of_key("tag");
    let to = cluster
        .masters()
        .into_iter()
        .find(|&node| node != from)
        .unwrap();
    let keys: Vec<String> = (0..300).map(|n| format!("{{tag}}{n}")).collect();
    for key in &keys {
        cluster.command(from, &["SET", key, "old"]);
    }
    let written = thread::scope(|scope| {
        let migration = scope.spawn(|| cluster.migrate_slot(slot, from, to));
        let mut written = 0;
        while !migration.is_finished() {
            // One that is there, and one that isn't.
            for key in [&keys[written % keys.len()], &format!("{{tag}}new{written}")] {
                cluster.route(&["SET", key, "new"]);
                assert_eq!(cluster.route(&["GET", key]), "new");
            }
            written += 1;
        }
        migration.join().unwrap();
        written
    });
    assert_eq!(cluster.node_of_key("tag"), to);
    let count = |node| cluster.command(node, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
    assert_eq!(
        (count(from), count(to)),
        ("0".to_owned(), (keys.len() + written).to_string())
    );
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(
            cluster.command(to, &["GET", key]),
            if n < written { "new" } else { "old" }
        );
    }
    cluster.wait_until_ok();
}
