//! The real binary, started as anybody starts it, on real databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

mod addresses;
mod adopted;
mod aftermath;
mod browser;
mod check;
mod chromium;
mod chromium_origins;
mod cli;
mod config;
mod coverage;
mod deployment;
mod failpoints;
mod failpoints_sqlite;
mod failures;
mod faults;
mod flows;
mod gateway;
mod gateways;
mod harness;
mod http2;
mod lifetimes;
mod limits;
mod log;
mod logins;
mod logout;
mod lost_answers;
mod malformed;
mod online;
mod original;
mod original_denylist;
mod origins;
mod poolers;
mod presentations;
mod proxies;
mod readiness;
mod redaction;
mod redis_faults;
mod redis_sentinel;
mod redis_start;
mod registration;
mod reload;
mod request_ids;
mod rows;
mod sessions;
mod settings;
mod start;
mod storms;
mod supervisor;
mod wire;
