//! Whose request is this? The one place that answers, over an ordered list of backends.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::answer::Answer;
use crate::backend::{AuthenticationBackend, refusal_event};
use crate::error::{ConfigError, Failure, Refusal};
use crate::origin::OriginPolicy;
use crate::outcome::AuthOutcome;
use crate::token::PlainToken;
use crate::transport::{CredentialSource, Offered};
use crate::usage::UseRecorder;
use crate::user::{User, UserManager};

/// The longest credential that is looked at, in bytes, unless configured otherwise (SECURITY section 7).
const MAX_TOKEN_LENGTH: usize = 8192;

/// Authenticates requests against an ordered list of backends.
///
/// It selects before it verifies: it looks at what a request offers in every place that a backend reads, and only when
/// that is exactly one credential does the backend it belongs to judge it, with a final answer. No backend is tried
/// after another has refused, and more than one credential is refused whatever they say, so identity is never a matter
/// of order (SECURITY row B-03).
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{AuthenticationBackend, Authenticator, ConfigError, Strategy, User, UserManager};
/// # use countersign::transport::BearerTransport;
/// # fn example<U: User>(strategy: Arc<dyn Strategy<U>>, users: Arc<dyn UserManager<U>>) -> Result<(), ConfigError> {
/// let authenticator = Authenticator::builder(users)
///     .backend(AuthenticationBackend::new("api", BearerTransport, strategy))
///     .build()?;
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

/// What a request offers, told from its headers alone.
#[derive(Debug)]
pub enum Selection<'a, U> {
    /// No credential.
    NotOffered,
    /// Something that is refused unasked.
    Refused(Refusal),
    /// One credential, and the backend that it belongs to.
    One {
        /// The backend whose answer counts.
        backend: &'a AuthenticationBackend<U>,
        /// The access token.
        token: PlainToken,
    },
}

impl<U: User> Authenticator<U> {
    /// Starts an authenticator that looks users up with `users`.
    pub fn builder(users: Arc<dyn UserManager<U>>) -> AuthenticatorBuilder<U> {
        AuthenticatorBuilder {
            users,
            backends: Vec::new(),
            origins: OriginPolicy::default(),
            max_token_length: MAX_TOKEN_LENGTH,
            recorder: None,
        }
    }

    /// The backends, in the order in which they were added.
    pub fn backends(&self) -> &[AuthenticationBackend<U>] {
        &self.backends
    }

    /// How users are looked up.
    pub fn users(&self) -> &dyn UserManager<U> {
        &*self.users
    }

    /// Whose pages may send cookies along.
    pub const fn origins(&self) -> &OriginPolicy {
        &self.origins
    }

    /// Authenticates a request: the credential in its headers, and for a cookie also where the request came from. No
    /// store is asked when nothing is offered.
    pub async fn authenticate_request(&self, request: &Parts) -> AuthOutcome<U> {
        self.outcome(&request.headers, |https_only| self.origins.allows_cookies(request, https_only)).await
    }

    /// Authenticates the request that a proxy asks about ("forward auth"), by the copy of its head that the proxy sends. Returns
    /// what [`authenticate_request`](Self::authenticate_request) would, but for the
    /// [proof of origin](OriginPolicy::allows_forwarded), which is that of the request asked about.
    pub async fn authenticate_forwarded(&self, request: &Parts) -> AuthOutcome<U> {
        self.outcome(&request.headers, |https_only| self.origins.allows_forwarded_cookies(request, https_only)).await
    }

    /// What comes of the credential in `headers`, where `allows` says whether a cookie counts.
    async fn outcome(&self, headers: &HeaderMap, allows: impl Fn(bool) -> bool) -> AuthOutcome<U> {
        let selection = self.select(headers);
        if let Selection::One { backend, .. } = &selection
            && !may_count(backend, &allows)
        {
            return AuthOutcome::CrossSite;
        }
        match self.verify(selection).await {
            Ok(Answer::NotOffered) => AuthOutcome::NotOffered,
            Ok(Answer::Accepted(authenticated)) => AuthOutcome::Accepted(Arc::new(authenticated)),
            Ok(Answer::Refused(refusal)) => AuthOutcome::Refused(refusal),
            Err(failure) => {
                failure_event(&failure);
                AuthOutcome::Failed(Arc::new(failure))
            }
        }
    }

    /// Says whose credential is in `headers`. Without the method and origin of the request it can't tell whether a
    /// cookie was sent by a page of ours: where cookies are read and something is changed, use
    /// [`authenticate_request`](Self::authenticate_request).
    ///
    /// # Errors
    /// [`Failure`] when a store can't be asked: the question stays open (promise P6).
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Answer<U>, Failure> {
        self.verify(self.select(headers)).await
    }

