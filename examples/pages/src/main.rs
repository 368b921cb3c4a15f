//! Runs the site on port 3000, with its members and their sessions in the file `pages.db`.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use countersign::Secret;
use example_pages::{Members, app, auth};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = Secret::new("TOKEN_HASH_SECRET", env::var("TOKEN_HASH_SECRET")?)?;
    let origin = env::var("PUBLIC_ORIGIN").unwrap_or_else(|_| "http://localhost:3000".to_owned());
    let members = Members::open("sqlite://pages.db").await?;
    let auth = auth(&members, &secret, &origin)?.build().await?;
    tokio::spawn(auth.maintain());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("open {origin}");
    // With the address of the connection, which the list of devices shows.
    let service = app(auth.clone(), members)?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stopped())
        .await?;
    // The times of use that weren't written yet.
    auth.flush().await?;
    Ok(())
}

/// Waits for Ctrl-C.
async fn stopped() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can stop it in this way, so it runs on.
        std::future::pending::<()>().await;
    }
}
