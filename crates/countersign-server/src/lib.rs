//! The countersign server: the library's strategies behind HTTP, with accounts of its own.
//!
//! A request runs through [`serve`] (connection bounds), [`limits`] (request bounds), [`router`], and from there into
//! the library or into [`routes`]. [`compose`] is the one place where [`config`] becomes library objects.

pub mod accounts;
pub mod address;
pub mod cli;
pub mod compose;
pub mod config;
pub mod cors;
pub mod data_dir;
pub mod deployment;
pub mod error;
pub mod greeting;
pub mod limits;
pub mod router;
pub mod routes;
pub mod serve;
pub mod shutdown;
pub mod sweep;
pub mod telemetry;

use tokio::net::TcpListener;

use crate::compose::Services;
use crate::config::{Config, SECOND_FACTOR, SecondFactor};
use crate::error::Error;
use crate::limits::Bounds;
use crate::shutdown::Stop;

/// Serves on `listener` until `stop` says so; sweeps, and notes the use of sessions, meanwhile.
///
/// # Errors
/// [`Error`] when the routes can't be made.
pub async fn run(config: &Config, services: Services, listener: TcpListener, stop: Stop) -> Result<(), Error> {
    if config.tokens.second_factor == SecondFactor::Ignore && services.accounts().heeds_second_factors() {
        tracing::warn!(
            event = "second_factor_ignored",
            setting = SECOND_FACTOR.env(),
            "accounts that have a second factor at litestar-auth log in here by their password alone"
        );
    }
    let bounds = Bounds { limits: config.http.limits, proxies: services.logins.proxies.clone() };
    let path = config.http.public_url.as_ref().map_or("", |url| url.path.as_str());
    let router = router::router(&services, &bounds, path)?;
    let mut beside = tokio::task::JoinSet::new();
    beside.spawn(services.sweeper.run(config.store.sweep_interval, stop.clone()));
    beside.spawn(services.watch.run(config.store.sweep_interval, stop.clone()));
    services.survey.begin().await;
    beside.spawn(services.survey.run());
    if let Some(interval) = config.store.use_interval {
        beside.spawn(services.recorder.clone().run(interval));
    }
    serve::serve(router, listener, config.http.limits, stop).await;
    beside.shutdown().await;
    if let Err(failure) = services.recorder.flush().await {
        tracing::warn!(event = "use_not_noted", %failure, "the use of sessions since the last interval is not noted");
    }
    Ok(())
}
