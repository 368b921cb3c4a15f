//! Runs the site on port 3000, with its members and their sessions in the file `pages.db`.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::env::{self, VarError};
use std::error::Error;
use std::net::SocketAddr;

use countersign::Secret;
use example_pages::{Members, app, auth};
use tokio::net::TcpListener;
use tokio::signal;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let secret = Secret::new("TOKEN_HASH_SECRET", setting("TOKEN_HASH_SECRET")?)?;
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

/// Returns a setting, with an error that names it.
fn setting(name: &str) -> Result<String, String> {
    // The text of the error itself would show the value.
    env::var(name).map_err(|error| match error {
        VarError::NotPresent => format!("{name} isn't set"),
        VarError::NotUnicode(_) => format!("{name} isn't UTF-8"),
    })
}

/// Waits until the process is told to end.
async fn stopped() {
    let interrupted = async {
        // Without a handler for it, the signal ends the process by itself.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
}

/// Waits for SIGTERM, with which service managers end a process.
#[cfg(unix)]
async fn terminated() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// Waits for ever: there is no such signal.
#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
