//! Redis Cluster: several nodes on one machine, their failovers and their moving slots.

mod member;
mod slots;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use self::member::{Member, members};
use crate::ports::free_port;
use crate::process::run;
use crate::redis::Redis;
use crate::wait::{random, wait_until};

/// A Redis Cluster with three masters, each with one replica.
///
/// A test names a node by its place in [`urls`](Self::urls). The place stays the same, whether the
/// node is a master or a replica.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Returns the cluster that all tests of this process share.
    ///
    /// It is the one whose nodes `COUNTERSIGN_TEST_REDIS_CLUSTER_URLS` names (all of them, with
    /// commas between them), or a started one.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(
            || match std::env::var("COUNTERSIGN_TEST_REDIS_CLUSTER_URLS") {
                Ok(urls) => Self {
                    nodes: urls
                        .split(',')
                        .map(|url| Redis::named(url.trim().to_owned()))
                        .collect(),
                },
                Err(_) => Self::dedicated(),
            },
        )
    }

    /// Starts a cluster that no other test uses.
    pub fn dedicated() -> Self {
        Self::launch(6, "1")
    }

    /// Starts a cluster that no other test uses, with three masters and no replica.
    ///
    /// There, only clients use the addresses that nodes [`announce`](Self::announce). A replica
    /// would follow them too.
    pub fn masters_only() -> Self {
        Self::launch(3, "0")
    }

    /// Starts the nodes, joins them to a cluster, and waits until it is complete.
    fn launch(nodes: usize, replicas: &str) -> Self {
        let nodes = thread::scope(|scope| {
            let starting: Vec<_> = (0..nodes).map(|_| scope.spawn(launch_node)).collect();
            starting
                .into_iter()
                .map(|node| node.join().expect("the node starts"))
                .collect()
        });
        let cluster = Self { nodes };
        cluster.form(replicas);
        cluster.wait_until_ok();
        cluster
    }

    /// Returns the URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.url().to_owned())
            .collect()
    }

    /// Returns the URLs of all nodes with commas between them.
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// Returns a random prefix for the keys of one test, so that tests on one cluster don't meet.
    pub fn prefix(&self) -> String {
        format!("test_{:016x}:", random())
    }

    /// Changes the port that the cluster names for `node` to its clients and its replicas.
    pub fn announce(&self, node: usize, port: u16) {
        self.command(
            node,
            &["CONFIG", "SET", "cluster-announce-port", &port.to_string()],
        );
        let entry = format!("{} 127.0.0.1:{port}@", self.member(node).id);
        wait_until("all nodes have heard of the port", || {
            self.living().all(|at| {
                self.command(at, &["CLUSTER", "NODES"])
                    .lines()
                    .any(|line| line.starts_with(&entry))
            })
        });
    }

    /// Runs a command on one node with `redis-cli` and returns its output. Panics on an error reply
    /// or a redirection.
    pub fn command(&self, node: usize, arguments: &[&str]) -> String {
        self.node(node).command(arguments)
    }

    /// Runs a command with `redis-cli -c`, which starts at a living node and follows redirections.
    pub fn route(&self, arguments: &[&str]) -> String {
        let node = self.some_living();
        run(self.node(node).client().arg("-c").args(arguments), "")
    }

    /// Returns the living nodes that say they are masters with at least one slot.
    pub fn masters(&self) -> Vec<usize> {
        self.living()
            .filter(|&node| self.member(node).is_serving_master())
            .collect()
    }

    /// Kills a node (SIGKILL).
    pub fn kill(&self, node: usize) {
        self.node(node).kill();
    }

    /// Starts a node again after [`kill`](Self::kill), on the same port and data.
    pub fn start(&self, node: usize) {
        self.node(node).start();
    }

    /// Suspends a node: the kernel accepts connections for it, and it never answers.
    pub fn freeze(&self, node: usize) {
        self.node(node).freeze();
    }

    /// Resumes a node after [`freeze`](Self::freeze).
    pub fn thaw(&self, node: usize) {
        self.node(node).thaw();
    }

    /// Makes a replica of a living master take over without losing a write, and returns the
    /// replica, which is then the master.
    pub fn fail_over(&self, master: usize) -> usize {
        let id = self.member(master).id;
        let replica = self
            .living()
            .find(|&node| self.member(node).master.as_ref() == Some(&id));
        let replica = replica.expect("the master has a living replica");

        let mut asked: Option<Instant> = None;
        wait_until("the replica has taken over", || {
            let done = self.member(replica).is_serving_master();
            // The other masters may withhold their votes. Redis gives up after five seconds and
            // says nothing.
            if !done && asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(6)) {
                self.command(replica, &["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            done && !self.member(master).is_serving_master()
        });
        replica
    }

    /// Waits until the cluster is complete.
    ///
    /// All living nodes then report the state `ok`, agree on the roles of the nodes, list no dead
    /// node, and all living replicas have the data of their masters.
    pub fn wait_until_ok(&self) {
        wait_until("the cluster is fine", || {
            let living: Vec<usize> = self.living().collect();
            let views: BTreeSet<_> = living.iter().map(|&node| self.view(node)).collect();
            views.len() == 1
                && views.iter().all(|view| view.len() == living.len())
                && living.iter().all(|&node| self.is_ok(node))
        });
    }

    /// Joins the nodes to a cluster with `redis-cli`.
    fn form(&self, replicas: &str) {
        let addresses = self
            .nodes
            .iter()
            .map(|node| node.url().trim_start_matches("redis://"));
        let create = ["--cluster-replicas", replicas, "--cluster-yes"];

        run(
            self.node(0)
                .client()
                .args(["--cluster", "create"])
                .args(addresses)
                .args(create),
            "",
        );
    }

    fn node(&self, node: usize) -> &Redis {
        self.nodes.get(node).expect("a node of the cluster")
    }

    /// Returns the nodes that run and aren't frozen.
    fn living(&self) -> impl Iterator<Item = usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_awake())
            .map(|(node, _)| node)
    }

    fn some_living(&self) -> usize {
        self.living().next().expect("a node that runs")
    }

    /// Returns the entry that a node has for itself.
    fn member(&self, node: usize) -> Member {
        let nodes = self.command(node, &["CLUSTER", "NODES"]);
        members(&nodes)
            .find(Member::is_myself)
            .expect("a node knows itself")
    }

    /// Returns the nodes that a node can reach, as it sees them.
    fn view(&self, node: usize) -> View {
        let nodes = self.command(node, &["CLUSTER", "NODES"]);
        let reached = members(&nodes).filter(|member| !member.is_lost());
        reached
            .map(|member| (member.id, member.master, member.slots))
            .collect()
    }

    /// Returns `true` if a node reports the state `ok` and, as a replica, is connected to its
    /// master.
    fn is_ok(&self, node: usize) -> bool {
        let role = self.command(node, &["ROLE"]);
        let is_in_step = role.starts_with("master") || role.lines().nth(3) == Some("connected");
        is_in_step
            && self
                .command(node, &["CLUSTER", "INFO"])
                .contains("cluster_state:ok")
    }
}

/// The id, the master and the slots of each node.
type View = BTreeSet<(String, Option<String>, Vec<(u16, u16)>)>;

/// Starts one node, which isn't part of a cluster yet.
fn launch_node() -> Redis {
    Redis::launch("redis", |port, _| {
        let bus = free_port();
        // Quick to notice a dead master, and never too out of date to replace it.
        let voting = "cluster-node-timeout=1000 cluster-replica-validity-factor=0 repl-diskless-sync-delay=0";
        let fixed = "cluster-enabled=yes cluster-config-file=nodes.conf appendonly=yes appendfsync=everysec";
        format!("port={port} cluster-port={bus} {fixed} {voting}")
            .split(' ')
            .map(str::to_owned)
            .collect()
    })
}
