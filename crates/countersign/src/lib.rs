//! Login tokens for axum and tower services: issue, validate, rotate, revoke.

mod answer;
mod authenticator;
#[cfg(feature = "axum")]
pub mod axum;
mod backend;
mod clock;
pub mod denylist;
mod entropy;
mod error;
mod origin;
mod outcome;
#[cfg(feature = "jwt")]
pub mod jwt;
mod policy;
#[cfg(feature = "tower")]
mod problem;
mod profile;
mod secret;
pub mod store;
pub mod strategy;
mod token;
#[cfg(feature = "tower")]
pub mod tower;
pub mod transport;
mod user;
mod value;

pub use answer::{
    Answer, Authenticated, Destroyed, Invalidated, IssuedToken, NotASessionId, Rotation, SessionId, TokenPair,
};
pub use authenticator::{Authenticator, AuthenticatorBuilder, Selection};
pub use backend::{AuthenticationBackend, LoggedOut};
pub use clock::{Clock, SystemClock, Timestamp};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{Cause, ConfigError, Failure, FailureKind, Refusal};
pub use origin::OriginPolicy;
pub use outcome::AuthOutcome;
pub use policy::{Lifetimes, MAX_LIFETIME};
#[cfg(feature = "tower")]
pub use problem::Problem;
pub use profile::Profile;
pub use secret::{MIN_SECRET_LENGTH, Secret};
pub use strategy::{RefreshableStrategy, Strategy};
pub use token::{Digest, DigestKeyRing, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
pub use user::{User, UserId, UserKey, UserKeyKind, UserManager};
