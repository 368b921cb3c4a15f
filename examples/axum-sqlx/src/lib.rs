//! An application whose members live in its own PostgreSQL tables. It has one sqlx pool, and the
//! tokens of countersign are kept on its connections too.
//!
//! Start with [`routes`], which has every route on one screen. [`Member`] is a row of the
//! application's table, [`Members`] are the queries, and `main.rs` reads the settings and serves.

mod email;
mod error;
mod member;
mod members;
mod passwords;
pub mod routes;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use countersign::{Auth, AuthBuilder, Secret};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_http::timeout::TimeoutLayer;

pub use member::{Member, Role, UnknownRole};
pub use members::Members;

/// Any number, as long as nothing else in the database locks the same one.
const MIGRATION_LOCK: i64 = 0x6d65_6d62_6572;

/// Makes the application's own tables. [`AuthBuilder::build`] makes those of the tokens.
///
/// With sqlx's feature `migrate` this function is `sqlx::migrate!().run(pool)`, over the same folder
/// `migrations`.
///
/// # Errors
///
/// Returns the error of the database.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Two processes may start at once, and `IF NOT EXISTS` alone doesn't keep one of them from
    // failing. The lock ends with the transaction.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(include_str!("../migrations/0001_members.sql"))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Starts to build authentication: the members log in, and their tokens are kept on the same pool.
pub fn auth(members: &Members, secret: &Secret) -> AuthBuilder<Member> {
    Auth::builder(members.clone())
        .database(members.pool().clone())
        .secret(secret)
}

/// Serves the application until `shutdown` is ready and the requests under way have been answered.
///
/// A request that takes longer than `time_limit`, the arrival of its body included, is answered with
/// 503. After `shutdown`, connections that are still open are waited for as long.
///
/// # Errors
///
/// Returns the error of the listener.
pub async fn serve(
    listener: TcpListener,
    auth: &Auth<Member>,
    app: Router,
    time_limit: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Without this, expired tokens stay in the tables for ever.
    let maintenance = tokio::spawn(auth.maintain());
    // Not 408: the database may be what is slow, and after a 503 clients keep their tokens.
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let app = app.layer(TimeoutLayer::with_status_code(status, time_limit));
    // With the address of the peer, which members see in the list of their sessions.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping);
    });
    let mut server = pin!(server.into_future());
    let result = tokio::select! {
        result = &mut server => result,
        // `stopping` was dropped. The layer answers every request within the limit. Beyond it are
        // clients that have sent only a part of a head, which no layer sees, or that don't read.
        _ = stopped => timeout(time_limit, server).await.unwrap_or(Ok(())),
    };
    maintenance.abort();
    // The times of last use are written once a minute. This writes those that are left.
    if let Err(failure) = auth.flush().await {
        tracing::warn!(%failure, "the last use of some sessions was not recorded");
    }
    result
}
