//! Promise P7: no token, digest, secret, email, password, hash, user id or token id in any `Debug`, any error, or any
//! line of the log (SECURITY rows G-01 to G-03).

#![cfg(all(feature = "jwt", feature = "sqlite", feature = "axum"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unused_async,
    missing_docs,
    reason = "test code"
)]

mod errors;
mod lines;
mod needles;
mod public_types;
mod shown;
mod site;
