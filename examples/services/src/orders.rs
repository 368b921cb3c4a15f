//! The service that checks tokens, without countersign: any JWT library will do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::{AUDIENCE, ISSUER};

/// The rules by which tokens are accepted.
#[derive(Clone)]
struct Verifier(Arc<Rules>);

struct Rules {
    key: DecodingKey,
    key_id: Option<String>,
    validation: Validation,
}

/// The claims that this service uses. `decode` has checked the others.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Verifier {
    /// Creates a verifier of tokens that the owner of this public key has signed.
    fn new(jwk: &str) -> Result<Self, Error> {
        let jwk: Jwk = serde_json::from_str(jwk)?;

        // The algorithm is fixed here. If the token chose it, the public key could be taken for a
        // shared secret, which everybody has.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // Without this, a token that lacks a claim would pass the check of it.
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 5;

        Ok(Self(Arc::new(Rules {
            key: DecodingKey::from_jwk(&jwk)?,
            key_id: jwk.common.key_id,
            validation,
        })))
    }

    /// Returns the claims of a good token, or `None`.
    fn check(&self, token: &str) -> Option<Claims> {
        let rules = &*self.0;
        let token = decode::<Claims>(token, &rules.key, &rules.validation).ok()?;
        // The type keeps other tokens of the same issuer out, such as ID tokens (RFC 9068 section
        // 4).
        let is_access = token.header.typ.as_deref() == Some("at+jwt");
        (is_access && token.header.kid == rules.key_id).then_some(token.claims)
    }
}

/// The caller, by the subject of the access token.
struct Caller(String);

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Verifier: FromRef<S>,
{
    type Rejection = (StatusCode, [(HeaderName, &'static str); 1]);

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| refused("Bearer"))?;
        let claims = Verifier::from_ref(state).check(token);
        let claims = claims.ok_or_else(|| refused("Bearer error=\"invalid_token\""))?;
        Ok(Self(claims.sub))
    }
}

/// Returns the answer to a request without a good token.
fn refused(challenge: &'static str) -> (StatusCode, [(HeaderName, &'static str); 1]) {
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, challenge)],
    )
}

/// Returns the application. `jwk` is the public key of the login service.
///
/// # Errors
///
/// Returns an [`Error`] if the key can't be read.
pub fn app(jwk: &str) -> Result<Router, Error> {
    Ok(Router::new()
        .route("/orders", get(orders))
        .with_state(Verifier::new(jwk)?))
}

async fn orders(Caller(subject): Caller) -> String {
    format!("the orders of member {subject}\n")
}
