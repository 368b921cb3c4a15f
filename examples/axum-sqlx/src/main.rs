//! Reads the settings, and serves the application on port 3000.

use std::env::{self, VarError};
use std::error::Error;
use std::time::Duration;

use countersign::Secret;
use example_axum_sqlx::{Members, auth, migrate, routes, serve};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::signal;

/// The time that a request may take, and that the end of the process may take too.
const TIME_LIMIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let secret = Secret::new("TOKEN_HASH_SECRET", setting("TOKEN_HASH_SECRET")?)?;
    let pool = PgPoolOptions::new()
        // A request waits this long for a connection, and then it is answered with 503.
        .acquire_timeout(Duration::from_secs(3))
        .connect(&setting("DATABASE_URL")?)
        .await?;
    migrate(&pool).await?;

    let members = Members::new(pool, &secret)?;
    let auth = auth(&members, &secret).build().await?;
    let app = routes::app(&auth, members)?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    serve(listener, &auth, app, TIME_LIMIT, stopped()).await?;
    Ok(())
}

/// Returns a setting, with an error that names it and doesn't show its value.
fn setting(name: &str) -> Result<String, String> {
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
