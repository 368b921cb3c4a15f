//! The countersign server: the strategies of the library [`countersign`] behind HTTP, with accounts
//! of its own.
//!
//! This library crate exists for the binary `countersign` and for the server's tests and
//! benchmarks. Programs in Rust that want authentication of their own use the crate [`countersign`]
//! directly.
//!
//! # How a request is served
//!
//! | step | modules |
//! |---|---|
//! | A connection is accepted, within bounds on number, idleness and head size. | [`serve`] |
//! | The path is matched. | [`router`], [`cors`] |
//! | The client's address is found, and the body is read. | [`limits`], [`address`] |
//! | The library, or a handler of the server, answers. | [`routes`], [`accounts`] |
//!
//! # How a process starts
//!
//! | step | modules |
//! |---|---|
//! | Arguments are parsed. | [`cli`] |
//! | Flags, environment and file become one configuration. | [`config`] |
//! | The configuration is compared with the deployment's record. | [`deployment`] |
//! | The configuration becomes stores, keys and a strategy. | [`compose`] |
//! | [`run`] serves and works in the background until it is stopped. | [`sweep`], [`shutdown`] |
//!
//! [`foundation`] opens stores and keys, and [`compose`] builds everything else on them. No other
//! module turns settings into objects of the library.

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
pub mod foundation;
pub mod greeting;
pub mod invisible;
pub mod limits;
pub mod request_id;
pub mod router;
pub mod routes;
pub mod serve;
pub mod shutdown;
pub mod supervisor;
pub mod sweep;
pub mod telemetry;

use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::compose::Services;
use crate::config::{Config, SECOND_FACTOR, SecondFactor};
use crate::error::Error;
use crate::limits::Bounds;
use crate::serve::Site;
use crate::shutdown::Stop;

/// The settings of a server, and the services that were built from them.
///
/// The command `serve` makes one of these at the start and one at each reload.
#[derive(Debug)]
pub struct Served {
    /// The settings, completed by the record of the deployment.
    pub config: Config,
    /// The services that were built from the settings.
    pub services: Services,
}

/// A change of what is served, while requests arrive.
#[derive(Debug)]
pub struct Renewal {
    /// The settings and services that take the place of the present ones.
    pub served: Served,
    /// Receives the result as soon as new requests are answered by them, or the error for which
    /// everything stays as it is.
    pub done: oneshot::Sender<Result<(), Error>>,
}

/// Serves requests on `listener` until `stop` ends the server.
///
/// Meanwhile, background tasks delete expired rows, watch the deployment's record, look at how
/// passwords are hashed, and write the last-used times of sessions.
///
/// Each [`Renewal`] replaces what was served before: new requests are answered by the new services,
/// and requests that have begun keep the old ones. If the routes can't be built, the old services
/// stay, and the error is sent back. A closed channel means that there are no more reloads; it
/// doesn't end the server.
///
/// Before this function returns, the background tasks are stopped and pending last-used times are
/// written once more. If that fails, they are lost; the failure is logged (`use_not_noted`).
///
/// # Errors
/// Returns [`Error::Config`] if the routes can't be built from `served`. Nothing has been served
/// then.
pub async fn run(
    served: Served,
    listener: TcpListener,
    stop: Stop,
    mut renewals: Receiver<Renewal>,
) -> Result<(), Error> {
    let limits = served.config.http.limits;
    let mut beside = Beside::of(served, &stop)?;
    let site = Site::new(beside.router.clone());
    beside.begin(&stop).await;

    let renewing = async {
        while let Some(Renewal { served, done }) = renewals.recv().await {
            // Whoever asked is gone only if the server has begun to stop.
            match Beside::of(served, &stop) {
                Ok(mut new) => {
                    // The order matters: the new tasks run before the first request sees the new
                    // routes, and the old ones are flushed only when no request can begin with the
                    // old routes any more.
                    new.begin(&stop).await;
                    site.replace(new.router.clone());
                    let _ = done.send(Ok(()));
                    std::mem::replace(&mut beside, new).end().await;
                }
                Err(error) => {
                    let _ = done.send(Err(error));
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

/// The routes of one [`Served`], and the background tasks that belong to it.
struct Beside {
    router: axum::Router,
    served: Served,
    tasks: JoinSet<()>,
}

impl Beside {
    /// Builds the routes without starting the tasks.
    ///
    /// Also warns if accounts with a second factor at litestar-auth can log in by password alone.
    fn of(served: Served, stop: &Stop) -> Result<Self, Error> {
        let Served {
            config,
            mut services,
        } = served;

        if config.tokens.second_factor == SecondFactor::Ignore
            && services.accounts().heeds_second_factors()
        {
            tracing::warn!(
                event = "second_factor_ignored",
                setting = SECOND_FACTOR.env(),
                "accounts with a second factor in litestar-auth can log in with their password \
                 alone"
            );
        }

        services.stores = services.stores.leaving_at(stop.clone());
        let bounds = Bounds {
            limits: config.http.limits,
            proxies: services.logins.proxies.clone(),
        };
        let path = config
            .http
            .public_url
            .as_ref()
            .map_or("", |url| url.path.as_str());
        let router = router::router(&services, &bounds, path)?;

        Ok(Self {
            router,
            served: Served { config, services },
            tasks: JoinSet::new(),
        })
    }

    /// Starts the background tasks. [`end`](Self::end) stops them, and some end earlier, by `stop`.
    async fn begin(&mut self, stop: &Stop) {
        let Served { config, services } = &self.served;
        self.tasks.spawn(
            services
                .sweeper
                .clone()
                .run(config.store.sweep_interval, stop.clone()),
        );
        self.tasks.spawn(
            services
                .watch
                .clone()
                .run(config.store.sweep_interval, stop.clone()),
        );

        services.survey.begin().await;
        self.tasks.spawn(services.survey.clone().run());
        if let Some(interval) = config.store.use_interval {
            self.tasks.spawn(services.recorder.clone().run(interval));
        }
    }

    /// Stops the tasks, and writes the last-used times that were recorded since the last interval.
    async fn end(mut self) {
        self.tasks.shutdown().await;
        if let Err(failure) = self.served.services.recorder.flush().await {
            tracing::warn!(event = "use_not_noted", %failure, "last-used times since the last interval were not written");
        }
    }
}
