//! The drivers of PostgreSQL and MySQL, on real servers.

#![cfg(all(
    feature = "mysql",
    feature = "postgres",
    feature = "sqlx-mysql",
    feature = "sqlx-postgres"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::single_match_else,
    unreachable_pub,
    missing_docs,
    reason = "test code"
)]

mod crowd;
mod found;
mod locks;
mod migrations;
mod outage;
mod paths;
mod place;
mod poolers;
mod scripts;
mod sessions;
mod severed;
mod sqlite;
mod sqlx_sessions;
mod tls;
mod values;
