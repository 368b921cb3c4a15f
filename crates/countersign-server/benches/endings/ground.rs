//! The stores of the benchmark, and the server's settings on them.

use clap::ValueEnum;
use countersign_server::compose::Services;
use countersign_server::config::{Config, Flags, Sources};
use countersign_server::deployment::Purpose;
use testbed::{MariaDb, Postgres, Redis};

use crate::harness::{Place, env, on_redis, shared};

/// A kind of store, combined with a kind of access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    Mariadb,
    Redis,
    JwtSqlite,
    JwtPostgres,
}

/// The servers of a store, and the settings and data directory of our server.
pub(crate) struct Ground {
    pub(crate) backend: Backend,
    pub(crate) place: Place,
    store: Store,
}

/// A store of its own, with the durability that a production store has.
enum Store {
    File,
    Postgres { server: Postgres, database: String },
    MariaDb(MariaDb),
    Redis(Redis),
}

impl Ground {
    /// Starts the servers of the store.
    pub(crate) fn start(backend: Backend) -> Self {
        let strategy = match backend {
            Backend::Sqlite | Backend::Postgres | Backend::Mariadb => "database",
            Backend::Redis => "redis",
            Backend::JwtSqlite | Backend::JwtPostgres => "jwt",
        };
        let (store, settings) = match backend {
            Backend::Sqlite | Backend::JwtSqlite => (Store::File, Vec::new()),
            Backend::Postgres | Backend::JwtPostgres => {
                let server = Postgres::dedicated();
                let database = server.database();
                let settings = shared(&database);
                (Store::Postgres { server, database }, settings)
            }
            Backend::Mariadb => {
                let server = MariaDb::with_settings(&[
                    "innodb-buffer-pool-size=512M",
                    "innodb-log-file-size=256M",
                ]);
                let url = server.database();
                (Store::MariaDb(server), shared(&url))
            }
            Backend::Redis => {
                let server = Redis::dedicated();
                let settings = on_redis(server.url());
                (Store::Redis(server), settings)
            }
        };
        // Tokens must live until they are presented. One second is the server's default timeout of
        // stores.
        let place = Place::new(settings)
            .with("STRATEGY", strategy)
            .with("ACCESS_LIFETIME", "6h")
            .with("STORE_TIMEOUT", "1s")
            .with("LOG", "error");
        Self {
            backend,
            place,
            store,
        }
    }

    /// Returns the name of the store on the command line.
    pub(crate) fn name(&self) -> String {
        self.backend
            .to_possible_value()
            .unwrap()
            .get_name()
            .to_owned()
    }

    /// Returns the server's services in this process, on the same store and with the same keys.
    ///
    /// The timeout is longer and the connections are more than the server's, so that many sessions
    /// are opened fast.
    pub(crate) async fn services(&self) -> Services {
        self.services_with(&[
            env("STORE_TIMEOUT", "60s"),
            env("DATABASE_CONNECTIONS", "16"),
        ])
        .await
    }

    /// Returns the server's services in this process, with these settings instead of its own.
    pub(crate) async fn services_with(&self, instead: &[(String, String)]) -> Services {
        let data = env("DATA_DIR", self.place.data_dir().to_str().unwrap());
        let is_kept =
            |(name, _): &&(String, String)| instead.iter().all(|(other, _)| other != name);
        let settings = self
            .place
            .settings
            .iter()
            .filter(is_kept)
            .chain(instead)
            .cloned();
        let settings = settings
            .chain([data])
            .map(|(name, text)| (name.into(), text.into()));
        let config = Config::read(&Sources::gather(Flags::default(), settings).unwrap()).unwrap();
        Services::open(&config, Purpose::Serve).await.unwrap()
    }

    /// Turns the durability of acknowledged writes on or off.
    ///
    /// Sessions are opened without it, so that opening them takes minutes.
    pub(crate) fn make_durable(&self, durable: bool) {
        match &self.store {
            Store::File => {}
            Store::Postgres { server, database } => {
                let on = if durable { "on" } else { "off" };
                let reload = "SELECT pg_reload_conf();";
                Postgres::execute(
                    server.url(),
                    &format!("ALTER SYSTEM SET synchronous_commit = {on};\n{reload}"),
                );
                if durable {
                    Postgres::execute(database, "CHECKPOINT;\nANALYZE;");
                }
            }
            Store::MariaDb(server) => {
                let flush = u8::from(durable);
                MariaDb::execute(
                    server.url(),
                    &format!("SET GLOBAL innodb_flush_log_at_trx_commit = {flush}"),
                );
            }
            Store::Redis(server) => {
                server.command(&[
                    "CONFIG",
                    "SET",
                    "appendfsync",
                    if durable { "always" } else { "no" },
                ]);
            }
        }
    }
}
