//! What the settings come to: what `config check` prints. Secrets are never in it.

use serde::Serialize;

use crate::config::setting;
use crate::config::{Config, DATABASE_URL, REDIS_URL, Redis, Sources};

/// One setting's effective value.
#[derive(Clone, Debug, Serialize)]
pub struct Effective {
    /// The setting's environment variable.
    pub setting: String,
    /// Its value, or what may be said of it.
    pub value: String,
    /// Where it comes from: a name as it was typed, or `default`.
    pub from: String,
}

/// Every setting.
pub fn effective(sources: &Sources, config: &Config) -> Vec<Effective> {
    setting::all()
        .map(|setting| {
            let given = sources.get(setting);
            let value = match (given, setting.kind) {
                _ if setting == &DATABASE_URL => config.store.shown(),
                _ if setting == &REDIS_URL && given.is_some() => {
                    config.redis.as_ref().map(Redis::shown).unwrap_or_default()
                }
                (Some(_), kind) if kind.is_secret() => "(given, not shown)".to_owned(),
                (None, kind) if kind.is_secret() => "(not given)".to_owned(),
                (Some(given), _) => given.text().to_owned(),
                (None, _) => setting.default.to_owned(),
            };
            let from = given.map_or_else(|| "default".to_owned(), |given| given.spelled.clone());
            Effective { setting: setting.env(), value, from }
        })
        .collect()
}
