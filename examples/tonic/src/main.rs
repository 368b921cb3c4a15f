//! Runs the service on port 50051, and prints an access token to call it with.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::error::Error;
use std::sync::Arc;

use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::{Failure, Secret, SystemEntropy, UserId};
use example_tonic::{Member, authenticator, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
    Migrator::new(&database, i64::KIND).run().await?;
    let store = SqlStore::new(database, DatabaseTokenModels::bundled(i64::KIND));
    let secret = Secret::generate(&SystemEntropy)?;
    let strategy = DatabaseTokenStrategy::builder(store)
        .token_hash_secret(&secret)
        .build()?;

    // A token of a program, which needs no login. Members get theirs from a login over HTTP.
    let token = strategy.write_token(&Member { id: 7 }).await?.token;
    println!("authorization: Bearer {}", token.expose());

    let authenticator = authenticator(
        |id: i64| async move { Ok::<_, Failure>((id == 7).then_some(Member { id })) },
        Arc::new(strategy),
    )?;
    let listener = TcpListener::bind("127.0.0.1:50051").await?;
    serve(authenticator, listener).await?;
    Ok(())
}
