//! The authenticator: the one place that says whose request this is.
//!
//! It works in two steps. *Selection* looks at the headers alone, and finds the one credential of a
//! request and the backend that it belongs to ([`Selection`]). *Verification* asks that backend,
//! and no other. The layers of the `tower` feature and the routes of the `axum` feature call it.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::auth::{AuthOutcome, AuthenticationBackend, OriginPolicy, UseRecorder};
use crate::error::{ConfigError, Failure, Refusal};
use crate::event;
use crate::token::{Authenticated, PlainToken, TokenStatus};
use crate::transport::{CredentialSource, Offered};
use crate::user::{User, UserManager};

/// The default for the longest credential that is accepted, in bytes.
const MAX_TOKEN_LENGTH: usize = 8192;

/// Authenticates requests with an ordered list of backends.
///
/// The authenticator selects before it verifies:
///
/// 1. It looks at every place of the request that a backend reads, such as a header or a cookie.
/// 2. If it finds more than one credential, it refuses the request, even if all of them are equal.
/// 3. It gives the one credential to the backend whose [`TokenShape`](crate::token::TokenShape)
///    fits. The answer of that backend is final: no other backend is tried after a refusal.
///
/// Identity therefore never depends on the order of backends.
///
/// Build one at start with [`builder`](Self::builder), and share it in an [`Arc`]. With tower or
/// axum, give it to `AuthLayer` and `AuthRoutes`. Elsewhere call
/// [`authenticate_request`](Self::authenticate_request), or
/// [`authenticate_headers`](Self::authenticate_headers) where requests aren't those of `http` 1.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::store::MemoryStore;
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::transport::BearerTransport;
/// use countersign::strategy::Strategy;
/// use countersign::{AuthenticationBackend, Authenticator, Failure, Secret, SystemEntropy, User};
/// use http::HeaderMap;
/// use http::header::AUTHORIZATION;
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::generate(&SystemEntropy)?;
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&secret)
///     .build()?;
/// let issued = strategy.write_token(&Account { id: 7 }).await?;
///
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
/// let authenticator: Authenticator<Account> = Authenticator::builder(Arc::new(users))
///     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy)))
///     .build()?;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(AUTHORIZATION, format!("Bearer {}", issued.token.expose()).parse()?);
/// let answer = authenticator.authenticate(&headers).await?;
/// assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(7));
/// # Ok(())
/// # }
/// ```
pub struct Authenticator<U> {
    users: Arc<dyn UserManager<U>>,
    backends: Vec<AuthenticationBackend<U>>,
    origins: OriginPolicy,
    max_token_length: usize,
    recorder: Option<UseRecorder>,
}

/// The credential of a request, found in its headers without asking a store.
///
/// [`Authenticator::select`] returns it, for code that needs to know the backend of a request
/// without verifying the token.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to decide on each case"
)]
pub enum Selection<'a, U> {
    /// The request carries no credential.
    NotOffered,
    /// The credential was rejected without asking a backend: it is malformed or too long, there are
    /// several, or its form fits no backend.
    Refused(Refusal),
    /// The request carries one credential, and a backend accepts tokens of its form.
    One {
        /// The backend that judges the token.
        backend: &'a AuthenticationBackend<U>,
        /// The access token, not verified yet.
        token: PlainToken,
    },
}

impl<U: User> Authenticator<U> {
    /// Starts to build an authenticator that looks users up with `users`.
    ///
    /// See [`AuthenticatorBuilder`] for the decisions to make.
    pub fn builder(users: Arc<dyn UserManager<U>>) -> AuthenticatorBuilder<U> {
        AuthenticatorBuilder {
            users,
            backends: Vec::new(),
            origins: OriginPolicy::default(),
            max_token_length: MAX_TOKEN_LENGTH,
            recorder: None,
        }
    }

    /// Returns the backends, in the order in which they were added.
    pub fn backends(&self) -> &[AuthenticationBackend<U>] {
        &self.backends
    }

