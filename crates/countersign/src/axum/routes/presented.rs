//! The tokens that a request presents to be logged out, and the ending of them.
//!
//! To let somebody in, a request must have exactly one credential. To log out, each that can be
//! read is ended: whoever holds a token may end its session, so it makes no difference who put it
//! into the request.

use http::request::Parts;

use crate::auth::{AuthenticationBackend, Selection};
use crate::axum::routes::shared::Shared;
use crate::error::{AuthError, Failure, Refusal};
use crate::event;
use crate::token::{LoggedOut, PlainToken};
use crate::transport::{Candidates, CredentialSource};
use crate::user::User;

/// The tokens in a request's head that are to be ended.
pub(super) struct Presented<'a, U> {
    access: Vec<(&'a AuthenticationBackend<U>, PlainToken)>,
    refresh: Vec<(&'a AuthenticationBackend<U>, PlainToken)>,
    /// The backends that were shown anything, so that their clients are told to forget it.
    pub(super) shown: Vec<&'a AuthenticationBackend<U>>,
    /// The refusal of a text that no backend can be asked about.
    pub(super) unread: Option<Refusal>,
    /// `true` if there were more tokens than are considered.
    pub(super) is_partial: bool,
    /// `true` if cookies came that another site's page may have sent. They count for nothing.
    pub(super) is_cross_site: bool,
}

impl<'a, U: User> Presented<'a, U> {
    /// Returns the tokens in the headers of `request`, in the places of the backends that `reads`
    /// accepts.
    pub(super) fn of(
        shared: &'a Shared<U>,
        request: &Parts,
        reads: impl Fn(&AuthenticationBackend<U>) -> bool,
    ) -> Self {
        let mut presented = Self {
            access: Vec::new(),
            refresh: Vec::new(),
            shown: Vec::new(),
            unread: None,
            is_partial: false,
            is_cross_site: false,
        };
        let mut seen: Vec<CredentialSource> = Vec::new();
        for backend in shared
            .authenticator
            .backends()
            .iter()
            .filter(|backend| reads(backend))
        {
            let source = backend.transport().source();
            // Two backends may read one place, whose texts are considered once.
            let is_new = !seen.contains(&source);
            if is_new {
                seen.push(source.clone());
            }
            let access = if is_new {
                backend.transport().candidates(&request.headers)
            } else {
                Candidates::default()
            };
            let refresh = backend.transport().refresh_candidates(&request.headers);
            if access.is_empty() && refresh.is_empty() {
                continue;
            }

            // Otherwise a page of another site could log the user out.
            if !shared.authenticator.is_sent_by_us(backend, request) {
                presented.is_cross_site = true;
                continue;
            }

            presented.shown.push(backend);
            presented.is_partial |= access.is_partial() || refresh.is_partial();
            presented.add_access(shared, &source, &access);
            if refresh.is_malformed() {
                presented.note(Refusal::MalformedRequest);
            }
            presented.refresh.extend(
                refresh
                    .tokens()
                    .iter()
                    .map(|token| (backend, token.clone())),
            );
        }

        if let Some(refusal) = presented.unread {
            event::refused(None, None, refusal);
        }
        presented
    }

    /// Adds access tokens, each with the backend that it belongs to.
    fn add_access(
        &mut self,
        shared: &'a Shared<U>,
        source: &CredentialSource,
        candidates: &Candidates,
    ) {
        if candidates.is_malformed() {
            self.note(Refusal::MalformedRequest);
        }
        for token in candidates.tokens() {
            match shared.authenticator.claim(source, token.clone()) {
                Selection::One { backend, token } => self.access.push((backend, token)),
                Selection::Refused(refusal) => self.note(refusal),
                Selection::NotOffered => {}
            }
        }
    }

    /// Keeps the first refusal.
    fn note(&mut self, refusal: Refusal) {
        self.unread.get_or_insert(refusal);
    }

    /// Ends the session of each token. One that can't be ended doesn't keep the others from being
    /// ended.
    ///
    /// # Errors
    ///
    /// Returns the last [`Failure`] that kept a token from being ended.
    pub(super) async fn end(&self, shared: &Shared<U>) -> Result<Ended, Failure> {
        let mut ended = Ended::default();
        let mut failed = None;
        for (backend, token) in &self.access {
            if let Err(failure) =
                ended.note(backend.logout(token, shared.authenticator.users()).await)
            {
                // Kept, and the others are tried first: each token that can be ended is ended.
                failed = Some(failure);
            }
        }

        for (backend, token) in &self.refresh {
            match backend.logout_with_refresh(token).await {
                Ok(logged_out) => ended.note(Ok(logged_out))?,
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(ended), Err)
    }
}

/// The result of ending tokens.
#[derive(Default)]
pub(super) struct Ended {
    /// `true` if at least one token was good, and its session is over.
    pub(super) any: bool,
    /// `true` if at least one token belongs to a session that was over already.
    pub(super) over: bool,
    /// The refusal of the first token that was bad.
    pub(super) refusal: Option<Refusal>,
}

impl Ended {
    /// Adds the result of ending one token.
    ///
    /// # Errors
    ///
    /// Returns the [`Failure`] that kept the token from being ended.
    pub(super) fn note(&mut self, logged_out: Result<LoggedOut, AuthError>) -> Result<(), Failure> {
        match logged_out {
            Ok(LoggedOut::Ended(_)) => self.any = true,
            Ok(LoggedOut::AlreadyEnded) => self.over = true,
            Err(AuthError::Refused(refusal)) => {
                self.refusal.get_or_insert(refusal);
            }
            Err(AuthError::Failed(failure)) => return Err(failure),
        }
        Ok(())
    }
}
