//! Redis: a handle on it, and the checks of its servers before the server relies on them.
//!
//! Redis can be set up in ways that break a promise of this server. A replica takes no writes, a
//! server that evicts keys forgets revoked tokens, and one that writes nothing to its disk forgets
//! logouts when it ends. [`examine`] asks every server how it is set up, and refuses or warns
//! accordingly.

use countersign::redis::{Persistence, Redis, RedisNode, RedisOptions};
use countersign::{ConfigError, Failure, Profile};

use crate::config::{
    Config, Eviction, REDIS_EVICTION, Redis as Settings, StrategyKind, names_sentinels,
};
use crate::error::Error;
use crate::foundation::named::redis_store;
use crate::foundation::renamed;

/// Returns a handle on the configured Redis, or `None` if no Redis is configured.
///
/// Nothing is connected yet. If the URL was read from a file, the file is read again when Redis
/// refuses the password.
///
/// # Errors
/// Returns a [`ConfigError`], which names the setting, if the URL can't work.
pub(crate) fn handle(config: &Config) -> Result<Option<Redis>, ConfigError> {
    config
        .redis
        .as_ref()
        .map(|settings| connect(config, settings, &settings.url))
        .transpose()
}

/// Returns a handle on the Redis at `url`, which is the configured URL or a part of it.
fn connect(config: &Config, settings: &Settings, url: &str) -> Result<Redis, ConfigError> {
    let options = RedisOptions::default().with_timeout(config.store.timeout);
    // A single node of several has a URL of its own, which isn't the one in the file.
    let source = settings.source.clone().filter(|_| *settings.url == url);
    let redis = match source {
        Some(source) => Redis::connect_renewing(url, options, source),
        None => Redis::connect(url, options),
    };
    redis.map_err(|error| renamed(&settings.spelled, &error))
}

/// Asks every Redis server about its setup, logs the answer, and refuses servers that can't be
/// used.
///
/// Refused are Sentinels, replicas, versions before 7.0, clusters with strategy `redis` in the
/// profile of litestar-auth, and, with strategy `jwt`, servers that may evict keys, unless the
/// setting `redis_eviction` is `warn`. A server that may forget data when it ends is logged as a
/// warning. Does nothing if no Redis is configured.
///
/// # Errors
/// Returns [`Error::Config`], which names the setting, if a server is refused, and [`Error::Store`]
/// if one doesn't answer.
pub async fn examine(config: &Config) -> Result<(), Error> {
    let (Some(redis), Some(settings)) = (handle(config)?, &config.redis) else {
        return Ok(());
    };

    let nodes = match redis.inspect().await {
        Ok(nodes) => nodes,
        Err(failure) => {
            check_nodes(config, settings).await?;
            return Err(unreachable(settings, failure));
        }
    };

    for node in nodes {
        let address = if node.address.is_empty() {
            settings.shown()
        } else {
            node.address.clone()
        };

        check_kind(&node, &address, &settings.spelled)?;
        check_profile(config, &node, &address, &settings.spelled)?;
        check_eviction(&node, &address, config.tokens.strategy, settings.eviction)?;
        report(&node, &address, config.tokens.strategy);
    }
    Ok(())
}

/// Returns the error for a failure of Redis.
pub(crate) fn unreachable(settings: &Settings, failure: Failure) -> Error {
    redis_store(settings).failed(failure)
}

/// Checks that all of several configured servers are nodes of a cluster.
///
/// The client of a cluster fails without a reason if one of them isn't. Servers that don't answer
/// are skipped.
///
/// # Errors
/// Returns a [`ConfigError`] that names the setting.
pub(super) async fn check_nodes(config: &Config, settings: &Settings) -> Result<(), ConfigError> {
    let urls: Vec<&str> = settings.url.split(',').map(str::trim).collect();
    for url in urls
        .iter()
        .filter(|_| urls.len() > 1 && !names_sentinels(&settings.url))
    {
        let nodes = connect(config, settings, url)?
            .inspect()
            .await
            .unwrap_or_default();

        if nodes.iter().any(|node| !node.cluster) {
            let problem = "lists several servers, but one of them is not a cluster node";
            return Err(ConfigError::new(
                settings.spelled.clone(),
                problem,
                "set a single server, or nodes of one cluster",
            ));
        }
    }
    Ok(())
}

