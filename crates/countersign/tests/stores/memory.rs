use countersign::Failure;
use countersign::store::MemoryStore;
use countersign::testing::{SuiteReport, TokenStoreSuite};

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("memory", |_user_ids| async { Ok::<_, Failure>(MemoryStore::new()) }).run().await
}
