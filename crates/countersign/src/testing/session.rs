//! Sessions that a test opens without a login route.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

use crate::auth::Authenticator;
use crate::error::{AuthError, Failure};
use crate::session::SessionId;
use crate::strategy::Login;
use crate::testing::TestCookies;
use crate::token::TokenPair;
use crate::user::User;

/// A session that was opened for a test, with the headers that a logged-in client sends.
///
/// Open one with [`TestSession::open`] or, for an `Auth` (feature `axum`), with
/// `Auth::test_session`. It is a session like any other: it appears in device lists, can be
/// refreshed, and ends by a logout.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::store::MemoryStore;
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::testing::TestSession;
/// use countersign::transport::BearerTransport;
/// use countersign::{
///     AuthenticationBackend, Authenticator, Failure, Secret, SystemEntropy, User,
/// };
///
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
/// #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
/// #     .build()?;
/// # let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
/// let authenticator = Authenticator::builder(Arc::new(users))
///     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy)))
///     .build()?;
///
/// let session = TestSession::open(&authenticator, &Member { id: 7 }).await?;
/// let answer = authenticator.authenticate(&session.bearer()).await?;
/// assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestSession {
    tokens: TokenPair,
    bearer: HeaderMap,
    cookies: TestCookies,
}

impl TestSession {
    /// Opens a session of `user` at the first backend of `authenticator`, as a login does.
    ///
    /// No password is checked, and the account isn't looked up. The session has a cookie for each
    /// cookie transport whose backend has the same strategy as the first one. Without sessions in
    /// the strategy, there is an access token alone.
    ///
    /// # Errors
    ///
    /// Returns an [`AuthError`] if the strategy refuses the login, as at the limit on sessions, or if
    /// the store or a transport fails.
    pub async fn open<U: User>(
        authenticator: &Authenticator<U>,
        user: &U,
    ) -> Result<Self, AuthError> {
        let backends = authenticator.backends();
        let first = backends
            .first()
            .ok_or_else(|| Failure::internal("test session", "no backend configured"))?;
        let tokens = first.login(user, &Login::default()).await?;
        let mut answer = HeaderMap::new();
        for backend in backends {
            if Arc::ptr_eq(backend.strategy(), first.strategy()) {
                // The body repeats the tokens; only cookies are wanted.
                drop(backend.transport().issue(&tokens, &mut answer)?);
            }
        }

        let mut cookies = TestCookies::new();
        cookies.update(&answer);
        let bearer = bearer(&tokens)?;
        Ok(Self {
            tokens,
            bearer,
            cookies,
        })
    }

    /// Returns the headers of a program: `Authorization: Bearer …`.
    pub fn bearer(&self) -> HeaderMap {
        self.bearer.clone()
    }

    /// Returns the headers of a page in a browser: the cookies, and the proof that a page of the
    /// same site sends the request. See [`TestCookies::to_headers`].
    ///
    /// Without a cookie transport there are no cookies among them.
    pub fn cookie(&self) -> HeaderMap {
        self.cookies.to_headers()
    }

    /// Returns the cookies, to be updated with the responses of the server. Empty without a cookie
    /// transport.
    pub const fn cookies(&self) -> &TestCookies {
        &self.cookies
    }

    /// Returns the tokens, for requests that carry them elsewhere, such as a refresh.
    pub const fn tokens(&self) -> &TokenPair {
        &self.tokens
    }

    /// Returns the id of the session, or `None` if the strategy has no sessions.
    pub const fn id(&self) -> Option<SessionId> {
        self.tokens.access.session_id
    }
}

/// Returns the headers that carry the access token as a bearer token.
fn bearer(tokens: &TokenPair) -> Result<HeaderMap, Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", tokens.access.token.expose()))
        .map_err(|error| Failure::internal("test session", error))?;
    // Keeps the token out of `Debug` output.
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}
