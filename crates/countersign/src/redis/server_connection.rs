//! Connections: one that all callers share, or those to the nodes of a cluster.
//!
//! A [`Target`] knows where to connect. It makes a [`ServerConnection`], which sends commands.
//! After an error, [`Target::loss`] decides how much of the connection is lost. The retries themselves
//! are in the parent module.

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
    Arg, AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    ServerErrorKind, TlsCertificates, Value,
};

use crate::error::ConfigError;
use crate::redis::error::{Trouble, is_broken};
use crate::redis::hello::Hello;
use crate::redis::one_connection::OneConnection;
use crate::redis::sentinel::Sentinels;
use crate::redis::symptom::cause;
use crate::redis::url::{Parsed, Servers, refused};

/// The limit of the cluster client's own retries, so high that the timeout always comes first.
///
/// A lower one would give up early where a moving slot sends a command back and forth without a
/// wait.
const RETRIES: u32 = 1_000_000;
/// The shortest and the longest wait of the cluster client between two tries, in milliseconds.
const RETRY_WAIT: (u64, u64) = (10, 250);
/// The time that a connection may be idle before the kernel probes its other end.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The number of requests that may wait to be written to one connection.
const QUEUE: usize = 1024;

/// The way to connect: addresses, credentials and TLS.
pub(super) enum Target {
    /// One address.
    Single(Box<Single>),
    /// The nodes of a cluster.
    Cluster(Box<ClusterClient>),
    /// Sentinels, which name the master.
    Watched(Box<Sentinels>),
}

/// One address. It may turn out to be a node of a cluster, because a cluster often has one host
/// name for all of its nodes.
pub(super) struct Single {
    client: Client,
    config: AsyncConnectionConfig,
    /// The client for the case that the server is a node of a cluster. `None` if it can't be one: a
    /// cluster has neither a socket nor a database other than 0.
    cluster: Option<ClusterClient>,
    /// `true` once the server has said that it is a node of a cluster.
    is_cluster: AtomicBool,
}

/// A connection, or the connections of a cluster.
pub(super) enum ServerConnection {
    /// One connection.
    Single(OneConnection),
    /// The connections to the nodes, and the number of commands that were answered on them.
    Cluster(ClusterConnection, AtomicU64),
}

impl Target {
    /// Prepares the clients for a URL.
    pub(super) fn new(url: Parsed, timeout: Duration) -> Result<Self, ConfigError> {
        // A peer that vanished without closing the connection is noticed by the kernel: by a
        // keepalive probe, or at the latest when data that was sent isn't acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(
            TcpKeepalive::new()
                .with_time(KEEPALIVE)
                .with_interval(timeout.max(Duration::from_secs(1))),
        );
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(timeout.saturating_mul(2));

        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: url.authorities,
        };

        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);

        Ok(match url.servers {
            Servers::One(node) => {
                let node = node.set_tcp_settings(tcp.clone());
                Self::Single(Box::new(Single::new(
                    node,
                    tcp,
                    certificates,
                    config,
                    timeout,
                )?))
            }
            Servers::Watched(service) => Self::Watched(Box::new(Sentinels::new(
                *service,
                certificates.root_cert,
                tcp,
                config,
                timeout,
            )?)),
            Servers::Cluster(nodes) => {
                Self::Cluster(Box::new(cluster(nodes, tcp, &certificates, timeout)?))
            }
        })
    }

    /// Returns `true` if the target is known to be a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        match self {
            Self::Single(single) => single.is_cluster.load(Relaxed),
            Self::Cluster(_) => true,
            Self::Watched(_) => false,
        }
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<ServerConnection, RedisError> {
        Ok(match self {
            Self::Single(single) => single.connect().await?,
            Self::Watched(sentinels) => ServerConnection::alone(sentinels.connect().await?),
            Self::Cluster(client) => {
                ServerConnection::Cluster(client.get_async_connection().await?, AtomicU64::new(0))
            }
        })
    }

    /// Returns how much of a connection is lost after the error of a command.
    ///
    /// `others` is `true` if other commands were answered on the connection while this one waited.
    ///
    /// The cluster client replaces connections to nodes when they break. It doesn't when a node is
    /// silent: it sends to that node again and again, even after the cluster has promoted another
    /// one. It can also get stuck as a whole for ever, if it looks up the slots while a node is
    /// lost. Then no command is answered.
    pub(super) fn loss(&self, trouble: &Trouble, others: bool) -> ConnectionLoss {
        match trouble {
            Trouble::Silence(_) if others => ConnectionLoss::Part,
            Trouble::Silence(_) => ConnectionLoss::Whole,
            Trouble::Reported(error) if self.is_worth_another(error) => ConnectionLoss::Whole,
            Trouble::Reported(_) | Trouble::Unconnected(_) => ConnectionLoss::Nothing,
        }
    }

    /// Returns `true` if sending the command again on another connection may help at once.
    pub(super) fn is_worth_another(&self, error: &RedisError) -> bool {
        match self {
            Self::Single(_) | Self::Watched(_) if !self.is_cluster() => {
                is_broken(error) || is_replica(error)
            }
            _ => is_over(error),
        }
    }
}

impl Single {
    /// Prepares the client of one address, and that of a cluster if the address may lead to one.
    fn new(
        node: ConnectionInfo,
        tcp: TcpSettings,
        certificates: TlsCertificates,
        config: AsyncConnectionConfig,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let is_tcp = !matches!(node.addr(), ConnectionAddr::Unix(_));
        let cluster = if is_tcp && node.redis_settings().db() == 0 {
            Some(cluster(vec![node.clone()], tcp, &certificates, timeout)?)
        } else {
            None
        };

        let client = if certificates.root_cert.is_some() {
            Client::build_with_tls(node, certificates)
        } else {
            Client::open(node)
        };
        Ok(Self {
            client: client.map_err(|_| refused("is not a usable URL"))?,
            config,
            cluster,
            is_cluster: AtomicBool::new(false),
        })
    }

