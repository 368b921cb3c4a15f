//! Settings of Redis.
//!
//! Redis is used by the strategy `redis`, for tokens and sessions, and by the strategy `jwt` if its
//! URL is given, for the ids of revoked tokens. A deployment that uses Redis is a shared one.

use std::fmt;

use countersign::{ConfigError, Profile, UrlSource};
use zeroize::Zeroizing;

use crate::config::given::Given;
use crate::config::setting::{Kind, Setting};
use crate::config::store::shown;
use crate::config::{STRATEGY, Sources, StrategyKind, Tokens, parse};

/// The URL of the Redis server or cluster. It may hold a password, so it is never shown.
pub const REDIS_URL: Setting = Setting {
    key: "redis_url",
    kind: Kind::Secret,
    default: "",
    form: "redis://…|rediss://…|redis+sentinel://…|unix://…",
    example: "redis://localhost:6379",
    help: "Redis for the tokens of strategy redis or, if set, the revoked ids of strategy jwt; separate cluster nodes with commas.",
};
/// The reaction to a Redis that may evict the ids of revoked tokens.
pub const REDIS_EVICTION: Setting = Setting {
    key: "redis_eviction",
    kind: Kind::Plain,
    default: "refuse",
    form: "refuse|warn",
    example: "refuse",
    help: "What to do at startup if Redis may evict revoked ids (strategy jwt).",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[&REDIS_URL, &REDIS_EVICTION];

/// The Redis that the strategy uses: a server, a cluster, or the master that Sentinels watch.
///
/// The `Debug` output doesn't show the URL.
#[derive(Clone)]
pub struct Redis {
    /// The URL, or the URLs of a cluster's nodes separated by commas. It may hold a password.
    pub url: Zeroizing<String>,
    /// The name under which the URL was given, for error messages.
    pub spelled: String,
    /// The reaction to a Redis that may evict the ids of revoked tokens.
    pub eviction: Eviction,
    /// The reader that reads the URL again, if the URL is in a file.
    pub source: Option<UrlSource>,
}

/// The reaction to a Redis that may evict the ids of revoked tokens.
///
/// A token whose id was evicted would be accepted again, so the default is
/// [`Refuse`](Self::Refuse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The server doesn't start.
    Refuse,
    /// The server logs a warning and starts.
    Warn,
}

impl Redis {
    /// Reads this section. Returns `None` if no Redis was given and the strategy works without one.
    ///
    /// # Errors
    /// [`ConfigError`] if a value can't be used, if strategy `redis` has no URL, or if the strategy
    /// or the profile can't use the Redis that was given.
    pub fn read(sources: &Sources, tokens: &Tokens) -> Result<Option<Self>, ConfigError> {
        const EVICTIONS: &[(&str, Eviction)] =
            &[("refuse", Eviction::Refuse), ("warn", Eviction::Warn)];

        let eviction = sources.parse(&REDIS_EVICTION, parse::one_of(EVICTIONS))?;
        let Some(given) = sources.get(&REDIS_URL) else {
            return without(tokens.strategy);
        };

        check(given, sources, tokens)?;
        Ok(Some(Self {
            url: Zeroizing::new(given.text().to_owned()),
            spelled: given.spelled.clone(),
            eviction,
            source: given.source(),
        }))
    }

    /// Returns the server or the nodes in a form for people: without passwords, users and queries.
    pub fn shown(&self) -> String {
        if let Some((scheme, rest)) = self
            .url
            .split_once("://")
            .filter(|_| names_sentinels(&self.url))
        {
            let address = rest.split(['?', '#']).next().unwrap_or_default();
            return match address.rsplit_once('@') {
                // With a slash before the last `@`, the text behind it may be a part of a password.
                Some((user, hosts)) if !user.contains('/') => format!("{scheme}://{hosts}"),
                None => format!("{scheme}://{address}"),
                Some(_) => "(Redis Sentinels)".to_owned(),
            };
        }

        let nodes: Vec<String> = self
            .url
            .split(',')
            .map(|url| shown(url.trim(), "(a Redis server)"))
            .collect();
        nodes.join(",")
    }
}

/// Returns no Redis, or an error if the strategy needs one.
fn without(strategy: StrategyKind) -> Result<Option<Redis>, ConfigError> {
    match strategy {
        StrategyKind::Database | StrategyKind::Jwt => Ok(None),
        StrategyKind::Redis => Err(ConfigError::new(
            REDIS_URL.env(),
            "is required with strategy redis",
            "set the URL of the server, for example redis://localhost:6379, or choose another \
             strategy",
        )),
    }
}

/// Returns `true` if a URL names Sentinels that watch a master. Its commas separate the Sentinels,
/// not the nodes of a cluster.
pub fn names_sentinels(url: &str) -> bool {
    ["redis+sentinel://", "rediss+sentinel://"]
        .iter()
        .any(|scheme| url.trim_start().starts_with(scheme))
}

/// Checks that the strategy and the profile can use this Redis.
fn check(given: &Given, sources: &Sources, tokens: &Tokens) -> Result<(), ConfigError> {
    let is_cluster = given.text().contains(',') && !names_sentinels(given.text());

    match (tokens.strategy, tokens.profile) {
        (StrategyKind::Database, _) if sources.is_final(&STRATEGY) => {
            let cure = "choose strategy redis, which stores tokens there, or jwt, which stores \
                 revoked ids there, or remove this setting";
            Err(given.error("has no effect with strategy database", cure))
        }
        (StrategyKind::Redis, Profile::LitestarAuth) if is_cluster => {
            let cure = "use a single server, or set profile to countersign";
            Err(given.error(
                "lists cluster nodes, but profile litestar-auth does not support a cluster",
                cure,
            ))
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
            Redis {
                url,
                spelled: String::new(),
                eviction: Eviction::Refuse,
                source: None,
            }
            .shown()
        };
        assert_eq!(
            shown("rediss://me:pw@cache:6380/2?sslrootcert=/ca.pem"),
            "rediss://cache:6380/2"
        );
        assert_eq!(
            shown("redis://:pw@a:1, redis://me:pw@b:2"),
            "redis://a:1,redis://b:2"
        );
        assert_eq!(
            shown("unix:///run/redis.sock?pass=pw"),
            "unix:///run/redis.sock"
        );
        assert_eq!(
            shown("redis://me:p,w@a"),
            "(a Redis server),(a Redis server)"
        );
        let sentinels = "redis+sentinel://me:p,w@one:1,two/main?sentinel_password=pw";
        assert_eq!(shown(sentinels), "redis+sentinel://one:1,two/main");
        assert_eq!(
            shown("rediss+sentinel://one/main"),
            "rediss+sentinel://one/main"
        );
        assert_eq!(
            shown("redis+sentinel://me:p/w@one/main"),
            "(Redis Sentinels)"
        );
    }
}
