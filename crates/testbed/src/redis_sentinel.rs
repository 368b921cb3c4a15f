//! A Redis master with replicas, and the Sentinels that watch it.

use std::thread;

use crate::redis::Redis;
use crate::wait::wait_until;

/// The name under which the Sentinels know the master.
const NAME: &str = "main";

/// One Redis master with two replicas, and three Sentinels that promote a replica when the master
/// is gone.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

impl RedisSentinel {
    /// Starts a group that no other test uses.
    pub fn dedicated() -> Self {
        let servers = thread::scope(|scope| {
            let starting: Vec<_> = (0..3).map(|_| scope.spawn(Redis::watched)).collect();
            starting
                .into_iter()
                .map(|server| server.join().expect("the server starts"))
                .collect::<Vec<_>>()
        });

        let (master, replicas) = servers.split_first().expect("three servers");
        let port = port(master).to_owned();
        for replica in replicas {
            replica.command(&["REPLICAOF", "127.0.0.1", &port]);
        }

        let sentinels = (0..3).map(|_| Redis::sentinel(NAME, &port, 2)).collect();
        let group = Self { servers, sentinels };
        group.wait_until_whole();
        group
    }

    /// Returns the URL of the master that the Sentinels watch.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", port(sentinel)))
            .collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Returns the present master, as a Sentinel names it.
    pub fn master(&self) -> &Redis {
        let sentinel = self
            .sentinels
            .iter()
            .find(|sentinel| sentinel.is_awake())
            .expect("a Sentinel is left");
        let address = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        let named = address.lines().last().unwrap_or_default();
        self.servers
            .iter()
            .find(|server| port(server) == named)
            .expect("the master is one of the group")
    }

    /// Returns the servers. The first one was the first master.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// Returns the Sentinels.
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Waits until the Sentinels know each other and both replicas, and the replicas have the data
    /// of the master.
    pub fn wait_until_whole(&self) {
        wait_until("the Sentinels know all", || {
            self.sentinels.iter().all(|sentinel| {
                let facts = sentinel.command(&["SENTINEL", "MASTER", NAME]);
                fact(&facts, "num-slaves") == "2" && fact(&facts, "num-other-sentinels") == "2"
            })
        });

        wait_until("the replicas follow", || {
            self.master()
                .command(&["INFO", "replication"])
                .matches("state=online")
                .count()
                == 2
        });
    }
}

/// Returns the port in a server's URL.
fn port(server: &Redis) -> &str {
    server
        .url()
        .rsplit_once(':')
        .map(|(_, port)| port)
        .expect("a URL with a port")
}

/// Returns the line after the one that is `name`, in an answer of names and values.
fn fact<'a>(facts: &'a str, name: &str) -> &'a str {
    let mut lines = facts.lines();
    lines
        .find(|line| *line == name)
        .and_then(|_| lines.next())
        .unwrap_or_default()
}
