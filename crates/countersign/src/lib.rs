//! Login tokens for axum and tower services: countersign issues, checks, refreshes and revokes
//! access tokens and refresh tokens, and keeps the sessions behind them.
//!
//! - **Opaque or signed.** Access tokens are random texts that a store looks up, or signed JWTs
//!   with a denylist for revocation.
//! - **In your database.** Sessions live in SQLite, PostgreSQL, MySQL, MariaDB, Redis, Redis
//!   Cluster or memory, under the same promises, which one public test suite checks.
//! - **Refreshes that don't log anybody out.** However many requests present one refresh token at
//!   once, it has exactly one successor, and a client whose answer got lost is given the same one
//!   again. A token that is presented later counts as stolen, and its session ends.
//! - **Logouts that stay.** No refresh, no login that is under way and no crash brings an ended
//!   session back. "Log out everywhere" is one step, for one session and for 100,000.
//! - **Outages that stay outages.** A store that is down is 503 with `Retry-After`, never 401, and
//!   never an anonymous user.
//! - **Headers or cookies.** Bearer tokens for programs, `__Host-` cookies with protection against
//!   forged requests for pages, both over the same sessions.
//! - **Your users stay yours.** The crate needs a user's id and a way to look one up.
//!
//! # Example
//!
//! A service with login, refresh, logout and a list of sessions:
//!
#![cfg_attr(all(feature = "axum", feature = "sqlite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "sqlite")), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
//! use countersign::{Auth, Failure, Secret, User, Users};
//!
//! struct Member { id: i64 }
//!
//! impl User for Member {
//!     type Id = i64;
//!     fn id(&self) -> &i64 { &self.id }
//! }
//!
//! struct Members;
//!
//! impl Users for Members {
//!     type User = Member;
//!
//!     async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
//!         Ok(Some(Member { id: *id })) // look the member up by id
//!     }
//!
//!     async fn verify(&self, _login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
//!         Ok(LoginVerdict::Accepted(Member { id: 7 })) // check the hash of _login.password()
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
//! let auth = Auth::builder(Members).database_url("sqlite://app.db").secret(&secret).build().await?;
//! tokio::spawn(auth.maintain());
//!
//! let app: Router = Router::new()
//!     .route("/me", get(|member: CurrentUser<Member>| async move { member.user.id.to_string() }))
//!     .layer(auth.layer())
//!     .nest("/auth", auth.routes());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! Keep the secret: without it no token is found. `Auth` makes the tables, and
//! [`maintain`](Auth::maintain) deletes what has expired. `POST /auth/login` with
//! `{"identifier": …, "password": …}` answers with an access token and a refresh token, and `GET /me` with `Authorization: Bearer …` answers with the member. The example
//! `own_users` in the repository is a complete program with a table of users and password hashes.
//!
//! # How the parts fit
//!
//! ```text
//!   HTTP request → axum / tower → authenticator → backend = transport + strategy → store
//! ```
//!
//! - A [transport] takes a credential out of headers, and puts tokens into answers.
//! - A [strategy](strategy::Strategy) decides what an access token is worth. It issues, reads and destroys
//!   access tokens; a [refreshable](strategy::RefreshableStrategy) one also opens and refreshes
//!   sessions.
//! - A [store] keeps sessions and digests of tokens. A [denylist] keeps the ids of revoked signed
//!   tokens.
//! - An [`AuthenticationBackend`] is a transport and a strategy under one name.
//! - The [`Authenticator`] has an ordered list of backends and answers whose request this is. It
//!   selects the one backend that a credential belongs to before it verifies anything, and refuses
//!   a request with two credentials.
//! - [`AuthLayer`](tower::AuthLayer) asks the authenticator for each request.
//!   [`CurrentUser`](axum::CurrentUser) hands the user to a handler, and
//!   [`AuthRoutes`](axum::AuthRoutes) are the ready routes.
//!
//! # Choosing a strategy
//!
//! | strategy | access tokens | take it if |
//! |---|---|---|
//! | [`DatabaseTokenStrategy`] | opaque, in any store | in doubt |
//! | [`RedisTokenStrategy`] | opaque, on Redis | requests are many and Redis is there anyway |
//! | [`JwtStrategy`] | signed | other services check tokens by a public key |
//!
//! [`DatabaseTokenStrategy`]: strategy::DatabaseTokenStrategy
//! [`RedisTokenStrategy`]: strategy::RedisTokenStrategy
//! [`JwtStrategy`]: strategy::JwtStrategy
//!
//! All of them have the same refresh tokens and sessions. [The guide](guide::choosing) compares
//! them, and shows each with its store, its denylist and its lifetimes.
//!
//! # Sessions and refresh
//!
//! A login opens a session. Exchanging its refresh token keeps the session and replaces the token.
//! For 10 seconds the old token still yields the same successor, so that a lost answer or a second
//! tab logs nobody out. Afterwards it counts as stolen, and the session ends.
//!
//! ```
//! # use countersign::store::MemoryStore;
//! # use countersign::strategy::DatabaseTokenStrategy;
//! # use countersign::{Failure, Secret, SystemEntropy, User};
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! use countersign::strategy::{RefreshableStrategy, SessionControl};
//! use countersign::UserId;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
//! #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
//! #     .build()?;
//! # let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
//! let pair = strategy.open_session(&Member { id: 7 }).await?;
//! let old = pair.refresh.expect("this strategy has sessions").token;
//!
//! let new = strategy.refresh_session(&old, &users).await?.issued;
//! let retry = strategy.refresh_session(&old, &users).await?.issued;
//! assert_eq!(retry.access.token, new.access.token);
//!
//! // Log out everywhere.
//! let ended = strategy.end_sessions(&7_i64.to_key(), None).await?;
//! assert_eq!(ended, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [The guide](guide::sessions) explains retries and reuse detection, the list of devices, caps on
//! the number of sessions, and changing a password.
//!
//! # Cookies and browsers
//!
//! A second backend with a [`CookieTransport`](transport::CookieTransport) adds login by cookies.
//! The strategy is shared, so a session that was opened in a browser can be ended by an API client.
//!
//! ```
//! # use std::sync::Arc;
//! # use countersign::transport::BearerTransport;
//! # use countersign::strategy::Strategy;
//! # use countersign::{AuthenticationBackend, Authenticator, ConfigError, User};
//! # use countersign::UserManager;
//! use countersign::transport::CookieTransport;
//! use countersign::{OriginPolicy, Profile};
//!
//! # fn authenticator<U: User>(
//! #     strategy: Arc<dyn Strategy<U>>,
//! #     users: Arc<dyn UserManager<U>>,
//! # ) -> Result<Authenticator<U>, ConfigError> {
//! let cookies = CookieTransport::builder(Profile::Countersign).build()?;
//! let authenticator = Authenticator::builder(users)
//!     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::clone(&strategy)))
//!     .backend(AuthenticationBackend::new("web", cookies, strategy))
//!     .origins(OriginPolicy::default().public("https://app.example")?)
//!     .build()?;
//! # Ok(authenticator)
//! # }
//! ```
//!
//! A cookie with an unsafe method counts only if the request proves where it comes from
//! ([`OriginPolicy`]). [The guide](guide::cookies) covers pages, other origins, proxies and
//! WebSockets, and [another chapter](guide::own_login) covers forms, second factors and single
//! sign-on.
//!
//! # Signed tokens
//!
//! [`JwtStrategy`] signs with HS, RS, PS, ES or EdDSA keys. It checks algorithm, key, signature,
//! type, audience and times, asks a denylist, and looks the user up.
//!
//! ```
//! # use countersign::User;
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! # #[cfg(feature = "jwt")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use countersign::SystemEntropy;
//! use countersign::denylist::MemoryDenylist;
//! use countersign::jwt::{Algorithm, KeyRing, SigningKey, generate_secret};
//! use countersign::strategy::JwtStrategy;
//!
//! let private_key = generate_secret(Algorithm::EdDsa, &SystemEntropy)?; // PEM, to be kept
//! let strategy = JwtStrategy::<Member>::builder()
//!     .keys(KeyRing::new(SigningKey::from_secret(Algorithm::EdDsa, &private_key)?))
//!     .denylist_store(Arc::new(MemoryDenylist::default()))
//!     .build()?;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! [The guide](guide::choosing#signed-tokens-with-sessions-in-sql) adds sessions and a durable
//! denylist, and shows how [other services](guide::services) check the tokens.
//!
//! # Redis
//!
//! With the feature `redis`, tokens and denied ids can be kept on Redis 7.0 or newer, on Valkey, on
//! a cluster, or on a master that Sentinels watch.
//!
//! ```
//! # use countersign::User;
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! # #[cfg(feature = "redis")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign::Secret;
//! use countersign::redis::{Redis, RedisOptions};
//! use countersign::strategy::RedisTokenStrategy;
//!
//! let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
//! let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
//! let strategy = RedisTokenStrategy::<Member>::builder(&redis)
//!     .token_hash_secret(&secret)
//!     .build()?;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! What Redis loses logs users out, and may undo a logout of the last second. [The
//! guide](guide::operations#redis) has the bounds.
//!
//! # Your own users
//!
//! Implement [`User`] for your type: an id, and optionally whether the account is active. Ids are
//! [`Uuid`](uuid::Uuid), [`i64`], [`String`], or a newtype that implements [`UserId`]. A
//! [`UserManager`] looks users up; a closure from an id to a future is one.
//!
//! If the users are in the same SQL database,
//! [`join_users`](store::sql::DatabaseTokenModels::join_users) reads the user's row together with
//! the token, so that a request costs one round trip. Roles and permissions are fields of your
//! type: see [the guide](guide::roles).
//!
//! Passwords are yours too. A [`CredentialVerifier`](axum::CredentialVerifier) checks them for the
//! ready routes.
//!
//! # Running it
//!
//! With `Auth`, spawn [`Auth::maintain`] in at least one process: it does everything below. If you
//! put the parts together by hand, **start a task that sweeps**, or expired rows stay in SQL and the
//! tables grow for ever:
//!
//! ```
//! # use countersign::store::MemoryStore;
//! # use countersign::strategy::DatabaseTokenStrategy;
//! # use countersign::{Secret, SystemEntropy};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
//! #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
//! #     .build()?;
//! let sweeper = strategy.clone();
//! tokio::spawn(async move {
//!     let mut hourly = tokio::time::interval(Duration::from_secs(3600));
//!     loop {
//!         hourly.tick().await;
//!         if let Err(failure) = sweeper.cleanup_expired(1000, &mut |_| {}).await {
//!             eprintln!("the next sweep tries again: {failure}");
//!         }
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! Two more tasks are optional. A [`UseRecorder`] writes when sessions were last used, in one batch
//! per interval. A [`SessionWatcher`] tells WebSockets and event streams when their session ends.
//!
//! [`UseRecorder`]: auth::UseRecorder
//! [`SessionWatcher`]: auth::SessionWatcher
//!
//! [The guide](guide::operations) also covers signed tokens, migrations, rotating keys, outages,
//! logs and counters.
//!
//! # Errors and status codes
//!
//! Three types of error never mix. A [`Refusal`] is the caller's fault, a [`Failure`] is a store
//! that could not be asked or a bug, and a [`ConfigError`] stops a start and names the setting and
//! the cure. An operation that can be refused and can fail returns an [`AuthError`].
//!
//! | outcome | status | code |
//! |---|---|---|
//! | no credential | 401 | `AUTHENTICATION_REQUIRED` |
//! | a credential that is refused, for any reason | 401 | `AUTHENTICATION_FAILED` |
//! | more than one credential, or one that can't be parsed | 400 | `CREDENTIALS_MALFORMED` |
//! | a cookie without the proof of origin that the request needs | 403 | `CSRF_FAILED` |
//! | a store that doesn't answer | 503 with `Retry-After` | `STORE_UNAVAILABLE` |
//!
//! Failed answers are `application/problem+json` with fixed texts: the reason of a refusal is in
//! the log only. [`Problem`] documents every code, and makes answers of your own in the same form.
//!
//! # Testing
//!
//! The feature `testing` has an [`Auth`](testing::auth()) in memory, sessions without a login, a
//! clock that stands still and randomness that repeats. With
//! [`MemoryStore`](store::MemoryStore), no test needs a server or sleeps:
//!
//! ```
//! # use std::sync::Arc;
//! # use countersign::store::MemoryStore;
//! # use countersign::strategy::DatabaseTokenStrategy;
//! # use countersign::strategy::Strategy;
//! # use countersign::{Failure, Secret, SystemEntropy, User};
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! use std::time::Duration;
//! use countersign::testing::ManualClock;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(ManualClock::default());
//! let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
//!     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
//!     .clock(clock.clone())
//!     .build()?;
//! # let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
//! let issued = strategy.write_token(&Member { id: 7 }).await?;
//! clock.advance(Duration::from_secs(3600));
//! let answer = strategy.read_token(Some(&issued.token), &users).await?;
//! assert!(answer.accepted().is_none(), "it has expired");
//! # Ok(())
//! # }
//! ```
//!
//! It also has the suites that check a [store](testing::TokenStoreSuite) or a
//! [denylist](testing::DenylistSuite) of your own. See [Testing](guide::testing) and [Writing a
//! store](guide::stores).
//!
//! # Crate features
//!
//! Features only add. Names behind a feature that isn't enabled are absent.
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `jwt` | [`JwtStrategy`] and its [keys](jwt) | yes |
//! | `sqlite` | the SQL store on embedded SQLite | yes |
//! | `postgres` | the SQL store on PostgreSQL | |
//! | `mysql` | the SQL store on MySQL and MariaDB | |
//! | `sqlx-postgres`, `sqlx-mysql` | the SQL store on [your own pool](store::sql#own-pool) of sqlx 0.9 | |
//! | `redis` | tokens and denied ids on [Redis](redis) and Redis Cluster | |
//! | `tower` | [layers](tower) on `http` and `tower` alone, and [`Problem`] | with `axum` |
//! | `axum` | [extractors and ready routes](mod@axum) for axum 0.8 | yes |
//! | `metrics` | counters, and a histogram of store operations, through the `metrics` facade | |
//! | `testing` | [an `Auth` and sessions for tests, suites, a manual clock](testing) | |
//!
//! At most one crate of a program may link SQLite. `sqlite` accepts rusqlite 0.32.1 to 0.43, and so
//! stands beside sqlx 0.8 and 0.9, SeaORM, diesel and tower-sessions on sqlx. Should another crate
//! conflict, disable the default features and leave `sqlite` out.
//!
//! # Minimum supported Rust version
//!
//! Rust 1.91; with `sqlx-postgres` or `sqlx-mysql` 1.94, as sqlx 0.9. The crate contains no `unsafe`
//! code, and needs the tokio runtime.
//!
//! # What it doesn't do
//!
//! - **No users.** There is no users table, no password hashing and no email. The
//!   `countersign-server` of the same repository has accounts, for services in other languages.
//! - **No OAuth 2.0 or OpenID Connect**, neither as a provider nor as a client. Bring a client, and
//!   [open a session](guide::own_login#single-sign-on) for the user that it finds.
//! - **No stored roles or permissions.** They are [fields of your user type](guide::roles), which
//!   rules can ask for.
//! - **No session data.** A session is a login, without keys and values, and visitors have none.
//! - **No claims of your own** in signed tokens, and no encrypted tokens.
//! - **No rate limits.** A verifier can answer that there were too many attempts.
//! - **No sqlx for SQLite.** There SQL goes through rusqlite, whose transactions tokens can
//!   join ([`with_session`](strategy::DatabaseTokenStrategy::with_session)).
//!
//! # Read on
//!
//! The [guide] has a chapter on each of these subjects, and one for those who [come
//! from](guide::coming_from) litestar-auth, axum-login, tower-sessions or jsonwebtoken.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

