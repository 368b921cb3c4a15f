//! Transports: where a request carries its token, and how an answer hands tokens out.
//!
//! [`BearerTransport`] reads the `Authorization` header and answers with a JSON body.
//! [`CookieTransport`] reads and sets two cookies. An
//! [`AuthenticationBackend`](crate::AuthenticationBackend) pairs a transport with a strategy.
//!
//! A transport does no I/O and knows nothing of tokens but their text. It must not guess: a place
//! that holds two credentials, or something that isn't one, is reported as such, and the
//! [`Authenticator`](crate::Authenticator) refuses the request.

mod bearer;
mod body;
mod candidates;
mod cookie;
mod cookie_builder;
mod offered;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

pub use bearer::BearerTransport;
pub use body::TokenBody;
pub use candidates::Candidates;
pub use cookie::{CookieTransport, SameSite};
pub use cookie_builder::CookieTransportBuilder;
pub use offered::Offered;

use crate::error::Failure;
use crate::token::TokenPair;

/// The place in a request where a transport reads its credential.
///
/// Two backends that read the same place must be able to tell their tokens apart
/// ([`TokenShape`](crate::token::TokenShape)); [`AuthenticatorBuilder::build`] refuses others.
///
/// [`AuthenticatorBuilder::build`]: crate::auth::AuthenticatorBuilder::build
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialSource {
    /// A header, which the client sets itself.
    Header(HeaderName),
    /// A cookie of this name, which browsers attach also to requests that other sites' pages start.
    Cookie(Arc<str>),
}

impl CredentialSource {
    /// Returns `true` if browsers attach the credential by themselves, so that requests with unsafe
    /// methods need proof of their [origin](crate::OriginPolicy).
    pub const fn is_ambient(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }
}

/// A way for tokens to travel: out of the headers of a request, and into an answer.
///
/// Implement it for a place that the two transports of this crate don't cover, such as a header of
/// your own. An implementation reads headers only, never blocks, and returns [`Offered::Ambiguous`]
/// where it finds more than one value.
///
/// # Examples
///
/// A transport for a gateway that sends the token in a header of its own:
///
/// ```
/// use countersign::transport::{CredentialSource, Offered, TokenBody, Transport};
/// use countersign::{Failure, PlainToken, TokenPair};
/// use http::{HeaderMap, HeaderName};
///
/// const X_TOKEN: HeaderName = HeaderName::from_static("x-token");
///
/// #[derive(Debug)]
/// struct GatewayTransport;
///
/// impl Transport for GatewayTransport {
///     fn source(&self) -> CredentialSource {
///         CredentialSource::Header(X_TOKEN)
///     }
///
///     fn offered(&self, headers: &HeaderMap) -> Offered {
///         let mut values = headers.get_all(X_TOKEN).iter();
///         match (values.next(), values.next()) {
///             (None, _) => Offered::None,
///             (Some(_), Some(_)) => Offered::Ambiguous,
///             (Some(value), None) => match value.to_str() {
///                 Ok(text) if !text.is_empty() => Offered::One(PlainToken::new(text)),
///                 _ => Offered::Malformed,
///             },
///         }
///     }
///
///     fn issue(
///         &self,
///         tokens: &TokenPair,
///         _: &mut HeaderMap,
///     ) -> Result<Option<TokenBody>, Failure> {
///         TokenBody::new(tokens).map(Some)
///     }
/// }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Returns the place where access tokens are read.
    fn source(&self) -> CredentialSource;

    /// Returns the place where refresh tokens are read, or `None` if they travel in request bodies.
    ///
    /// Defaults to `None`.
    fn refresh_source(&self) -> Option<CredentialSource> {
        None
    }

    /// Returns the access token that a request offers.
    fn offered(&self, headers: &HeaderMap) -> Offered;

    /// Returns the refresh token that a request offers in its headers.
    ///
    /// Defaults to [`Offered::None`].
    fn offered_refresh(&self, headers: &HeaderMap) -> Offered {
        let _ = headers;
        Offered::None
    }

    /// Returns every text at this place that may be an access token, including those of a request
    /// for which [`offered`](Self::offered) is ambiguous.
    ///
    /// Only logout asks for them, and ends each of them. Nobody is ever let in by one. Defaults to
    /// the token that `offered` finds.
    fn candidates(&self, headers: &HeaderMap) -> Candidates {
        self.offered(headers).into()
    }

    /// Returns every text in the headers that may be a refresh token. Only logout asks for them.
    ///
    /// Defaults to the token that [`offered_refresh`](Self::offered_refresh) finds.
    fn refresh_candidates(&self, headers: &HeaderMap) -> Candidates {
        self.offered_refresh(headers).into()
    }

    /// Returns `true` if credentials travel this way over TLS only, as `Secure` cookies do.
    ///
    /// The site's own pages are https pages then, and an `http` origin isn't the site. Defaults to
    /// `false`.
    fn is_https_only(&self) -> bool {
        false
    }

    /// Returns `true` if every request that carries the access token carries the refresh token too.
    ///
    /// A cookie doesn't reach pages outside of its path. A layer that renews cookies while it
    /// serves pages needs both. Defaults to `false`.
    fn carries_both(&self) -> bool {
        false
    }

    /// Puts new tokens into an answer: into `headers`, or into the body that it returns.
    ///
    /// Returns `None` if the headers carry the tokens and the answer needs no body. Header values
    /// that hold a token should be marked as [sensitive](http::HeaderValue::set_sensitive).
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if a token can't travel this way, such as one that is too long for a
    /// cookie. The headers are then unchanged.
    fn issue(
        &self,
        tokens: &TokenPair,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure>;

    /// Puts new tokens into an answer as [`issue`](Self::issue) does, for a browser that is to
    /// forget them when it is closed.
    ///
    /// Defaults to [`issue`](Self::issue), for places that a browser doesn't keep.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] as [`issue`](Self::issue) does.
    fn issue_until_closed(
        &self,
        tokens: &TokenPair,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        self.issue(tokens, headers)
    }

    /// Puts tokens into an answer in exchange for those that a request has presented. Tokens of
    /// [`issue_until_closed`](Self::issue_until_closed) are replaced by such tokens.
    ///
    /// Every refresh has to use it. Defaults to [`issue`](Self::issue).
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] as [`issue`](Self::issue) does.
    fn reissue(
        &self,
        tokens: &TokenPair,
        presented: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        let _ = presented;
        self.issue(tokens, headers)
    }

    /// Adds headers that make the client forget its tokens. Defaults to adding none.
    fn clear(&self, headers: &mut HeaderMap) {
        let _ = headers;
    }
}
