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
pub mod descriptors;
pub mod error;
pub mod greeting;
pub mod limits;
pub mod router;
pub mod routes;
pub mod serve;
pub mod shutdown;
pub mod supervisor;
pub mod sweep;
pub mod telemetry;

use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use crate::compose::Services;
use crate::config::{Config, SECOND_FACTOR, SecondFactor};
use crate::error::Error;
use crate::limits::Bounds;
use crate::serve::Site;
use crate::shutdown::Stop;

/// What is served: settings, and what was made of them.
#[derive(Debug)]
pub struct Served {
    /// The settings.
    pub config: Config,
    /// What was made of them.
    pub services: Services,
}

/// Serves on `listener` until `stop` says so; sweeps, and notes the use of sessions, meanwhile. What comes from `renewals`
/// takes the place of what is served, for all requests that begin afterwards.
///
/// # Errors
/// [`Error`] when the routes can't be made.
pub async fn run(
    served: Served,
    listener: TcpListener,
    stop: Stop,
    mut renewals: Receiver<Served>,
) -> Result<(), Error> {
    let limits = served.config.http.limits;
    let mut beside = Beside::of(served, &stop)?;
    let site = Site::new(beside.router.clone());
    beside.begin(&stop).await;
    let renewing = async {
        while let Some(served) = renewals.recv().await {
            match Beside::of(served, &stop) {
                Ok(mut new) => {
                    new.begin(&stop).await;
                    site.replace(new.router.clone());
                    std::mem::replace(&mut beside, new).end().await;
                }
                Err(error) => {
                    tracing::error!(event = "reload_failed", problem = error.story(), "all stays as it was");
                }
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve::serve(site.clone(), listener, limits, stop.clone()) => {}
        () = renewing => {}
    }
    beside.end().await;
    Ok(())
}

/// Routes, and what goes on beside them.
struct Beside {
    router: axum::Router,
    served: Served,
    tasks: JoinSet<()>,
}

impl Beside {
    fn of(served: Served, stop: &Stop) -> Result<Self, Error> {
        let Served { config, mut services } = served;
        if config.tokens.second_factor == SecondFactor::Ignore && services.accounts().heeds_second_factors() {
            tracing::warn!(
                event = "second_factor_ignored",
                setting = SECOND_FACTOR.env(),
                "accounts that have a second factor at litestar-auth log in here by their password alone"
            );
        }
        services.stores = services.stores.leaving_at(stop.clone());
        let bounds = Bounds { limits: config.http.limits, proxies: services.logins.proxies.clone() };
        let path = config.http.public_url.as_ref().map_or("", |url| url.path.as_str());
        let router = router::router(&services, &bounds, path)?;
        Ok(Self { router, served: Served { config, services }, tasks: JoinSet::new() })
    }

    async fn begin(&mut self, stop: &Stop) {
        let Served { config, services } = &self.served;
        self.tasks.spawn(services.sweeper.clone().run(config.store.sweep_interval, stop.clone()));
        self.tasks.spawn(services.watch.clone().run(config.store.sweep_interval, stop.clone()));
        services.survey.begin().await;
        self.tasks.spawn(services.survey.clone().run());
        if let Some(interval) = config.store.use_interval {
            self.tasks.spawn(services.recorder.clone().run(interval));
        }
    }

    async fn end(mut self) {
        self.tasks.shutdown().await;
        if let Err(failure) = self.served.services.recorder.flush().await {
            tracing::warn!(event = "use_not_noted", %failure, "the use of sessions since the last interval is not noted");
        }
    }
}