    /// Returns the backend that accepted a credential, or `None` if another authenticator did.
    ///
    /// Use it for what concerns the session of a request, such as
    /// [`reauthenticate`](AuthenticationBackend::reauthenticate).
    pub fn backend_of(&self, accepted: &Authenticated<U>) -> Option<&AuthenticationBackend<U>> {
        let name = accepted.backend.as_ref()?;
        self.backends.iter().find(|backend| backend.name() == name)
    }

    /// Returns the user manager, which looks users up by id.
    pub fn users(&self) -> &dyn UserManager<U> {
        &*self.users
    }

    /// Returns the policy for cookies that come with requests of other sites.
    pub const fn origins(&self) -> &OriginPolicy {
        &self.origins
    }

    /// Authenticates a request by the credential in its headers.
    ///
    /// If the credential is a cookie and the request may change something, the request also has to
    /// prove that a page of this site sent it ([`OriginPolicy`]). No store is asked if the request
    /// carries no credential.
    ///
    /// A failure of a store is logged here. The outcome contains it, so that it can be answered.
    pub async fn authenticate_request(&self, request: &Parts) -> AuthOutcome<U> {
        self.outcome(&request.headers, |https_only| {
            self.origins.allows_cookies(request, https_only)
        })
        .await
    }

    /// Authenticates the request that a proxy asks about ("forward auth").
    ///
    /// `request` is the copy of the request's head that the proxy sends. The result is the same as
    /// that of [`authenticate_request`](Self::authenticate_request), except that the proof of
    /// origin is that of the original request ([`OriginPolicy::allows_forwarded`]).
    pub async fn authenticate_forwarded(&self, request: &Parts) -> AuthOutcome<U> {
        self.outcome(&request.headers, |https_only| {
            self.origins.allows_forwarded_cookies(request, https_only)
        })
        .await
    }

    /// Authenticates by `headers`. `allows` says if a cookie counts, given that it may be known to
    /// travel over https alone.
    async fn outcome(&self, headers: &HeaderMap, allows: impl Fn(bool) -> bool) -> AuthOutcome<U> {
        let selection = self.select(headers);
        // No store is asked about a cookie that doesn't count.
        if let Selection::One { backend, .. } = &selection
            && !may_count(backend, &allows)
        {
            return AuthOutcome::CrossSite;
        }

        match self.verify(selection).await {
            Ok(TokenStatus::NotOffered) => AuthOutcome::NotOffered,
            Ok(TokenStatus::Accepted(authenticated)) => {
                AuthOutcome::Accepted(Arc::new(authenticated))
            }
            Ok(TokenStatus::Refused(refusal)) => AuthOutcome::Refused(refusal),
            Err(failure) => {
                event::failed(&failure);
                AuthOutcome::Failed(Arc::new(failure))
            }
        }
    }

