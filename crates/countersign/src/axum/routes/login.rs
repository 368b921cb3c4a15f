//! `POST /login` and `POST /cookie/login`.
//!
//! The order of the steps is what makes a login safe against a change that happens meanwhile. The
//! verifier judges the account, which takes long because of the password's hash. Then the user's
//! fence is read, then the verifier says whether its judgement still holds, and only then the
//! session is recorded, behind that fence. A password change or a "log out everywhere" between any
//! two of these steps is noticed by the second question, or by the store, which refuses the
//! session.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum_core::response::Response;
use http::{Extensions, HeaderMap, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::AuthenticationBackend;
use crate::axum::StrictJson;
use crate::axum::routes::sessions;
use crate::axum::routes::shared::{Shared, token_answer};
use crate::axum::routes::verifier::{
    ClientAddress, CredentialVerifier, LoginAttempt, LoginVerdict,
};
use crate::error::{AuthError, Failure, Refusal};
use crate::event;
use crate::session::ClientInfo;
use crate::store::Page;
use crate::strategy::Login;
use crate::token::TokenPair;
use crate::tower::Problem;
use crate::user::User;

/// The longest identifier, in characters.
const MAX_IDENTIFIER: usize = 320;

/// The longest password, in bytes. Longer ones are refused before they are hashed.
const MAX_PASSWORD: usize = 1024;

/// The most sessions that a login refused by the cap is shown.
const SHOWN: u32 = 100;

/// The most times that an attempt is judged: again if the account changed while its password was
/// being checked, as when another login renewed the password's hash.
pub(super) const JUDGED: usize = 3;

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

/// Reads an attempt, judges it, and answers. Every attempt that isn't let in leaves one line in the
/// log.
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
            event::login_failed(backend.name(), reason);
            Err(problem)
        }
        Admission::Full(user) => {
            event::login_failed(backend.name(), Refusal::TooManySessions.as_str());
            full(backend, &user).await
        }
    }
}

/// Answers a login with the right password that the cap on sessions refused: with the user's
/// sessions, so that the client can replace one of them. A session whose login was never answered
/// could be ended by nobody else.
async fn full<U: User>(backend: &AuthenticationBackend<U>, user: &U) -> Result<Response, Problem> {
    let page = Page {
        after: None,
        limit: SHOWN,
    };
    let page = backend
        .sessions_of(user.id(), &page)
        .await
        .map_err(|failure| Problem::from_failure(&failure))?;
    Ok(Problem::SESSION_LIMIT_REACHED.into_http_with(
        "sessions",
        &sessions::shown_newest_first(page.sessions, None),
    ))
}

