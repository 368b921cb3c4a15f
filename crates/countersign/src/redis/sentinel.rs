//! Redis Sentinel: asks the Sentinels which server is the master now, and connects to it.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, ServerErrorKind, TlsCertificates, make_extension_error,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::error::ConfigError;
use crate::redis::hello::Hello;
use crate::redis::url::{Service, refused};

/// The Sentinels that watch one master.
///
/// All of them are asked at once, and the majority decides: a Sentinel that was cut off from the
/// others may still name the former master. The client of the `redis` crate asks one after another,
/// so a silent Sentinel would use up the whole timeout.
pub(super) struct Sentinels {
    /// The name of the master, as the Sentinels know it.
    name: String,
    /// One client for each Sentinel.
    clients: Vec<Client>,
    /// The user, the password and the database at the master.
    settings: RedisConnectionInfo,
    /// The URL scheme of the master: `redis` or `rediss`.
    scheme: &'static str,
    authorities: Option<Vec<u8>>,
    tcp: TcpSettings,
    config: AsyncConnectionConfig,
    /// The time that the Sentinels have to answer: a third of the timeout of an operation.
    patience: Duration,
}

/// The error code for Sentinels that don't know the name of the master.
pub(super) const UNKNOWN_MASTER: &str = "the Sentinels monitor no master of that name";

/// The host and the port of a master.
type Address = (String, u16);

impl Sentinels {
    /// Prepares a client for each Sentinel.
    pub(super) fn new(
        service: Service,
        authorities: Option<Vec<u8>>,
        tcp: TcpSettings,
        config: AsyncConnectionConfig,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let clients: RedisResult<Vec<Client>> = service
            .sentinels
            .into_iter()
            .map(|node| client(node.set_tcp_settings(tcp.clone()), authorities.clone()))
            .collect();

        Ok(Self {
            name: service.name,
            clients: clients.map_err(|_| refused("is not a usable URL"))?,
            settings: service.settings,
            scheme: service.scheme,
            authorities,
            tcp,
            config,
            patience: timeout / 3,
        })
    }

    /// Asks for the present master and connects to it.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let (host, port) = self.master().await?;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };

        let node = format!("{}://{host}:{port}", self.scheme).into_connection_info()?;
        let node = node
            .set_redis_settings(self.settings.clone())
            .set_tcp_settings(self.tcp.clone());
        let client = client(node, self.authorities.clone())?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;

        // During a failover the Sentinels may already name a server that hasn't been promoted yet,
        // or still name a master that has become a replica.
        if Hello::ask(&connection).await?.role == "replica" {
            return Err((
                ErrorKind::Server(ServerErrorKind::ReadOnly),
                "the server that the Sentinels name is not a master yet",
            )
                .into());
        }
        Ok(connection)
    }

    /// Returns the address that most Sentinels name.
    ///
    /// An address that more than half of all Sentinels name is returned at once. Without such a
    /// majority, it is the address that was named most often in the answers that came in time.
    async fn master(&self) -> RedisResult<Address> {
        let mut answers: FuturesUnordered<_> =
            self.clients.iter().map(|client| self.ask(client)).collect();
        let (mut votes, mut error) = (Vec::<(Address, usize)>::new(), None);
        let most = self.clients.len() / 2;
        let counted = async {
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(address) => {
                        let at = votes
                            .iter()
                            .position(|(named, _)| *named == address)
                            .unwrap_or(votes.len());
                        if at == votes.len() {
                            votes.push((address, 0));
                        }
                        if let Some((_, count)) = votes.get_mut(at) {
                            *count += 1;
                            if *count > most {
                                return;
                            }
                        }
                    }
                    Err(said) => error = Some(said),
                }
            }
        };

        let in_time = tokio::time::timeout(self.patience, counted).await.is_ok();
        // Of two addresses with as many votes, the one that was named first.
        let named = votes
            .into_iter()
            .rev()
            .max_by_key(|(_, count)| *count)
            .map(|(address, _)| address);

        named.ok_or_else(|| match error {
            Some(error) if in_time => error,
            _ => (ErrorKind::Io, "no Sentinel answers").into(),
        })
    }

    /// Asks one Sentinel for the address of the master.
    async fn ask(&self, client: &Client) -> RedisResult<Address> {
        let mut sentinel = client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        let mut command = ::redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let address: Option<Address> = command.query_async(&mut sentinel).await?;
        address.ok_or_else(|| make_extension_error(UNKNOWN_MASTER.to_owned(), None))
    }
}

/// Builds a client, which trusts the given authorities if there are any.
fn client(node: ConnectionInfo, authorities: Option<Vec<u8>>) -> RedisResult<Client> {
    match authorities {
        Some(_) => Client::build_with_tls(
            node,
            TlsCertificates {
                client_tls: None,
                root_cert: authorities,
            },
        ),
        None => Client::open(node),
    }
}
