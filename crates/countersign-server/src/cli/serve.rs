//! The command `countersign serve`: the start of the server, and its reload at SIGHUP.
//!
//! The start binds the port first, waits for the stores, joins the deployment, and listens last. A
//! client that can connect is answered.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};

use crate::cli::output::Output;
use crate::compose::{self, Services};
use crate::config::{AT_START, Config, Flags, Http, Redis, Setting, Sources};
use crate::deployment::{self, Purpose};
use crate::error::Error;
use crate::foundation::Patience;
use crate::greeting::Greeting;
use crate::shutdown::{Hangups, Phase, Stop};
use crate::telemetry::{self, Logging};
use crate::{Renewal, Served, descriptors, supervisor};

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Serves until a signal stops the server. Signals are handled from the beginning, so that the
/// start can be interrupted while it waits for a store.
pub(super) async fn run(flags: Flags, output: Output) -> Result<(), Error> {
    let stop = Stop::on_signals().map_err(Error::io("can't install the signal handlers"))?;
    let hangups = Hangups::listen().map_err(Error::io("can't install the signal handlers"))?;
    let Some((sources, config)) = unless_stopped(&stop, read(flags.clone())).await? else {
        return Ok(());
    };

    let logging = telemetry::start(config.log).map_err(Error::io("can't start logging"))?;
    descriptors::raise(&config);
    let Some(begun) = unless_stopped(&stop, begin(config, output)).await? else {
        tracing::info!(event = "stopped_before_start");
        return Ok(());
    };

    let Begun {
        config,
        services,
        listener,
    } = begun;
    supervisor::ready();
    let (renew, renewals) = mpsc::channel(1);
    let reloads = Reloads {
        flags,
        sources,
        logging: &logging,
        hangups,
        renew,
    };

    tokio::select! {
        done = crate::run(Served { config, services }, listener, stop, renewals) => done,
        () = reloads.follow() => Ok(()),
    }
}

/// The loop that reads the settings again at every SIGHUP.
struct Reloads<'a> {
    flags: Flags,
    sources: Sources,
    logging: &'a Logging,
    hangups: Hangups,
    renew: mpsc::Sender<Renewal>,
}

impl Reloads<'_> {
    /// Reloads at every SIGHUP. Doesn't end. After a failure everything goes on with the old
    /// settings.
    async fn follow(mut self) {
        loop {
            self.hangups.next().await;
            supervisor::reloading();
            if let Err(error) = self.reload().await {
                tracing::error!(
                    event = "reload_failed",
                    problem = error.story(),
                    "the server keeps its previous settings"
                );
            }
            supervisor::ready();
        }
    }

    /// Reads the settings and opens all services again. The server changes over to them only if
    /// everything worked.
    ///
    /// Settings that take effect only at a start ([`AT_START`]) keep their old values, and a
    /// warning names them.
    async fn reload(&mut self) -> Result<(), Error> {
        let (sources, config) = read(self.flags.clone()).await?;
        // A task of its own, so that a panic ends this reload and not the server.
        let opened = tokio::spawn(open(config)).await;
        let (config, services) =
            opened.unwrap_or_else(|_| Err(bug("the reload ended unexpectedly")))?;

        let (later, now): (Vec<_>, Vec<_>) = self
            .sources
            .changed(&sources)
            .into_iter()
            .partition(|setting| AT_START.contains(setting));

        let level = config.log.level;
        let served = Served { config, services };
        let (done, renewed) = oneshot::channel();
        // The other side is gone only if the server has begun to stop.
        let _ = self.renew.send(Renewal { served, done }).await;
        renewed.await.unwrap_or(Ok(()))?;

        self.logging.set_level(level);
        self.sources = sources;
        if !later.is_empty() {
            tracing::warn!(
                event = "reload_needs_restart",
                settings = names(&later),
                "these settings take effect only after a restart"
            );
        }
        tracing::info!(event = "reloaded", changed = names(&now));
        Ok(())
    }
}

/// Joins the deployment. Returns the settings, completed by its record, and the services made from
/// them.
async fn open(config: Config) -> Result<(Config, Services), Error> {
    Services::join(&config, Purpose::Serve).await
}

/// Returns the environment variables of settings, separated by commas.
fn names(settings: &[&Setting]) -> String {
    settings
        .iter()
        .map(|setting| setting.env())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the error for a task that panicked.
fn bug(what: &str) -> Error {
    Error::Refused(format!("{what}; this is a bug, please report it"))
}

/// Runs `work` as a task, or returns `None` as soon as a signal asks for a stop. Blocking code in
/// `work` doesn't delay the signals.
async fn unless_stopped<T: Send + 'static>(
    stop: &Stop,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<Option<T>, Error> {
    let work = tokio::spawn(work);
    tokio::select! {
        done = work => match done {
            Ok(done) => done.map(Some),
            Err(_) => Err(bug("the start ended unexpectedly")),
        },
        () = stop.reached(Phase::Leave) => Ok(None),
    }
}

/// Reads and checks the settings on a thread for blocking work, because files are read.
async fn read(flags: Flags) -> Result<(Sources, Config), Error> {
    let read = tokio::task::spawn_blocking(move || {
        let sources = Sources::gather(flags, std::env::vars_os())?;
        let config = Config::read(&sources)?;
        compose::check(&config)?;
        Ok((sources, config))
    });
    read.await
        .unwrap_or_else(|_| Err(bug("reading the settings ended unexpectedly")))
}

/// A server that is about to accept connections.
struct Begun {
    config: Config,
    services: Services,
    listener: TcpListener,
}

/// Starts the server up to the point where clients can connect.
async fn begin(config: Config, output: Output) -> Result<Begun, Error> {
    // The port and Redis come first, because a server that can't have them must not write to the
    // database. Reading the database comes before Redis, because its record tells whether Redis is
    // used.
    let (socket, address) = port(&config.http)?;
    let patience = Patience::of(&config);
    patience.for_database(&config).await?;
    patience
        .for_redis(&deployment::settled(&config, Purpose::Serve).await?)
        .await?;

    let (config, services) = open(config).await?;
    let greeting = greeting(&config, &services, address).await?;

    // Everything is ready now, so every client that can connect is answered.
    let listener = socket.listen(BACKLOG).map_err(taken(&config.http))?;
    output.announce(&greeting, &greeting.text())?;
    Ok(Begun {
        config,
        services,
        listener,
    })
}

/// Binds the port without listening on it.
fn port(http: &Http) -> Result<(TcpSocket, SocketAddr), Error> {
    let socket = if http.listen.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(taken(http))?;
    // Connections of an earlier process that are in `TIME_WAIT` must not keep the port taken.
    socket.set_reuseaddr(true).map_err(taken(http))?;
    socket.bind(http.listen).map_err(taken(http))?;
    let address = socket.local_addr().map_err(taken(http))?;
    Ok((socket, address))
}

/// Returns a function that wraps an error of the port, for use with `map_err`.
fn taken(http: &Http) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!(
        "{}: can't listen on {}",
        http.listen_spelled, http.listen
    ))
}

/// Returns the announcement that the server listens.
async fn greeting(
    config: &Config,
    services: &Services,
    address: SocketAddr,
) -> Result<Greeting, Error> {
    Ok(Greeting {
        listening: format!("http://{address}"),
        database: config.store.shown(),
        redis: config.redis.as_ref().map(Redis::shown),
        data_dir: config.store.data_dir.display().to_string(),
        strategy: config.tokens.strategy.name(),
        first_start: services.accounts().list("", 1).await?.is_empty(),
        address,
    })
}