    /// Authenticates by headers alone, without a proof of origin for cookies.
    ///
    /// Method and origin of the request are not known here, so a page of another site could have
    /// sent the cookie. Where cookies are read and something is changed, use
    /// [`authenticate_request`](Self::authenticate_request) instead.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if a store can't be asked. It is then unknown whether the credential
    /// is valid: answer 503, not 401.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<TokenStatus<U>, Failure> {
        self.verify(self.select(headers)).await
    }

    /// Finds the one credential in `headers`, and the backend that it belongs to.
    ///
    /// Asks no store. A refusal is logged.
    pub fn select(&self, headers: &HeaderMap) -> Selection<'_, U> {
        let selection = self.look(headers);
        if let Selection::Refused(refusal) = &selection {
            event::refused(None, None, *refusal);
        }
        selection
    }

    /// Returns `true` if a request with a credential of `backend` may be acted on. For a cookie
    /// that takes a proof of origin.
    #[cfg(feature = "axum")]
    pub(crate) fn is_sent_by_us(
        &self,
        backend: &AuthenticationBackend<U>,
        request: &Parts,
    ) -> bool {
        may_count(backend, |https_only| {
            self.origins.allows_cookies(request, https_only)
        })
    }

    /// Asks the selected backend, and records the use of the session if its token was accepted.
    async fn verify(&self, selection: Selection<'_, U>) -> Result<TokenStatus<U>, Failure> {
        match selection {
            Selection::NotOffered => Ok(TokenStatus::NotOffered),
            Selection::Refused(refusal) => Ok(TokenStatus::Refused(refusal)),
            Selection::One { backend, token } => {
                let answer = backend.read(&token, self.users()).await?;
                if let TokenStatus::Accepted(authenticated) = &answer {
                    self.note_use(authenticated);
                }
                Ok(answer)
            }
        }
    }

    /// Tells the recorder, if there is one, that a session was used.
    pub(super) fn note_use(&self, authenticated: &Authenticated<U>) {
        if let Some(recorder) = &self.recorder {
            recorder.note(authenticated);
        }
    }

    /// Looks at every place that a backend reads, each of them once. More than one credential is
    /// ambiguous.
    pub(super) fn look(&self, headers: &HeaderMap) -> Selection<'_, U> {
        let mut found: Option<(CredentialSource, Offered)> = None;
        for backend in &self.backends {
            let source = backend.transport().source();
            // Backends that read the same place see the same credential: it is not a second one.
            if found.as_ref().is_some_and(|(seen, _)| *seen == source) {
                continue;
            }
            match (backend.transport().offered(headers), &found) {
                (Offered::None, _) => {}
                (_, Some(_)) => return Selection::Refused(Refusal::Ambiguous),
                (offered, None) => found = Some((source, offered)),
            }
        }

        match found {
            None | Some((_, Offered::None)) => Selection::NotOffered,
            Some((_, Offered::Malformed)) => Selection::Refused(Refusal::MalformedRequest),
            Some((_, Offered::Ambiguous)) => Selection::Refused(Refusal::Ambiguous),
            Some((source, Offered::One(token))) => self.claim(&source, token),
        }
    }

    /// Finds the backend whose tokens have the form of the text that was found at `source`.
    pub(crate) fn claim(&self, source: &CredentialSource, token: PlainToken) -> Selection<'_, U> {
        if token.expose().len() > self.max_token_length {
            return Selection::Refused(Refusal::TooLong);
        }
        let mut here = self
            .backends
            .iter()
            .filter(|backend| backend.transport().source() == *source);
        match here.find(|backend| backend.token_shape().claims(&token)) {
            Some(backend) => Selection::One { backend, token },
            None => Selection::Refused(Refusal::Malformed),
        }
    }
}

impl<U> fmt::Debug for Authenticator<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}

/// Builds an [`Authenticator`].
///
/// The decisions, in order:
///
/// 1. *Users*: how an id becomes an account. [`Authenticator::builder`] takes the [`UserManager`];
///    a closure works too.
/// 2. *Backends*: at least one, with [`backend`](Self::backend). Each kind of token in each place
///    of a request is a backend. Bearer tokens and cookies of one strategy are two backends.
/// 3. *Origins*: with cookies, name the public origin of the site with [`origins`](Self::origins)
///    if a proxy changes `Host`. Defaults to the request's own host.
/// 4. *Use of sessions*: [`record_use`](Self::record_use), if device lists are to show when a
///    session was last used. Not recorded by default.
/// 5. *Size*: [`max_token_length`](Self::max_token_length). Defaults to 8192 bytes.
///
/// [`build`](Self::build) checks that no two backends can be confused.
#[must_use]
pub struct AuthenticatorBuilder<U> {
    users: Arc<dyn UserManager<U>>,
    backends: Vec<AuthenticationBackend<U>>,
    origins: OriginPolicy,
    max_token_length: usize,
    recorder: Option<UseRecorder>,
}

