//! The stores and keys that a server stands on, opened from its settings.
//!
//! [`deployment`](crate::deployment) opens them in the order that its record demands, and
//! [`compose`](crate::compose) builds everything else on top of them.
//!
//! - `database` and `redis` open the stores. `redis` also checks that its servers can be relied on.
//! - `keys` finds secrets and keys, or generates them.
//! - `wait` waits for stores that are still starting ([`Patience`]).
//! - `named` names a store in errors and in the log.
//! - `progress` logs the progress of a migration.

mod database;
pub(crate) mod keys;
mod named;
mod progress;
mod redis;
mod wait;

use countersign::ConfigError;

#[cfg(test)]
pub(crate) use database::ACCOUNTS;
pub(crate) use database::{
    bring_up_to_date, bring_up_to_date_telling, connect, migrator, planned, unreachable,
};
pub use redis::examine as examine_redis;
pub(crate) use redis::{handle as redis_handle, unreachable as redis_unreachable};
pub use wait::Patience;

/// Returns an error of the library under the name of the setting as the user typed it.
fn renamed(spelled: &str, error: &ConfigError) -> ConfigError {
    ConfigError::new(
        spelled.to_owned(),
        error.problem().to_owned(),
        error.cure().to_owned(),
    )
}