    /// Connects, and switches to the cluster client if the server is a node of a cluster.
    async fn connect(&self) -> Result<ServerConnection, RedisError> {
        let Some(cluster) = &self.cluster else {
            return Ok(ServerConnection::alone(self.connect_alone().await?));
        };

        if !self.is_cluster.load(Relaxed) {
            let connection = self.connect_alone().await?;
            if Hello::ask(&connection).await?.mode != "cluster" {
                return Ok(ServerConnection::alone(connection));
            }
            self.is_cluster.store(true, Relaxed);
        }

        Ok(ServerConnection::Cluster(
            cluster.get_async_connection().await?,
            AtomicU64::new(0),
        ))
    }

    /// Connects to this one address.
    async fn connect_alone(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await
    }
}

/// Builds the client of a cluster.
fn cluster(
    nodes: Vec<ConnectionInfo>,
    tcp: TcpSettings,
    certificates: &TlsCertificates,
    timeout: Duration,
) -> Result<ClusterClient, ConfigError> {
    let mut builder = ClusterClientBuilder::new(
        nodes
            .into_iter()
            .map(|node| node.set_tcp_settings(tcp.clone())),
    )
    // The client connects to the given nodes and then to all nodes. Both steps have to fit into
    // the timeout of an operation even if one node is silent.
    .connection_timeout(timeout / 3)
    .response_timeout(timeout / 2)
    // The deadline of the operation ends it.
    .overall_response_timeout(None)
    .retries(RETRIES)
    // A constant wait. For a growing one the client computes powers, which overflow after many
    // retries, and its background task would end with a panic.
    .retry_wait_formula(RETRY_WAIT.1, 1)
    .min_retry_wait(RETRY_WAIT.0)
    .max_retry_wait(RETRY_WAIT.1)
    .tcp_settings(tcp);

    if certificates.root_cert.is_some() {
        builder = builder.certs(certificates.clone());
    }
    builder.build().map_err(|_| refused("is not a usable URL"))
}

/// The part of a connection that can't be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionLoss {
    /// No part.
    Nothing,
    /// The connection to one node of the cluster. Other nodes answer.
    Part,
    /// The whole connection.
    Whole,
}

/// Returns `true` if the connection to a cluster has no node left, or if nothing serves it because
/// the runtime on which it was made has ended.
fn is_over(error: &RedisError) -> bool {
    let io = cause(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    error.kind() == ErrorKind::ClusterConnectionNotFound
        || io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// Returns `true` if the server is a replica. After a failover the same host name may lead to the
/// new master.
fn is_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// The node of a cluster that a command is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum TargetNode<'a> {
    /// The node that has the key of the command.
    OfKey,
    /// The node that has this key, for a command without keys.
    Beside(&'a str),
}

impl TargetNode<'_> {
    /// Returns a key that the node has.
    pub(super) fn key(self, command: &Cmd) -> Vec<u8> {
        match self {
            Self::OfKey => key_of(command).to_owned(),
            Self::Beside(key) => key.as_bytes().to_owned(),
        }
    }
}

/// Returns the first key of a script, or the first argument of another command.
fn key_of(command: &Cmd) -> &[u8] {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => b"",
    });
    let is_script = words.next().is_some_and(|name| name.starts_with(b"EVAL"));
    words.nth(if is_script { 2 } else { 0 }).unwrap_or_default()
}

impl ServerConnection {
    /// Wraps the connection to one server.
    fn alone(client: MultiplexedConnection) -> Self {
        Self::Single(OneConnection::new(client))
    }

    /// Sends a command and returns its answer. An error that Redis returns is an error here as
    /// well.
    pub(super) async fn send(
        &self,
        command: &Cmd,
        place: TargetNode<'_>,
    ) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.send(command).await?.extract_error(),
            Self::Cluster(connection, answered) => {
                let answer = Box::pin(send_within(connection.clone(), command, place)).await?;
                answered.fetch_add(1, Relaxed);
                answer.extract_error()
            }
        }
    }

    /// Returns the number of commands that were answered so far. Only a cluster counts them.
    pub(super) fn answered(&self) -> u64 {
        match self {
            Self::Single(_) => 0,
            Self::Cluster(_, answered) => answered.load(Relaxed),
        }
    }

    /// Returns `true` if the master that has `key` answers.
    ///
    /// The command needs a key. The client sends a command without keys to any node if it can't
    /// reach the right one.
    pub(super) async fn is_served(&self, key: &[u8]) -> bool {
        self.send(::redis::cmd("EXISTS").arg(key), TargetNode::OfKey)
            .await
            .is_ok()
    }
}

/// Sends a command to its node of a cluster.
async fn send_within(
    mut cluster: ClusterConnection,
    command: &Cmd,
    place: TargetNode<'_>,
) -> Result<Value, RedisError> {
    match place {
        TargetNode::OfKey => cluster.req_packed_command(command).await,
        TargetNode::Beside(key) => {
            let master =
                SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
            cluster
                .route_command(command.clone(), RoutingInfo::SingleNode(master))
                .await
        }
    }
}

/// Shows the variant only, because the clients know the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single(..)",
            Self::Cluster(_) => "Cluster(..)",
            Self::Watched(_) => "Watched(..)",
        })
    }
}
