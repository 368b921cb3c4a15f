//! A store as errors and log lines name it: by its setting and its address.

use countersign::Failure;

use crate::config::{Redis as RedisSettings, Store};
use crate::error::Error;

/// A store, as errors and log lines name it.
pub(super) struct Named {
    pub(super) setting: String,
    pub(super) store: String,
}

/// Returns the name of the configured database.
pub(super) fn database_store(store: &Store) -> Named {
    Named {
        setting: store.database_spelled.clone(),
        store: format!("the database at {}", store.shown()),
    }
}

/// Returns the name of the configured Redis.
pub(super) fn redis_store(settings: &RedisSettings) -> Named {
    Named {
        setting: settings.spelled.clone(),
        store: format!("Redis at {}", settings.shown()),
    }
}

impl Named {
    /// Returns the error for a failure of this store.
    pub(super) fn failed(self, failure: Failure) -> Error {
        Error::Store {
            setting: self.setting,
            store: self.store,
            failure,
            cure: None,
        }
    }
}
