//! Runs the application on port 3000.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever runs it"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer};
use countersign::{Secret, SystemEntropy};
use example_actix::{Site, routes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A real application keeps its secret and its database.
    let secret = Secret::generate(&SystemEntropy)?;
    let site = Arc::new(Site::open("sqlite::memory:", &secret).await?);
    tokio::spawn(sweep(Arc::clone(&site)));
    let server =
        HttpServer::new(move || App::new().configure(|config| routes(config, Arc::clone(&site))))
            .bind(("127.0.0.1", 3000))?;
    println!("listening on http://127.0.0.1:3000");
    server.run().await?;
    Ok(())
}

/// Deletes what has expired, once an hour.
async fn sweep(site: Arc<Site>) {
    let mut hourly = tokio::time::interval(Duration::from_hours(1));
    loop {
        hourly.tick().await;
        if let Err(failure) = site.sweep().await {
            eprintln!("the next sweep tries again: {failure}");
        }
    }
}
