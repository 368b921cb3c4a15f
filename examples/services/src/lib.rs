//! Two services: [`login`] signs access tokens with a private key, and [`orders`] checks them with
//! the public key alone, by another library.
//!
//! They share nothing but the names of issuer and audience and the public key. `orders` has no
//! database of tokens, so it learns of a logout only when the token expires: within 5 minutes.

pub mod login;
pub mod orders;

/// The issuer of tokens (`iss`): the address of the login service.
pub const ISSUER: &str = "https://login.example";

/// The audience of tokens (`aud`): the services that may accept them.
pub const AUDIENCE: &str = "https://api.example";
