//! Runs the application on port 3000.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::error::Error;

use countersign::{Secret, SystemEntropy};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A real application keeps its secret and its database: with either lost, everybody is logged
    // out.
    let secret = Secret::generate(&SystemEntropy)?;
    let auth = example_sse::auth("sqlite::memory:", &secret)
        .build()
        .await?;
    tokio::spawn(auth.maintain());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, example_sse::app(&auth)).await?;
    Ok(())
}
