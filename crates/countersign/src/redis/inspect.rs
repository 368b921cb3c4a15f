//! The settings of a Redis server that decide whether it can be trusted with revocations.

use ::redis::{Value, from_redis_value};

use crate::error::Failure;
use crate::redis::Redis;
use crate::redis::hello::Hello;

/// The oldest usable major version. Older ones don't know the flags in a script's first line.
const OLDEST: u32 = 7;

/// The version and the settings of one server, or of one master of a cluster.
///
/// [`Redis::inspect`] returns them. Before an application relies on Redis, it should check that
/// [`is_too_old`](Self::is_too_old), [`may_evict`](Self::may_evict), [`sentinel`](Self::sentinel)
/// and [`replica`](Self::replica) are `false`, and that [`persistence`](Self::persistence) is what
/// it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisNode {
    /// The host and port of the node, as the cluster knows them. Empty for a single server.
    pub address: String,
    /// The version, such as `7.0.15`.
    pub version: String,
    /// `true` if the server is a node of a cluster.
    pub cluster: bool,
    /// `true` if the server is a Sentinel, which stores nothing.
    pub sentinel: bool,
    /// `true` if the server is a replica, which accepts no writes.
    pub replica: bool,
    /// The setting `maxmemory`, in bytes. 0 means that there is no limit, or that the user may not
    /// read it.
    pub max_memory: u64,
    /// The setting `maxmemory-policy`. Empty if the user may not read it.
    pub eviction: String,
    /// The amount of data that survives the end of the server's process.
    pub persistence: Persistence,
}

/// The amount of data that survives the end of a server's process.
///
/// A revocation that is lost makes a revoked token valid again. A token that is lost only logs a
/// user out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Persistence {
    /// Everything that was acknowledged (`appendfsync always`).
    Everything,
    /// Everything but about the last second (`appendfsync everysec`).
    AllButASecond,
    /// Everything but what the operating system had not written to disk yet (`appendfsync no`).
    AllButUnwritten,
    /// The last snapshot (`save`).
    Snapshots,
    /// No data: neither an append-only file nor snapshots are switched on.
    Nothing,
    /// Unknown, because the user may not read the settings.
    Unknown,
}

impl RedisNode {
    /// Returns `true` if the server drops live keys when its memory is full.
    ///
    /// That is so for each `maxmemory-policy` but `noeviction`, even while there is no limit,
    /// because a limit can be set at any time. An unknown policy counts as one that evicts.
    pub fn may_evict(&self) -> bool {
        self.eviction != "noeviction"
    }

    /// Returns `true` if the server is older than Redis 7.0 or its version is unknown. The scripts
    /// of this crate don't run there.
    pub fn is_too_old(&self) -> bool {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        major.is_none_or(|major| major < OLDEST)
    }

    /// Reads an answer to `HELLO`, which reveals nothing about memory and persistence.
    fn of_few_words((address, said): (String, Value)) -> Self {
        let hello = Hello::read(said);
        Self {
            address,
            version: hello.version,
            cluster: hello.mode == "cluster",
            sentinel: hello.mode == "sentinel",
            replica: hello.role == "replica",
            max_memory: 0,
            eviction: String::new(),
            persistence: Persistence::Unknown,
        }
    }

    /// Reads an answer to `INFO`, and the settings `appendfsync` and `save` if they are known.
    fn read(address: String, info: &str, fsync: Option<&str>, saves: Option<&str>) -> Self {
        let persistence = match (field(info, "aof_enabled") == "1", fsync) {
            (true, Some("always")) => Persistence::Everything,
            (true, Some("everysec")) => Persistence::AllButASecond,
            (true, Some(_)) => Persistence::AllButUnwritten,
            (true, None) => Persistence::Unknown,
            (false, _) if saves.is_some_and(str::is_empty) => Persistence::Nothing,
            (false, _) => Persistence::Snapshots,
        };

        Self {
            address,
            version: field(info, "redis_version"),
            cluster: field(info, "cluster_enabled") == "1",
            sentinel: field(info, "redis_mode") == "sentinel",
            replica: field(info, "role") == "slave",
            max_memory: field(info, "maxmemory").parse().unwrap_or(0),
            eviction: field(info, "maxmemory_policy"),
            persistence,
        }
    }
}

impl Redis {
    /// Returns the version, the eviction policy and the persistence of the server, or of every
    /// master of the cluster.
    ///
    /// A user who may not send `INFO` or `CONFIG GET` gets less: the persistence may be
    /// [`Unknown`](Persistence::Unknown), and the eviction policy empty. Managed servers often
    /// refuse `CONFIG`.
    ///
    /// # Errors
    /// [`Failure`] if the server or one of the masters doesn't answer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use countersign::redis::{Persistence, Redis, RedisOptions};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
    /// for node in redis.inspect().await? {
    ///     if node.may_evict() || node.persistence == Persistence::Nothing {
    ///         eprintln!("{} may forget revocations", node.address);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn inspect(&self) -> Result<Vec<RedisNode>, Failure> {
        let infos = match self
            .on_masters(::redis::cmd("INFO").arg("everything"))
            .await
        {
            Ok(infos) => infos,
            // The user may lack the right to `INFO`. Every user may send `HELLO`.
            Err(failure) => match self.on_masters(&Hello::command()).await {
                Ok(said) => return Ok(said.into_iter().map(RedisNode::of_few_words).collect()),
                Err(_) => return Err(failure),
            },
        };

        let mut config = ::redis::cmd("CONFIG");
        // Managed servers often refuse `CONFIG`, so an error only leaves the settings unknown.
        let settings = self
            .on_masters(config.arg("GET").arg("appendfsync").arg("save"))
            .await
            .unwrap_or_default();

        let nodes = infos.into_iter().map(|(address, info)| {
            let settings = settings_of(&settings, &address);
            let fsync = setting(&settings, "appendfsync");
            let saves = setting(&settings, "save");
            RedisNode::read(address, &text(info), fsync, saves)
        });
        Ok(nodes.collect())
    }
}

/// Returns the text of an answer to `INFO`, which is empty if the answer isn't one.
fn text(info: Value) -> String {
    from_redis_value(info).unwrap_or_default()
}

/// Returns the value of a field in an answer to `INFO`, which is empty without the field.
fn field(info: &str, name: &str) -> String {
    info.lines()
        .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_default()
        .to_owned()
}

/// Returns the settings that the node with this address has answered, with their names.
fn settings_of(answers: &[(String, Value)], address: &str) -> Vec<(String, String)> {
    answers
        .iter()
        .find(|(of, _)| of == address)
        .and_then(|(_, settings)| from_redis_value(settings.clone()).ok())
        .unwrap_or_default()
}

/// Returns the value of the setting with this name, or `None` if it isn't known.
fn setting<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a str> {
    settings
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nmaxmemory:1024\r\nmaxmemory_policy:allkeys-lru\r\n\
                    aof_enabled:1\r\ncluster_enabled:1\r\n";
        let node = RedisNode::read("a:1".to_owned(), info, Some("everysec"), None);
        assert_eq!(
            (node.version.as_str(), node.max_memory, node.cluster),
            ("7.0.15", 1024, true)
        );
        assert!(node.may_evict() && !node.is_too_old());
        assert_eq!(node.persistence, Persistence::AllButASecond);
        let bare = RedisNode::read(
            String::new(),
            "redis_version:6.2.1\r\nmaxmemory_policy:noeviction",
            None,
            Some(""),
        );
        assert!(!bare.may_evict() && bare.is_too_old());
        assert_eq!(bare.persistence, Persistence::Nothing);
    }
}
