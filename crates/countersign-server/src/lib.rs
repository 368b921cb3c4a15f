//! The countersign server.

pub mod accounts;
pub mod config;
pub mod error;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
