//! The whole store of the guide, the same text.

#[path = "../../../src/guide/small_store.rs"]
#[allow(unreachable_pub, reason = "in the guide it is a whole file")]
mod small_store;

use countersign::Failure;
use countersign::testing::{SuiteReport, TokenStoreSuite};

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("the guide's", |_user_ids| async {
        Ok::<_, Failure>(small_store::SmallStore::default())
    })
    .run()
    .await
}
