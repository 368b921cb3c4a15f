//! Connections: one that all callers share, or those to the nodes of a cluster.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::io::tcp::TcpSettings;
use ::redis::io::tcp::socket2::TcpKeepalive;
use ::redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind,
    TlsCertificates, Value,
};

use crate::error::ConfigError;
use crate::redis::error::{Trouble, cause};
use crate::redis::hello::Hello;
use crate::redis::sentinel::Sentinels;
use crate::redis::url::{Parsed, Servers, refused};

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
    Single(Box<Single>),
    Cluster(Box<ClusterClient>),
    Watched(Box<Sentinels>),
}

/// One server, or what turns out to be a node of a cluster: often a cluster has one name for all of its nodes.
pub(super) struct Single {
    client: Client,
    config: AsyncConnectionConfig,
    /// What reaches the cluster, if it is one: no cluster has a socket, or a database but the first.
    cluster: Option<ClusterClient>,
    is_cluster: AtomicBool,
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
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let nodes = match url.servers {
            Servers::One(node) => {
                let node = node.set_tcp_settings(tcp.clone());
                let is_tcp = !matches!(node.addr(), ConnectionAddr::Unix(_));
                let may_be_cluster = is_tcp && node.redis_settings().db() == 0;
                let nodes = may_be_cluster.then(|| vec![node.clone()]);
                let cluster = nodes.map(|nodes| cluster(nodes, tcp, &certificates, timeout)).transpose()?;
                let client = if certificates.root_cert.is_some() {
                    Client::build_with_tls(node, certificates)
                } else {
                    Client::open(node)
                };
                let client = client.map_err(|_| refused("can't be used"))?;
                let is_cluster = AtomicBool::new(false);
                return Ok(Self::Single(Box::new(Single { client, config, cluster, is_cluster })));
            }
            Servers::Watched(service) => {
                let sentinels = Sentinels::new(*service, certificates.root_cert, tcp, config, timeout)?;
                return Ok(Self::Watched(Box::new(sentinels)));
            }
            Servers::Cluster(nodes) => nodes,
        };
        Ok(Self::Cluster(Box::new(cluster(nodes, tcp, &certificates, timeout)?)))
    }

    pub(super) fn is_cluster(&self) -> bool {
        match self {
            Self::Single(single) => single.is_cluster.load(Relaxed),
            Self::Cluster(_) => true,
            Self::Watched(_) => false,
        }
    }

    pub(super) async fn connect(&self) -> Result<Link, RedisError> {
        Ok(match self {
            Self::Single(single) => single.connect().await?,
            Self::Watched(sentinels) => Link::Single(sentinels.connect().await?),
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
            Self::Single(_) | Self::Watched(_) if !self.is_cluster() => super::is_broken(error) || is_replica(error),
            _ => is_over(error),
        }
    }
}

impl Single {
    async fn connect(&self) -> Result<Link, RedisError> {
        let Some(cluster) = &self.cluster else { return Ok(Link::Single(self.connect_alone().await?)) };
        if !self.is_cluster.load(Relaxed) {
            let mut connection = self.connect_alone().await?;
            if Hello::ask(&mut connection).await?.mode != "cluster" {
                return Ok(Link::Single(connection));
            }
            self.is_cluster.store(true, Relaxed);
        }
        Ok(Link::Cluster(cluster.get_async_connection().await?, AtomicU64::new(0)))
    }

    async fn connect_alone(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client.get_multiplexed_async_connection_with_config(&self.config).await
    }
}

fn cluster(
    nodes: Vec<ConnectionInfo>,
    tcp: TcpSettings,
    certificates: &TlsCertificates,
    timeout: Duration,
) -> Result<ClusterClient, ConfigError> {
    let mut builder = ClusterClientBuilder::new(nodes.into_iter().map(|node| node.set_tcp_settings(tcp.clone())))
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
        builder = builder.certs(certificates.clone());
    }
    builder.build().map_err(|_| refused("can't be used"))
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
    let io = cause(error).and_then(|cause| cause.downcast_ref::<io::Error>());
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
        f.write_str(match self {
            Self::Single(_) => "Single(..)",
            Self::Cluster(_) => "Cluster(..)",
            Self::Watched(_) => "Watched(..)",
        })
    }
}
