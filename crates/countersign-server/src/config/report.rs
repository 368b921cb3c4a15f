//! The effective settings, as `countersign config check` prints them.
//!
//! A secret is replaced by a note, and URLs are shown without users and passwords. So the output
//! can be passed on when somebody asks for help.

use serde::Serialize;

use crate::config::{Config, DATABASE_URL, REDIS_URL, Redis, Sources, all_settings};

/// The effective value of a setting.
#[derive(Clone, Debug, Serialize)]
pub struct Effective {
    /// The environment variable of the setting.
    pub setting: String,
    /// The value. A secret is replaced by a note that says whether it was given.
    pub value: String,
    /// The origin of the value: the setting's name as it was typed, or `default`.
    pub from: String,
}

/// Returns the effective value of every setting, in the order of the help.
pub fn effective(sources: &Sources, config: &Config) -> Vec<Effective> {
    all_settings()
        .map(|setting| {
            let given = sources.get(setting);
            let value = match (given, setting.kind) {
                _ if setting == &DATABASE_URL => config.store.shown(),
                _ if setting == &REDIS_URL && given.is_some() => {
                    config.redis.as_ref().map(Redis::shown).unwrap_or_default()
                }
                (Some(_), kind) if kind.is_secret() => "(set, not shown)".to_owned(),
                (None, kind) if kind.is_secret() => "(not set)".to_owned(),
                (Some(given), _) => given.text().to_owned(),
                (None, _) => setting.default.to_owned(),
            };
            let from = given.map_or_else(|| "default".to_owned(), |given| given.spelled.clone());

            Effective {
                setting: setting.env(),
                value,
                from,
            }
        })
        .collect()
}
