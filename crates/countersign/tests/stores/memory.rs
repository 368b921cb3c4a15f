use countersign::Failure;
use countersign::denylist::MemoryDenylist;
use countersign::store::MemoryStore;
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("memory", |_user_ids| async { Ok::<_, Failure>(MemoryStore::new()) }).run().await
}

pub(crate) async fn denylist() -> SuiteReport {
    DenylistSuite::new("memory", || async { MemoryDenylist::new(500) }).capacity(500).run().await
}
