//! Runs the login service on port 3000 and the orders service on port 3001.

#![allow(clippy::print_stdout, reason = "it says how to try it")]

use std::error::Error;

use countersign::jwt::{Algorithm, generate_secret};
use countersign::{Secret, SystemEntropy};
use example_services::{login, orders};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A real login service keeps both secrets, and an orders service gets the public key as a file.
    let key = login::signing_key(&generate_secret(Algorithm::Es256, &SystemEntropy)?)?;
    let public = key
        .verifying_key()
        .to_jwk()
        .ok_or("a shared secret has no public key")?;
    let auth = login::auth(key, &Secret::generate(&SystemEntropy)?)?
        .build()
        .await?;
    tokio::spawn(auth.maintain());

    let login = TcpListener::bind("127.0.0.1:3000").await?;
    let orders = TcpListener::bind("127.0.0.1:3001").await?;
    println!(
        "login on http://{}, orders on http://{}",
        login.local_addr()?,
        orders.local_addr()?
    );
    println!("public key: {public}");

    let orders = axum::serve(orders, orders::app(&public)?).into_future();
    let login = axum::serve(login, login::app(&auth)).into_future();
    tokio::try_join!(login, orders)?;
    Ok(())
}
