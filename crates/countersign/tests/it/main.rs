//! The library's public API, on real databases and in memory, as one binary: it is linked once, and all its tests share
//! the servers that they start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod account_change;
mod authenticator;
mod conformance_map;
mod crash;
mod database_strategy;
mod direction;
mod drivers;
#[cfg_attr(
    not(all(
        feature = "axum",
        feature = "jwt",
        feature = "mysql",
        feature = "postgres",
        feature = "redis",
        feature = "sqlite"
    )),
    allow(dead_code, reason = "the tests of a feature use a part")
)]
mod fixture;
mod helpers;
mod http;
mod interleavings;
mod jws_json_suite;
mod jws_vectors;
mod jwt_conformance;
mod jwt_denylist;
mod jwt_endings;
mod jwt_forged;
mod jwt_oracle;
mod jwt_original;
mod jwt_sessions;
mod live;
mod metrics;
mod opaque;
mod original_postgres;
mod original_sqlite;
mod outage;
mod races;
mod realms;
mod redaction;
mod redis_faults;
mod redis_strategy;
mod service;
mod sql_schema;
mod sqlx_service;
mod stores;
mod suite_catches;
mod transport;
mod with_session;
