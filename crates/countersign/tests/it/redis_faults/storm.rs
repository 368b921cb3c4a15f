//! Random sequences of operations on Redis and on the memory store, which is the model: the answers are equal.
//!
//! Sessions are used as strategies use them: each is opened by its first refresh token, and none after it has ended.

mod equal;
mod model;
mod operation;

use countersign::store::MemoryStore;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::model::Model;
use self::operation::operation;
use crate::redis_faults::ground::{LONG, connect};

const SEQUENCES: u32 = 256;

fn storm(url: &str, sequences: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = connect(url, LONG);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: sequences,
        failure_persistence: None,
        ..Default::default()
    });
    let sequence = proptest::collection::vec(operation(), 1..60);
    let result = runner.run(&sequence, |operations| {
        runtime.block_on(async {
            let mut model = Model::new(
                &redis,
                &testbed::Redis::shared().prefix(),
                MemoryStore::new(),
            )
            .await;
            for operation in &operations {
                model.apply(operation).await;
            }
            model.everything_is_equal().await;
            model.nothing_outlives_its_user().await;
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn redis_answers_as_memory_does() {
    storm(testbed::Redis::shared().url(), SEQUENCES);
}

#[test]
fn redis_cluster_answers_as_memory_does() {
    storm(&testbed::RedisCluster::shared().url(), SEQUENCES);
}
