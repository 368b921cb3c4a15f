//! Runs the application on port 3000, with its tokens in the file `tokens.redb`.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::error::Error;

use countersign::Secret;
use example_own_store::{RedbStore, app, auth};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
    let auth = auth(RedbStore::open("tokens.redb")?, &secret)
        .build()
        .await?;
    tokio::spawn(auth.maintain());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(&auth)).await?;
    Ok(())
}
