//! Parts that the drivers of networked stores share.
//!
//! - `shared_connection.rs` is one connection that many callers share.
//! - `renewing.rs` reads a URL again after the store refused its password.
//! - `tls_fault.rs` tells what is wrong with a certificate.

#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "redis")),
    allow(dead_code, reason = "an embedded database refuses no password")
)]
mod renewing;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod shared_connection;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
pub(crate) mod tls_fault;

#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "redis")),
    allow(unused_imports, reason = "an embedded database refuses no password")
)]
pub(crate) use renewing::Renewing;
pub use renewing::UrlSource;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) use shared_connection::SharedConnection;
