//! `POST /login` and `POST /cookie/login`, and the part of a login that forms share with them.
//!
//! The order of the steps is that of
//! [`AuthenticationBackend::log_in`](crate::AuthenticationBackend::log_in): the first judgement
//! finds the user, the fence is read, the verifier says whether its judgement still holds, and only
//! then the session is recorded.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::{AuthenticationBackend, LoggedIn, LoginError, LoginVerdict};
use crate::axum::client::{client, client_address};
use crate::axum::routes::attempt::LoginAttempt;
use crate::axum::routes::shared::Shared;
use crate::axum::routes::verifier::CredentialVerifier;
use crate::axum::{body, json};
use crate::error::Failure;
use crate::strategy::Login;
use crate::tower::Problem;
use crate::user::User;

/// The longest identifier, in characters.
const MAX_IDENTIFIER: usize = 320;

/// The longest password, in bytes. Longer ones are refused before they are hashed.
const MAX_PASSWORD: usize = 1024;

pub(super) async fn bearer<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    answer(&shared, shared.bearer()?, request).await
}

pub(super) async fn cookie<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    shared.check_sender(&parts)?;
    answer(&shared, shared.cookie()?, Request::from_parts(parts, body)).await
}

/// Reads an attempt, judges it, and answers.
async fn answer<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    request: Request,
) -> Result<Response, Problem> {
    let (attempt, bytes) = read(request).await?;
    let is_remembered = match shared.unremembered {
        Some(_) => json::parse::<Remembering>(&bytes)?.remember != Some(false),
        None => true,
    };
    Ok(
        match log_in(shared, backend, &attempt, is_remembered).await {
            Ok(logged_in) => logged_in.into_response(),
            Err(error) => error.into_response(),
        },
    )
}

/// Returns the attempt in the body of a request, and the body.
pub(super) async fn read(request: Request) -> Result<(LoginAttempt, Bytes), Problem> {
    let (parts, content) = request.into_parts();
    json::check_type(&parts.headers)?;
    let bytes = body::read(&parts.headers, content, json::MAX_BODY).await?;
    Ok((read_attempt(&parts, &bytes)?, bytes))
}

/// Judges an attempt, and opens a session.
pub(super) async fn log_in<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    attempt: &LoginAttempt,
    is_remembered: bool,
) -> Result<LoggedIn<U>, LoginError> {
    let verifier = shared
        .verifier
        .as_deref()
        .ok_or_else(|| Failure::internal("login routes", "there is no verifier"))?;
    let mut login = match &shared.unremembered {
        Some(login) if !is_remembered => login.clone(),
        _ => Login::default(),
    };
    login.client = attempt.client().clone();

    backend
        .log_in_behind(None, &login, attempt.replaces(), |judged| {
            judge(verifier, attempt, judged)
        })
        .await
}

/// Returns the verdict on an attempt. A user who was judged before the fence was read is let in if
/// that judgement still holds.
async fn judge<U: User>(
    verifier: &dyn CredentialVerifier<U>,
    attempt: &LoginAttempt,
    judged: Option<U>,
) -> Result<LoginVerdict<U>, Failure> {
    if let Some(judged) = judged
        && verifier.still_holds(attempt, &judged).await?
    {
        return Ok(LoginVerdict::Accepted(judged));
    }
    verifier.verify(attempt).await
}

/// The body of a login.
#[derive(Deserialize)]
struct Body {
    identifier: String,
    password: Wiped,
    label: Option<String>,
    replace: Option<String>,
}

/// The member of a login's body that is read only where it is switched on.
#[derive(Deserialize)]
struct Remembering {
    remember: Option<bool>,
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
fn read_attempt(parts: &Parts, bytes: &[u8]) -> Result<LoginAttempt, Problem> {
    let mut body = json::parse::<Body>(bytes)?;
    let replaced = match body.replace.as_deref().map(str::parse) {
        None => None,
        Some(Ok(session)) => Some(session),
        Some(Err(_)) => return Err(Problem::REQUEST_BODY_INVALID),
    };
    let password = std::mem::take(&mut *body.password.0);
    let attempt = attempt(parts, body.identifier, password, body.label.as_deref())?;
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    Ok(attempt.with_text(text).with_replaced(replaced))
}

/// Creates an attempt, if identifier and password are within their bounds.
pub(super) fn attempt(
    parts: &Parts,
    identifier: String,
    password: String,
    label: Option<&str>,
) -> Result<LoginAttempt, Problem> {
    let address = client_address(&parts.extensions);
    let client = label
        .into_iter()
        .fold(client(&parts.headers, address), |client, label| {
            client.with_label(label)
        });

    // Made first, so that the password is wiped also if it is refused.
    let attempt = LoginAttempt::new(identifier, password).with_client(client);
    let attempt = address
        .into_iter()
        .fold(attempt, LoginAttempt::with_client_address);
    let identifier_fits = (1..=MAX_IDENTIFIER).contains(&attempt.identifier().chars().count());
    let password_fits = (1..=MAX_PASSWORD).contains(&attempt.password().len());
    if identifier_fits && password_fits {
        Ok(attempt)
    } else {
        Err(Problem::REQUEST_BODY_INVALID)
    }
}
