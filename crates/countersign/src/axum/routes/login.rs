//! `POST /login`, `POST /cookie/login`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum_core::response::Response;
use http::{Extensions, HeaderMap, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::answer::{SessionId, TokenPair};
use crate::axum::StrictJson;
use crate::axum::routes::{Shared, sessions, token_answer};
use crate::backend::AuthenticationBackend;
use crate::client::Client;
use crate::error::{AuthError, Failure, Refusal};
use crate::problem::Problem;
use crate::store::Page;
use crate::strategy::Login;
use crate::user::User;

/// The longest identifier, in characters.
const MAX_IDENTIFIER: usize = 320;

/// The longest password, in bytes: longer ones are refused before they are hashed (SECURITY row L-05).
const MAX_PASSWORD: usize = 1024;

/// How many sessions a refused login is shown at most.
const SHOWN: u32 = 100;

/// How often an attempt is judged: again when the account changed while its password was being checked, as when another login
/// renewed the password's hash.
const JUDGED: usize = 3;

/// Says who may log in: your own check of identifier and password.
///
/// An unknown identifier should cost as much time as a wrong password (SECURITY row L-03), and hashing belongs off the
/// request threads (L-02).
///
/// ```
/// use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
/// # use countersign::{Failure, User};
/// # #[derive(Clone)]
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # async fn find_and_check(_: &str, _: &str) -> Result<Option<Member>, Failure> { Ok(None) }
///
/// struct Members;
///
/// #[async_trait::async_trait]
/// impl CredentialVerifier<Member> for Members {
///     async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
///         Ok(match find_and_check(login.identifier(), login.password()).await? {
///             Some(member) => LoginVerdict::Accepted(member),
///             None => LoginVerdict::Rejected,
///         })
///     }
/// }
/// ```
#[async_trait]
pub trait CredentialVerifier<U: User>: Send + Sync {
    /// The verdict on one attempt.
    ///
    /// # Errors
    /// [`Failure`] when the question can't be answered now.
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<U>, Failure>;

    /// Whether what [`verify`](Self::verify) judged by still holds: the account is still active and has the same password.
    /// Asked after the user's fence was read, so that a login can't outlive the change of a password, or the end of an
    /// account, that took place while the password was being hashed (promise P4). When it doesn't hold, the attempt is judged
    /// again, by the account as it is then; a few times at most.
    ///
    /// Unless told, everything holds.
    ///
    /// # Errors
    /// [`Failure`] when the question can't be answered now.
    async fn still_holds(&self, user: &U) -> Result<bool, Failure> {
        let _ = user;
        Ok(true)
    }
}

/// What came of an attempt to log in.
#[derive(Clone)]
pub enum LoginVerdict<U> {
    /// Identifier and password are right. An inactive user is answered as if they were wrong.
    Accepted(U),
    /// They aren't; nobody is told which of them (401).
    Rejected,
    /// There were too many attempts (429).
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// There are more attempts at once than can be checked (503).
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
}

/// Without the user: its own `Debug` may print what logs must not hold.
impl<U> fmt::Debug for LoginVerdict<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted(_) => "Accepted(..)",
            Self::Rejected => "Rejected",
            Self::RateLimited { .. } => "RateLimited",
            Self::Overloaded { .. } => "Overloaded",
        })
    }
}

/// An attempt to log in: an identifier of 1 to 320 characters and a password of 1 to 1024 bytes, both exactly as sent.
///
/// Its `Debug` shows neither, and the password is wiped on drop (promise P7).
pub struct LoginAttempt {
    identifier: String,
    password: Zeroizing<String>,
    client_address: Option<IpAddr>,
    client: Client,
    /// The session that ends for the one to be opened.
    replaces: Option<SessionId>,
}

impl LoginAttempt {
    /// Who it claims to be: whatever the application tells accounts apart by.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where the attempt comes from: [`ClientAddress`] if a layer has put one into the request's extensions, else the
    /// peer of the connection if the server was made with connect info.
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginAttempt(..)")
    }
}

/// The client's address as a trusted proxy told it: a request extension, set by the layer that knows which proxies to
/// trust (SECURITY row B-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

pub(super) async fn bearer<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    log_in(&shared, shared.bearer()?, request).await
}

pub(super) async fn cookie<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    shared.check_sender(&parts)?;
    log_in(&shared, shared.cookie()?, Request::from_parts(parts, body)).await
}

async fn log_in<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    request: Request,
) -> Result<Response, Problem> {
    let verifier = shared.verifier.as_ref().ok_or(Problem::INTERNAL)?;
    let attempt = read_attempt(request).await?;
    match admit(verifier, backend, &attempt).await? {
        Admission::Done(tokens) => token_answer(backend, &tokens),
        Admission::Refused(reason, problem) => {
            note(backend.name(), reason);
            Err(problem)
        }
        Admission::Full(user) => {
            note(backend.name(), Refusal::TooManySessions.as_str());
            full(backend, &user).await
        }
    }
}

fn note(backend: &str, reason: &'static str) {
    tracing::warn!(event = "login_failed", reason, backend, "login failed");
}