/// Refuses Sentinels, replicas and versions that are too old.
fn check_kind(node: &RedisNode, address: &str, spelled: &str) -> Result<(), ConfigError> {
    if node.sentinel {
        let problem = format!("Redis at {address} is a Sentinel, which stores no data");
        let cure = "connect through the Sentinels with the name of the master, for example \
             redis+sentinel://sentinel-1:26379,sentinel-2:26379/mymaster";
        return Err(ConfigError::new(spelled.to_owned(), problem, cure));
    }

    if node.replica {
        let problem = format!("Redis at {address} is a replica, which accepts no writes");
        return Err(ConfigError::new(
            spelled.to_owned(),
            problem,
            "set the URL of its master, or of its Sentinels",
        ));
    }

    if node.is_too_old() {
        let problem = format!(
            "Redis at {address} has the unsupported version {:?}",
            node.version
        );
        return Err(ConfigError::new(
            spelled.to_owned(),
            problem,
            "use version 7.0 or newer",
        ));
    }

    Ok(())
}

/// Refuses a cluster in the profile of litestar-auth, whose keys can't be spread over one.
fn check_profile(
    config: &Config,
    node: &RedisNode,
    address: &str,
    spelled: &str,
) -> Result<(), ConfigError> {
    let tokens = &config.tokens;
    if node.cluster
        && tokens.strategy == StrategyKind::Redis
        && tokens.profile == Profile::LitestarAuth
    {
        let problem = format!(
            "Redis at {address} is a cluster, which profile litestar-auth does not support"
        );
        let cure = "use a single server, or set profile to countersign";
        return Err(ConfigError::new(spelled.to_owned(), problem, cure));
    }
    Ok(())
}

/// Refuses a server that may evict keys, or warns about it.
///
/// A token that is evicted logs a user out, which is safe. An id that is evicted from the denylist
/// makes a revoked token valid again. So only the latter is refused.
fn check_eviction(
    node: &RedisNode,
    address: &str,
    strategy: StrategyKind,
    eviction: Eviction,
) -> Result<(), ConfigError> {
    if !node.may_evict() {
        return Ok(());
    }

    let policy = if node.eviction.is_empty() {
        "unknown"
    } else {
        node.eviction.as_str()
    };

    if strategy == StrategyKind::Jwt && eviction == Eviction::Refuse {
        let problem = format!(
            "is `refuse`, but Redis at {address} may evict keys (maxmemory-policy is \
             {policy}), which would make revoked tokens valid again"
        );
        let cure = "run `CONFIG SET maxmemory-policy noeviction` on Redis and add it to its \
             configuration file, or set this to `warn`";
        return Err(ConfigError::new(REDIS_EVICTION.env(), problem, cure));
    }

    let risk = match strategy {
        StrategyKind::Jwt => "a revoked token becomes valid again if its key is evicted",
        StrategyKind::Redis | StrategyKind::Database => {
            "a user is logged out if their key is evicted"
        }
    };
    tracing::warn!(event = "redis_may_evict", address, policy, "{risk}");
    Ok(())
}

/// Logs the version and the persistence of a server, and warns if it may lose writes.
fn report(node: &RedisNode, address: &str, strategy: StrategyKind) {
    let (version, persistence) = (node.version.as_str(), words(node.persistence));
    tracing::info!(event = "redis_node", address, version, persistence);

    if matches!(
        node.persistence,
        Persistence::Everything | Persistence::AllButASecond
    ) {
        return;
    }

    let risk = match strategy {
        StrategyKind::Jwt => {
            "if Redis stops, a revoked token may become valid again until it expires"
        }
        StrategyKind::Redis | StrategyKind::Database => {
            "if Redis stops, sessions may be lost and logouts undone"
        }
    };
    tracing::warn!(event = "redis_may_forget", address, persistence, "{risk}");
}

/// Returns the text of a kind of persistence for the log.
const fn words(persistence: Persistence) -> &'static str {
    match persistence {
        Persistence::Everything => "everything",
        Persistence::AllButASecond => "everything but the last second",
        Persistence::AllButUnwritten => "everything but unflushed writes",
        Persistence::Snapshots => "snapshots",
        Persistence::Nothing => "nothing",
        _ => "unknown",
    }
}