pub mod auth;
#[cfg(feature = "axum")]
pub mod axum;
pub mod clock;
pub mod denylist;
pub mod entropy;
pub mod error;
mod event;
pub mod guide;
#[cfg(feature = "jwt")]
pub mod jwt;
mod net;
mod profile;
#[cfg(feature = "redis")]
pub mod redis;
mod secret;
#[cfg(feature = "axum")]
mod service;
pub mod session;
pub mod store;
pub mod strategy;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
#[cfg(feature = "tower")]
pub mod tower;
pub mod transport;
pub mod user;
mod value;

// What most applications type. Everything else is in the module of its topic.
#[doc(inline)]
pub use auth::{AuthOutcome, AuthenticationBackend, Authenticator, OriginPolicy};
#[doc(inline)]
pub use clock::Timestamp;
#[doc(inline)]
pub use entropy::SystemEntropy;
#[doc(inline)]
pub use error::{AuthError, ConfigError, Failure, Refusal};
pub use net::UrlSource;
pub use profile::Profile;
pub use secret::Secret;
#[cfg(feature = "axum")]
pub use service::{Auth, AuthBuilder, Users};
#[doc(inline)]
pub use session::{ClientInfo, Lifetimes, ReusePolicy, SessionId, SessionLimit, WhenFull};
#[doc(inline)]
pub use token::{Authenticated, PlainToken, TokenPair};
#[cfg(feature = "tower")]
#[doc(inline)]
pub use tower::Problem;
#[doc(inline)]
pub use user::{User, UserId, UserKey, UserManager};

/// The README's example, compiled.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
