//! The application over TCP, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "test code"
)]

mod account;
mod admin;
mod operation;
mod sessions;
mod support;
