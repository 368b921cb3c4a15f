//! Redis and Redis Cluster, each case under a prefix of its own.

use std::time::Duration;

use countersign::Secret;
use countersign::denylist::RedisDenylist;
use countersign::redis::{Redis, RedisOptions};
use countersign::store::RedisTokenStore;
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};
use countersign::token::DigestKeyRing;

pub(crate) fn single() -> Redis {
    connect(testbed::Redis::shared().url())
}

pub(crate) fn cluster() -> Redis {
    connect(&testbed::RedisCluster::shared().url())
}

fn connect(url: &str) -> Redis {
    Redis::connect(
        url,
        RedisOptions::default().with_timeout(Duration::from_secs(30)),
    )
    .unwrap()
}

pub(crate) async fn tokens(name: &str, redis: Redis) -> SuiteReport {
    let secret = Secret::new("token_hash_secret", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap();
    let digests = DigestKeyRing::new("suite", &secret).unwrap();
    let fresh = |_user_ids| {
        let store = RedisTokenStore::new(&redis, &digests)
            .with_key_prefix(&testbed::Redis::shared().prefix());
        std::future::ready(store)
    };
    TokenStoreSuite::new(name, fresh)
        .self_expiring()
        .run()
        .await
}

pub(crate) async fn denylist(name: &str, redis: Redis, only: Option<&str>) -> SuiteReport {
    let fresh = || {
        let denylist =
            RedisDenylist::new(&redis).with_key_prefix(&testbed::Redis::shared().prefix());
        std::future::ready(denylist)
    };
    crate::stores::cases(DenylistSuite::new(name, fresh).self_expiring(), only)
        .run()
        .await
}
