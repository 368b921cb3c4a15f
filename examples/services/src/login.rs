//! The service that logs in, built with countersign.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::jwt::{Algorithm, KeyRing, SigningKey};
use countersign::{Auth, AuthBuilder, ConfigError, Failure, Lifetimes, Secret, User, Users};

use crate::{AUDIENCE, ISSUER};

/// A member of the site.
#[derive(Clone, Debug)]
pub struct Member {
    /// The id.
    pub id: i64,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// The accounts: Ada alone. The example `own_users` of the library has a table of them, with hashes
/// of passwords.
#[derive(Debug)]
struct Members;

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok((*id == 7).then_some(Member { id: 7 }))
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        Ok(match (login.identifier(), login.password()) {
            ("ada", "correct horse battery") => LoginVerdict::Accepted(Member { id: 7 }),
            _ => LoginVerdict::Rejected,
        })
    }
}

/// Reads the private key of an ES256 pair, in PEM.
///
/// The id names the key in the header of each token. When keys are changed, the new one has another
/// id, and verifiers can tell them apart.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the text is no such key.
pub fn signing_key(pem: &Secret) -> Result<SigningKey, ConfigError> {
    SigningKey::from_secret(Algorithm::Es256, pem)?.with_kid("2026-11")
}

/// Starts to build authentication with signed access tokens.
///
/// # Errors
///
/// Returns a [`ConfigError`] if a lifetime is out of range.
pub fn auth(key: SigningKey, secret: &Secret) -> Result<AuthBuilder<Member>, ConfigError> {
    // The first is the time for which other services don't see a logout. The second is how long a
    // member may stay away.
    let lifetimes = Lifetimes::new(Duration::from_mins(5), Duration::from_hours(30 * 24))?;

    let auth = Auth::builder(Members)
        .database_url("sqlite::memory:")
        .secret(secret)
        .lifetimes(lifetimes)
        .jwt(|jwt| {
            jwt.keys(KeyRing::new(key))
                .issuer(ISSUER)
                .audience(AUDIENCE)
        });
    Ok(auth)
}

/// Returns the application.
pub fn app(auth: &Auth<Member>) -> Router {
    Router::new()
        .route("/me", get(me))
        .layer(auth.layer())
        .nest("/auth", auth.routes())
}

async fn me(member: CurrentUser<Member>) -> String {
    format!("member {}\n", member.user.id)
}
