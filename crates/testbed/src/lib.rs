//! Real database servers, proxies and browsers for tests: starts, stops, freezes and kills them.
//!
//! # Where the servers come from
//!
//! The programs are those that are installed. `scripts/test` lists the Debian packages. Each server
//! listens on loopback ports that no other test is given, and keeps its data in a temporary folder.
//! It ends together with the process that started it, even if that process is killed.
//!
//! # Shared and dedicated servers
//!
//! A test that only needs a place for its data asks a shared server, which starts once in each test
//! process: [`Postgres::shared`] and [`MariaDb::shared`] for a fresh database, [`Redis::shared`]
//! and [`RedisCluster::shared`] for a key prefix of its own. A test that stops, freezes or kills a
//! server asks `dedicated()` for one of its own.
//!
//! The variables `COUNTERSIGN_TEST_POSTGRES_URL`, `COUNTERSIGN_TEST_MYSQL_URL`,
//! `COUNTERSIGN_TEST_REDIS_URL` and `COUNTERSIGN_TEST_REDIS_CLUSTER_URLS` name servers to share in
//! place of started ones. The user of such a URL must be allowed to create databases.
//!
//! # Panics
//!
//! Tests are never skipped. If a program is missing, the panic says which package has it. Every
//! function here also panics if a server doesn't do what it is asked for within a minute.
//!
//! # Examples
//!
//! ```no_run
//! let url = testbed::Postgres::shared().database();
//! assert!(url.starts_with("postgres://"));
//! ```

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test whose server is missing must stop at once"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "every function here panics when the server misbehaves"
)]

mod browser;
mod caddy;
mod certificate;
mod gateway;
mod installed;
mod mariadb;
mod nginx;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod url;
mod wait;

// Tests of the server speak to databases through these, and so the server itself names no driver.
pub use {mysql_async, tokio_postgres};

pub use browser::Browser;
pub use caddy::Caddy;
pub use certificate::certificate;
pub use gateway::Gateway;
pub use installed::faketime;
pub use mariadb::MariaDb;
pub use nginx::Nginx;
pub use pgbouncer::PgBouncer;
pub use ports::free_port;
pub use postgres::Postgres;
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use wait::wait_until;
