//! How credentials travel: out of a request's headers, into an answer.
//!
//! A transport does no I/O and knows nothing of tokens but their text.

mod bearer;
mod body;
mod candidates;
mod cookie;
mod cookie_builder;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

pub use bearer::BearerTransport;
pub use body::TokenBody;
pub use candidates::Candidates;
pub use cookie::{CookieTransport, SameSite};
pub use cookie_builder::CookieTransportBuilder;

use crate::answer::TokenPair;
use crate::error::Failure;
use crate::token::PlainToken;

/// What a request offers at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Nothing.
    None,
    /// One credential, well-formed as far as the place's own grammar goes.
    One(PlainToken),
    /// Something that has not the form of a credential.
    Malformed,
    /// More than one credential, equal or not (RFC 6750 section 2, SECURITY row B-03).
    Ambiguous,
}

impl Offered {
    /// Returns the credential, if there is exactly one.
    pub fn one(self) -> Option<PlainToken> {
        match self {
            Self::One(token) => Some(token),
            Self::None | Self::Malformed | Self::Ambiguous => None,
        }
    }
}

/// The place in a request where a transport looks.
///
/// Two backends that look at the same place must be able to tell their tokens apart
/// ([`TokenShape`](crate::TokenShape)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialSource {
    /// A header that the client sets itself.
    Header(HeaderName),
    /// A cookie, which a browser sends along whoever wrote the page.
    Cookie(Arc<str>),
}

impl CredentialSource {
    /// Whether browsers send it along by themselves, so that unsafe methods need proof of their origin
    /// (SECURITY row W-04).
    pub const fn is_ambient(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }
}

/// Reads credentials from headers and puts tokens into answers (the strategies page: bearer, cookie).
pub trait Transport: fmt::Debug + Send + Sync {
    /// Where access tokens are offered.
    fn source(&self) -> CredentialSource;

    /// Where refresh tokens are offered, if not in the body.
    fn refresh_source(&self) -> Option<CredentialSource> {
        None
    }

    /// The access token that a request offers.
    fn offered(&self, headers: &HeaderMap) -> Offered;

    /// The refresh token that a request offers in its headers.
    fn offered_refresh(&self, headers: &HeaderMap) -> Offered {
        let _ = headers;
        Offered::None
    }

    /// Returns everything that may be an access token at this place, also where [`offered`](Self::offered) can't tell
    /// which of several counts. Logout ends each of them; nobody is ever let in by one.
    ///
    /// Defaults to what `offered` finds.
    fn candidates(&self, headers: &HeaderMap) -> Candidates {
        self.offered(headers).into()
    }

    /// Returns everything that may be a refresh token in the headers, for logout.
    ///
    /// Defaults to what [`offered_refresh`](Self::offered_refresh) finds.
    fn refresh_candidates(&self, headers: &HeaderMap) -> Candidates {
        self.offered_refresh(headers).into()
    }

    /// Returns whether credentials travel this way over TLS alone, as cookies with `Secure` do. Pages of the site are then
    /// pages over https. Defaults to false.
    fn is_https_only(&self) -> bool {
        false
    }

    /// Puts new tokens into an answer: into `headers`, or as the body it returns.
    ///
    /// # Errors
    /// [`Failure`] when a token can't travel this way; the headers are then as they were.
    fn issue(&self, tokens: &TokenPair, headers: &mut HeaderMap) -> Result<Option<TokenBody>, Failure>;

    /// Makes the client forget its tokens.
    fn clear(&self, headers: &mut HeaderMap) {
        let _ = headers;
    }
}
