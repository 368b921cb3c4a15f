//! What Redis alone can show: the number of commands, what one user's key holds, many tokens, and the original's layout.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

mod authentication;
mod commands;
mod elders;
mod entry;
mod everywhere;
mod ground;
mod index;
mod keys;
mod mark;
mod original;
mod pages;
mod repeated;
mod vectors;
