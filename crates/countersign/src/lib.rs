//! Login tokens for axum and tower services: issue, validate, rotate, revoke.

mod answer;
mod clock;
pub mod denylist;
mod entropy;
mod error;
#[cfg(feature = "jwt")]
pub mod jwt;
mod policy;
mod profile;
mod secret;
pub mod store;
pub mod strategy;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod user;
mod value;

pub use answer::{
    Answer, Authenticated, Destroyed, Invalidated, IssuedToken, NotASessionId, Rotation, SessionId, TokenPair,
};
pub use clock::{Clock, SystemClock, Timestamp};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{Cause, ConfigError, Failure, FailureKind, Refusal};
pub use policy::{Lifetimes, MAX_LIFETIME};
pub use profile::Profile;
pub use secret::{MIN_SECRET_LENGTH, Secret};
pub use strategy::{RefreshableStrategy, Strategy};
pub use token::{Digest, DigestKeyRing, PlainToken, StoredToken, TokenFormat, TokenKind};
pub use user::{User, UserId, UserKey, UserKeyKind, UserManager};
