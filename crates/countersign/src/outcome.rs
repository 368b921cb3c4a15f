//! What authentication made of a request, for everything that runs after it.

use std::fmt;
use std::sync::Arc;

use crate::answer::Authenticated;
use crate::error::{Failure, Refusal};

/// The outcome of authenticating one request.
///
/// Each is final: a bad credential never counts as none, and an outage never as a bad credential (promise P6). Clones
/// share the user.
#[non_exhaustive]
pub enum AuthOutcome<U> {
    /// No credential came with the request.
    NotOffered,
    /// The credential is good and the account may be used.
    Accepted(Arc<Authenticated<U>>),
    /// The credential is bad; the reason is for the log only.
    Refused(Refusal),
    /// A cookie came with an unsafe method, and nothing proves that one of our own pages sent it.
    CrossSite,
    /// The question can't be answered now.
    Failed(Arc<Failure>),
}

impl<U> AuthOutcome<U> {
    /// The authenticated user, if the credential is good.
    pub const fn accepted(&self) -> Option<&Arc<Authenticated<U>>> {
        match self {
            Self::Accepted(authenticated) => Some(authenticated),
            _ => None,
        }
    }

    /// Whether the request came with any credential, good or bad.
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
            Self::Accepted(authenticated) => f.debug_tuple("Accepted").field(authenticated).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
            Self::CrossSite => f.write_str("CrossSite"),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
        }
    }
}
