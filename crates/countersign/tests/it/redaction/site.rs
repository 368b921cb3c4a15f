//! A small site with both transports, over any strategy, and a visit to it that meets everything.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use countersign::axum::{AuthRoutes, CredentialVerifier, CurrentUser, LoginAttempt, LoginVerdict};
use countersign::store::MemoryStore;
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::tower::AuthLayer;
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{AuthenticationBackend, Authenticator, Failure, PlainToken, Profile};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::redaction::needles::{EMAIL, PASSWORD, People, Person, ada, ring};

/// A login attempt as its `Debug` shows it.
pub(crate) type Knock = String;

/// How many attempts `knock` makes.
pub(crate) const DOORS: usize = 2;

/// Lets Ada in, and writes down what it sees.
struct Porter(Arc<Mutex<Vec<Knock>>>);

#[async_trait]
impl CredentialVerifier<Person> for Porter {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Person>, Failure> {
        let verdict = match login.password() {
            PASSWORD => LoginVerdict::Accepted(ada()),
            _ => LoginVerdict::Rejected,
        };
        // As an application would that logs whatever passes by.
        tracing::debug!(?login, ?verdict, "login attempt");
        self.0
            .lock()
            .unwrap()
            .push(format!("{login:?} {verdict:?}"));
        Ok(verdict)
    }
}

async fn me(user: CurrentUser<Person>) -> &'static str {
    tracing::debug!(?user, "a page was asked for");
    "here you are"
}

pub(crate) struct Site(Router);

impl Site {
    pub(crate) fn over(
        strategy: &Arc<dyn Strategy<Person>>,
        knocks: &Arc<Mutex<Vec<Knock>>>,
    ) -> Self {
        let cookies = CookieTransport::builder(Profile::Countersign)
            .build()
            .unwrap();
        let authenticator = Authenticator::builder(Arc::new(People))
            .backend(AuthenticationBackend::new(
                "api",
                BearerTransport,
                Arc::clone(strategy),
            ))
            .backend(AuthenticationBackend::new(
                "web",
                cookies,
                Arc::clone(strategy),
            ))
            .build()
            .unwrap();
        let authenticator = Arc::new(authenticator);
        let routes = AuthRoutes::new(Arc::clone(&authenticator))
            .login(Porter(Arc::clone(knocks)))
            .build()
            .unwrap();
        let app = Router::new()
            .route("/me", get(me).post(me))
            .nest("/auth", routes);
        Self(app.layer(AuthLayer::new(authenticator)))
    }

    /// The answer's status, headers and body.
    pub(crate) async fn post(
        &self,
        path: &str,
        header: (&str, &str),
        body: Value,
    ) -> (u16, HeaderMap, Value) {
        let sent = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header(header.0, header.1);
        let request = request
            .header("sec-fetch-site", "same-origin")
            .body(sent)
            .unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        tracing::trace!(?parts, "answer");
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    pub(crate) async fn login(&self, password: &str) -> (u16, HeaderMap, Value) {
        let body = json!({"identifier": EMAIL, "password": password});
        self.post("/auth/login", ("accept", "*/*"), body).await
    }

    /// Logs in, and the tokens that came of it.
    pub(crate) async fn tokens(&self) -> (PlainToken, PlainToken) {
        let (status, _, body) = self.login(PASSWORD).await;
        assert_eq!(status, 200, "{body}");
        pair(&body)
    }
}

pub(crate) fn pair(body: &Value) -> (PlainToken, PlainToken) {
    let token =
        |name: &str| PlainToken::new(body[name].as_str().unwrap_or_else(|| panic!("no {name}")));
    (token("access_token"), token("refresh_token"))
}

/// Two attempts to log in.
pub(crate) async fn knock(knocks: &Arc<Mutex<Vec<Knock>>>) {
    let tokens = DatabaseTokenStrategy::builder(MemoryStore::new())
        .digest_keys(ring())
        .build()
        .unwrap();
    let strategy: Arc<dyn Strategy<Person>> = Arc::new(tokens);
    let site = Site::over(&strategy, knocks);
    assert_eq!(site.login(PASSWORD).await.0, 200);
    assert_eq!(site.login("wrong-password").await.0, 401);
}
