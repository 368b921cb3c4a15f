//! The limit on open files. Every connection is an open file, and common defaults are low.

use crate::config::{Config, MAX_CONNECTIONS};
use crate::serve::RESERVE;

/// The number of files that are open beside connections: the log, the listener, the runtime,
/// SQLite.
const OTHERS: usize = 64;

/// Raises the soft limit on open files to the hard limit.
///
/// Logs a warning if that isn't enough for the connections that `config` allows
/// (`descriptors_too_few`), or if the limit can't be raised (`descriptors_not_raised`). The server
/// starts in either case.
pub fn raise(config: &Config) {
    // PostgreSQL takes the most: it has shared connections for reads, others for writes, and
    // exclusive ones for transactions.
    let stores = config.store.connections.saturating_mul(3);
    let needed = [config.http.limits.connections, RESERVE, stores, OTHERS]
        .into_iter()
        .fold(0, usize::saturating_add);

    let granted = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(granted) => usize::try_from(granted).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(event = "descriptors_not_raised", %error);
            return;
        }
    };

    if granted < needed {
        let setting = MAX_CONNECTIONS.env();
        let cure = "raise the hard limit (ulimit -n, LimitNOFILE) or lower the setting";
        tracing::warn!(
            event = "descriptors_too_few",
            granted,
            needed,
            setting,
            "{cure}"
        );
    }
}
