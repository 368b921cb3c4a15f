//! The denylist in memory keeps the contract that every denylist keeps.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]
#![cfg(feature = "testing")]

use countersign::denylist::MemoryDenylist;
use countersign::testing::DenylistSuite;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory() {
    let suite =
        DenylistSuite::new("memory", || async { MemoryDenylist::new(2_000) }).capacity(2_000);
    println!("{}", suite.run().await.into_result().unwrap());
    let by_default = DenylistSuite::new("memory", || async {
        Ok::<_, countersign::ConfigError>(MemoryDenylist::default())
    });
    by_default
        .capacity(10_000)
        .only("bounds")
        .run()
        .await
        .into_result()
        .unwrap();
}
