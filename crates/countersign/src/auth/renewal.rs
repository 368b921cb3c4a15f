//! The renewal of cookies on a navigation: a new pair of tokens for a visitor whose access cookie
//! has expired.
//!
//! It is the exchange of the refresh route, asked for by a request that wants something else. So it
//! needs what that route needs: one refresh token, and proof that a page of this site sent the
//! request. A navigation has that proof in `Sec-Fetch-Site`.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::auth::{AuthOutcome, AuthenticationBackend, Authenticator, Selection};
use crate::error::{AuthError, ConfigError};
use crate::event;
use crate::token::{Authenticated, PlainToken};
use crate::transport::Offered;
use crate::user::User;

impl<U: User> Authenticator<U> {
    /// Checks that the refresh cookies of all cookie backends reach the requests that their access
    /// cookies reach.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if one doesn't, or if there is no backend whose cookies can be
    /// renewed.
    pub(crate) fn check_renewal(&self) -> Result<(), ConfigError> {
        let mut cookies = self
            .backends()
            .iter()
            .filter(|backend| is_refreshable(backend));
        if cookies.clone().next().is_none() {
            return Err(ConfigError::new(
                "renew_cookies",
                "needs a backend with cookies and a strategy with sessions",
                "add a backend with a cookie transport, or leave the setting out",
            ));
        }

        match cookies.find(|backend| !backend.transport().carries_both()) {
            None => Ok(()),
            Some(backend) => Err(ConfigError::new(
                "refresh_path",
                format!(
                    "keeps the refresh cookie of {} from the pages that its access cookie reaches",
                    backend.name()
                ),
                "leave refresh_path at the path of the access cookie where cookies are renewed",
            )),
        }
    }

    /// Exchanges the refresh cookie of a navigation without a good access token. Returns the
    /// outcome of the request, and headers with the new cookies if there are any.
    ///
    /// `outcome` is that of the request before. It stays as it is if there is nothing to exchange,
    /// or no proof of origin.
    pub(crate) async fn renew(
        &self,
        request: &Parts,
        outcome: AuthOutcome<U>,
    ) -> (AuthOutcome<U>, HeaderMap) {
        let mut cookies = HeaderMap::new();
        let Some((backend, token)) = self.renewable(request, &outcome) else {
            return (outcome, cookies);
        };

        let refreshed = match backend.refresh(&token, self.users()).await {
            Ok(refreshed) => refreshed,
            Err(AuthError::Refused(_)) => return (AuthOutcome::NotOffered, cookies),
            Err(AuthError::Failed(failure)) => {
                event::failed(&failure);
                return (AuthOutcome::Failed(Arc::new(failure)), cookies);
            }
        };
        if let Err(failure) =
            backend
                .transport()
                .reissue(&refreshed.issued, &request.headers, &mut cookies)
        {
            event::failed(&failure);
            return (AuthOutcome::Failed(Arc::new(failure)), cookies);
        }

        let access = &refreshed.issued.access;
        let mut authenticated = Authenticated::new(
            refreshed.user,
            access.session_id,
            access.issued_at,
            access.expires_at,
        );
        authenticated.backend = Some(Arc::clone(backend.name()));
        self.note_use(&authenticated);
        (AuthOutcome::Accepted(Arc::new(authenticated)), cookies)
    }

    /// Returns the refresh token of a request that can be renewed for, and its backend.
    fn renewable(
        &self,
        request: &Parts,
        outcome: &AuthOutcome<U>,
    ) -> Option<(&AuthenticationBackend<U>, PlainToken)> {
        // A refused access cookie is renewed by its own backend. A refused header never is.
        let refused = match (outcome, self.look(&request.headers)) {
            (AuthOutcome::NotOffered, Selection::NotOffered) => None,
            (AuthOutcome::Refused(_), Selection::One { backend, .. }) => Some(backend.name()),
            _ => return None,
        };

        let mut offered = self
            .backends()
            .iter()
            .filter(|backend| is_refreshable(backend))
            .filter(|backend| refused.is_none_or(|name| name == backend.name()))
            .filter_map(
                |backend| match backend.transport().offered_refresh(&request.headers) {
                    Offered::None => None,
                    offered => Some((backend, offered.one())),
                },
            );
        // Of two refresh tokens neither counts, as of two access tokens.
        let (Some((backend, Some(token))), None) = (offered.next(), offered.next()) else {
            return None;
        };
        let is_ours = self
            .origins()
            .proves(request, backend.transport().is_https_only());
        is_ours.then_some((backend, token))
    }
}

/// Returns `true` for a backend that reads both of its tokens from cookies, and can exchange them.
fn is_refreshable<U: User>(backend: &AuthenticationBackend<U>) -> bool {
    let transport = backend.transport();
    let refresh = transport.refresh_source();
    transport.source().is_ambient()
        && refresh.is_some_and(|source| source.is_ambient())
        && backend.strategy().as_refreshable().is_some()
}
