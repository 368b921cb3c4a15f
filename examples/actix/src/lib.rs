//! Login by bearer tokens and by cookies in actix-web.
//!
//! The ready routes and extractors of countersign are for axum. Elsewhere an
//! [`Authenticator`] judges requests, and an [`AuthenticationBackend`] logs in and out. This file
//! puts them together, and `convert.rs` turns requests and responses.

mod convert;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::{Bytes, Data, Json, JsonConfig, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use countersign::auth::LoginError;
use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
use countersign::strategy::Strategy;
use countersign::strategy::{DatabaseTokenStrategy, Login};
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{
    AuthError, Authenticated, AuthenticationBackend, Authenticator, Failure, PlainToken, Problem,
};
use countersign::{Profile, Secret, TokenPair, User, UserId, UserManager};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use serde::Deserialize;

/// A member of the site.
#[derive(Clone, Debug)]
pub struct Member {
    /// The id.
    pub id: i64,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// The accounts: Ada alone. The example `own_users` of the library has a table of them, with hashes
/// of passwords.
#[derive(Debug)]
struct Members;

#[async_trait::async_trait]
impl UserManager<Member> for Members {
    async fn get(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok((*id == 7).then_some(Member { id: 7 }))
    }
}

/// Returns the id of the account that a login names.
fn find_id(identifier: &str) -> Option<i64> {
    (identifier == "ada").then_some(7)
}

/// The state that the handlers share.
#[derive(Debug)]
pub struct Site {
    authenticator: Authenticator<Member>,
    api: AuthenticationBackend<Member>,
    web: AuthenticationBackend<Member>,
    strategy: DatabaseTokenStrategy<SqlStore<Database>>,
}

impl Site {
    /// Connects the database, brings its tables up to date, and puts the parts together.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is wrong or the database can't be asked.
    pub async fn open(url: &str, secret: &Secret) -> Result<Self, Box<dyn Error>> {
        let database = Database::connect(url, DatabaseOptions::default())?;
        Migrator::new(&database, i64::KIND).run().await?;
        let store = SqlStore::new(database, DatabaseTokenModels::bundled(i64::KIND));
        let strategy = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(secret)
            .build()?;

        // Both share the strategy, so a session may be opened by one and ended by the other.
        let tokens: Arc<dyn Strategy<Member>> = Arc::new(strategy.clone());
        let cookies = CookieTransport::builder(Profile::Countersign).build()?;
        let api = AuthenticationBackend::new("api", BearerTransport, Arc::clone(&tokens));
        let web = AuthenticationBackend::new("web", cookies, tokens);
        let authenticator = Authenticator::builder(Arc::new(Members))
            .backend(api.clone())
            .backend(web.clone())
            .build()?;

        Ok(Self {
            authenticator,
            api,
            web,
            strategy,
        })
    }

    /// Returns the authenticator.
    pub const fn authenticator(&self) -> &Authenticator<Member> {
        &self.authenticator
    }

    /// Deletes what has expired. To be called from time to time, or the tables only grow.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the database can't be asked. The next call goes on.
    pub async fn sweep(&self) -> Result<u64, Failure> {
        self.strategy.cleanup_expired(1000, &mut |_| {}).await
    }
}

/// Adds the routes to an application.
pub fn routes(config: &mut ServiceConfig, site: Arc<Site>) {
    let json =
        JsonConfig::default().error_handler(|_, _| Refused(Problem::REQUEST_BODY_INVALID).into());
    config
        .app_data(Data::from(site))
        .app_data(json)
        .route("/me", web::get().to(me))
        .route("/login", web::post().to(login))
        .route("/refresh", web::post().to(refresh))
        .route("/cookie/login", web::post().to(cookie_login))
        .route("/cookie/refresh", web::post().to(cookie_refresh))
        .route("/logout", web::post().to(logout));
}

/// The user of a request. A handler that takes one is called for nobody else.
#[derive(Debug)]
pub struct Caller(Arc<Authenticated<Member>>);

impl FromRequest for Caller {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let site = request
                .app_data::<Data<Site>>()
                .ok_or(Refused(Problem::INTERNAL))?;
            let outcome = site
                .authenticator
                .authenticate_request(&head(&request)?)
                .await;

            match outcome.accepted() {
                Some(accepted) => Ok(Self(Arc::clone(accepted))),
                None => Err(Refused(
                    Problem::from_outcome(&outcome).unwrap_or(Problem::INTERNAL),
                )),
            }
        })
    }
}