impl<U: User> AuthenticatorBuilder<U> {
    /// Adds a backend.
    pub fn backend(mut self, backend: AuthenticationBackend<U>) -> Self {
        self.backends.push(backend);
        self
    }

    /// Sets the policy for cookies that come with requests of other sites. Defaults to
    /// [`OriginPolicy::default`], which trusts the request's own host alone.
    pub fn origins(mut self, origins: OriginPolicy) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the longest credential that is accepted, in bytes. Defaults to 8192.
    ///
    /// A longer one is refused before it is parsed.
    pub const fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Sets the recorder that is told of each session whose token is accepted. Defaults to none.
    ///
    /// Spawn [`UseRecorder::run`] too, or nothing is ever written.
    pub fn record_use(mut self, recorder: UseRecorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Builds the authenticator.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if
    ///
    /// - there is no backend;
    /// - two backends have the same name, or a name is not 1 to 64 letters, digits, `-`, `_` and
    ///   `.`;
    /// - two backends read the same place, and both could claim the same token;
    /// - access and refresh tokens would share a place, such as a cookie.
    pub fn build(self) -> Result<Authenticator<U>, ConfigError> {
        if self.backends.is_empty() {
            return Err(ConfigError::new(
                "backends",
                "no backend configured",
                "add a backend, for example one with a bearer transport",
            ));
        }

        for (index, backend) in self.backends.iter().enumerate() {
            check_name(backend.name())?;
            for other in self.backends.iter().skip(index.saturating_add(1)) {
                check_pair(backend, other)?;
            }
        }
        let Self {
            users,
            backends,
            origins,
            max_token_length,
            recorder,
        } = self;
        Ok(Authenticator {
            users,
            backends,
            origins,
            max_token_length,
            recorder,
        })
    }
}

impl<U> fmt::Debug for AuthenticatorBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatorBuilder")
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}

/// Checks that logs can show a backend's name.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if (1..=64).contains(&name.len()) && is_plain {
        return Ok(());
    }
    Err(ConfigError::new(
        "backend name",
        "is empty, too long or contains an unsupported character",
        "use 1 to 64 letters, digits, `-`, `_` and `.`",
    ))
}

/// Checks that no credential can be taken for one of the other backend.
fn check_pair<U: User>(
    one: &AuthenticationBackend<U>,
    other: &AuthenticationBackend<U>,
) -> Result<(), ConfigError> {
    if one.name() == other.name() {
        return Err(ConfigError::new(
            "backend name",
            "is used twice",
            "give each backend a unique name",
        ));
    }

    let (access, refresh) = (one.transport().source(), one.transport().refresh_source());
    let (other_access, other_refresh) = (
        other.transport().source(),
        other.transport().refresh_source(),
    );
    if access == other_access && one.token_shape().overlaps(other.token_shape()) {
        let problem = format!(
            "{} and {} read the same place and could claim the same token",
            one.name(),
            other.name()
        );
        let cure = "use different places, or token shapes that do not overlap";
        return Err(ConfigError::new("backends", problem, cure));
    }

    // The refresh token of one backend must never be read as an access token of another.
    if Some(&access) == other_refresh.as_ref()
        || refresh.as_ref() == Some(&other_access)
        || (refresh.is_some() && refresh == other_refresh)
    {
        let problem = format!(
            "{} and {} would use the same place for a refresh token",
            one.name(),
            other.name()
        );
        return Err(ConfigError::new(
            "backends",
            problem,
            "give each cookie transport a unique cookie_name",
        ));
    }
    Ok(())
}

/// Returns `true` if a credential that `backend` reads may count. A header always does. A cookie
/// does if `allows` returns `true`, which is told if cookies are known to travel over https alone.
fn may_count<U: User>(backend: &AuthenticationBackend<U>, allows: impl Fn(bool) -> bool) -> bool {
    let transport = backend.transport();
    let counts = !transport.source().is_ambient() || allows(transport.is_https_only());
    if !counts {
        event::refused_cross_site(backend.name());
    }
    counts
}
