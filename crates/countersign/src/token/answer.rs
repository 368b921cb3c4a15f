//! The answers of authentication: the values that strategies, backends and the authenticator
//! return.
//!
//! Start with [`TokenStatus`], the result of reading a credential: not offered, accepted or
//! refused. A store that can't be asked gives none of the three. It gives a
//! [`Failure`](crate::Failure), so that an outage never looks like a bad token. The other types
//! describe issued tokens ([`IssuedToken`], [`TokenPair`], [`Refreshed`]) and the result of ending
//! them ([`LoggedOut`], [`EndOutcome`], [`Invalidated`]). All of them are plain data: nothing here
//! does I/O.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::session::SessionId;
use crate::token::PlainToken;

/// The result of reading a credential.
///
/// [`Strategy::read_token`](crate::strategy::Strategy::read_token),
/// [`AuthenticationBackend::read`](crate::AuthenticationBackend::read) and
/// [`Authenticator::authenticate`](crate::Authenticator::authenticate) return it. When a store
/// can't be asked, these methods return a
/// [`Failure`](crate::Failure) instead. Never treat that as a refusal: over
/// HTTP a refusal is 401, a failure 503.
///
/// For a whole HTTP request, where a cookie may come from another site, see
/// [`AuthOutcome`](crate::AuthOutcome).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to decide on each case"
)]
pub enum TokenStatus<U> {
    /// The request carries no credential.
    NotOffered,
    /// The credential is valid. Contains the user and the facts of the token.
    Accepted(Authenticated<U>),
    /// The credential is not valid. Contains the reason, which is for the log and not for the
    /// client.
    Refused(Refusal),
}

impl<U> TokenStatus<U> {
    /// Returns the authenticated user, or `None` if the credential was not accepted.
    pub fn accepted(self) -> Option<Authenticated<U>> {
        match self {
            Self::Accepted(authenticated) => Some(authenticated),
            Self::NotOffered | Self::Refused(_) => None,
        }
    }
}

/// An authenticated user, with the facts of the accepted token.
///
/// The axum extractor `CurrentUser` gives handlers access to it. Its `Debug` output leaves the user
/// out.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated<U> {
    /// The user, as the [`UserManager`](crate::UserManager) returned it.
    pub user: U,
    /// The session that the token belongs to. `None` for a token that was issued outside of a
    /// session.
    pub session_id: Option<SessionId>,
    /// The time at which the token was issued, in UTC.
    pub issued_at: Timestamp,
    /// The expiry of the token, in UTC. A signed token is accepted for the leeway longer.
    pub expires_at: Timestamp,
    /// The name of the backend that accepted the token. `None` if a strategy was asked directly.
    pub backend: Option<Arc<str>>,
}

impl<U> Authenticated<U> {
    /// Creates the value that a strategy returns for an accepted token, without the name of a
    /// backend.
    ///
    /// [`AuthenticationBackend::read`](crate::AuthenticationBackend::read) adds its name.
    /// Strategies of your own call this.
    pub const fn new(
        user: U,
        session_id: Option<SessionId>,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            user,
            session_id,
            issued_at,
            expires_at,
            backend: None,
        }
    }
}

/// Leaves the user out, because the `Debug` of a user type may print what logs must not contain.
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

/// A token that was just issued, with its times and its session.
///
/// An opaque token is stored before this value is returned. Inside a transaction of the caller
/// ([`with_session`](crate::strategy::DatabaseTokenStrategy::with_session)) it becomes valid with
/// the caller's commit. A signed token is valid by its signature.
///
/// This is the only time at which the token's text is available: stores keep a digest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedToken {
    /// The text of the token, for its holder. It must not reach a log.
    pub token: PlainToken,
    /// The time of issue, in UTC. Whole seconds for a signed token.
    pub issued_at: Timestamp,
    /// The expiry, in UTC. Whole seconds for a signed token.
    pub expires_at: Timestamp,
    /// The session that the token belongs to. `None` for a token that was issued outside of a
    /// session.
    pub session_id: Option<SessionId>,
}

impl IssuedToken {
    /// Creates a token that was issued outside of a session, for strategies of your own. Set
    /// [`session_id`](Self::session_id) for one that belongs to a session.
    pub const fn new(token: PlainToken, issued_at: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            token,
            issued_at,
            expires_at,
            session_id: None,
        }
    }

    /// Returns the lifetime of the token, counted from [`issued_at`](Self::issued_at).
    ///
    /// In seconds it is the `expires_in` of a token response (RFC 6749 section 5.1).
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }
}

/// The tokens of one login or one refresh: an access token and the refresh token of the same
/// session.
///
/// A [`Transport`](crate::transport::Transport) puts the pair into a response.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenPair {
    /// The access token, which the client sends with each request.
    pub access: IssuedToken,
    /// The refresh token. `None` if the strategy has no sessions.
    pub refresh: Option<IssuedToken>,
    /// The time at which both tokens were issued, in UTC.
    pub issued_at: Timestamp,
}

impl TokenPair {
    /// Creates a pair whose tokens were issued when the access token was.
    pub const fn new(access: IssuedToken, refresh: Option<IssuedToken>) -> Self {
        let issued_at = access.issued_at;
        Self {
            access,
            refresh,
            issued_at,
        }
    }
}

/// The result of a successful refresh: the owner of the refresh token, and the new tokens.
///
/// `T` is a [`TokenPair`] or, where only the refresh token was rotated, an [`IssuedToken`]. The
/// `Debug` output leaves the user out.
#[derive(Clone)]
#[non_exhaustive]
pub struct Refreshed<U, T> {
    /// The user that the refresh token belongs to.
    pub user: U,
    /// The tokens that replace the presented one.
    pub issued: T,
}

impl<U, T> Refreshed<U, T> {
    /// Creates the result of a refresh of `user`.
    pub const fn new(user: U, issued: T) -> Self {
        Self { user, issued }
    }
}

/// Leaves the user out, for the same reason as [`Authenticated`].
impl<U, T: fmt::Debug> fmt::Debug for Refreshed<U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed")
            .field("issued", &self.issued)
            .finish_non_exhaustive()
    }
}

/// The result of a logout with a credential.
///
/// Both variants mean success to the client: the credential is not valid any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to decide on each case"
)]
pub enum LoggedOut {
    /// The session was ended by this call, with all of its access and refresh tokens. Contains the
    /// id of the session. It is `None` if the token belongs to no session and was revoked alone, or
    /// if the session was named by a refresh token.
    Ended(Option<SessionId>),
    /// The credential is unknown or already revoked, as it is after an earlier logout. There was
    /// nothing to end.
    AlreadyEnded,
}

/// The result of revoking one token or one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to decide on each case"
)]
pub enum EndOutcome {
    /// The token or session was revoked by this call. An expired token that had not been swept yet
    /// counts as revoked too.
    Ended,
    /// There was nothing to revoke: it is unknown, belongs to another user, or was revoked before.
    AlreadyEnded,
}

/// The result of ending everything that a user has ("log out everywhere").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to decide on each case"
)]
pub enum Invalidated {
    /// All sessions and tokens of the user were revoked.
    ///
    /// Contains the number of sessions that ended, as
    /// [`SessionControl::end_sessions`](crate::strategy::SessionControl::end_sessions) counts them.
    /// On Redis in the `litestar-auth` profile, which has no sessions, it is the number of tokens.
    All(u64),
    /// The strategy has no record of its tokens, so nothing was revoked. Signed tokens without
    /// sessions answer this. Their lifetime, or a changed email or password, ends them.
    Unsupported,
}
