//! The outcome of authentication, as a request carries it to handlers.
//!
//! [`AuthOutcome`] extends [`TokenStatus`](crate::token::TokenStatus) by the two results that only
//! an HTTP request can have: a cross-site cookie, and a failure that was logged already and waits
//! to be answered. The tower layer puts it into the extensions of each request.

use std::fmt;
use std::sync::Arc;

use crate::error::{Failure, Refusal};
use crate::token::Authenticated;

/// The outcome of authenticating one request.
///
/// Each variant is final. A bad credential never counts as a missing one, and an outage never
/// counts as a bad credential. Clones share the user and the failure.
///
/// The layers of the `tower` feature put it into the request's extensions. The extractors of the
/// `axum` feature turn it into a user or a response; use them instead where you can.
///
/// # Examples
///
/// A service that doesn't use axum chooses its status from the outcome:
///
/// ```
/// use countersign::AuthOutcome;
///
/// fn status<U>(outcome: &AuthOutcome<U>) -> u16 {
///     match outcome {
///         AuthOutcome::Accepted(_) => 200,
///         AuthOutcome::NotOffered | AuthOutcome::Refused(_) => 401,
///         AuthOutcome::CrossSite => 403,
///         AuthOutcome::Failed(_) => 503,
///         _ => 500,
///     }
/// }
/// assert_eq!(status(&AuthOutcome::<()>::NotOffered), 401);
/// ```
#[non_exhaustive]
pub enum AuthOutcome<U> {
    /// The request carries no credential.
    NotOffered,
    /// The credential is valid and the account is active. Contains the user.
    Accepted(Arc<Authenticated<U>>),
    /// The credential is not valid. Contains the reason, which is for the log and not for the
    /// client.
    Refused(Refusal),
    /// The credential is a cookie, the request may change something, and nothing proves that a page
    /// of this site sent it. See [`OriginPolicy`](crate::OriginPolicy).
    CrossSite,
    /// A store can't be asked, so it is unknown whether the credential is valid. Contains the
    /// failure, which has been logged.
    Failed(Arc<Failure>),
}

impl<U> AuthOutcome<U> {
    /// Returns the authenticated user, or `None` if the request was not authenticated.
    pub const fn accepted(&self) -> Option<&Arc<Authenticated<U>>> {
        match self {
            Self::Accepted(authenticated) => Some(authenticated),
            _ => None,
        }
    }

    /// Returns `true` if the request carries a credential, valid or not.
    ///
    /// Responses to such requests must not be cached.
    pub const fn is_offered(&self) -> bool {
        !matches!(self, Self::NotOffered)
    }
}

impl<U> Clone for AuthOutcome<U> {
    fn clone(&self) -> Self {
        match self {
            Self::NotOffered => Self::NotOffered,
            Self::Accepted(authenticated) => Self::Accepted(Arc::clone(authenticated)),
            Self::Refused(refusal) => Self::Refused(*refusal),
            Self::CrossSite => Self::CrossSite,
            Self::Failed(failure) => Self::Failed(Arc::clone(failure)),
        }
    }
}

impl<U> fmt::Debug for AuthOutcome<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("NotOffered"),
            Self::Accepted(authenticated) => {
                f.debug_tuple("Accepted").field(authenticated).finish()
            }
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
            Self::CrossSite => f.write_str("CrossSite"),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
        }
    }
}
