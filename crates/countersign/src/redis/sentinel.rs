//! Redis Sentinel: who watches a master and its replicas says which of them is the master now.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisResult,
    ServerErrorKind, TlsCertificates, make_extension_error,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::error::ConfigError;
use crate::redis::hello::Hello;
use crate::redis::url::{Service, refused};

/// Sentinels that watch one master.
///
/// All of them are asked at once, and the master is the one that most of them name: one that was cut off from the others may
/// still name the former master. The driver's own client asks one after the other, so a silent one would take all the time.
pub(super) struct Sentinels {
    name: String,
    clients: Vec<Client>,
    /// How the master is spoken to.
    settings: RedisConnectionInfo,
    scheme: &'static str,
    authorities: Option<Vec<u8>>,
    tcp: TcpSettings,
    config: AsyncConnectionConfig,
    /// How long the Sentinels have to answer.
    patience: Duration,
}

/// The code of the error of Sentinels that don't know the master's name.
pub(super) const UNKNOWN_MASTER: &str = "the Sentinels watch no master of that name";

/// Where a master is: host and port.
type Address = (String, u16);

impl Sentinels {
    pub(super) fn new(
        service: Service,
        authorities: Option<Vec<u8>>,
        tcp: TcpSettings,
        config: AsyncConnectionConfig,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let client = |node: ConnectionInfo| client(node.set_tcp_settings(tcp.clone()), authorities.clone());
        let clients: RedisResult<Vec<Client>> = service.sentinels.into_iter().map(client).collect();
        Ok(Self {
            name: service.name,
            clients: clients.map_err(|_| refused("can't be used"))?,
            settings: service.settings,
            scheme: service.scheme,
            authorities,
            tcp,
            config,
            patience: timeout / 3,
        })
    }

    /// A connection to whoever is the master now.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let (host, port) = self.master().await?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let node = format!("{}://{host}:{port}", self.scheme).into_connection_info()?;
        let node = node.set_redis_settings(self.settings.clone()).set_tcp_settings(self.tcp.clone());
        let client = client(node, self.authorities.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&self.config).await?;
        if Hello::ask(&mut connection).await?.role == "replica" {
            return Err(
                (ErrorKind::Server(ServerErrorKind::ReadOnly), "whom the Sentinels name is no master yet").into()
            );
        }
        Ok(connection)
    }

    /// The address that most Sentinels name of those that answer in time.
    async fn master(&self) -> RedisResult<Address> {
        let mut answers: FuturesUnordered<_> = self.clients.iter().map(|client| self.ask(client)).collect();
        let (mut votes, mut error) = (Vec::<(Address, usize)>::new(), None);
        let most = self.clients.len() / 2;
        let counted = async {
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(address) => {
                        let at = votes.iter().position(|(named, _)| *named == address).unwrap_or(votes.len());
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
        // Of two that are named as often, the one that was named first.
        let named = votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(address, _)| address);
        named.ok_or_else(|| match error {
            Some(error) if in_time => error,
            _ => (ErrorKind::Io, "no Sentinel answers").into(),
        })
    }

    async fn ask(&self, client: &Client) -> RedisResult<Address> {
        let mut sentinel = client.get_multiplexed_async_connection_with_config(&self.config).await?;
        let mut command = ::redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let address: Option<Address> = command.query_async(&mut sentinel).await?;
        address.ok_or_else(|| make_extension_error(UNKNOWN_MASTER.to_owned(), None))
    }
}

fn client(node: ConnectionInfo, authorities: Option<Vec<u8>>) -> RedisResult<Client> {
    match authorities {
        Some(_) => Client::build_with_tls(node, TlsCertificates { client_tls: None, root_cert: authorities }),
        None => Client::open(node),
    }
}
