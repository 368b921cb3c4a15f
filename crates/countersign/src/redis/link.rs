//! Connections: one that all callers share, or those to the nodes of a cluster.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::io::tcp::TcpSettings;
use ::redis::io::tcp::socket2::TcpKeepalive;
use ::redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, TlsCertificates, Value,
};

use crate::error::ConfigError;
use crate::redis::error::Trouble;
use crate::redis::url::{Parsed, refused};

/// How often a node of a cluster is tried again, at most: the timeout ends it before that, also where a slot that moves
/// sends a command to and fro without a wait.
const RETRIES: u32 = 1_000_000;
/// The shortest and the longest wait between two tries, in milliseconds.
const RETRY_WAIT: (u64, u64) = (10, 250);
/// How long a connection may be idle before its other end is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Requests that may wait to be written to one connection.
const QUEUE: usize = 1024;

/// Where to connect, and how.
pub(super) enum Target {
    Single(Box<Client>, AsyncConnectionConfig),
    Cluster(Box<::redis::cluster::ClusterClient>),
}

/// A connection, or as many as a cluster needs.
pub(super) enum Link {
    Single(MultiplexedConnection),
    /// With how many commands have been answered.
    Cluster(ClusterConnection, AtomicU64),
}

impl Target {
    pub(super) fn new(url: Parsed, timeout: Duration) -> Result<Self, ConfigError> {
        // A peer that is gone without a word is noticed by the kernel, at the latest when something is sent to it.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(timeout.max(Duration::from_secs(1))));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(timeout.saturating_mul(2));
        let certificates = TlsCertificates { client_tls: None, root_cert: url.authorities };
        let unusable = |_| refused("can't be used");
        let mut nodes = url.nodes.into_iter().map(|node| node.set_tcp_settings(tcp.clone()));
        if !url.cluster {
            let node = nodes.next().ok_or_else(|| refused("is empty"))?;
            let client = if certificates.root_cert.is_some() {
                Client::build_with_tls(node, certificates)
            } else {
                Client::open(node)
            };
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(None)
                .set_pipeline_buffer_size(QUEUE);
            return Ok(Self::Single(Box::new(client.map_err(unusable)?), config));
        }
        let mut builder = ClusterClientBuilder::new(nodes)
            // The first connections are made, and then those to all nodes: both within our time where a node is silent.
            .connection_timeout(timeout / 3)
            .response_timeout(timeout / 2)
            // Ours ends it.
            .overall_response_timeout(None)
            .retries(RETRIES)
            // Not growing: the client computes powers, which would overflow, and its task would be gone.
            .retry_wait_formula(RETRY_WAIT.1, 1)
            .min_retry_wait(RETRY_WAIT.0)
            .max_retry_wait(RETRY_WAIT.1)
            .tcp_settings(tcp);
        if certificates.root_cert.is_some() {
            builder = builder.certs(certificates);
        }
        Ok(Self::Cluster(Box::new(builder.build().map_err(unusable)?)))
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn connect(&self) -> Result<Link, RedisError> {
        Ok(match self {
            Self::Single(client, config) => {
                Link::Single(client.get_multiplexed_async_connection_with_config(config).await?)
            }
            Self::Cluster(client) => Link::Cluster(client.get_async_connection().await?, AtomicU64::new(0)),
        })
    }

    /// What is lost of the connection, by what came of a command; `others` says whether others were answered meanwhile.
    ///
    /// A cluster's replaces those to its nodes by itself when they break. It doesn't when they are silent: it sends to a
    /// silent node again and again, also when the cluster has another one in its place. And it can be stuck as a whole,
    /// for ever, once it has looked for slots while a node was lost; then nobody is answered.
    pub(super) fn loss(&self, trouble: &Trouble, others: bool) -> Loss {
        match trouble {
            Trouble::Silence(_) if others => Loss::Part,
            Trouble::Silence(_) => Loss::Whole,
            Trouble::Said(error) if self.is_worth_another(error) => Loss::Whole,
            Trouble::Said(_) | Trouble::Unconnected(_) => Loss::Nothing,
        }
    }

    /// Whether another connection may do better at once.
    pub(super) fn is_worth_another(&self, error: &RedisError) -> bool {
        match self {
            Self::Single(..) => super::is_broken(error) || is_replica(error),
            Self::Cluster(_) => is_over(error),
        }
    }
}

/// How much of a connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Nothing,
    /// The way to a node of the cluster; others answer.
    Part,
    Whole,
}

/// The connection to a cluster has no node left, or nobody serves it: the runtime on which it was made has ended.
fn is_over(error: &RedisError) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    error.kind() == ErrorKind::ClusterConnectionNotFound || io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// The name we connected to may lead to the new master by now.
fn is_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Which node of a cluster a command is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// The one that has the command's key.
    OfKey,
    /// The one that has this key; the command has none.
    Beside(&'a str),
}

impl Place<'_> {
    /// A key of the place.
    pub(super) fn key(self, command: &Cmd) -> Vec<u8> {
        match self {
            Self::OfKey => key_of(command).to_owned(),
            Self::Beside(key) => key.as_bytes().to_owned(),
        }
    }
}

/// A script's first key, or what comes first after another command's name.
fn key_of(command: &Cmd) -> &[u8] {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => b"",
    });
    let is_script = words.next().is_some_and(|name| name.starts_with(b"EVAL"));
    words.nth(if is_script { 2 } else { 0 }).unwrap_or_default()
}

impl Link {
    pub(super) async fn send(&self, command: &Cmd, place: Place<'_>) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.clone().send_packed_command(command).await?.extract_error(),
            Self::Cluster(connection, answered) => {
                let answer = Box::pin(send_within(connection.clone(), command, place)).await?;
                answered.fetch_add(1, Relaxed);
                answer.extract_error()
            }
        }
    }

    /// How many commands have been answered so far, as far as they are counted.
    pub(super) fn answered(&self) -> u64 {
        match self {
            Self::Single(_) => 0,
            Self::Cluster(_, answered) => answered.load(Relaxed),
        }
    }

    /// Whether the master that has `key` answers. Only a command with a key tells: the client sends others to any node
    /// where it can't reach the right one.
    pub(super) async fn is_served(&self, key: &[u8]) -> bool {
        self.send(::redis::cmd("EXISTS").arg(key), Place::OfKey).await.is_ok()
    }
}

async fn send_within(mut cluster: ClusterConnection, command: &Cmd, place: Place<'_>) -> Result<Value, RedisError> {
    match place {
        Place::OfKey => cluster.req_packed_command(command).await,
        Place::Beside(key) => {
            let master = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
            cluster.route_command(command.clone(), RoutingInfo::SingleNode(master)).await
        }
    }
}

/// Hides the client: it knows the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_cluster() { "Cluster(..)" } else { "Single(..)" })
    }
}
