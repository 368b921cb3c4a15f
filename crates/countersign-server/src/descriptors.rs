//! As many open files as the system grants, since every connection is one.

use crate::config::{Config, MAX_CONNECTIONS};
use crate::serve::RESERVE;

/// What is open beside connections: the log, the listener, the runtime's own, files of SQLite.
const OTHERS: usize = 64;

/// Raises the soft limit of open files to the hard one, and says so if that is too few for what the settings allow.
pub fn raise(config: &Config) {
    let stores = config.store.connections.saturating_mul(3);
    let needed = [config.http.limits.connections, RESERVE, stores, OTHERS].into_iter().fold(0, usize::saturating_add);
    let granted = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(granted) => usize::try_from(granted).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(event = "descriptors_not_raised", %error);
            return;
        }
    };
    if granted < needed {
        let setting = MAX_CONNECTIONS.env();
        let cure = "raise the hard limit (ulimit -n, LimitNOFILE), or lower the setting";
        tracing::warn!(event = "descriptors_too_few", granted, needed, setting, "{cure}");
    }
}
