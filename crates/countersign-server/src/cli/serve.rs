//! `countersign serve`.

use tokio::net::TcpListener;

use crate::cli::output::Output;
use crate::compose::Services;
use crate::config::{Config, Redis};
use crate::deployment::Purpose;
use crate::error::Error;
use crate::greeting::Greeting;
use crate::shutdown::Stop;

/// Serves until a signal says to stop.
pub(super) async fn run(config: Config, output: Output) -> Result<(), Error> {
    let stop = Stop::on_signals().map_err(Error::io("can't listen to signals"))?;
    // The port and Redis come first: a server that can't have them must not touch the database.
    let what = format!("{}: can't listen on {}", config.http.listen_spelled, config.http.listen);
    let listener = TcpListener::bind(config.http.listen).await.map_err(Error::io(what))?;
    let (config, services) = Services::join(&config, Purpose::Serve).await?;
    let greeting = greeting(&config, &services, &listener).await?;
    output.print(&greeting, &greeting.text())?;
    crate::run(&config, services, listener, stop).await
}

async fn greeting(config: &Config, services: &Services, listener: &TcpListener) -> Result<Greeting, Error> {
    let address = listener.local_addr().map_err(Error::io("can't tell the address"))?;
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
