//! Starts, stops, freezes and kills the real database servers that the tests talk to, and the proxies and browsers before them.
//!
//! Servers come from what is installed (`apt-get install postgresql pgbouncer mariadb-server redis-server` on Debian), listen on
//! free loopback ports that no other test is given and keep their data in a throw-away folder. They end with the process that started them, however
//! it ends.
//!
//! A test asks [`Postgres::shared`] or [`MariaDb::shared`] for a fresh database, [`Redis::shared`] or
//! [`RedisCluster::shared`] for a prefix of its own, or `dedicated()` for a server of its own that it may kill. With
//! `COUNTERSIGN_TEST_POSTGRES_URL`, `COUNTERSIGN_TEST_MYSQL_URL`, `COUNTERSIGN_TEST_REDIS_URL` and
//! `COUNTERSIGN_TEST_REDIS_CLUSTER_URLS` set, the shared server is the one that the URL names; the URL's user must be
//! allowed to create databases there.
//!
//! Nothing here is ever skipped: a server that can't be had is a panic that says how to get it.
//!
//! ```no_run
//! let url = testbed::Postgres::shared().database();
//! assert!(url.starts_with("postgres://"));
//! ```

#![expect(clippy::panic, clippy::expect_used, reason = "a test whose server is missing must stop at once")]
#![expect(clippy::missing_panics_doc, reason = "every function here panics when the server misbehaves")]

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
