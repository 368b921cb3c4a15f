//! Settings of Redis.

use std::fmt;

use countersign::{ConfigError, Profile, UrlSource};
use zeroize::Zeroizing;

use crate::config::setting::{Kind, Setting};
use crate::config::source::Given;
use crate::config::store::shown;
use crate::config::{STRATEGY, Sources, StrategyKind, Tokens, parse};

/// The Redis server or cluster; passwords may be in it, so it is never shown.
pub const REDIS_URL: Setting = Setting {
    key: "redis_url",
    kind: Kind::Secret,
    default: "",
    form: "redis://…|rediss://…|redis+sentinel://…|unix://…",
    help: "Where strategy redis keeps tokens, and strategy jwt revoked ids if given; nodes of a cluster with commas.",
};
/// What to do about a server that may drop revocations.
pub const REDIS_EVICTION: Setting = Setting {
    key: "redis_eviction",
    kind: Kind::Plain,
    default: "refuse",
    form: "refuse|warn",
    help: "What to do at start when Redis may evict revoked ids (strategy jwt).",
};

/// This section's settings.
pub(super) const SETTINGS: &[&Setting] = &[&REDIS_URL, &REDIS_EVICTION];

/// The Redis server, the cluster, or the master that Sentinels watch, which the strategy uses.
#[derive(Clone)]
pub struct Redis {
    /// Its URL, or those of a cluster's nodes; passwords may be in it.
    pub url: Zeroizing<String>,
    /// What the setting is called where it was given.
    pub spelled: String,
    /// What to do when it may evict revoked ids.
    pub eviction: Eviction,
    /// What reads the URL again, where that stands in a file.
    pub source: Option<UrlSource>,
}

/// What to do about a server that may evict revoked ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Not to start.
    Refuse,
    /// To say so in the log.
    Warn,
}

impl Redis {
    /// Reads the section; nothing when the strategy works without Redis.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting.
    pub fn read(sources: &Sources, tokens: &Tokens) -> Result<Option<Self>, ConfigError> {
        const EVICTIONS: &[(&str, Eviction)] = &[("refuse", Eviction::Refuse), ("warn", Eviction::Warn)];
        let eviction = sources.parse(&REDIS_EVICTION, parse::one_of(EVICTIONS))?;
        let Some(given) = sources.get(&REDIS_URL) else { return without(tokens.strategy) };
        check(given, sources, tokens)?;
        Ok(Some(Self {
            url: Zeroizing::new(given.text().to_owned()),
            spelled: given.spelled.clone(),
            eviction,
            source: given.source(),
        }))
    }

    /// The server or the nodes for people: without passwords, users or queries.
    pub fn shown(&self) -> String {
        if let Some((scheme, rest)) = self.url.split_once("://").filter(|_| names_sentinels(&self.url)) {
            let address = rest.split(['?', '#']).next().unwrap_or_default();
            return match address.rsplit_once('@') {
                // What stands behind the last `@` may be a part of a password with a slash in it.
                Some((user, hosts)) if !user.contains('/') => format!("{scheme}://{hosts}"),
                None => format!("{scheme}://{address}"),
                Some(_) => "(Redis Sentinels)".to_owned(),
            };
        }
        let nodes: Vec<String> = self.url.split(',').map(|url| shown(url.trim(), "(a Redis server)")).collect();
        nodes.join(",")
    }
}

fn without(strategy: StrategyKind) -> Result<Option<Redis>, ConfigError> {
    match strategy {
        StrategyKind::Database | StrategyKind::Jwt => Ok(None),
        StrategyKind::Redis => Err(ConfigError::new(
            REDIS_URL.env(),
            "must be given with strategy redis",
            "name the server, as redis://localhost:6379, or choose another strategy",
        )),
    }
}

/// Whether a URL is that of a master which Sentinels watch; its commas stand between Sentinels.
pub fn names_sentinels(url: &str) -> bool {
    ["redis+sentinel://", "rediss+sentinel://"].iter().any(|scheme| url.trim_start().starts_with(scheme))
}

fn check(given: &Given, sources: &Sources, tokens: &Tokens) -> Result<(), ConfigError> {
    let is_cluster = given.text().contains(',') && !names_sentinels(given.text());
    match (tokens.strategy, tokens.profile) {
        (StrategyKind::Database, _) if sources.is_final(&STRATEGY) => {
            let cure = "choose strategy redis, which keeps tokens there, or jwt, which keeps revoked ids there; or leave it \
                        out";
            Err(given.error("is of no use with strategy database", cure))
        }
        (StrategyKind::Redis, Profile::LitestarAuth) if is_cluster => {
            let cure = "name a single server, or leave the profile at countersign";
            Err(given.error("names a cluster, over which the original's keys can't be spread", cure))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("spelled", &self.spelled)
            .field("eviction", &self.eviction)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_no_password() {
        let shown = |url: &str| {
            let url = Zeroizing::new(url.to_owned());
            Redis { url, spelled: String::new(), eviction: Eviction::Refuse, source: None }.shown()
        };
        assert_eq!(shown("rediss://me:pw@cache:6380/2?sslrootcert=/ca.pem"), "rediss://cache:6380/2");
        assert_eq!(shown("redis://:pw@a:1, redis://me:pw@b:2"), "redis://a:1,redis://b:2");
        assert_eq!(shown("unix:///run/redis.sock?pass=pw"), "unix:///run/redis.sock");
        assert_eq!(shown("redis://me:p,w@a"), "(a Redis server),(a Redis server)");
        let sentinels = "redis+sentinel://me:p,w@one:1,two/main?sentinel_password=pw";
        assert_eq!(shown(sentinels), "redis+sentinel://one:1,two/main");
        assert_eq!(shown("rediss+sentinel://one/main"), "rediss+sentinel://one/main");
        assert_eq!(shown("redis+sentinel://me:p/w@one/main"), "(Redis Sentinels)");
    }
}
