//! The answer to "who is this?" (promise P6): not offered, accepted, refused. The fourth, "can't tell now", is a
//! [`Failure`](crate::Failure).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::entropy::Entropy;
use crate::error::{Failure, Refusal};
use crate::token::PlainToken;

/// What reading a credential says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<U> {
    /// No credential came with the request.
    NotOffered,
    /// The credential is good.
    Accepted(Authenticated<U>),
    /// The credential is bad; the reason is for the log only.
    Refused(Refusal),
}

impl<U> Answer<U> {
    /// The authenticated user, if the credential is good.
    pub fn accepted(self) -> Option<Authenticated<U>> {
        match self {
            Self::Accepted(authenticated) => Some(authenticated),
            Self::NotOffered | Self::Refused(_) => None,
        }
    }
}

/// A user whose credential was accepted, and what is known of the credential.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated<U> {
    /// The user.
    pub user: U,
    /// The session that the token belongs to, if it belongs to one.
    pub session_id: Option<SessionId>,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// The name of the backend that accepted it; set by the authenticator.
    pub backend: Option<Arc<str>>,
}

impl<U> Authenticated<U> {
    /// A user with the facts of the token that was accepted.
    pub const fn new(user: U, session_id: Option<SessionId>, issued_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { user, session_id, issued_at, expires_at, backend: None }
    }
}

/// Leaves the user out: a user type's own `Debug` may print what logs must not hold.
impl<U> fmt::Debug for Authenticated<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("session_id", &self.session_id)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Names a session: what login opens, rotation keeps and logout ends. It is no credential, so logs may hold it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new random id.
    ///
    /// # Errors
    /// [`Failure`] when the entropy source can't deliver.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

impl SessionId {
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads an id in the one spelling that we write: in tokens and stores any other is foreign.
    pub(crate) fn canonical(text: &str) -> Option<Self> {
        text.parse().ok().filter(|id: &Self| id.to_string() == text)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text isn't a session id: a UUID, in whichever of its spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct NotASessionId;

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        Uuid::try_parse(text).map(Self).map_err(|_| NotASessionId)
    }
}

/// A token just made, durable already (promise P12).
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token's text.
    pub token: PlainToken,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The session it belongs to, if it belongs to one.
    pub session_id: Option<SessionId>,
}

impl IssuedToken {
    /// How long it lives, from its issue on.
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }
}

/// An access token and the refresh token of the same session.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// The access token.
    pub access: IssuedToken,
    /// The refresh token; absent when the strategy has no sessions.
    pub refresh: Option<IssuedToken>,
    /// When both were issued.
    pub issued_at: Timestamp,
}

/// The user of a refresh token that was exchanged for its one successor, and what was issued in exchange.
#[derive(Clone)]
#[non_exhaustive]
pub struct Refreshed<U, T> {
    /// The user that the token belongs to.
    pub user: U,
    /// What was issued in exchange.
    pub issued: T,
}

impl<U, T> Refreshed<U, T> {
    /// What was issued to `user`.
    pub const fn new(user: U, issued: T) -> Self {
        Self { user, issued }
    }
}

/// Leaves the user out, as [`Authenticated`] does.
impl<U, T: fmt::Debug> fmt::Debug for Refreshed<U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").field("issued", &self.issued).finish_non_exhaustive()
    }
}

/// What came of logging out with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// The session is over, its access and refresh tokens with it; or the token, which had no session.
    Ended(Option<SessionId>),
    /// The token is one that logging out before would have left behind: unknown, or revoked.
    AlreadyOut,
}

/// What came of destroying a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destroyed {
    /// The token was live, or might have been, and is dead now.
    Revoked,
    /// There was nothing to revoke: the token wasn't ours, wasn't this user's, or was dead already.
    AlreadyInvalid,
}

/// What came of ending every session of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidated {
    /// All tokens of the user were revoked. Contains the number of sessions that ended, as
    /// [`SessionControl::end_sessions`](crate::strategy::SessionControl::end_sessions) counts them.
    All(u64),
    /// The strategy keeps no record by which it could find them.
    Unsupported,
}