/// The result of judging an attempt.
enum Admission<U> {
    Done(TokenPair),
    /// The attempt is refused: the reason for the log, and the answer.
    Refused(&'static str, Problem),
    /// The password is right, and the user has as many sessions as the cap allows.
    Full(U),
}

/// Judges the attempt and opens a session by that judgement. Judges again if the account has
/// changed meanwhile.
async fn admit<U: User>(
    verifier: &Arc<dyn CredentialVerifier<U>>,
    backend: &AuthenticationBackend<U>,
    attempt: &LoginAttempt,
) -> Result<Admission<U>, Problem> {
    for _ in 0..JUDGED {
        let verdict = verifier
            .verify(attempt)
            .await
            .map_err(|failure| Problem::from_failure(&failure))?;
        let user = match admitted(verdict) {
            Ok(user) => user,
            Err((reason, problem)) => return Ok(Admission::Refused(reason, problem)),
        };
        match open(verifier, backend, &user, attempt).await? {
            Opening::Changed => {}
            Opening::Done(tokens) => return Ok(Admission::Done(tokens)),
            Opening::Refused(Refusal::TooManySessions) => return Ok(Admission::Full(user)),
            Opening::Refused(refusal) => {
                return Ok(Admission::Refused(
                    refusal.as_str(),
                    Problem::LOGIN_BAD_CREDENTIALS,
                ));
            }
        }
    }
    Ok(Admission::Refused(
        Refusal::Overtaken.as_str(),
        Problem::LOGIN_BAD_CREDENTIALS,
    ))
}

/// The reason of a refusal for the log, and the answer.
pub(super) type Refused = (&'static str, Problem);

/// Returns the user that a verdict lets in, or why nobody is let in.
pub(super) fn admitted<U: User>(verdict: LoginVerdict<U>) -> Result<U, Refused> {
    Err(match verdict {
        LoginVerdict::Accepted(user) if user.is_active() => return Ok(user),
        LoginVerdict::Accepted(_) => ("user_inactive", Problem::LOGIN_BAD_CREDENTIALS),
        LoginVerdict::Rejected => ("credentials", Problem::LOGIN_BAD_CREDENTIALS),
        LoginVerdict::RateLimited { retry_after } => {
            ("rate_limited", Problem::rate_limited(retry_after))
        }
        LoginVerdict::Overloaded { retry_after } => {
            ("overloaded", Problem::overloaded(retry_after))
        }
    })
}

/// The result of opening a session.
enum Opening {
    Done(TokenPair),
    /// The account isn't as it was judged.
    Changed,
    Refused(Refusal),
}

/// Opens a session, unless the account has changed since it was judged or changes before the
/// session is recorded.
async fn open<U: User>(
    verifier: &Arc<dyn CredentialVerifier<U>>,
    backend: &AuthenticationBackend<U>,
    user: &U,
    attempt: &LoginAttempt,
) -> Result<Opening, Problem> {
    let unanswered = |failure: Failure| Problem::from_failure(&failure);
    // The fence comes first, then the account: the store refuses the session if the fence has
    // changed by then, so no change between the two is missed.
    let fence = backend.login_fence(user.id()).await.map_err(unanswered)?;
    if !verifier.still_holds(user).await.map_err(unanswered)? {
        return Ok(Opening::Changed);
    }
    // Before the login, so that the new session fits under the cap. The password was right, so the
    // caller may end any of these sessions.
    if let Some(session) = attempt.replaces {
        backend
            .end_session(session, user.id())
            .await
            .map_err(unanswered)?;
    }
    let login = fence
        .into_iter()
        .fold(Login::from(attempt.client.clone()), Login::behind);
    match backend.login(user, &login).await {
        Ok(tokens) => Ok(Opening::Done(tokens)),
        Err(AuthError::Refused(refusal)) => Ok(Opening::Refused(refusal)),
        Err(AuthError::Failed(failure)) => Err(unanswered(failure)),
    }
}

/// The body of a login.
#[derive(Deserialize)]
struct Body {
    identifier: String,
    password: Wiped,
    label: Option<String>,
    replace: Option<String>,
}

/// A text that is wiped from memory when it is dropped.
struct Wiped(Zeroizing<String>);

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Reads the attempt. The address and the user agent come from the request's head, the rest from
/// its body.
pub(super) async fn read_attempt(request: Request) -> Result<LoginAttempt, Problem> {
    let client_address = client_address(request.extensions());
    let client = client(request.headers(), client_address);
    let StrictJson(body) = StrictJson::<Body>::from_request(request, &()).await?;
    let client = body
        .label
        .iter()
        .fold(client, |client, label| client.with_label(label));
    let replaces = match body.replace.as_deref().map(str::parse) {
        None => None,
        Some(Ok(session)) => Some(session),
        Some(Err(_)) => return Err(Problem::REQUEST_BODY_INVALID),
    };
    let (identifier, password) = (body.identifier, body.password.0);
    let attempt = LoginAttempt {
        identifier,
        password,
        client_address,
        client,
        replaces,
    };
    let identifier_fits = (1..=MAX_IDENTIFIER).contains(&attempt.identifier.chars().count());
    let password_fits = (1..=MAX_PASSWORD).contains(&attempt.password.len());
    if identifier_fits && password_fits {
        Ok(attempt)
    } else {
        Err(Problem::REQUEST_BODY_INVALID)
    }
}

/// Returns what device lists show of the client.
fn client(headers: &HeaderMap, address: Option<IpAddr>) -> ClientInfo {
    let user_agent = headers
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let client = user_agent.iter().fold(ClientInfo::new(), |client, text| {
        client.with_user_agent(text)
    });
    address.into_iter().fold(client, ClientInfo::with_ip)
}

/// Returns the address that a layer has told, or else that of the peer.
fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    let told = extensions.get::<ClientAddress>().map(|address| address.0);
    told.or_else(|| {
        extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0.ip())
    })
}
