use countersign::Failure;
use countersign::denylist::MemoryDenylist;
use countersign::store::MemoryStore;
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("memory", |_user_ids| async {
        Ok::<_, Failure>(MemoryStore::new())
    })
    .run()
    .await
}

pub(crate) async fn denylist(only: Option<&str>) -> SuiteReport {
    let suite = DenylistSuite::new("memory", || async { MemoryDenylist::new(500) }).capacity(500);
    crate::stores::cases(suite, only).run().await
}
