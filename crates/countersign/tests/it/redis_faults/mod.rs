//! Redis and Redis Cluster that die, freeze, fill up, refuse, hold what isn't ours or move under load (SECURITY rows F-01,
//! F-03, F-12, F-14, F-15; promises P6 and P11): an outage is "unavailable" and never an answer, what was acknowledged is
//! there afterwards, and the same handle goes on.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

mod commands;
mod connections;
mod entry;
mod failover;
mod foreign;
mod full;
mod ground;
mod killed;
mod ledger;
mod load;
mod migration;
mod pages;
mod silent;
mod storm;
mod stuck;
mod writer;