/// Tells who knows the password which sessions there are, so that one of them can be replaced: a session whose login was
/// never answered can't be ended by anybody else.
async fn full<U: User>(backend: &AuthenticationBackend<U>, user: &U) -> Result<Response, Problem> {
    let page = Page { after: None, limit: SHOWN };
    let page = backend.sessions_of(user.id(), &page).await.map_err(|failure| Problem::from_failure(&failure))?;
    Ok(Problem::SESSION_LIMIT_REACHED.into_http_with("sessions", &sessions::shown_newest_first(page.sessions, None)))
}

/// What came of an attempt to log in.
enum Admission<U> {
    Done(TokenPair),
    /// Why, for the log and for them.
    Refused(&'static str, Problem),
    /// The password is right, and the account has as many sessions as it may have.
    Full(U),
}

/// Judges the attempt, and opens a session by that judgement unless the account has changed since.
async fn admit<U: User>(
    verifier: &Arc<dyn CredentialVerifier<U>>,
    backend: &AuthenticationBackend<U>,
    attempt: &LoginAttempt,
) -> Result<Admission<U>, Problem> {
    for _ in 0..JUDGED {
        let verdict = verifier.verify(attempt).await.map_err(|failure| Problem::from_failure(&failure))?;
        let user = match admitted(verdict) {
            Ok(user) => user,
            Err((reason, problem)) => return Ok(Admission::Refused(reason, problem)),
        };
        match open(verifier, backend, &user, attempt).await? {
            Opening::Changed => {}
            Opening::Done(tokens) => return Ok(Admission::Done(tokens)),
            Opening::Refused(Refusal::TooManySessions) => return Ok(Admission::Full(user)),
            Opening::Refused(refusal) => {
                return Ok(Admission::Refused(refusal.as_str(), Problem::LOGIN_BAD_CREDENTIALS));
            }
        }
    }
    Ok(Admission::Refused(Refusal::Overtaken.as_str(), Problem::LOGIN_BAD_CREDENTIALS))
}

/// Why somebody isn't let in: for the log, and for them.
type Refused = (&'static str, Problem);

fn admitted<U: User>(verdict: LoginVerdict<U>) -> Result<U, Refused> {
    Err(match verdict {
        LoginVerdict::Accepted(user) if user.is_active() => return Ok(user),
        LoginVerdict::Accepted(_) => ("user_inactive", Problem::LOGIN_BAD_CREDENTIALS),
        LoginVerdict::Rejected => ("credentials", Problem::LOGIN_BAD_CREDENTIALS),
        LoginVerdict::RateLimited { retry_after } => ("rate_limited", Problem::rate_limited(retry_after)),
        LoginVerdict::Overloaded { retry_after } => ("overloaded", Problem::overloaded(retry_after)),
    })
}

/// What became of a session that was to be opened.
enum Opening {
    Done(TokenPair),
    /// The account isn't as it was judged.
    Changed,
    Refused(Refusal),
}

/// Opens the session, unless the account has changed since it was judged or changes before the session is recorded.
async fn open<U: User>(
    verifier: &Arc<dyn CredentialVerifier<U>>,
    backend: &AuthenticationBackend<U>,
    user: &U,
    attempt: &LoginAttempt,
) -> Result<Opening, Problem> {
    let unanswered = |failure: Failure| Problem::from_failure(&failure);
    let fence = backend.login_fence(user.id()).await.map_err(unanswered)?;
    if !verifier.still_holds(user).await.map_err(unanswered)? {
        return Ok(Opening::Changed);
    }
    if let Some(session) = attempt.replaces {
        backend.end_session(session, user.id()).await.map_err(unanswered)?;
    }
    let login = fence.into_iter().fold(Login::from(attempt.client.clone()), Login::behind);
    match backend.login(user, &login).await {
        Ok(tokens) => Ok(Opening::Done(tokens)),
        Err(AuthError::Refused(refusal)) => Ok(Opening::Refused(refusal)),
        Err(AuthError::Failed(failure)) => Err(unanswered(failure)),
    }
}

#[derive(Deserialize)]
struct Body {
    identifier: String,
    password: Wiped,
    label: Option<String>,
    replace: Option<String>,
}

/// A text that is wiped on drop.
struct Wiped(Zeroizing<String>);

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

async fn read_attempt(request: Request) -> Result<LoginAttempt, Problem> {
    let client_address = client_address(request.extensions());
    let client = client(request.headers(), client_address);
    let StrictJson(body) = StrictJson::<Body>::from_request(request, &()).await?;
    let client = body.label.iter().fold(client, |client, label| client.with_label(label));
    let replaces = match body.replace.as_deref().map(str::parse) {
        None => None,
        Some(Ok(session)) => Some(session),
        Some(Err(_)) => return Err(Problem::REQUEST_BODY_INVALID),
    };
    let (identifier, password) = (body.identifier, body.password.0);
    let attempt = LoginAttempt { identifier, password, client_address, client, replaces };
    let identifier_fits = (1..=MAX_IDENTIFIER).contains(&attempt.identifier.chars().count());
    let password_fits = (1..=MAX_PASSWORD).contains(&attempt.password.len());
    if identifier_fits && password_fits { Ok(attempt) } else { Err(Problem::REQUEST_BODY_INVALID) }
}

fn client(headers: &HeaderMap, address: Option<IpAddr>) -> Client {
    let user_agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let client = user_agent.iter().fold(Client::new(), |client, text| client.with_user_agent(text));
    address.into_iter().fold(client, Client::with_ip)
}

fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    let told = extensions.get::<ClientAddress>().map(|address| address.0);
    told.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()))
}