    /// Finds the one credential in `headers` and the backend that it belongs to; asks no store.
    pub fn select(&self, headers: &HeaderMap) -> Selection<'_, U> {
        let selection = self.look(headers);
        if let Selection::Refused(refusal) = &selection {
            refusal_event(None, None, *refusal);
        }
        selection
    }

    /// Whether a request that `backend` would judge may be acted on: for cookies, whether a page of ours sent it.
    #[cfg(feature = "axum")]
    pub(crate) fn is_sent_by_us(&self, backend: &AuthenticationBackend<U>, request: &Parts) -> bool {
        may_count(backend, |https_only| self.origins.allows_cookies(request, https_only))
    }

    async fn verify(&self, selection: Selection<'_, U>) -> Result<Answer<U>, Failure> {
        match selection {
            Selection::NotOffered => Ok(Answer::NotOffered),
            Selection::Refused(refusal) => Ok(Answer::Refused(refusal)),
            Selection::One { backend, token } => {
                let answer = backend.read(&token, self.users()).await?;
                if let (Answer::Accepted(authenticated), Some(recorder)) = (&answer, &self.recorder) {
                    recorder.note(authenticated);
                }
                Ok(answer)
            }
        }
    }

    fn look(&self, headers: &HeaderMap) -> Selection<'_, U> {
        let mut found: Option<(CredentialSource, Offered)> = None;
        for backend in &self.backends {
            let source = backend.transport().source();
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

    /// Finds the backend that a text at `source` belongs to.
    pub(crate) fn claim(&self, source: &CredentialSource, token: PlainToken) -> Selection<'_, U> {
        if token.expose().len() > self.max_token_length {
            return Selection::Refused(Refusal::TooLong);
        }
        let mut here = self.backends.iter().filter(|backend| backend.transport().source() == *source);
        match here.find(|backend| backend.token_shape().claims(&token)) {
            Some(backend) => Selection::One { backend, token },
            None => Selection::Refused(Refusal::Malformed),
        }
    }
}

impl<U> fmt::Debug for Authenticator<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("backends", &self.backends).finish_non_exhaustive()
    }
}

/// Builds an [`Authenticator`].
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

    /// Says whose pages may send cookies along with unsafe methods, beside the request's own host.
    pub fn origins(mut self, origins: OriginPolicy) -> Self {
        self.origins = origins;
        self
    }

    /// Refuses credentials longer than `bytes` (8 KiB unless set) before anything else is done.
    pub const fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Tells `recorder` of each session whose token is accepted.
    pub fn record_use(mut self, recorder: UseRecorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The authenticator.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no backend; when two have one name, or a name that logs can't show; when two that
    /// look at the same place could both claim a token; when one place would hold access and refresh tokens.
    pub fn build(self) -> Result<Authenticator<U>, ConfigError> {
        if self.backends.is_empty() {
            return Err(ConfigError::new("backends", "are none", "add one, such as a bearer backend"));
        }
        for (index, backend) in self.backends.iter().enumerate() {
            check_name(backend.name())?;
            for other in self.backends.iter().skip(index.saturating_add(1)) {
                check_pair(backend, other)?;
            }
        }
        let Self { users, backends, origins, max_token_length, recorder } = self;
        Ok(Authenticator { users, backends, origins, max_token_length, recorder })
    }
}

impl<U> fmt::Debug for AuthenticatorBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatorBuilder").field("backends", &self.backends).finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(ConfigError::new("backend name", "is empty, too long or has other characters", "use letters, digits, - _ ."))
}

fn check_pair<U: User>(one: &AuthenticationBackend<U>, other: &AuthenticationBackend<U>) -> Result<(), ConfigError> {
    if one.name() == other.name() {
        return Err(ConfigError::new("backend name", "is used twice", "give each backend a name of its own"));
    }
    let (access, refresh) = (one.transport().source(), one.transport().refresh_source());
    let (other_access, other_refresh) = (other.transport().source(), other.transport().refresh_source());
    if access == other_access && one.token_shape().overlaps(other.token_shape()) {
        let problem = format!("{} and {} look at the same place and could claim one token", one.name(), other.name());
        let cure = "give them different places, or token shapes that exclude each other";
        return Err(ConfigError::new("backends", problem, cure));
    }
    if Some(&access) == other_refresh.as_ref()
        || refresh.as_ref() == Some(&other_access)
        || (refresh.is_some() && refresh == other_refresh)
    {
        let problem = format!("{} and {} would share a place for refresh tokens", one.name(), other.name());
        return Err(ConfigError::new("backends", problem, "give each cookie transport a cookie_name of its own"));
    }
    Ok(())
}

/// Whether what `backend` reads may count: a header always, a cookie when `allows` says so of cookies that may be known to
/// travel over https alone.
fn may_count<U: User>(backend: &AuthenticationBackend<U>, allows: impl Fn(bool) -> bool) -> bool {
    let transport = backend.transport();
    let counts = !transport.source().is_ambient() || allows(transport.is_https_only());
    if !counts {
        cross_site_event(backend.name());
    }
    counts
}

fn cross_site_event(backend: &str) {
    tracing::warn!(event = "refused", reason = "cross_site", backend, "credential refused");
}

/// The one line that a failure leaves in the log: the part and its causes. Neither holds anything of the request.
pub(crate) fn failure_event(failure: &Failure) {
    let cause = std::error::Error::source(failure).map(tracing::field::display);
    tracing::error!(event = "failed", part = failure.part(), kind = ?failure.kind(), cause, "can't answer");
}
