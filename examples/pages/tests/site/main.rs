//! The site in a real browser, over TLS, beside two sites of somebody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod browser;
mod elsewhere;
mod forged;
mod headers;
mod login;
mod logout;
mod renewal;
mod sessions;
mod sign_up;
mod site;
mod world;
