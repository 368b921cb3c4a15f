//! What must answer before requests can be served.

use std::sync::Arc;

use countersign::Failure;
use countersign::redis::Redis;
use countersign::store::TokenStore;

/// The stores that requests need.
#[derive(Clone)]
pub struct Stores {
    /// The database: accounts are there in any case.
    pub database: Arc<dyn TokenStore>,
    /// Redis, where it is used.
    pub redis: Option<Redis>,
}

impl Stores {
    /// Asks whether all of them answer.
    ///
    /// # Errors
    /// [`Failure`] when one doesn't.
    pub async fn ping(&self) -> Result<(), Failure> {
        let redis = async {
            match &self.redis {
                Some(redis) => redis.ping().await,
                None => Ok(()),
            }
        };
        tokio::try_join!(self.database.ping(), redis).map(|_| ())
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").field("redis", &self.redis).finish_non_exhaustive()
    }
}
