//! What a Redis server says of itself that matters to whoever keeps revocations in it.

use ::redis::{Value, from_redis_value};

use crate::error::Failure;
use crate::redis::Redis;
use crate::redis::hello::Hello;

/// The oldest Redis whose scripts say what they may do.
const OLDEST: u32 = 7;

/// One server, or one master of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisNode {
    /// Its address within the cluster; empty for a single server.
    pub address: String,
    /// Its version, as `7.0.15`.
    pub version: String,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// Whether it is a Sentinel, which keeps nothing.
    pub sentinel: bool,
    /// Whether it is a replica, which takes no writes.
    pub replica: bool,
    /// Its `maxmemory`, in bytes; 0 is no limit.
    pub max_memory: u64,
    /// Its `maxmemory-policy`.
    pub eviction: String,
    /// What it keeps when its process ends.
    pub persistence: Persistence,
}

/// What a server keeps when its process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Persistence {
    /// Everything that it acknowledged (`appendfsync always`).
    Everything,
    /// All but about the last second (`appendfsync everysec`).
    AllButASecond,
    /// All but what the operating system hadn't written yet (`appendfsync no`).
    AllButUnwritten,
    /// The last snapshot.
    Snapshots,
    /// Nothing.
    Nothing,
    /// It doesn't say, or has an append-only file and doesn't say how often that is synced.
    Unknown,
}

impl RedisNode {
    /// Whether it drops live keys when memory runs out: any `maxmemory-policy` but `noeviction`, even without a limit
    /// now, since a limit can be set while it runs.
    pub fn may_evict(&self) -> bool {
        self.eviction != "noeviction"
    }

    /// Whether it is too old for the scripts.
    pub fn is_too_old(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_none_or(|major| major < OLDEST)
    }

    /// What `HELLO` says: nothing of memory and persistence.
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

    fn read(address: String, info: &str, fsync: Option<&str>, saves: Option<&str>) -> Self {
        let field = |name: &str| {
            let line = |line: &str| Some(line.trim_end().strip_prefix(name)?.strip_prefix(':')?.to_owned());
            info.lines().find_map(line).unwrap_or_default()
        };
        let persistence = match (field("aof_enabled") == "1", fsync) {
            (true, Some("always")) => Persistence::Everything,
            (true, Some("everysec")) => Persistence::AllButASecond,
            (true, Some(_)) => Persistence::AllButUnwritten,
            (true, None) => Persistence::Unknown,
            (false, _) if saves.is_some_and(str::is_empty) => Persistence::Nothing,
            (false, _) => Persistence::Snapshots,
        };
        Self {
            address,
            version: field("redis_version"),
            cluster: field("cluster_enabled") == "1",
            sentinel: field("redis_mode") == "sentinel",
            replica: field("role") == "slave",
            max_memory: field("maxmemory").parse().unwrap_or(0),
            eviction: field("maxmemory_policy"),
            persistence,
        }
    }
}

impl Redis {
    /// Asks the server, or every master of the cluster, for its version, its eviction policy and its persistence.
    ///
    /// A server that doesn't let us read its configuration says less: its persistence may be
    /// [`Unknown`](Persistence::Unknown), and its eviction policy empty.
    ///
    /// # Errors
    /// [`Failure`] when one doesn't answer.
    pub async fn inspect(&self) -> Result<Vec<RedisNode>, Failure> {
        let infos = match self.on_masters(::redis::cmd("INFO").arg("everything")).await {
            Ok(infos) => infos,
            // A user without that right; every user is told the least of it.
            Err(failure) => match self.on_masters(&Hello::command()).await {
                Ok(said) => return Ok(said.into_iter().map(RedisNode::of_few_words).collect()),
                Err(_) => return Err(failure),
            },
        };
        let mut config = ::redis::cmd("CONFIG");
        // Managed servers often refuse this one.
        let settings = self.on_masters(config.arg("GET").arg("appendfsync").arg("save")).await.unwrap_or_default();
        let nodes = infos.into_iter().map(|(address, info)| {
            let settings = settings.iter().find(|(of, _)| *of == address).map(|(_, settings)| settings.clone());
            let settings = settings.and_then(|settings| from_redis_value::<Vec<(String, String)>>(settings).ok());
            let setting = |name: &str| settings.iter().flatten().find(|(known, _)| known == name);
            let value = |name: &str| setting(name).map(|(_, value)| value.as_str());
            RedisNode::read(address, &text(info), value("appendfsync"), value("save"))
        });
        Ok(nodes.collect())
    }
}

fn text(info: Value) -> String {
    from_redis_value(info).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nmaxmemory:1024\r\nmaxmemory_policy:allkeys-lru\r\n\
                    aof_enabled:1\r\ncluster_enabled:1\r\n";
        let node = RedisNode::read("a:1".to_owned(), info, Some("everysec"), None);
        assert_eq!((node.version.as_str(), node.max_memory, node.cluster), ("7.0.15", 1024, true));
        assert!(node.may_evict() && !node.is_too_old());
        assert_eq!(node.persistence, Persistence::AllButASecond);
        let bare = RedisNode::read(String::new(), "redis_version:6.2.1\r\nmaxmemory_policy:noeviction", None, Some(""));
        assert!(!bare.may_evict() && bare.is_too_old());
        assert_eq!(bare.persistence, Persistence::Nothing);
    }
}