async fn me(Caller(caller): Caller) -> String {
    format!("member {}\n", caller.user.id)
}

#[derive(Deserialize)]
struct Credentials {
    identifier: String,
    password: String,
}

async fn login(site: Data<Site>, body: Json<Credentials>) -> Result<HttpResponse, Refused> {
    log_in(&site.api, &body).await
}

async fn cookie_login(
    request: HttpRequest,
    site: Data<Site>,
    body: Json<Credentials>,
) -> Result<HttpResponse, Refused> {
    check_origin(&site, &head(&request)?)?;
    log_in(&site.web, &body).await
}

async fn log_in(
    backend: &AuthenticationBackend<Member>,
    body: &Credentials,
) -> Result<HttpResponse, Refused> {
    let id = find_id(&body.identifier);

    // The judge runs behind the user's fence, so a password that is changed meanwhile doesn't get in.
    let logged_in = backend
        .log_in(id.as_ref(), Login::default(), || async move {
            match id {
                Some(id) if body.password == "correct horse battery" => Members.get(&id).await,
                _ => Ok(None),
            }
        })
        .await;

    match logged_in {
        Ok(logged_in) => hand_out(backend, &logged_in.tokens),
        Err(LoginError::Failed(failure)) => Err(failure.into()),
        Err(_) => Err(Refused(Problem::LOGIN_BAD_CREDENTIALS)),
    }
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

async fn refresh(site: Data<Site>, body: Json<RefreshBody>) -> Result<HttpResponse, Refused> {
    exchange(&site.api, &PlainToken::new(&*body.refresh_token)).await
}

async fn cookie_refresh(request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Refused> {
    let head = head(&request)?;
    check_origin(&site, &head)?;
    let token = site.web.transport().offered_refresh(&head.headers).one();
    exchange(
        &site.web,
        &token.ok_or(Refused(Problem::REFRESH_TOKEN_INVALID))?,
    )
    .await
}

async fn exchange(
    backend: &AuthenticationBackend<Member>,
    token: &PlainToken,
) -> Result<HttpResponse, Refused> {
    match backend.refresh(token, &Members).await {
        Ok(refreshed) => hand_out(backend, &refreshed.issued),
        Err(AuthError::Refused(_)) => Err(Refused(Problem::REFRESH_TOKEN_INVALID)),
        Err(AuthError::Failed(failure)) => Err(failure.into()),
    }
}

/// Ends the session of the request. A page's cookies are cleared.
async fn logout(site: Data<Site>, Caller(caller): Caller) -> Result<HttpResponse, Refused> {
    let by_cookie = caller.backend.as_ref() == Some(site.web.name());
    let backend = if by_cookie { &site.web } else { &site.api };
    if let Some(session) = caller.session_id {
        backend.end_session(session, caller.user.id()).await?;
    }
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    backend.transport().clear(response.headers_mut());
    Ok(convert::answer(response))
}

/// Refuses a request that no page of this site has sent. Otherwise a page of another site could log
/// a visitor in as somebody else.
fn check_origin(site: &Site, head: &Parts) -> Result<(), Refused> {
    if site.authenticator.origins().allows(head) {
        Ok(())
    } else {
        Err(Refused(Problem::CSRF_FAILED))
    }
}

/// Returns the response that hands tokens out: a body, or cookies without one.
fn hand_out(
    backend: &AuthenticationBackend<Member>,
    tokens: &TokenPair,
) -> Result<HttpResponse, Refused> {
    let mut response = http::Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));

    match backend.transport().issue(tokens, headers)? {
        Some(body) => {
            headers.insert(
                CONTENT_TYPE,
                http::HeaderValue::from_static("application/json"),
            );
            *response.body_mut() = body.into_bytes();
        }
        None => *response.status_mut() = http::StatusCode::NO_CONTENT,
    }

    Ok(convert::answer(response))
}

/// Returns the head of a request, or 400 for one that can't be understood.
fn head(request: &HttpRequest) -> Result<Parts, Refused> {
    convert::head(request).map_err(|_| Refused(Problem::CREDENTIALS_MALFORMED))
}

/// A refused request, with the response that says so.
#[derive(Clone, Copy, Debug)]
pub struct Refused(Problem);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl ResponseError for Refused {
    fn error_response(&self) -> HttpResponse {
        convert::answer(self.0.into_http())
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(Problem::from_failure(&failure))
    }
}
